package dispatch_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
	"punchcard/programs"
	"punchcard/rules"
)

// engine keeps what it is told. It fails while down.
type engine struct {
	mu   sync.Mutex
	down error
	told map[string][]string // by run: "start", or the signals' kinds
}

func (e *engine) Start(_ context.Context, s rules.Start) error { return e.tell(s.Run, "start") }

func (e *engine) Signal(_ context.Context, _, run string, s rules.Signal) error {
	return e.tell(run, fmt.Sprintf("%d %s %s", s.N, s.Kind, s.Outcome))
}

func (e *engine) tell(run, what string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.down != nil {
		return e.down
	}
	e.told[run] = append(e.told[run], what)
	return nil
}

type bundle struct {
	t      *testing.T
	ctx    context.Context
	store  *store.Store
	d      *dispatch.Dispatcher
	engine *engine
}

// setup is dispatch over the coffee program, or another.
func setup(t *testing.T, s *store.Store, program ...fs.FS) *bundle {
	t.Helper()
	f := fence.New(s)
	p, problems := rules.Load(append(program, programs.Coffee())[0])
	require.Empty(t, problems)
	_, _, err := f.Catalog.Publish(t.Context(), p)
	require.NoError(t, err)
	e := &engine{told: map[string][]string{}}
	return &bundle{t: t, ctx: context.Background(), store: s, engine: e, d: dispatch.New(f, e, slog.New(slog.DiscardHandler))}
}

func (b *bundle) drain() {
	b.t.Helper()
	_, err := b.d.Drain(b.ctx)
	require.NoError(b.t, err)
}

func order(id string, who dispatch.Reference) dispatch.Incoming {
	return dispatch.Incoming{ID: id, Name: "order.placed", Customer: who, Properties: map[string]any{"order_id": id, "total": 10.0}}
}

func TestIngestRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.New(t, store.SQLite))
	phone := dispatch.Reference{Phone: "+4520123456"}
	sound := func(change func(*dispatch.Incoming)) dispatch.Incoming {
		in := order("e1", phone)
		change(&in)
		return in
	}
	cases := map[string]dispatch.Incoming{
		"id is missing":                      sound(func(in *dispatch.Incoming) { in.ID = "" }),
		"id is longer":                       sound(func(in *dispatch.Incoming) { in.ID = strings.Repeat("x", 201) }),
		"characters that are no text":        sound(func(in *dispatch.Incoming) { in.ID = "a\x00b" }),
		"has no name":                        sound(func(in *dispatch.Incoming) { in.Name = "" }),
		`did you mean "order.placed"?`:       sound(func(in *dispatch.Incoming) { in.Name = "order.place" }),
		"raised by Punchcard itself":         sound(func(in *dispatch.Incoming) { in.Name = "milestone.reached" }),
		"say who the customer is":            sound(func(in *dispatch.Incoming) { in.Customer = dispatch.Reference{} }),
		"starts with +":                      sound(func(in *dispatch.Incoming) { in.Customer.Phone = "20123456" }),
		"not a phone number":                 sound(func(in *dispatch.Incoming) { in.Customer.Phone = "+45 12" }),
		"is not one of ours":                 sound(func(in *dispatch.Incoming) { in.Customer.ID = "me" }),
		"no customer with that id":           sound(func(in *dispatch.Incoming) { in.Customer.ID = punchcard.NewID(punchcard.PrefixCustomer) }),
		"a number is expected, not a string": sound(func(in *dispatch.Incoming) { in.Properties["total"] = "ten" }),
		"properties.total is too large":      sound(func(in *dispatch.Incoming) { in.Properties["total"] = -1.1e12 }),
		"has not happened yet":               sound(func(in *dispatch.Incoming) { in.OccurredAt = time.Now().Add(time.Hour) }),
		"before 1970":                        sound(func(in *dispatch.Incoming) { in.OccurredAt = time.Unix(-1, 0) }),
		"is not a language":                  sound(func(in *dispatch.Incoming) { in.Profile.Language = "klingon!" }),
		"is not a time zone":                 sound(func(in *dispatch.Incoming) { in.Profile.Timezone = "Copenhagen" }),
		"a name is at most":                  sound(func(in *dispatch.Incoming) { in.Profile.Name = strings.Repeat("x", 201) }),
		`did you mean "vip"?`:                sound(func(in *dispatch.Incoming) { in.Profile.Attributes = map[string]any{"vipp": true} }),
	}
	for want, in := range cases {
		receipt, err := b.d.Ingest(b.ctx, []dispatch.Incoming{in})
		require.NoError(t, err)
		require.Zero(t, receipt.Accepted, want)
		require.Len(t, receipt.Rejected, 1, want)
		require.Contains(t, receipt.Rejected[0].Err.Message, want)
	}
	customers, err := b.store.View(b.ctx).CustomersAfter("", 10)
	require.NoError(t, err)
	require.Empty(t, customers, "what is refused leaves nobody behind")
}

