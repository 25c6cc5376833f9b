// Package rules is the language of Punchcard: it reads a program's folder of YAML, checks all of it, and compiles its journeys
// to Plans, which a Cursor follows.
//
// Load answers either a Program in which nothing can be wrong that reading it could have shown, with warnings of what may not be
// what was meant, or every mistake of the folder at once, each with its line, its column and the nearest right word. The
// grammar of the files stands in one table (grammar.go), by which Load reads, Format orders and JSONSchemas describe. Diff says
// in plain words what is different in a newer version. Expressions are compiled once, against types
// that the program declares, and evaluated over an Env; they are bounded in size, time and memory, and one that fails is an
// error that holds no value of the customer's.
package rules
