package rules

import "time"

// label compiles a label given or taken.
func (x *journeyCheck) label(n, value *node, kind Kind, id, next string, f frame) {
	name := x.name(value)
	x.put(n, id, Node{Kind: kind, Label: string(kind) + " " + name, Next: to(OutcomeNext, next)}, &Step{If: x.guard(n, f), Label: name})
}

// muteFor is how long automation is muted by a handoff that does not say.
const muteFor = 24 * time.Hour

// handoff compiles a person's taking over.
func (x *journeyCheck) handoff(n, value *node, id, next string, f frame) {
	step := &Step{If: x.guard(n, f), Title: x.text(value, f.scope), MuteFor: muteFor}
	if d := n.get("timeout"); d != nil {
		step.MuteFor = x.duration(d)
	}
	x.put(n, id, Node{Kind: KindHandoff, Label: "handoff", Next: to(OutcomeNext, next)}, step)
}

// set compiles attributes that the journey learns.
func (x *journeyCheck) set(n, value *node, id, next string, f frame) {
	step := &Step{If: x.guard(n, f), target: x.prog.Attributes}
	if x.is(value, mapping) {
		if len(value.pairs) == 0 {
			x.at(value, "at least one attribute is expected")
		}
		step.Properties = x.assignments(value, value, x.prog.Attributes, assigned{what: "customer", field: "attribute", partial: true}, f)
	}
	x.put(n, id, Node{Kind: KindSet, Label: "set", Next: to(OutcomeNext, next)}, step)
}
