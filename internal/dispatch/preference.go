package dispatch

import (
	"context"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

// takePreference takes over a stop that the customer said to WhatsApp itself. A resume changes nothing: coming back needs a
// fresh opt-in.
func (d *Dispatcher) takePreference(ctx context.Context, p *whatsapp.Preference) error {
	if p.Value != keywordStop {
		return nil
	}
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return err
	}
	in := &whatsapp.Inbound{From: p.From, UserID: p.UserID}
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		c, err := sender(tx, in)
		if err != nil {
			return err
		}
		if c, err = tx.LockCustomer(c.ID); err != nil {
			return err
		}
		r := &routing{d: d, ctx: ctx, tx: tx, policy: policy, customer: c, event: &punchcard.Event{Name: "whatsapp.preferences", OccurredAt: tx.Now}}
		_, err = r.stop("whatsapp.preferences", nil)
		return err
	})
	if err == nil {
		d.outbox.ring()
	}
	return err
}
