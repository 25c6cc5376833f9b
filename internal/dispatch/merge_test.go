package dispatch_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
	"punchcard/rules"
)

func (b *bundle) customer(who dispatch.Reference) *punchcard.Customer {
	b.t.Helper()
	c, err := b.d.Resolve(b.ctx, who)
	require.NoError(b.t, err)
	return c
}

// send ingests events that are all sound.
func (b *bundle) send(events ...dispatch.Incoming) {
	b.t.Helper()
	receipt, err := b.d.Ingest(b.ctx, events)
	require.NoError(b.t, err)
	require.Empty(b.t, receipt.Rejected)
}

// live a while: orders, carts, consents, rewards and messages of one customer, by chance.
func (b *bundle) live(chance *rand.Rand, name string) {
	b.t.Helper()
	who := dispatch.Reference{ExternalID: name}
	b.send(order(name+"-first", who))
	for i := range chance.IntN(8) {
		id := fmt.Sprintf("%s-%d", name, i)
		switch chance.IntN(3) {
		case 0:
			b.send(order(id, who))
		default:
			cart := fmt.Sprintf("cart-%d", chance.IntN(3)) // the other may have a run of the same key
			b.send(dispatch.Incoming{ID: id, Name: "cart.updated", Customer: who, Properties: map[string]any{"cart_id": cart, "total": 50.0, "items": []any{}}})
		}
		if chance.IntN(2) == 0 {
			b.drain()
		}
	}
	c := b.customer(who)
	require.NoError(b.t, b.store.Update(b.ctx, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(c.ID); err != nil {
			return err
		}
		for range chance.IntN(4) {
			standings := []punchcard.Standing{punchcard.StandingRequested, punchcard.StandingGranted, punchcard.StandingRefused, punchcard.StandingRevoked, punchcard.StandingExpired}
			topics := []string{"offers", "reminders", "rewards"}
			err := tx.AddConsent(&punchcard.ConsentEntry{
				CustomerID: c.ID, Topic: topics[chance.IntN(3)], Standing: standings[chance.IntN(5)], Source: "test", Channel: punchcard.ChannelAPI,
			})
			if err != nil && punchcard.CodeOf(err) != punchcard.CodeConflict {
				return err
			}
		}
		if _, _, err := tx.Earn(c.ID, 1+chance.Int64N(500), "test", "test", punchcard.NewID("k"), tx.Now.Add(time.Duration(chance.IntN(2))*time.Hour), nil); err != nil {
			return err
		}
		if p, err := tx.PointsNow(c.ID); err != nil || p.Available == 0 || chance.IntN(2) == 0 {
			return err
		}
		g := &punchcard.Grant{ID: punchcard.NewID(punchcard.PrefixGrant), CustomerID: c.ID, Reward: "free-coffee", Status: punchcard.GrantHeld, Cost: 1, Version: 1}
		if err := tx.AddGrant(g); err != nil {
			return err
		}
		return tx.Hold(g, 1, 0)
	}))
}

// whole is what must not change when two customers become one.
type whole struct {
	points           punchcard.Points // their sums
	orders           float64
	runs, grants     int
	ledger, consents int
	standings        map[string]punchcard.Standing
}

func (b *bundle) whole(id string) whole {
	b.t.Helper()
	view := b.store.View(b.ctx)
	p, err := view.PointsNow(id)
	require.NoError(b.t, err)
	w := whole{points: punchcard.Points{Available: p.Available, Pending: p.Pending, Held: p.Held, Debt: p.Debt, Earned: p.Earned}}
	w.orders, err = view.Total(id, "order.placed", "", 0)
	require.NoError(b.t, err)
	runs, err := view.Runs(id, "", 1000)
	require.NoError(b.t, err)
	grants, err := view.Grants(id, "", 1000)
	require.NoError(b.t, err)
	ledger, err := view.Ledger(id, 0, 10000)
	require.NoError(b.t, err)
	consents, err := view.Consents(id, 0, 1000)
	require.NoError(b.t, err)
	w.runs, w.grants, w.ledger, w.consents = len(runs), len(grants), len(ledger), len(consents)
	standings, err := view.Standings(id)
	require.NoError(b.t, err)
	w.standings = map[string]punchcard.Standing{}
	for topic, s := range standings {
		w.standings[topic] = s.Standing
	}
	// The account is the sum of the ledger, whoever's name stands on its lines.
	sums := map[punchcard.PointsAccount]int64{}
	for _, e := range ledger {
		sums[e.From] -= e.Points
		sums[e.To] += e.Points
	}
	kept, err := view.Account(id)
	require.NoError(b.t, err)
	require.Equal(b.t, map[punchcard.PointsAccount]int64{punchcard.PointsAvailable: kept.Available, punchcard.PointsPending: kept.Pending, punchcard.PointsHeld: kept.Held},
		map[punchcard.PointsAccount]int64{
			punchcard.PointsAvailable: sums[punchcard.PointsAvailable], punchcard.PointsPending: sums[punchcard.PointsPending], punchcard.PointsHeld: sums[punchcard.PointsHeld],
		})
	return w
}

