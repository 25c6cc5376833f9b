package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

func TestAddEvent(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		e := &punchcard.Event{
			ID: "order-1", CustomerID: c.ID, Name: "order.placed", Depth: 2,
			Properties: map[string]any{"total": 9.5, "items": []any{map[string]any{"name": "☕"}}, "coupon": nil, "gift": false},
			Profile:    punchcard.Profile{Name: "Ada", Attributes: map[string]any{"vip": true}},
			OccurredAt: time.Date(2026, 3, 2, 12, 30, 0, 123456789, time.FixedZone("east", 2*3600)),
		}
		h.do(func(tx *store.Tx) error {
			fresh, err := tx.AddEvent(e)
			require.True(h.t, fresh)
			return err
		})
		require.Equal(h.t, time.Date(2026, 3, 2, 10, 30, 0, 123456000, time.UTC), e.OccurredAt)
		have, err := h.view().Event("order-1")
		require.NoError(h.t, err)
		require.Equal(h.t, e, have)
		require.Positive(h.t, have.Seq)
		require.Equal(h.t, punchcard.EventPending, have.Status)
		require.Equal(h.t, monday, have.ReceivedAt)

		// The same event again, even with other content, is the one that is there.
		h.do(func(tx *store.Tx) error {
			fresh, err := tx.AddEvent(&punchcard.Event{ID: "order-1", CustomerID: c.ID, Name: "other", OccurredAt: monday})
			require.False(h.t, fresh)
			return err
		})
		again, err := h.view().Event("order-1")
		require.NoError(h.t, err)
		require.Equal(h.t, have, again)

		none, err := h.view().Event("order-2")
		require.NoError(h.t, err)
		require.Nil(h.t, none)
		require.Error(h.t, h.try(func(tx *store.Tx) error {
			_, err := tx.AddEvent(&punchcard.Event{ID: "order-3", CustomerID: "cus_nobody", Name: "order.placed", OccurredAt: monday})
			return err
		}), "an event of nobody")
	})
}

// A try that is rolled back and run again stores the event under a seq of its own.
func TestAddEventAgainAfterARollback(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		e := &punchcard.Event{ID: "a", CustomerID: c.ID, Name: "order.placed", OccurredAt: monday}
		tries := 0
		h.do(func(tx *store.Tx) error {
			tries++
			fresh, err := tx.AddEvent(e)
			require.NoError(h.t, err)
			require.True(h.t, fresh)
			if tries < 3 {
				return fmt.Errorf("deadlock: %w", store.ErrTryAgain)
			}
			return nil
		})
		require.Equal(h.t, 3, tries)
		have, _, err := h.view().NextEvent(c.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, e, have)
	})
}

