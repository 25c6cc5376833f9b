package rules_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/rules"
)

// TestQuietHoursThroughTheYear has, for four zones, the nights in which the clocks are set, forward and back, with quiet hours that end
// or begin in the hour which is left out or comes twice. Each zone sets its clock at another time: in Cairo at midnight.
func TestQuietHoursThroughTheYear(t *testing.T) {
	t.Parallel()
	const clock = "2006-01-02 15:04 -0700"
	for _, test := range []struct{ name, zone, from, to, at, end string }{
		{"Copenhagen in March: an hour less", "Europe/Copenhagen", "21:00", "09:00", "2026-03-28 22:00 +0100", "2026-03-29 09:00 +0200"},
		{"Copenhagen in March: they end in the hour left out", "Europe/Copenhagen", "21:00", "02:30", "2026-03-29 01:00 +0100", "2026-03-29 03:00 +0200"},
		{"Copenhagen in March: they begin in the hour left out", "Europe/Copenhagen", "02:30", "09:00", "2026-03-29 03:00 +0200", "2026-03-29 09:00 +0200"},
		{"Copenhagen in March: they lie in the hour left out", "Europe/Copenhagen", "02:10", "02:50", "2026-03-29 01:59 +0100", ""},
		{"Copenhagen in October: an hour more", "Europe/Copenhagen", "21:00", "09:00", "2026-10-24 22:00 +0200", "2026-10-25 09:00 +0100"},
		{"Copenhagen in October: they end in the hour that comes twice", "Europe/Copenhagen", "21:00", "02:30", "2026-10-25 01:00 +0200", "2026-10-25 02:30 +0200"},
		{"Copenhagen in October: they hold once more", "Europe/Copenhagen", "21:00", "02:30", "2026-10-25 02:10 +0100", "2026-10-25 02:30 +0100"},
		{"Copenhagen in October: they begin in the hour that comes twice", "Europe/Copenhagen", "02:30", "09:00", "2026-10-25 02:45 +0200", "2026-10-25 02:00 +0100"},
		{"Copenhagen in October: and again", "Europe/Copenhagen", "02:30", "09:00", "2026-10-25 02:45 +0100", "2026-10-25 09:00 +0100"},
		{"New York in March", "America/New_York", "21:00", "08:00", "2026-03-07 23:30 -0500", "2026-03-08 08:00 -0400"},
		{"New York in March: they end in the hour left out", "America/New_York", "21:00", "02:15", "2026-03-08 00:00 -0500", "2026-03-08 03:00 -0400"},
		{"New York in November", "America/New_York", "21:00", "08:00", "2026-10-31 23:30 -0400", "2026-11-01 08:00 -0500"},
		{"New York in November: they end in the hour that comes twice", "America/New_York", "21:00", "01:15", "2026-11-01 00:30 -0400", "2026-11-01 01:15 -0400"},
		{"Sydney in October: forward", "Australia/Sydney", "20:30", "07:30", "2026-10-03 21:00 +1000", "2026-10-04 07:30 +1100"},
		{"Sydney in October: they begin in the hour left out", "Australia/Sydney", "02:00", "03:30", "2026-10-04 03:00 +1100", "2026-10-04 03:30 +1100"},
		{"Sydney in April: back", "Australia/Sydney", "20:30", "07:30", "2026-04-04 21:00 +1100", "2026-04-05 07:30 +1000"},
		{"Sydney in April: they end in the hour that comes twice", "Australia/Sydney", "20:30", "02:20", "2026-04-05 02:30 +1100", ""},
		{"Sydney in April: they hold once more", "Australia/Sydney", "20:30", "02:20", "2026-04-05 02:10 +1000", "2026-04-05 02:20 +1000"},
		{"Cairo in April: midnight is left out, as they begin", "Africa/Cairo", "00:00", "08:00", "2026-04-24 01:00 +0300", "2026-04-24 08:00 +0300"},
		{"Cairo in April: they end at the midnight left out", "Africa/Cairo", "20:00", "00:00", "2026-04-23 23:30 +0200", "2026-04-24 01:00 +0300"},
		{"Cairo in October: eleven comes twice", "Africa/Cairo", "20:00", "23:30", "2026-10-29 23:10 +0300", "2026-10-29 23:30 +0300"},
		{"Cairo in October: and again", "Africa/Cairo", "20:00", "23:30", "2026-10-29 23:10 +0200", "2026-10-29 23:30 +0200"},
		{"by day", "Europe/Copenhagen", "21:00", "09:00", "2026-03-29 09:00 +0200", ""},
		{"the last minute", "Europe/Copenhagen", "21:00", "09:00", "2026-03-29 08:59 +0200", "2026-03-29 09:00 +0200"},
		{"none", "Europe/Copenhagen", "09:00", "09:00", "2026-03-29 09:00 +0200", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(test.zone)
			require.NoError(t, err)
			at, err := time.Parse(clock, test.at)
			require.NoError(t, err)
			require.Equal(t, test.at, at.In(zone).Format(clock), "the test's own time")
			want := at
			if test.end != "" {
				want, err = time.Parse(clock, test.end)
				require.NoError(t, err)
			}
			end := rules.QuietHours{From: minutes(t, test.from), To: minutes(t, test.to)}.End(at, zone)
			require.Equal(t, want.In(zone).Format(clock), end.In(zone).Format(clock))
		})
	}
}

