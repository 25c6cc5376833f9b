package dispatch

import (
	"context"
	"fmt"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

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
	_, err = fence.Capture(tx, g, -1)
	return err
}
