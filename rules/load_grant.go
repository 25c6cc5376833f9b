package rules

import "slices"

// granted is a name that an earlier step's `as` has bound to a grant by one of some kinds of step; "" when it has reported
// that there is none.
func (x *journeyCheck) granted(value *node, f frame, refusal string, kinds ...Kind) string {
	var names []string
	for name, kind := range f.bound {
		if slices.Contains(kinds, kind) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if !x.is(value, scalar) {
		return ""
	}
	name := value.value
	if kind, bound := f.bound[name]; bound && !slices.Contains(kinds, kind) {
		x.at(value, "%s was given by %s: %s", name, kind, refusal)
	} else if !bound {
		x.suggest(value, nearest(name, names), "no earlier step binds %q by `as`", name)
	}
	return name
}

func (x *journeyCheck) release(n, value *node, id, next string, f frame) {
	grant := x.granted(value, f, "only what redeem holds can be released", KindRedeem)
	x.put(n, id, Node{Kind: KindRelease, Label: "release " + grant, Next: to(OutcomeNext, next)}, &Step{If: x.guard(n, f), Grant: grant})
}

// capture compiles the use of a grant by the journey itself.
func (x *journeyCheck) capture(n, value *node, id, next string, f frame) (falls bool) {
	grant := x.granted(value, f, "only what reward or redeem gives can be captured", KindReward, KindRedeem)
	refused, _ := x.optionalBranch(n, "on_refused", id, next, f)
	edges := to(OutcomeNext, next)
	if refused != next {
		edges[OutcomeRefused] = refused
	}
	x.put(n, id, Node{Kind: KindCapture, Label: "capture " + grant, Next: edges}, &Step{If: x.guard(n, f), Grant: grant})
	return true
}

// givePoints compiles points that a step gives. Its value is an expression, bare or in a text's braces.
func (x *journeyCheck) givePoints(n, value *node, id, next string, f frame) {
	step := &Step{If: x.guard(n, f)}
	if source, at, ok := whole(value); ok {
		step.Points = x.compile(value, source, at, f.scope, wantNumber)
	} else {
		step.Points = x.expr(value, f.scope, wantNumber)
	}
	if step.Points != nil && len(step.Points.names) == 0 {
		if amount, err := step.Points.Number(nil); err == nil && amount < 1 {
			x.at(value, "points are at least 1")
		}
	}
	if d := n.get("pending"); d != nil {
		step.Pending = x.duration(d)
	}
	x.put(n, id, Node{Kind: KindPoints, Label: "points", Next: to(OutcomeNext, next)}, step)
}
