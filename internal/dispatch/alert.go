package dispatch

import (
	"context"

	"punchcard"
	"punchcard/internal/store"
)

// CloseAlert closes an alert that somebody has seen to. The errors are CodeInvalid for a name that says nothing, CodeNotFound
// when there is no such alert, and CodeConflict when it is closed.
func (d *Dispatcher) CloseAlert(ctx context.Context, id, by string) (*punchcard.Alert, error) {
	if err := checkBy(by); err != nil {
		return nil, err
	}
	var a *punchcard.Alert
	err := d.store.Update(ctx, func(tx *store.Tx) (err error) {
		a, err = tx.CloseAlert(id, by)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// checkBy refuses a name under which nobody could be found again.
func checkBy(by string) error {
	if by == "" || len(by) > maxName || !clean(by) {
		return punchcard.Errorf(punchcard.CodeInvalid, "say who closes it, in at most %d bytes", maxName).In("by")
	}
	return nil
}
