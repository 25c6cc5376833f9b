package store

import (
	"fmt"
	"math/big"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"punchcard"
)

// Taken is what a reversal took back: of Points, Debt were not there any more and are owed now.
type Taken struct{ Points, Debt int64 }

// TakeBack takes back what an event earned, so far that a share of it (in parts of punchcard.WholeShare) is taken back in
// all, never more than was earned. It takes what is left of those points, forgives what has expired of them, and takes the rest
// from the customer's other points that can be spent; what is not there becomes a debt, which points pay as soon as they
// can be spent. Points that are held stay held. ref is the event that undoes, and key tells this time from every other. The
// customer is locked.
func (tx *Tx) TakeBack(customer, origin string, share int64, ref, key string) (Taken, error) {
	lots, err := list[punchcard.PointsLot](tx.db.Where("customer_id = ? AND ref = ? AND source <> ?", customer, origin, punchcard.LotAdjusted).Order("id"))
	if err != nil || len(lots) == 0 {
		return Taken{}, err
	}
	b, err := tx.book(customer)
	if err != nil {
		return Taken{}, err
	}
	var taken Taken
	for i := range lots {
		l, err := b.lot(lots[i].ID) // as it stands now that time has passed
		if err != nil {
			return Taken{}, err
		}
		n := part(l.Points, share) - l.Reversed
		if n <= 0 {
			continue
		}
		taken.Points += n
		taken.Debt += b.reverse(l, n, ref, fmt.Sprintf("%s/%d", key, l.ID))
	}
	return taken, b.close()
}

// reverse takes points of a lot back, and answers how many of them are owed.
func (b *book) reverse(l *punchcard.PointsLot, points int64, ref, key string) (debt int64) {
	l.Reversed += points
	b.p.Earned -= points
	b.changed[l] = true
	left := points
	if n := min(left, l.Remaining); n > 0 {
		from := punchcard.PointsPending
		if l.Matured {
			from = punchcard.PointsAvailable
		}
		l.Remaining -= n
		left -= n
		b.move(punchcard.LedgerReverse, from, punchcard.PointsOutside, l, n, ref, key, b.tx.Now)
	}
	if n := min(left, l.Expired-l.Forgiven); n > 0 {
		l.Forgiven += n
		left -= n
	}
	left -= b.take(left, func(payer *punchcard.PointsLot, n int64) {
		b.move(punchcard.LedgerReverse, punchcard.PointsAvailable, punchcard.PointsOutside, payer, n, ref, fmt.Sprintf("%s/%d", key, payer.ID), b.tx.Now)
	})
	if left > 0 {
		b.move(punchcard.LedgerReverse, punchcard.PointsDebt, punchcard.PointsOutside, l, left, ref, key+"/debt", b.tx.Now)
	}
	return left
}

// part is a share of an amount, rounded towards zero. A share is itself rounded: a third of 60 is 20 all the same.
func part(amount, share int64) int64 {
	if share > 0 && share < punchcard.WholeShare {
		share++
	}
	n := new(big.Int).Mul(big.NewInt(amount), big.NewInt(share))
	return n.Quo(n, big.NewInt(punchcard.WholeShare)).Int64()
}

// AddOrigin keeps an event that can be undone.
func (tx *Tx) AddOrigin(o *punchcard.PointsOrigin) error {
	if o.Sums == nil {
		o.Sums = map[string]float64{}
	}
	return tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(o).Error
}

// Origins are the events of a name whose property has a value, in the order in which they came.
func (tx *Tx) Origins(customer, event, property, value string) ([]punchcard.PointsOrigin, error) {
	return list[punchcard.PointsOrigin](tx.db.Where("customer_id = ? AND event = ? AND property = ? AND value = ?", customer, event, property, value).
		Order("seq"))
}

// SaveOrigin writes how much of an event was undone. What is kept of the same event under another property goes with it.
func (tx *Tx) SaveOrigin(o *punchcard.PointsOrigin) error {
	return tx.db.Model(&punchcard.PointsOrigin{}).Where("event_id = ?", o.EventID).Update("reversed", o.Reversed).Error
}

// AddReversal keeps what an event has undone, or will undo when that comes. It answers false when that was kept before.
func (tx *Tx) AddReversal(r *punchcard.PointsReversal) (bool, error) {
	r.At = tx.Now
	res := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(r)
	return res.RowsAffected > 0, res.Error
}

// WaitingReversals are the reversals that came before what they undo, in the order in which they came.
func (tx *Tx) WaitingReversals(customer, event, property, value string) ([]punchcard.PointsReversal, error) {
	return list[punchcard.PointsReversal](tx.db.Where("customer_id = ? AND event = ? AND property = ? AND value = ? AND origin_id = ''",
		customer, event, property, value).Order("at, event_id"))
}

// MetReversals are the reversals of a customer that wait though what they undo is there: the two came for two customers, who are one
// now. They are in the order in which they came.
func (tx *Tx) MetReversals(customer string) ([]punchcard.PointsReversal, error) {
	return list[punchcard.PointsReversal](tx.db.Where(`customer_id = ? AND origin_id = '' AND EXISTS (SELECT 1 FROM points_origins o
		WHERE o.customer_id = points_reversals.customer_id AND o.event = points_reversals.event AND o.property = points_reversals.property
		AND o.value = points_reversals.value)`, customer).Order("at, event_id"))
}

// SaveReversal writes what a reversal came to.
func (tx *Tx) SaveReversal(r *punchcard.PointsReversal) error { return tx.db.Save(r).Error }

// Uncount takes a part of an event out of its customer's totals: of its numbers the share between two shares, and the event itself
// when that brings it to the whole.
func (tx *Tx) Uncount(o *punchcard.PointsOrigin, from, to int64) error {
	amounts := map[string]int64{}
	if from < punchcard.WholeShare && to >= punchcard.WholeShare {
		amounts[""] = 1
	}
	for field, v := range o.Sums {
		n := scaled(v)
		amounts[field] = part(n, to) - part(n, from)
	}
	day := o.OccurredAt.UTC().Format(dayFormat)
	for field, amount := range amounts {
		if amount == 0 {
			continue
		}
		less := gorm.Expr("amount - ?", amount)
		err := tx.db.Model(&eventTotal{}).Where("customer_id = ? AND event = ? AND field = ?", o.CustomerID, o.Event, field).Update("amount", less).Error
		if err != nil {
			return err
		}
		err = tx.db.Model(&eventDay{}).Where("customer_id = ? AND event = ? AND field = ? AND day = ?", o.CustomerID, o.Event, field, day).Update("amount", less).Error
		if err != nil {
			return err
		}
	}
	return nil
}
