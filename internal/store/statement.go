package store

import (
	"cmp"
	"slices"
	"time"

	"punchcard"
)

// Place is a place in a customer's ledger, in the order of time: entries that time made due bear its moments, and are written later.
type Place struct {
	At time.Time
	ID int64 // of the entry; those that are not written yet count from Unwritten
}

// Unwritten is the first id of entries that time has made due and nobody has written yet.
const Unwritten = 1 << 62

// PlaceOf is an entry's place.
func PlaceOf(e punchcard.LedgerEntry) Place { return Place{At: e.At, ID: e.ID} }

func (p Place) compare(q Place) int { return cmp.Or(p.At.Compare(q.At), cmp.Compare(p.ID, q.ID)) }

// Sums are a customer's accounts at a place of the ledger.
type Sums struct{ Available, Pending, Held, Debt int64 }

// LedgerBetween lists a customer's ledger from a moment until before another, after a place, in the order of time. What time has made due and
// nobody has written yet is among it.
func (tx *Tx) LedgerBetween(customer string, from, until time.Time, after Place, limit int) ([]punchcard.LedgerEntry, error) {
	q := tx.db.Where("customer_id = ? AND at >= ? AND at < ?", customer, from, until)
	if !after.At.IsZero() {
		q = q.Where("at >= ? AND (at > ? OR id > ?)", after.At, after.At, after.ID)
	}
	entries, err := list[punchcard.LedgerEntry](q.Order("at, id").Limit(limit))
	if err != nil {
		return nil, err
	}
	unwritten, err := tx.unwritten(customer)
	if err != nil {
		return nil, err
	}
	for _, e := range unwritten {
		if !e.At.Before(from) && e.At.Before(until) && (after.At.IsZero() || PlaceOf(e).compare(after) > 0) {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b punchcard.LedgerEntry) int { return PlaceOf(a).compare(PlaceOf(b)) })
	return entries[:min(len(entries), limit)], nil
}

// unwritten are the entries that time has made due and nobody has written yet.
func (tx *Tx) unwritten(customer string) ([]punchcard.LedgerEntry, error) {
	b, err := tx.book(customer)
	if err != nil {
		return nil, err
	}
	for i := range b.entries {
		b.entries[i].ID = Unwritten + int64(i)
	}
	return b.entries, nil
}

// SumsBefore are a customer's accounts just before a place of the ledger.
func (tx *Tx) SumsBefore(customer string, place Place) (Sums, error) {
	var moved []struct {
		FromAccount, ToAccount punchcard.PointsAccount
		Points                 int64
	}
	err := tx.db.Model(&punchcard.LedgerEntry{}).Select("from_account, to_account, CAST(SUM(points) AS bigint) AS points").
		Where("customer_id = ? AND at <= ? AND (at < ? OR id < ?)", customer, place.At, place.At, place.ID).
		Group("from_account, to_account").Find(&moved).Error
	if err != nil {
		return Sums{}, err
	}
	unwritten, err := tx.unwritten(customer)
	if err != nil {
		return Sums{}, err
	}
	var s Sums
	add := func(e punchcard.LedgerEntry) {
		s.Available += e.Moves(punchcard.PointsAvailable)
		s.Pending += e.Moves(punchcard.PointsPending)
		s.Held += e.Moves(punchcard.PointsHeld)
		s.Debt -= e.Moves(punchcard.PointsDebt)
	}
	for _, m := range moved {
		add(punchcard.LedgerEntry{From: m.FromAccount, To: m.ToAccount, Points: m.Points})
	}
	for _, e := range unwritten {
		if PlaceOf(e).compare(place) < 0 {
			add(e)
		}
	}
	return s, nil
}

// Lot reads a lot, or nil.
func (tx *Tx) Lot(id int64) (*punchcard.PointsLot, error) {
	return one[punchcard.PointsLot](tx.db.Where("id = ?", id))
}
