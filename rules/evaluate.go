package rules

import "time"

// Evaluate is what set, raise, start and call hand over, in the canonical form of the schema that it goes to: as
// Schema.Normalize gives it. What is absent is left out, and for set is nil: the attribute is forgotten. The error is the
// *EvalError of an expression that failed, wraps ErrEmpty for a text with a hole, or is a *ValueError.
func (s *Step) Evaluate(env *Env) (map[string]any, error) {
	values := make(map[string]any, len(s.Properties))
	for _, a := range s.Properties {
		v, err := a.evaluate(env)
		if err != nil {
			return nil, err
		}
		values[a.Name] = v
	}
	if s.Kind == KindSet {
		return s.target.NormalizePartial(values)
	}
	return s.target.Normalize(values)
}

func (a Assignment) evaluate(env *Env) (any, error) {
	switch {
	case a.Value != nil:
		v, err := a.Value.Value(env)
		return storable(v, a.target, a.Value.result, env.zone()), err
	case !a.Text.IsZero():
		lang := ""
		if env != nil {
			lang = env.Language
		}
		return a.Text.Render(lang, env)
	default:
		return a.Constant, nil
	}
}

// storable is a value of an expression as Schema.Normalize takes it: a day or a moment as text, and of a map only what the type
// names. A moment becomes the day that it is in the zone.
func storable(value any, t, from FieldType, zone *time.Location) any {
	switch v := value.(type) {
	case time.Time:
		switch {
		case t.Kind == TypeTime:
			return v.UTC().Format(time.RFC3339Nano)
		case from.Kind != TypeDate:
			v = v.In(zone)
		}
		return v.Format(time.DateOnly)
	case []any:
		if t.Kind != TypeList {
			return v
		}
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = storable(item, *t.Of, of(from), zone)
		}
		return out
	case map[string]any:
		if t.Kind != TypeRecord {
			return v
		}
		out := make(map[string]any, len(t.Fields))
		for _, f := range t.Fields {
			if item, ok := v[f.Name]; ok {
				source, _ := from.field(f.Name)
				out[f.Name] = storable(item, f.Type, source.Type, zone)
			}
		}
		return out
	default:
		return value
	}
}

// of is the type of a list's values; unknown for anything else.
func of(t FieldType) FieldType {
	if t.Kind == TypeList {
		return *t.Of
	}
	return FieldType{}
}
