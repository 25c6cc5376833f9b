package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punchcard"
	"punchcard/internal/store"
)

// locked runs fn in a transaction that has the customer.
func (h *house) locked(customer string, fn func(tx *store.Tx) error) error {
	return h.try(func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(customer); err != nil {
			return err
		}
		return fn(tx)
	})
}

// earnFor gives points for an event that can be undone.
func (h *house) earnFor(customer, event string, points int64, pending, life time.Duration) error {
	return h.locked(customer, func(tx *store.Tx) error {
		var expires *time.Time
		if life > 0 {
			expires = new(tx.Now.Add(life))
		}
		_, _, err := tx.Earn(customer, points, "order.placed", event, "earn/"+event, tx.Now.Add(pending), expires)
		return err
	})
}

// sound checks all that must hold of an account at any moment: the ledger, the sums, the lots and the holds say the same, and none is
// below zero.
func (h *house) sound(t require.TestingT, customer string) {
	sum := func(query string) int64 { return scalar[int64](h, query, customer) }
	in := func(account string) int64 {
		return sum(fmt.Sprintf(`SELECT CAST(SUM(CASE WHEN to_account = '%[1]s' THEN points WHEN from_account = '%[1]s' THEN -points ELSE 0 END) AS bigint)
			FROM ledger_entries WHERE customer_id = ?`, account))
	}
	kept := func(column string) int64 {
		n := sum("SELECT CAST(SUM(" + column + ") AS bigint) FROM points WHERE customer_id = ?")
		require.GreaterOrEqual(t, n, int64(0), column)
		return n
	}
	require.Equal(t, kept("available"), in("available"))
	require.Equal(t, kept("pending"), in("pending"))
	require.Equal(t, kept("held"), in("held"))
	require.Equal(t, kept("debt"), -in("debt"))
	require.True(t, kept("debt") == 0 || kept("available") == 0, "nobody has a balance and a debt")
	lots := "SELECT CAST(SUM(%s) AS bigint) FROM points_lots WHERE customer_id = ? AND %s"
	require.Equal(t, kept("available"), sum(fmt.Sprintf(lots, "remaining", "matured")), "lots that can be spent")
	require.Equal(t, kept("pending"), sum(fmt.Sprintf(lots, "remaining", "NOT matured")), "lots that cannot be spent yet")
	require.Equal(t, kept("earned"), sum(fmt.Sprintf(lots, "points - reversed", "source <> 'by hand'")), "all that was earned")
	require.Equal(t, kept("held"), sum("SELECT CAST(SUM(points) AS bigint) FROM points_holds WHERE status = 'held' AND customer_id = ?"), "holds")
}