var noes = map[punchcard.Standing]int{punchcard.StandingExpired: 1, punchcard.StandingRefused: 2, punchcard.StandingRevoked: 3}

// Two customers with any histories become one: sums are equal, nothing is lost, a no stays a no, and the id of the merged leads on.
func TestMergeAnyTwo(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		for range 6 {
			seed := rand.Uint64()
			chance := rand.New(rand.NewPCG(seed, 1))
			names := []string{fmt.Sprintf("a%x", seed), fmt.Sprintf("b%x", seed)}
			var ids []string
			for _, n := range names {
				b.live(chance, n)
				ids = append(ids, b.customer(dispatch.Reference{ExternalID: n}).ID)
			}
			if chance.IntN(2) == 0 {
				b.drain()
			}
			if chance.IntN(2) == 0 {
				ids[0], ids[1] = ids[1], ids[0]
			}
			one, other := b.whole(ids[0]), b.whole(ids[1])
			c, err := b.d.Merge(b.ctx, ids[1], ids[0])
			require.NoError(t, err, "seed %d", seed)
			require.Equal(t, ids[0], c.ID)
			again, err := b.d.Merge(b.ctx, ids[1], ids[0])
			require.NoError(t, err)
			require.Equal(t, c.ID, again.ID)

			now := b.whole(c.ID)
			require.Equal(t, one.points.Available+other.points.Available-one.points.Debt-other.points.Debt, now.points.Available-now.points.Debt, "seed %d", seed)
			require.Equal(t, one.points.Pending+other.points.Pending, now.points.Pending, "seed %d", seed)
			require.Equal(t, one.points.Held+other.points.Held, now.points.Held, "seed %d", seed)
			require.Equal(t, one.points.Earned+other.points.Earned, now.points.Earned, "seed %d", seed)
			require.InDelta(t, one.orders+other.orders, now.orders, 0, "seed %d", seed)
			require.Equal(t, one.runs+other.runs, now.runs, "seed %d", seed)
			require.Equal(t, one.grants+other.grants, now.grants, "seed %d", seed)
			require.GreaterOrEqual(t, now.ledger, one.ledger+other.ledger, "seed %d", seed)
			require.GreaterOrEqual(t, now.consents, one.consents+other.consents, "seed %d", seed)
			for _, before := range []whole{one, other} {
				for topic, s := range before.standings {
					require.GreaterOrEqual(t, noes[now.standings[topic]], noes[s], "seed %d: %s was %s and is %s", seed, topic, s, now.standings[topic])
				}
			}
			for topic, s := range now.standings {
				if s == punchcard.StandingGranted {
					require.Contains(t, []punchcard.Standing{one.standings[topic], other.standings[topic]}, s, "no consent is made: seed %d", seed)
				}
			}
			b.drain()
			for i, n := range names {
				require.Equal(t, c.ID, b.customer(dispatch.Reference{ExternalID: n}).ID, i)
				require.Equal(t, c.ID, b.customer(dispatch.Reference{ID: ids[i]}).ID, i)
			}
			open, err := b.store.View(b.ctx).OpenRunsOf("", 0, "", 10000)
			require.NoError(t, err)
			places := map[string]bool{}
			for _, r := range open {
				place := r.CustomerID + r.Journey + r.Key
				require.False(t, places[place], "seed %d", seed)
				places[place] = true
				require.NotEqual(t, ids[1], r.CustomerID)
			}
			parked, err := b.store.View(b.ctx).ParkedEvents(0, 10)
			require.NoError(t, err)
			require.Empty(t, parked)
		}
	})
}

