package rules

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// Expr is a compiled expression. It is immutable and safe to share. A nil Expr stands for one that was not written.
type Expr struct {
	Where   Position
	source  string
	program *vm.Program
	result  FieldType       // as far as it is known
	names   map[string]bool // what it reads, and the functions it calls with ()
	// segments are those that it asks about.
	segments map[string]bool
	// optional tells that the value may be absent, because a field that it reads may be.
	optional bool
}

// Source is the expression as written; "" for a nil Expr.
func (e *Expr) Source() string {
	if e == nil {
		return ""
	}
	return e.source
}

// absent is the Kind of a failure for want of a value.
const absent = "a value is missing"

// EvalError says where an expression failed and how. Its text holds no value: it may be logged. Unwrap gives what a function
// of the Env answered, if that is why: then it is worth trying again, otherwise it is not.
type EvalError struct {
	Where Position
	Kind  string
	cause error
}

// Error is the position and the kind of the failure.
func (e *EvalError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.Where.File, e.Where.Line, e.Where.Column, e.Kind)
}

// Unwrap is the error of the Env's function that the expression called, or nil.
func (e *EvalError) Unwrap() error { return e.cause }

// Bool is the expression's value as a condition. A nil Expr holds. An *EvalError is no condition that holds.
func (e *Expr) Bool(env *Env) (bool, error) {
	if e == nil {
		return true, nil
	}
	v, err := e.Value(env)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, e.fails("the result is not true or false", v)
	}
	return b, nil
}

// Number is the expression's value as a finite number. A nil Expr is 0.
func (e *Expr) Number(env *Env) (float64, error) {
	if e == nil {
		return 0, nil
	}
	v, err := e.Value(env)
	if err != nil {
		return 0, err
	}
	f, ok := number(v)
	if !ok {
		return 0, e.fails("the result is not a number", v)
	}
	return f, nil
}

// String is the expression's value as a string. A nil Expr is "".
func (e *Expr) String(env *Env) (string, error) {
	if e == nil {
		return "", nil
	}
	v, err := e.Value(env)
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok {
		return "", e.fails("the result is not a string", v)
	}
	return s, nil
}

func (e *Expr) fails(kind string, v any) error {
	if v == nil {
		kind = "the value is missing"
	}
	return &EvalError{Where: e.Where, Kind: kind}
}

// Value is the expression's value; nil for a nil Expr. A number that is not finite is an error, as every failure is an
// *EvalError: it never panics.
func (e *Expr) Value(env *Env) (value any, err error) {
	if e == nil {
		return nil, nil
	}
	ev := &evaluation{env: env}
	if env == nil {
		ev.env = &Env{}
	}
	defer func() {
		if recover() != nil {
			value, err = nil, &EvalError{Where: e.Where, Kind: "the expression failed", cause: ev.err}
		}
	}()
	if ev.env.Account != nil && (e.names["customer"] || e.names["points"] || e.names["segment"]) {
		if ev.env, err = ev.env.filled(); err != nil {
			return nil, &EvalError{Where: e.Where, Kind: "a lookup failed", cause: err}
		}
	}
	ev.all = ev.vars()
	if e.names[unsubscribeName] {
		if ev.all[unsubscribeName], err = ev.unsubscribe(); err != nil {
			return nil, &EvalError{Where: e.Where, Kind: "a lookup failed", cause: err}
		}
	}
	if e.names[referralName] {
		if err = ev.referral(); err != nil {
			return nil, &EvalError{Where: e.Where, Kind: "a lookup failed", cause: err}
		}
	}
	value, err = expr.Run(e.program, ev.all)
	switch {
	case ev.err != nil:
		return nil, &EvalError{Where: e.Where, Kind: "a lookup failed", cause: ev.err}
	case ev.inner != nil:
		return nil, ev.inner
	}
	if err != nil {
		return nil, &EvalError{Where: e.Where, Kind: failureKind(err)}
	}
	if f, ok := value.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return nil, &EvalError{Where: e.Where, Kind: "the number is not finite"}
	}
	return value, nil
}

// failureKind tells in our words why the library failed. Its own words quote values.
func failureKind(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "nil"):
		return absent
	case strings.Contains(text, "out of range"):
		return "the list is too short"
	case strings.Contains(text, "memory budget"):
		return "the expression needs too much memory"
	case strings.Contains(text, "divide by zero"):
		return "a division by zero"
	default:
		return "the values do not fit together"
	}
}

// constant is the expression's value when nothing but the program can change it.
func (e *Expr) constant(p *Program) (string, bool) {
	for name := range e.names {
		if name != "program" {
			return "", false
		}
	}
	v, err := e.Value(&Env{Program: p, Now: time.Unix(0, 0)})
	if err != nil {
		return "", false
	}
	s := format(v, e.result, p.Language, time.UTC)
	return s, s != ""
}
