package rules

import "strings"

// TypeKind is the kind of a FieldType.
type TypeKind string

// The kinds of type that attributes and event properties may have.
const (
	TypeString  TypeKind = "string"
	TypeNumber  TypeKind = "number"
	TypeInteger TypeKind = "integer"
	TypeBool    TypeKind = "bool"
	TypeDate    TypeKind = "date"  // a day, without a time or a zone
	TypeTime    TypeKind = "time"  // a moment
	TypeMoney   TypeKind = "money" // in the program's currency
	TypeCode    TypeKind = "code"  // a string that may be a code of ours
	TypeList    TypeKind = "list"
	TypeRecord  TypeKind = "map"

	typeUnknown  TypeKind = "" // of an expression whose type only running it tells
	typeDuration TypeKind = "duration"
)

// FieldType is a declared type. It is written as a word (string), as a list ([string], list of string) or as a map
// ({name: string, price: money?}); a question mark after it makes the field optional.
type FieldType struct {
	Kind   TypeKind
	Of     *FieldType // of a list
	Fields []Field    // of a map
}

// Field is one declared attribute or property.
type Field struct {
	Name     string
	Type     FieldType
	Optional bool
}

// String is the type as a marketer writes it.
func (t FieldType) String() string {
	switch t.Kind {
	case TypeList:
		return "[" + t.Of.String() + "]"
	case TypeRecord:
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			parts[i] = f.Name + ": " + f.Type.String()
			if f.Optional {
				parts[i] += "?"
			}
		}
		return "{" + strings.Join(parts, ", ") + "}"
	default:
		return string(t.Kind)
	}
}

func (t FieldType) numeric() bool {
	return t.Kind == TypeNumber || t.Kind == TypeInteger || t.Kind == TypeMoney
}

func (t FieldType) text() bool { return t.Kind == TypeString || t.Kind == TypeCode }

func (t FieldType) field(name string) (Field, bool) {
	for _, f := range t.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

func (t FieldType) names() []string {
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = f.Name
	}
	return names
}

// Schema is what an event's properties or a customer's attributes may be. The zero Schema has no fields.
type Schema struct{ fields []Field }

// Fields are the declared fields in the order of the text. The caller does not change them.
func (s Schema) Fields() []Field { return s.fields }

// CodeFields names the properties of type code, at the top of the event.
func (s Schema) CodeFields() []string {
	var names []string
	for _, f := range s.fields {
		if f.Type.Kind == TypeCode {
			names = append(names, f.Name)
		}
	}
	return names
}

// Numeric tells whether a property is a number, an integer or money: one that total() can sum.
func (s Schema) Numeric(name string) bool {
	f, ok := s.record().field(name)
	return ok && f.Type.numeric()
}

func (s Schema) record() FieldType { return FieldType{Kind: TypeRecord, Fields: s.fields} }

// union is what can be read of an event that is one of several: a property that only some have is optional, and one that
// they declare differently is left out.
func union(schemas []Schema) Schema {
	var all Schema
	clash := map[string]bool{}
	for _, s := range schemas {
		for _, f := range s.fields {
			for i, have := range all.fields {
				if have.Name != f.Name {
					continue
				}
				if have.Type.String() != f.Type.String() {
					clash[f.Name] = true
				}
				all.fields[i].Optional = have.Optional || f.Optional
			}
			if _, ok := all.record().field(f.Name); !ok {
				all.fields = append(all.fields, f)
			}
		}
	}
	var kept Schema
	for _, f := range all.fields {
		for _, s := range schemas {
			if _, ok := s.record().field(f.Name); !ok {
				f.Optional = true
			}
		}
		if !clash[f.Name] {
			kept.fields = append(kept.fields, f)
		}
	}
	return kept
}

var typeWords = []string{"string", "number", "integer", "bool", "date", "time", "money", "code", "list of"}

// schema reads a map of names and types.
func (c *checker) schema(n *node) Schema {
	if n == nil {
		return Schema{}
	}
	if !c.is(n, mapping) {
		return Schema{}
	}
	return Schema{fields: c.typedFields(n)}
}

const maxFields = 100

func (c *checker) typedFields(n *node) []Field {
	if len(n.pairs) > maxFields {
		c.at(n, "more than %d fields", maxFields)
	}
	var fields []Field
	for _, p := range n.pairs {
		if !fieldName.MatchString(p.key.value) {
			c.at(p.key, "%q cannot be the name of a field: use lower-case letters, digits and _, and begin with a letter", p.key.value)
			continue
		}
		if operatorWords[p.key.value] {
			c.at(p.key, "%q is a word of the language and cannot be the name of a field", p.key.value)
			continue
		}
		t, optional := c.fieldType(p.value)
		fields = append(fields, Field{Name: p.key.value, Type: t, Optional: optional})
	}
	return fields
}

func (c *checker) fieldType(n *node) (t FieldType, optional bool) {
	switch n.shape {
	case list:
		if len(n.items) != 1 {
			c.at(n, "a list's type has one part: [string]")
			return FieldType{Kind: TypeString}, false
		}
		of, opt := c.fieldType(n.items[0])
		if opt {
			c.at(n.items[0], "what stands in a list cannot be optional")
		}
		return FieldType{Kind: TypeList, Of: &of}, false
	case mapping:
		return FieldType{Kind: TypeRecord, Fields: c.typedFields(n)}, false
	default:
		word, optional := strings.CutSuffix(strings.TrimSpace(n.value), "?")
		depth := 0
		for {
			rest, isList := strings.CutPrefix(word, "list of ")
			if !isList || depth == 4 {
				break
			}
			word, depth = strings.TrimSpace(rest), depth+1
		}
		switch kind := TypeKind(word); kind {
		case TypeString, TypeNumber, TypeInteger, TypeBool, TypeDate, TypeTime, TypeMoney, TypeCode:
			t = FieldType{Kind: kind}
		default:
			c.suggest(n, nearest(word, typeWords), "there is no type %q", word)
			t = FieldType{Kind: typeUnknown} // what reads it is not reported as well
		}
		for ; depth > 0; depth-- {
			of := t
			t = FieldType{Kind: TypeList, Of: &of}
		}
		return t, optional
	}
}
