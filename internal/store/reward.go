package store

import (
	"fmt"
	"time"

	"gorm.io/gorm/clause"

	"punchcard"
)

// AddGrant stores a grant. The customer is locked.
func (tx *Tx) AddGrant(g *punchcard.Grant) error {
	g.CreatedAt = tx.Now
	if !g.AwaitsCode {
		tx.tellGiven(g)
	}
	return tx.db.Create(g).Error
}

// tellGiven has hooks told of a reward that is the customer's now.
func (tx *Tx) tellGiven(g *punchcard.Grant) {
	if g.Status == punchcard.GrantGiven {
		tx.Tell(g.CustomerID, punchcard.GrantTold{GrantID: g.ID, Reward: g.Reward, Value: g.Value, RunID: g.RunID, ExpiresAt: g.ExpiresAt})
	}
}

// AwaitingGrant reads the grant of a run for whose code another system is being asked, or nil. There is one at most.
func (tx *Tx) AwaitingGrant(run string) (*punchcard.Grant, error) {
	return one[punchcard.Grant](tx.db.Where("run_id = ? AND run_id <> '' AND awaits_code", run))
}

// AbandonedGrants lists grants that were given by hand before a moment and still have no code: whoever asked for it is gone.
func (tx *Tx) AbandonedGrants(before time.Time, limit int) ([]punchcard.Grant, error) {
	return list[punchcard.Grant](tx.db.Where("awaits_code AND run_id = '' AND created_at < ?", before).Order("created_at").Limit(limit))
}

// StillAwaits reads a grant again under a lock, and answers whether it still awaits its code.
func (tx *Tx) StillAwaits(g *punchcard.Grant) (bool, error) {
	open, err := tx.openGrant(g)
	return open && g.AwaitsCode, err
}

// IssueCode gives a grant that awaits it its code. It answers false, and does nothing, when there is such a code already.
func (tx *Tx) IssueCode(g *punchcard.Grant, issued *punchcard.IssuedCode) (bool, error) {
	fresh, err := tx.AddCode(issued.Code, g.Reward, g.ID)
	if err != nil || !fresh {
		return false, err
	}
	g.Code, g.AwaitsCode = punchcard.MaskCode(issued.Code), false
	if issued.ExpiresAt != nil {
		g.ExpiresAt = issued.ExpiresAt
	}
	tx.tellGiven(g)
	return true, tx.db.Save(g).Error
}

// Grant reads a grant, or nil.
func (tx *Tx) Grant(id string) (*punchcard.Grant, error) {
	return one[punchcard.Grant](tx.db.Where("id = ?", id))
}

// GrantOfRequest reads the grant that was given by hand with that hash of an Idempotency-Key, or nil. An empty one is nobody's.
func (tx *Tx) GrantOfRequest(request string) (*punchcard.Grant, error) {
	if request == "" {
		return nil, nil
	}
	return one[punchcard.Grant](tx.db.Where("request = ? AND request <> ''", request))
}

// Grants lists a customer's grants, newest first, before the one with that id (empty: from the newest).
func (tx *Tx) Grants(customer, before string, limit int) ([]punchcard.Grant, error) {
	q := tx.db.Where("customer_id = ?", customer)
	if before != "" {
		q = q.Where("id < ?", before)
	}
	return list[punchcard.Grant](q.Order("id DESC").Limit(limit))
}

// HeldGrants lists the grants that a run holds, and the one that still awaits its code.
func (tx *Tx) HeldGrants(run string) ([]punchcard.Grant, error) {
	// Either half has an index of its own that is next to empty.
	return list[punchcard.Grant](tx.db.Where(`id IN (SELECT id FROM grants WHERE run_id = ? AND status = 'held'
		UNION SELECT id FROM grants WHERE run_id = ? AND run_id <> '' AND awaits_code)`, run, run).Order("id"))
}

// CountGrants counts the grants of a reward that were not released, of one customer (empty: of all), since a moment (zero:
// ever). Counted over all customers, the reward is locked first with LockReward.
func (tx *Tx) CountGrants(reward, customer string, since time.Time) (int64, error) {
	q := tx.db.Where("reward = ? AND status <> ?", reward, punchcard.GrantReleased)
	if customer != "" {
		q = q.Where("customer_id = ?", customer)
	}
	if !since.IsZero() {
		q = q.Where("created_at > ?", since)
	}
	return count[punchcard.Grant](q)
}