// Any interleaving of all that happens to points keeps the account sound; what a statement says adds up; and an event is never taken
// back by more than it earned.
func TestLedgerProperty(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		h.grace = 2 * day
		n := 0
		rapid.Check(h.t, func(t *rapid.T) {
			n++
			c := h.customer(fmt.Sprint(n)).ID
			begin := h.clock.Now()
			spans := rapid.SampledFrom([]time.Duration{0, time.Hour, 10 * day, 31 * day, 70 * day})
			type order struct {
				id            string
				points, taken int64
				share         int64
			}
			var orders []*order
			var holds []*punchcard.Grant
			steps := 0
			var raised, matured, expired int64
			actions := map[string]func(){
				"earn": func() {
					o := &order{id: fmt.Sprintf("%s/%d", c, len(orders)), points: rapid.Int64Range(1, 90).Draw(t, "points")}
					require.NoError(t, h.earnFor(c, o.id, o.points, spans.Draw(t, "pending"), spans.Draw(t, "life")))
					orders = append(orders, o)
				},
				"time": func() { h.clock.Advance(spans.Draw(t, "passes")) },
				"hold": func() {
					points := rapid.Int64Range(1, 80).Draw(t, "points")
					reaches := h.points(c).Available >= points
					g, err := h.hold(c, points)
					require.Equal(t, reaches, err == nil, "%v", err)
					if reaches {
						holds = append(holds, g)
					}
				},
				"end": func() {
					if len(holds) == 0 {
						return
					}
					i := rapid.IntRange(0, len(holds)-1).Draw(t, "which")
					how := (*store.Tx).CaptureGrant
					if rapid.Bool().Draw(t, "release") {
						how = (*store.Tx).ReleaseGrant
					}
					done, err := h.finish(*holds[i], how)
					require.NoError(t, err)
					require.True(t, done)
					done, err = h.finish(*holds[i], how)
					require.NoError(t, err)
					require.False(t, done, "a grant ends once")
					holds = append(holds[:i], holds[i+1:]...)
				},
				"refund": func() {
					if len(orders) == 0 {
						return
					}
					o := orders[rapid.IntRange(0, len(orders)-1).Draw(t, "which")]
					o.share = min(o.share+rapid.Int64Range(1, punchcard.WholeShare).Draw(t, "share"), punchcard.WholeShare)
					require.NoError(t, h.locked(c, func(tx *store.Tx) error {
						taken, err := tx.TakeBack(c, o.id, o.share, "refund", fmt.Sprintf("reverse/%s/%d", c, steps))
						o.taken += taken.Points
						return err
					}))
					require.LessOrEqual(t, o.taken, o.points)
					if o.share == punchcard.WholeShare {
						require.Equal(t, o.points, o.taken)
					}
				},
				"adjust": func() {
					a := store.Adjustment{
						CustomerID: c, Points: rapid.Int64Range(-60, 60).Filter(func(n int64) bool { return n != 0 }).Draw(t, "points"),
						Author: "ida", Note: "why", Key: fmt.Sprintf("%s/%d", c, steps), Debt: rapid.Bool().Draw(t, "debt"),
					}
					reaches := a.Points > 0 || a.Debt || h.points(c).Available >= -a.Points
					for _, first := range []bool{true, false} {
						err := h.locked(c, func(tx *store.Tx) error {
							done, err := tx.Adjust(a)
							require.Equal(t, first && reaches, done && err == nil)
							return err
						})
						require.Equal(t, reaches, err == nil, "%v", err)
					}
				},
				"job": func() {
					require.NoError(t, h.locked(c, func(tx *store.Tx) error {
						passed, err := tx.PassTime([]string{c}, func([]*punchcard.Points) error { return nil })
						if err != nil {
							return err
						}
						raised++
						matured += passed[0].Matured
						expired += passed[0].Expired
						return nil
					}))
				},
			}
			names := []string{"earn", "earn", "time", "time", "hold", "hold", "end", "refund", "refund", "adjust", "job"}
			for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 1, 14).Draw(t, "actions") {
				steps++
				actions[name]()
				h.sound(t, c)
			}
			now := h.points(c)
			end, err := h.view().SumsBefore(c, store.Place{At: h.clock.Now().Add(time.Microsecond)})
			require.NoError(t, err)
			require.Equal(t, store.Sums{Available: now.Available, Pending: now.Pending, Held: now.Held, Debt: now.Debt}, end, "a statement ends where the account stands")
			entries, err := h.view().LedgerBetween(c, begin, h.clock.Now().Add(time.Microsecond), store.Place{}, 1000)
			require.NoError(t, err)
			balance := int64(0)
			for _, e := range entries {
				balance += e.Moves(punchcard.PointsAvailable)
				require.GreaterOrEqual(t, balance, int64(0), "in the order of time as well")
			}
			require.Equal(t, now.Available, balance)
			actions["job"]()
			for kind, want := range map[string]int64{"mature": matured, "expire": expired} {
				require.Equal(t, want, scalar[int64](h, "SELECT CAST(SUM(points) AS bigint) FROM ledger_entries WHERE kind = ? AND customer_id = ?", kind, c), "each is told once")
			}
		})
	})
}