// A merge comes between everything else: events that come for both by all their names, two dispatchers that route them, statuses
// of messages, and effects of the runs. Nothing is lost and nothing counts twice.
func TestMergeMeanwhile(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b, other := setup(t, open()), setup(t, open())
		const pairs, orders = 4, 6
		f := fence.New(b.store)
		for n := range pairs {
			names := []string{fmt.Sprintf("a%d", n), fmt.Sprintf("b%d", n)}
			var ids, runs []string
			for _, name := range names {
				who := dispatch.Reference{ExternalID: name}
				b.send(dispatch.Incoming{ID: name + "-cart", Name: "cart.updated", Customer: who, Properties: map[string]any{
					"cart_id": name, "total": 50.0, "items": []any{},
				}})
				b.drain()
				ids = append(ids, b.customer(who).ID)
				open, err := b.store.View(b.ctx).Runs(ids[len(ids)-1], "", 10)
				require.NoError(t, err)
				for _, r := range open {
					if r.Journey == "abandoned-cart" {
						runs = append(runs, r.ID)
					}
				}
			}
			require.Len(t, runs, 2)
			var wg sync.WaitGroup
			start := make(chan struct{})
			do := func(fn func() error) {
				wg.Go(func() {
					<-start
					if err := fn(); err != nil {
						t.Error(err)
					}
				})
			}
			for i, name := range names {
				by := []dispatch.Reference{{ExternalID: name}, {ID: ids[i]}}
				do(func() error {
					for k := range orders {
						r, err := b.d.Ingest(b.ctx, []dispatch.Incoming{order(fmt.Sprintf("%s-%d", name, k), by[k%2])})
						if err != nil {
							return err
						}
						if r.Accepted != 1 {
							return fmt.Errorf("not accepted: %v", r.Rejected)
						}
					}
					return nil
				})
				do(func() error {
					for k := range orders {
						_, err := f.Do(b.ctx, runs[i], rules.Effect{Node: "2", Step: k + 1, Heard: 1000}, func(p *fence.Pass) (rules.Result, error) {
							if p.Run.CustomerID != p.Customer.ID || p.Customer.MergedInto != nil {
								return rules.Result{}, fmt.Errorf("a run of %s acts as %s", p.Run.CustomerID, p.Customer.ID)
							}
							key := fmt.Sprintf("%s/%d", p.Run.ID, k)
							_, _, err := p.Tx.Earn(p.Customer.ID, 100, "test", "test", key, p.Tx.Now, nil)
							return rules.Result{Reply: rules.ReplyDeferred}, err
						})
						if err != nil {
							return err
						}
					}
					return nil
				})
			}
			for _, d := range []*dispatch.Dispatcher{b.d, other.d} {
				do(func() error {
					for range 3 {
						if _, err := d.Drain(b.ctx); err != nil {
							return err
						}
					}
					return nil
				})
			}
			do(func() error { _, err := b.d.Merge(b.ctx, ids[0], ids[1]); return err })
			do(func() error { _, err := other.d.Merge(b.ctx, ids[1], ids[0]); return err })
			close(start)
			wg.Wait()
			b.drain()

			c := b.customer(dispatch.Reference{ID: ids[0]})
			require.Equal(t, c.ID, b.customer(dispatch.Reference{ID: ids[1]}).ID)
			w := b.whole(c.ID)
			require.InDelta(t, 2*orders, w.orders, 0)
			for _, id := range ids {
				e, _, err := b.store.View(b.ctx).NextEvent(id)
				require.NoError(t, err)
				require.Nil(t, e, "every event is routed")
			}
			found, err := b.store.View(b.ctx).Runs(c.ID, "", 1000)
			require.NoError(t, err)
			kept := map[string]bool{}
			for _, r := range found {
				kept[r.ID] = true
			}
			require.True(t, kept[runs[0]] && kept[runs[1]])
		}
	})
}

// Of two runs that are live for one journey and key the older goes on; an entry that waits for its end goes on waiting.
func TestMergeTwinRuns(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		cart := func(id, who string) dispatch.Incoming {
			return dispatch.Incoming{ID: id, Name: "cart.updated", Customer: dispatch.Reference{ExternalID: who}, Properties: map[string]any{
				"cart_id": "c", "total": 50.0, "items": []any{},
			}}
		}
		b.send(cart("1", "older"))
		b.drain()
		b.send(cart("2", "younger"))
		b.drain()
		older, younger := b.customer(dispatch.Reference{ExternalID: "older"}), b.customer(dispatch.Reference{ExternalID: "younger"})
		c, err := b.d.Merge(b.ctx, older.ID, younger.ID)
		require.NoError(t, err)
		require.Equal(t, younger.ID, c.ID, "the caller says who stays")
		b.drain()
		runs, err := b.store.View(b.ctx).Runs(c.ID, "", 10)
		require.NoError(t, err)
		outcomes := map[string]string{}
		for _, r := range runs {
			if r.Journey == "abandoned-cart" {
				outcomes[r.EventID] = r.Outcome
			}
		}
		require.Equal(t, map[string]string{"1": "", "2": punchcard.OutcomeMerged}, outcomes)
		e, err := b.store.View(b.ctx).LatestEvent(c.ID, punchcard.EventCustomerMerged)
		require.NoError(t, err)
		require.Equal(t, map[string]any{"merged": older.ID, "into": younger.ID}, e.Properties)

		list, err := b.store.View(b.ctx).CustomersAfter("", 10)
		require.NoError(t, err)
		require.Len(t, list, 1)
	})
}
