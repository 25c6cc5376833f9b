package simulate_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"punchcard"
	"punchcard/activities"
	"punchcard/rules"
)

// crowd drives runs as Engine does, but many at once, and as badly as a cluster may: workers die in the middle of an effect, and what
// an effect answered is lost, so that it is asked for again.
type crowd struct {
	t      *testing.T
	clock  *punchcard.ManualClock
	acts   *activities.Activities
	deaths float64 // how likely a worker dies in an effect, and as likely its answer is lost

	mu     sync.Mutex
	chance *rand.Rand
	runs   map[string]*member
	busy   int
	hands  chan struct{}
}

type member struct {
	start  rules.Start
	cursor *rules.Cursor
	moving bool
	wait   int
	dueAt  time.Time
}

func newCrowd(t *testing.T, clock *punchcard.ManualClock, acts *activities.Activities, seed uint64, deaths float64) *crowd {
	t.Helper()
	return &crowd{
		t: t, clock: clock, acts: acts, deaths: deaths, chance: rand.New(rand.NewPCG(seed, 0)), runs: map[string]*member{},
		hands: make(chan struct{}, 16),
	}
}

// Start is of dispatch.Engine.
func (c *crowd) Start(_ context.Context, s rules.Start) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs[s.Run] == nil {
		c.runs[s.Run] = &member{start: s, cursor: rules.NewCursor(s.Plan, s.Armed, s.First)}
		c.move(c.runs[s.Run])
	}
	return nil
}

// Signal is of dispatch.Engine.
func (c *crowd) Signal(_ context.Context, _, run string, s rules.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.runs[run]
	if r == nil || r.cursor.Next().Kind == rules.MoveEnded {
		return punchcard.ErrRunGone
	}
	r.cursor.Heard(s)
	c.move(r)
	return nil
}

// tick has runs notice that time passed.
func (c *crowd) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.runs {
		c.move(r)
	}
}

// idle tells whether all runs wait or have ended, and how many of a journey have ended.
func (c *crowd) idle(journey string) (idle bool, ended int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.runs {
		if r.start.Journey == journey && r.cursor.Next().Kind == rules.MoveEnded {
			ended++
		}
	}
	return c.busy == 0, ended
}

// move has a run go on, unless it does already. The caller holds mu.
func (c *crowd) move(r *member) {
	for !r.moving {
		m := r.cursor.Next()
		switch {
		case m.Kind == rules.MoveDo:
			r.moving = true
			c.busy++
			go c.do(r, m)
		case m.Kind != rules.MoveWait || m.Forever:
			return
		default:
			if r.wait != m.WaitNumber {
				r.wait, r.dueAt = m.WaitNumber, c.clock.Now().Add(m.Wait)
			}
			if c.clock.Now().Before(r.dueAt) {
				return
			}
			r.cursor.Elapsed()
		}
	}
}

// do does an effect until it is answered, as Temporal does.
func (c *crowd) do(r *member, m rules.Move) {
	c.hands <- struct{}{}
	var result rules.Result
	for {
		var ok bool
		if result, ok = c.try(r, m); ok {
			break
		}
	}
	<-c.hands
	c.mu.Lock()
	defer c.mu.Unlock()
	r.cursor.Done(result)
	r.moving = false
	c.busy--
	c.move(r)
}

// try does an effect once. It answers false where the worker died, or its answer was lost.
func (c *crowd) try(r *member, m rules.Move) (rules.Result, bool) {
	c.mu.Lock()
	dies, lost, when := c.chance.Float64() < c.deaths, c.chance.Float64() < c.deaths, time.Duration(c.chance.Int64N(int64(20*time.Millisecond)))
	c.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if dies {
		defer time.AfterFunc(when, cancel).Stop()
	}
	result, err := c.acts.Perform(ctx, r.start.Plan.Nodes[m.Do.Node].Kind, activities.Input{Run: r.start.Run, Effect: m.Do})
	return result, err == nil && !lost
}
