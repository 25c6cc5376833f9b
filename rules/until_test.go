package rules_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punchcard/rules"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

func clock(hours, minutes int) *rules.TimeOfDay {
	c := rules.TimeOfDay(hours*60 + minutes)
	return &c
}

func TestUntilTime_Deadline(t *testing.T) {
	t.Parallel()
	monday := time.Monday
	for _, test := range []struct {
		name, zone, now string
		until           rules.UntilTime
		want            string
	}{
		{"today's is ahead", "Europe/Copenhagen", "2026-11-22T08:59:59Z", rules.UntilTime{At: clock(10, 0)}, "2026-11-22T09:00:00Z"},
		{"at the moment itself, tomorrow's", "Europe/Copenhagen", "2026-11-22T09:00:00Z", rules.UntilTime{At: clock(10, 0)}, "2026-11-23T09:00:00Z"},
		{"the customer's day is not ours", "Pacific/Auckland", "2026-11-22T20:00:00Z", rules.UntilTime{At: clock(10, 0)}, "2026-11-22T21:00:00Z"},
		{"a weekday", "Europe/Copenhagen", "2026-11-22T12:00:00Z", rules.UntilTime{At: clock(10, 0), Weekday: &monday}, "2026-11-23T09:00:00Z"},
		{"today is the weekday, and the time is over", "Europe/Copenhagen", "2026-11-23T12:00:00Z", rules.UntilTime{At: clock(10, 0), Weekday: &monday}, "2026-11-30T09:00:00Z"},
		{"into summer time", "Europe/Copenhagen", "2026-03-28T12:00:00Z", rules.UntilTime{At: clock(10, 0)}, "2026-03-29T08:00:00Z"},
		{"out of summer time", "Europe/Copenhagen", "2026-10-24T12:00:00Z", rules.UntilTime{At: clock(10, 0)}, "2026-10-25T09:00:00Z"},
		{"a time that summer time leaves out", "Europe/Copenhagen", "2026-03-28T12:00:00Z", rules.UntilTime{At: clock(2, 30)}, "2026-03-29T01:00:00Z"},
		{"a time that comes twice", "Europe/Copenhagen", "2026-10-24T12:00:00Z", rules.UntilTime{At: clock(2, 30)}, "2026-10-25T00:30:00Z"},
		{"the second of two is tomorrow's", "Europe/Copenhagen", "2026-10-25T00:45:00Z", rules.UntilTime{At: clock(2, 30)}, "2026-10-26T01:30:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			now, err := time.Parse(time.RFC3339, test.now)
			require.NoError(t, err)
			got, err := test.until.Deadline(now, zone(t, test.zone), nil)
			require.NoError(t, err)
			require.Equal(t, test.want, got.UTC().Format(time.RFC3339))
		})
	}
}

// untilOf compiles one wait_until over a program with a few attributes.
func untilOf(t testing.TB, value string) (*rules.Program, *rules.UntilTime) {
	t.Helper()
	p, found := rules.LoadFiles(map[string]string{
		"program.yaml":    minimal + "topics: {offers: Offers}\nattributes: {renews_on: date, seen_at: time}\nevents: {order.placed: {}}\n",
		"journeys/j.yaml": "journey: j\ntopic: offers\nenter: [{on: order.placed}]\nsteps:\n  - wait_until: " + value + "\n",
	})
	require.Empty(t, found.Errors(), "%v", found)
	return p, p.Journeys["j"].Steps["1"].UntilTime
}

func TestUntilTime_Deadline_date(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	copenhagen := zone(t, "Europe/Copenhagen")
	for value, want := range map[string]string{
		`"{{ customer.renews_on }}"`:                                "2026-12-01T00:00:00+01:00",
		`"{{ customer.renews_on - days(3) }}"`:                      "2026-11-28T00:00:00+01:00",
		"\"{{ customer.renews_on - days(3) }}\"\n    at: \"10:00\"": "2026-11-28T10:00:00+01:00",
		"\"{{ customer.renews_on - days(30) }}\"":                   "2026-11-01T00:00:00+01:00", // past: it goes on at once
		`"{{ customer.seen_at }}"`:                                  "2026-12-02T00:30:00+01:00",
		"\"{{ customer.seen_at }}\"\n    at: \"10:00\"":             "2026-12-02T10:00:00+01:00",
		`"{{ now + days(1) }}"`:                                     "2026-11-23T13:00:00+01:00",
	} {
		p, u := untilOf(t, value)
		env := &rules.Env{Program: p, Now: now, Zone: copenhagen, Customer: rules.CustomerFacts{
			Attributes: p.Attributes.Decode(map[string]any{"renews_on": "2026-12-01", "seen_at": "2026-12-01T23:30:00Z"}),
		}}
		got, err := u.Deadline(now, copenhagen, env)
		require.NoError(t, err, value)
		require.Equal(t, want, got.In(copenhagen).Format(time.RFC3339), value)
	}
	p, u := untilOf(t, `"{{ customer.renews_on }}"`)
	_, err := u.Deadline(now, copenhagen, &rules.Env{Program: p, Now: now})
	var failed *rules.EvalError
	require.ErrorAs(t, err, &failed)
}

