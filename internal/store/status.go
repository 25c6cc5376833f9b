package store

import (
	"gorm.io/gorm/clause"

	"punchcard"
)

// MessagesNamed says which outbound messages have one of our ids, or one of WhatsApp's, and whose they are. Nothing else of them is read.
func (tx *Tx) MessagesNamed(ids, wamids []string) ([]punchcard.Message, error) {
	var rows []punchcard.Message
	for column, names := range map[string][]string{"id": ids, "wamid": wamids} {
		if len(names) == 0 {
			continue
		}
		more, err := list[punchcard.Message](tx.db.Select("id, customer_id").Where(column+" IN ? AND direction = 'out'", names))
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// MessagesByID reads messages, in no order.
func (tx *Tx) MessagesByID(ids []string) ([]*punchcard.Message, error) {
	return list[*punchcard.Message](tx.db.Where("id IN ?", ids))
}

// LockCustomers locks several customers, in the order of their ids: whoever locks more than one does. One
// that was merged is locked as it stands.
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
