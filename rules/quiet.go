package rules

import "time"

// holds tells whether it is quiet at a minute of the day.
func (q QuietHours) holds(minute TimeOfDay) bool {
	if q.From <= q.To {
		return minute >= q.From && minute < q.To
	}
	return minute >= q.From || minute < q.To
}

// End is when quiet hours that hold at a moment are over, in the customer's zone: the first moment at which the clock on their wall
// shows no quiet time. It is the moment itself when none hold. Where the clock is set over the end, they end as it is set; where
// it is set back into them, they hold once more.
func (q QuietHours) End(at time.Time, zone *time.Location) time.Time {
	now := at.In(zone)
	// A clock is set at most once on the way, so that a few turns are enough; a zone in which they are not has no end to wait for.
	for range 4 {
		if minute := TimeOfDay(now.Hour()*60 + now.Minute()); !q.holds(minute) {
			break
		}
		left := time.Duration((int(q.To)-now.Hour()*60-now.Minute()+24*60)%(24*60))*time.Minute -
			time.Duration(now.Second())*time.Second - time.Duration(now.Nanosecond())
		end := now.Add(left)
		if _, set := now.ZoneBounds(); !set.IsZero() && set.After(now) && end.After(set) {
			end = set.In(zone)
		}
		now = end
	}
	if now.Equal(at) {
		return at
	}
	return now.UTC()
}
