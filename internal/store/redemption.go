package store

import (
	"punchcard"
)

// AddRedemption stores a wish to use a reward.
func (tx *Tx) AddRedemption(r *punchcard.Redemption) error {
	r.Status, r.CreatedAt = punchcard.RedemptionRequested, tx.Now
	tx.Tell(r.CustomerID, punchcard.RedemptionTold{Type: punchcard.HookRedemptionRequested, RedemptionID: r.ID, Reward: r.Reward})
	return tx.db.Create(r).Error
}

// Redemption reads a redemption, or nil.
func (tx *Tx) Redemption(id string) (*punchcard.Redemption, error) {
	return one[punchcard.Redemption](tx.db.Where("id = ?", id))
}

// RedemptionOfRequest reads the redemption that was asked for with that hash of an Idempotency-Key, or nil. An empty one is
// nobody's.
func (tx *Tx) RedemptionOfRequest(request string) (*punchcard.Redemption, error) {
	if request == "" {
		return nil, nil
	}
	return one[punchcard.Redemption](tx.db.Where("request = ? AND request <> ''", request))
}

// SaveRedemption writes a redemption whose customer is locked.
func (tx *Tx) SaveRedemption(r *punchcard.Redemption) error { return tx.db.Save(r).Error }

// EndRedemption ends a redemption that holds nothing: it was refused, or its run ended before it held anything.
func (tx *Tx) EndRedemption(id, customer string, status punchcard.RedemptionStatus, reason string) error {
	r, err := one[punchcard.Redemption](tx.db.Clauses(lock).Where("id = ? AND customer_id = ? AND ended_at IS NULL", id, customer))
	if err != nil || r == nil {
		return err
	}
	if status == punchcard.RedemptionRefused {
		return tx.RefuseRedemption(r, reason)
	}
	tx.Tell(customer, punchcard.RedemptionTold{Type: punchcard.HookRedemptionReleased, RedemptionID: r.ID, Reward: r.Reward, Reason: reason})
	r.Status, r.Reason, r.EndedAt = status, reason, &tx.Now
	return tx.SaveRedemption(r)
}

// RefuseRedemption ends a redemption because a rule says no. The customer is locked.
func (tx *Tx) RefuseRedemption(r *punchcard.Redemption, reason string) error {
	tx.Tell(r.CustomerID, punchcard.RedemptionTold{Type: punchcard.HookRedemptionRefused, RedemptionID: r.ID, Reward: r.Reward, Reason: reason})
	r.Status, r.Reason, r.EndedAt = punchcard.RedemptionRefused, reason, &tx.Now
	return tx.SaveRedemption(r)
}

// OpenRedemptions lists a customer's redemptions that have not ended, newest first.
func (tx *Tx) OpenRedemptions(customer string, limit int) ([]punchcard.Redemption, error) {
	return list[punchcard.Redemption](tx.db.Where("customer_id = ? AND ended_at IS NULL", customer).Order("id DESC").Limit(limit))
}

// Redemptions lists redemptions, newest first, before the one with that id (empty: from the newest), of one status and one customer
// (empty: of all).
func (tx *Tx) Redemptions(status punchcard.RedemptionStatus, customer, before string, limit int) ([]punchcard.Redemption, error) {
	q := tx.db
	if status != "" {
		q = q.Where("status = ?", status)
	}
	if customer != "" {
		q = q.Where("customer_id = ?", customer)
	}
	if before != "" {
		q = q.Where("id < ?", before)
	}
	return list[punchcard.Redemption](q.Order("id DESC").Limit(limit))
}
