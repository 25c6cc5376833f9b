package simulator

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

// What a message costs, by its category, the day, and the windows of the person.
func TestPricing(t *testing.T) {
	t.Parallel()
	before, after := time.Date(2026, 9, 30, 23, 59, 59, 0, time.UTC), time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	wrote := func(ago time.Duration) func(*person, time.Time) {
		return func(p *person, now time.Time) { p.wrote = now.Add(-ago) }
	}
	entered := func(ago time.Duration) func(*person, time.Time) {
		return func(p *person, now time.Time) { p.entered = now.Add(-ago) }
	}
	for name, c := range map[string]struct {
		category string
		lite     bool
		now      time.Time
		person   func(*person, time.Time)
		want     price
	}{
		"service, the day before":      {"service", false, before, wrote(time.Hour), price{"service", "free_customer_service", false, 0}},
		"service, since":               {"service", false, after, wrote(time.Hour), price{"service", "regular", true, 3}},
		"utility in it, before":        {"utility", false, before, wrote(time.Hour), price{"utility", "free_customer_service", false, 0}},
		"utility in it, since":         {"utility", false, after, wrote(time.Hour), price{"utility", "regular", true, 4}},
		"utility outside, before":      {"utility", false, before, wrote(24 * time.Hour), price{"utility", "regular", true, 4}},
		"marketing in it, before":      {"marketing", false, before, wrote(time.Hour), price{"marketing", "regular", true, 50}},
		"marketing by its own API":     {"marketing", true, after, wrote(time.Hour), price{"marketing_lite", "regular", true, 0}},
		"authentication":               {"authentication", false, before, wrote(time.Hour), price{"authentication", "regular", true, 0}},
		"entry point, first moment":    {"marketing", false, after, entered(0), price{"marketing", "free_entry_point", false, 0}},
		"entry point, last moment":     {"service", false, after, entered(72*time.Hour - 1), price{"service", "free_entry_point", false, 0}},
		"entry point, over":            {"service", false, after, entered(72 * time.Hour), price{"service", "regular", true, 3}},
		"entry point, by its own API":  {"marketing", true, after, entered(0), price{"marketing_lite", "free_entry_point", false, 0}},
		"entry point, before the days": {"utility", false, before, entered(time.Hour), price{"utility", "free_entry_point", false, 0}},
	} {
		l := DefaultLimits()
		l.Prices.Rates = map[string]map[string]int64{"*": {"service": 1}, "+4": {"service": 2}, "+45": {"service": 3, "utility": 4, "marketing": 50}}
		sim, err := New(Options{Limits: &l})
		require.NoError(t, err)
		who := &person{Phone: mia}
		c.person(who, c.now)
		require.Equal(t, c.want, *sim.priceOf(who, c.category, c.lite, c.now), name)
	}
	rates := Prices{Rates: map[string]map[string]int64{"*": {"service": 1}, "+45": {"service": 3}}}
	require.EqualValues(t, 3, rates.rate(mia, "service"))
	require.EqualValues(t, 1, rates.rate("+4620123456", "service"))
	require.Zero(t, Prices{}.rate(mia, "service"))
}

// Whoever comes by an ad and is answered within a day pays for nothing for three days, but the service window stays what it is.
func TestFreeEntryPoint(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.limit(object{"prices": object{"currency": "EUR", "rates": object{"*": object{"marketing": 70, "service": 5}}}})
	w.plain("offer", "MARKETING")
	kind := func(m whatsapp.Message) string {
		id := w.send(m)
		for {
			if s := w.receiver.status(t); s.ID == id {
				for len(s.Errors) == 0 && w.receiver.status(t).Status != delivered {
				}
				if s.Pricing == nil {
					return s.Status
				}
				return s.Pricing.Type
			}
		}
	}
	comes := func() {
		w.sim.mu.Lock()
		defer w.sim.mu.Unlock()
		require.NoError(t, w.sim.commit(fact{Message: &message{
			ID: newMessageID(), Phone: mia, Direction: in, Type: "text", At: w.clock.Now(), Status: delivered, personal: personal{Referral: &referral{}},
		}}))
	}
	require.Equal(t, "regular", kind(templateTo(mia, "offer")))
	comes()
	w.clock.Advance(24 * time.Hour)
	require.Equal(t, "regular", kind(templateTo(mia, "offer")), "answered too late")
	comes()
	w.clock.Advance(24*time.Hour - time.Second)
	require.Equal(t, "free_entry_point", kind(hello(mia)))
	w.clock.Advance(time.Second)
	require.Equal(t, failed, kind(hello(mia)), "free text needs the window")
	w.clock.Advance(72*time.Hour - 2*time.Second)
	require.Equal(t, "free_entry_point", kind(templateTo(mia, "offer")))
	w.clock.Advance(time.Second)
	require.Equal(t, "regular", kind(templateTo(mia, "offer")))
	w.settled()
	_, answer := w.call("GET", "/account", nil)
	require.Equal(t, map[string]any{
		"currency": "EUR", "micros": 210.0, "messages": map[string]any{"marketing": 4.0, "service": 1.0}, "billable": map[string]any{"marketing": 3.0},
	}, answer["spent"])
}
