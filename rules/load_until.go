package rules

import (
	"slices"
	"time"
)

// waitUntil compiles a wait for a moment that only arming it tells.
func (x *journeyCheck) waitUntil(n, value *node, id, next string, f frame) {
	x.guardBefore(n, id, next, f)
	until := &UntilTime{}
	label := "wait_until"
	at := n.get("at")
	if source, offset, whole := whole(value); whole {
		until.Date = x.compile(value, source, offset, f.scope, wantValue)
		if e := until.Date; e != nil && !isTime(e.result) {
			x.report(e.Where, "", "a date or a time is expected, not %s", describeType(e.result))
		} else if e != nil {
			until.DateOnly = e.result.Kind == TypeDate
		}
		label += " a date"
		if at != nil {
			clock := x.timeOfDay(at)
			until.At = &clock
		}
	} else {
		if at != nil {
			x.at(n.key("at"), "at stands beside a date: here the time is said already")
		}
		label += " " + x.untilClock(value, until)
	}
	x.put(n, id, Node{Kind: KindWaitUntil, Label: label, Next: to(OutcomeElapsed, next), Scope: id}, &Step{UntilTime: until})
}

// untilClock reads a time of day, or a weekday with one, and answers what a person calls it.
func (x *journeyCheck) untilClock(value *node, until *UntilTime) string {
	if value == nil {
		return ""
	}
	if value.shape == mapping {
		if !x.open(value, untilGrammar) {
			return ""
		}
		clock := x.timeOfDay(value.get("at"))
		until.At = &clock
		if day, ok := x.weekday(value.get("weekday")); ok {
			until.Weekday = &day
			return weekdays[(int(day)+6)%7] + " " + clock.String()
		}
		return clock.String()
	}
	if x.is(value, scalar) && !timeOfDayRE.MatchString(value.value) {
		x.at(value, "%q is no moment: write \"10:00\", {weekday: monday, at: \"10:00\"} or a date in \"{{ }}\"", value.value)
		return ""
	}
	clock := x.timeOfDay(value)
	until.At = &clock
	return clock.String()
}

// weekday reads the name of a day of the week.
func (c *checker) weekday(n *node) (time.Weekday, bool) {
	i := slices.Index(weekdays, c.oneOf(n, "the weekday", weekdays...))
	return time.Weekday((i + 1) % 7), i >= 0
}
