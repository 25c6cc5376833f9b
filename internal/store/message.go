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

// LastInbound is when the customer last wrote, nil when they never did. The service window counts from here.
func (tx *Tx) LastInbound(customer string) (*time.Time, error) {
	m, err := one[punchcard.Message](tx.db.Where("customer_id = ? AND direction = ?", customer, punchcard.Inbound).
		Order("created_at DESC").Limit(1))
	if err != nil || m == nil {
		return nil, err
	}
	return &m.CreatedAt, nil
}

// passed are the statuses of messages that count towards a cap: they left, or may have.
var passed = []punchcard.MessageStatus{
	punchcard.MessageSending, punchcard.MessageUnknown, punchcard.MessageAccepted, punchcard.MessageSent,
	punchcard.MessageDelivered, punchcard.MessageRead,
}

// SentTimes lists when a customer's messages of a category were handed to WhatsApp since a moment, oldest first.
func (tx *Tx) SentTimes(customer, category string, since time.Time) ([]time.Time, error) {
	rows, err := list[punchcard.Message](tx.db.Select("handed_at").
		Where("customer_id = ? AND category = ? AND handed_at > ? AND status IN ?", customer, category, since, passed).Order("handed_at"))
	times := make([]time.Time, len(rows))
	for i, r := range rows {
		times[i] = *r.HandedAt
	}
	return times, err
}

// SuppressDeferred gives up a run's messages that wait to be sent, except that of the step that is at work (0: none is).
func (tx *Tx) SuppressDeferred(run string, except int, reason string) error {
	return tx.db.Model(&punchcard.Message{}).
		Where("run_id = ? AND step <> ? AND status = ?", run, except, punchcard.MessageDeferred).
		Updates(map[string]any{"status": punchcard.MessageSuppressed, "reason": reason, "updated_at": tx.Now, "retry_at": nil}).Error
}

// InboxItem is a webhook as it came.
type InboxItem struct {
	ID         int64 `gorm:"primaryKey"`
	Body       []byte
	ReceivedAt time.Time
	Status     string
	Attempts   int
	Error      string
	DueAt      time.Time
}

// TableName is the table's.
func (InboxItem) TableName() string { return "inbox" }

// The statuses of an inbox item.
const (
	inboxPending = "pending"
	inboxDone    = "done"
	inboxParked  = "parked"
)

// AddInbox stores a webhook's raw body.
func (tx *Tx) AddInbox(body []byte) error {
	return tx.db.Create(&InboxItem{Body: body, ReceivedAt: tx.Now, Status: inboxPending, DueAt: machineNow()}).Error
}

// ClaimInbox takes up to limit webhooks to work on, oldest first, for the span of lease.
func (tx *Tx) ClaimInbox(limit int, lease time.Duration) ([]InboxItem, error) {
	now := machineNow()
	rows, err := list[InboxItem](tx.db.Clauses(skipLocked).Where("status = 'pending' AND due_at <= ?", now).Order("id").Limit(limit))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	ids := make([]int64, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	return rows, tx.db.Model(&InboxItem{}).Where("id IN ?", ids).Update("due_at", now.Add(lease)).Error
}

// InboxDone ends work on a webhook.
func (tx *Tx) InboxDone(id int64) error {
	return tx.db.Model(&InboxItem{}).Where("id = ?", id).Update("status", inboxDone).Error
}

// InboxFailed counts a failed try, and parks the webhook with its error when that was the last.
func (tx *Tx) InboxFailed(item InboxItem, message string, pause time.Duration, maxAttempts int) error {
	updates := map[string]any{"attempts": item.Attempts + 1, "error": failure(message), "due_at": machineNow().Add(pause)}
	if item.Attempts+1 >= maxAttempts {
		updates["status"] = inboxParked
	}
	return tx.db.Model(&InboxItem{}).Where("id = ?", item.ID).Updates(updates).Error
}
