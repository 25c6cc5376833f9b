package rules

import (
	"sort"

	"punchcard"
)

// Entering lists the journeys that an event may start, by name.
func (p *Program) Entering(event string) []*Journey {
	var js []*Journey
	for _, j := range p.Journeys {
		if len(j.Enters(event)) > 0 {
			js = append(js, j)
		}
	}
	sort.Slice(js, func(a, b int) bool { return js[a].Name < js[b].Name })
	return js
}

// Enters lists a journey's ways in by an event, in the order of the text: the first whose where holds is taken.
func (j *Journey) Enters(event string) []Enter {
	var es []Enter
	for _, e := range j.Enter {
		if e.On == event {
			es = append(es, e)
		}
	}
	return es
}

// Entry is the schema of what `entry` is in the journey's runs: of an event that is one of those it enters by. Decode a run's
// stored entry with it.
func (j *Journey) Entry() Schema { return j.entry }

// Topic is the topic of that name.
func (p *Program) Topic(name string) (Topic, bool) {
	for _, t := range p.Topics {
		if t.Name == name {
			return t, true
		}
	}
	return Topic{}, false
}

// TierAt is the tier held with so many points earned within the tiers' window; "" when the program has no tiers.
func (p *Program) TierAt(earned int64) string {
	tier := ""
	if p.Tiers != nil {
		for _, l := range p.Tiers.Levels {
			if earned >= l.From {
				tier = l.Name
			}
		}
	}
	return tier
}

// ReplyJourney is the built-in journey of one step by which replies and confirmations that belong to no journey go: node "1"
// says the text in the run's entry ({"text": string}, and whatever else dispatch keeps there) and node "end" ends the run as
// answered.
func ReplyJourney() *Journey { return replyJourney }

var replyJourney = func() *Journey {
	entry := Schema{fields: []Field{fieldOf("text", TypeString)}}
	c := &checker{sources: map[string]*source{}, prog: &Program{}}
	where := &node{src: &source{name: punchcard.BuiltinReply}, line: 1, col: 1, value: "{{ entry.text }}"}
	say := Text{where: where.position(), wordings: []wording{{
		segments: c.segments(where, scope{vars: map[string]FieldType{"entry": entry.record()}}),
	}}}
	if len(c.found) > 0 {
		panic(c.found.Error()) // the text is the one above: a test builds it
	}
	return &Journey{
		Name: punchcard.BuiltinReply, Purpose: PurposeService, IfRunning: RunningIgnore, entry: entry,
		Plan: &Plan{Start: "1", Nodes: map[string]Node{
			"1":   {Kind: KindSay, Label: "say", Next: map[string]string{OutcomeNext: "end"}},
			"end": {Kind: KindEnd, Label: "end answered"},
		}},
		Steps: map[string]*Step{
			"1":   {Node: "1", Kind: KindSay, Where: where.position(), Say: say},
			"end": {Node: "end", Kind: KindEnd, Where: where.position(), Outcome: "answered"},
		},
	}
}()
