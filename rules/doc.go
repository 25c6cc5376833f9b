// Package rules is the language of Punchcard: it reads a program's folder of YAML, checks all of it, and compiles its journeys
// to Plans, which a Cursor follows.
//
// Load answers either a Program in which nothing can be wrong that reading it could have shown, or every mistake of the
// folder at once, each with its line, its column and the nearest right word. Expressions are compiled once, against types
// that the program declares, and evaluated over an Env; they are bounded in size, time and memory, and one that fails is an
// error that holds no value of the customer's.
package rules
