package rules

import "errors"

// ErrEmpty is wrapped by the error of a Text or a Template in which a value to be filled in is empty.
var ErrEmpty = errors.New("a value to be filled in is empty")

// Text is what a marketer wrote for people to read: one wording or one for each language, in which {{ expressions }} are
// filled in. It is immutable and safe to share.
type Text struct{ languages []string }

// IsZero tells whether nothing was written.
func (t Text) IsZero() bool { return len(t.languages) == 0 }

// Languages are those the text has wordings in, sorted; the program's for a plain text.
func (t Text) Languages() []string { return t.languages }

// Const is the text when it is one wording in which nothing is filled in.
func (t Text) Const() (string, bool) { return "", false }

// Render is the text in a language, or in the program's if it has no wording in that one, with everything filled in. The
// error wraps ErrEmpty when a value is nil or the empty string.
func (t Text) Render(lang string, env *Env) (string, error) { return "", errors.New("not yet") }
