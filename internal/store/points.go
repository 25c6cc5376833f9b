package store

import (
	"fmt"
	"time"

	"punchcard"
)

// PointsNow is a customer's account as it stands now: with the lots that have matured or expired since it was last touched
// taken into account, whether or not the ledger has the lines for that yet.
type PointsNow struct {
	punchcard.Points
	Expiring int64 // of the balance, what expires within ExpiringSoon
}

// ExpiringSoon is the span that points.expiring looks ahead.
const ExpiringSoon = 30 * 24 * time.Hour

// PointsNow reads an account without writing anything.
func (tx *Tx) PointsNow(customer string) (PointsNow, error) {
	p, err := tx.account(customer)
	if err != nil {
		return PointsNow{}, err
	}
	now := PointsNow{Points: *p}
	lots, err := tx.openLots(customer)
	if err != nil {
		return PointsNow{}, err
	}
	for _, l := range lots {
		matured := !l.MaturesAt.After(tx.Now)
		if !l.Matured && matured {
			now.Pending -= l.Remaining
			now.Available += l.Remaining
		}
		if !matured || l.ExpiresAt == nil {
			continue
		}
		switch {
		case !l.ExpiresAt.After(tx.Now):
			now.Available -= l.Remaining
		case !l.ExpiresAt.After(tx.Now.Add(ExpiringSoon)):
			now.Expiring += l.Remaining
		}
	}
	return now, nil
}

func (tx *Tx) account(customer string) (*punchcard.Points, error) {
	p, err := one[punchcard.Points](tx.db.Where("customer_id = ?", customer))
	if p == nil {
		p = &punchcard.Points{CustomerID: customer}
	}
	return p, err
}

// openLots are the lots with points left, in the order in which they are spent: soonest to expire first.
func (tx *Tx) openLots(customer string) ([]*punchcard.PointsLot, error) {
	return list[*punchcard.PointsLot](tx.db.Where("customer_id = ? AND remaining > 0", customer).
		Order("CASE WHEN expires_at IS NULL THEN 1 ELSE 0 END, expires_at, id"))
}

// settle writes what time has done to a customer's lots since they were last touched: the matured become available, then the
// expired go. It answers the account and the lots that are left. The customer is locked.
func (tx *Tx) settle(customer string) (*punchcard.Points, []*punchcard.PointsLot, error) {
	p, err := tx.account(customer)
	if err != nil {
		return nil, nil, err
	}
	lots, err := tx.openLots(customer)
	if err != nil {
		return nil, nil, err
	}
	open := lots[:0]
	for _, l := range lots {
		if !l.Matured && !l.MaturesAt.After(tx.Now) {
			l.Matured = true
			if err := tx.move(p, punchcard.LedgerMature, l, l.Remaining, "", fmt.Sprintf("mature/%d", l.ID), l.MaturesAt); err != nil {
				return nil, nil, err
			}
			if err := tx.db.Save(l).Error; err != nil {
				return nil, nil, err
			}
		}
		if l.Matured && l.ExpiresAt != nil && !l.ExpiresAt.After(tx.Now) {
			// A lot may expire more than once: what a hold gives back after its time goes as well. The ledger's length tells them apart.
			n, err := count[punchcard.LedgerEntry](tx.db.Where("lot_id = ?", l.ID))
			if err != nil {
				return nil, nil, err
			}
			points := l.Remaining
			l.Remaining = 0
			if err := tx.move(p, punchcard.LedgerExpire, l, points, "", fmt.Sprintf("expire/%d/%d", l.ID, n), tx.Now); err != nil {
				return nil, nil, err
			}
			if err := tx.db.Save(l).Error; err != nil {
				return nil, nil, err
			}
			continue
		}
		open = append(open, l)
	}
	return p, open, nil
}

// move writes one ledger entry and moves the account's sums with it.
func (tx *Tx) move(p *punchcard.Points, kind punchcard.LedgerKind, lot *punchcard.PointsLot, points int64, ref, key string, at time.Time) error {
	e := punchcard.LedgerEntry{CustomerID: p.CustomerID, Kind: kind, Points: points, LotID: lot.ID, Ref: ref, Key: key, At: at}
	switch kind {
	case punchcard.LedgerEarn:
		e.From, e.To = punchcard.PointsOutside, punchcard.PointsAvailable
		if !lot.Matured {
			e.To = punchcard.PointsPending
		}
		p.Earned += points
	case punchcard.LedgerMature:
		e.From, e.To = punchcard.PointsPending, punchcard.PointsAvailable
	case punchcard.LedgerHold:
		e.From, e.To = punchcard.PointsAvailable, punchcard.PointsHeld
	case punchcard.LedgerCapture:
		e.From, e.To = punchcard.PointsHeld, punchcard.PointsOutside
	case punchcard.LedgerRelease:
		e.From, e.To = punchcard.PointsHeld, punchcard.PointsAvailable
	case punchcard.LedgerExpire:
		e.From, e.To = punchcard.PointsAvailable, punchcard.PointsOutside
	default:
		return fmt.Errorf("points do not move by %q", kind)
	}
	for account, sign := range map[punchcard.PointsAccount]int64{e.From: -points, e.To: points} {
		switch account {
		case punchcard.PointsAvailable:
			p.Available += sign
		case punchcard.PointsPending:
			p.Pending += sign
		case punchcard.PointsHeld:
			p.Held += sign
		case punchcard.PointsOutside:
		}
	}
	if err := tx.db.Create(&e).Error; err != nil {
		return err
	}
	return tx.db.Save(p).Error
}

