package store

import (
	"time"

	"gorm.io/gorm"

	"punchcard"
)

// AddDecision records what is decided of a message now. The customer is locked.
func (tx *Tx) AddDecision(d *punchcard.MessageDecision) error {
	d.ID, d.At = 0, tx.Now
	return tx.db.Create(d).Error
}

// Decisions lists what was decided of a customer's messages after an id, in the order of deciding, from one moment to before another;
// a zero moment is no bound.
func (tx *Tx) Decisions(customer string, after int64, from, to time.Time, limit int) ([]punchcard.MessageDecision, error) {
	q := tx.db.Where("customer_id = ? AND id > ?", customer, after)
	if !from.IsZero() {
		q = q.Where("at >= ?", kept(from))
	}
	if !to.IsZero() {
		q = q.Where("at < ?", kept(to))
	}
	return list[punchcard.MessageDecision](q.Order("id").Limit(limit))
}

// CountUndelivered counts one more message that WhatsApp could not deliver to a customer, who is locked.
func (tx *Tx) CountUndelivered(customer string) error {
	return tx.db.Model(&punchcard.Customer{}).Where("id = ?", customer).Update("undelivered", gorm.Expr("undelivered + 1")).Error
}

// Reached remembers that customers, who are locked, can be reached: they wrote, a message arrived, or their number is a new one.
func (tx *Tx) Reached(customers ...string) error {
	return tx.db.Model(&punchcard.Customer{}).Where("id IN ? AND undelivered > 0", customers).Update("undelivered", 0).Error
}
