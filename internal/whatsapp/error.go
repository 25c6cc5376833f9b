package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Class says what may be done after an error.
type Class string

// The classes. Of these, only Retry makes it safe to send the same message again at once.
const (
	Retry     Class = "retry"     // not processed: refused by a rate or never reached; the same message may be sent again
	Ambiguous Class = "ambiguous" // may have been sent: let a status webhook settle it, never send again blindly
	Defer     Class = "defer"     // not sent, and not to be tried before RetryAfter
	Recipient Class = "recipient" // permanent for this recipient or this message
	OptOut    Class = "opt_out"   // the recipient has stopped marketing: record it, and send none until a resume
	Template  Class = "template"  // the template is missing, paused or misused: stop what uses it
	Sender    Class = "sender"    // the number, the account or the token is stopped: send nothing, and alert
	Bug       Class = "bug"       // our request is wrong, and will be each time
	Unrelated Class = "unrelated" // never the outcome of a send: an inbound notice, or another part of the API
)

// CodeNone is the Code of an Error that no answer of Meta's came with. Zero will not do: it is a code of theirs.
const CodeNone = -1

// Error is why a call failed.
type Error struct {
	Code       int           // Meta's code, or CodeNone
	Subcode    int           // Meta's error_subcode; deprecated for messages, but all that tells template errors apart
	Details    string        `json:"-"` // Meta's own words. They may quote the phone number or the text: never log them or let them near a history
	HTTPStatus int           // 0 when there was no answer
	Class      Class         // what may be done
	RetryAfter time.Duration // the least wait before a retry, in real time; 0 when nobody said

	what  string // a fixed description
	cause error  // context.Canceled, context.DeadlineExceeded or nil; nothing else, since causes end in histories too
}

// Error is the code, the class and a fixed description.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("whatsapp: ")
	if e.what != "" {
		b.WriteString(e.what)
	} else {
		b.WriteString(describe(e.Code))
	}
	b.WriteString(" (")
	if e.Code != CodeNone {
		fmt.Fprintf(&b, "code %d, ", e.Code)
	}
	if e.HTTPStatus != 0 {
		fmt.Fprintf(&b, "HTTP %d, ", e.HTTPStatus)
	}
	b.WriteString(string(e.Class))
	b.WriteString(")")
	return b.String()
}

// Unwrap is context.Canceled or context.DeadlineExceeded where one of them ended the call, else nil.
func (e *Error) Unwrap() error { return e.cause }

// ClassOf is the class of an error from this package. Any other error is Ambiguous, the class that promises least.
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Ambiguous
}

// Scope is whose rate a refusal is about: which bucket has to slow down.
type Scope string

// The scopes.
const (
	ScopeNone    Scope = ""        // no rate of ours
	ScopePair    Scope = "pair"    // this number to this recipient; all others may go on
	ScopeNumber  Scope = "number"  // whatever this number sends
	ScopeAccount Scope = "account" // every call of the app for the account: sending as well as templates and lookups
)

// ScopeOf is the scope of one of Meta's codes, wherever it came: in an answer, a status, or an AccountUpdate's Problems.
func ScopeOf(code int) Scope {
	switch code {
	case 131056:
		return ScopePair
	case 130429, 131057, 2494100: // the throughput, and two names of a number under maintenance
		return ScopeNumber
	case 4, 17, 80007: // the app's, the token's, the account's
		return ScopeAccount
	}
	return ScopeNone
}

// Scope is whose rate the error is about. A 429 without a code of Meta's may be about any, and is taken for the widest.
func (e *Error) Scope() Scope {
	if e.Code == CodeNone && e.HTTPStatus == http.StatusTooManyRequests {
		return ScopeAccount
	}
	return ScopeOf(e.Code)
}

// IsDuplicateTemplate tells whether CreateTemplate was refused because a template of this name and language is there
// already, or is still being deleted.
func IsDuplicateTemplate(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (isDuplicate(e.Subcode) || isDuplicate(e.Code))
}

func isDuplicate(code int) bool { return code == 2388023 || code == 2388024 }

// refuse is an error of ours, found before anything was sent. what must be a constant: it will be in histories.
func refuse(what string) *Error { return &Error{Code: CodeNone, Class: Bug, what: what} }

// contextCause is the part of err that is safe to pass on.
func contextCause(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	}
	return nil
}
