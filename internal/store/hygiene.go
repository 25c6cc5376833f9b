package store

import (
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"punchcard"
)

// HygieneRound begins a day's round, or reads it where it has begun.
func (tx *Tx) HygieneRound(day string) (*punchcard.HygieneRound, error) {
	err := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&punchcard.HygieneRound{Day: day, StartedAt: tx.Now}).Error
	if err != nil {
		return nil, err
	}
	return one[punchcard.HygieneRound](tx.db.Where("day = ?", day))
}

// HygieneCounted adds what came of one customer, or of several, to a day's round, and remembers how far it has come ("": as before).
func (tx *Tx) HygieneCounted(more punchcard.HygieneRound) error {
	changes := map[string]any{}
	for column, n := range map[string]int64{
		"looked_at": more.LookedAt, "unresponsive": more.Unresponsive, "asked": more.Asked, "expired": more.Expired,
	} {
		if n > 0 {
			changes[column] = gorm.Expr(column+" + ?", n)
		}
	}
	if more.Cursor != "" {
		changes["cursor"] = more.Cursor
	}
	if len(changes) == 0 {
		return nil
	}
	return tx.db.Model(&punchcard.HygieneRound{}).Where("day = ?", more.Day).Updates(changes).Error
}

// EndHygiene ends a day's round, and counts those to whom so many messages in a row could not be delivered.
func (tx *Tx) EndHygiene(day string, undelivered int) (*punchcard.HygieneRound, error) {
	n, err := count[punchcard.Customer](tx.db.Where("undelivered > 0 AND undelivered >= ? AND merged_into IS NULL", undelivered))
	if err != nil {
		return nil, err
	}
	err = tx.db.Model(&punchcard.HygieneRound{}).Where("day = ?", day).Updates(map[string]any{"ended_at": tx.Now, "undeliverable": n}).Error
	if err != nil {
		return nil, err
	}
	return one[punchcard.HygieneRound](tx.db.Where("day = ?", day))
}

// HygieneRounds lists the rounds before a day (empty: from the newest), newest first.
func (tx *Tx) HygieneRounds(before string, limit int) ([]punchcard.HygieneRound, error) {
	q := tx.db
	if before != "" {
		q = q.Where("day < ?", before)
	}
	return list[punchcard.HygieneRound](q.Order("day DESC").Limit(limit))
}

// Aged lists the ids of customers after one of whose consents, granted or requested, one was recorded before a moment.
func (tx *Tx) Aged(after string, before time.Time, limit int) ([]string, error) {
	var ids []string
	err := tx.db.Model(&punchcard.ConsentState{}).Distinct("customer_id").
		Where("customer_id > ? AND standing IN ? AND at <= ?", after, []punchcard.Standing{punchcard.StandingGranted, punchcard.StandingRequested}, kept(before)).
		Order("customer_id").Limit(limit).Pluck("customer_id", &ids).Error
	return ids, err
}

// LastSign is when there was last a sign of a customer since a moment: a message that they wrote or read, or an event that a backend
// reported. It is zero when there was none; own are the names of events that are raised by ourselves.
func (tx *Tx) LastSign(customer string, since time.Time, own []string) (time.Time, error) {
	last, err := tx.LastInbound(customer)
	if err != nil {
		return time.Time{}, err
	}
	var sign time.Time
	if last != nil && last.After(since) {
		sign = *last
	}
	read, err := one[punchcard.Message](tx.db.Where("customer_id = ? AND read_at > ?", customer, kept(since)).Order("read_at DESC").Limit(1))
	if err != nil {
		return time.Time{}, err
	}
	if read != nil && read.ReadAt.After(sign) {
		sign = *read.ReadAt
	}
	event, err := one[punchcard.Event](tx.db.Where("customer_id = ? AND depth = 0 AND occurred_at > ? AND name NOT IN ? AND name NOT LIKE 'keyword.%'",
		customer, kept(since), own).Order("occurred_at DESC").Limit(1))
	if err != nil {
		return time.Time{}, err
	}
	if event != nil && event.OccurredAt.After(sign) {
		sign = event.OccurredAt
	}
	return sign, nil
}
