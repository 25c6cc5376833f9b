package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punchcard"
	"punchcard/internal/store"
)

const day = 24 * time.Hour

// earn gives points that mature and expire after those spans (0: at once, never).
func (h *house) earn(customer string, points int64, key string, pending, life time.Duration) error {
	return h.try(func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(customer); err != nil {
			return err
		}
		var expires *time.Time
		if life > 0 {
			expires = new(tx.Now.Add(life))
		}
		_, _, err := tx.Earn(customer, points, "order.placed", "evt", key, tx.Now.Add(pending), expires)
		return err
	})
}

// hold gives a grant and holds points for it.
func (h *house) hold(customer string, points int64) (*punchcard.Grant, error) {
	g := newGrant(customer, "free-coffee", punchcard.GrantHeld)
	g.Cost = points
	return g, h.try(func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(customer); err != nil {
			return err
		}
		if err := tx.AddGrant(g); err != nil {
			return err
		}
		return tx.Hold(g, points, h.grace)
	})
}

// finish captures or releases a grant.
func (h *house) finish(g punchcard.Grant, how func(*store.Tx, *punchcard.Grant) (bool, error)) (done bool, err error) {
	return done, h.try(func(tx *store.Tx) (err error) {
		if _, err := tx.LockCustomer(g.CustomerID); err != nil {
			return err
		}
		done, err = how(tx, &g)
		return err
	})
}

func (h *house) points(customer string) store.PointsNow {
	h.t.Helper()
	p, err := h.view().PointsNow(customer)
	require.NoError(h.t, err)
	return bare(p)
}

// bare is an account without what only its keeping needs.
func bare(p store.PointsNow) store.PointsNow {
	p.CustomerID, p.DueAt, p.Announced, p.TierDueAt = "", nil, 0, nil
	return p
}

func TestPoints(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1").ID
		require.Equal(h.t, store.PointsNow{}, h.points(c))

		h.do(func(tx *store.Tx) error {
			before, after, err := tx.Earn(c, 100, "order.placed", "evt_1", "earn/evt_1", monday.Add(14*day), new(monday.Add(20*day)))
			require.Equal(h.t, [2]int64{0, 100}, [2]int64{before, after})
			return err
		})
		require.NoError(h.t, h.earn(c, 50, "earn/evt_2", 0, 0))
		require.Equal(h.t, store.PointsNow{Points: punchcard.Points{Available: 50, Pending: 100, Earned: 150}}, h.points(c))
		require.True(h.t, store.IsDuplicate(h.earn(c, 50, "earn/evt_2", 0, 0)), "what a key stands for is earned once")
		require.Error(h.t, h.earn(c, 0, "nothing", 0, 0))
		require.Error(h.t, h.earn(c, -5, "less", 0, 0))

		_, err := h.hold(c, 51)
		require.Equal(h.t, punchcard.CodeConflict, punchcard.CodeOf(err))
		require.Equal(h.t, store.ReasonNotEnoughPoints, punchcard.ReasonOf(err))

		// To the microsecond: not yet, and now.
		h.clock.Advance(14*day - time.Microsecond)
		require.EqualValues(h.t, 50, h.points(c).Available)
		h.clock.Advance(time.Microsecond)
		require.Equal(h.t, store.PointsNow{Points: punchcard.Points{Available: 150, Earned: 150}, Expiring: 100}, h.points(c))

		// The soonest to expire is held first: what is left is of the lot that lives for ever.
		g, err := h.hold(c, 120)
		require.NoError(h.t, err)
		require.Equal(h.t, store.PointsNow{Points: punchcard.Points{Available: 30, Held: 120, Earned: 150}}, h.points(c))
		h.clock.Advance(6 * day)
		done, err := h.finish(*g, (*store.Tx).ReleaseGrant)
		require.NoError(h.t, err)
		require.True(h.t, done)
		require.Equal(h.t, store.PointsNow{Points: punchcard.Points{Available: 50, Earned: 150}}, h.points(c),
			"what is given back to a lot after its time expires at once")

		g, err = h.hold(c, 50)
		require.NoError(h.t, err)
		done, err = h.finish(*g, (*store.Tx).CaptureGrant)
		require.NoError(h.t, err)
		require.True(h.t, done)
		require.Equal(h.t, store.PointsNow{Points: punchcard.Points{Earned: 150}}, h.points(c))

		var kinds []punchcard.LedgerKind
		ledger, err := h.view().Ledger(c, 0, 100)
		require.NoError(h.t, err)
		for _, e := range ledger {
			kinds = append(kinds, e.Kind)
		}
		require.Equal(h.t, []punchcard.LedgerKind{
			punchcard.LedgerEarn, punchcard.LedgerEarn, punchcard.LedgerMature, punchcard.LedgerHold, punchcard.LedgerHold,
			punchcard.LedgerRelease, punchcard.LedgerRelease, punchcard.LedgerExpire, punchcard.LedgerHold, punchcard.LedgerCapture,
		}, kinds)
		require.Equal(h.t, monday.Add(14*day), ledger[2].At, "matured when it did, though it was written later")
		page, err := h.view().Ledger(c, ledger[3].ID, 2)
		require.NoError(h.t, err)
		require.Equal(h.t, ledger[4:6], page)

		for since, want := range map[time.Time]int64{monday.Add(-time.Second): 150, monday: 0} {
			n, err := h.view().EarnedSince(c, since)
			require.NoError(h.t, err)
			require.Equal(h.t, want, n)
		}

		require.Error(h.t, h.exec("UPDATE points SET available = -1"))
		require.Error(h.t, h.exec("UPDATE points SET held = -1"))
		require.Error(h.t, h.exec("UPDATE points_lots SET remaining = points + 1"))
		require.Error(h.t, h.exec("UPDATE points_lots SET remaining = -1"))
		require.Error(h.t, h.exec(`INSERT INTO ledger_entries (customer_id, kind, from_account, to_account, points, lot_id, ref, "key", at)
			SELECT customer_id, 'earn', 'held', 'available', points, lot_id, ref, 'x', at FROM ledger_entries`), "a way that points do not go")
	})
}