// Earn gives a customer points that can be spent from matures on and live until expires (nil: for ever). key makes it happen
// once. It answers what they have earned before and after, for milestones. The customer is locked.
func (tx *Tx) Earn(customer string, points int64, source, ref, key string, matures time.Time, expires *time.Time) (before, after int64, err error) {
	p, _, err := tx.settle(customer)
	if err != nil {
		return 0, 0, err
	}
	before = p.Earned
	matures = kept(matures)
	if expires != nil {
		e := kept(*expires)
		expires = &e
	}
	lot := &punchcard.PointsLot{
		CustomerID: customer, Points: points, Remaining: points, Matured: !matures.After(tx.Now), Source: source,
		EarnedAt: tx.Now, MaturesAt: matures, ExpiresAt: expires,
	}
	if err := tx.db.Create(lot).Error; err != nil {
		return 0, 0, err
	}
	return before, before + points, tx.move(p, punchcard.LedgerEarn, lot, points, ref, key, tx.Now)
}

// EarnedSince sums what a customer earned since a moment.
func (tx *Tx) EarnedSince(customer string, since time.Time) (int64, error) {
	var n int64
	err := tx.db.Model(&punchcard.PointsLot{}).Select("COALESCE(SUM(points), 0)").
		Where("customer_id = ? AND earned_at > ?", customer, since).Scan(&n).Error
	return n, err
}

// ReasonNotEnoughPoints is the reason of a hold's refusal.
const ReasonNotEnoughPoints = "not_enough_points"

// Hold sets points aside for a grant, the soonest to expire first. The error is CodeConflict with ReasonNotEnoughPoints when
// the balance does not reach. The customer is locked.
func (tx *Tx) Hold(grant *punchcard.Grant, points int64) error {
	p, lots, err := tx.settle(grant.CustomerID)
	if err != nil {
		return err
	}
	if p.Available < points {
		return punchcard.Errorf(punchcard.CodeConflict, "the balance is %d points; %d are needed", p.Available, points).Because(ReasonNotEnoughPoints)
	}
	hold := punchcard.PointsHold{
		GrantID: grant.ID, CustomerID: grant.CustomerID, Points: points, Parts: []punchcard.HoldPart{},
		Status: punchcard.GrantHeld, CreatedAt: tx.Now,
	}
	left := points
	for _, l := range lots {
		if left == 0 {
			break
		}
		if !l.Matured {
			continue
		}
		take := min(left, l.Remaining)
		l.Remaining -= take
		left -= take
		hold.Parts = append(hold.Parts, punchcard.HoldPart{Lot: l.ID, Points: take})
		if err := tx.db.Save(l).Error; err != nil {
			return err
		}
		if err := tx.move(p, punchcard.LedgerHold, l, take, grant.ID, fmt.Sprintf("hold/%s/%d", grant.ID, l.ID), tx.Now); err != nil {
			return err
		}
	}
	if left != 0 {
		return fmt.Errorf("the lots of %s hold %d points less than its balance", grant.CustomerID, left)
	}
	return tx.db.Create(&hold).Error
}

// endHold captures or releases the points that are held for a grant. It does nothing when they were captured or released
// before, or none are held. The customer is locked.
func (tx *Tx) endHold(grant *punchcard.Grant, kind punchcard.LedgerKind, status punchcard.GrantStatus) error {
	hold, err := one[punchcard.PointsHold](tx.db.Where("grant_id = ? AND status = ?", grant.ID, punchcard.GrantHeld))
	if err != nil || hold == nil {
		return err
	}
	p, err := tx.account(grant.CustomerID)
	if err != nil {
		return err
	}
	for _, part := range hold.Parts {
		lot, err := one[punchcard.PointsLot](tx.db.Where("id = ?", part.Lot))
		if err != nil {
			return err
		}
		if kind == punchcard.LedgerRelease {
			lot.Remaining += part.Points
			if err := tx.db.Save(lot).Error; err != nil {
				return err
			}
		}
		if err := tx.move(p, kind, lot, part.Points, grant.ID, fmt.Sprintf("%s/%s/%d", kind, grant.ID, lot.ID), tx.Now); err != nil {
			return err
		}
	}
	hold.Status = status
	return tx.db.Save(hold).Error
}

// Ledger lists a customer's ledger after an id, oldest first.
func (tx *Tx) Ledger(customer string, after int64, limit int) ([]punchcard.LedgerEntry, error) {
	return list[punchcard.LedgerEntry](tx.db.Where("customer_id = ? AND id > ?", customer, after).Order("id").Limit(limit))
}
