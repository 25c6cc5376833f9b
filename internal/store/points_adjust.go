package store

import (
	"fmt"
	"time"

	"punchcard"
)

// Adjustment is points that a person gives or takes.
type Adjustment struct {
	CustomerID string
	Points     int64 // negative: taken
	Author     string
	Note       string
	Key        string // makes it happen once
	ExpiresAt  *time.Time
	// Debt lets more be taken than there is: the rest is owed.
	Debt bool
}

// Adjust gives or takes points by a person's word. Points given are not earned: no tier and no milestone counts them. Points
// taken are of those that can be spent, the soonest to expire first. It answers false, and does nothing, when the same was done
// before. The error is CodeConflict with ReasonNotEnoughPoints when more are taken than there are. The customer is locked.
func (tx *Tx) Adjust(a Adjustment) (bool, error) {
	key := "adjust/" + a.Key
	done, err := count[punchcard.LedgerEntry](tx.db.Where(`"key" = ?`, key)) // the first entry's; further ones have more at the end
	if err != nil || done > 0 {
		return false, err
	}
	b, err := tx.book(a.CustomerID)
	if err != nil {
		return false, err
	}
	first := len(b.entries)
	if a.Points > 0 {
		lot, err := b.newLot(a.Points, punchcard.LotAdjusted, a.Key, tx.Now, a.ExpiresAt)
		if err != nil {
			return false, err
		}
		b.move(punchcard.LedgerAdjust, punchcard.PointsOutside, punchcard.PointsAvailable, lot, a.Points, a.Key, key, tx.Now)
		b.sign(first, a)
		b.repay(lot, tx.Now)
		return true, b.close()
	}
	needed := -a.Points
	if b.p.Available < needed && !a.Debt {
		return false, notEnough(b.p.Available, needed)
	}
	out := func(from punchcard.PointsAccount, l *punchcard.PointsLot, n int64) {
		at := key
		if n := len(b.entries) - first; n > 0 {
			at = fmt.Sprintf("%s/%d", key, n)
		}
		b.move(punchcard.LedgerAdjust, from, punchcard.PointsOutside, l, n, a.Key, at, tx.Now)
	}
	took := b.take(needed, func(l *punchcard.PointsLot, n int64) { out(punchcard.PointsAvailable, l, n) })
	if took < needed {
		out(punchcard.PointsDebt, nil, needed-took)
	}
	b.sign(first, a)
	return true, b.close()
}

// sign puts the author and the reason under the entries from the first on.
func (b *book) sign(first int, a Adjustment) {
	for i := first; i < len(b.entries); i++ {
		b.entries[i].Author, b.entries[i].Note = a.Author, a.Note
	}
}
