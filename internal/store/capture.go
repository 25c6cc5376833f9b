package store

import (
	"fmt"
	"time"

	"punchcard"
)

// CaptureGrant uses the whole of a grant: see UseGrant.
func (tx *Tx) CaptureGrant(g *punchcard.Grant) (bool, error) {
	return tx.UseGrant(g, &punchcard.Capture{By: punchcard.CapturedByStep})
}

// UseGrant uses a grant and notes how. The points that are held for it are spent, with the first part if it is used in parts. An amount of 0
// is all that is left; what is left after it stays the customer's. It answers false, and does nothing, when the grant is neither
// held nor given, or still awaits its code. The customer is locked, and the amount is not above what is left.
func (tx *Tx) UseGrant(g *punchcard.Grant, c *punchcard.Capture) (bool, error) {
	open, err := tx.openGrant(g)
	if err != nil || !open || g.AwaitsCode {
		return false, err
	}
	left := g.Left()
	if c.Amount == 0 {
		c.Amount = left
	}
	if c.Amount < 0 || c.Amount > left {
		return false, fmt.Errorf("grant %s has %d left, and %d are asked for", g.ID, left, c.Amount)
	}
	g.Used += c.Amount
	c.ID, c.GrantID, c.LeftOver, c.At = punchcard.NewID(punchcard.PrefixCapture), g.ID, left-c.Amount, tx.Now
	if c.LeftOver == 0 {
		err = tx.endGrant(g, punchcard.LedgerCapture, punchcard.GrantCaptured, punchcard.RedemptionCaptured)
	} else {
		err = tx.useSome(g)
	}
	if err != nil {
		return false, err
	}
	tx.tellUse(g, c.Amount)
	return true, tx.db.Create(c).Error
}

// useSome writes a grant of which a part is used: its points are spent, and what is left is the customer's.
func (tx *Tx) useSome(g *punchcard.Grant) error {
	if err := tx.endHold(g, punchcard.LedgerCapture, punchcard.GrantCaptured); err != nil {
		return err
	}
	g.Status = punchcard.GrantGiven
	if err := tx.db.Save(g).Error; err != nil {
		return err
	}
	return tx.endRedemption(g, punchcard.RedemptionCaptured)
}

// ReverseCapture takes a use back: what it used can be used again. Points that were spent for the grant stay spent, and its redemption
// stays captured. by has the author and the note. The customer is locked, and the capture is no reversal and not reversed.
func (tx *Tx) ReverseCapture(g *punchcard.Grant, c, by *punchcard.Capture) error {
	if _, err := tx.openGrant(g); err != nil {
		return err
	}
	g.Used -= c.Amount
	g.Status, g.EndedAt, g.Reason = punchcard.GrantGiven, nil, ""
	if err := tx.db.Save(g).Error; err != nil {
		return err
	}
	by.ID, by.GrantID, by.Reverses, by.At = punchcard.NewID(punchcard.PrefixCapture), g.ID, &c.ID, tx.Now
	by.Amount, by.LeftOver, by.By, by.Device, by.OrderRef = c.Amount, g.Left(), c.By, c.Device, c.OrderRef
	return tx.db.Create(by).Error
}

// Capture reads a capture, or nil.
func (tx *Tx) Capture(id string) (*punchcard.Capture, error) {
	return one[punchcard.Capture](tx.db.Where("id = ?", id))
}

// CaptureOfRequest reads the capture that was asked for with that hash of an Idempotency-Key, or nil. An empty one is nobody's.
func (tx *Tx) CaptureOfRequest(request string) (*punchcard.Capture, error) {
	if request == "" {
		return nil, nil
	}
	return one[punchcard.Capture](tx.db.Where("request = ? AND request <> ''", request))
}

// ReversalOf reads what took a capture back, or nil.
func (tx *Tx) ReversalOf(capture string) (*punchcard.Capture, error) {
	return one[punchcard.Capture](tx.db.Where("reverses = ?", capture))
}

// Captures lists a grant's captures, oldest first.
func (tx *Tx) Captures(grant string) ([]punchcard.Capture, error) {
	return list[punchcard.Capture](tx.db.Where("grant_id = ?", grant).Order("id"))
}

// CountCaptures counts the uses at a till and by a tap since a moment that were not taken back: of a customer's grants, by a device, or, with
// both empty, all.
func (tx *Tx) CountCaptures(customer, device string, since time.Time) (int64, error) {
	q := tx.db.Where("captures.at > ? AND captures.reverses IS NULL", since).
		Where(`captures."by" IN ?`, []string{punchcard.CapturedByTill, punchcard.CapturedByTap}).
		Where("NOT EXISTS (SELECT 1 FROM captures AS back WHERE back.reverses = captures.id)")
	switch {
	case customer != "":
		q = q.Where("captures.grant_id IN (SELECT id FROM grants WHERE customer_id = ?)", customer)
	case device != "":
		q = q.Where("captures.device = ?", device)
	}
	return count[punchcard.Capture](q)
}

// CountRedeemed counts the grants since a moment for which points were held: of a customer, or, with none, all.
func (tx *Tx) CountRedeemed(customer string, since time.Time) (int64, error) {
	q := tx.db.Where("created_at > ? AND redemption_id <> ''", since)
	if customer != "" {
		q = q.Where("customer_id = ?", customer)
	}
	return count[punchcard.Grant](q)
}

// LockLimit holds the lock under which something that is limited over several customers is counted.
func (tx *Tx) LockLimit(name string) error { return tx.LockReward("limit/" + name) }

// UsableGrants lists a customer's grants that are neither used nor over, those that expire soonest first.
func (tx *Tx) UsableGrants(customer string, limit int) ([]punchcard.Grant, error) {
	return list[punchcard.Grant](tx.db.Where("customer_id = ? AND ended_at IS NULL AND NOT awaits_code AND (expires_at IS NULL OR expires_at > ?)", customer, tx.Now).
		Order("expires_at IS NULL, expires_at, id").Limit(limit))
}

// ExpiringGrants lists open grants whose time is over by now, after a place in their order, which is that of their times.
func (tx *Tx) ExpiringGrants(after time.Time, id string, limit int) ([]punchcard.Grant, error) {
	return list[punchcard.Grant](tx.db.Where("ended_at IS NULL AND expires_at IS NOT NULL AND expires_at <= ?", tx.Now).
		Where("(expires_at, id) > (?, ?)", after, id).Order("expires_at, id").Limit(limit))
}

// CountExpiring counts the open grants whose time is over by now.
func (tx *Tx) CountExpiring() (int64, error) {
	return count[punchcard.Grant](tx.db.Where("ended_at IS NULL AND expires_at IS NOT NULL AND expires_at <= ?", tx.Now))
}

// NextExpiry is when the next open grant's time is over, nil when none has an end.
func (tx *Tx) NextExpiry() (*time.Time, error) {
	g, err := one[punchcard.Grant](tx.db.Where("ended_at IS NULL AND expires_at IS NOT NULL").Order("expires_at, id").Limit(1))
	if err != nil || g == nil {
		return nil, err
	}
	return g.ExpiresAt, nil
}