// TestUntilTime_Deadline_wallClock compares with a search through every minute.
func TestUntilTime_Deadline_wallClock(t *testing.T) {
	t.Parallel()
	zones := []string{
		"Europe/Copenhagen", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia", "America/Havana", "UTC", "Asia/Kathmandu",
		"Africa/Cairo",
	}
	changes := []time.Time{
		time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 4, 4, 12, 0, 0, 0, time.UTC), time.Date(2026, 10, 3, 12, 0, 0, 0, time.UTC), time.Date(2011, 12, 30, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 2, 15, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 22, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 24, 0, 0, 0, 0, time.UTC),
	}
	rapid.Check(t, func(rt *rapid.T) {
		z := zone(t, rapid.SampledFrom(zones).Draw(rt, "zone"))
		now := rapid.SampledFrom(changes).Draw(rt, "change").Add(time.Duration(rapid.IntRange(-2*24*60, 2*24*60).Draw(rt, "minutes")) * time.Minute)
		at := rules.TimeOfDay(rapid.IntRange(0, 24*60-1).Draw(rt, "at"))
		got, err := (&rules.UntilTime{At: &at}).Deadline(now, z, nil)
		require.NoError(rt, err)
		require.True(rt, got.After(now))
		require.Less(rt, got.Sub(now), 49*time.Hour+time.Minute)
		local := got.In(z)
		if rules.TimeOfDay(local.Hour()*60+local.Minute()) == at {
			// No earlier moment of that day shows the same.
			for m := time.Minute; m <= 3*time.Hour; m += time.Minute {
				e := got.Add(-m).In(z)
				require.False(rt, e.Day() == local.Day() && e.Hour() == local.Hour() && e.Minute() == local.Minute(), "%s", e)
			}
			return
		}
		before := got.Add(-time.Second).In(z)
		wall := func(t time.Time) string { return t.Format("2006-01-02 15:04:05") }
		if local.YearDay()-before.YearDay() > 1 {
			return // the zone moved across the date line: the whole day that was asked for is skipped
		}
		skipped := fmt.Sprintf("%s %s:00", wall(before)[:10], at)
		if skipped < wall(before) { // the clocks jumped over midnight
			skipped = fmt.Sprintf("%s %s:00", wall(local)[:10], at)
		}
		if local.Sub(before) == time.Second && wall(before) < skipped {
			require.Less(rt, skipped, wall(local), "%s is shown, after %s", at, wall(before))
		}
	})
}

func TestEnter_Slot(t *testing.T) {
	t.Parallel()
	copenhagen := zone(t, "Europe/Copenhagen")
	at := *clock(10, 0)
	for _, test := range []struct {
		enter     rules.Enter
		now, slot string
	}{
		{rules.Enter{Every: "day", At: at}, "2026-11-22T08:59:00Z", "2026-11-21"},
		{rules.Enter{Every: "day", At: at}, "2026-11-22T09:00:00Z", "2026-11-22"},
		{rules.Enter{Every: "week", At: at, Weekday: time.Monday}, "2026-11-22T12:00:00Z", "2026-11-16"},
		{rules.Enter{Every: "week", At: at, Weekday: time.Sunday}, "2026-11-22T08:00:00Z", "2026-11-15"},
		{rules.Enter{Every: "month", At: at, Day: 31}, "2026-11-30T10:00:00Z", "2026-11-30"},
		{rules.Enter{Every: "month", At: at, Day: 31}, "2026-11-29T10:00:00Z", "2026-10-31"},
		{rules.Enter{Every: "month", At: at, Day: 1}, "2026-01-01T08:00:00Z", "2025-12-01"},
		{rules.Enter{Every: "year", At: at, Month: time.February, Day: 29}, "2026-02-28T10:00:00Z", "2026-02-28"},
		{rules.Enter{Every: "year", At: at, Month: time.February, Day: 29}, "2026-02-27T10:00:00Z", "2025-02-28"},
		{rules.Enter{Every: "day", At: *clock(2, 30)}, "2026-03-29T01:00:00Z", "2026-03-29"},
		{rules.Enter{Every: "day", At: *clock(2, 30)}, "2026-03-29T00:59:00Z", "2026-03-28"},
	} {
		now, err := time.Parse(time.RFC3339, test.now)
		require.NoError(t, err)
		slot, when := test.enter.Slot(now, copenhagen)
		require.Equal(t, test.slot, slot, "%+v at %s", test.enter, test.now)
		require.False(t, when.After(now))
	}
}

// TestEnter_Slot_moves goes through three years by the hour: each slot is newer than the last, and none is missed.
func TestEnter_Slot_moves(t *testing.T) {
	t.Parallel()
	for every, most := range map[string]time.Duration{"day": 25 * time.Hour, "week": 169 * time.Hour, "month": 31*24*time.Hour + time.Hour, "year": 367 * 24 * time.Hour} {
		e := rules.Enter{Every: every, At: *clock(2, 30), Weekday: time.Sunday, Month: time.March, Day: 29}
		z := zone(t, "Europe/Copenhagen")
		lastSlot, last := "", time.Time{}
		for now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); now.Year() < 2029; now = now.Add(time.Hour) {
			slot, at := e.Slot(now, z)
			require.False(t, at.After(now))
			require.LessOrEqual(t, now.Sub(at), most)
			require.GreaterOrEqual(t, slot, lastSlot)
			require.Equal(t, slot == lastSlot, at.Equal(last))
			lastSlot, last = slot, at
		}
	}
}
