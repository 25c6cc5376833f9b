package rules

import (
	"fmt"
	"strings"
)

// Severity tells a mistake from a warning.
type Severity int

// The severities. A program with a mistake cannot be published; one with warnings does what it says, which may not be what was
// meant.
const (
	SeverityError Severity = iota
	SeverityWarning
)

// String is error or warning.
func (s Severity) String() string {
	if s == SeverityWarning {
		return "warning"
	}
	return "error"
}

// MarshalText is String.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Diagnostic is one mistake or warning in a program's text. Line and Column count from 1; both are 0 when it is about a whole
// file.
type Diagnostic struct {
	Severity     Severity
	File         string
	Line, Column int
	Message      string
	Suggestion   string // the right word, if one is near
	Source       string // the line of the file
}

// String is the mistake as a person reads it: where, what, the line, and a caret under the place.
func (d Diagnostic) String() string {
	var b strings.Builder
	b.WriteString(d.File)
	if d.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", d.Line, d.Column)
	}
	if d.Severity == SeverityWarning {
		b.WriteString(": warning")
	}
	b.WriteString(": " + d.Message)
	if d.Suggestion != "" {
		fmt.Fprintf(&b, "; did you mean %q?", d.Suggestion)
	}
	if d.Source != "" {
		line, caret := excerpt(d.Source, d.Column)
		b.WriteString("\n  " + line + "\n  " + strings.Repeat(" ", caret) + "^")
	}
	return b.String()
}

// excerptWidth bounds how much of a long line a diagnostic shows.
const excerptWidth = 160

// excerpt is the part of a line round a column, and how far in that column is.
func excerpt(line string, column int) (text string, caret int) {
	runes := []rune(strings.ReplaceAll(line, "\t", " "))
	caret = min(max(column-1, 0), len(runes))
	if from := caret - excerptWidth/2; len(runes) > excerptWidth && from > 0 {
		runes, caret = runes[from:], caret-from
	}
	return strings.TrimRight(string(runes[:min(len(runes), excerptWidth)]), " "), caret
}

// Diagnostics are the mistakes and warnings of a folder, in the order of files and lines.
type Diagnostics []Diagnostic

// Errors are the mistakes among them.
func (ds Diagnostics) Errors() Diagnostics { return ds.of(SeverityError) }

// Warnings are the others.
func (ds Diagnostics) Warnings() Diagnostics { return ds.of(SeverityWarning) }

func (ds Diagnostics) of(s Severity) Diagnostics {
	var some Diagnostics
	for _, d := range ds {
		if d.Severity == s {
			some = append(some, d)
		}
	}
	return some
}

// Error is all of them, one after another.
func (ds Diagnostics) Error() string {
	texts := make([]string, len(ds))
	for i, d := range ds {
		texts[i] = d.String()
	}
	return strings.Join(texts, "\n")
}
