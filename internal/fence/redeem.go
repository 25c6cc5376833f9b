package fence

import (
	"context"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Capture uses a grant, as how says, and raises that when it is the first use of a redemption. It answers false when the grant is over
// already. The customer is locked.
func Capture(tx *store.Tx, g *punchcard.Grant, how *punchcard.Capture, depth int) (bool, error) {
	ok, err := tx.UseGrant(g, how)
	if err != nil || !ok || g.RedemptionID == "" {
		return ok, err
	}
	if earlier := g.Used - how.Amount; earlier > 0 {
		return true, nil // a part was used before, and that was told
	}
	if all, err := tx.Captures(g.ID); err != nil || len(all) > 1 {
		return true, err // it was used before, and that was taken back
	}
	return true, Raise(tx, g.CustomerID, punchcard.EventRedemptionCaptured, map[string]any{
		"redemption_id": g.RedemptionID, "reward": g.Reward, "value": how.Amount.Float(),
	}, depth)
}

// CancelRedemption gives a redemption up: the run that serves it ends as cancelled, the points that are held are the customer's again and
// the code is void. It answers false, and does nothing, when the redemption has ended. The customer is locked.
func CancelRedemption(tx *store.Tx, r *punchcard.Redemption) (bool, error) {
	if r.EndedAt != nil {
		return false, nil
	}
	if r.RunID != "" {
		run, err := tx.LockRun(r.RunID)
		if err != nil {
			return false, err
		}
		if run.Status != punchcard.RunEnded {
			if err := Leave(tx, run, Ending{Outcome: punchcard.ReasonCancelled, Reason: punchcard.ReasonCancelled}); err != nil {
				return false, err
			}
		}
	}
	if r.GrantID != "" {
		g, err := tx.Grant(r.GrantID)
		if err != nil {
			return false, err
		}
		if g != nil {
			if _, err := tx.GiveBack(g, punchcard.ReasonCancelled); err != nil {
				return false, err
			}
		}
	}
	return true, tx.EndRedemption(r.ID, r.CustomerID, punchcard.RedemptionReleased, punchcard.ReasonCancelled)
}

// Expire ends those of the grants whose time is over, and raises that. The wait of a run for its use is over with a grant, and so is that
// for a person's word on it: the run goes on as when that takes too long. The customers are locked.
func (f *Fence) Expire(ctx context.Context, tx *store.Tx, grants []string) error {
	var events []*punchcard.Event
	for _, id := range grants {
		e, err := f.expire(ctx, tx, id)
		if err != nil {
			return err
		}
		if e != nil {
			events = append(events, e)
		}
	}
	return tx.AddEvents(events...)
}

// expire ends one grant, and answers the event to raise of that; nil when there is nothing to end.
func (f *Fence) expire(ctx context.Context, tx *store.Tx, grant string) (*punchcard.Event, error) {
	g, err := tx.Grant(grant)
	if err != nil || g == nil {
		return nil, err
	}
	var run *punchcard.Run
	if g.Status == punchcard.GrantHeld && g.RunID != "" {
		if run, err = tx.LockRun(g.RunID); err != nil {
			return nil, err
		}
	}
	codeless := g.AwaitsCode
	if ended, err := tx.ExpireGrant(g); err != nil || !ended {
		return nil, err
	}
	depth := -1
	if run != nil && run.Status != punchcard.RunEnded {
		depth = run.Depth
		if err := f.waitedInVain(ctx, tx, run); err != nil {
			return nil, err
		}
	}
	if codeless {
		return nil, nil // it never was the customer's
	}
	return raised(tx, g.CustomerID, punchcard.EventRewardExpired, map[string]any{
		"grant_id": g.ID, "reward": g.Reward, "redemption_id": g.RedemptionID, "value": g.Left().Float(),
	}, depth), nil
}

// waitedInVain ends the wait of a run for the use of a grant that expired.
func (f *Fence) waitedInVain(ctx context.Context, tx *store.Tx, r *punchcard.Run) error {
	if r.Listener == nil {
		return nil
	}
	_, j, err := f.Catalog.Journey(ctx, r.Version, r.Journey)
	if err != nil {
		return err
	}
	node := j.Plan.Nodes[r.Listener.Node]
	waits := node.Kind == rules.KindApprove || node.Kind == rules.KindWaitFor && j.Steps[r.Listener.Node].On == punchcard.EventRedemptionCaptured
	if !waits || !Hears(j, r, rules.OutcomeElapsed) {
		return nil
	}
	if err := Wake(tx, j, r, rules.OutcomeElapsed); err != nil {
		return err
	}
	return tx.SaveRun(r)
}
