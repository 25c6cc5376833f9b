package rules

import (
	"maps"
	"slices"
)

// Vocabulary is what expressions of a program may name, read from what checks them: the reference's tables are written from it.
type Vocabulary struct {
	// Everywhere are the names that every expression sees.
	Everywhere []Field
	// Granted are the fields of what a reward or redeem step binds by `as`, Collected those of `collected`.
	Granted, Collected []Field
	// Events are those that Punchcard itself raises, by name; keyword.<name> stands for each keyword.
	Events map[string]Schema
	// Functions are those that an expression may call, by name.
	Functions []Function
}

// Function is one function of the language.
type Function struct {
	Name string
	// Low and High are how many values it takes; both are 0 where the expression library knows.
	Low, High int
	// Asks tells that it asks what is known of the customer: it does not stand in a template.
	Asks bool
	// Condition tells that it takes a condition for each value of a list, Inside that it may stand in such a condition.
	Condition, Inside bool
}

// Vocabulary describes what the program's expressions may name.
func (p *Program) Vocabulary() Vocabulary {
	c := &checker{prog: p, groups: map[string]bool{}}
	for name := range p.Segments {
		c.groups[name] = true
	}
	sc := c.scope()
	v := Vocabulary{Granted: BoundFields(), Collected: collectedType.Fields, Events: maps.Clone(BuiltinEvents)}
	v.Events["keyword.<name>"] = keywordSchema
	for _, name := range sc.names() {
		v.Everywhere = append(v.Everywhere, Field{Name: name, Type: sc.vars[name]})
	}
	names := functionNames(sc)
	slices.Sort(names)
	for _, name := range names {
		f := Function{Name: name, Condition: allowedPredicates[name], Inside: allowedInPredicates[name]}
		if own, ok := functions[name]; ok {
			f.Low, f.High = own.low, own.high
		}
		if asks, ok := lookups[name]; ok {
			f.Low, f.High, f.Asks = asks.low, asks.high, true
		}
		v.Functions = append(v.Functions, f)
	}
	return v
}

// Key is one key that a map of the language may have.
type Key struct {
	// Path is the key as a person finds it: quiet_hours.from, caps[].at_most, calls.<name>.url.
	Path string
	// Takes says in words what stands under it; "" for a map whose keys follow.
	Takes string
	Need  bool
	// Form tells that it belongs to one of several ways to write its map, which is told by it.
	Form bool
	Doc  string
}

// StepKind is one kind of step with its options; the first key is its own.
type StepKind struct {
	Kind Kind
	Keys []Key
}

// StepKinds are the kinds of step in the order in which people learn them, each with all of its keys.
func StepKinds() []StepKind {
	var kinds []StepKind
	for _, f := range stepForms {
		kinds = append(kinds, StepKind{Kind: f.kind, Keys: describeObject("", f.object())})
	}
	return kinds
}

// FileKeys are all keys of a program's files, by the file: program, rewards, templates, segments, journey.
func FileKeys() map[string][]Key {
	all := map[string][]Key{}
	for name, o := range fileGrammars {
		all[name] = describeObject("", o)
	}
	return all
}

func describeObject(prefix string, o *object) []Key {
	var out []Key
	for _, k := range o.keys {
		path := prefix + k.name
		out = append(out, Key{Path: path, Takes: formWords(k.form), Need: k.need, Doc: k.doc})
		out = append(out, describeForm(path, k.form)...)
	}
	return out
}

// describeForm describes the keys of the maps within a form.
func describeForm(path string, f form) []Key {
	switch f.kind {
	case formObject:
		return describeObject(path+".", f.object)
	case formList:
		return describeForm(path+"[]", *f.of)
	case formMap:
		return describeForm(path+".<name>", *f.of)
	case formEither:
		var out []Key
		for _, one := range f.either {
			for _, k := range describeForm(path, one) {
				k.Form = k.Form || k.Need && len(f.either) > 1
				if !slices.ContainsFunc(out, func(have Key) bool { return have.Path == k.Path }) {
					out = append(out, k)
				}
			}
		}
		return out
	default:
		return nil
	}
}

// formWords says what may stand somewhere; "" for a map whose keys are described beside it.
func formWords(f form) string {
	switch f.kind {
	case formWord:
		return "a word"
	case formText:
		return "a text"
	case formName:
		return "a name"
	case formEnum:
		return alternatives(f.words)
	case formInteger, formNumber:
		return "a number"
	case formBool:
		return "true or false"
	case formDuration:
		return "a duration"
	case formClock:
		return "a time of day"
	case formExpr:
		return "an expression"
	case formType:
		return "a type"
	case formValue:
		return "a value"
	case formSteps:
		return "steps"
	case formList:
		if of := formWords(*f.of); of != "" && f.of.kind != formEither {
			return "a list: " + of
		}
		return "a list"
	case formMap:
		if of := formWords(*f.of); of != "" {
			return "a map of names: " + of
		}
		return "a map of names"
	case formEither:
		var ways []string
		for _, one := range f.either {
			if w := formWords(one); w != "" {
				ways = append(ways, w)
			}
		}
		if len(ways) > 0 {
			return alternatives(append(ways, "a map")[:len(ways)+min(1, len(f.either)-len(ways))])
		}
		return ""
	default:
		return ""
	}
}
