package fence

import (
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// milestones are the present values of the program's milestones. One whose expression fails is left out.
func milestones(tx *store.Tx, p *rules.Program, env *rules.Env) (map[string]float64, error) {
	values := make(map[string]float64, len(p.Milestones))
	asked := once(env)
	for _, m := range p.Milestones {
		in, err := m.In(asked, func(within time.Duration) (int64, error) {
			return tx.EarnedSince(env.Customer.ID, tx.Now.Add(-within))
		})
		if err != nil {
			return nil, err
		}
		v, err := m.Of.Number(in)
		if cause := Cause(err); cause != nil {
			return nil, cause
		}
		if err == nil {
			values[m.Name] = v
		}
	}
	return values, nil
}

// maxReached is how often one event reaches a milestone at most, the last times of all: an order whose total is in cents, or has some noughts
// too many, is not to keep its customer waiting for a million rewards.
const maxReached = 100

// once is an Env that reads each times() and total() once: milestones count the same things.
func once(env *rules.Env) *rules.Env {
	type question struct {
		event, field string
		window       time.Duration
	}
	in, known := *env, map[question]float64{}
	ask := func(q question, read func() (float64, error)) (float64, error) {
		v, ok := known[q]
		if ok {
			return v, nil
		}
		v, err := read()
		if err == nil {
			known[q] = v
		}
		return v, err
	}
	in.Times = func(event string, window time.Duration) (int, error) {
		n, err := ask(question{event: event, window: window}, func() (float64, error) {
			n, err := env.Times(event, window)
			return float64(n), err
		})
		return int(n), err
	}
	in.Total = func(event, field string, window time.Duration) (float64, error) {
		return ask(question{event, field, window}, func() (float64, error) { return env.Total(event, field, window) })
	}
	return &in
}

// crossed raises milestone.reached for each milestone that lies between before and after and was never reached before. A refund
// can take a customer back below one; reaching it again raises nothing, for it was rewarded.
func crossed(tx *store.Tx, p *rules.Program, customer string, before, after map[string]float64, depth int) error {
	for _, m := range p.Milestones {
		was, known := before[m.Name]
		is := after[m.Name]
		if !known || is <= was {
			continue
		}
		from, to := m.Nth(was), m.Nth(is)
		if m.Within > 0 {
			var err error
			if from, to, err = again(tx, m, customer, was, is); err != nil {
				return err
			}
		}
		for nth := max(from, to-maxReached) + 1; nth <= to; nth++ {
			first, err := tx.ReachMilestone(customer, m.Name, nth)
			if err != nil {
				return err
			}
			if !first {
				continue
			}
			err = Raise(tx, customer, punchcard.EventMilestoneReached, map[string]any{"milestone": m.Name, "nth": nth}, depth)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// again is which times lie between two values of a milestone that can be reached once within a window. Its window counts whole
// days, so the last time must lie before the first of them: nothing counts for two.
func again(tx *store.Tx, m rules.Milestone, customer string, was, is float64) (from, to int64, err error) {
	nth, at, err := tx.LastReached(customer, m.Name)
	if err != nil || m.Nth(is) == 0 {
		return 0, 0, err
	}
	if at == nil {
		return m.Nth(was), m.Nth(is), nil
	}
	if at.Before(tx.Now.Add(-m.Within).UTC().Truncate(24 * time.Hour)) {
		return nth, nth + 1, nil
	}
	return 0, 0, nil
}

// Watch runs fn and raises what it made the customer cross: milestones, and a tier that it reached. The customer is locked.
func Watch(tx *store.Tx, p *rules.Program, c *punchcard.Customer, depth int, fn func() error) error {
	_, err := WatchFacts(tx, p, c, depth, func(*rules.Env) error { return fn() })
	return err
}

// WatchFacts is Watch that hands on what it reads of the customer: to fn as it is before it, and to the caller as it is after it, nil
// where that was not read.
func WatchFacts(tx *store.Tx, p *rules.Program, c *punchcard.Customer, depth int, fn func(facts *rules.Env) error) (after *rules.Env, err error) {
	if len(p.Milestones) == 0 && p.Tiers == nil {
		return nil, fn(nil)
	}
	scene := Scene{Tx: tx, Program: p, Customer: c}
	env, err := scene.Env()
	if err != nil {
		return nil, err
	}
	tier, _, err := env.Own()
	if err != nil {
		return nil, err
	}
	before, err := milestones(tx, p, env)
	if err != nil {
		return nil, err
	}
	if err := fn(env); err != nil {
		return nil, err
	}
	if p.Tiers != nil {
		if err := retierOne(tx, p, c.ID, tier, depth); err != nil {
			return nil, err
		}
	}
	if len(p.Milestones) == 0 {
		return nil, nil
	}
	if env, err = scene.Env(); err != nil {
		return nil, err
	}
	now, err := milestones(tx, p, env)
	if err != nil {
		return nil, err
	}
	return env, crossed(tx, p, c.ID, before, now, depth)
}
