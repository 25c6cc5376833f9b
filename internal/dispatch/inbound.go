package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

// silent are the types of inbound message that say nothing to answer.
var silent = map[string]bool{"system": true, "unsupported": true, "reaction": true, typeRevoke: true}

// heard tells whether a message is an event. An edit changes what was said and is no new answer: what was said first has had its
// effect. Only a stop is heard in it too, since nobody may be written to who has said no.
func heard(policy fence.Published, m *punchcard.Message) bool {
	if m.Kind != typeEdit {
		return !silent[m.Kind]
	}
	if word, _ := policy.Keyword(m.Text); word == keywordStop {
		return true
	}
	_, stops := policy.StopsTopic(m.Text)
	return stops
}

// takeInbound records a customer's message and raises it. The same one twice is one.
func (d *Dispatcher) takeInbound(ctx context.Context, in *whatsapp.Inbound) error {
	if in.ID == "" || in.From == "" && in.UserID == "" && in.ParentUserID == "" && in.System == nil {
		return fmt.Errorf("an inbound message has no id or no sender")
	}
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return err
	}
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		if in.System != nil && renames(in.System) {
			return d.rename(ctx, tx, policy, in)
		}
		c, err := d.recognize(ctx, tx, policy, in.From, in.UserID, in.ParentUserID, in.At)
		if err != nil {
			return err
		}
		if c, err = tx.LockCustomer(c.ID); err != nil {
			return err
		}
		if c.Undelivered > 0 {
			c.Undelivered = 0
			if err := tx.Reached(c.ID); err != nil {
				return err
			}
		}
		m := received(in, c, tx.Now)
		if err := attach(m, in); err != nil {
			return err
		}
		fresh, err := tx.AddMessage(m)
		if err != nil || !fresh {
			return err
		}
		if err := amended(tx, in, m); err != nil || !heard(policy, m) {
			return err
		}
		profile := punchcard.Profile{}
		if c.Name == "" && len(in.ProfileName) <= maxName && clean(in.ProfileName) {
			profile.Name = in.ProfileName
		}
		_, err = tx.AddEvent(&punchcard.Event{
			ID: punchcard.NewID(punchcard.PrefixEvent), CustomerID: c.ID, Name: punchcard.EventMessageReceived, Profile: profile,
			Properties: map[string]any{propMessage: m.ID, propPayload: in.Payload}, OccurredAt: *m.SaidAt,
		})
		return err
	})
	if err == nil {
		d.events.ring()
	}
	return err
}

// received is an inbound message as it is kept.
func received(in *whatsapp.Inbound, c *punchcard.Customer, now time.Time) *punchcard.Message {
	text := in.Text
	if text == "" {
		text = in.Caption
	}
	at := said(in.At, now)
	return &punchcard.Message{
		ID: punchcard.NewID(punchcard.PrefixMessage), CustomerID: c.ID, Direction: punchcard.Inbound, Kind: in.Type,
		Text: strings.ToValidUTF8(text, "�"), Wamid: &in.ID, ReplyTo: cmp.Or(in.Concerns, in.ReplyTo), Status: punchcard.MessageReceived,
		MediaID: in.MediaID, MediaType: in.MediaType, Filename: in.Filename, SaidAt: &at,
	}
}

// redelivered is for how long WhatsApp goes on delivering a webhook that was not taken. Source: Meta's page on webhooks.
const redelivered = 7 * 24 * time.Hour

// said is when a customer said something, by what WhatsApp tells of it, to the second: its end, so that a STOP never counts as
// older than what came before it. What cannot be is now.
func said(at, now time.Time) time.Time {
	end := at.Add(time.Second - time.Microsecond)
	if at.IsZero() || end.After(now) || at.Before(now.Add(-redelivered)) {
		return now
	}
	return end.UTC().Truncate(time.Microsecond)
}
