package store

import (
	"time"

	"gorm.io/gorm"

	"punchcard"
)

// DueAccount is an account to which time does something.
type DueAccount struct {
	CustomerID string
	DueAt      time.Time
}

// DueAccounts lists accounts that are due by now, the longest due first, after one of them.
func (tx *Tx) DueAccounts(after DueAccount, limit int) ([]DueAccount, error) {
	q := tx.db.Model(&punchcard.Points{}).Select("customer_id", "due_at").Where("due_at <= ?", tx.Now)
	if after.CustomerID != "" {
		q = q.Where("due_at >= ? AND (due_at > ? OR customer_id > ?)", after.DueAt, after.DueAt, after.CustomerID)
	}
	due := []DueAccount{}
	err := q.Order("due_at, customer_id").Limit(limit).Find(&due).Error
	return due, err
}

// Accounts lists accounts by their customer's id, after one.
func (tx *Tx) Accounts(after string, limit int) ([]string, error) {
	var ids []string
	err := tx.db.Model(&punchcard.Points{}).Where("customer_id > ?", after).Order("customer_id").Limit(limit).Pluck("customer_id", &ids).Error
	return ids, err
}

// NextDue is when time next does something to any account; nil when to none.
func (tx *Tx) NextDue() (*time.Time, error) {
	p, err := one[punchcard.Points](tx.db.Where("due_at IS NOT NULL").Order("due_at").Limit(1))
	if err != nil || p == nil {
		return nil, err
	}
	return p.DueAt, nil
}

// LockFree reads and locks those of the customers whom nobody else has locked, in the order of their ids. It waits for nobody,
// so that whoever holds one of them is not kept waiting for the rest.
func (tx *Tx) LockFree(ids []string) ([]punchcard.Customer, error) {
	return list[punchcard.Customer](tx.db.Clauses(skipLocked).Where("id IN ?", ids).Order("id"))
}

// Busy tells whether at least so many customers have events to route: whoever raises many more waits then.
func (tx *Tx) Busy(limit int) (bool, error) {
	var ids []string
	err := tx.db.Model(&pendingCustomer{}).Offset(limit-1).Limit(1).Pluck("customer_id", &ids).Error
	return len(ids) > 0, err
}

// Passed is what time has done to an account since events were last raised of that.
type Passed struct {
	Matured   int64
	Expired   int64
	Expiring  int64      // what expires soon, and was not warned of
	ExpiresAt *time.Time // the first of these
	Balance   int64
}

// PassTime writes what time has done to an account, and answers what nobody was told of yet. Each is answered once. The customer
// is locked.
func (tx *Tx) PassTime(customer string) (Passed, error) {
	b, err := tx.book(customer)
	if err != nil {
		return Passed{}, err
	}
	passed := Passed{Balance: b.p.Available}
	for _, l := range b.lots {
		if l.Warned || !l.Matured || l.Remaining == 0 || l.ExpiresAt.Add(-ExpiringSoon).After(tx.Now) {
			continue
		}
		l.Warned, b.changed[l] = true, true
		passed.Expiring += l.Remaining
		if soonest(l.ExpiresAt, passed.ExpiresAt) < 0 {
			passed.ExpiresAt = l.ExpiresAt
		}
	}
	if err := b.write(); err != nil {
		return Passed{}, err
	}
	var sums []struct {
		Kind   punchcard.LedgerKind
		Points int64
		Last   int64
	}
	err = tx.db.Model(&punchcard.LedgerEntry{}).Select("kind, CAST(SUM(points) AS bigint) AS points, MAX(id) AS last").
		Where("customer_id = ? AND id > ? AND kind IN ?", customer, b.p.Announced, []punchcard.LedgerKind{punchcard.LedgerMature, punchcard.LedgerExpire}).
		Group("kind").Find(&sums).Error
	if err != nil {
		return Passed{}, err
	}
	for _, s := range sums {
		if s.Kind == punchcard.LedgerMature {
			passed.Matured = s.Points
		} else {
			passed.Expired = s.Points
		}
		b.p.Announced = max(b.p.Announced, s.Last)
	}
	b.p.DueAt = b.due()
	return passed, tx.db.Model(b.p).Where("customer_id = ?", customer).Select("*").Updates(b.p).Error
}

// Account reads an account as it was last written, an empty one for a customer who has none.
func (tx *Tx) Account(customer string) (*punchcard.Points, error) {
	p, err := one[punchcard.Points](tx.db.Where("customer_id = ?", customer))
	if p == nil {
		p = &punchcard.Points{CustomerID: customer}
	}
	return p, err
}

// SaveTier writes a customer's tier, until when it is kept although the points no longer reach it, and when time may next change
// it. An account that there is none of yet begins with it. The customer is locked.
func (tx *Tx) SaveTier(customer, tier string, until, due *time.Time) error {
	r := tx.db.Model(&punchcard.Points{}).Where("customer_id = ?", customer).Updates(map[string]any{
		"tier": tier, "tier_until": until, "tier_due_at": due,
		"due_at": gorm.Expr("CASE WHEN due_at IS NULL OR due_at > ? THEN ? ELSE due_at END", due, due),
	})
	if r.Error != nil || r.RowsAffected > 0 {
		return r.Error
	}
	return tx.db.Create(&punchcard.Points{CustomerID: customer, Tier: tier, TierUntil: until, TierDueAt: due, DueAt: due}).Error
}
