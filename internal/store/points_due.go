package store

import (
	"time"

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
		// The index is entered right behind the one: thousands may be due at the same moment.
		q = q.Where("(due_at, customer_id) > (?, ?)", after.DueAt, after.CustomerID)
	}
	due := []DueAccount{}
	err := q.Order("due_at, customer_id").Limit(limit).Find(&due).Error
	return due, err
}

// CountDue counts the accounts that are due by now.
func (tx *Tx) CountDue() (int64, error) {
	return count[punchcard.Points](tx.db.Where("due_at <= ?", tx.Now))
}

// CountAccounts counts all accounts.
func (tx *Tx) CountAccounts() (int64, error) { return count[punchcard.Points](tx.db) }

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

// PassTime writes what time has done to the accounts of some customers, and answers what nobody was told of yet, in their order.
// Each is answered once. tiers is given the accounts before they are written, and may change their tiers. How many statements it
// takes does not depend on how many customers they are. They are locked.
func (tx *Tx) PassTime(customers []string, tiers func(accounts []*punchcard.Points) error) ([]Passed, error) {
	books, err := tx.books(customers)
	if err != nil {
		return nil, err
	}
	accounts, place := make([]*punchcard.Points, len(books)), make(map[string]int, len(books))
	for i, b := range books {
		accounts[i], place[b.p.CustomerID] = b.p, i
	}
	if err := tiers(accounts); err != nil {
		return nil, err
	}
	passed := make([]Passed, len(books))
	for i, b := range books {
		passed[i] = b.warn()
	}
	if err := tx.write(books...); err != nil {
		return nil, err
	}
	sums, err := tx.unannounced(customers)
	if err != nil {
		return nil, err
	}
	for _, s := range sums {
		i := place[s.CustomerID]
		passed[i].Matured, passed[i].Expired = s.Matured, s.Expired
		accounts[i].Announced = max(accounts[i].Announced, s.Last)
	}
	for _, b := range books {
		b.p.DueAt = b.due()
	}
	return passed, save(tx, accounts)
}

// warn marks what is left and expires soon as warned of.
func (b *book) warn() Passed {
	passed := Passed{Balance: b.p.Available}
	for _, l := range b.lots {
		if l.Warned || !l.Matured || l.Remaining == 0 || l.ExpiresAt.Add(-ExpiringSoon).After(b.tx.Now) {
			continue
		}
		l.Warned, b.changed[l] = true, true
		passed.Expiring += l.Remaining
		if soonest(l.ExpiresAt, passed.ExpiresAt) < 0 {
			passed.ExpiresAt = l.ExpiresAt
		}
	}
	return passed
}

// unannounced is what has matured and expired for a customer since events were last raised of that. Last is the ledger's last entry among
// them, 0 when there are none.
type unannounced struct {
	CustomerID string
	Matured    int64
	Expired    int64
	Last       int64
}

// unannounced looks it up in each ledger by itself. A join of accounts and entries would be shorter, but PostgreSQL read the whole ledger for
// each account where it knew little of these tables yet.
func (tx *Tx) unannounced(customers []string) ([]unannounced, error) {
	const since = "FROM ledger_entries e WHERE e.customer_id = points.customer_id AND e.id > points.announced AND "
	return list[unannounced](tx.db.Table("points").Select("customer_id, "+
		"(SELECT CAST(COALESCE(SUM(e.points), 0) AS bigint) "+since+"e.kind = ?) AS matured, "+
		"(SELECT CAST(COALESCE(SUM(e.points), 0) AS bigint) "+since+"e.kind = ?) AS expired, "+
		"(SELECT COALESCE(MAX(e.id), 0) "+since+"e.kind IN (?, ?)) AS last",
		punchcard.LedgerMature, punchcard.LedgerExpire, punchcard.LedgerMature, punchcard.LedgerExpire).
		Where("customer_id IN ?", customers))
}

// Account reads an account as it was last written, an empty one for a customer who has none.
func (tx *Tx) Account(customer string) (*punchcard.Points, error) {
	p, err := one[punchcard.Points](tx.db.Where("customer_id = ?", customer))
	if p == nil {
		p = &punchcard.Points{CustomerID: customer}
	}
	return p, err
}

// SaveTier writes the tier of an account that was just read, until when it is kept although the points no longer reach it, and when
// time may next change it. An account that there is none of yet begins with it. The customer is locked.
func (tx *Tx) SaveTier(p *punchcard.Points) error {
	if soonest(p.TierDueAt, p.DueAt) < 0 {
		p.DueAt = p.TierDueAt
	}
	return save(tx, []*punchcard.Points{p})
}
