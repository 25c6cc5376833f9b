package punchcard

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxCodeLine bounds a line of a file of codes, in bytes.
const maxCodeLine = 4096

// CodeFile reads a file of codes line by line: CSV, whose first column is the code and whose first line may be a heading that says
// "code", or NDJSON, each line a string or an object with a member code. It holds one line at a time. Lines that are empty are passed over.
type CodeFile struct {
	lines  *bufio.Scanner
	n      int64 // the line, from 1
	ndjson bool
}

// NewCodeFile reads CSV, or NDJSON.
func NewCodeFile(r io.Reader, ndjson bool) *CodeFile {
	f := &CodeFile{lines: bufio.NewScanner(r), ndjson: ndjson}
	f.lines.Buffer(make([]byte, maxCodeLine), maxCodeLine)
	f.lines.Split(lineEnd)
	return f
}

// lineEnd splits at a line feed, a carriage return, or both: with some programs' lines end in a carriage return alone, and three codes would be
// taken for a long one.
func lineEnd(data []byte, atEOF bool) (advance int, token []byte, err error) {
	i := bytes.IndexAny(data, "\r\n")
	switch {
	case i < 0 && atEOF && len(data) > 0:
		return len(data), data, nil
	case i < 0:
		return 0, nil, nil
	case data[i] == '\n' || i+1 < len(data) && data[i+1] != '\n':
		return i + 1, data[:i], nil
	case i+1 < len(data):
		return i + 2, data[:i], nil
	case atEOF:
		return i + 1, data[:i], nil
	default:
		return 0, nil, nil // what follows says whether it is one end or two
	}
}

// BrokenFileError is that a file of codes could not be read to its end.
type BrokenFileError struct {
	After int64 // the last line that was read
	Err   error
}

func (e *BrokenFileError) Error() string {
	return fmt.Sprintf("read the codes after line %d: %v", e.After, e.Err)
}

// Unwrap is why.
func (e *BrokenFileError) Unwrap() error { return e.Err }

// CodeLine is a line of a file of codes.
type CodeLine struct {
	Number int64  // from 1
	Code   string // as it is written
}

// Next answers the next line that has something on it. What is no code is answered all the same, to be counted with its line. The error
// is io.EOF at the end, a *BrokenFileError, or CodeInvalid for a line that is too long to be one.
func (f *CodeFile) Next() (CodeLine, error) {
	for f.lines.Scan() {
		f.n++
		line := strings.TrimSpace(f.lines.Text())
		if f.n == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		if line == "" {
			continue
		}
		if !utf8.ValidString(line) {
			line = "?" // no code, on any database
		}
		if f.ndjson {
			return CodeLine{f.n, codeOfJSON(line)}, nil
		}
		code := strings.Trim(strings.TrimSpace(firstColumn(line)), `"`)
		if f.n == 1 && strings.EqualFold(code, "code") {
			continue
		}
		return CodeLine{f.n, code}, nil
	}
	if errors.Is(f.lines.Err(), bufio.ErrTooLong) {
		return CodeLine{}, Errorf(CodeInvalid, "line %d is longer than %d bytes: this is no file of codes", f.n+1, maxCodeLine)
	}
	if err := f.lines.Err(); err != nil {
		return CodeLine{}, &BrokenFileError{After: f.n, Err: err}
	}
	return CodeLine{}, io.EOF
}

// firstColumn is what stands before the first comma, semicolon or tab.
func firstColumn(line string) string {
	if i := strings.IndexAny(line, ",;\t"); i >= 0 {
		return line[:i]
	}
	return line
}

func codeOfJSON(line string) string {
	var text string
	if json.Unmarshal([]byte(line), &text) == nil {
		return text
	}
	var object struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal([]byte(line), &object) // what is none has no code
	return object.Code
}
