package rules

import "errors"

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
)

// FieldType is a declared type.
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

// Schema is what an event's properties or a customer's attributes may be. The zero Schema has no fields.
type Schema struct{ fields []Field }

// ValueError says which value a schema refuses, by its path, and why. It never holds the value itself.
type ValueError struct{ Path, Message string }

// Error is the path and the message: "items[0].price: a number is expected, not a string".
func (e *ValueError) Error() string { return e.Path + ": " + e.Message }

// Fields are the declared fields in the order of the text.
func (s Schema) Fields() []Field { return s.fields }

// Normalize checks decoded JSON against the schema.
func (s Schema) Normalize(values map[string]any) (map[string]any, error) {
	return nil, errors.New("not yet")
}

// NormalizePartial is Normalize where no field is required.
func (s Schema) NormalizePartial(values map[string]any) (map[string]any, error) {
	return nil, errors.New("not yet")
}

// Decode turns stored values back into what expressions see.
func (s Schema) Decode(stored map[string]any) map[string]any { return nil }

// CodeFields names the properties of type code.
func (s Schema) CodeFields() []string { return nil }

// Numeric tells whether a property is a number, an integer or money.
func (s Schema) Numeric(name string) bool { return false }