func TestRouting(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c, other := h.customer("1"), h.customer("2")
		a, b := h.event(c.ID, "a", "order.placed"), h.event(c.ID, "b", "order.placed")
		h.event(other.ID, "z", "order.placed")

		next := func() *punchcard.Event {
			e, _, err := h.view().NextEvent(c.ID)
			require.NoError(h.t, err)
			return e
		}
		require.Equal(h.t, "a", next().ID)
		h.clock.Advance(time.Second)
		h.do(func(tx *store.Tx) error { return tx.MarkRouted(a) })
		have, err := h.view().Event("a")
		require.NoError(h.t, err)
		require.Equal(h.t, a, have)
		require.Equal(h.t, new(monday.Add(time.Second)), have.RoutedAt)

		// The second fails three times and is parked, whatever its error holds.
		require.Equal(h.t, "b", next().ID)
		for try := 1; try <= 3; try++ {
			h.do(func(tx *store.Tx) error {
				parked, err := tx.MarkFailed(b.Seq, "bad \x00 byte \xff"+strings.Repeat("é", 4000), 3)
				require.Equal(h.t, try == 3, parked)
				return err
			})
		}
		require.Nil(h.t, next())
		h.do(func(tx *store.Tx) error {
			parked, err := tx.MarkFailed(b.Seq, "again", 3)
			require.False(h.t, parked, "it is parked already")
			return err
		})
		parked, err := h.view().ParkedEvents(0, 10)
		require.NoError(h.t, err)
		require.Len(h.t, parked, 1)
		require.Equal(h.t, 3, parked[0].Attempts)
		require.True(h.t, strings.HasPrefix(parked[0].Error, "bad  byte é"), parked[0].Error[:20])
		parked, err = h.view().ParkedEvents(b.Seq, 10)
		require.NoError(h.t, err)
		require.Empty(h.t, parked)

		h.do(func(tx *store.Tx) error { return tx.Unpark("b") })
		require.Equal(h.t, "b", next().ID)
		require.Zero(h.t, next().Attempts)
		require.Empty(h.t, next().Error)
		require.Equal(h.t, punchcard.CodeNotFound, punchcard.CodeOf(h.try(func(tx *store.Tx) error { return tx.Unpark("b") })))

		// A failure without a word is parked too: the schema wants one.
		h.do(func(tx *store.Tx) error {
			_, err := tx.MarkFailed(b.Seq, "", 1)
			return err
		})

		latest, err := h.view().LatestEvent(c.ID, "order.placed")
		require.NoError(h.t, err)
		require.Equal(h.t, "a", latest.ID, "the newest that was routed")
		latest, err = h.view().LatestEvent(c.ID, "cart.updated")
		require.NoError(h.t, err)
		require.Nil(h.t, latest)

		require.Error(h.t, h.exec("UPDATE events SET status = 'routed' WHERE id = 'z'"), "routed at no time")
		require.Error(h.t, h.exec("UPDATE events SET status = 'parked' WHERE id = 'z'"), "parked for no reason")
		require.Error(h.t, h.exec("UPDATE events SET status = 'lost' WHERE id = 'z'"))
		require.Error(h.t, h.exec("UPDATE events SET depth = -1 WHERE id = 'z'"))
	})
}

func (h *house) claim(by string, limit int, lease time.Duration) []string {
	h.t.Helper()
	var ids []string
	h.do(func(tx *store.Tx) (err error) {
		ids, err = tx.ClaimCustomers(by, limit, lease)
		return err
	})
	return ids
}

func TestClaimCustomers(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		require.Empty(h.t, h.claim("d1", 10, time.Minute))
		c := h.customer("1")
		a := h.event(c.ID, "a", "order.placed")
		require.Equal(h.t, []string{c.ID}, h.claim("d1", 10, time.Minute))
		require.Empty(h.t, h.claim("d2", 10, time.Minute), "it is claimed")

		// Who does not hold the claim can neither finish nor postpone it.
		h.do(func(tx *store.Tx) error { return tx.MarkRouted(a) })
		h.do(func(tx *store.Tx) error {
			return errors.Join(tx.FinishCustomer("d2", c.ID), tx.PostponeCustomer("d2", c.ID, -time.Minute))
		})
		require.Empty(h.t, h.claim("d2", 10, time.Minute))

		// An event that comes meanwhile takes the claim away: finishing it changes nothing.
		b := h.event(c.ID, "b", "order.placed")
		h.do(func(tx *store.Tx) error { return tx.MarkRouted(b) })
		h.event(c.ID, "c", "order.placed")
		h.do(func(tx *store.Tx) error { return tx.FinishCustomer("d1", c.ID) })
		require.Equal(h.t, []string{c.ID}, h.claim("d2", 10, -time.Second), "a lease that is over already")
		require.Equal(h.t, []string{c.ID}, h.claim("d3", 10, time.Minute))

		// With an event pending, the customer stays and is due at once.
		h.do(func(tx *store.Tx) error { return tx.FinishCustomer("d3", c.ID) })
		require.Equal(h.t, []string{c.ID}, h.claim("d3", 10, time.Minute))
		h.do(func(tx *store.Tx) error { return tx.PostponeCustomer("d3", c.ID, time.Minute) })
		require.Empty(h.t, h.claim("d3", 10, time.Minute))
		require.EqualValues(h.t, 1, scalar[int64](h, "SELECT count(*) FROM pending_customers"))
		h.event(c.ID, "d", "order.placed")
		require.Equal(h.t, []string{c.ID}, h.claim("d3", 10, time.Minute), "a new event ends the pause")

		// With none pending, the place is closed.
		require.NoError(h.t, h.exec("UPDATE events SET status = 'routed', routed_at = received_at"))
		h.do(func(tx *store.Tx) error { return tx.FinishCustomer("d3", c.ID) })
		require.Zero(h.t, scalar[int64](h, "SELECT count(*) FROM pending_customers"))
	})
}

