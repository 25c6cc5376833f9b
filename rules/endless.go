package rules

import (
	"maps"
	"slices"
	"strings"

	"punchcard"
)

// emission is what a run brings about before it has waited for anything.
type emission struct {
	step *Step
	// guarded tells that not every run does it.
	guarded bool
}

// successor is a journey that a run of another starts, directly or by what it raises.
type successor struct {
	journey string
	emission
}

// endlessStarts reports the journeys that start themselves, by way of others or not, with no wait between: every run would be
// followed by the next at once. Where a condition stands on the way it may end, and that is a warning.
func (c *checker) endlessStarts() {
	next := map[string][]successor{}
	names := slices.Sorted(maps.Keys(c.prog.Journeys))
	for _, name := range names {
		if j := c.prog.Journeys[name]; j.AgainAfter == 0 {
			next[name] = c.successors(j)
		}
	}
	reported := map[string]bool{}
	for _, name := range names {
		c.endless(name, nil, next, reported, map[string]bool{})
	}
}

func (c *checker) endless(name string, path []successor, next map[string][]successor, reported, seen map[string]bool) {
	for _, s := range next[name] {
		i := slices.IndexFunc(path, func(p successor) bool { return p.journey == s.journey })
		whole := append(slices.Clone(path), s)
		switch {
		case len(whole) > 1 && s.journey == whole[0].journey && i == 0, len(path) == 0 && s.journey == name:
		case i >= 0 || seen[s.journey] || len(path) > len(next):
			continue
		default:
			seen[s.journey] = true
			from := path
			if len(path) == 0 {
				from = []successor{{journey: name}}
			}
			c.endless(s.journey, append(slices.Clone(from), s), next, reported, seen)
			continue
		}
		c.reportEndless(path, s, reported)
	}
}

// reportEndless reports one circle, once, at the step that closes it.
func (c *checker) reportEndless(path []successor, last successor, reported map[string]bool) {
	circle := []string{last.journey}
	guarded := last.guarded
	for _, s := range path[min(1, len(path)):] {
		circle = append(circle, s.journey)
		guarded = guarded || s.guarded
	}
	key := slices.Sorted(slices.Values(circle))
	id := strings.Join(slices.Compact(key), " ")
	if reported[id] {
		return
	}
	reported[id] = true
	circle = append(circle, last.journey)
	words := "the journey starts itself again, with no wait between: " + strings.Join(circle, " → ")
	if guarded {
		c.warn(last.step.Where, "unless a condition ends it, %s", words)
		return
	}
	c.report(last.step.Where, "", "%s", words)
}

// successors are the journeys that a run may start before it has waited.
func (c *checker) successors(j *Journey) []successor {
	var out []successor
	enter := func(event string, e emission) {
		for _, other := range c.prog.Entering(event) {
			guarded := e.guarded || !slices.ContainsFunc(other.Enters(event), func(in Enter) bool { return in.Where == nil })
			out = append(out, successor{journey: other.Name, emission: emission{step: e.step, guarded: guarded}})
		}
	}
	for _, e := range emissions(j) {
		points := e.step.Kind == KindPoints
		switch e.step.Kind {
		case KindStart:
			out = append(out, successor{journey: e.step.StartJourney, emission: e})
		case KindRaise:
			enter(e.step.Raise, e)
			for _, o := range c.prog.OptIns {
				if o.On == e.step.Raise {
					enter(punchcard.EventConsentRequested, emission{step: e.step, guarded: true}) // asked again only after a while
				}
			}
			points = slices.ContainsFunc(c.prog.Earn, func(earn Earn) bool { return earn.On == e.step.Raise && earn.AtMost == 0 })
		case KindReward:
			name, _ := e.step.Reward.Const()
			r := c.prog.Rewards[name]
			points = r != nil && r.Kind == RewardPoints && r.PerCustomer == 0
		default:
		}
		for _, m := range c.prog.Milestones {
			// A milestone that is reached once ends every circle; one at each multiple does not, and is not reached each time.
			if m.Of == nil || m.Every == 0 {
				continue
			}
			if points && m.Of.names["points"] || e.step.Raise != "" && strings.Contains(m.Of.source, `"`+e.step.Raise+`"`) {
				enter(punchcard.EventMilestoneReached, emission{step: e.step, guarded: true})
			}
		}
	}
	return out
}

// emissions are the steps that a run of a journey may come to before it has waited, in the order of reading.
func emissions(j *Journey) []emission {
	reached := map[string]bool{} // node → guarded
	var walk func(id string, guarded bool)
	walk = func(id string, guarded bool) {
		if was, ok := reached[id]; ok && (!was || guarded) {
			return
		}
		reached[id] = guarded
		n, s := j.Plan.Nodes[id], j.Steps[id]
		if s == nil || n.Kind.Waits() && (n.Kind != KindWaitUntil || s.UntilTime == nil || s.UntilTime.Date == nil) {
			return
		}
		for outcome, to := range n.Next {
			// A date may be past already.
			usual := outcome == OutcomeNext || outcome == OutcomeSent || outcome == OutcomeElapsed
			walk(to, guarded || !usual || n.Kind == KindChoose || n.Kind == KindSplit || n.Kind == KindWaitUntil)
		}
	}
	walk(j.Plan.Start, false)
	var out []emission
	for _, id := range j.Plan.IDs() {
		if guarded, ok := reached[id]; ok && j.Steps[id] != nil {
			out = append(out, emission{step: j.Steps[id], guarded: guarded || j.Steps[id].If != nil})
		}
	}
	return out
}
