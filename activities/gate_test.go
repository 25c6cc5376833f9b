package activities

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

func berlin(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	return zone
}

// TestGate has, for each reason, facts that give it and the nearest that pass.
func TestGate(t *testing.T) {
	t.Parallel()
	zone := berlin(t)
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, zone)
	night := rules.QuietHours{From: 21 * 60, To: 9 * 60}
	ago := func(d time.Duration) *time.Time { at := noon.Add(-d); return &at }
	handed := func(category string, times ...*time.Time) (all []store.Handed) {
		for _, at := range times {
			all = append(all, store.Handed{HandedAt: *at, Category: category, Topic: "offers"})
		}
		return all
	}
	granted := map[string]punchcard.Standing{"offers": punchcard.StandingGranted}
	// marketing may pass: everything is as it must be.
	marketing := Facts{
		Now: noon, Zone: zone, Category: "marketing", Topic: "offers", Topics: []string{"offers"}, Standings: granted,
		Reachable: true, Country: "DK", Countries: []string{"DK"}, Quiet: &night,
		Caps: []rules.Cap{{Category: "marketing", AtMost: 2, Within: 24 * time.Hour}, {Category: "marketing", AtMost: 3, Within: 7 * 24 * time.Hour}},
	}
	request := Facts{
		Now: noon, Zone: zone, Category: "utility", Purpose: rules.PurposeConsent, AsksConsent: true, Reachable: true,
		Standings: map[string]punchcard.Standing{"offers": punchcard.StandingRequested}, Topics: []string{"offers"},
	}
	answer := Facts{Now: noon, Zone: zone, Purpose: rules.PurposeService, FreeText: true, Reachable: true, LastInbound: ago(time.Hour)}
	for name, c := range map[string]struct {
		base   Facts
		change func(*Facts)
		want   Verdict
	}{
		"marketing with all it needs": {marketing, func(*Facts) {}, Verdict{Decision: Send}},
		"nobody to send to":           {marketing, func(f *Facts) { f.Reachable = false }, Verdict{Suppress, ReasonUnreachable, time.Time{}}},
		"the template is off":         {marketing, func(f *Facts) { f.Stopped = true }, Verdict{Suppress, ReasonTemplateStopped, time.Time{}}},
		"unknown consent means no":    {marketing, func(f *Facts) { f.Standings = nil }, Verdict{Suppress, ReasonNoConsent, time.Time{}}},
		"requested is not granted": {marketing, func(f *Facts) {
			f.Standings = map[string]punchcard.Standing{"offers": punchcard.StandingRequested}
		}, Verdict{Suppress, ReasonNoConsent, time.Time{}}},
		"another topic's grant": {marketing, func(f *Facts) {
			f.Standings = map[string]punchcard.Standing{"rewards": punchcard.StandingGranted}
		}, Verdict{Suppress, ReasonNoConsent, time.Time{}}},
		"the topic is gone":             {marketing, func(f *Facts) { f.Topics = nil }, Verdict{Suppress, ReasonTopicGone, time.Time{}}},
		"country not named":             {marketing, func(f *Facts) { f.Country = "US" }, Verdict{Suppress, ReasonCountry, time.Time{}}},
		"country unknown":               {marketing, func(f *Facts) { f.Country = "" }, Verdict{Suppress, ReasonCountryUnknown, time.Time{}}},
		"utility goes to any country":   {marketing, func(f *Facts) { f.Category, f.Country = "utility", "" }, Verdict{Decision: Send}},
		"marketing in a service":        {marketing, func(f *Facts) { f.Purpose = rules.PurposeService }, Verdict{Suppress, ReasonMarketingHere, time.Time{}}},
		"marketing in a consent run":    {marketing, func(f *Facts) { f.Purpose = rules.PurposeConsent }, Verdict{Suppress, ReasonMarketingHere, time.Time{}}},
		"at 21:00 it waits for 09:00":   {marketing, func(f *Facts) { f.Now = noon.Add(9 * time.Hour) }, Verdict{Defer, ReasonQuietHours, noon.Add(21 * time.Hour).UTC()}},
		"at 20:59 it goes":              {marketing, func(f *Facts) { f.Now = noon.Add(9*time.Hour - time.Minute) }, Verdict{Decision: Send}},
		"at 08:59 it waits":             {marketing, func(f *Facts) { f.Now = noon.Add(-3*time.Hour - time.Minute) }, Verdict{Defer, ReasonQuietHours, noon.Add(-3 * time.Hour).UTC()}},
		"at 09:00 it goes":              {marketing, func(f *Facts) { f.Now = noon.Add(-3 * time.Hour) }, Verdict{Decision: Send}},
		"utility goes at night":         {marketing, func(f *Facts) { f.Category, f.Now = "utility", noon.Add(10*time.Hour) }, Verdict{Decision: Send}},
		"night is the customer's night": {marketing, func(f *Facts) { f.Zone, f.Now = time.UTC, noon.Add(9*time.Hour) }, Verdict{Decision: Send}},
		"two in a day are enough": {marketing, func(f *Facts) {
			f.Handed = handed("marketing", ago(20*time.Hour), ago(time.Hour))
		}, Verdict{Defer, ReasonCap, noon.Add(4 * time.Hour)}},
		"one is a day old": {marketing, func(f *Facts) {
			f.Handed = handed("marketing", ago(24*time.Hour), ago(time.Hour))
		}, Verdict{Decision: Send}},
		"three in a week are enough": {marketing, func(f *Facts) {
			f.Handed = handed("marketing", ago(72*time.Hour), ago(48*time.Hour), ago(time.Hour))
		}, Verdict{Defer, ReasonCap, noon.Add(96 * time.Hour)}},
		"a cap that ends at night waits for the morning": {marketing, func(f *Facts) {
			f.Handed = handed("marketing", ago(12*time.Hour), ago(time.Hour))
		}, Verdict{Defer, ReasonCap, noon.Add(21 * time.Hour).UTC()}},
		"what is handed of another category": {marketing, func(f *Facts) {
			f.Handed = handed("utility", ago(time.Hour), ago(time.Minute))
		}, Verdict{Decision: Send}},
		"the circuit is open": {marketing, func(f *Facts) { f.Circuit = punchcard.ReasonCircuitOpen }, Verdict{Hold, punchcard.ReasonCircuitOpen, time.Time{}}},
		"the circuit is open, and it may never go": {marketing, func(f *Facts) {
			f.Circuit, f.Standings = punchcard.ReasonCircuitOpen, nil
		}, Verdict{Suppress, ReasonNoConsent, time.Time{}}},
		"no turn is near":          {marketing, func(f *Facts) { f.Limits = []Limit{{ReasonRate, noon.Add(time.Minute)}} }, Verdict{Defer, ReasonRate, noon.Add(time.Minute)}},
		"an answer without a turn": {answer, func(f *Facts) { f.Limits = []Limit{{ReasonRate, noon.Add(time.Second)}} }, Verdict{Defer, ReasonRate, noon.Add(time.Second)}},
		"the pair's rate":          {answer, func(f *Facts) { f.Limits = []Limit{{ReasonPairRate, noon.Add(6 * time.Second)}} }, Verdict{Defer, ReasonPairRate, noon.Add(6 * time.Second)}},
		"the customers of a day":   {marketing, func(f *Facts) { f.Limits = []Limit{{ReasonPortfolioLimit, noon.Add(time.Hour)}} }, Verdict{Defer, ReasonPortfolioLimit, noon.Add(time.Hour)}},
		"WhatsApp's cap":           {marketing, func(f *Facts) { f.Limits = []Limit{{ReasonMarketingCap, noon.Add(24 * time.Hour)}} }, Verdict{Defer, ReasonMarketingCap, noon.Add(24 * time.Hour)}},
		"a limit that has freed":   {marketing, func(f *Facts) { f.Limits = []Limit{{ReasonPairRate, noon}} }, Verdict{Decision: Send}},
		"of several limits the last": {marketing, func(f *Facts) {
			f.Limits = []Limit{{ReasonRate, noon.Add(time.Second)}, {ReasonPortfolioLimit, noon.Add(time.Hour)}, {ReasonPairRate, noon.Add(time.Minute)}}
		}, Verdict{Defer, ReasonPortfolioLimit, noon.Add(time.Hour)}},
		"a limit that frees at night waits for the morning": {marketing, func(f *Facts) {
			f.Limits = []Limit{{ReasonPortfolioLimit, noon.Add(12 * time.Hour)}}
		}, Verdict{Defer, ReasonPortfolioLimit, noon.Add(21 * time.Hour).UTC()}},
		"a request that was asked for": {request, func(*Facts) {}, Verdict{Decision: Send}},
		"two of the topic are enough, whatever they are": {marketing, func(f *Facts) {
			f.Caps = []rules.Cap{{Topic: "offers", AtMost: 2, Within: 24 * time.Hour}}
			f.Handed = append(handed("utility", ago(20*time.Hour)), handed("marketing", ago(time.Hour))...)
		}, Verdict{Defer, ReasonCap, noon.Add(4 * time.Hour)}},
		"two of another topic": {marketing, func(f *Facts) {
			f.Caps = []rules.Cap{{Topic: "rewards", AtMost: 2, Within: 24 * time.Hour}}
			f.Handed = handed("marketing", ago(20*time.Hour), ago(time.Hour))
		}, Verdict{Decision: Send}},
		"two of the topic, one of another category": {marketing, func(f *Facts) {
			f.Caps = []rules.Cap{{Topic: "offers", Category: "marketing", AtMost: 2, Within: 24 * time.Hour}}
			f.Handed = append(handed("utility", ago(20*time.Hour)), handed("marketing", ago(time.Hour))...)
		}, Verdict{Decision: Send}},
		"what answers the customer passes caps": {marketing, func(f *Facts) {
			f.Category, f.Purpose, f.Topic = "utility", rules.PurposeService, ""
			f.Caps = []rules.Cap{{Category: "utility", AtMost: 1, Within: 24 * time.Hour}}
			f.Handed = handed("utility", ago(time.Hour))
		}, Verdict{Decision: Send}},
		"a reminder does not": {marketing, func(f *Facts) {
			f.Category = "utility"
			f.Caps = []rules.Cap{{Category: "utility", AtMost: 1, Within: 24 * time.Hour}}
			f.Handed = handed("utility", ago(time.Hour))
		}, Verdict{Defer, ReasonCap, noon.Add(23 * time.Hour)}},
		"five that could not be delivered": {marketing, func(f *Facts) { f.Undelivered, f.GiveUpAfter = 5, 5 }, Verdict{Suppress, ReasonUndeliverable, time.Time{}}},
		"four of them":                     {marketing, func(f *Facts) { f.Undelivered, f.GiveUpAfter = 4, 5 }, Verdict{Decision: Send}},
		"marketing to a number of the United States": {marketing, func(f *Facts) {
			f.US, f.Country, f.Countries = true, "US", []string{"DK", "US"}
		}, Verdict{Suppress, ReasonUSMarketing, time.Time{}}},
		"and where the customer is said to live elsewhere": {marketing, func(f *Facts) { f.US = true }, Verdict{Suppress, ReasonUSMarketing, time.Time{}}},
		"utility to one":                  {marketing, func(f *Facts) { f.US, f.Category = true, "utility" }, Verdict{Decision: Send}},
		"marketing to a Canadian number":  {marketing, func(f *Facts) { f.Country, f.Countries = "CA", []string{"CA"} }, Verdict{Decision: Send}},
		"the template is paused":          {marketing, func(f *Facts) { f.Held = "template_paused" }, Verdict{Hold, "template_paused", time.Time{}}},
		"paused, and nobody may get it":   {marketing, func(f *Facts) { f.Held, f.Standings = "template_paused", nil }, Verdict{Suppress, ReasonNoConsent, time.Time{}}},
		"a person has the conversation":   {marketing, func(f *Facts) { f.MutedUntil = ago(-2 * time.Hour) }, Verdict{Defer, ReasonHandedOff, noon.Add(time.Hour)}},
		"a person has it a moment longer": {marketing, func(f *Facts) { f.MutedUntil = ago(-time.Minute) }, Verdict{Defer, ReasonHandedOff, noon.Add(time.Minute)}},
		"a person had it":                 {marketing, func(f *Facts) { f.MutedUntil = ago(0) }, Verdict{Decision: Send}},
		"an answer while a person has it": {answer, func(f *Facts) { f.MutedUntil, f.Answers = ago(-time.Hour), true }, Verdict{Decision: Send}},
		"a request that was asked about":  {request, func(f *Facts) { f.Asked = true }, Verdict{Suppress, ReasonAskedAlready, time.Time{}}},
		"what follows one":                {request, func(f *Facts) { f.Asked, f.AsksConsent, f.Standings = true, false, granted }, Verdict{Decision: Send}},
		"a request nobody asked for":      {request, func(f *Facts) { f.Standings = nil }, Verdict{Suppress, ReasonNotRequested, time.Time{}}},
		"a request that was refused": {request, func(f *Facts) {
			f.Standings = map[string]punchcard.Standing{"offers": punchcard.StandingRefused}
		}, Verdict{Suppress, ReasonNotRequested, time.Time{}}},
		"a welcome before the grant": {request, func(f *Facts) { f.AsksConsent = false }, Verdict{Suppress, ReasonNoConsent, time.Time{}}},
		"a welcome after it":         {request, func(f *Facts) { f.AsksConsent, f.Standings = false, granted }, Verdict{Decision: Send}},
		"an answer within a day":     {answer, func(*Facts) {}, Verdict{Decision: Send}},
		"an answer after a day":      {answer, func(f *Facts) { f.LastInbound = ago(24 * time.Hour) }, Verdict{Suppress, ReasonWindowClosed, time.Time{}}},
		"an answer just within it":   {answer, func(f *Facts) { f.LastInbound = ago(24*time.Hour - time.Second) }, Verdict{Decision: Send}},
		"an answer to nobody":        {answer, func(f *Facts) { f.LastInbound = nil }, Verdict{Suppress, ReasonWindowClosed, time.Time{}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := c.base
			c.change(&f)
			got := Gate(f)
			got.Until = got.Until.UTC()
			c.want.Until = c.want.Until.UTC()
			require.Equal(t, c.want, got)
		})
	}
}
