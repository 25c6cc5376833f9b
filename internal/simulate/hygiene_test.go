package simulate_test

import (
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

const days = 24 * time.Hour

// tidied is the coffee program with rules of hygiene.
func tidied(t *testing.T, rules string) fstest.MapFS {
	t.Helper()
	program := adverts(t, "    within: 300d", rules)
	program["journeys/advert.yaml"].Data = []byte(replaced(t, string(program["journeys/advert.yaml"].Data), "  - end: seen", "  - wait: 300d\n  - end: seen"))
	return program
}

// log lists a topic's entries in a customer's consent log, as "standing source".
func (b *bundle) topicLog(phone, topic string) []string {
	b.t.Helper()
	all, err := b.Store.View(b.ctx).Consents(b.customer(phone).ID, 0, 100)
	require.NoError(b.t, err)
	var out []string
	for _, e := range all {
		if e.Topic == topic {
			out = append(out, string(e.Standing)+" "+e.Source)
		}
	}
	return out
}

func (b *bundle) standing(phone, topic string) punchcard.Standing {
	b.t.Helper()
	s, err := b.Store.View(b.ctx).Standings(b.customer(phone).ID)
	require.NoError(b.t, err)
	return s[topic].Standing
}

// A year of the list: who gives no sign is asked once more, and answers or not; who gives one is left alone; who cannot be reached is
// counted; and each day says what it came to.
func TestHygieneOverAYear(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), tidied(t, "hygiene: {undeliverable_after: 1, unresponsive_after: 180d, ask_again: true, expire_after: 365d}\n"))
		const silent, back, buyer, reader, lost = "+4520123401", "+4520123402", "+4520123403", "+4520123404", "+4520123405"
		for _, phone := range []string{silent, back, buyer, reader, lost} {
			b.join(phone)
		}
		b.visits(silent, "v") // a run that waits
		require.Equal(t, "advert live at 2 ", b.outcomeOf(silent, "advert"))
		b.wa.fail = []error{refusal(131026)}
		b.visits(lost, "v")
		b.advance(100 * days)
		b.visits(buyer, "v2")
		b.visits(reader, "v2")
		b.advance(60 * days)
		m, _ := b.newest(reader)
		b.change(map[string]any{"statuses": []any{map[string]any{
			"id": *m.Wamid, "status": "read", "timestamp": b.Clock.Now().Unix(), "recipient_id": "4520123404", "biz_opaque_callback_data": m.ID,
		}}})
		for _, phone := range []string{silent, back, buyer, reader, lost} {
			b.messages(phone)
		}
		b.advance(19 * days) // the 179th
		require.Empty(t, b.messages(silent))
		b.advance(2 * days)
		require.Equal(t, []string{"opt_in_request"}, b.messages(silent)[:1], "asked once more")
		require.Equal(t, punchcard.StandingRequested, b.standing(silent, "offers"))
		require.Equal(t, "advert opted_out", b.outcomeOf(silent, "advert"))
		require.Equal(t, "opt_in_request", b.messages(back)[0])
		b.says(back, "yes")
		require.Equal(t, punchcard.StandingGranted, b.standing(back, "offers"))
		for _, phone := range []string{buyer, reader, lost} {
			require.Equal(t, punchcard.StandingGranted, b.standing(phone, "offers"), phone)
			require.Empty(t, b.messages(phone), phone)
		}
		b.advance(370 * days)
		require.Equal(t, []string{
			"requested registration.received", "granted reply", "expired hygiene.unresponsive_after", "requested hygiene", "expired hygiene.expire_after",
		}, b.topicLog(silent, "offers"))
		require.Equal(t, []string{"requested registration.received", "granted reply", "expired hygiene.expire_after"}, b.topicLog(lost, "offers"))

		rounds, err := b.Store.View(b.ctx).HygieneRounds("", 1000)
		require.NoError(t, err)
		require.Greater(t, len(rounds), 540)
		var asked, expired int64
		for _, r := range rounds {
			require.NotNil(t, r.EndedAt, r.Day)
			asked, expired = asked+r.Asked, expired+r.Expired
		}
		require.Equal(t, int64(5), asked, "two after half a year; the one who came back a second time, the buyer and the reader later")
		require.Equal(t, int64(2), expired, "the silent, who did not answer, and the lost, who was not asked")
		require.Equal(t, int64(1), rounds[len(rounds)-200].Undeliverable)
		require.Contains(t, b.raised(), "hygiene  "+lastDay(rounds))

		// The same day again does nothing.
		for _, job := range b.Activities.Jobs() {
			if job.Name == "hygiene" {
				batch, err := job.Batch(b.ctx, "")
				require.NoError(t, err)
				require.Zero(t, batch.Done)
			}
		}
	})
}

// lastDay is the newest day on which anything was done.
func lastDay(rounds []punchcard.HygieneRound) string {
	for _, r := range rounds {
		if r.Asked+r.Expired > 0 {
			return r.Day
		}
	}
	return ""
}