// Numbers up to the largest are taken; larger ones are refused wherever they stand.
func TestNumbersAreBounded(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		anna := dispatch.Reference{ExternalID: "anna"}
		most, least := order("e1", anna), order("e2", anna)
		most.Properties["total"], least.Properties["total"] = 1e12, -1e12
		receipt, err := b.d.Ingest(b.ctx, []dispatch.Incoming{most, least})
		require.NoError(t, err)
		require.Equal(t, 2, receipt.Accepted)
		b.drain()
		parked, err := b.store.View(b.ctx).ParkedEvents(0, 10)
		require.NoError(t, err)
		require.Empty(t, parked)
		c, err := b.d.Resolve(b.ctx, anna)
		require.NoError(t, err)

		cart := map[string]any{"cart_id": "c1", "total": 50, "items": []any{
			map[string]any{"name": "Mug", "price": 1}, map[string]any{"name": "Moon", "price": 1e12 + 1},
		}}
		receipt, err = b.d.Ingest(b.ctx, []dispatch.Incoming{{ID: "c1", Name: "cart.updated", Customer: anna, Properties: cart}})
		require.NoError(t, err)
		require.Equal(t, "properties.items[1].price", receipt.Rejected[0].Err.Field)
		_, err = b.d.StartRun(b.ctx, "abandoned-cart", c.ID, cart, "")
		require.ErrorContains(t, err, "properties.items[1].price is too large")
	})
}

func TestIngest(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		both := dispatch.Reference{Phone: "+4520123456", ExternalID: "anna"}
		receipt, err := b.d.Ingest(b.ctx, []dispatch.Incoming{
			order("e1", dispatch.Reference{ExternalID: "anna"}), order("e2", both), order("e1", both),
			order("e3", dispatch.Reference{ExternalID: "mia"}), order("e4", dispatch.Reference{}),
		})
		require.NoError(t, err)
		require.Equal(t, 3, receipt.Accepted)
		require.Equal(t, 1, receipt.Duplicates)
		require.Len(t, receipt.Rejected, 1)
		require.Equal(t, 4, receipt.Rejected[0].Index)
		anna, err := b.d.Resolve(b.ctx, both)
		require.NoError(t, err)
		require.Equal(t, "DK", anna.Country, "learnt with the phone, which came second")

		receipt, err = b.d.Ingest(b.ctx, []dispatch.Incoming{
			order("e5", dispatch.Reference{Phone: "+4520123456", ExternalID: "mia"}), order("e6", dispatch.Reference{ID: anna.ID}),
		})
		require.NoError(t, err)
		require.Equal(t, 1, receipt.Accepted)
		require.Equal(t, "two_customers", receipt.Rejected[0].Err.Reason)
		_, err = b.d.Resolve(b.ctx, dispatch.Reference{ExternalID: "nobody"})
		require.Equal(t, punchcard.CodeNotFound, punchcard.CodeOf(err))
	})
}

// Many backends that send the same events of the same people at once make each person and each event one.
func TestIngestConcurrently(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		var batch []dispatch.Incoming
		for i := range 40 {
			batch = append(batch, order(fmt.Sprintf("e%d", i), dispatch.Reference{Phone: fmt.Sprintf("+452012345%d", i%8)}))
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		accepted := 0
		for range 8 {
			wg.Go(func() {
				receipt, err := b.d.Ingest(b.ctx, batch)
				mu.Lock()
				defer mu.Unlock()
				require.NoError(t, err)
				require.Empty(t, receipt.Rejected)
				accepted += receipt.Accepted
			})
		}
		wg.Wait()
		require.Equal(t, 40, accepted)
		customers, err := b.store.View(b.ctx).CustomersAfter("", 100)
		require.NoError(t, err)
		require.Len(t, customers, 8)
	})
}

// While Temporal is away what it is to learn waits in the outbox, and goes in order for each run when it is back.
func TestOutboxWaitsForTemporal(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		b.engine.down = punchcard.Errorf(punchcard.CodeUnavailable, "connection refused")
		anna := dispatch.Reference{Phone: "+4520123456"}
		_, err := b.d.Ingest(b.ctx, []dispatch.Incoming{
			{ID: "c1", Name: "cart.updated", Customer: anna, Properties: map[string]any{"cart_id": "c1", "total": 50, "items": []any{}}},
			{ID: "c2", Name: "cart.emptied", Customer: anna, Properties: map[string]any{"cart_id": "c1"}},
		})
		require.NoError(t, err)
		_, err = b.d.Drain(b.ctx)
		require.ErrorContains(t, err, "it is away: connection refused")
		depth, err := b.store.View(b.ctx).OutboxDepth()
		require.NoError(t, err)
		require.Equal(t, int64(2), depth)

		b.engine.mu.Lock()
		b.engine.down = nil
		b.engine.mu.Unlock()
		require.NoError(t, b.store.Update(b.ctx, func(tx *store.Tx) error { return tx.HurryDeliveries() }))
		b.drain()
		require.Len(t, b.engine.told, 1)
		for _, told := range b.engine.told {
			require.Equal(t, []string{"start", "1 leave emptied"}, told)
		}
	})
}

