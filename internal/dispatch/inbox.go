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

// Receive stores a verified webhook's raw body; it is committed when Receive returns, and may be acknowledged.
func (d *Dispatcher) Receive(ctx context.Context, body []byte) error {
	err := d.store.Update(ctx, func(tx *store.Tx) error { return tx.AddInbox(body) })
	if err == nil {
		d.inbox.ring()
	}
	return err
}

// readInbox works through webhooks that came.
func (d *Dispatcher) readInbox(ctx context.Context) (int, error) {
	var items []store.InboxItem
	err := d.store.Update(ctx, func(tx *store.Tx) error {
		var err error
		items, err = tx.ClaimInbox(batch, lease)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, item := range items {
		if err := d.readItem(ctx, item); err != nil {
			return len(items), err
		}
	}
	return len(items), nil
}

// readItem takes over each update of a webhook in a transaction of its own. One that cannot be taken over does not stop its
// neighbours: it is tried again with the whole webhook, whose other updates are duplicates then, and parked at last.
func (d *Dispatcher) readItem(ctx context.Context, item store.InboxItem) error {
	updates, err := whatsapp.Parse(item.Body)
	var failed error
	if err != nil {
		failed = err
	}
	for _, u := range updates {
		err := d.takeUpdate(ctx, u)
		if store.IsOutage(err) || punchcard.CodeOf(err) == punchcard.CodeUnavailable {
			return err
		}
		if err != nil {
			failed = err
		}
	}
	if failed == nil {
		return d.store.Update(ctx, func(tx *store.Tx) error { return tx.InboxDone(item.ID) })
	}
	d.log.ErrorContext(ctx, "a webhook could not be taken over whole", "inbox", item.ID, "attempts", item.Attempts+1, "error", failed)
	return d.store.Update(ctx, func(tx *store.Tx) error {
		return tx.InboxFailed(item, failed.Error(), retryPause*time.Duration(item.Attempts+1), maxAttempts)
	})
}

func (d *Dispatcher) takeUpdate(ctx context.Context, u whatsapp.Update) error {
	switch {
	case u.Inbound != nil:
		return d.takeInbound(ctx, u.Inbound)
	case u.Status != nil:
		return d.takeStatus(ctx, u.Status)
	case u.Preference != nil:
		return d.takePreference(ctx, u.Preference)
	case u.Broken != nil:
		return fmt.Errorf("an update under %q cannot be read: %s", u.Broken.Field, u.Broken.Err)
	default:
		return nil // kept in the inbox; the product has no use for it yet
	}
}

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
			fresh.Country = region
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

// capturedByDelivery is what a reward says whose grants are used when the message that carries them arrives.
const capturedByDelivery = "delivery"

// takeStatus moves a message forward. A status that comes late, twice or out of order changes nothing.
func (d *Dispatcher) takeStatus(ctx context.Context, s *whatsapp.Status) error {
	m, err := d.messageOf(ctx, s)
	if err != nil || m == nil {
		return err
	}
	return d.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(m.CustomerID); err != nil {
			return err
		}
		m, err := tx.Message(m.ID)
		if err != nil || m == nil {
			return err
		}
		changed := false
		if m.Wamid == nil && s.ID != "" {
			m.Wamid, changed = &s.ID, true
		}
		status := punchcard.MessageStatus(s.Status)
		if s.Status == "played" { // a voice message was listened to
			status = punchcard.MessageRead
		}
		if status.Passes(m.Status) {
			m.Status, changed = status, true
			if status == punchcard.MessageFailed && len(s.Errors) > 0 {
				m.ErrorCode, m.Reason = s.Errors[0].Code, fmt.Sprintf("whatsapp_%d", s.Errors[0].Code)
			}
			if err := delivered(tx, m); err != nil {
				return err
			}
		}
		if !changed {
			return nil
		}
		return tx.SaveMessage(m)
	})
}

// messageOf is the message that a status is about, by our own id that it echoes or by WhatsApp's; nil when it is not ours.
func (d *Dispatcher) messageOf(ctx context.Context, s *whatsapp.Status) (*punchcard.Message, error) {
	view := d.store.View(ctx)
	if punchcard.IsID(punchcard.PrefixMessage, s.CallbackData) {
		if m, err := view.Message(s.CallbackData); m != nil || err != nil {
			return m, err
		}
	}
	if s.ID == "" {
		return nil, nil
	}
	return view.MessageByWamid(s.ID)
}

// delivered uses the grant that a message carried, where arriving is what uses it.
func delivered(tx *store.Tx, m *punchcard.Message) error {
	if m.GrantID == "" || m.Status != punchcard.MessageDelivered && m.Status != punchcard.MessageRead {
		return nil
	}
	g, err := tx.Grant(m.GrantID)
	if err != nil || g == nil || g.CapturedBy != capturedByDelivery {
		return err
	}
	return capture(tx, g, -1)
}

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
