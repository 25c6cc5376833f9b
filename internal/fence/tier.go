package fence

import (
	"maps"
	"slices"
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// tierOf is a customer's tier: the one that is kept. Where none is, or the program has it no more, it is what the points reach.
func tierOf(tx *store.Tx, p *rules.Program, account *punchcard.Points) (string, error) {
	tiers, err := tiersOf(tx, p, []*punchcard.Points{account})
	if err != nil {
		return "", err
	}
	return tiers[0], nil
}

// tiersOf is tierOf of each of some accounts.
func tiersOf(tx *store.Tx, p *rules.Program, accounts []*punchcard.Points) ([]string, error) {
	tiers := make([]string, len(accounts))
	if p.Tiers == nil {
		return tiers, nil
	}
	var unknown []string
	for _, a := range accounts {
		if p.Tiers.Rank(a.Tier) < 0 {
			unknown = append(unknown, a.CustomerID)
		}
	}
	var earned map[string]int64
	if len(unknown) > 0 {
		var err error
		if earned, err = tx.AllEarnedSince(unknown, tx.Now.Add(-p.Tiers.Within)); err != nil {
			return nil, err
		}
	}
	for i, a := range accounts {
		if tiers[i] = a.Tier; p.Tiers.Rank(a.Tier) < 0 {
			tiers[i] = p.TierAt(earned[a.CustomerID])
		}
	}
	return tiers, nil
}

// retier reckons tiers afresh. One rises at once. One that the points no longer reach is kept for the program's grace; then it falls, but
// only where fall says so: it falls by time, and not by what happens to be looked at. It changes the accounts, writes nothing, and answers
// the events to raise of that. before are the tiers until now. The customers are locked.
func retier(tx *store.Tx, p *rules.Program, accounts []*punchcard.Points, before []string, depth int, fall bool) ([]*punchcard.Event, error) {
	t := p.Tiers
	if t == nil {
		for _, a := range accounts {
			a.Tier, a.TierUntil, a.TierDueAt = "", nil, nil // the program has tiers no more
		}
		return nil, nil
	}
	ids := make([]string, len(accounts))
	for i, a := range accounts {
		ids[i] = a.CustomerID
	}
	since := tx.Now.Add(-t.Within)
	earned, err := tx.AllEarnedSince(ids, since)
	if err != nil {
		return nil, err
	}
	var events []*punchcard.Event
	fading := map[string]*punchcard.Points{} // accounts whose tier changes when the first of the points that count for it do no more
	for i, a := range accounts {
		if a.Tier == "" && a.Earned == 0 && before[i] == t.Levels[0].Name {
			continue // nothing was ever earned: there is nothing to keep
		}
		reached := t.Rank(p.TierAt(earned[a.CustomerID]))
		now := max(t.Rank(before[i]), 0)
		until := a.TierUntil
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
		switch {
		case until != nil:
			a.TierDueAt = until // its grace is over then
		case now == 0:
			a.TierDueAt = nil // it cannot fall
		case a.TierUntil == nil && a.TierDueAt != nil && a.TierDueAt.After(tx.Now):
			// A moment that is kept and still to come stays: each change of the account need not look for it.
		default:
			a.TierDueAt, fading[a.CustomerID] = nil, a
		}
		a.Tier, a.TierUntil = t.Levels[now].Name, until
		if a.Tier != before[i] {
			events = append(events, raised(tx, a.CustomerID, punchcard.EventTierChanged, map[string]any{"from": before[i], "to": a.Tier}, depth))
		}
	}
	if len(fading) == 0 {
		return events, nil
	}
	first, err := tx.FirstEarnedSince(slices.Sorted(maps.Keys(fading)), since)
	for id, at := range first {
		due := at.Add(t.Within)
		fading[id].TierDueAt = &due
	}
	return events, err
}

// retierOne is retier of a customer whose points have just changed, and writes and raises what came of it.
func retierOne(tx *store.Tx, p *rules.Program, customer, before string, depth int) error {
	account, err := tx.Account(customer)
	if err != nil {
		return err
	}
	was := *account
	events, err := retier(tx, p, []*punchcard.Points{account}, []string{before}, depth, false)
	if err != nil {
		return err
	}
	if account.Tier != was.Tier || !same(account.TierUntil, was.TierUntil) || !same(account.TierDueAt, was.TierDueAt) {
		if err := tx.SaveTier(account); err != nil {
			return err
		}
	}
	return tx.AddEvents(events...)
}

// fallen is the tier below one whose grace is over, and until when that is kept in turn.
func fallen(t *rules.Tiers, now, reached int, at time.Time) (int, *time.Time) {
	if !t.OneLevel || now-1 <= reached {
		return reached, nil
	}
	until := at.Add(t.Grace)
	return now - 1, &until
}

func same(a, b *time.Time) bool {
	return a == b || a != nil && b != nil && a.Equal(*b)
}