// Whatever the hours, the end is a moment that is not quiet, and the minute before it is quiet or before the question.
func TestQuietHoursEndWhereTheySay(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Copenhagen", "America/New_York", "Australia/Sydney", "Africa/Cairo"} {
		zone, err := time.LoadLocation(name)
		require.NoError(t, err)
		for from := 0; from < 24*60; from += 95 {
			for to := 0; to < 24*60; to += 110 {
				q := rules.QuietHours{From: rules.TimeOfDay(from), To: rules.TimeOfDay(to)}
				for _, day := range []string{"2026-03-08", "2026-03-29", "2026-04-05", "2026-04-24", "2026-10-04", "2026-10-25", "2026-10-29", "2026-11-01"} {
					start, err := time.ParseInLocation(time.DateOnly, day, zone)
					require.NoError(t, err)
					for at := start; at.Sub(start) < 26*time.Hour; at = at.Add(37 * time.Minute) {
						end := q.End(at, zone)
						require.Equal(t, end, q.End(end, zone), "%s %v %s", name, q, at)
						if end.After(at) {
							require.True(t, q.End(end.Add(-time.Second), zone).After(end.Add(-time.Second)), "%s %v %s", name, q, at)
						}
						require.LessOrEqual(t, end.Sub(at), 25*time.Hour)
					}
				}
			}
		}
	}
}

func minutes(t *testing.T, clock string) rules.TimeOfDay {
	t.Helper()
	at, err := time.Parse("15:04", clock)
	require.NoError(t, err)
	return rules.TimeOfDay(at.Hour()*60 + at.Minute())
}

// Opening hours are the program's, and one that spans midnight belongs to the day on which it begins.
func TestOpen(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Copenhagen")
	require.NoError(t, err)
	weekday := []time.Weekday{time.Monday, time.Friday}
	p := &rules.Program{Zone: zone, Opening: []rules.Opening{
		{Weekdays: weekday, From: 9 * 60, To: 17 * 60}, {Weekdays: []time.Weekday{time.Friday}, From: 20 * 60, To: 2 * 60},
	}}
	for at, want := range map[string]bool{
		"2026-11-23 08:59": false, "2026-11-23 09:00": true, "2026-11-23 16:59": true, "2026-11-23 17:00": false, // Monday
		"2026-11-24 12:00": false, "2026-11-27 12:00": true, "2026-11-27 23:00": true, "2026-11-28 01:59": true, "2026-11-28 02:00": false,
		"2026-11-28 21:00": false,
	} {
		moment, err := time.ParseInLocation("2006-01-02 15:04", at, zone)
		require.NoError(t, err)
		require.Equal(t, want, p.Open(moment.UTC()), at)
	}
	require.True(t, (&rules.Program{Zone: zone}).Open(time.Now()), "without hours somebody always is")
}
