package activities

import (
	"context"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

// JobHygiene looks through the list each day: what is old expires, or is asked for anew.
const JobHygiene = "hygiene"

// hygieneBatch is how many customers one batch looks at, each in a transaction of its own.
const hygieneBatch = 50

// hygieneRound looks at the next few customers of today's round. A round that has ended is not begun again on its day; one that was left
// goes on where it was.
func (a *Activities) hygieneRound(ctx context.Context, after string) (Batch, error) {
	policy, err := a.Fence.Catalog.Current(ctx)
	if err != nil {
		if punchcard.CodeOf(err) == punchcard.CodeUnavailable {
			return Batch{}, nil // nothing is published yet
		}
		return Batch{}, err
	}
	view := a.Fence.Store.View(ctx)
	if busy, err := view.Busy(maxQueued); err != nil || busy {
		return Batch{Next: after, Busy: true}, err
	}
	now := a.Fence.Store.Clock().Now()
	day := now.In(policy.Zone).Format(time.DateOnly)
	var round *punchcard.HygieneRound
	err = a.Fence.Store.Update(ctx, func(tx *store.Tx) (err error) {
		round, err = tx.HygieneRound(day)
		return err
	})
	if err != nil || round.EndedAt != nil {
		return Batch{}, err
	}
	var ids []string
	if age := fence.TidyFrom(policy.Hygiene); age > 0 {
		if ids, err = view.Aged(round.Cursor, now.Add(-age), hygieneBatch); err != nil {
			return Batch{}, err
		}
	}
	b := Batch{Done: len(ids)}
	for _, id := range ids {
		err := a.Fence.Store.Update(ctx, func(tx *store.Tx) error {
			c, err := tx.LockCustomer(id)
			if err != nil {
				return err
			}
			done, err := a.Fence.Tidy(ctx, tx, policy.Program, c)
			if err != nil {
				return err
			}
			done.Day, done.LookedAt, done.Cursor = day, 1, id
			return tx.HygieneCounted(done)
		})
		switch {
		case err == nil:
		case store.IsOutage(err) || ctx.Err() != nil:
			return Batch{}, err
		default:
			b.Failed++
			a.Log.ErrorContext(ctx, "a customer could not be looked at for hygiene, and is passed over today", "customer", id, "error", err)
		}
	}
	if len(ids) == hygieneBatch {
		last := ids[len(ids)-1]
		err := a.Fence.Store.Update(ctx, func(tx *store.Tx) error {
			return tx.HygieneCounted(punchcard.HygieneRound{Day: day, Cursor: last})
		})
		b.Next = last
		return b, err
	}
	err = a.Fence.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if round, err = tx.EndHygiene(day, max(policy.Hygiene.Undeliverable, 1)); err != nil || round.Asked+round.Expired == 0 {
			return err
		}
		return tx.RaiseAlert(punchcard.AlertHygiene, "", punchcard.SeverityWarning, day)
	})
	if err == nil {
		a.Log.InfoContext(ctx, "the list was looked through", "day", day, "looked_at", round.LookedAt, "undeliverable", round.Undeliverable,
			"unresponsive", round.Unresponsive, "asked", round.Asked, "expired", round.Expired)
	}
	return b, err
}
