package store

import (
	"time"

	"gorm.io/gorm/clause"

	"punchcard"
)

// referralCode is a customer's code. One who was merged into another leaves theirs to them: what was handed on goes on working.
type referralCode struct {
	Code       string `gorm:"primaryKey"`
	CustomerID string
	CreatedAt  time.Time
}

// ReferralCode is a customer's own code, made when it is first asked for. The customer is locked.
func (tx *Tx) ReferralCode(customer string) (string, error) {
	for {
		have, err := one[referralCode](tx.db.Where("customer_id = ?", customer).Order("created_at, code").Limit(1))
		if err != nil {
			return "", err
		}
		if have != nil {
			return have.Code, nil
		}
		row := referralCode{Code: punchcard.NewReferralCode(), CustomerID: customer, CreatedAt: tx.Now}
		if err := tx.db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "code"}}, DoNothing: true}).Create(&row).Error; err != nil {
			return "", err
		}
	}
}

// ReferralCodeOf is the customer whose code that is, "" for nobody's.
func (tx *Tx) ReferralCodeOf(code string) (string, error) {
	row, err := one[referralCode](tx.db.Where("code = ?", code))
	if err != nil || row == nil {
		return "", err
	}
	return row.CustomerID, nil
}

// referralLock is held while a referral is attributed or counted: rings and limits are about more rows than any one lock of a customer
// holds. It is a name that no reward can have, and comes after the customer's lock.
const referralLock = "*referral"

// LockReferrals has nobody else attribute or count a referral until the transaction ends.
func (tx *Tx) LockReferrals() error { return tx.LockReward(referralLock) }

// AddReferral stores a referral or its refusal. The error of a database that refuses it is one that says so: the friend is somebody
// else's, or the two are a pair.
func (tx *Tx) AddReferral(r *punchcard.Referral) error {
	return tx.db.Create(r).Error
}

// SaveReferral writes a referral. The friend is locked.
func (tx *Tx) SaveReferral(r *punchcard.Referral) error { return tx.db.Save(r).Error }

// ReferralOf is how a friend came, nil for one whom nobody brought.
func (tx *Tx) ReferralOf(friend string) (*punchcard.Referral, error) {
	return one[punchcard.Referral](tx.db.Where("friend_id = ? AND status <> 'refused'", friend))
}

// CompletedBy is the referral that a friend's event made count, or nil. It may be one that a merge has refused since: what it earned
// stays then, until the event is undone.
func (tx *Tx) CompletedBy(friend, event string) (*punchcard.Referral, error) {
	return one[punchcard.Referral](tx.db.Where("friend_id = ? AND event_id = ? AND status IN ('completed', 'refused')", friend, event))
}

// CountReferrals counts a customer's friends by how that stands.
func (tx *Tx) CountReferrals(referrer string) (map[punchcard.ReferralStatus]int64, error) {
	var rows []struct {
		Status punchcard.ReferralStatus
		N      int64
	}
	err := tx.db.Model(&punchcard.Referral{}).Select("status, COUNT(*) AS n").Where("referrer_id = ?", referrer).Group("status").Scan(&rows).Error
	counts := map[punchcard.ReferralStatus]int64{}
	for _, r := range rows {
		counts[r.Status] = r.N
	}
	return counts, err
}

// CompletedSince counts a customer's friends who came to count since a moment. One whom a merge has refused since keeps the place: what
// they earned stays.
func (tx *Tx) CompletedSince(referrer string, since time.Time) (int64, error) {
	return count[punchcard.Referral](tx.db.Where("referrer_id = ? AND status IN ('completed', 'refused') AND completed_at > ?", referrer, since))
}

// RefusedSince counts the refusals of a friend since a moment.
func (tx *Tx) RefusedSince(friend string, since time.Time) (int64, error) {
	return count[punchcard.Referral](tx.db.Where("friend_id = ? AND status = 'refused' AND at > ?", friend, since))
}

