package fence

import (
	"context"

	"punchcard"
	"punchcard/internal/store"
)

// CloseGone closes a run whose workflow is over although its row is not: somebody terminated it in Temporal. What Temporal was still
// to be told of it is dropped. It answers false when it has ended already. With quiet, a run is left alone that Temporal is still to be told
// of: its workflow may not have begun, and whoever tells it will see.
func (f *Fence) CloseGone(ctx context.Context, id string, quiet bool) (closed bool, err error) {
	run, err := f.Store.View(ctx).Run(id)
	if err != nil {
		return false, err
	}
	return closed, f.Store.Update(ctx, func(tx *store.Tx) error {
		closed = false
		if run == nil {
			return tx.DropDeliveries(id)
		}
		if _, err := tx.LockCustomer(run.CustomerID); err != nil {
			return err
		}
		r, err := tx.LockRun(id)
		if err != nil {
			return err
		}
		if quiet {
			n, err := tx.Undelivereds(id)
			if err != nil || n > 0 {
				return err
			}
		}
		if r.Status != punchcard.RunEnded {
			if err := End(tx, r, Ending{Outcome: punchcard.OutcomeTerminated, Reason: "workflow_gone"}); err != nil {
				return err
			}
			closed = true
		}
		return tx.DropDeliveries(id)
	})
}
