package dispatch

import (
	"context"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

// Stop switches a template, a reward or a journey off, at once and whatever version a run has: a template is not sent any more,
// a reward is refused, a journey takes no new runs and those that are live end as stopped. It answers how many runs ended. The
// error is CodeNotFound for a name that the program does not have.
func (d *Dispatcher) Stop(ctx context.Context, kind, name, reason string) (ended int, err error) {
	if len(reason) > maxNote || !clean(reason) {
		return 0, punchcard.Errorf(punchcard.CodeInvalid, "a reason is at most %d bytes of text", maxNote).In("reason")
	}
	s, err := d.switchOf(ctx, kind, name)
	if err != nil {
		return 0, err
	}
	if err := d.store.Update(ctx, func(tx *store.Tx) error { return tx.SwitchOff(s, name, reason) }); err != nil {
		return 0, err
	}
	if s != store.SwitchEntry {
		return 0, nil
	}
	return d.endRuns(ctx, name, 0, "stopped")
}

// Allow takes a stop back.
func (d *Dispatcher) Allow(ctx context.Context, kind, name string) error {
	s, err := d.switchOf(ctx, kind, name)
	if err != nil {
		return err
	}
	return d.store.Update(ctx, func(tx *store.Tx) error { return tx.SwitchOn(s, name) })
}

// switchOf is the switch of something that the program has.
func (d *Dispatcher) switchOf(ctx context.Context, kind, name string) (store.SwitchKind, error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return "", err
	}
	var known bool
	s := store.SwitchKind(kind)
	switch kind {
	case "journey":
		s, known = store.SwitchEntry, policy.Journeys[name] != nil
	case "template":
		known = policy.Templates[name] != nil
	case "reward":
		known = policy.Rewards[name] != nil
	default:
		return "", punchcard.Errorf(punchcard.CodeInvalid, "what can be stopped is a journey, a template or a reward").In("kind")
	}
	if !known {
		return "", punchcard.Errorf(punchcard.CodeNotFound, "the program has no %s %q", kind, short(name)).Because("unknown_" + kind)
	}
	return s, nil
}

// EndRuns ends every live run of the versions up to one, as stopped. It answers how many ended.
func (d *Dispatcher) EndRuns(ctx context.Context, version int) (int, error) {
	if version < 1 {
		return 0, punchcard.Errorf(punchcard.CodeInvalid, "say up to which version, from 1 on").In("version")
	}
	return d.endRuns(ctx, "", version, "end_runs")
}

// endRuns ends runs of a journey (empty: any) and of versions up to one (0: any), each in a transaction of its own.
func (d *Dispatcher) endRuns(ctx context.Context, journey string, version int, reason string) (ended int, err error) {
	after := ""
	for {
		runs, err := d.store.View(ctx).OpenRunsOf(journey, version, after, batch)
		if err != nil || len(runs) == 0 {
			return ended, err
		}
		for _, r := range runs {
			after = r.ID
			left := false
			err := d.store.Update(ctx, func(tx *store.Tx) error {
				left = false
				run, _, err := d.lockRun(ctx, tx, r.ID)
				if err != nil || run.Status == punchcard.RunEnded {
					return err
				}
				left = true
				return fence.Leave(tx, run, fence.Ending{Outcome: punchcard.OutcomeStopped, Reason: reason})
			})
			if err != nil {
				return ended, err
			}
			if left {
				ended++
			}
		}
		d.outbox.ring()
	}
}

// CloseHandoff ends a person's turn: automation goes on. The errors are CodeNotFound when there is no such handoff, and
// CodeConflict when it is closed.
func (d *Dispatcher) CloseHandoff(ctx context.Context, id, by string) (*punchcard.Handoff, error) {
	if err := checkBy(by); err != nil {
		return nil, err
	}
	found, err := d.store.View(ctx).Handoff(id)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "there is no handoff with that id")
	}
	var h *punchcard.Handoff
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		c, err := tx.LockCustomer(found.CustomerID)
		if err != nil {
			return err
		}
		if h, err = tx.Handoff(id); err != nil {
			return err
		}
		if h.ClosedAt != nil {
			return punchcard.Errorf(punchcard.CodeConflict, "it is closed already").Because("closed")
		}
		return tx.CloseHandoff(h, c, by)
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}
