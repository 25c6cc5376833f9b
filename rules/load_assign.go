package rules

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// whole tells whether a scalar is "{{ expression }}" and nothing else, and answers the expression and where in the value it
// begins, in characters.
func whole(n *node) (source string, at int, ok bool) {
	if n == nil || n.shape != scalar {
		return "", 0, false
	}
	trimmed := strings.TrimSpace(n.value)
	inner, found := strings.CutPrefix(trimmed, "{{")
	if !found {
		return "", 0, false
	}
	end := closing(inner)
	if end < 0 || end+2 != len(inner) {
		return "", 0, false
	}
	inner = inner[:end]
	source = strings.TrimLeft(inner, " \n")
	before := len(n.value) - len(strings.TrimLeft(n.value, " \n"))
	return strings.TrimRight(source, " \n"), before + 2 + utf8.RuneCountInString(inner) - utf8.RuneCountInString(source), true
}

// assigned says what values are written to, for the messages.
type assigned struct {
	what    string // order.reviewed
	field   string // property
	partial bool   // nothing is required: attributes come one at a time
}

// assignments reads values that a step writes to the fields of a schema. at is where a missing one is reported.
func (x *journeyCheck) assignments(n, at *node, target Schema, to assigned, f frame) []Assignment {
	record := target.record()
	var out []Assignment
	if n != nil && x.is(n, mapping) {
		for _, p := range n.pairs {
			field, ok := record.field(p.key.value)
			if !ok {
				x.suggest(p.key, nearest(p.key.value, record.names()), "%s has no %s %q", to.what, to.field, p.key.value)
				continue
			}
			out = append(out, x.assignment(field, p.value, to, f))
		}
	}
	if to.partial {
		return out
	}
	var missing []string
	for _, field := range target.fields {
		if !field.Optional && n.get(field.Name) == nil && !misspelt(n, field.Name, record.names()) {
			missing = append(missing, field.Name)
		}
	}
	if len(missing) > 0 {
		x.at(at, "%s needs %s by `with`", to.what, and(missing))
	}
	return out
}

func (x *journeyCheck) assignment(field Field, n *node, to assigned, f frame) Assignment {
	a := Assignment{Name: field.Name, target: field.Type}
	if source, at, ok := whole(n); ok {
		a.Value = x.compile(n, source, at, f.scope, wantValue)
		switch e := a.Value; {
		case e == nil:
		case !assignable(field.Type, e.result):
			x.report(e.Where, "", "%s is %s, and this is %s", field.Name, describeType(field.Type), describeType(e.result))
		case e.optional && !field.Optional && !to.partial:
			x.report(e.Where, "", "this can be absent, and %s needs it: say what to write then, with default(…, …)", to.what)
		}
		return a
	}
	if n.shape == scalar && field.Type.text() {
		a.Text = x.text(n, f.scope)
		if constant, ok := a.Text.Const(); ok {
			a.Text, a.Constant = Text{}, constant
		}
		return a
	}
	if n.shape == scalar && strings.Contains(n.value, "{{") {
		x.at(n, "%s is %s: it is one expression, \"{{ … }}\", and no text", field.Name, describeType(field.Type))
		return a
	}
	a.Constant = x.constant(field.Type, n)
	return a
}

// constant reads a value that stands in the text as it is, in the canonical form of its type.
func (x *journeyCheck) constant(t FieldType, n *node) any {
	switch t.Kind {
	case TypeList:
		var out []any
		for _, item := range x.items(n) {
			out = append(out, x.constant(*t.Of, item))
		}
		return out
	case TypeRecord:
		if !x.is(n, mapping) {
			return nil
		}
		out := map[string]any{}
		for _, p := range n.pairs {
			field, ok := t.field(p.key.value)
			if !ok {
				x.suggest(p.key, nearest(p.key.value, t.names()), "there is no field %q", p.key.value)
				continue
			}
			out[field.Name] = x.constant(field.Type, p.value)
		}
		for _, field := range t.Fields {
			if !field.Optional && n.get(field.Name) == nil {
				x.at(n, "%s is missing", field.Name)
			}
		}
		return out
	default:
	}
	if !x.is(n, scalar) {
		return nil
	}
	var given any = n.value
	switch t.Kind {
	case TypeInteger, TypeNumber, TypeMoney:
		if number, err := strconv.ParseFloat(n.value, 64); err == nil {
			given = number
		}
	case TypeBool:
		if n.value == "true" || n.value == "false" {
			given = n.value == "true"
		}
	default:
	}
	value, err := normalizeValue("", t, given)
	if err != nil {
		x.at(n, "%s is expected, not %q; what is reckoned stands in \"{{ }}\"", describeType(t), n.value)
		return nil
	}
	return value
}

// describeType is a type as it stands in a message.
func describeType(t FieldType) string {
	if t.Kind == typeUnknown {
		return "a value of unknown type"
	}
	if t.Kind == TypeMoney {
		return "money"
	}
	return article(t.Kind)
}

// assignable tells whether a value of one type may be written where another is declared. What is only known when it runs is
// checked then.
func assignable(to, from FieldType) bool {
	switch {
	case from.Kind == typeUnknown:
		return true
	case to.text():
		return from.text()
	case to.Kind == TypeNumber || to.Kind == TypeMoney:
		return from.numeric()
	case to.Kind == TypeDate:
		return isTime(from)
	case to.Kind == TypeList:
		return from.Kind == TypeList && assignable(*to.Of, *from.Of)
	case to.Kind == TypeRecord:
		if from.Kind != TypeRecord {
			return false
		}
		for _, field := range to.Fields {
			have, ok := from.field(field.Name)
			switch {
			case !ok && field.Optional:
			case !ok, have.Optional && !field.Optional, !assignable(field.Type, have.Type):
				return false
			}
		}
		return true
	default:
		return to.Kind == from.Kind
	}
}
