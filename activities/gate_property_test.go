package activities

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// anyFacts are facts of any kind, most of them such that one thing or two stands in the way.
func anyFacts(r *rand.Rand, zone *time.Location) Facts {
	now := time.Date(2026, 11, 23, r.IntN(24), r.IntN(60), 0, 0, zone)
	at := func() *time.Time {
		t := now.Add(time.Duration(r.IntN(72)-48) * time.Hour)
		return &t
	}
	topic := pick(r, "offers", "offers", "rewards", "")
	f := Facts{
		Now: now, Zone: zone, FreeText: r.IntN(4) == 0, AsksConsent: r.IntN(4) == 0, Asked: r.IntN(4) == 0, Stopped: r.IntN(12) == 0,
		Held: pick(r, "", "", "", "template_paused"), Topic: topic, Topics: pick(r, []string{"offers", "rewards"}, []string{"offers"}),
		Standings: map[string]punchcard.Standing{}, Answers: r.IntN(4) == 0, Reachable: r.IntN(12) > 0, Undelivered: r.IntN(7), GiveUpAfter: 5,
		Country: pick(r, "DK", "DK", "DK", "US", ""), US: r.IntN(8) == 0, Countries: []string{"DK", "US"}, Circuit: pick(r, "", "", "", "circuit_open"),
		Purpose: pick(r, rules.PurposeService, rules.PurposeConsent),
		Caps:    []rules.Cap{{Category: "marketing", AtMost: 2, Within: 24 * time.Hour}, {Topic: "offers", AtMost: 3, Within: 48 * time.Hour}, {Category: "utility", AtMost: 2, Within: 24 * time.Hour}},
	}
	if topic != "" {
		f.Purpose = rules.PurposeTopic
	}
	if !f.FreeText {
		f.Category = pick(r, "marketing", "marketing", "utility")
	}
	for _, t := range []string{"offers", "rewards"} {
		f.Standings[t] = pick(r, punchcard.StandingGranted, punchcard.StandingGranted, punchcard.StandingRequested, punchcard.StandingRefused,
			punchcard.StandingRevoked, punchcard.StandingExpired, punchcard.StandingNone)
	}
	if r.IntN(3) > 0 {
		f.LastInbound = at()
	}
	if r.IntN(4) == 0 {
		f.MutedUntil = at()
	}
	if r.IntN(4) > 0 {
		f.Quiet = &rules.QuietHours{From: rules.TimeOfDay(r.IntN(24 * 60)), To: rules.TimeOfDay(r.IntN(24 * 60))}
	}
	for range r.IntN(5) {
		f.Handed = append(f.Handed, store.Handed{HandedAt: now.Add(-time.Duration(r.IntN(72)) * time.Hour), Category: pick(r, "marketing", "utility"), Topic: pick(r, "offers", "rewards", "")})
	}
	slices.SortFunc(f.Handed, func(a, b store.Handed) int { return a.HandedAt.Compare(b.HandedAt) })
	return f
}

// Whatever a program says and whatever has happened: marketing goes to nobody who has not granted its topic, never in quiet hours, never
// beyond a cap, never to the United States, and only in a journey with a topic. What answers a customer waits for none of these.
func TestGateProperties(t *testing.T) {
	t.Parallel()
	zone := berlin(t)
	r := rand.New(rand.NewPCG(5, 8))
	sent := map[string]int{}
	for range 200_000 {
		f := anyFacts(r, zone)
		v := Gate(f)
		if v.Decision == Send {
			require.Empty(t, v.Reason)
			require.True(t, f.Reachable && !f.Stopped && f.Held == "" && f.Circuit == "" && f.Undelivered < f.GiveUpAfter)
		} else {
			require.NotEmpty(t, v.Reason)
		}
		require.Equal(t, v.Decision == Defer, v.Until.After(f.Now), "%v", v)
		if f.Purpose == rules.PurposeService && f.Category != categoryMarketing {
			require.NotContains(t, []string{ReasonQuietHours, ReasonCap, ReasonNoConsent, ReasonCountry, ReasonUSMarketing}, v.Reason)
		}
		if f.Category != categoryMarketing || v.Decision != Send {
			if v.Decision == Send {
				sent[f.Category]++
			}
			continue
		}
		sent[f.Category]++
		require.Equal(t, punchcard.StandingGranted, f.Standings[f.Topic])
		require.Contains(t, f.Topics, f.Topic)
		require.Equal(t, rules.PurposeTopic, f.Purpose)
		require.False(t, f.US)
		require.Contains(t, f.Countries, f.Country)
		if f.Quiet != nil {
			require.Equal(t, f.Now, f.Quiet.End(f.Now, zone), "it is quiet")
		}
		for _, c := range f.Caps {
			n := 0
			for _, h := range f.Handed {
				if c.Counts(h.Category, h.Topic) && f.Now.Sub(h.HandedAt) < c.Within {
					n++
				}
			}
			if c.Counts(f.Category, f.Topic) {
				require.Less(t, n, c.AtMost)
			}
		}
	}
	require.Greater(t, sent["marketing"], 1000)
	require.Greater(t, sent["utility"], 1000)
	require.Greater(t, sent[""], 1000)
}

// TestPatience has what becomes of a message that may not go now.
func TestPatience(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	night := Verdict{Defer, ReasonQuietHours, now.Add(9 * time.Hour)}
	suppressed := func(reason string) Verdict { return Verdict{Suppress, reason, time.Time{}} }
	for name, c := range map[string]struct {
		p       Patience
		v, want Verdict
	}{
		"it waits":                           {Patience{NotNow: rules.NotNowWait, Deadline: now.Add(10 * time.Hour)}, night, night},
		"just until the deadline":            {Patience{Deadline: now.Add(9 * time.Hour)}, night, night},
		"its next chance is too late":        {Patience{Deadline: now.Add(9*time.Hour - time.Second)}, night, suppressed(ReasonDeadline)},
		"without a deadline":                 {Patience{}, night, night},
		"skip":                               {Patience{NotNow: rules.NotNowSkip}, night, suppressed(ReasonQuietHours)},
		"end":                                {Patience{NotNow: rules.NotNowEnd}, night, Verdict{End, ReasonQuietHours, time.Time{}}},
		"skip what may go":                   {Patience{NotNow: rules.NotNowSkip}, Verdict{Decision: Send}, Verdict{Decision: Send}},
		"the pace of the number skips none":  {Patience{NotNow: rules.NotNowSkip}, Verdict{Defer, ReasonRate, now.Add(time.Second)}, Verdict{Defer, ReasonRate, now.Add(time.Second)}},
		"held, and time left":                {Patience{Deadline: now}, Verdict{Hold, "circuit_open", time.Time{}}, Verdict{Hold, "circuit_open", time.Time{}}},
		"held for too long":                  {Patience{Deadline: now.Add(-1)}, Verdict{Hold, "circuit_open", time.Time{}}, suppressed(ReasonDeadline)},
		"it may go, and is out of date":      {Patience{Deadline: now.Add(-1)}, Verdict{Decision: Send}, suppressed(ReasonDeadline)},
		"what may never go keeps its reason": {Patience{NotNow: rules.NotNowEnd, Deadline: now.Add(-1)}, suppressed(ReasonNoConsent), suppressed(ReasonNoConsent)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, c.p.Of(c.v, now))
		})
	}
}
