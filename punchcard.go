// Package punchcard holds the nouns of a WhatsApp rewards program: customers and the names they are known by, consent,
// events, runs, rewards, points and messages; the codes of errors; and the Clock.
//
// Everything else in the module speaks in these words and imports this package. This package imports nothing of ours and
// knows no database, no HTTP and no Temporal.
package punchcard
