package store

import (
	"maps"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"punchcard"
)

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

// GiveBackInbox makes claimed webhooks due again: whoever claimed them has no time for them.
func (tx *Tx) GiveBackInbox(items []InboxItem) error {
	ids := make([]int64, len(items))
	for i, item := range items {
		ids[i] = item.ID
	}
	return tx.db.Model(&InboxItem{}).Where("id IN ? AND status = 'pending'", ids).Update("due_at", machineNow()).Error
}

// InboxDone ends work on webhooks.
func (tx *Tx) InboxDone(ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	return tx.db.Model(&InboxItem{}).Where("id IN ?", ids).Update("status", inboxDone).Error
}

// InboxFailed counts a failed try, and parks the webhook with its error when that was the last.
func (tx *Tx) InboxFailed(item InboxItem, message string, pause time.Duration, maxAttempts int) error {
	updates := map[string]any{"attempts": item.Attempts + 1, "error": failure(message), "due_at": machineNow().Add(pause)}
	if item.Attempts+1 >= maxAttempts {
		updates["status"] = inboxParked
	}
	return tx.db.Model(&InboxItem{}).Where("id = ?", item.ID).Updates(updates).Error
}

// InboxDepth is how many webhooks wait.
func (tx *Tx) InboxDepth() (int64, error) { return count[InboxItem](tx.db.Where("status = 'pending'")) }

// ParkedInbox lists webhooks that could not be taken over, after an id, oldest first. Their bodies are not read: they are the customers'.
func (tx *Tx) ParkedInbox(after int64, limit int) ([]InboxItem, error) {
	return list[InboxItem](tx.db.Omit("body").Where("status = 'parked' AND id > ?", after).Order("id").Limit(limit))
}

// UnparkInbox gives a parked webhook its tries again. The error is CodeNotFound when it is not parked.
func (tx *Tx) UnparkInbox(id int64) error {
	r := tx.db.Model(&InboxItem{}).Where("id = ? AND status = 'parked'", id).
		Updates(map[string]any{"status": inboxPending, "attempts": 0, "error": "", "due_at": machineNow()})
	if r.Error == nil && r.RowsAffected == 0 {
		return punchcard.Errorf(punchcard.CodeNotFound, "there is no parked webhook with that id")
	}
	return r.Error
}

// UnknownWebhook is a kind of webhook that this version has no use for, and how often it came.
type UnknownWebhook struct {
	Field   string `gorm:"primaryKey"` // the webhook's field; messages.<part> for a part of one
	Times   int64
	FirstAt time.Time
	LastAt  time.Time
}

// maxField bounds the name of a kind of webhook that is counted, in bytes.
const maxField = 200

// CountUnknown counts webhooks of kinds that this version has no use for.
func (tx *Tx) CountUnknown(times map[string]int) error {
	for _, field := range slices.Sorted(maps.Keys(times)) { // in one order for all, so that two do not wait for each other
		n := times[field]
		field = strings.ReplaceAll(field, "\x00", "\uFFFD")
		if len(field) > maxField {
			field = strings.ToValidUTF8(field[:maxField], "")
		}
		err := tx.db.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "field"}},
			DoUpdates: clause.Assignments(map[string]any{"times": gorm.Expr("unknown_webhooks.times + ?", n), "last_at": tx.Now}),
		}).Create(&UnknownWebhook{Field: field, Times: int64(n), FirstAt: tx.Now, LastAt: tx.Now}).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// UnknownWebhooks lists the kinds of webhook that this version has no use for, by name.
func (tx *Tx) UnknownWebhooks() ([]UnknownWebhook, error) {
	return list[UnknownWebhook](tx.db.Order("field"))
}
