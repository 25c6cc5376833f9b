package simulate

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"punchcard"
	"punchcard/activities"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

// World is a whole deployment in virtual time, over one database.
type World struct {
	Clock    *punchcard.ManualClock
	Store    *store.Store
	Fence    *fence.Fence
	Dispatch *dispatch.Dispatcher
	Engine   *Engine
	// Activities may be given a Caller before the first run starts.
	Activities *activities.Activities

	tidied string // the day whose round of hygiene was done last
	passed int    // the version of the program whose tiers every account was reckoned by
}

// NewWorld puts a deployment together over a migrated database, whose clock becomes clock. Messages go to sender.
func NewWorld(s *store.Store, clock *punchcard.ManualClock, sender activities.Sender, log *slog.Logger) *World {
	s.UseClock(clock)
	f := fence.New(s)
	acts := &activities.Activities{Fence: f, Sender: sender, Log: log}
	engine := NewEngine(clock, acts)
	return &World{Clock: clock, Store: s, Fence: f, Dispatch: dispatch.New(f, engine, log), Engine: engine, Activities: acts}
}

// Settle does all that is to be done now.
func (w *World) Settle(ctx context.Context) error {
	for {
		worked, err := w.Dispatch.Drain(ctx)
		if err != nil {
			return err
		}
		moved, err := w.Engine.Settle(ctx)
		if err != nil {
			return err
		}
		if !worked && !moved {
			return nil
		}
	}
}

// passTime does the jobs of points and grants to their end, and all that follows from them, where anything is due or the program is a new
// one. It answers when something is due next.
func (w *World) passTime(ctx context.Context) (*time.Time, error) {
	expires, err := w.passGrants(ctx)
	if err != nil {
		return nil, err
	}
	due, err := w.passPoints(ctx)
	if err == nil && (due == nil || expires != nil && expires.Before(*due)) {
		due = expires
	}
	return due, err
}

func (w *World) passGrants(ctx context.Context) (*time.Time, error) {
	expires, err := w.Store.View(ctx).NextExpiry()
	if err != nil || expires == nil || expires.After(w.Clock.Now()) {
		return expires, err
	}
	if err := w.doJob(ctx, activities.JobGrants); err != nil {
		return nil, err
	}
	return w.Store.View(ctx).NextExpiry()
}

func (w *World) passPoints(ctx context.Context) (*time.Time, error) {
	policy, err := w.Fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	due, err := w.Store.View(ctx).NextDue()
	if err != nil || policy.Version == w.passed && (due == nil || due.After(w.Clock.Now())) {
		return due, err
	}
	w.passed = policy.Version
	if err := w.doJob(ctx, activities.JobPoints); err != nil {
		return nil, err
	}
	return w.Store.View(ctx).NextDue()
}

// tidy does the day's round of hygiene, where the program has any rules for it. It answers when the next day begins.
func (w *World) tidy(ctx context.Context) (*time.Time, error) {
	policy, err := w.Fence.Catalog.Current(ctx)
	if err != nil || fence.TidyFrom(policy.Hygiene) == 0 {
		return nil, err
	}
	now := w.Clock.Now().In(policy.Zone)
	if day := now.Format(time.DateOnly); day != w.tidied {
		if err := w.doJob(ctx, activities.JobHygiene); err != nil {
			return nil, err
		}
		w.tidied = day
	}
	next := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, policy.Zone)
	return &next, nil
}

// doJob does one round of a job.
func (w *World) doJob(ctx context.Context, name string) error {
	for _, job := range w.Activities.Jobs() {
		if job.Name != name {
			continue
		}
		for after, more := "", true; more; {
			b, err := job.Batch(ctx, after)
			if err != nil {
				return fmt.Errorf("job %s: %w", job.Name, err)
			}
			if b.Failed > 0 {
				return fmt.Errorf("job %s failed for %d customers", job.Name, b.Failed)
			}
			after, more = b.Next, b.Next != "" || b.Busy
			if b.Done > 0 || b.Busy {
				if err := w.Settle(ctx); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// scheduleStep is how far time goes at most between two looks at a program's schedules: every zone's offset is a multiple of it.
const scheduleStep = 15 * time.Minute

// maxWakes bounds how often Advance stops on its way, so that a run that wakes itself for ever is an error.
const maxWakes = 100_000

// Advance lets time pass, stopping wherever a wait is over.
func (w *World) Advance(ctx context.Context, d time.Duration) error {
	end := w.Clock.Now().Add(d)
	policy, err := w.Fence.Catalog.Current(ctx)
	if err != nil {
		return err
	}
	for range maxWakes {
		if err := w.Settle(ctx); err != nil {
			return err
		}
		points, err := w.passTime(ctx)
		if err != nil {
			return err
		}
		tomorrow, err := w.tidy(ctx)
		if err != nil {
			return err
		}
		due, ok := w.Engine.NextDue()
		if tomorrow != nil && (!ok || tomorrow.Before(due)) {
			due, ok = *tomorrow, true
		}
		if points != nil && points.After(w.Clock.Now()) && (!ok || points.Before(due)) {
			due, ok = *points, true
		}
		if next := w.Clock.Now().Truncate(scheduleStep).Add(scheduleStep); policy.Scheduled() && (!ok || next.Before(due)) {
			due, ok = next, true
		}
		if !ok || due.After(end) {
			w.Clock.Advance(end.Sub(w.Clock.Now()))
			if err := w.Dispatch.Watch(ctx); err != nil {
				return err
			}
			if err := w.Settle(ctx); err != nil {
				return err
			}
			_, err := w.passTime(ctx)
			return err
		}
		if step := due.Sub(w.Clock.Now()); step > 0 {
			w.Clock.Advance(step)
		}
	}
	return fmt.Errorf("runs woke more than %d times within %s: one of them waits in a circle", maxWakes, d)
}
