package store

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"punchcard"
)

// PointsNow is a customer's account as it stands now: with the lots that have matured or expired since it was last touched
// taken into account, whether or not the ledger has the lines for that yet.
type PointsNow struct {
	punchcard.Points
	Expiring int64 // of the balance, what expires within ExpiringSoon
}

// ExpiringSoon is the span that points.expiring looks ahead, and how long before they expire a customer can be told.
const ExpiringSoon = 30 * 24 * time.Hour

// PointsNow reads an account without writing anything.
func (tx *Tx) PointsNow(customer string) (PointsNow, error) {
	b, err := tx.book(customer)
	if err != nil {
		return PointsNow{}, err
	}
	now := PointsNow{Points: *b.p}
	for _, l := range b.lots {
		if l.Matured && l.ExpiresAt != nil && !l.ExpiresAt.After(tx.Now.Add(ExpiringSoon)) {
			now.Expiring += l.Remaining
		}
	}
	return now, nil
}

// book is a customer's account, open to be written to: everything happens in memory, then close writes it. What time has done
// since the account was last written to is in it from the start: the matured has become available and paid what was owed,
// then the expired has gone.
type book struct {
	tx      *Tx
	p       *punchcard.Points
	lots    []*punchcard.PointsLot // with points left, in the order in which they are spent: soonest to expire first
	changed map[*punchcard.PointsLot]bool
	entries []punchcard.LedgerEntry
}

// book opens an account. Whoever means to close it has the customer locked.
func (tx *Tx) book(customer string) (*book, error) {
	books, err := tx.books([]string{customer})
	if err != nil {
		return nil, err
	}
	return books[0], nil
}

// books opens the accounts of some customers, in their order: two statements, however many they are.
func (tx *Tx) books(customers []string) ([]*book, error) {
	accounts, err := list[*punchcard.Points](tx.db.Where("customer_id IN ?", customers))
	if err != nil {
		return nil, err
	}
	lots, err := list[*punchcard.PointsLot](tx.db.Where("customer_id IN ? AND remaining > 0", customers).Order("customer_id, id"))
	if err != nil {
		return nil, err
	}
	books, of := make([]*book, len(customers)), make(map[string]*book, len(customers))
	for i, id := range customers {
		books[i] = &book{tx: tx, p: &punchcard.Points{CustomerID: id}, changed: map[*punchcard.PointsLot]bool{}}
		of[id] = books[i]
	}
	for _, p := range accounts {
		of[p.CustomerID].p = p
	}
	for _, l := range lots {
		b := of[l.CustomerID]
		b.lots = append(b.lots, l)
	}
	for _, b := range books {
		slices.SortStableFunc(b.lots, func(a, b *punchcard.PointsLot) int { return soonest(a.ExpiresAt, b.ExpiresAt) })
		b.settle()
	}
	return books, nil
}

// soonest orders moments, those that never come last.
func soonest(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	default:
		return a.Compare(*b)
	}
}

// settle does what time has done. Its entries bear the moments at which they were due.
func (b *book) settle() {
	var due []*punchcard.PointsLot
	for _, l := range b.lots {
		if !l.Matured && !l.MaturesAt.After(b.tx.Now) {
			due = append(due, l)
		}
	}
	slices.SortStableFunc(due, func(a, b *punchcard.PointsLot) int { return a.MaturesAt.Compare(b.MaturesAt) })
	for _, l := range due {
		l.Matured = true
		b.move(punchcard.LedgerMature, punchcard.PointsPending, punchcard.PointsAvailable, l, l.Remaining, l.Ref, fmt.Sprintf("mature/%d", l.ID), l.MaturesAt)
		b.repay(l, l.MaturesAt)
	}
	for _, l := range b.lots {
		if !l.Matured || l.Remaining == 0 || l.ExpiresAt == nil || l.ExpiresAt.After(b.tx.Now) {
			continue
		}
		at := *l.ExpiresAt
		if l.MaturesAt.After(at) {
			at = l.MaturesAt
		}
		// What a hold gives back after its time expires as well: how much has expired so far tells the entries apart.
		key := fmt.Sprintf("expired/%d/%d", l.ID, l.Expired)
		points := l.Remaining
		l.Remaining, l.Expired = 0, l.Expired+points
		b.move(punchcard.LedgerExpire, punchcard.PointsAvailable, punchcard.PointsOutside, l, points, l.Ref, key, at)
	}
}

