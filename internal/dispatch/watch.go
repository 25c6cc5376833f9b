package dispatch

import (
	"context"
	"time"

	"punchcard"
	"punchcard/internal/store"
)

// watchEvery is the real time between two looks at what no event brings about.
const watchEvery = time.Second

// UnknownAfter is, unless it is set, how long after its call a message whose fate nothing has settled is reported, in real time.
const UnknownAfter = 24 * time.Hour

// runWatch looks after what no event brings about, until ctx ends.
func (d *Dispatcher) runWatch(ctx context.Context) error {
	return d.loopEvery(ctx, "watch", func() time.Duration { return watchEvery }, d.Watch)
}

// Watch closes circuits whose time is over and releases what closed ones hold, and reports messages that nobody knows of. It is for
// whoever drives time itself.
func (d *Dispatcher) Watch(ctx context.Context) error {
	if err := d.watchCircuits(ctx); err != nil {
		return err
	}
	return d.reportUnknown(ctx)
}

// reportUnknown raises the alert of messages that were handed over long ago and that nothing has settled since. They are never sent
// again: a person looks. One that was left by a worker that died counts as unknown from here on.
func (d *Dispatcher) reportUnknown(ctx context.Context) error {
	for {
		before := d.store.Clock().Now().Add(-d.store.Clock().Business(d.UnknownAfter))
		messages, err := d.store.View(ctx).Unreported(before, batch)
		if err != nil || len(messages) == 0 {
			return err
		}
		for _, seen := range messages {
			err := d.store.Update(ctx, func(tx *store.Tx) error {
				if _, err := tx.LockCustomer(seen.CustomerID); err != nil {
					return err
				}
				m, err := tx.Message(seen.ID)
				if err != nil || m == nil || m.ReportedAt != nil || m.Status != punchcard.MessageSending && m.Status != punchcard.MessageUnknown {
					return err
				}
				if m.Status == punchcard.MessageSending {
					m.Status, m.Reason = punchcard.MessageUnknown, "interrupted"
				}
				m.ReportedAt = &tx.Now
				if err := tx.SaveMessage(m); err != nil {
					return err
				}
				return tx.RaiseAlert(punchcard.AlertUnknownSends, "", punchcard.SeverityWarning, "no_status")
			})
			if err != nil {
				return err
			}
		}
	}
}
