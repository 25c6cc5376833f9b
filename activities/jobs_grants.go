package activities

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"punchcard/internal/store"
)

// grantsAtOnce is how many grants one batch of the job looks at.
const grantsAtOnce = 100

// grantsBatch ends a few grants whose time is over, each in a transaction of its own, in the order of their times.
func (a *Activities) grantsBatch(ctx context.Context, after string) (Batch, error) {
	view := a.Fence.Store.View(ctx)
	if busy, err := view.Busy(maxQueued); err != nil || busy {
		return Batch{Next: after, Busy: true}, err
	}
	at, id, err := placeOf(after)
	if err != nil {
		return Batch{}, err
	}
	grants, err := view.ExpiringGrants(at, id, grantsAtOnce)
	if err != nil {
		return Batch{}, err
	}
	b := Batch{Done: len(grants)}
	for i := range grants {
		_, err := a.Fence.Expire(ctx, grants[i].ID)
		if store.IsOutage(err) {
			return Batch{}, err
		}
		if err != nil {
			b.Failed++
			a.Log.ErrorContext(ctx, "a reward whose time is over could not be ended; it is tried again at the job's next round", "grant", grants[i].ID, "error", err)
		}
	}
	if len(grants) == grantsAtOnce {
		last := grants[len(grants)-1]
		b.Next = fmt.Sprintf("%d/%s", last.ExpiresAt.UnixMicro(), last.ID)
		return b, nil
	}
	return b, a.Fence.Store.Update(ctx, func(tx *store.Tx) error { return tx.PruneGuessers(tx.Now.Add(-guessersKept)) })
}

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