// What a transaction adds for the customer whose claim it works on leaves the claim where it is; others take theirs away.
func TestAClaimIsKeptByItsOwnEvents(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c, other := h.customer("1"), h.customer("2")
		raise := func(tx *store.Tx, ids ...string) error {
			for _, id := range ids {
				err := tx.AddEvents(&punchcard.Event{ID: punchcard.NewID(punchcard.PrefixEvent), CustomerID: id, Name: "raised", OccurredAt: monday})
				if err != nil {
					return err
				}
			}
			return nil
		}
		h.event(c.ID, "a", "order.placed")
		require.Equal(h.t, []string{c.ID}, h.claim("d1", 10, time.Hour))
		h.do(func(tx *store.Tx) error {
			tx.Claimed("d1", c.ID, time.Hour)
			if err := raise(tx, c.ID, other.ID); err != nil {
				return err
			}
			ended, err := tx.EndClaim()
			require.False(h.t, ended, "there is more to do")
			return err
		})
		require.Equal(h.t, []string{other.ID}, h.claim("d2", 10, time.Hour), "the other's place is anybody's")
		require.NoError(h.t, h.exec("UPDATE events SET status = 'routed', routed_at = received_at"))
		h.do(func(tx *store.Tx) error {
			tx.Claimed("d1", c.ID, time.Hour)
			ended, err := tx.EndClaim()
			require.True(h.t, ended)
			return err
		})
		require.EqualValues(h.t, 1, scalar[int64](h, "SELECT count(*) FROM pending_customers"), "the other's")

		// A place that somebody else has closed meanwhile is there again, and its claim runs out in its time.
		h.do(func(tx *store.Tx) error {
			tx.Claimed("d1", c.ID, -time.Second)
			return raise(tx, c.ID)
		})
		require.Equal(h.t, []string{c.ID}, h.claim("d2", 10, time.Hour))
	})
}

func TestClaimsOfCustomersNeverOverlap(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		const dispatchers, limit = 6, 3
		for i := range dispatchers * limit {
			h.event(h.customer(fmt.Sprint(i)).ID, fmt.Sprint(i), "order.placed")
		}
		met := h.meet(dispatchers)
		claimed := make([][]string, dispatchers)
		noErrors(h.t, together(dispatchers, func(i int) error {
			return h.try(func(tx *store.Tx) (err error) {
				if claimed[i], err = tx.ClaimCustomers(fmt.Sprint("d", i), limit, time.Hour); err != nil {
					return err
				}
				return met()
			})
		}))
		all := slices.Concat(claimed...)
		slices.Sort(all)
		require.Len(h.t, slices.Compact(all), dispatchers*limit)
	})
}

// A dispatcher that closes a customer's place while an event is being committed leaves the place to that event.
func TestFinishCustomerWaitsForAnEventThatIsUnderWay(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.New(t, store.Postgres))
	c := h.customer("1")
	e := h.event(c.ID, "a", "order.placed")
	require.Equal(t, []string{c.ID}, h.claim("d1", 10, time.Hour))
	h.do(func(tx *store.Tx) error { return tx.MarkRouted(e) })

	finished := make(chan error, 1)
	h.do(func(tx *store.Tx) error {
		if _, err := tx.AddEvent(&punchcard.Event{ID: "b", CustomerID: c.ID, Name: "order.placed", OccurredAt: monday}); err != nil {
			return err
		}
		go func() {
			finished <- h.try(func(tx *store.Tx) error { return tx.FinishCustomer("d1", c.ID) })
		}()
		require.Eventually(t, func() bool {
			return scalar[int64](h, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 1
		}, 20*time.Second, 5*time.Millisecond, "it waits for this transaction")
		return nil
	})
	require.NoError(t, <-finished)
	require.Equal(t, []string{c.ID}, h.claim("d2", 10, time.Hour), "the event is still to be routed")
}

