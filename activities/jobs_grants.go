package activities

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

// GrantsBatch is how many grants one transaction ends: some hundredths of a second.
const GrantsBatch = 25

// grantsBatch ends a few grants whose time is over, in the order of their times.
func (a *Activities) grantsBatch(ctx context.Context, after string) (Batch, error) {
	view := a.Fence.Store.View(ctx)
	if busy, err := view.Busy(maxQueued); err != nil || busy {
		return Batch{Next: after, Busy: true}, err
	}
	var of int64
	if after == "" {
		var err error
		if of, err = view.CountExpiring(); err != nil {
			return Batch{}, err
		}
	}
	at, id, err := placeOf(after)
	if err != nil {
		return Batch{}, err
	}
	grants, err := view.ExpiringGrants(at, id, GrantsBatch)
	if err != nil {
		return Batch{}, err
	}
	b := Batch{Done: len(grants), Of: of}
	tasks := make([]task, len(grants))
	for i := range grants {
		tasks[i] = task{grants[i].CustomerID, grants[i].ID}
	}
	failed, err := a.together(ctx, tasks, func(tx *store.Tx, _ []punchcard.Customer, tasks []task) error {
		ids := make([]string, len(tasks))
		for i, t := range tasks {
			ids[i] = t.id
		}
		return a.Fence.Expire(ctx, tx, ids)
	})
	if err != nil {
		return Batch{}, err
	}
	for t, err := range failed {
		b.Failed++
		a.Log.ErrorContext(ctx, "a reward whose time is over could not be ended; it is tried again at the job's next round", "grant", t.id, "error", err)
	}
	if len(grants) == GrantsBatch {
		last := grants[len(grants)-1]
		b.Next = fmt.Sprintf("%d/%s", last.ExpiresAt.UnixMicro(), last.ID)
		return b, nil
	}
	if err := a.endAbandoned(ctx, &b); err != nil {
		return Batch{}, err
	}
	return b, a.Fence.Store.Update(ctx, func(tx *store.Tx) error { return tx.PruneGuessers(tx.Now.Add(-guessersKept)) })
}

// abandonedAfter is how long after it was given by hand, in real time, a grant without a code is taken to be left by a process that died: a call
// takes 30 seconds at most. What a run gives is asked for until there is an answer, or ended with the run.
const abandonedAfter = 15 * time.Minute

// endAbandoned gives back what was given by hand and left without its code.
func (a *Activities) endAbandoned(ctx context.Context, b *Batch) error {
	view := a.Fence.Store.View(ctx)
	grants, err := view.AbandonedGrants(view.Now.Add(-a.Fence.Store.Clock().Business(abandonedAfter)), GrantsBatch)
	if err != nil || len(grants) == 0 {
		return err
	}
	tasks, byID := make([]task, len(grants)), map[string]*punchcard.Grant{}
	for i := range grants {
		tasks[i] = task{grants[i].CustomerID, grants[i].ID}
		byID[grants[i].ID] = &grants[i]
	}
	failed, err := a.together(ctx, tasks, func(tx *store.Tx, _ []punchcard.Customer, tasks []task) error {
		for _, t := range tasks {
			if _, err := fence.SettleCode(tx, byID[t.id], nil, codeAbandoned); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for t, err := range failed {
		b.Failed++
		a.Log.ErrorContext(ctx, "a reward without its code could not be given back; it is tried again at the job's next round", "grant", t.id, "error", err)
	}
	b.Done += len(grants)
	return nil
}

// codeAbandoned is why a grant has no code that nobody asks for any more.
const codeAbandoned = "abandoned"

// guessersKept is how long it is kept who asked for unknown codes: longer than any window that a program may sensibly name.
const guessersKept = 30 * 24 * time.Hour

// placeOf reads a place in an order by time and id.
func placeOf(cursor string) (time.Time, string, error) {
	if cursor == "" {
		return time.Time{}, "", nil
	}
	at, id, ok := strings.Cut(cursor, "/")
	micros, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil {
		return time.Time{}, "", fmt.Errorf("%q is no place in a list", cursor)
	}
	return time.UnixMicro(micros).UTC(), id, nil
}
