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

// pointsProgram is a journey for each event that time raises of points.
func pointsProgram() map[string]string {
	return map[string]string{
		"journeys/matured.yaml":  "journey: matured\npurpose: service\nenter:\n  - {on: points.matured}\nsteps:\n  - label: matured\n",
		"journeys/expiring.yaml": "journey: expiring\npurpose: service\nenter:\n  - {on: points.expiring}\nsteps:\n  - label: expiring\n",
		"journeys/expired.yaml":  "journey: expired\npurpose: service\nenter:\n  - {on: points.expired}\nsteps:\n  - label: expired\n",
	}
}

// Time raises what it does to points, each once; a tier is kept for its grace and falls level by level.
func TestTimePasses(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), with(pointsProgram()))
		b.join(anna)
		tier := func() string {
			a, err := b.Store.View(b.ctx).Account(b.customer(anna).ID)
			require.NoError(t, err)
			return a.Tier
		}
		labels := func() []string { return b.customer(anna).Labels }
		b.order("o1", 2100)
		require.Equal(t, "gold", tier())
		require.Empty(t, labels())
		b.advance(14 * day)
		require.Equal(t, []string{"matured"}, labels())
		b.advance(322 * day) // 336: 29 days before they expire
		require.Equal(t, []string{"expiring", "matured"}, labels())
		b.advance(28 * day)
		require.EqualValues(t, 2100, b.points(anna).Available)
		b.advance(2 * day) // 366: the window of a year is over for the order
		require.Equal(t, []string{"expired", "expiring", "matured"}, labels())
		require.EqualValues(t, 0, b.points(anna).Available)
		require.Equal(t, "gold", tier(), "it is kept for its grace")
		b.advance(30 * day)
		require.Equal(t, "silver", tier(), "one level")
		b.advance(30 * day)
		require.Equal(t, "bronze", tier())
		b.advance(100 * day)
		require.Equal(t, "bronze", tier())
	})
}

// An order that was refunded counts no more; a milestone that was rewarded is not raised again.
func TestMilestonesAndRefunds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.join(anna)
		reached := func() (n int) {
			for _, o := range b.outcomes(anna) {
				if len(o) > 9 && o[:9] == "milestone" {
					n++
				}
			}
			return n
		}
		b.order("o1", 10)
		require.Equal(t, 1, reached(), "the first order")
		b.refund("o1", 10)
		times := func() float64 {
			n, err := b.Store.View(b.ctx).Total(b.customer(anna).ID, "order.placed", "", 0)
			require.NoError(t, err)
			return n
		}
		require.Zero(t, times())
		b.order("o2", 10)
		require.Equal(t, 1, reached(), "the first order was rewarded")
		for i := range 3 {
			b.order(fmt.Sprint("p", i), 10)
		}
		require.InDelta(t, 4, times(), 0)
		require.Equal(t, 1, reached())
		b.order("o6", 10)
		require.Equal(t, 2, reached(), "the fifth that counts")
		b.refund("o6", 10)
		b.order("o7", 10)
		require.Equal(t, 2, reached())
	})
}

// What an earn rule's limit counts is what still stands: an order that was refunded as a whole gives its place back, to the orders that come
// after that. What came while the limit was reached earns nothing, also not later.
func TestRefundGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	program := replaced(t, string(coffee()["program.yaml"].Data), "      pending: 14d\n", "      at_most: 2\n      within: 30d\n")
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		files := with(map[string]string{"program.yaml": program})
		delete(files, "journeys/stamp-card.yaml") // which gives points for the fifth order
		b := setup(t, fresh(t), files)
		order := func(id string) { b.event(anna, "order.placed", map[string]any{"order_id": id, "total": 10}) }
		refund := func(id string, total float64) {
			b.event(anna, "order.refunded", map[string]any{"order_id": id, "total": total})
		}
		for _, id := range []string{"a", "b", "c"} {
			order(id)
		}
		require.EqualValues(t, 20, b.points(anna).Available, "two in thirty days")
		refund("a", 5)
		require.EqualValues(t, 15, b.points(anna).Available)
		order("d")
		require.EqualValues(t, 15, b.points(anna).Available, "half of it stands")
		refund("a", 5)
		require.EqualValues(t, 10, b.points(anna).Available)
		order("e")
		require.EqualValues(t, 20, b.points(anna).Available, "there is a place again")
		order("f")
		refund("c", 10)
		require.EqualValues(t, 20, b.points(anna).Available, "what earned nothing had no place, and nothing is taken back for it")
		refund("g", 10) // comes before what it undoes
		refund("b", 10)
		order("g")
		require.EqualValues(t, 10, b.points(anna).Available)
		order("h")
		require.EqualValues(t, 20, b.points(anna).Available, "what was undone before it came has no place either")
	})
}