// Dispatchers that end claims while events come in, some of which raise another, lose none: each is routed exactly once, in the order
// of its seq.
func TestEndClaimNeverLosesAnEvent(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		const customers, writers, each = 3, 4, 15
		ids := make([]string, customers)
		for i := range ids {
			ids[i] = h.customer(fmt.Sprint(i)).ID
		}
		var mu sync.Mutex
		routed := map[string][]int64{}
		var writing, raised atomic.Int32
		writing.Store(writers)
		dispatch := func(by string) error {
			for {
				before := writing.Load()
				var claimed []string
				if err := h.try(func(tx *store.Tx) (err error) {
					claimed, err = tx.ClaimCustomers(by, 1, time.Hour)
					return err
				}); err != nil {
					return err
				}
				for _, id := range claimed {
					for more := true; more; {
						if err := h.try(func(tx *store.Tx) error {
							if _, err := tx.LockCustomer(id); err != nil {
								return err
							}
							tx.Claimed(by, id, time.Hour)
							e, last, err := tx.NextEvent(id)
							if err != nil {
								return err
							}
							if e != nil {
								if err := tx.MarkRouted(e); err != nil {
									return err
								}
								mu.Lock()
								routed[id] = append(routed[id], e.Seq)
								mu.Unlock()
							}
							if e != nil && e.Depth == 0 && e.Seq%3 == 0 {
								raised.Add(1)
								err := tx.AddEvents(&punchcard.Event{ID: punchcard.NewID(punchcard.PrefixEvent), CustomerID: id, Name: "raised", OccurredAt: monday, Depth: 1})
								if err != nil {
									return err
								}
							}
							if more = true; !last {
								return nil
							}
							ended, err := tx.EndClaim()
							more = !ended
							return err
						}); err != nil {
							return err
						}
					}
				}
				if len(claimed) == 0 && before == 0 {
					return nil
				}
			}
		}
		noErrors(h.t, together(writers+2, func(i int) error {
			if i >= writers {
				return dispatch(fmt.Sprint("d", i))
			}
			defer writing.Add(-1)
			for n := range each {
				for _, c := range ids {
					if err := h.try(func(tx *store.Tx) error {
						_, err := tx.AddEvent(&punchcard.Event{ID: fmt.Sprintf("%s/%d/%d", c, i, n), CustomerID: c, Name: "order.placed", OccurredAt: monday})
						return err
					}); err != nil {
						return err
					}
				}
			}
			return nil
		}))
		n := 0
		for _, c := range ids {
			require.True(h.t, slices.IsSorted(routed[c]), "%v", routed[c])
			n += len(routed[c])
		}
		require.Equal(h.t, customers*writers*each+int(raised.Load()), n)
		require.NotZero(h.t, raised.Load())
		require.Zero(h.t, scalar[int64](h, "SELECT count(*) FROM events WHERE status <> 'routed'"))
		require.Zero(h.t, scalar[int64](h, "SELECT count(*) FROM pending_customers"))
	})
}

// An event whose transaction is open holds back the customer's later ones, so that the order of seq is the order of commits.
func TestEventsAreCommittedInTheOrderOfSeq(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		var mu sync.Mutex
		var seqs []int64
		noErrors(h.t, together(20, func(i int) error {
			return h.try(func(tx *store.Tx) error {
				e := &punchcard.Event{ID: fmt.Sprint(i), CustomerID: c.ID, Name: "order.placed", OccurredAt: monday}
				if _, err := tx.AddEvent(e); err != nil {
					return err
				}
				mu.Lock() // the transaction still has the place in the queue
				seqs = append(seqs, e.Seq)
				mu.Unlock()
				return nil
			})
		}))
		require.Len(h.t, seqs, 20)
		require.True(h.t, slices.IsSorted(seqs), "%v", seqs)
	})
}

