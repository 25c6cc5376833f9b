package store

import (
	"punchcard"
)

// AddRefusal keeps that a rule said no.
func (tx *Tx) AddRefusal(r punchcard.Refusal) error {
	r.ID, r.At = punchcard.NewID(punchcard.PrefixRefusal), tx.Now
	return tx.db.Create(&r).Error
}

// Refusals lists refusals, newest first, before the one with that id (empty: from the newest), with one reason and of one customer
// (empty: of all).
func (tx *Tx) Refusals(reason, customer, before string, limit int) ([]punchcard.Refusal, error) {
	q := tx.db
	if reason != "" {
		q = q.Where("reason = ?", reason)
	}
	if customer != "" {
		q = q.Where("customer_id = ?", customer)
	}
	if before != "" {
		q = q.Where("id < ?", before)
	}
	return list[punchcard.Refusal](q.Order("id DESC").Limit(limit))
}
