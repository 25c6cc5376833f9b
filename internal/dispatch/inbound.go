package dispatch

import (
	"context"
	"fmt"
	"strings"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

// silent are the types of inbound message that say nothing to answer.
var silent = map[string]bool{"system": true, "unsupported": true, "reaction": true}

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
		m := &punchcard.Message{
			ID: punchcard.NewID(punchcard.PrefixMessage), CustomerID: c.ID, Direction: punchcard.Inbound, Kind: in.Type,
			Text: strings.ToValidUTF8(text, "�"), Wamid: &in.ID, ReplyTo: in.ReplyTo, Status: punchcard.MessageReceived,
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
			Properties: map[string]any{propMessage: m.ID, propPayload: in.Payload}, OccurredAt: tx.Now,
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
