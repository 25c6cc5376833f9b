package dispatch

import (
	"fmt"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// place names what at most one run is live on, for one customer.
type place struct{ journey, key string }

// match finds which of the customer's runs leave and wake by the event, and which journeys it starts, in that order. An event
// that touched a live run does not also start one in its place.
func (r *routing) match() error {
	runs, err := r.tx.OpenRuns(r.customer.ID)
	if err != nil {
		return err
	}
	touched := map[place]bool{}
	open := map[place]*punchcard.Run{}
	type pinned struct {
		program *rules.Program
		journey *rules.Journey
	}
	pins := make([]pinned, len(runs))
	for i, run := range runs {
		if pins[i].program, pins[i].journey, err = r.d.fence.Catalog.Journey(r.ctx, run.Version, run.Journey); err != nil {
			return err
		}
		left, err := r.leave(run, pins[i].program, pins[i].journey)
		if err != nil {
			return err
		}
		at := place{run.Journey, run.Key}
		if left {
			touched[at] = true
		} else {
			open[at] = run
		}
	}
	for i, run := range runs {
		if run.Status == punchcard.RunEnded || run.Listener == nil {
			continue
		}
		woken, err := r.wake(run, pins[i].program, pins[i].journey)
		if err != nil {
			return err
		}
		if woken {
			touched[place{run.Journey, run.Key}], r.served = true, true
		}
	}
	if err := r.start(touched, open); err != nil || r.served {
		return err
	}
	return r.tx.NotServed(r.customer.ID, r.event.Name, r.event.Properties)
}

// leave ends a run if one of its leave conditions holds.
func (r *routing) leave(run *punchcard.Run, p *rules.Program, j *rules.Journey) (bool, error) {
	for _, l := range j.Leave {
		if l.On != r.event.Name {
			continue
		}
		env, err := r.see(p, run, l.Where, l.Value)
		if err != nil {
			return false, err
		}
		ok, err := l.Where.Bool(env)
		if err != nil || !ok {
			if err := r.failed(err, j.Name+" leave"); err != nil {
				return false, err
			}
			continue
		}
		end := fence.Ending{Outcome: l.End, Reason: r.event.Name, Goal: l.Goal}
		if l.Value != nil {
			if end.Value, err = l.Value.Number(env); err != nil {
				if err := r.failed(err, j.Name+" leave value"); err != nil {
					return false, err
				}
			}
		}
		return true, fence.Leave(r.tx, run, end)
	}
	return false, nil
}

// wake tells a run whose armed wait the event matches.
func (r *routing) wake(run *punchcard.Run, p *rules.Program, j *rules.Journey) (bool, error) {
	step := j.Steps[run.Listener.Node]
	if step == nil {
		return false, fmt.Errorf("run %s waits at %q, which its journey does not have", run.ID, run.Listener.Node)
	}
	on, where := step.On, step.Filter
	if step.Kind == rules.KindWait {
		if step.RestartOn == nil {
			return false, nil
		}
		on, where = step.RestartOn.On, step.RestartOn.Where
	}
	if on != r.event.Name {
		return false, nil
	}
	env, err := r.see(p, run, where)
	if err != nil {
		return false, err
	}
	ok, err := where.Bool(env)
	if err != nil || !ok {
		return false, r.failed(err, j.Name+" wait")
	}
	switch step.Kind {
	case rules.KindWait:
		// The deadline moves in the row alone: the run's timer goes off as it was set, and the fence tells it how long is left.
		run.Listener.Since = r.tx.Now
		run.Listener.Deadline = r.tx.Now.Add(j.Plan.Nodes[run.Listener.Node].For)
		if step.RestartOn.UpdateEntry {
			run.Entry, run.EntryEvent = r.event.Properties, r.event.Name
		}
	case rules.KindWaitFor:
		if err := fence.Wake(r.tx, j, run, rules.OutcomeHeard); err != nil {
			return false, err
		}
	case rules.KindCollect:
		if !r.tx.Now.Before(run.Listener.Deadline) {
			return false, nil // its time is over, the run just has not come round to it
		}
		if err := fence.Counted(r.tx, p, j, r.customer, run); err != nil {
			return false, err
		}
	default:
		return false, nil
	}
	return true, r.tx.SaveRun(run)
}

// start begins a run of each journey that the event enters.
func (r *routing) start(touched map[place]bool, open map[place]*punchcard.Run) error {
	for _, j := range r.policy.Entering(r.event.Name) {
		for i, enter := range j.Enter {
			if enter.On != r.event.Name || r.event.Target != "" && r.event.Target != fmt.Sprintf("%s/%d", j.Name, i) {
				continue
			}
			env, err := r.see(r.policy.Program, nil, enter.Where, enter.Key)
			if err != nil {
				return err
			}
			ok, err := enter.Where.Bool(env)
			if err != nil || !ok {
				if err := r.failed(err, j.Name+" enter"); err != nil {
					return err
				}
				continue
			}
			key, err := entryKey(enter, env)
			if err != nil {
				if err := r.failed(err, j.Name+" enter key"); err != nil {
					return err
				}
				continue
			}
			at := place{j.Name, key}
			if !touched[at] {
				if err := r.enter(j, at, open[at]); err != nil {
					return err
				}
				touched[at] = true
			}
			break // the first way in that holds is the one taken
		}
	}
	return nil
}

// maxKey bounds a run's key, in bytes.
const maxKey = 200

func entryKey(enter rules.Enter, env *rules.Env) (string, error) {
	if enter.Key == nil {
		return "", nil
	}
	key, err := enter.Key.String(env)
	if err == nil && len(key) > maxKey {
		err = fmt.Errorf("the key is longer than %d bytes", maxKey)
	}
	return key, err
}

// enter starts a run, or does what if_running and again_after say.
func (r *routing) enter(j *rules.Journey, at place, live *punchcard.Run) error {
	stopped, err := r.tx.Off(store.SwitchEntry, j.Name)
	if err != nil || stopped {
		return err
	}
	if live != nil {
		switch j.IfRunning {
		case rules.RunningRestart:
			if err := fence.Leave(r.tx, live, fence.Ending{Outcome: punchcard.OutcomeRestarted, Reason: r.event.Name}); err != nil {
				return err
			}
		case rules.RunningAfter:
			r.served = true
			return r.tx.KeepWaiting(&punchcard.WaitingEntry{
				Journey: at.journey, CustomerID: r.customer.ID, Key: at.key, EventID: r.event.ID, EntryEvent: r.event.Name,
				Entry: r.event.Properties,
			})
		case rules.RunningIgnore:
			return nil
		default:
			return nil
		}
	} else if j.AgainAfter > 0 {
		ended, err := r.tx.LastEnd(at.journey, r.customer.ID, at.key)
		if err != nil {
			return err
		}
		if ended != nil && r.tx.Now.Sub(*ended) < j.AgainAfter {
			return nil
		}
	}
	run, err := fence.Begin(r.tx, r.policy.Program, j, r.customer, &punchcard.Run{
		Version: r.policy.Version, Key: at.key, EventID: r.event.ID, Entry: r.event.Properties, EntryEvent: r.event.Name,
		Depth: r.event.Depth,
	})
	r.served = r.served || run != nil
	return err
}

// requested starts the journey that a run's step asked for. One that is live on its key already goes on alone.
func (r *routing) requested() error {
	journey, _ := r.event.Properties[fence.RequestedJourney].(string)
	entry, _ := r.event.Properties[fence.RequestedEntry].(string)
	properties, _ := r.event.Properties[fence.RequestedProperties].(map[string]any)
	j := r.policy.Journeys[journey]
	if j == nil {
		return nil // it is no longer in the program
	}
	if stopped, err := r.tx.Off(store.SwitchEntry, journey); err != nil || stopped {
		return err
	}
	event := *r.event
	event.Name, event.Properties = entry, properties
	asked := *r
	asked.event, asked.known = &event, nil
	enters := j.Enters(entry)
	if len(enters) == 0 {
		return nil // it is no longer entered by that event
	}
	env, err := asked.env()
	if err != nil {
		return err
	}
	key, err := entryKey(enters[0], env)
	if err != nil {
		return r.failed(err, j.Name+" enter key")
	}
	_, err = fence.Begin(r.tx, r.policy.Program, j, r.customer, &punchcard.Run{
		Version: r.policy.Version, Key: key, EventID: r.event.ID, Entry: properties, EntryEvent: entry, Depth: r.event.Depth,
	})
	return err
}

// successor starts the entry that waited for the end of the run that the event tells of. While another run is live on its key it
// waits on, for the end of that one.
func (r *routing) successor() error {
	journey, _ := r.event.Properties["journey"].(string)
	key, _ := r.event.Properties["key"].(string)
	waiting, err := r.tx.Waiting(journey, r.customer.ID, key)
	if err != nil || waiting == nil {
		return err
	}
	stopped, err := r.tx.Off(store.SwitchEntry, journey)
	if err != nil {
		return err
	}
	j := r.policy.Journeys[journey]
	if j == nil || stopped {
		return r.tx.DropWaiting(waiting, r.customer.ID) // nobody enters it any more
	}
	run, err := fence.Begin(r.tx, r.policy.Program, j, r.customer, &punchcard.Run{
		Version: r.policy.Version, Key: key, EventID: waiting.EventID, Entry: waiting.Entry, EntryEvent: waiting.EntryEvent,
		Depth: r.event.Depth,
	})
	if err != nil || run == nil {
		return err
	}
	return r.tx.TakeWaiting(waiting)
}