// move adds one ledger entry and moves the account's sums with it. The lot is one that the caller changes.
func (b *book) move(kind punchcard.LedgerKind, from, to punchcard.PointsAccount, lot *punchcard.PointsLot, points int64, ref, key string, at time.Time) {
	e := punchcard.LedgerEntry{CustomerID: b.p.CustomerID, Kind: kind, From: from, To: to, Points: points, Ref: ref, Key: key, At: at}
	if lot != nil {
		e.LotID = &lot.ID
		b.changed[lot] = true
	}
	b.entries = append(b.entries, e)
	b.p.Pending += e.Moves(punchcard.PointsPending)
	b.p.Available += e.Moves(punchcard.PointsAvailable)
	b.p.Held += e.Moves(punchcard.PointsHeld)
	b.p.Debt -= e.Moves(punchcard.PointsDebt)
}

// repay pays what is owed from a lot that has just become available by the last entry.
func (b *book) repay(l *punchcard.PointsLot, at time.Time) {
	n := min(b.p.Debt, l.Remaining)
	if n <= 0 {
		return
	}
	cause := b.entries[len(b.entries)-1]
	l.Remaining -= n
	b.move(punchcard.LedgerRepay, punchcard.PointsAvailable, punchcard.PointsDebt, l, n, cause.Ref, "repay/"+cause.Key, at)
}

// take takes points out of the available lots, the soonest to expire first, and answers how many it found.
func (b *book) take(points int64, out func(l *punchcard.PointsLot, n int64)) int64 {
	left := points
	for _, l := range b.lots {
		if n := min(left, l.Remaining); n > 0 && l.Matured {
			l.Remaining -= n
			left -= n
			out(l, n)
		}
	}
	return points - left
}

// lot is a lot of the account, whether or not it has points left.
func (b *book) lot(id int64) (*punchcard.PointsLot, error) {
	for _, l := range b.lots {
		if l.ID == id {
			return l, nil
		}
	}
	l, err := one[punchcard.PointsLot](b.tx.db.Where("id = ? AND customer_id = ?", id, b.p.CustomerID))
	if err != nil {
		return nil, err
	}
	if l == nil {
		return nil, fmt.Errorf("lot %d is not of %s", id, b.p.CustomerID)
	}
	b.lots = append(b.lots, l)
	return l, nil
}

// close writes what has happened. Where time has moved points, the account is due at once: events are to be raised of that.
func (b *book) close() error {
	if len(b.entries) == 0 && len(b.changed) == 0 {
		return nil
	}
	if err := b.tx.write(b); err != nil {
		return err
	}
	b.p.DueAt = b.due()
	for _, e := range b.entries {
		if e.Kind == punchcard.LedgerMature || e.Kind == punchcard.LedgerExpire {
			b.p.DueAt = &b.tx.Now
		}
	}
	return save(b.tx, []*punchcard.Points{b.p})
}

// write writes the entries and the lots of books: two statements, however many books they are.
func (tx *Tx) write(books ...*book) error {
	var entries []punchcard.LedgerEntry
	changed := map[*punchcard.PointsLot]bool{} // a lot that goes from one customer to the other stands in both books
	for _, b := range books {
		entries = append(entries, b.entries...)
		maps.Copy(changed, b.changed)
	}
	if len(entries) > 0 {
		if err := tx.db.CreateInBatches(&entries, rowsAtOnce).Error; err != nil {
			return err
		}
	}
	lots := slices.SortedFunc(maps.Keys(changed), func(a, b *punchcard.PointsLot) int { return cmp.Compare(a.ID, b.ID) })
	if err := save(tx, lots); err != nil {
		return err
	}
	for _, b := range books {
		b.tellPoints()
	}
	return nil
}

