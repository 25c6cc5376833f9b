package fence

import (
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// tierOf is a customer's tier: the one that is kept. Where none is, or the program has it no more, it is what the points reach.
func tierOf(tx *store.Tx, p *rules.Program, account *punchcard.Points) (string, error) {
	if p.Tiers == nil {
		return "", nil
	}
	if p.Tiers.Rank(account.Tier) >= 0 {
		return account.Tier, nil
	}
	earned, err := tx.EarnedSince(account.CustomerID, tx.Now.Add(-p.Tiers.Within))
	return p.TierAt(earned), err
}

// retier reckons a customer's tier afresh. It rises at once, and raises that. One that the points no longer reach is kept for the
// program's grace; then it falls, but only where fall says so: it falls by time, and not by what happens to be looked at.
// before is the tier until now. The customer is locked.
func retier(tx *store.Tx, p *rules.Program, c *punchcard.Customer, before string, depth int, fall bool) error {
	account, err := tx.Account(c.ID)
	if err != nil {
		return err
	}
	t := p.Tiers
	if t == nil {
		if account.Tier == "" && account.TierDueAt == nil {
			return nil
		}
		return tx.SaveTier(c.ID, "", nil, nil) // the program has tiers no more
	}
	if account.Tier == "" && account.Earned == 0 && before == t.Levels[0].Name {
		return nil // nothing was ever earned: there is nothing to keep
	}
	since := tx.Now.Add(-t.Within)
	earned, err := tx.EarnedSince(c.ID, since)
	if err != nil {
		return err
	}
	reached := t.Rank(p.TierAt(earned))
	now := max(t.Rank(before), 0)
	until := account.TierUntil
	switch {
	case reached >= now:
		now, until = reached, nil
	case until == nil:
		at := tx.Now.Add(t.Grace)
		until = &at
	}
	if fall && until != nil && !until.After(tx.Now) {
		now, until = fallen(t, now, reached, tx.Now)
	}
	tier := t.Levels[now].Name
	due, err := tierDue(tx, t, account, now, until)
	if err != nil {
		return err
	}
	if tier != account.Tier || !same(until, account.TierUntil) || !same(due, account.TierDueAt) {
		if err := tx.SaveTier(c.ID, tier, until, due); err != nil {
			return err
		}
	}
	if tier == before {
		return nil
	}
	return Raise(tx, c.ID, punchcard.EventTierChanged, map[string]any{"from": before, "to": tier}, depth)
}

// fallen is the tier below one whose grace is over, and until when that is kept in turn.
func fallen(t *rules.Tiers, now, reached int, at time.Time) (int, *time.Time) {
	if !t.OneLevel || now-1 <= reached {
		return reached, nil
	}
	until := at.Add(t.Grace)
	return now - 1, &until
}

// tierDue is when time may next change a tier: when its grace is over, or the first of the points that count for it do no more.
// A moment that is kept and still to come stays: each change of the account need not look for it.
func tierDue(tx *store.Tx, t *rules.Tiers, account *punchcard.Points, rank int, until *time.Time) (*time.Time, error) {
	switch {
	case until != nil:
		return until, nil
	case rank == 0:
		return nil, nil // it cannot fall
	case account.TierUntil == nil && account.TierDueAt != nil && account.TierDueAt.After(tx.Now):
		return account.TierDueAt, nil
	}
	first, err := tx.FirstEarnedSince(account.CustomerID, tx.Now.Add(-t.Within))
	if err != nil || first == nil {
		return nil, err
	}
	at := first.Add(t.Within)
	return &at, nil
}

func same(a, b *time.Time) bool {
	return a == b || a != nil && b != nil && a.Equal(*b)
}
