package punchcard

import (
	"errors"
	"fmt"
	"time"
)

// Code is the stable name of an error: what a program may branch on. Each maps to one HTTP status.
type Code string

// The codes.
const (
	CodeInvalid      Code = "invalid"      // the request is not of the form asked for
	CodeUnauthorized Code = "unauthorized" // no key, or not a known one
	CodeForbidden    Code = "forbidden"    // the key may not do this
	CodeNotFound     Code = "not_found"
	CodeConflict     Code = "conflict" // what is asked does not fit how things stand: a run is live, a code is captured
	CodeGone         Code = "gone"     // it was there, and is over: a code that expired or was released
	CodeTooLarge     Code = "too_large"
	CodeTooMany      Code = "too_many"    // asked too often: RetryAfter says when again
	CodeUnavailable  Code = "unavailable" // try again later: a part that is needed is not up
	CodeUpstream     Code = "upstream"    // another system that had to be asked did not do its part
	CodeInternal     Code = "internal"
)

// Error is an error meant for whoever asked: its message says what to do and holds nothing of ours.
type Error struct {
	Code    Code
	Reason  string // a finer stable word where a code has several: already_captured, live_run
	Message string
	Field   string // which part of the request, as a path: events[3].properties.total
	// RetryAfter is how long to wait before asking again, in real time; 0 when that says nothing.
	RetryAfter time.Duration
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Because gives the error its reason.
func (e *Error) Because(reason string) *Error {
	c := *e
	c.Reason = reason
	return &c
}

// In says which part of the request the error is about.
func (e *Error) In(field string) *Error {
	c := *e
	c.Field = field
	return &c
}

// CodeOf is the code of the nearest Error in err's chain, CodeInternal when there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// ReasonOf is the reason of the nearest Error in err's chain, or "".
func ReasonOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return ""
}

// ErrRunGone says that a run's workflow is over or was never there: nothing can be told to it.
var ErrRunGone = errors.New("the run's workflow is gone")