// due is when time next does something to the account.
func (b *book) due() *time.Time {
	next := b.p.TierDueAt
	for _, l := range b.lots {
		if at := lotDue(l); soonest(at, next) < 0 {
			next = at
		}
	}
	return next
}

// lotDue is when time next does something to a lot: it matures, is to be warned of, or expires.
func lotDue(l *punchcard.PointsLot) *time.Time {
	switch {
	case l.Remaining == 0:
		return nil
	case !l.Matured:
		return &l.MaturesAt
	case l.ExpiresAt == nil || l.Warned:
		return l.ExpiresAt
	default:
		at := l.ExpiresAt.Add(-ExpiringSoon)
		return &at
	}
}

// Earn gives a customer points that can be spent from matures on and live until expires (nil: for ever). What is owed is paid
// of them first, once they can be spent. key makes it happen once. It answers what they have earned before and after. The
// customer is locked.
func (tx *Tx) Earn(customer string, points int64, source, ref, key string, matures time.Time, expires *time.Time) (before, after int64, err error) {
	b, err := tx.book(customer)
	if err != nil {
		return 0, 0, err
	}
	before = b.p.Earned
	lot, err := b.newLot(points, source, ref, matures, expires)
	if err != nil {
		return 0, 0, err
	}
	to := punchcard.PointsPending
	if lot.Matured {
		to = punchcard.PointsAvailable
	}
	b.p.Earned += points
	b.move(punchcard.LedgerEarn, punchcard.PointsOutside, to, lot, points, ref, key, tx.Now)
	delete(b.changed, lot) // it was stored as it is
	if lot.Matured {
		b.repay(lot, tx.Now)
	}
	return before, before + points, b.close()
}

// newLot stores a lot.
func (b *book) newLot(points int64, source, ref string, matures time.Time, expires *time.Time) (*punchcard.PointsLot, error) {
	matures = kept(matures)
	if expires != nil {
		e := kept(*expires)
		expires = &e
	}
	lot := &punchcard.PointsLot{
		CustomerID: b.p.CustomerID, Points: points, Remaining: points, Matured: !matures.After(b.tx.Now), Source: source, Ref: ref,
		EarnedAt: b.tx.Now, MaturesAt: matures, ExpiresAt: expires,
		// Points that live for less than the warning's time were never far from their end.
		Warned: expires == nil || !expires.After(b.tx.Now.Add(ExpiringSoon)),
	}
	if err := b.tx.db.Create(lot).Error; err != nil {
		return nil, err
	}
	b.lots = append(b.lots, lot)
	return lot, nil
}

// EarnedSince sums what a customer earned since a moment, less what was taken back of that.
func (tx *Tx) EarnedSince(customer string, since time.Time) (int64, error) {
	earned, err := tx.AllEarnedSince([]string{customer}, since)
	return earned[customer], err
}

// AllEarnedSince is EarnedSince of each of some customers. Who has earned nothing may not be there.
func (tx *Tx) AllEarnedSince(customers []string, since time.Time) (map[string]int64, error) {
	var sums []struct {
		CustomerID string
		Points     int64
	}
	err := tx.db.Model(&punchcard.PointsLot{}).Select("customer_id, CAST(SUM(points - reversed) AS bigint) AS points").
		Where("customer_id IN ? AND earned_at > ? AND source <> ?", customers, since, punchcard.LotAdjusted).Group("customer_id").Find(&sums).Error
	earned := make(map[string]int64, len(sums))
	for _, s := range sums {
		earned[s.CustomerID] = s.Points
	}
	return earned, err
}

