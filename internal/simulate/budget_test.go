package simulate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/store"
)

// What the product asks of its database, in statements. A change that makes one of these larger says why.
func TestStatementBudget(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.join(anna)
		b.advance(0) // every account is reckoned by the program's tiers
		count := func(do func()) int64 {
			before := b.Store.Statements()
			do()
			return b.Store.Statements() - before
		}
		idle := count(func() { require.NoError(t, b.Settle(b.ctx)) })
		require.LessOrEqual(t, idle, int64(3), "a look at each queue")

		unheard := count(func() { b.event(anna, "cart.emptied", map[string]any{"cart_id": "none"}) })
		entered := count(func() {
			b.event(anna, "cart.updated", map[string]any{"cart_id": "c1", "total": 120, "items": []any{}})
		})
		reminded := count(func() { b.advance(61 * time.Minute) })
		left := count(func() {
			b.event(anna, "cart.emptied", map[string]any{"cart_id": "c1"})
		})
		// Each includes up to six looks at the queues, which Settle makes until nothing is left.
		require.LessOrEqual(t, unheard, int64(19), "an event that no run listens for")
		require.LessOrEqual(t, entered, int64(28), "an event that starts a run: one asks whether somebody stopped the journey")
		require.LessOrEqual(t, reminded, int64(52), "a message that is sent after a wait: two ask what WhatsApp says of its template, and two whether pauses have ended; "+
			"four whose points are due, and two whose rewards expire, where time stops; one writes down what was decided; one how the account stands, and three look after circuits and unknown sends")
		require.LessOrEqual(t, left, int64(30), "an event by which a run leaves; one more where a second has passed and the newest version is asked for")
		t.Logf("%s: idle %d, an event nobody waits for %d, an entry %d, a reminder %d, a leave %d", b.Store.Dialect(), idle, unheard, entered, reminded, left)
	})
}
