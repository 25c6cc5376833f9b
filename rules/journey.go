package rules

import "sort"

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

// ReplyName is the name of the built-in journey that ReplyJourney answers.
const ReplyName = "reply"

// ReplyJourney is the built-in journey of one step by which replies and confirmations that belong to no journey go.
func ReplyJourney() *Journey { return &Journey{Name: ReplyName, Purpose: PurposeService} }