// FirstEarnedSince is when the first of the points that AllEarnedSince sums were earned, of each of some customers. Who has none is
// not there.
func (tx *Tx) FirstEarnedSince(customers []string, since time.Time) (map[string]time.Time, error) {
	var first []struct {
		ID       string
		EarnedAt *time.Time
	}
	err := tx.db.Table("customers").Select(`id, (SELECT l.earned_at FROM points_lots l WHERE l.customer_id = customers.id
		AND l.earned_at > ? AND l.source <> ? AND l.points > l.reversed ORDER BY l.earned_at LIMIT 1) AS earned_at`, since, punchcard.LotAdjusted).
		Where("id IN ?", customers).Find(&first).Error
	at := make(map[string]time.Time, len(first))
	for _, f := range first {
		if f.EarnedAt != nil {
			at[f.ID] = *f.EarnedAt
		}
	}
	return at, err
}

// ReasonNotEnoughPoints is the reason of a hold's refusal, and of an adjustment's.
const ReasonNotEnoughPoints = "not_enough_points"

func notEnough(balance, needed int64) error {
	return punchcard.Errorf(punchcard.CodeConflict, "the balance is %d points; %d are needed", balance, needed).Because(ReasonNotEnoughPoints)
}

// Hold sets points aside for a grant, the soonest to expire first. Points that expire meanwhile are still good for the grant,
// and live for grace when they are given back after their time. The error is CodeConflict with ReasonNotEnoughPoints when
// the balance does not reach. The customer is locked.
func (tx *Tx) Hold(grant *punchcard.Grant, points int64, grace time.Duration) error {
	b, err := tx.book(grant.CustomerID)
	if err != nil {
		return err
	}
	if b.p.Available < points {
		return notEnough(b.p.Available, points)
	}
	hold := punchcard.PointsHold{
		GrantID: grant.ID, CustomerID: grant.CustomerID, Points: points, Parts: []punchcard.HoldPart{},
		Status: punchcard.GrantHeld, CreatedAt: tx.Now, Grace: grace,
	}
	took := b.take(points, func(l *punchcard.PointsLot, n int64) {
		hold.Parts = append(hold.Parts, punchcard.HoldPart{Lot: l.ID, Points: n})
		b.move(punchcard.LedgerHold, punchcard.PointsAvailable, punchcard.PointsHeld, l, n, grant.ID, fmt.Sprintf("hold/%s/%d", grant.ID, l.ID), tx.Now)
	})
	if took != points {
		return fmt.Errorf("the lots of %s hold %d points less than its balance", grant.CustomerID, points-took)
	}
	if err := b.close(); err != nil {
		return err
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
	b, err := tx.book(grant.CustomerID)
	if err != nil {
		return err
	}
	to := punchcard.PointsOutside
	if kind == punchcard.LedgerRelease {
		to = punchcard.PointsAvailable
	}
	for _, part := range hold.Parts {
		lot, err := b.lot(part.Lot)
		if err != nil {
			return err
		}
		b.move(kind, punchcard.PointsHeld, to, lot, part.Points, grant.ID, fmt.Sprintf("%s/%s/%d", kind, grant.ID, lot.ID), tx.Now)
		if kind != punchcard.LedgerRelease {
			continue
		}
		lot.Remaining += part.Points
		if lot.ExpiresAt != nil && !lot.ExpiresAt.After(tx.Now) {
			// Once for a lot: who asks and cancels again and again does not keep points alive.
			until := tx.Now
			if !lot.Graced {
				until = kept(tx.Now.Add(hold.Grace))
			}
			lot.ExpiresAt, lot.Graced = &until, true
		}
		b.repay(lot, tx.Now)
	}
	if err := b.close(); err != nil {
		return err
	}
	hold.Status = status
	return tx.db.Save(hold).Error
}

// Ledger lists a customer's ledger after an id, oldest first, with those of customers who were merged into them.
func (tx *Tx) Ledger(customer string, after int64, limit int) ([]punchcard.LedgerEntry, error) {
	kin, err := tx.kin(customer)
	if err != nil {
		return nil, err
	}
	return list[punchcard.LedgerEntry](tx.db.Where("customer_id IN ? AND id > ?", kin, after).Order("id").Limit(limit))
}
