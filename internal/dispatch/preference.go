package dispatch

import (
	"context"
	"slices"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

// Values of a preference.
const (
	preferenceStop   = "stop"
	preferenceResume = "resume"
)

// takePreference takes over what the customer set in WhatsApp itself about the business's marketing. A stop ends the topics by
// which marketing is sent. A resume is the customer's own request for what such a stop ended: they are asked, and begin again
// with their answer. It takes no other stop back.
func (d *Dispatcher) takePreference(ctx context.Context, p *whatsapp.Preference) error {
	if p.Value != preferenceStop && p.Value != preferenceResume {
		return nil
	}
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return err
	}
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		c, err := d.recognize(ctx, tx, policy, p.From, p.UserID, p.ParentUserID, p.At)
		if err != nil {
			return err
		}
		if c, err = tx.LockCustomer(c.ID); err != nil {
			return err
		}
		at := said(p.At, tx.Now)
		if p.Value == preferenceStop {
			_, err = d.fence.Stop(ctx, tx, policy.Program, c, fence.StopMarketing(policy.Program, sourcePreference, at))
			return err
		}
		r := &routing{d: d, ctx: ctx, tx: tx, policy: policy, customer: c, event: &punchcard.Event{Name: sourcePreference, OccurredAt: at}}
		return r.resumed(at)
	})
	if err == nil {
		d.events.ring()
		d.outbox.ring()
	}
	return err
}

// resumed requests the topics that stand revoked because of what the customer set in WhatsApp, and of nothing else.
func (r *routing) resumed(at time.Time) error {
	standings, err := r.tx.Standings(r.customer.ID)
	if err != nil {
		return err
	}
	var topics []string
	for _, t := range r.policy.Topics {
		if standings[t.Name].Standing != punchcard.StandingRevoked {
			continue
		}
		log, err := r.tx.ConsentLog(r.customer.ID, t.Name)
		if err != nil {
			return err
		}
		log = slices.DeleteFunc(log, func(e punchcard.ConsentEntry) bool {
			return e.Standing == punchcard.StandingRevoked && (e.Source == sourcePreference || e.Source == fence.SourceMarketingOff)
		})
		// A STOP that they also wrote stands, whichever of the two came last.
		if punchcard.DeriveConsent(log).Standing != punchcard.StandingRevoked {
			topics = append(topics, t.Name)
		}
	}
	entry := punchcard.ConsentEntry{Source: sourcePreference, Channel: punchcard.ChannelWhatsApp, OccurredAt: at}
	return r.request(topics, entry, true)
}