func TestTotals(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		placed := func(id string, ago time.Duration, total float64) {
			e := &punchcard.Event{ID: id, CustomerID: c.ID, Name: "order.placed", OccurredAt: monday.Add(-ago)}
			h.do(func(tx *store.Tx) error {
				if _, err := tx.AddEvent(e); err != nil {
					return err
				}
				return tx.Count(e, map[string]float64{"total": total})
			})
		}
		const day = 24 * time.Hour
		placed("a", 0, 0.1)
		placed("b", time.Hour, 0.2)
		placed("c", 2*day, 1000.0001)
		placed("d", 40*day, -500)
		for name, want := range map[string]struct {
			event, field string
			window       time.Duration
			total        float64
		}{
			"number for life":     {"order.placed", "", 0, 4},
			"sum for life":        {"order.placed", "total", 0, 500.3001},
			"number of the day":   {"order.placed", "", time.Hour, 2},
			"sum is exact":        {"order.placed", "total", time.Hour, 0.3},
			"a window, whole day": {"order.placed", "", 2 * day, 3},
			"sum in a window":     {"order.placed", "total", 30 * day, 1000.3001},
			"another event":       {"cart.updated", "", 0, 0},
			"another field":       {"order.placed", "tip", 0, 0},
		} {
			have, err := h.view().Total(c.ID, want.event, want.field, want.window)
			require.NoError(h.t, err, name)
			require.InDelta(h.t, want.total, have, 0, name)
		}
		none, err := h.view().Total("cus_nobody", "order.placed", "", 0)
		require.NoError(h.t, err)
		require.Zero(h.t, none)
	})
}

func TestMilestonesAndEarnings(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		h.do(func(tx *store.Tx) error {
			first, err := tx.ReachMilestone(c.ID, "fifth-coffee", 1)
			require.NoError(h.t, err)
			again, err := tx.ReachMilestone(c.ID, "fifth-coffee", 1)
			require.NoError(h.t, err)
			second, err := tx.ReachMilestone(c.ID, "fifth-coffee", 2)
			require.Equal(h.t, []bool{true, false, true}, []bool{first, again, second})
			return err
		})
		require.Error(h.t, h.try(func(tx *store.Tx) error {
			_, err := tx.ReachMilestone(c.ID, "fifth-coffee", 0)
			return err
		}))

		h.do(func(tx *store.Tx) error { return tx.AddEarning(c.ID, "referral.completed", "evt_1") })
		h.clock.Advance(time.Hour)
		h.do(func(tx *store.Tx) error { return tx.AddEarning(c.ID, "referral.completed", "evt_2") })
		for since, want := range map[time.Time]int64{monday.Add(-1): 2, monday: 1, monday.Add(time.Hour): 0} {
			n, err := h.view().Earnings(c.ID, "referral.completed", since)
			require.NoError(h.t, err)
			require.Equal(h.t, want, n)
		}
		err := h.try(func(tx *store.Tx) error { return tx.AddEarning(c.ID, "referral.completed", "evt_2") })
		require.True(h.t, store.IsDuplicate(err), "%v", err)
	})
}

// Hundreds of the largest numbers that dispatch takes add up exactly.
func TestTotalsOfTheLargestNumbers(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		h.do(func(tx *store.Tx) error {
			for range 900 {
				e := &punchcard.Event{CustomerID: c.ID, Name: "order.placed", OccurredAt: monday}
				if err := tx.Count(e, map[string]float64{"most": 1e12, "least": -1e12}); err != nil {
					return err
				}
			}
			return nil
		})
		for field, want := range map[string]float64{"most": 900e12, "least": -900e12} {
			have, err := h.view().Total(c.ID, "order.placed", field, 0)
			require.NoError(h.t, err)
			require.InDelta(h.t, want, have, 0, field)
		}
	})
}
