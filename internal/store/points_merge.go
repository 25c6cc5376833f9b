package store

import (
	"fmt"

	"punchcard"
)

// MergePoints gives one customer all that another has: lots with their times, holds, debt, and what can be undone. The ledger
// says so on both sides: what was written under the other's id stays there, since it is never changed. It is done once for a
// customer. Both customers are locked, in the order of their ids.
func (tx *Tx) MergePoints(from, to string) error {
	loser, err := tx.book(from)
	if err != nil {
		return err
	}
	winner, err := tx.book(to)
	if err != nil {
		return err
	}
	out := func(l *punchcard.PointsLot, account punchcard.PointsAccount, n int64) {
		id := int64(0)
		if l != nil {
			id = l.ID
		}
		key := fmt.Sprintf("merge/%s/%d/%s", from, id, account)
		first, second := account, punchcard.PointsOutside
		if account == punchcard.PointsDebt {
			first, second = second, first
		}
		loser.move(punchcard.LedgerMerge, first, second, l, n, to, key+"/out", tx.Now)
		winner.move(punchcard.LedgerMerge, second, first, l, n, from, key+"/in", tx.Now)
	}
	for _, l := range loser.lots {
		if l.Remaining == 0 {
			continue
		}
		account := punchcard.PointsPending
		if l.Matured {
			account = punchcard.PointsAvailable
		}
		out(l, account, l.Remaining)
		l.CustomerID = to
		winner.lots = append(winner.lots, l)
	}
	held, err := tx.heldByLot(from)
	if err != nil {
		return err
	}
	for id, n := range held {
		l, err := loser.lot(id)
		if err != nil {
			return err
		}
		out(l, punchcard.PointsHeld, n)
		l.CustomerID = to
	}
	if loser.p.Debt > 0 {
		out(nil, punchcard.PointsDebt, loser.p.Debt)
	}
	winner.p.Earned += loser.p.Earned
	loser.p.Earned = 0
	for _, l := range winner.lots {
		if n := min(winner.p.Debt, l.Remaining); n > 0 && l.Matured {
			l.Remaining -= n
			winner.move(punchcard.LedgerRepay, punchcard.PointsAvailable, punchcard.PointsDebt, l, n, from, fmt.Sprintf("repay/merge/%s/%d", from, l.ID), tx.Now)
		}
	}
	// The tier follows when time next looks at the account.
	winner.p.TierDueAt, loser.p.TierDueAt, loser.p.TierUntil, loser.p.Tier = &tx.Now, nil, nil, ""
	if err := tx.write(loser, winner); err != nil {
		return err
	}
	for _, model := range []any{&punchcard.PointsLot{}, &punchcard.PointsHold{}, &punchcard.PointsOrigin{}, &punchcard.PointsReversal{}} {
		if err := tx.db.Model(model).Where("customer_id = ?", from).Update("customer_id", to).Error; err != nil {
			return err
		}
	}
	loser.lots = nil
	winner.p.DueAt, loser.p.DueAt = &tx.Now, nil
	return save(tx, []*punchcard.Points{winner.p, loser.p})
}

// heldByLot sums what a customer's holds keep of each lot.
func (tx *Tx) heldByLot(customer string) (map[int64]int64, error) {
	holds, err := list[punchcard.PointsHold](tx.db.Where("customer_id = ? AND status = ?", customer, punchcard.GrantHeld))
	held := map[int64]int64{}
	for _, h := range holds {
		for _, p := range h.Parts {
			held[p.Lot] += p.Points
		}
	}
	return held, err
}
