package simulate_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

// Each change of what is decided of a message is told once, with what was seen and what would have to change; never with phone or text.
func TestExplain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), adverts(t, "", "caps:\n  - {topic: offers, at_most: 1, within: 2d}\n"))
		b.join(anna)
		b.advance(12*time.Hour + 30*time.Minute)
		b.visits(anna, "v1") // at night: it waits for the morning
		b.advance(12 * time.Hour)
		b.visits(anna, "v2") // and the second for two days
		b.says(anna, "STOP")
		b.visits(anna, "v3")
		b.advance(5 * 24 * time.Hour)
		all, err := fence.Explain(b.Store.View(b.ctx), b.customer(anna).ID, 0, monday.Add(time.Hour), time.Time{}, 100)
		require.NoError(t, err)
		var got []string
		for _, e := range all {
			if e.Journey == "advert" {
				got = append(got, fmt.Sprintf("%s %s now %s | %s | %s", e.Verdict, e.Reason, e.Status, e.Rule, e.Change))
			}
			text := fmt.Sprintf("%+v", e.Facts)
			require.NotContains(t, text, "4520123456")
			require.NotContains(t, text, "New beans")
		}
		require.Equal(t, []string{
			"defer quiet_hours now accepted | It is night for the customer, Mon 2026-11-23 22:30: quiet hours are 21:00 to 09:00. | Wait until Tue 2026-11-24 09:00 in Europe/Copenhagen.",
			"send  now accepted | Nothing stood in the way. | ",
			"defer cap now suppressed | The customer has had enough: offers: at most 1 within 2d, and 1 count. | Wait until Thu 2026-11-26 09:00 in Europe/Copenhagen, or raise the cap.",
			"suppress no_consent now suppressed | The customer has not granted offers: it is revoked. | Only the customer can begin again after a stop: with the keyword join.",
		}, got)

		page, err := fence.Explain(b.Store.View(b.ctx), b.customer(anna).ID, all[0].ID, time.Time{}, all[len(all)-1].At, 100)
		require.NoError(t, err)
		require.NotEmpty(t, page)
		for _, e := range page {
			require.Greater(t, e.ID, all[0].ID)
			require.True(t, e.At.Before(all[len(all)-1].At))
		}
	})
}

// Whatever comes in whatever order (requests, answers, stops of one thing or all, imports of old and new consents, expiries, orders,
// nights), marketing never goes while its topic is not granted.
func TestNoMarketingWithoutConsent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		total := 0
		for seed := range uint64(2) {
			b := setup(t, fresh(t), adverts(t, "", "hygiene: {unresponsive_after: 20d, ask_again: true, expire_after: 40d}\n"))
			r := rand.New(rand.NewPCG(seed, 8))
			sent, checked := 0, map[string]bool{}
			b.event(anna, "registration.received", map[string]any{"source": "web"})
			for step := range 60 {
				switch r.IntN(14) {
				case 0:
					b.event(anna, "registration.received", map[string]any{"source": "web"})
				case 1:
					b.says(anna, "join")
				case 2, 3:
					b.says(anna, "yes")
				case 4:
					b.says(anna, []string{"no", "hello"}[r.IntN(2)])
				case 5:
					b.says(anna, []string{"STOP", "STOP OFFERS"}[r.IntN(2)])
				case 6:
					_, err := b.Dispatch.ImportConsents(b.ctx, strings.NewReader(fmt.Sprintf(
						"phone,topic,standing,occurred_at,source,wording,language,reference\n%s,offers,granted,%s,form,I agree to offers,en,form 1\n", anna,
						b.Clock.Now().Add(-time.Duration(r.IntN(72))*time.Hour).Format(time.RFC3339))), "Mia", false, func(dispatch.ImportLine) error { return nil })
					require.NoError(t, err)
				case 7:
					b.advance(time.Duration(r.IntN(30*24)) * time.Hour)
				default:
					b.visits(anna, fmt.Sprint(seed, step))
				}
				// Nothing that was handed to WhatsApp since the last look went without a grant.
				all, err := b.Store.View(b.ctx).Messages(b.customer(anna).ID, "", 200)
				require.NoError(t, err)
				log, err := b.Store.View(b.ctx).Consents(b.customer(anna).ID, 0, 1000)
				require.NoError(t, err)
				for _, m := range all {
					if m.HandedAt == nil || m.Category != "marketing" || checked[m.ID] {
						continue
					}
					checked[m.ID] = true
					sent++
					require.True(t, grantedAt(log, m.Topic, *m.HandedAt), "seed %d step %d: %s went at %s without a grant of %q", seed, step, m.Template, m.HandedAt, m.Topic)
				}
			}
			total += sent
		}
		require.Positive(t, total, "some marketing went, or this shows nothing")
	})
}

// grantedAt tells whether a topic was granted at a moment, or came to be in it, by what the log had then.
func grantedAt(log []punchcard.ConsentEntry, topic string, at time.Time) bool {
	var known []punchcard.ConsentEntry
	for _, e := range log {
		if e.At.After(at) {
			break
		}
		if e.Topic == topic {
			known = append(known, e)
			if e.At.Equal(at) && e.Standing == punchcard.StandingGranted {
				return true // in the same moment of virtual time as what followed it
			}
		}
	}
	if punchcard.DeriveConsent(known).Standing == punchcard.StandingGranted {
		return true
	}
	// What was recorded in that very moment may have come after the message.
	for len(known) > 0 && known[len(known)-1].At.Equal(at) {
		known = known[:len(known)-1]
		if punchcard.DeriveConsent(known).Standing == punchcard.StandingGranted {
			return true
		}
	}
	return false
}