// Referrals lists referrals of a status and of a customer, in whichever role (empty: any), newest first, before an id.
func (tx *Tx) Referrals(status punchcard.ReferralStatus, customer, before string, limit int) ([]punchcard.Referral, error) {
	q := tx.db
	if status != "" {
		q = q.Where("status = ?", status)
	}
	if customer != "" {
		q = q.Where("referrer_id = ? OR friend_id = ?", customer, customer)
	}
	if before != "" {
		q = q.Where("id < ?", before)
	}
	return list[punchcard.Referral](q.Order("id DESC").Limit(limit))
}

// maxRing is how many steps a ring is looked for.
const maxRing = 100

// Brought tells whether a customer brought another, in one or several steps. Referrals are locked.
func (tx *Tx) Brought(referrer, friend string) (bool, error) {
	for range maxRing {
		r, err := tx.ReferralOf(friend)
		if err != nil || r == nil {
			return false, err
		}
		if *r.ReferrerID == referrer {
			return true, nil
		}
		friend = *r.ReferrerID
	}
	return true, nil // who knows
}

// ShareNames tells whether two customers have, or have had, one name: a phone that was both of theirs.
func (tx *Tx) ShareNames(a, b string) (bool, error) {
	n, err := count[punchcard.Identity](tx.db.Where(`customer_id = ? AND EXISTS (SELECT 1 FROM identities other
		WHERE other.customer_id = ? AND other.kind = identities.kind AND other.value = identities.value)`, a, b))
	return n > 0, err
}

// Undone tells whether an event was undone as a whole.
func (tx *Tx) Undone(event string) (bool, error) {
	n, err := count[punchcard.PointsOrigin](tx.db.Where("event_id = ? AND reversed >= ?", event, punchcard.WholeShare))
	return n > 0, err
}

// mergeReferrals moves whom a customer brought, and who brought them. Where that leaves somebody brought by themself, brought twice, or in
// a circle, the later is refused: what it earned stays, as nothing is reached by a merge nor lost.
func (tx *Tx) mergeReferrals(into, from string) error {
	if err := tx.LockReferrals(); err != nil {
		return err
	}
	rows, err := list[punchcard.Referral](tx.db.Where("referrer_id = ? OR friend_id = ?", from, from).Order("id"))
	if err != nil {
		return err
	}
	stood := make([]punchcard.ReferralStatus, len(rows))
	for i := range rows {
		r := &rows[i]
		stood[i] = r.Status
		if r.ReferrerID != nil && *r.ReferrerID == from {
			r.ReferrerID = &into
		}
		if r.FriendID == from {
			r.FriendID = into
		}
		if r.ReferrerID != nil {
			r.Pair = punchcard.PairOf(*r.ReferrerID, r.FriendID)
		}
		if r.Status != punchcard.ReferralRefused { // until all have moved
			r.Status, r.Reason = punchcard.ReferralRefused, punchcard.ReferralSamePerson
		}
		if err := tx.db.Save(r).Error; err != nil {
			return err
		}
	}
	for i := range rows {
		r := &rows[i]
		if stood[i] == punchcard.ReferralRefused {
			continue
		}
		if r.Reason, err = tx.unfit(r); err != nil {
			return err
		}
		r.Status = stood[i]
		if r.Reason != "" {
			r.Status, r.EndedAt = punchcard.ReferralRefused, &tx.Now
		}
		if err := tx.db.Save(r).Error; err != nil {
			return err
		}
	}
	return nil
}

// unfit is why a referral cannot stand beside the others, "" if it can.
func (tx *Tx) unfit(r *punchcard.Referral) (string, error) {
	if *r.ReferrerID == r.FriendID {
		return punchcard.ReferralSamePerson, nil
	}
	other, err := tx.ReferralOf(r.FriendID)
	if err != nil || other != nil {
		return punchcard.ReferralAlready, err
	}
	ring, err := tx.Brought(r.FriendID, *r.ReferrerID)
	if err != nil || ring {
		return punchcard.ReferralRing, err
	}
	return "", nil
}
