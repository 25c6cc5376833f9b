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
)

// starts are the moments at which calls began, from any number of goroutines.
type starts struct {
	mu sync.Mutex
	at []time.Time
}

func (s *starts) now() {
	at := time.Now()
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
// lost. PUNCHCARD_RATE=full sends the 10,000 messages at 80 a second that a campaign is, which takes two minutes.
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
		came.Go(func() { send(t, workers[i%len(workers)], true, &calls, &back) })
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
func send(t *testing.T, r *activities.Rates, marketing bool, calls *starts, back *atomicCount) {
	t.Helper()
	for {
		turn, err := r.Turn(t.Context(), marketing)
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
				calls.now()
				return
			}
		}
		back.add()
		time.Sleep(turn.Wait) // as a run's timer does
	}
}
