package simulate_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/store"
)

const (
	bo  = "+4520123457"
	day = 24 * time.Hour
)

// order and refund are the coffee program's.
func (b *bundle) order(id string, total float64) {
	b.t.Helper()
	b.event(anna, "order.placed", map[string]any{"order_id": id, "total": total})
}

func (b *bundle) refund(id string, total float64) {
	b.t.Helper()
	b.event(anna, "order.refunded", map[string]any{"order_id": id, "total": total})
}

// account is the customer's: balance, pending, held, debt, earned.
func (b *bundle) account() string {
	b.t.Helper()
	p := b.points(anna)
	return fmt.Sprintf("%d, %d pending, %d held, %d owed, %d earned", p.Available, p.Pending, p.Held, p.Debt, p.Earned)
}

func TestRefund(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		for name, test := range map[string]func(b *bundle){
			"pending": func(b *bundle) {
				b.order("o1", 100)
				b.refund("o1", 25)
				require.Equal(b.t, "0, 75 pending, 0 held, 0 owed, 75 earned", b.account())
				b.refund("o1", 50)
				b.refund("o1", 50)
				b.refund("o1", 50)
				require.Equal(b.t, "0, 0 pending, 0 held, 0 owed, 0 earned", b.account(), "never more than was earned")
			},
			"thirds": func(b *bundle) {
				b.order("o1", 100)
				for range 3 {
					b.refund("o1", 100.0/3)
				}
				require.Equal(b.t, "0, 0 pending, 0 held, 0 owed, 0 earned", b.account())
			},
			"matured": func(b *bundle) {
				b.order("o1", 100)
				b.order("o2", 30)
				b.advance(14 * day)
				b.refund("o1", 100)
				require.Equal(b.t, "30, 0 pending, 0 held, 0 owed, 30 earned", b.account())
			},
			"before the order": func(b *bundle) {
				b.refund("o1", 40)
				b.refund("o1", 20)
				require.Equal(b.t, "0, 0 pending, 0 held, 0 owed, 0 earned", b.account())
				b.order("o1", 100)
				require.Equal(b.t, "0, 40 pending, 0 held, 0 owed, 40 earned", b.account())
			},
			"another's": func(b *bundle) {
				b.order("o1", 100)
				b.event(bo, "order.refunded", map[string]any{"order_id": "o1", "total": 100})
				require.Equal(b.t, "0, 100 pending, 0 held, 0 owed, 100 earned", b.account())
			},
			"spent": func(b *bundle) {
				b.order("o1", 300)
				b.advance(14 * day)
				_, err := b.Dispatch.RequestRedemption(b.ctx, b.customer(anna).ID, "free-coffee", "")
				require.NoError(b.t, err)
				require.NoError(b.t, b.Settle(b.ctx))
				held := b.points(anna).Held
				require.Positive(b.t, held)
				b.refund("o1", 300)
				require.Equal(b.t, fmt.Sprintf("0, 0 pending, %d held, %d owed, 0 earned", held, held), b.account(), "what is held stays held")
				b.order("o2", 40)
				require.Equal(b.t, fmt.Sprintf("0, 40 pending, %d held, %d owed, 40 earned", held, held), b.account())
				b.advance(16 * day) // the redemption ends, and gives back
				require.Equal(b.t, "40, 0 pending, 0 held, 0 owed, 40 earned", b.account(), "what comes back pays what is owed")
			},
			"expired": func(b *bundle) {
				b.order("o1", 100)
				b.advance(366 * day)
				require.Equal(b.t, "0, 0 pending, 0 held, 0 owed, 100 earned", b.account())
				b.refund("o1", 100)
				require.Equal(b.t, "0, 0 pending, 0 held, 0 owed, 0 earned", b.account(), "nobody owes what nobody had the use of")
			},
			"of nothing": func(b *bundle) {
				b.order("o1", 0)
				b.refund("o1", 0)
				b.refund("o2", 10)
				require.Equal(b.t, "0, 0 pending, 0 held, 0 owed, 0 earned", b.account())
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t, fresh(t), coffee())
				b.join(anna)
				test(b)
			})
		}
	})
}
