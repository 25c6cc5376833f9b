package rules

import (
	"slices"
	"time"
)

// Opening is a time of the week at which somebody is there to answer, in the program's zone.
type Opening struct {
	Weekdays []time.Weekday // empty: every day
	From, To TimeOfDay      // To may be earlier than From: then it spans midnight, and belongs to the day on which it begins
}

// The replies of a program that answer no keyword.
const (
	ReplyGreeting  = "greeting"  // to a customer's first message
	ReplyAway      = "away"      // outside of the opening hours
	ReplyOtherwise = "otherwise" // to what nothing else answers
)

// Open tells whether somebody is there to answer. Without opening hours somebody always is.
func (p *Program) Open(at time.Time) bool {
	if len(p.Opening) == 0 {
		return true
	}
	local := at.In(p.Zone)
	minute := TimeOfDay(local.Hour()*60 + local.Minute())
	yesterday := (local.Weekday() + 6) % 7
	return slices.ContainsFunc(p.Opening, func(o Opening) bool {
		on := func(d time.Weekday) bool { return len(o.Weekdays) == 0 || slices.Contains(o.Weekdays, d) }
		if o.From < o.To {
			return on(local.Weekday()) && minute >= o.From && minute < o.To
		}
		return on(local.Weekday()) && minute >= o.From || on(yesterday) && minute < o.To
	})
}
