package rules

import (
	"time"

	"punchcard"
)

// enter reads the ways into a journey: events, and schedules.
func (x *journeyCheck) enter(n *node) {
	var schemas []Schema
	items := x.items(n)
	if n != nil && n.shape == list && len(items) == 0 {
		x.at(n, "a journey has at least one way in")
	}
	for _, item := range items {
		if !x.is(item, mapping) {
			continue
		}
		var e Enter
		var event string
		var schema Schema
		switch {
		case item.get("every") != nil:
			e, event = x.schedule(item), punchcard.EventScheduleDue
			schema, _ = x.prog.Schema(event)
		case x.open(item, enterEventGrammar):
			if event, schema = x.event(item.get("on")); event == punchcard.EventScheduleDue {
				x.at(item.get("on"), "a schedule is written {every: day, at: \"10:00\"}")
			}
		}
		sc := x.scope().with("event", eventType(event, schema))
		e.On, e.Where, e.Key = event, x.expr(item.get("where"), sc, wantBool), x.expr(item.get("key"), sc, wantString)
		x.journey.Enter = append(x.journey.Enter, e)
		if event != "" {
			schemas = append(schemas, schema)
			x.enters = append(x.enters, event)
		}
	}
	x.journey.entry = union(schemas)
	entry := x.journey.entry.record()
	if len(schemas) < len(x.journey.Enter) || len(schemas) == 0 {
		entry = FieldType{Kind: typeUnknown} // a way in is a mistake: what is read of it is not one as well
	}
	x.base = x.scope().with("entry", entry)
}

// schedule reads when a schedule comes round.
func (x *journeyCheck) schedule(n *node) Enter {
	x.open(n, enterScheduleGrammar)
	e := Enter{Every: x.oneOf(n.get("every"), "every", periods...), At: x.timeOfDay(n.get("at"))}
	takes := map[string][]string{"week": {"weekday"}, "month": {"day"}, "year": {"month", "day"}}[e.Every]
	for _, key := range []string{"weekday", "month", "day"} {
		takesKey := false
		for _, k := range takes {
			takesKey = takesKey || k == key
		}
		v := n.get(key)
		switch {
		case e.Every == "":
		case takesKey && v == nil:
			x.at(n, "%s is missing", key)
		case !takesKey && v != nil:
			x.at(n.key(key), "what comes every %s has no %s", e.Every, key)
		}
	}
	if v := n.get("weekday"); v != nil {
		e.Weekday, _ = x.weekday(v)
	}
	if v := n.get("month"); v != nil {
		e.Month = time.Month(x.between(v, 1, 12))
	}
	if v := n.get("day"); v != nil {
		e.Day = int(x.between(v, 1, 31))
		if e.Month != 0 && e.Day > lastDay(2024, e.Month) {
			x.at(v, "%s has no day %d", e.Month, e.Day)
		}
	}
	return e
}

// between is a whole number within bounds.
func (c *checker) between(n *node, low, high int64) int64 {
	i := c.integer(n, low)
	if i > high {
		c.at(n, "a whole number of at most %d is expected, not %q", high, n.value)
		return high
	}
	return i
}
