package store

import (
	"time"

	"gorm.io/gorm"

	"punchcard"
)

// WhatsAppAccount reads what WhatsApp says of the account.
func (tx *Tx) WhatsAppAccount() (*punchcard.Account, error) {
	a, err := one[punchcard.Account](tx.db.Where("id = 1"))
	return must(a, err, "account")
}

// LockWhatsAppAccount reads it and locks it, after any customer and run.
func (tx *Tx) LockWhatsAppAccount() (*punchcard.Account, error) {
	a, err := one[punchcard.Account](tx.db.Clauses(lock).Where("id = 1"))
	return must(a, err, "account")
}

// SaveWhatsAppAccount writes it; it is locked.
func (tx *Tx) SaveWhatsAppAccount(a *punchcard.Account) error { return tx.db.Save(a).Error }

// OpenCircuit has sends of a scope held from now on, until a moment or, where that is nil, until somebody closes it; and raises
// the alert. One that is open already stays open for the longer of the two.
func (tx *Tx) OpenCircuit(scope punchcard.CircuitScope, reason string, until *time.Time) error {
	a, err := tx.LockWhatsAppAccount()
	if err != nil {
		return err
	}
	present, since, already := a.Opened(scope)
	if present == "" {
		since = &tx.Now
	} else if until != nil && (already == nil || already.After(*until)) {
		until, reason = already, present
	}
	a.Set(scope, reason, since, until)
	if err := tx.SaveWhatsAppAccount(a); err != nil {
		return err
	}
	return tx.RaiseAlert(punchcard.AlertCircuit, string(scope), punchcard.SeverityCritical, reason)
}

// CloseCircuit lets sends of a scope go on, and answers whether it was open. Runs that it held are told elsewhere.
func (tx *Tx) CloseCircuit(scope punchcard.CircuitScope, by string) (bool, error) {
	a, err := tx.LockWhatsAppAccount()
	if err != nil {
		return false, err
	}
	if reason, _, _ := a.Opened(scope); reason == "" {
		return false, nil
	}
	a.Set(scope, "", nil, nil)
	if err := tx.SaveWhatsAppAccount(a); err != nil {
		return false, err
	}
	return true, tx.SettleAlert(punchcard.AlertCircuit, string(scope), by)
}

// HeldFor lists ids of runs that are held for one of these reasons, after an id.
func (tx *Tx) HeldFor(reasons []string, after string, limit int) ([]string, error) {
	var ids []string
	err := tx.db.Model(&punchcard.Run{}).Where("status = 'held' AND reason IN ? AND id > ?", reasons, after).Order("id").Limit(limit).
		Pluck("id", &ids).Error
	return ids, err
}

// CountHeld counts the runs that are held for a reason.
func (tx *Tx) CountHeld(reason string) (int64, error) {
	return count[punchcard.Run](tx.db.Where("status = 'held' AND reason = ?", reason))
}

// contactSpan is over what span WhatsApp counts customers, and contactGrain how finely we do.
const (
	contactSpan  = 24 * time.Hour
	contactGrain = time.Hour
)

// Contacts counts the customers who were written to outside of their service window within a day, and answers when the oldest of
// them are counted no more. Each customer stands in the hour of the last such message, so that a count reads 25 rows however
// many customers there are; the oldest hour counts whole until all of it is a day old.
func (tx *Tx) Contacts() (used int64, frees time.Time, err error) {
	var rows []struct {
		Hour  time.Time
		Users int64
	}
	err = tx.db.Table("contacts").Select("hour, users").
		Where("hour > ? AND users > 0", kept(tx.Now.Add(-contactSpan-contactGrain))).Order("hour").Scan(&rows).Error
	frees = tx.Now
	for i, r := range rows {
		used += r.Users
		if i == 0 {
			frees = r.Hour.Add(contactSpan + contactGrain)
		}
	}
	return used, frees, err
}

// Contacted counts a customer who is written to outside of their service window now; they are locked, and counted among those of
// this hour and no other. It takes the lock of an hour, which all share, so it comes late in a transaction.
func (tx *Tx) Contacted(c *punchcard.Customer) error {
	hour := kept(tx.Now.Truncate(contactGrain))
	if c.ContactedAt != nil && !c.ContactedAt.Before(hour) {
		return nil
	}
	if c.ContactedAt != nil && c.ContactedAt.After(tx.Now.Add(-contactSpan-contactGrain)) {
		err := tx.db.Exec("UPDATE contacts SET users = users - 1 WHERE hour = ?", kept(c.ContactedAt.Truncate(contactGrain))).Error
		if err != nil {
			return err
		}
	}
	c.ContactedAt = &tx.Now
	return tx.db.Exec(`INSERT INTO contacts (hour, users) VALUES (?, 1)
		ON CONFLICT (hour) DO UPDATE SET users = contacts.users + 1`, hour).Error
}

// SaveReach writes what limits the messages to a customer who is locked: the pair's rate, and WhatsApp's counts.
func (tx *Tx) SaveReach(c *punchcard.Customer) error {
	return tx.db.Model(&punchcard.Customer{}).Where("id = ?", c.ID).Updates(map[string]any{
		"pair_until": c.PairUntil, "contacted_at": c.ContactedAt, "marketing_after": c.MarketingAfter,
	}).Error
}

// NoMarketingBefore keeps marketing from a customer who is locked until a moment, or until a later one that is kept already.
func (tx *Tx) NoMarketingBefore(customer string, at time.Time) error {
	return tx.db.Model(&punchcard.Customer{}).
		Where("id = ? AND (marketing_after IS NULL OR marketing_after < ?)", customer, at).Update("marketing_after", at).Error
}

// unsettled are the messages of which nobody knows what became, as the partial indexes name them.
func unsettled(db *gorm.DB) *gorm.DB { return db.Where("(status = 'sending' OR status = 'unknown')") }

// Unreported lists messages handed over before a moment that nothing has settled since, and that no alert tells of.
func (tx *Tx) Unreported(before time.Time, limit int) ([]punchcard.Message, error) {
	return list[punchcard.Message](unsettled(tx.db).Where("reported_at IS NULL AND handed_at < ?", before).Order("handed_at").Limit(limit))
}

// Unsettled lists messages of which nobody knows what became, newest first, before the one with that id; of one of the two
// statuses, or of both where it is empty.
func (tx *Tx) Unsettled(status punchcard.MessageStatus, before string, limit int) ([]punchcard.Message, error) {
	q := unsettled(tx.db)
	if status != "" {
		q = q.Where("status = ?", status)
	}
	if before != "" {
		q = q.Where("id < ?", before)
	}
	return list[punchcard.Message](q.Order("id DESC").Limit(limit))
}
