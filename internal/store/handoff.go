package store

import "punchcard"

// OpenHandoff stores that a person takes over, and mutes automation to the customer. The customer is locked.
func (tx *Tx) OpenHandoff(h *punchcard.Handoff, c *punchcard.Customer) error {
	h.OpenedAt, h.Mutes = tx.Now, true
	if err := tx.db.Create(h).Error; err != nil {
		return err
	}
	if c.MutedUntil == nil || c.MutedUntil.Before(h.Until) {
		c.MutedUntil = &h.Until
	}
	return tx.SaveCustomer(c)
}

// OpenQuestion stores that a message waits for a person. Of one customer one is open: it is about their newest message then. The customer
// is locked.
func (tx *Tx) OpenQuestion(h *punchcard.Handoff) error {
	h.OpenedAt = tx.Now
	r := tx.db.Model(&punchcard.Handoff{}).Where("customer_id = ? AND run_id = '' AND closed_at IS NULL", h.CustomerID).
		Updates(map[string]any{"message_id": h.MessageID, "until": h.Until})
	if r.Error != nil || r.RowsAffected > 0 {
		return r.Error
	}
	return tx.db.Create(h).Error
}

// Handoff reads a handoff, or nil.
func (tx *Tx) Handoff(id string) (*punchcard.Handoff, error) {
	return one[punchcard.Handoff](tx.db.Where("id = ?", id))
}

// CloseHandoff ends a person's turn. Automation goes on unless another one is open. The customer is locked.
func (tx *Tx) CloseHandoff(h *punchcard.Handoff, c *punchcard.Customer, by string) error {
	h.ClosedAt, h.ClosedBy = &tx.Now, by
	if err := tx.db.Save(h).Error; err != nil {
		return err
	}
	others, err := list[punchcard.Handoff](tx.db.Where("customer_id = ? AND mutes AND closed_at IS NULL AND until > ?", c.ID, tx.Now))
	if err != nil {
		return err
	}
	c.MutedUntil = nil
	for _, o := range others {
		if c.MutedUntil == nil || c.MutedUntil.Before(o.Until) {
			c.MutedUntil = &o.Until
		}
	}
	return tx.SaveCustomer(c)
}

// OpenHandoffs lists handoffs that nobody has closed and whose time is not over, after an id, oldest first.
func (tx *Tx) OpenHandoffs(after string, limit int) ([]punchcard.Handoff, error) {
	return list[punchcard.Handoff](tx.db.Where("closed_at IS NULL AND until > ? AND id > ?", tx.Now, after).Order("id").Limit(limit))
}
