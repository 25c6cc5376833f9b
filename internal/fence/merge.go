package fence

import (
	"context"
	"slices"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Merge makes one customer of two who are one person, in this transaction, and answers who it is. into names the one who stays;
// "": the older. Of two runs that are live for one journey and key the older goes on, and the younger ends as merged; what is
// revoked by one of them ends the other's runs of that topic. Nothing is reached by it: points and orders that are now one
// person's raise neither a milestone nor a tier. reason says what proved it, for the log of the process. Neither may be merged
// already: the error is store.ErrTryAgain then.
func (f *Fence) Merge(ctx context.Context, tx *store.Tx, p *rules.Program, a, b, into string) (*punchcard.Customer, error) {
	stays, goes, err := tx.LockToMerge(a, b)
	if err != nil {
		return nil, err
	}
	if into == goes.ID {
		stays, goes = goes, stays
	}
	if err := endTwins(tx, stays.ID, goes.ID); err != nil {
		return nil, err
	}
	if err := tx.Merge(stays, goes); err != nil {
		return nil, err
	}
	standings, err := tx.Standings(stays.ID)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(p.Topics, func(t rules.Topic) bool { return standings[t.Name].Standing == punchcard.StandingRevoked }) {
		if err := f.endStopped(ctx, tx, p, stays, standings, store.SourceMerge); err != nil {
			return nil, err
		}
	}
	return stays, Raise(tx, stays.ID, punchcard.EventCustomerMerged, map[string]any{"merged": goes.ID, "into": stays.ID}, -1)
}

// endTwins ends the younger of two customers' live runs of one journey and key.
func endTwins(tx *store.Tx, a, b string) error {
	type place struct{ journey, key string }
	open := map[place]*punchcard.Run{}
	for _, customer := range []string{a, b} {
		runs, err := tx.OpenRuns(customer)
		if err != nil {
			return err
		}
		for _, run := range runs {
			at := place{run.Journey, run.Key}
			twin := open[at]
			if twin == nil {
				open[at] = run
				continue
			}
			younger := run
			if run.StartedAt.Before(twin.StartedAt) || run.StartedAt.Equal(twin.StartedAt) && run.ID < twin.ID {
				younger, open[at] = twin, run
			}
			if err := Leave(tx, younger, Ending{Outcome: punchcard.OutcomeMerged, Reason: store.SourceMerge}); err != nil {
				return err
			}
		}
	}
	return nil
}