// A run whose workflow somebody has terminated is closed when that is noticed, and its key is free again.
func TestGoneWorkflow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		anna := dispatch.Reference{Phone: "+4520123456"}
		_, err := b.d.Ingest(b.ctx, []dispatch.Incoming{order("o1", anna)})
		require.NoError(t, err)
		b.drain()
		b.engine.mu.Lock()
		b.engine.down = punchcard.ErrRunGone
		b.engine.mu.Unlock()
		_, err = b.d.Ingest(b.ctx, []dispatch.Incoming{order("o2", anna)})
		require.NoError(t, err)
		b.drain()
		c, err := b.d.Resolve(b.ctx, anna)
		require.NoError(t, err)
		runs, err := b.store.View(b.ctx).Runs(c.ID, "", 10)
		require.NoError(t, err)
		for _, r := range runs {
			if r.Journey == "stamp-card" {
				require.Equal(t, punchcard.OutcomeTerminated, r.Outcome)
			}
		}
		depth, err := b.store.View(b.ctx).OutboxDepth()
		require.NoError(t, err)
		require.Zero(t, depth)
	})
}

// Many dispatchers on one database route each event once, in the order of each customer.
func TestManyDispatchers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		s := open()
		b := setup(t, s)
		var batch []dispatch.Incoming
		for i := range 120 {
			batch = append(batch, order(fmt.Sprintf("e%03d", i), dispatch.Reference{Phone: fmt.Sprintf("+452012345%d", i%6)}))
		}
		_, err := b.d.Ingest(b.ctx, batch)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 4 {
			other := dispatch.New(fence.New(s), b.engine, slog.New(slog.DiscardHandler))
			wg.Go(func() {
				for {
					worked, err := other.Drain(b.ctx)
					if err != nil {
						t.Errorf("drain: %v", err)
						return
					}
					if !worked {
						return
					}
				}
			})
		}
		wg.Wait()
		require.NoError(t, s.Update(b.ctx, func(tx *store.Tx) error { return tx.ReleaseClaims() }))
		b.drain()
		customers, err := s.View(b.ctx).CustomersAfter("", 100)
		require.NoError(t, err)
		for _, c := range customers {
			n, err := s.View(b.ctx).Total(c.ID, "order.placed", "", 0)
			require.NoError(t, err)
			require.InDelta(t, 20, n, 0)
			p, err := s.View(b.ctx).PointsNow(c.ID)
			require.NoError(t, err)
			require.Equal(t, int64(200), p.Pending)
		}
	})
}

// A request that names itself is done once, however often it is made: what it answered may have been lost.
func TestRequestsThatNameThemselves(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		anna := dispatch.Reference{Phone: "+4520123456"}
		_, err := b.d.Ingest(b.ctx, []dispatch.Incoming{order("o1", anna)})
		require.NoError(t, err)
		c, err := b.d.Resolve(b.ctx, anna)
		require.NoError(t, err)

		first, err := b.d.RequestRedemption(b.ctx, c.ID, "free-coffee", "once")
		require.NoError(t, err)
		again, err := b.d.RequestRedemption(b.ctx, c.ID, "free-coffee", "once")
		require.NoError(t, err)
		require.Equal(t, first.ID, again.ID)
		other, err := b.d.RequestRedemption(b.ctx, c.ID, "free-coffee", "")
		require.NoError(t, err)
		require.NotEqual(t, first.ID, other.ID)

		cart := map[string]any{"cart_id": "c1", "total": 50, "items": []any{}}
		run, err := b.d.StartRun(b.ctx, "abandoned-cart", c.ID, cart, "start once")
		require.NoError(t, err)
		same, err := b.d.StartRun(b.ctx, "abandoned-cart", c.ID, cart, "start once")
		require.NoError(t, err)
		require.Equal(t, run.ID, same.ID)
		live, err := b.d.StartRun(b.ctx, "abandoned-cart", c.ID, cart, "another")
		require.Equal(t, "live_run", punchcard.ReasonOf(err))
		require.Equal(t, run.ID, live.ID)
	})
}
