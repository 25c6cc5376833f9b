package dispatch

import (
	"context"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

// Adjustment is points that a person gives, or takes with a negative number.
type Adjustment struct {
	Points int64
	By     string // who says so
	Reason string
	Debt   bool   // more may be taken than there is: the rest is owed
	Key    string // makes it happen once; "": it is done each time
}

// Adjust gives or takes points by a person's word, and raises what the customer crosses by it. It answers false, and does nothing, when
// the same was done before. The errors are CodeInvalid for what is no adjustment, and CodeConflict when more are taken than
// there are.
func (d *Dispatcher) Adjust(ctx context.Context, customer string, a Adjustment) (bool, error) {
	if a.Points == 0 || a.Points > fence.MaxEarned || a.Points < -fence.MaxEarned {
		return false, punchcard.Errorf(punchcard.CodeInvalid, "say how many points, up to %d, or as many with a minus to take them", int64(fence.MaxEarned)).In("points")
	}
	by, note, err := byHand(a.By, a.Reason)
	if err != nil {
		return false, err
	}
	if a.Key == "" {
		a.Key = punchcard.NewID(punchcard.PrefixAdjustment)
	}
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return false, err
	}
	done := false
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		c, err := tx.LockCustomer(customer)
		if err != nil {
			return err
		}
		adjustment := store.Adjustment{CustomerID: c.ID, Points: a.Points, Author: by, Note: note, Key: a.Key, Debt: a.Debt}
		if a.Points > 0 {
			adjustment.ExpiresAt = fence.PointsExpiry(policy.Program, tx.Now)
		}
		return fence.Watch(tx, policy.Program, c, 0, func() error {
			done, err = tx.Adjust(adjustment)
			return err
		})
	})
	if done && err == nil {
		d.events.ring()
	}
	return done && err == nil, err
}