// A reading of the account, from the ledger, the lots and the holds: they must all say the same.
func (h *house) balanced(t require.TestingT, customer string) {
	sum := func(query string) int64 { return scalar[int64](h, query, customer) }
	for account, column := range map[punchcard.PointsAccount]string{
		punchcard.PointsAvailable: "available", punchcard.PointsPending: "pending", punchcard.PointsHeld: "held",
	} {
		kept := sum("SELECT CAST(SUM(" + column + ") AS bigint) FROM points WHERE customer_id = ?")
		require.GreaterOrEqual(t, kept, int64(0))
		require.Equal(t, kept, sum(fmt.Sprintf(`SELECT CAST(SUM(CASE WHEN to_account = '%[1]s' THEN points WHEN from_account = '%[1]s' THEN -points ELSE 0 END)
			AS bigint) FROM ledger_entries WHERE customer_id = ?`, account)), "the ledger's %s", account)
	}
	lots := "SELECT CAST(SUM(remaining) AS bigint) FROM points_lots WHERE customer_id = ? AND "
	require.Equal(t, sum("SELECT CAST(SUM(available) AS bigint) FROM points WHERE customer_id = ?"), sum(lots+"matured"), "lots that can be spent")
	require.Equal(t, sum("SELECT CAST(SUM(pending) AS bigint) FROM points WHERE customer_id = ?"), sum(lots+"NOT matured"), "lots that cannot be spent yet")
	require.Equal(t, sum("SELECT CAST(SUM(held) AS bigint) FROM points WHERE customer_id = ?"),
		sum("SELECT CAST(SUM(points) AS bigint) FROM points_holds WHERE status = 'held' AND customer_id = ?"), "holds")
	require.Equal(t, sum("SELECT CAST(SUM(earned) AS bigint) FROM points WHERE customer_id = ?"),
		sum("SELECT CAST(SUM(points) AS bigint) FROM ledger_entries WHERE kind = 'earn' AND customer_id = ?"), "all that was earned")
}

// purse is what an account should hold, kept in the simplest way: time acts on every lot at once.
type purse struct {
	lots   []*lot
	earned int64
	held   []*heldPoints
}

type lot struct {
	left    int64
	matures time.Time
	expires *time.Time
}

type heldPoints struct {
	grant punchcard.Grant
	cost  int64
	parts map[*lot]int64
	ended bool
}

func (p *purse) pass(now time.Time) {
	for _, l := range p.lots {
		if l.expires != nil && !l.expires.After(now) && !l.matures.After(now) {
			l.left = 0
		}
	}
}

func (p *purse) now(now time.Time) store.PointsNow {
	p.pass(now)
	n := store.PointsNow{Points: punchcard.Points{Earned: p.earned}}
	for _, l := range p.lots {
		if l.matures.After(now) {
			n.Pending += l.left
			continue
		}
		n.Available += l.left
		if l.expires != nil && !l.expires.After(now.Add(store.ExpiringSoon)) {
			n.Expiring += l.left
		}
	}
	for _, g := range p.held {
		if !g.ended {
			n.Held += g.cost
		}
	}
	return n
}

// hold takes points from the lots, the soonest to expire first.
func (p *purse) hold(now time.Time, points int64) map[*lot]int64 {
	p.pass(now)
	lots := slices.Clone(p.lots)
	slices.SortStableFunc(lots, func(a, b *lot) int {
		switch {
		case a.expires == nil && b.expires == nil:
			return 0
		case a.expires == nil:
			return 1
		case b.expires == nil:
			return -1
		}
		return a.expires.Compare(*b.expires)
	})
	parts := map[*lot]int64{}
	for _, l := range lots {
		if take := min(points, l.left); !l.matures.After(now) && take > 0 {
			l.left -= take
			points -= take
			parts[l] = take
		}
	}
	return parts
}

