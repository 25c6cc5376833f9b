package rules

import (
	"maps"
	"slices"

	"github.com/expr-lang/expr/types"
)

// scope is what an expression in one place may name.
type scope struct {
	vars    map[string]FieldType
	lookups bool // consent(), times(), total(), latest()
	// param is asked about a bare name that is not in vars: a template's text names its parameters by using them.
	param func(name string) bool
}

// with is the scope with one more name. The scope itself stays as it is.
func (s scope) with(name string, t FieldType) scope {
	s.vars = maps.Clone(s.vars)
	s.vars[name] = t
	return s
}

// eventType is what an event's properties are: unknown when its name is a mistake, so that what reads them is not one as well.
func eventType(event string, schema Schema) FieldType {
	if event == "" {
		return FieldType{Kind: typeUnknown}
	}
	return schema.record()
}

func (s scope) names() []string { return slices.Sorted(maps.Keys(s.vars)) }

func record(fields ...Field) FieldType { return FieldType{Kind: TypeRecord, Fields: fields} }

var (
	programType = record(fieldOf("name", TypeString), fieldOf("business", TypeString), fieldOf("privacy_url", TypeString),
		fieldOf("currency", TypeString), fieldOf("language", TypeString))
	pointsType = record(fieldOf("balance", TypeInteger), fieldOf("earned", TypeInteger), fieldOf("pending", TypeInteger),
		fieldOf("expiring", TypeInteger))
	collectedType = record(fieldOf("count", TypeInteger))
	customerOwn   = []Field{fieldOf("id", TypeString), fieldOf("tier", TypeString), fieldOf("language", TypeString),
		fieldOf("country", TypeString), {Name: "labels", Type: FieldType{Kind: TypeList, Of: &FieldType{Kind: TypeString}}},
		fieldOf("age_days", TypeInteger)}
	boundType = record(fieldOf("reward", TypeString), fieldOf("title", TypeString), optional(fieldOf("code", TypeString)),
		optional(fieldOf("url", TypeString)), optional(fieldOf("description", TypeString)), optional(fieldOf("terms", TypeString)),
		optional(fieldOf("image", TypeString)), optional(fieldOf("reason", TypeString)), optional(fieldOf("expires", TypeTime)),
		fieldOf("value", TypeMoney), fieldOf("points", TypeInteger))
)

// BoundSchema is what `as` binds to a reward or redeem step: reward, title, code, url, description, terms, image and reason are strings, expires a time,
// value money, points an integer; all but reward, title, value and points may be absent. Its Decode makes what Env.Bound holds of what was
// stored as JSON.
func BoundSchema() Schema { return Schema{fields: BoundFields()} }

// BoundFields are the fields of BoundSchema. The caller does not change them.
func BoundFields() []Field { return boundType.Fields }

// customerType is a customer as expressions see one: every declared attribute may be absent.
func (c *checker) customerType() FieldType {
	fields := slices.Clone(customerOwn)
	for i, f := range fields {
		fields[i].Optional = f.Name == "country" || f.Name == "tier" && c.prog.Tiers == nil
	}
	for _, f := range c.prog.Attributes.fields {
		fields = append(fields, optional(f))
	}
	return record(fields...)
}

// scope is what every expression sees.
func (c *checker) scope() scope {
	var segments []Field
	for _, name := range keysOf(c.groups) {
		segments = append(segments, fieldOf(name, TypeBool))
	}
	vars := map[string]FieldType{
		"customer": c.customerType(), "points": pointsType, "program": programType, "now": {Kind: TypeTime}, unsubscribeName: {Kind: TypeString},
		"segment": record(segments...),
	}
	if c.prog.Referral != nil {
		vars[referralName] = referralType
	}
	return scope{lookups: true, vars: vars}
}

// exprType is a FieldType as the expression library knows it.
func exprType(t FieldType) types.Type {
	switch t.Kind {
	case TypeString, TypeCode:
		return types.String
	case TypeNumber, TypeMoney:
		return types.Float64
	case TypeInteger:
		return types.Int
	case TypeBool:
		return types.Bool
	case TypeDate, TypeTime:
		return timeExprType
	case typeDuration:
		return durationExprType
	case TypeList:
		return types.Array(exprType(*t.Of))
	case TypeRecord:
		m := make(types.Map, len(t.Fields))
		for _, f := range t.Fields {
			m[f.Name] = exprType(f.Type)
		}
		return m
	default:
		return types.Any
	}
}
