package rules

import (
	"maps"
	"slices"
)

// raise compiles an event that the journey reports itself. It is routed later, as one from a backend is.
func (x *journeyCheck) raise(n, value *node, id, next string, f frame) {
	step := &Step{If: x.guard(n, f)}
	if x.is(value, scalar) {
		if x.prog.Builtin(value.value) {
			x.at(value, "%s is an event that only Punchcard raises", value.value)
		} else if step.Raise = x.known(value, "event", slices.Sorted(maps.Keys(x.prog.Events))); step.Raise != "" {
			step.target = x.prog.Events[step.Raise]
			step.Properties = x.assignments(n.get("with"), value, step.target, assigned{what: step.Raise, field: "property"}, f)
		}
	}
	x.put(n, id, Node{Kind: KindRaise, Label: "raise " + step.Raise, Next: to(OutcomeNext, next)}, step)
}

// start compiles the start of another journey for the same customer: as if an event that it enters by had come to it alone.
func (x *journeyCheck) start(n, value *node, id, next string, f frame) {
	step := &Step{If: x.guard(n, f)}
	step.StartJourney = x.known(value, "journey", keysOf(x.journeys))
	x.put(n, id, Node{Kind: KindStart, Label: "start " + step.StartJourney, Next: to(OutcomeNext, next)}, step)
	if step.StartJourney == "" {
		return
	}
	// The other journey may stand in a file that is still to be read.
	x.later = append(x.later, func() {
		if other := x.prog.Journeys[step.StartJourney]; other != nil {
			x.startBy(n, value, step, other, f)
		}
	})
}

// startBy finds the event by which a journey is entered, and reads its properties.
func (x *journeyCheck) startBy(n, value *node, step *Step, other *Journey, f frame) {
	var events []string
	for _, e := range other.Enter {
		if e.On != "" && !slices.Contains(events, e.On) {
			events = append(events, e.On)
		}
	}
	switch on := n.get("on"); {
	case on != nil:
		if step.Entry = x.known(on, "event that "+other.Name+" is entered by:", events); step.Entry == "" {
			return
		}
	case len(events) == 1:
		step.Entry = events[0]
	case len(events) == 0:
		return
	default:
		x.at(value, "%s is entered by %s: say by which, with `on`", other.Name, and(events))
		return
	}
	step.target, _ = x.prog.Schema(step.Entry)
	step.Properties = x.assignments(n.get("with"), value, step.target, assigned{what: step.Entry, field: "property"}, f)
}
