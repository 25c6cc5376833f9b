package dispatch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

// silent are the types of inbound message that say nothing to answer. An edit is not one of them: a STOP may be an edit.
var silent = map[string]bool{"system": true, "unsupported": true, "reaction": true, "revoke": true}

// takeInbound records a customer's message and raises it. The same one twice is one.
func (d *Dispatcher) takeInbound(ctx context.Context, in *whatsapp.Inbound) error {
	if in.ID == "" || in.From == "" && in.UserID == "" {
		return fmt.Errorf("an inbound message has no id or no sender")
	}
	err := d.store.Update(ctx, func(tx *store.Tx) error {
		c, err := sender(tx, in)
		if err != nil {
			return err
		}
		text := in.Text
		if text == "" {
			text = in.Caption
		}
		at := said(in.At, tx.Now)
		m := &punchcard.Message{
			ID: punchcard.NewID(punchcard.PrefixMessage), CustomerID: c.ID, Direction: punchcard.Inbound, Kind: in.Type,
			Text: strings.ToValidUTF8(text, "�"), Wamid: &in.ID, ReplyTo: in.ReplyTo, Status: punchcard.MessageReceived,
			SaidAt: &at,
		}
		fresh, err := tx.AddMessage(m)
		if err != nil || !fresh || silent[in.Type] {
			return err
		}
		profile := punchcard.Profile{}
		if c.Name == "" && len(in.ProfileName) <= maxName && clean(in.ProfileName) {
			profile.Name = in.ProfileName
		}
		_, err = tx.AddEvent(&punchcard.Event{
			ID: punchcard.NewID(punchcard.PrefixEvent), CustomerID: c.ID, Name: punchcard.EventMessageReceived, Profile: profile,
			Properties: map[string]any{propMessage: m.ID, propPayload: in.Payload}, OccurredAt: at,
		})
		return err
	})
	if err == nil {
		d.events.ring()
	}
	return err
}

// sender finds or makes the customer who wrote. Where their phone and user id are known as two people, the user id decides: it
// is WhatsApp's own word for who they are.
func sender(tx *store.Tx, in *whatsapp.Inbound) (*punchcard.Customer, error) {
	var ids []punchcard.Identity
	fresh := punchcard.Customer{}
	if in.UserID != "" {
		ids = append(ids, punchcard.Identity{Kind: punchcard.IdentityUserID, Value: in.UserID})
		if country, _, ok := strings.Cut(in.UserID, "."); ok && len(country) == 2 {
			fresh.Country = country
		}
	}
	if in.From != "" {
		phone, region, err := punchcard.ParsePhone(in.From)
		if err == nil {
			ids = append(ids, punchcard.Identity{Kind: punchcard.IdentityPhone, Value: phone})
			fresh.Country, fresh.Zone = region, punchcard.PhoneZone(phone)
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("an inbound message has no sender that can be read")
	}
	c, err := tx.Enroll(ids, fresh)
	if punchcard.CodeOf(err) == punchcard.CodeConflict {
		return tx.Enroll(ids[:1], fresh)
	}
	return c, err
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
