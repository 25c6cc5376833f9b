package store

import (
	"time"

	"gorm.io/gorm/clause"

	"punchcard"
)

// AddMessage records a message. It answers false when one with its wamid, or of its effect, is there already.
func (tx *Tx) AddMessage(m *punchcard.Message) (bool, error) {
	m.CreatedAt, m.UpdatedAt = tx.Now, tx.Now
	r := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(m)
	return r.RowsAffected > 0, r.Error
}

// SaveMessage writes a message whose customer is locked.
func (tx *Tx) SaveMessage(m *punchcard.Message) error {
	m.UpdatedAt = tx.Now
	return tx.db.Save(m).Error
}

// Message reads a message, or nil.
func (tx *Tx) Message(id string) (*punchcard.Message, error) {
	return one[punchcard.Message](tx.db.Where("id = ?", id))
}

// MessageByWamid reads the message that WhatsApp knows by that id, or nil.
func (tx *Tx) MessageByWamid(wamid string) (*punchcard.Message, error) {
	return one[punchcard.Message](tx.db.Where("wamid = ?", wamid))
}

// TextsOf reads the texts of messages by the ids that WhatsApp knows them by. One that is not there has none.
func (tx *Tx) TextsOf(wamids []string) (map[string]string, error) {
	texts := make(map[string]string, len(wamids))
	if len(wamids) == 0 {
		return texts, nil
	}
	rows, err := list[punchcard.Message](tx.db.Select("wamid", "text").Where("wamid IN ?", wamids))
	for _, m := range rows {
		texts[*m.Wamid] = m.Text
	}
	return texts, err
}

// MessageOfEffect reads the outbound message of a run's effect, or nil.
func (tx *Tx) MessageOfEffect(run string, step int) (*punchcard.Message, error) {
	return one[punchcard.Message](tx.db.Where("run_id = ? AND step = ? AND direction = 'out'", run, step))
}

// Messages lists a customer's messages, newest first, before the one with that id (empty: from the newest).
func (tx *Tx) Messages(customer, before string, limit int) ([]punchcard.Message, error) {
	q := tx.db.Where("customer_id = ?", customer)
	if before != "" {
		q = q.Where("id < ?", before)
	}
	return list[punchcard.Message](q.Order("id DESC").Limit(limit))
}

// Amendments lists what changes a message that a customer sent, and came before it: edits and a revoke, as they were said.
func (tx *Tx) Amendments(m *punchcard.Message) ([]punchcard.Message, error) {
	if m.Wamid == nil {
		return nil, nil
	}
	return list[punchcard.Message](tx.db.Where("customer_id = ? AND direction = 'in' AND reply_to = ? AND kind IN ('edit', 'revoke')", m.CustomerID, *m.Wamid).
		Order("said_at, id"))
}

// LastInbound is when the customer last wrote, nil when they never did. The service window counts from here: from when it was said,
// which a webhook may tell late. A notice about them is nothing they wrote, nor is the change of something they had written.
func (tx *Tx) LastInbound(customer string) (*time.Time, error) {
	m, err := one[punchcard.Message](tx.db.Where("customer_id = ? AND direction = ? AND kind NOT IN ('system', 'edit', 'revoke')", customer, punchcard.Inbound).
		Order("created_at DESC").Limit(1))
	if err != nil || m == nil {
		return nil, err
	}
	if m.SaidAt != nil && m.SaidAt.Before(m.CreatedAt) {
		return m.SaidAt, nil
	}
	return &m.CreatedAt, nil
}

// CountInbound counts the messages that a customer has written, up to a number. Notices about them are none.
func (tx *Tx) CountInbound(customer string, most int) (int, error) {
	rows, err := list[punchcard.Message](tx.db.Select("id").
		Where("customer_id = ? AND direction = ? AND kind NOT IN ('system', 'edit', 'revoke')", customer, punchcard.Inbound).Limit(most))
	return len(rows), err
}

// passed are the statuses of messages that count towards a cap: they left, or may have.
var passed = []punchcard.MessageStatus{
	punchcard.MessageSending, punchcard.MessageUnknown, punchcard.MessageAccepted, punchcard.MessageSent,
	punchcard.MessageDelivered, punchcard.MessageRead,
}

// Handed is one template that was handed to WhatsApp.
type Handed struct {
	HandedAt time.Time
	Category string
	Topic    string
}

// Handed lists a customer's templates that were handed to WhatsApp since a moment, oldest first.
func (tx *Tx) Handed(customer string, since time.Time) ([]Handed, error) {
	var rows []Handed
	err := tx.db.Model(&punchcard.Message{}).Select("handed_at", "category", "topic").
		Where("customer_id = ? AND category <> '' AND handed_at > ? AND status IN ?", customer, kept(since), passed).Order("handed_at").Scan(&rows).Error
	return rows, err
}

// AskedSince tells whether another run has sent a customer one of the templates since a moment, which is not counted itself.
func (tx *Tx) AskedSince(customer, run string, templates []string, since time.Time) (bool, error) {
	n, err := count[punchcard.Message](tx.db.Where("customer_id = ? AND run_id <> ? AND template IN ? AND handed_at > ? AND status IN ?",
		customer, run, templates, kept(since), passed))
	return n > 0, err
}

// SuppressDeferred gives up a run's messages that wait to be sent, except that of the step that is at work (0: none is).
func (tx *Tx) SuppressDeferred(run string, except int, reason string) error {
	return tx.db.Model(&punchcard.Message{}).
		Where("run_id = ? AND step <> ? AND status = ?", run, except, punchcard.MessageDeferred).
		Updates(map[string]any{"status": punchcard.MessageSuppressed, "reason": reason, "updated_at": tx.Now, "retry_at": nil}).Error
}
