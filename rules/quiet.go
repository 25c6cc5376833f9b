package rules

import "time"

// End is when quiet hours that hold at a moment are over, in the customer's zone; the moment itself when none hold. It counts
// by the wall clock, through the changes of summer time.
func (q QuietHours) End(at time.Time, zone *time.Location) time.Time {
	local := at.In(zone)
	minute := TimeOfDay(local.Hour()*60 + local.Minute())
	day := 0
	switch {
	case q.From == q.To:
		return at
	case q.From < q.To:
		if minute < q.From || minute >= q.To {
			return at
		}
	case minute >= q.From: // spans midnight, before it
		day = 1
	case minute >= q.To:
		return at
	}
	end := time.Date(local.Year(), local.Month(), local.Day()+day, int(q.To)/60, int(q.To)%60, 0, 0, zone)
	if !end.After(at) {
		return at
	}
	return end.UTC()
}