// 200 at once on one customer: earnings, holds that end, refunds and adjustments.
func TestLedgerTogether(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		const tries = 200
		c := h.customer("1").ID
		require.NoError(h.t, h.earnFor(c, "start", 400, 0, 0))
		var captured, given, taken atomic.Int64
		noErrors(h.t, together(tries, func(i int) error {
			switch i % 4 {
			case 0:
				return h.earnFor(c, fmt.Sprint("order", i), 10, 0, 0)
			case 1:
				g, err := h.hold(c, 7)
				if punchcard.ReasonOf(err) == store.ReasonNotEnoughPoints {
					return nil
				}
				if err != nil {
					return err
				}
				how := (*store.Tx).ReleaseGrant
				if i%8 == 1 {
					how = (*store.Tx).CaptureGrant
				}
				for _, err := range together(2, func(int) error {
					done, err := h.finish(*g, how)
					if done && i%8 == 1 {
						captured.Add(7)
					}
					return err
				}) {
					if err != nil {
						return err
					}
				}
				return nil
			case 2:
				return h.locked(c, func(tx *store.Tx) error { // all the same refund, in parts
					got, err := tx.TakeBack(c, "start", int64(i)*punchcard.WholeShare/tries, "refund", fmt.Sprint("reverse/", i))
					if err == nil {
						taken.Add(got.Points)
					}
					return err
				})
			default:
				return h.locked(c, func(tx *store.Tx) error {
					_, err := tx.Adjust(store.Adjustment{CustomerID: c, Points: 3, Author: "ida", Note: "why", Key: fmt.Sprint(i % 20)})
					return err
				})
			}
		}))
		given.Store(scalar[int64](h, "SELECT CAST(SUM(points) AS bigint) FROM ledger_entries WHERE kind = 'adjust' AND customer_id = ?", c))
		require.EqualValues(h.t, 3*5, given.Load(), "five keys, each once")
		require.EqualValues(h.t, 400*198/200, taken.Load(), "no more than the largest share")
		h.sound(h.t, c)
		p := h.points(c)
		require.Zero(h.t, p.Held)
		require.Equal(h.t, 400+10*tries/4+given.Load()-captured.Load()-taken.Load(), p.Available-p.Debt)
	})
}

// What a hold gives back after its lot's time lives for the grace, once.
func TestGrace(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		h.grace = 2 * day
		c := h.customer("1").ID
		require.NoError(h.t, h.earnFor(c, "o", 100, 0, 10*day))
		again := func() {
			g, err := h.hold(c, 60)
			require.NoError(h.t, err)
			h.clock.Advance(11 * day)
			_, err = h.finish(*g, (*store.Tx).ReleaseGrant)
			require.NoError(h.t, err)
		}
		again()
		require.EqualValues(h.t, 60, h.points(c).Available, "the rest of the lot expired in its time")
		h.clock.Advance(2*day - time.Microsecond)
		require.EqualValues(h.t, 60, h.points(c).Available)
		again()
		require.EqualValues(h.t, 0, h.points(c).Available, "it is given once")
		h.sound(h.t, c)
	})
}

// The ledger is not rewritten, whoever asks.
func TestLedgerIsAppendOnly(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1").ID
		require.NoError(h.t, h.earnFor(c, "o", 100, 0, 0))
		statements := []string{"UPDATE ledger_entries SET points = 1", "DELETE FROM ledger_entries",
			"UPDATE points SET debt = 1", "UPDATE points SET debt = -1", "UPDATE points_lots SET reversed = points + 1", "UPDATE points_lots SET forgiven = 1"}
		if h.Dialect() == store.Postgres {
			statements = append(statements, "TRUNCATE ledger_entries")
		}
		for _, s := range statements {
			require.Error(h.t, h.exec(s), s)
		}
		require.Error(h.t, h.exec(`INSERT INTO ledger_entries (customer_id, kind, from_account, to_account, points, lot_id, ref, "key", at)
			SELECT customer_id, 'adjust', 'outside', 'available', 1, lot_id, '', 'x', at FROM ledger_entries`), "an adjustment without who and why")
	})
}
