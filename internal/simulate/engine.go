// Package simulate drives runs in virtual time: the same Cursor, dispatch, fence and activities as in production, with no
// Temporal and no waiting. Days pass in milliseconds, and every order of events can be tried.
package simulate

import (
	"context"
	"fmt"
	"sync"
	"time"

	"punchcard"
	"punchcard/activities"
	"punchcard/rules"
)

// Engine drives runs in virtual time. It is a dispatch.Engine: what dispatch delivers is kept until Settle moves the runs.
type Engine struct {
	clock *punchcard.ManualClock
	acts  *activities.Activities

	mu    sync.Mutex
	runs  map[string]*virtualRun
	order []string
}

type virtualRun struct {
	id     string
	plan   *rules.Plan
	cursor *rules.Cursor
	// dueAt is when the present wait is over; waitNumber tells which wait that is.
	dueAt      time.Time
	waitNumber int
}

// NewEngine is an engine with no runs.
func NewEngine(clock *punchcard.ManualClock, acts *activities.Activities) *Engine {
	return &Engine{clock: clock, acts: acts, runs: map[string]*virtualRun{}}
}

// Start begins a run.
func (e *Engine) Start(_ context.Context, s rules.Start) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.runs[s.Run] != nil {
		return nil
	}
	e.runs[s.Run] = &virtualRun{id: s.Run, plan: s.Plan, cursor: rules.NewCursor(s.Plan, s.Armed, s.First)}
	e.order = append(e.order, s.Run)
	return nil
}

// Signal tells a run something. The error is punchcard.ErrRunGone when it has ended or was never started.
func (e *Engine) Signal(_ context.Context, _, run string, s rules.Signal) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.runs[run]
	if r == nil || r.cursor.Next().Kind == rules.MoveEnded {
		return punchcard.ErrRunGone
	}
	r.cursor.Heard(s)
	return nil
}

// Settle moves every run until all wait or have ended. It answers whether any moved.
func (e *Engine) Settle(ctx context.Context) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	moved := false
	for _, id := range e.order {
		for {
			ok, err := e.move(ctx, e.runs[id])
			if err != nil {
				return moved, err
			}
			if !ok {
				break
			}
			moved = true
		}
	}
	return moved, nil
}

// move does a run's next effect, or notices that its wait is over. It answers false when the run waits or has ended.
func (e *Engine) move(ctx context.Context, r *virtualRun) (bool, error) {
	m := r.cursor.Next()
	switch m.Kind {
	case rules.MoveDo:
		result, err := e.acts.Perform(ctx, r.plan.Nodes[m.Do.Node].Kind, activities.Input{Run: r.id, Effect: m.Do})
		if err != nil {
			return false, fmt.Errorf("run %s at %s: %w", r.id, m.Do.Node, err)
		}
		r.cursor.Done(result)
		return true, nil
	case rules.MoveWait:
		if m.Forever {
			return false, nil
		}
		if r.waitNumber != m.WaitNumber {
			r.waitNumber, r.dueAt = m.WaitNumber, e.clock.Now().Add(m.Wait)
		}
		if e.clock.Now().Before(r.dueAt) {
			return false, nil
		}
		r.cursor.Elapsed()
		return true, nil
	default:
		return false, nil
	}
}

// NextDue is when the next wait of a run is over; false when none waits for a time.
func (e *Engine) NextDue() (time.Time, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var next time.Time
	found := false
	for _, r := range e.runs {
		m := r.cursor.Next()
		if m.Kind != rules.MoveWait || m.Forever || r.waitNumber != m.WaitNumber {
			continue
		}
		if !found || r.dueAt.Before(next) {
			next, found = r.dueAt, true
		}
	}
	return next, found
}
