package punchcard_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// entry is a line of the log that happened so many minutes after noon.
func entry(minute int, s punchcard.Standing, change ...func(*punchcard.ConsentEntry)) punchcard.ConsentEntry {
	e := punchcard.ConsentEntry{Topic: "offers", Standing: s, OccurredAt: noon.Add(time.Duration(minute) * time.Minute), Channel: punchcard.ChannelAPI}
	for _, c := range change {
		c(&e)
	}
	return e
}

func own(e *punchcard.ConsentEntry)   { e.Channel = punchcard.ChannelWhatsApp }
func reply(e *punchcard.ConsentEntry) { own(e); e.MessageID, e.ReplyID = "msg", "wamid" }

func TestDeriveConsent(t *testing.T) {
	t.Parallel()
	const (
		requested, granted = punchcard.StandingRequested, punchcard.StandingGranted
		refused, revoked   = punchcard.StandingRefused, punchcard.StandingRevoked
		expired            = punchcard.StandingExpired
	)
	for name, c := range map[string]struct {
		log  []punchcard.ConsentEntry
		want punchcard.Standing
	}{
		"nothing is none":            {nil, punchcard.StandingNone},
		"asked":                      {[]punchcard.ConsentEntry{entry(1, requested)}, requested},
		"asked and answered":         {[]punchcard.ConsentEntry{entry(1, requested), entry(2, granted, reply)}, granted},
		"a stop ends it":             {[]punchcard.ConsentEntry{entry(1, requested), entry(2, granted, reply), entry(3, revoked)}, revoked},
		"a yes from before the stop": {[]punchcard.ConsentEntry{entry(1, requested), entry(3, revoked), entry(2, granted, reply)}, revoked},
		"a yes after the stop to an old question":  {[]punchcard.ConsentEntry{entry(1, requested), entry(2, revoked), entry(3, granted, reply)}, revoked},
		"asked by a backend after the stop":        {[]punchcard.ConsentEntry{entry(2, revoked), entry(3, requested), entry(4, granted, reply)}, revoked},
		"begun again by the customer":              {[]punchcard.ConsentEntry{entry(2, revoked), entry(3, requested, own), entry(4, granted, reply)}, granted},
		"a JOIN after the stop is a request":       {[]punchcard.ConsentEntry{entry(2, revoked), entry(3, requested, own)}, requested},
		"an import from before the stop":           {[]punchcard.ConsentEntry{entry(3, revoked), entry(1, granted)}, revoked},
		"an import of the same moment as the stop": {[]punchcard.ConsentEntry{entry(3, revoked), entry(3, granted)}, revoked},
		"an import from after the stop":            {[]punchcard.ConsentEntry{entry(3, revoked), entry(4, granted)}, granted},
		"a no after the stop stays a stop":         {[]punchcard.ConsentEntry{entry(3, revoked), entry(4, refused, reply)}, revoked},
		"a no, then a yes":                         {[]punchcard.ConsentEntry{entry(1, requested), entry(2, refused, reply), entry(3, granted, reply)}, granted},
		"asked again while granted":                {[]punchcard.ConsentEntry{entry(1, granted), entry(2, requested)}, granted},
		"it expires":                               {[]punchcard.ConsentEntry{entry(1, granted), entry(2, expired)}, expired},
		"a stop does not expire":                   {[]punchcard.ConsentEntry{entry(1, revoked), entry(2, expired)}, revoked},
		"asked after it expired":                   {[]punchcard.ConsentEntry{entry(1, granted), entry(2, expired), entry(3, requested)}, requested},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 20 {
				log := numbered(c.log)
				require.Equal(t, c.want, punchcard.DeriveConsent(log).Standing)
				// When no two things happened at once, the order in which they were recorded is all the same.
				if name != "an import of the same moment as the stop" {
					rand.Shuffle(len(c.log), func(i, j int) { c.log[i], c.log[j] = c.log[j], c.log[i] })
				}
			}
		})
	}
}

func numbered(log []punchcard.ConsentEntry) []punchcard.ConsentEntry {
	log = append([]punchcard.ConsentEntry(nil), log...)
	for i := range log {
		log[i].ID = int64(i + 1)
	}
	return log
}

// Whatever happened, in whatever order it came: the standing is the same, and it is never granted when a stop is the last that the
// customer did.
func TestDeriveConsentInAnyOrder(t *testing.T) {
	t.Parallel()
	kinds := []punchcard.Standing{
		punchcard.StandingRequested, punchcard.StandingGranted, punchcard.StandingRefused, punchcard.StandingRevoked, punchcard.StandingExpired,
	}
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		var log []punchcard.ConsentEntry
		for i := range 1 + r.IntN(9) {
			e := entry(i, kinds[r.IntN(len(kinds))])
			if r.IntN(2) == 0 {
				reply(&e)
			} else if r.IntN(2) == 0 {
				own(&e)
			}
			log = append(log, e)
		}
		want := punchcard.DeriveConsent(numbered(log))
		if last := log[len(log)-1]; last.Standing == punchcard.StandingRevoked {
			require.Equal(t, punchcard.StandingRevoked, want.Standing, "seed %d", seed)
		}
		for range 5 {
			r.Shuffle(len(log), func(i, j int) { log[i], log[j] = log[j], log[i] })
			got := punchcard.DeriveConsent(numbered(log))
			require.Equal(t, want.Standing, got.Standing, "seed %d", seed)
			require.Equal(t, want.OccurredAt, got.OccurredAt, "seed %d", seed)
		}
	}
}
