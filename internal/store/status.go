package store

import (
	"slices"

	"gorm.io/gorm/clause"

	"punchcard"
)

// MessagesNamed reads the messages with one of our ids, or with one of WhatsApp's.
func (tx *Tx) MessagesNamed(ids, wamids []string) ([]*punchcard.Message, error) {
	var rows []*punchcard.Message
	if len(ids) > 0 {
		var err error
		if rows, err = list[*punchcard.Message](tx.db.Where("id IN ?", ids)); err != nil {
			return nil, err
		}
	}
	if len(wamids) > 0 {
		more, err := list[*punchcard.Message](tx.db.Where("wamid IN ?", wamids))
		if err != nil {
			return nil, err
		}
		for _, m := range more {
			if !slices.Contains(ids, m.ID) {
				rows = append(rows, m)
			}
		}
	}
	return rows, nil
}

// LockCustomers locks several customers, in the order of their ids: whoever locks more than one does. It answers their ids.
// One that was merged is locked as it stands.
func (tx *Tx) LockCustomers(ids []string) error {
	_, err := list[punchcard.Customer](tx.db.Clauses(lock).Select("id").Where("id IN ?", ids).Order("id"))
	return err
}

// savedAtOnce is how many messages one statement writes: SQLite takes 32,766 values in one.
const savedAtOnce = 200

// SaveStatuses writes what statuses change of messages, in few statements. The messages are there, and their customers are locked.
func (tx *Tx) SaveStatuses(messages []*punchcard.Message) error {
	for _, m := range messages {
		m.UpdatedAt = tx.Now
	}
	return tx.db.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "id"}},
		DoUpdates: clause.AssignmentColumns([]string{
			"wamid", "status", "reason", "error_code", "updated_at", "sent_at", "delivered_at", "read_at", "failed_at",
			"price_category", "price_type", "billable",
		}),
	}).CreateInBatches(messages, savedAtOnce).Error
}
