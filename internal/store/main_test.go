package store_test

import (
	"database/sql"
	"errors"
	"fmt"
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

// monday is when the tests' clocks begin. It has microseconds, so that a lost digit shows.
var monday = time.Date(2026, 3, 2, 10, 0, 0, 123456000, time.UTC)

// house is a store with a clock that the test moves.
type house struct {
	*store.Store
	t     *testing.T
	clock *punchcard.ManualClock
	grace time.Duration // of the holds
}

// each runs a test on every database.
func each(t *testing.T, test func(h *house)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		test(newHouse(t, open()))
	})
}

func newHouse(t *testing.T, s *store.Store) *house {
	t.Helper()
	clock := punchcard.NewManualClock(monday)
	s.UseClock(clock)
	return &house{Store: s, t: t, clock: clock}
}

// try runs fn in a transaction.
func (h *house) try(fn func(tx *store.Tx) error) error {
	return h.Update(h.t.Context(), fn)
}

// do runs fn in a transaction that must be committed.
func (h *house) do(fn func(tx *store.Tx) error) {
	h.t.Helper()
	require.NoError(h.t, h.try(fn))
}

func (h *house) view() *store.Tx { return h.View(h.t.Context()) }

// customer enrolls someone of that external id.
func (h *house) customer(id string) *punchcard.Customer {
	h.t.Helper()
	var c *punchcard.Customer
	h.do(func(tx *store.Tx) (err error) {
		c, err = tx.Enroll([]punchcard.Identity{{Kind: punchcard.IdentityExternal, Value: id}}, punchcard.Customer{})
		return err
	})
	return c
}

// run stores a live run of a journey.
func (h *house) run(customer, journey, key string) *punchcard.Run {
	h.t.Helper()
	r := &punchcard.Run{ID: punchcard.NewID(punchcard.PrefixRun), Journey: journey, Version: 1, CustomerID: customer, Key: key, Node: "n1"}
	h.do(func(tx *store.Tx) error {
		fresh, err := tx.AddRun(r)
		require.True(h.t, fresh)
		return err
	})
	return r
}

// event stores an event that is to be routed.
func (h *house) event(customer, id, name string) *punchcard.Event {
	h.t.Helper()
	e := &punchcard.Event{ID: id, CustomerID: customer, Name: name, OccurredAt: h.clock.Now()}
	h.do(func(tx *store.Tx) error {
		fresh, err := tx.AddEvent(e)
		require.True(h.t, fresh)
		return err
	})
	return e
}

// grant stores a grant.
func (h *house) grant(customer, reward string, status punchcard.GrantStatus) *punchcard.Grant {
	h.t.Helper()
	g := newGrant(customer, reward, status)
	h.do(func(tx *store.Tx) error { return tx.AddGrant(g) })
	return g
}

func newGrant(customer, reward string, status punchcard.GrantStatus) *punchcard.Grant {
	return &punchcard.Grant{
		ID: punchcard.NewID(punchcard.PrefixGrant), CustomerID: customer, Reward: reward, Version: 1, CapturedBy: "till", Status: status,
	}
}

// message is an outbound message that is on its way.
func (h *house) message(customer, run string, step int) *punchcard.Message {
	return &punchcard.Message{
		ID: punchcard.NewID(punchcard.PrefixMessage), CustomerID: customer, RunID: run, Step: step,
		Direction: punchcard.Outbound, Kind: "template", Category: "marketing", Status: punchcard.MessageSending,
	}
}

// exec runs a statement behind the store's back.
func (h *house) exec(statement string, args ...any) error {
	write, _ := h.Pools(h.t)
	if h.Dialect() == store.Postgres {
		statement = numbered(statement)
	}
	_, err := write.ExecContext(h.t.Context(), statement, args...)
	return err
}

// scalar reads one value behind the store's back.
func scalar[T any](h *house, query string, args ...any) T {
	h.t.Helper()
	write, _ := h.Pools(h.t)
	if h.Dialect() == store.Postgres {
		query = numbered(query)
	}
	var v sql.Null[T]
	require.NoError(h.t, write.QueryRowContext(h.t.Context(), query, args...).Scan(&v))
	return v.V
}

// numbered writes question marks as PostgreSQL's numbered parameters.
func numbered(query string) string {
	parts := strings.Split(query, "?")
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			fmt.Fprintf(&b, "$%d", i)
		}
		b.WriteString(p)
	}
	return b.String()
}

// together runs fn n times at once and answers the errors.
func together(n int, fn func(i int) error) []error {
	var start, done sync.WaitGroup
	errs := make([]error, n)
	start.Add(1)
	for i := range n {
		done.Go(func() {
			start.Wait()
			errs[i] = fn(i)
		})
	}
	start.Done()
	done.Wait()
	return errs
}

func noErrors(t *testing.T, errs []error) {
	t.Helper()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

// meet answers a function that returns when n callers are in it, each in a transaction of its own. SQLite has one
// transaction at a time: there it returns at once.
func (h *house) meet(n int) func() error {
	if h.Dialect() == store.SQLite {
		return func() error { return nil }
	}
	var missing atomic.Int32
	missing.Store(int32(n))
	all := make(chan struct{})
	return func() error {
		if missing.Add(-1) == 0 {
			close(all)
		}
		select {
		case <-all:
			return nil
		case <-time.After(20 * time.Second):
			return errors.New("the others did not come: something made them wait")
		}
	}
}
