package rules

import "slices"

// The grammar says, for each map of the language, which keys it may have, in the order in which the reference writes them, and
// what may stand under each. It is the one list of them: the loader refuses every other key and reports those that are
// missing, the formatter orders by it, and the JSON Schemas for editors are written from it.

// formKind says what a value looks like.
type formKind int

const (
	formWord     formKind = iota // a plain text that nothing is filled in to
	formText                     // a text, or a map of languages
	formName                     // the name of something: lower-case letters, digits, - and _
	formEnum                     // one of some words
	formInteger                  // a whole number
	formNumber                   // an amount
	formBool                     // true or false
	formDuration                 // 30s 10m 1h 2d 1w
	formClock                    // "09:00"
	formExpr                     // a bare expression
	formType                     // the type of a field
	formValue                    // a constant or "{{ expression }}"
	formList                     // a list
	formMap                      // a map whose keys are names
	formObject                   // a map of the grammar
	formSteps                    // a list of steps
	formEither                   // one of several
)

// form is what may stand somewhere.
type form struct {
	kind   formKind
	words  []string // formEnum
	low    int64    // formInteger
	most   int      // formList: how many; 0: any number
	of     *form    // formList, formMap
	object *object  // formObject
	either []form   // formEither
}

// key is one key of an object.
type key struct {
	name string
	form form
	need bool
	doc  string // what an editor shows
}

// object is a map with known keys.
type object struct{ keys []key }

// names lists the object's keys in the order of the reference.
func (o *object) names() []string {
	names := make([]string, len(o.keys))
	for i, k := range o.keys {
		names[i] = k.name
	}
	return names
}

func (o *object) key(name string) (key, bool) {
	i := slices.IndexFunc(o.keys, func(k key) bool { return k.name == name })
	if i < 0 {
		return key{}, false
	}
	return o.keys[i], true
}

func must(name string, f form, doc string) key { return key{name: name, form: f, need: true, doc: doc} }
func may(name string, f form, doc string) key  { return key{name: name, form: f, doc: doc} }

var (
	aWord     = form{kind: formWord}
	aText     = form{kind: formText}
	aName     = form{kind: formName}
	aNumber   = form{kind: formNumber}
	aBool     = form{kind: formBool}
	aDuration = form{kind: formDuration}
	aClock    = form{kind: formClock}
	anExpr    = form{kind: formExpr}
	aType     = form{kind: formType}
	aValue    = form{kind: formValue}
	someSteps = form{kind: formSteps}
	fields    = mapOf(aType)
	values    = mapOf(aValue)
)

func enum(words ...string) form    { return form{kind: formEnum, words: words} }
func atLeast(low int64) form       { return form{kind: formInteger, low: low} }
func listOf(f form) form           { return form{kind: formList, of: &f} }
func atMost(most int, f form) form { return form{kind: formList, of: &f, most: most} }
func mapOf(f form) form            { return form{kind: formMap, of: &f} }
func aMapOf(o *object) form        { return form{kind: formObject, object: o} }
func either(forms ...form) form    { return form{kind: formEither, either: forms} }
func keys(ks ...key) *object       { return &object{keys: ks} }
func words[T ~string](ws ...T) []string {
	out := make([]string, len(ws))
	for i, w := range ws {
		out[i] = string(w)
	}
	return out
}
