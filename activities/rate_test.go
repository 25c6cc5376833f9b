package activities_test

import (
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/activities"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
	"punchcard/internal/whatsapp"
)

// starts are the moments at which calls began, from any number of goroutines.
type starts struct {
	mu sync.Mutex
	at []time.Time
}

func (s *starts) add(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = append(s.at, at)
}

// most is the largest number of calls that began within any window of one second.
func (s *starts) most() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortFunc(s.at, time.Time.Compare)
	most, from := 0, 0
	for to, at := range s.at {
		for at.Sub(s.at[from]) >= time.Second {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

// One number's rate is kept by four workers together, exactly: no second holds more calls than it may, and next to no turn is
// lost. PUNCHCARD_RATE=full sends the 10,000 messages at 80 a second that a campaign is, which takes two minutes, and takes the time
// of each call as it begins. Otherwise it is that of the last look before: a machine with much else to do may stop a worker between
// the two, which says nothing of the turns.
func TestRateOfFourWorkers(t *testing.T) {
	t.Parallel()
	perSecond, sends, full := 400, 1200, os.Getenv("PUNCHCARD_RATE") == "full"
	if full {
		perSecond, sends = 80, 10_000
	}
	dsn := storetest.DSN(t, store.Postgres)
	var workers []*activities.Rates
	for range 4 {
		r, err := activities.NewRates(storetest.Open(t, dsn), activities.Rate{PerSecond: perSecond, Marketing: 100, Number: "1", Account: "2"})
		require.NoError(t, err)
		workers = append(workers, r)
	}
	var calls starts
	var came sync.WaitGroup
	var back atomicCount
	began := time.Now()
	for i := range sends {
		came.Go(func() { send(t, workers[i%len(workers)], full, &calls, &back) })
	}
	came.Wait()
	took := time.Since(began)
	must := time.Duration(sends-1) * time.Second / time.Duration(perSecond)
	t.Logf("%d sends at %d a second: at most %d in a second; %v, which is %.2f %% more than %v; %d were told to come back later",
		sends, perSecond, calls.most(), took.Round(time.Millisecond), 100*(took.Seconds()/must.Seconds()-1), must, back.n())
	require.Len(t, calls.at, sends)
	require.LessOrEqual(t, calls.most(), perSecond)
	if full { // what a machine that has other things to do loses says nothing
		require.LessOrEqual(t, took.Seconds(), must.Seconds()*1.01)
	}
}

type atomicCount struct {
	mu sync.Mutex
	v  int
}

func (c *atomicCount) add() { c.mu.Lock(); c.v++; c.mu.Unlock() }
func (c *atomicCount) n() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.v
}

// send is what a run does: it comes back when it is told to, until it has sent.
func send(t *testing.T, r *activities.Rates, full bool, calls *starts, back *atomicCount) {
	t.Helper()
	for {
		turn, err := r.Turn(t.Context(), true)
		if err != nil {
			t.Error(err)
			return
		}
		if turn.Wait == 0 {
			if err := turn.Prepare(t.Context()); err != nil {
				t.Error(err)
				return
			}
			ok, err := turn.Call(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if ok {
				at := turn.Began()
				if full {
					at = time.Now()
				}
				calls.add(at)
				return
			}
		}
		back.add()
		time.Sleep(turn.Wait) // as a run's timer does
	}
}

// What WhatsApp says of too many slows the number, once for calls that were under way together; what it says of the account stops every
// number of it, and a long wait is kept to the letter.
func TestRefused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		s := open()
		ctx := t.Context()
		pacer := func(number string) *activities.Rates {
			r, err := activities.NewRates(s, activities.Rate{PerSecond: 1000, Marketing: 75, Number: number, Account: "2"})
			require.NoError(t, err)
			return r
		}
		line := func(name string) (row store.SendRate, now int64) {
			require.NoError(t, s.Update(ctx, func(tx *store.Tx) error {
				r, at, err := tx.LockRate(name)
				if err == nil {
					row, now = *r, at
				}
				return err
			}))
			return row, now
		}
		one, other := pacer("1"), pacer("9")
		away := func(r *activities.Rates) time.Duration {
			turn, err := r.Turn(ctx, false)
			require.NoError(t, err)
			return turn.Wait
		}
		require.Zero(t, away(one))
		for range 3 {
			require.NoError(t, one.Refused(ctx, &whatsapp.Error{Code: 130429, Class: whatsapp.Retry}))
		}
		row, _ := line("number/1")
		require.Equal(t, 1, row.Level, "together they are one refusal")
		require.Zero(t, row.Paused)
		require.Zero(t, away(other), "another number goes on")

		require.NoError(t, one.Refused(ctx, &whatsapp.Error{Code: 130429, Class: whatsapp.Retry, RetryAfter: time.Minute}))
		require.Greater(t, away(one), 50*time.Second)
		require.Zero(t, away(other))

		require.NoError(t, one.Refused(ctx, &whatsapp.Error{Code: 80007, Class: whatsapp.Retry}))
		require.Greater(t, away(other), 20*time.Second, "the account is both numbers'")
		row, now := line("account/2")
		require.Equal(t, 1, row.Level)
		require.Greater(t, row.Paused, now)
	})
}
