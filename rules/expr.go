package rules

import "errors"

// Expr is a compiled expression. It is immutable and safe to share. A nil Expr stands for one that was not written.
type Expr struct {
	Where  Position
	source string
}

// Source is the expression as written; "" for a nil Expr.
func (e *Expr) Source() string {
	if e == nil {
		return ""
	}
	return e.source
}

// Bool is the expression's value as a condition. A nil Expr holds.
func (e *Expr) Bool(env *Env) (bool, error) { return e == nil, nil }

// Number is the expression's value as a finite number.
func (e *Expr) Number(env *Env) (float64, error) { return 0, errors.New("not yet") }

// String is the expression's value as a string.
func (e *Expr) String(env *Env) (string, error) { return "", errors.New("not yet") }

// Value is the expression's value.
func (e *Expr) Value(env *Env) (any, error) { return nil, errors.New("not yet") }
