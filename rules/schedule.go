package rules

import "time"

// Slot is the newest moment at or before now at which the schedule came round in a zone, and the day of it, by which it is
// told from every other: 2006-01-02. Enter is one with Every.
func (e Enter) Slot(now time.Time, zone *time.Location) (slot string, at time.Time) {
	local := now.In(zone)
	year, month, day := local.Date()
	for back := 0; ; back++ {
		var y, d int
		var m time.Month
		switch e.Every {
		case "week":
			ago := (int(local.Weekday())-int(e.Weekday)+7)%7 + 7*back
			y, m, d = time.Date(year, month, day-ago, 12, 0, 0, 0, time.UTC).Date()
		case "month":
			first := time.Date(year, month-time.Month(back), 1, 12, 0, 0, 0, time.UTC)
			y, m, d = first.Year(), first.Month(), min(e.Day, lastDay(first.Year(), first.Month()))
		case "year":
			y, m, d = year-back, e.Month, min(e.Day, lastDay(year-back, e.Month))
		default:
			y, m, d = time.Date(year, month, day-back, 12, 0, 0, 0, time.UTC).Date()
		}
		if at := wallClock(y, m, d, e.At, zone); !at.After(now) || back > 3 {
			return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Format(time.DateOnly), at
		}
	}
}

func lastDay(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 12, 0, 0, 0, time.UTC).Day()
}