// SumGrants adds up what the grants of a reward were worth that were not released, since a moment (zero: ever). The reward is
// locked first with LockReward.
func (tx *Tx) SumGrants(reward string, since time.Time) (float64, error) {
	q := tx.db.Model(&punchcard.Grant{}).Where("reward = ? AND status <> ?", reward, punchcard.GrantReleased)
	if !since.IsZero() {
		q = q.Where("created_at > ?", since)
	}
	var sum float64
	err := q.Select("COALESCE(SUM(value), 0)").Scan(&sum).Error
	return sum, err
}

// RewardUse is how a reward's grants stand.
type RewardUse struct {
	Reward string
	Status punchcard.GrantStatus
	Grants int64
}

// RewardUses counts all grants, by reward and status.
func (tx *Tx) RewardUses() ([]RewardUse, error) {
	var rows []RewardUse
	err := tx.db.Raw("SELECT reward, status, count(*) AS grants FROM grants GROUP BY reward, status ORDER BY reward, status").Scan(&rows).Error
	return rows, err
}

type rewardLock struct {
	Reward string `gorm:"primaryKey"`
}

// LockReward holds the lock under which a limit over all customers is counted.
func (tx *Tx) LockReward(reward string) error {
	if err := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&rewardLock{Reward: reward}).Error; err != nil {
		return err
	}
	_, err := one[rewardLock](tx.db.Clauses(lock).Where("reward = ?", reward))
	return err
}

// ReleaseGrant gives a grant back: the points held for it are the customer's again, and its code is void. It answers false,
// and does nothing, when the grant is neither held nor given, or is used in part. The customer is locked.
func (tx *Tx) ReleaseGrant(g *punchcard.Grant) (bool, error) { return tx.GiveBack(g, "") }

// GiveBack is ReleaseGrant with the reason why.
func (tx *Tx) GiveBack(g *punchcard.Grant, reason string) (bool, error) {
	open, err := tx.openGrant(g)
	if err != nil || !open || g.Used > 0 {
		return false, err
	}
	g.Reason = reason
	return true, tx.endGrant(g, punchcard.LedgerRelease, punchcard.GrantReleased, punchcard.RedemptionReleased)
}

// ExpireGrant ends a grant whose time is over: it is given back, and what is left of one that is used in part is lost. It answers
// false, and does nothing, when the grant has ended or has time left. The customer is locked.
func (tx *Tx) ExpireGrant(g *punchcard.Grant) (bool, error) {
	open, err := tx.openGrant(g)
	if err != nil || !open || !g.Expired(tx.Now) {
		return false, err
	}
	g.Reason = punchcard.ReasonExpired
	if g.Used > 0 {
		return true, tx.endGrant(g, punchcard.LedgerCapture, punchcard.GrantCaptured, punchcard.RedemptionCaptured)
	}
	return true, tx.endGrant(g, punchcard.LedgerRelease, punchcard.GrantReleased, punchcard.RedemptionReleased)
}

// openGrant reads a grant again under a lock, since what the caller has may have been read before, and answers whether it is still
// held or given.
func (tx *Tx) openGrant(g *punchcard.Grant) (bool, error) {
	now, err := one[punchcard.Grant](tx.db.Clauses(lock).Where("id = ?", g.ID))
	if err != nil {
		return false, err
	}
	if now == nil {
		return false, fmt.Errorf("grant %s is gone", g.ID)
	}
	*g = *now
	return g.Status == punchcard.GrantHeld || g.Status == punchcard.GrantGiven, nil
}

// endGrant ends a grant that openGrant has found open, its hold and its redemption.
func (tx *Tx) endGrant(g *punchcard.Grant, kind punchcard.LedgerKind, status punchcard.GrantStatus, redemption punchcard.RedemptionStatus) error {
	if err := tx.endHold(g, kind, status); err != nil {
		return err
	}
	if g.AwaitsCode {
		g.AwaitsCode, g.Request = false, "" // it never was the customer's: the same request by hand may give anew
	}
	g.Status, g.EndedAt = status, &tx.Now
	if err := tx.db.Save(g).Error; err != nil {
		return err
	}
	if g.Reason != "" || status != punchcard.GrantCaptured {
		tx.tellEnd(g)
	}
	return tx.endRedemption(g, redemption)
}

// endRedemption ends the redemption that a grant is of, if it is open.
func (tx *Tx) endRedemption(g *punchcard.Grant, status punchcard.RedemptionStatus) error {
	if g.RedemptionID == "" {
		return nil
	}
	return tx.db.Model(&punchcard.Redemption{}).Where("id = ? AND ended_at IS NULL", g.RedemptionID).
		Updates(map[string]any{"status": status, "reason": g.Reason, "ended_at": tx.Now}).Error
}