// Any interleaving of earning, time, holds, captures and releases keeps the account, its ledger, its lots and its holds in
// step, and equal to a purse that is kept in the simplest way.
func TestPointsProperty(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		n := 0
		rapid.Check(h.t, func(t *rapid.T) {
			n++
			c := h.customer(fmt.Sprint(n)).ID
			p := &purse{}
			spans := rapid.SampledFrom([]time.Duration{0, time.Microsecond, time.Hour, 10 * day, 31 * day})
			actions := map[string]func(){
				"earn": func() {
					points := rapid.Int64Range(1, 60).Draw(t, "points")
					pending, life := spans.Draw(t, "pending"), spans.Draw(t, "life")
					key := fmt.Sprintf("earn/%s/%d", c, len(p.lots))
					require.NoError(t, h.earn(c, points, key, pending, life))
					require.True(t, store.IsDuplicate(h.earn(c, points, key, pending, life)))
					l := &lot{left: points, matures: h.clock.Now().Add(pending)}
					if life > 0 {
						l.expires = new(h.clock.Now().Add(life))
					}
					p.lots = append(p.lots, l)
					p.earned += points
				},
				"time": func() { h.clock.Advance(spans.Draw(t, "passes")) },
				"hold": func() {
					points := rapid.Int64Range(1, 80).Draw(t, "points")
					reaches := p.now(h.clock.Now()).Available >= points
					g, err := h.hold(c, points)
					if !reaches {
						require.Equal(t, store.ReasonNotEnoughPoints, punchcard.ReasonOf(err))
						return
					}
					require.NoError(t, err)
					p.held = append(p.held, &heldPoints{grant: *g, cost: points, parts: p.hold(h.clock.Now(), points)})
				},
				"end": func() {
					if len(p.held) == 0 {
						return
					}
					g := p.held[rapid.IntRange(0, len(p.held)-1).Draw(t, "which")]
					release := rapid.Bool().Draw(t, "release")
					how := (*store.Tx).CaptureGrant
					if release {
						how = (*store.Tx).ReleaseGrant
					}
					done, err := h.finish(g.grant, how)
					require.NoError(t, err)
					require.Equal(t, !g.ended, done, "a grant ends once")
					if done && release {
						for l, points := range g.parts {
							l.left += points
						}
					}
					g.ended = true
				},
				"settle": func() { require.NoError(t, h.try(func(tx *store.Tx) error { return tx.Settle(c) })) },
			}
			names := []string{"earn", "earn", "time", "hold", "hold", "end", "end", "settle"}
			for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 1, 12).Draw(t, "actions") {
				actions[name]()
				require.Equal(t, p.now(h.clock.Now()), h.points(c), "after %s", name)
				h.balanced(t, c)
				unsettled := h.points(c)
				require.ErrorIs(t, h.try(func(tx *store.Tx) error {
					require.NoError(t, tx.Settle(c))
					settled, err := tx.PointsNow(c)
					require.NoError(t, err)
					require.Equal(t, unsettled, bare(settled))
					return errNotForKeeps
				}), errNotForKeeps)
			}
		})
	})
}

var errNotForKeeps = errors.New("not for keeps")

func TestPointsTogether(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		const start, price, tries = 500, 10, 200
		c := h.customer("1").ID
		for i := range 5 {
			require.NoError(h.t, h.earn(c, start/5, fmt.Sprint("earn/", i), 0, time.Duration(i)*365*day))
		}
		captured := make([]int, tries)
		noErrors(h.t, together(tries, func(i int) error {
			g, err := h.hold(c, price)
			if punchcard.ReasonOf(err) == store.ReasonNotEnoughPoints {
				return nil
			}
			if err != nil {
				return err
			}
			if i%3 == 0 {
				_, err = h.finish(*g, (*store.Tx).ReleaseGrant)
				return err
			}
			// Two tills at once: one of them captures.
			for _, err := range together(2, func(int) error {
				done, err := h.finish(*g, (*store.Tx).CaptureGrant)
				if done {
					captured[i]++ // a second would be seen as 2, or by the race detector
				}
				return err
			}) {
				if err != nil {
					return err
				}
			}
			return nil
		}))
		spent := int64(0)
		for _, n := range captured {
			require.LessOrEqual(h.t, n, 1)
			spent += int64(n) * price
		}
		p := h.points(c)
		require.Zero(h.t, p.Held)
		require.Equal(h.t, start-spent, p.Available)
		h.balanced(h.t, c)
	})
}
