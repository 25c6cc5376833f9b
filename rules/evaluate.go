package rules

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
		return a.Value.Value(env)
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
