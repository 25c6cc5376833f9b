package rules

import (
	"time"
)

// UntilTime is a moment that a wait_until waits for. Either Date is set, or At.
type UntilTime struct {
	At      *TimeOfDay    // of the day, in the customer's zone; with Date: nil is the start of the day
	Weekday *time.Weekday // nil: any day
	Date    *Expr         // a date or a time
	// DateOnly tells that Date is a day, which has no time of its own: At says it.
	DateOnly bool
}

// Deadline is when the wait is over: a moment that is not after now when it is over at once. It counts by the zone's wall
// clock: a time of day that the change to summer time leaves out is the first that exists after it, and of two that the
// change back makes, the first. The error is the *EvalError of a Date that fails or is absent.
func (u *UntilTime) Deadline(now time.Time, zone *time.Location, env *Env) (time.Time, error) {
	local := now.In(zone)
	at := TimeOfDay(0)
	if u.At != nil {
		at = *u.At
	}
	if u.Date != nil {
		v, err := u.Date.Value(env)
		if err != nil {
			return time.Time{}, err
		}
		day, ok := v.(time.Time)
		switch {
		case !ok:
			return time.Time{}, u.Date.fails("the result is not a date or a time", v)
		case u.DateOnly:
			return wallClock(day.Year(), day.Month(), day.Day(), at, zone), nil
		case u.At != nil:
			day = day.In(zone)
			return wallClock(day.Year(), day.Month(), day.Day(), at, zone), nil
		default:
			return day.UTC(), nil
		}
	}
	for ahead := 0; ; ahead++ {
		day := time.Date(local.Year(), local.Month(), local.Day()+ahead, 12, 0, 0, 0, time.UTC)
		if u.Weekday != nil && day.Weekday() != *u.Weekday {
			continue
		}
		deadline := wallClock(day.Year(), day.Month(), day.Day(), at, zone)
		if deadline.After(now) || ahead > 14 {
			return deadline, nil
		}
	}
}

// wallClock is the moment at which a zone's clocks show a time on a day; the first moment after it where they skip it, the
// earlier one where they show it twice.
func wallClock(year int, month time.Month, day int, at TimeOfDay, zone *time.Location) time.Time {
	t := time.Date(year, month, day, int(at)/60, int(at)%60, 0, 0, zone)
	if clock := TimeOfDay(t.Hour()*60 + t.Minute()); clock != at || t.Day() != time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Day() {
		// The clocks skip it. Whichever offset time.Date has used, the change lies within a few hours: it is the first moment
		// whose wall clock is past the one that was asked for.
		return afterGap(year, month, day, at, zone)
	}
	// time.Date does not say which of two it gives: see whether the clocks showed the same a little before.
	for _, shift := range []time.Duration{time.Hour, 30 * time.Minute, 2 * time.Hour} {
		if e := t.Add(-shift); e.Hour() == t.Hour() && e.Minute() == t.Minute() && e.Day() == t.Day() {
			return e.UTC()
		}
	}
	return t.UTC()
}

// afterGap is the moment at which a zone's clocks jump over a time that they do not show.
func afterGap(year int, month time.Month, day int, at TimeOfDay, zone *time.Location) time.Time {
	want := time.Date(year, month, day, int(at)/60, int(at)%60, 0, 0, time.UTC)
	shown := func(t time.Time) time.Time {
		t = t.In(zone)
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	}
	low, high := want.Add(-26*time.Hour), want.Add(26*time.Hour) // every zone is within 14 hours of UTC
	for high.Sub(low) > time.Second {
		middle := low.Add(high.Sub(low) / 2).Truncate(time.Second)
		if shown(middle).Before(want) {
			low = middle
		} else {
			high = middle
		}
	}
	return high.UTC()
}
