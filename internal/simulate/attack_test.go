package simulate_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

// tries is the coffee program with one more journey, as a map that can be added to.
func tries(t *testing.T, text string) fstest.MapFS {
	t.Helper()
	return with(map[string]string{"journeys/tried.yaml": text})
}

// A STOP opens the window for free text, but consent journeys may not use it.
func TestNothingIsSaidAfterStop(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), tries(t, "journey: tried\npurpose: consent\nenter: [{on: cart.emptied}]\nsteps:\n  - say: Come back!\n"))
		b.join(anna)
		b.says(anna, "stop")
		b.messages(anna)
		b.event(anna, "cart.emptied", map[string]any{"cart_id": "c"})
		require.Equal(t, []string{"text:  (suppressed, no_consent)"}, b.messages(anna))
	})
}

// After a STOP only the customer can begin again, also for a topic that the program got since.
func TestNewTopicAfterStop(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.join(anna)
		b.says(anna, "stop")
		b.messages(anna)
		program := string(coffee()["program.yaml"].Data)
		b.publish(with(map[string]string{"program.yaml": replaced(t, replaced(t, program,
			"topics:\n", "topics:\n  news: {en: News, da: Nyt}\n"),
			"{on: registration.received, topics: [", "{on: registration.received, topics: [news, ")}))
		b.event(anna, "registration.received", map[string]any{"source": "web"})
		require.Empty(t, b.messages(anna))
	})
}

// A message that WhatsApp refuses at first does not make the collect behind it count anew.
func TestCollectBehindARefusedSend(t *testing.T) {
	t.Parallel()
	const text = `
journey: tried
topic: rewards
enter: [{on: review.posted}]
steps:
  - send: milestone_thanks
  - collect: cart.emptied
    counting_entry: false
    until: collected.count >= 2
    timeout: 10d
    each: [{send: stamp, with: {have: "{{ collected.count }}", need: "2"}}]
    on_timeout: [{end: ran_out}]
  - end: filled
`
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), tries(t, text))
		b.join(anna)
		b.wa.fail = []error{&whatsapp.Error{Code: 130429, Class: whatsapp.Retry}}
		b.review()
		b.event(anna, "cart.emptied", map[string]any{"cart_id": "1"})
		b.advance(time.Minute)
		b.event(anna, "cart.emptied", map[string]any{"cart_id": "2"})
		b.advance(time.Minute)
		require.Equal(t, "filled", b.tried())
		b.last = map[string]int{}
		stamps := 0
		for _, m := range b.messages(anna) {
			if m == "stamp" {
				stamps++
			}
		}
		require.Equal(t, 1, stamps)
	})
}

// A stopped journey takes no run by any way in.
func TestStoppedByEveryWay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		program := tries(t, "journey: tried\ntopic: rewards\nenter: [{on: review.posted}]\nif_running: after\nsteps: [{wait: 1h}, {end: waited}]\n")
		program = add(program, "journeys/starter.yaml",
			"journey: starter\ntopic: rewards\nenter: [{on: cart.emptied}]\nsteps:\n  - start: tried\n    with: {review_id: x}\n")
		b := setup(t, fresh(t), program)
		b.review()
		b.review() // waits for the first to end
		n, err := b.Dispatch.Stop(b.ctx, "journey", "tried", "")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		b.event(anna, "cart.emptied", map[string]any{"cart_id": "c"})
		require.Equal(t, []string{"tried stopped", "starter completed"}, b.outcomes(anna))
	})
}

// A run cannot take over the redemption of somebody else.
func TestForeignRedemption(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		const bob = "+4520999999"
		for _, phone := range []string{anna, bob} {
			for range 2 {
				b.event(phone, "review.posted", map[string]any{"review_id": "f"})
			}
		}
		mine, err := b.Dispatch.RequestRedemption(b.ctx, b.customer(anna).ID, "free-coffee", "")
		require.NoError(t, err)
		require.NoError(t, b.Settle(b.ctx))
		before, err := b.Store.View(b.ctx).Redemption(mine.ID)
		require.NoError(t, err)
		_, err = b.Dispatch.StartRun(b.ctx, "redemption", b.customer(bob).ID, map[string]any{"redemption_id": mine.ID, "reward": "free-coffee"}, "")
		require.NoError(t, err)
		b.advance(20 * 24 * time.Hour)
		after, err := b.Store.View(b.ctx).Redemption(mine.ID)
		require.NoError(t, err)
		require.Equal(t, before.GrantID, after.GrantID)
		require.Equal(t, before.RunID, after.RunID)
		require.Equal(t, int64(400), b.points(anna).Available)
		require.Equal(t, int64(400), b.points(bob).Available)
	})
}

// replaced is a text with one part in another wording.
func replaced(t *testing.T, text, old, now string) string {
	t.Helper()
	require.Contains(t, text, old)
	return strings.Replace(text, old, now, 1)
}
