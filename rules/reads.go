package rules

import (
	"slices"
	"strings"
)

// Reads tells whether anything that is filled into the text reads a name: what `as` bound, or a word such as customer.
func (t Text) Reads(name string) bool {
	for _, w := range t.wordings {
		for _, s := range w.segments {
			if s.expr != nil && s.expr.names[name] {
				return true
			}
		}
	}
	return false
}

// NearestEvent is the event of the program's own that a misspelt name most likely means, or "".
func (p *Program) NearestEvent(name string) string {
	known := make([]string, 0, len(p.Events))
	for e := range p.Events {
		known = append(known, e)
	}
	return nearest(name, known)
}

// Moves tells whether an event may change what tiers and milestones are reckoned by. It errs towards true: a milestone of
// anything but counts, sums and points may be moved by any event.
func (p *Program) Moves(event string) bool {
	for _, e := range p.Earn {
		if e.On == event {
			return true
		}
	}
	for _, r := range p.Reverse {
		if r.On == event || r.Of == event {
			return true
		}
	}
	for _, m := range p.Milestones {
		source := m.Of.Source()
		if m.Of.names["segment"] {
			return true
		}
		counts := m.Of.names["times()"] || m.Of.names["total()"] || m.Of.names["points"]
		if !counts || m.Of.names["customer"] || strings.Contains(source, `"`+event+`"`) || strings.Contains(source, "'"+event+"'") {
			return true
		}
	}
	return false
}

// Listens tells whether anything in the program listens to an event, or asks about those that there were.
func (p *Program) Listens(event string) bool {
	earns := slices.ContainsFunc(p.Earn, func(e Earn) bool { return e.On == event })
	reverses := slices.ContainsFunc(p.Reverse, func(r Reverse) bool { return r.On == event || r.Of == event })
	if earns || reverses || p.asked[event] || slices.ContainsFunc(p.OptIns, func(o OptIn) bool { return o.On == event }) {
		return true
	}
	for _, j := range p.Journeys {
		if slices.ContainsFunc(j.Enter, func(e Enter) bool { return e.On == event }) || slices.ContainsFunc(j.Leave, func(l Leave) bool { return l.On == event }) {
			return true
		}
		for _, s := range j.Steps {
			if s.On == event || s.RestartOn != nil && s.RestartOn.On == event {
				return true
			}
		}
	}
	return false
}

// Scheduled tells whether any journey is entered by a schedule.
func (p *Program) Scheduled() bool {
	for _, j := range p.Journeys {
		for _, e := range j.Enter {
			if e.Every != "" {
				return true
			}
		}
	}
	return false
}

// Absent tells that an expression failed because an optional value that it reads is absent. That is an ordinary case, unlike all
// other failures: an order without a cart.
func (e *EvalError) Absent() bool { return e.Kind == absent }
