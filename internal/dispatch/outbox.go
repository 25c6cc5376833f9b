package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// maxDeliveryPause is how long a delivery that failed waits at most before the next try.
const maxDeliveryPause = 10 * time.Second

// errAway is wrapped by the error of a look at the outbox that found Temporal away: not one of the deliveries failed for a
// reason of its own.
var errAway = errors.New("it is away")

// deliverDue tells the engine what is due, first-in first-out for each run.
func (d *Dispatcher) deliverDue(ctx context.Context) (int, error) {
	var due []store.Delivery
	err := d.store.Update(ctx, func(tx *store.Tx) error {
		var err error
		due, err = tx.ClaimDeliveries(d.name, batch, lease)
		return err
	})
	if err != nil || len(due) == 0 {
		return 0, err
	}
	outcomes := make([]error, len(due))
	var g errgroup.Group
	g.SetLimit(workers)
	for i, delivery := range due {
		g.Go(func() error {
			outcomes[i] = d.deliver(ctx, delivery)
			return nil
		})
	}
	_ = g.Wait() // each outcome is kept in its place
	if ctx.Err() != nil {
		return 0, ctx.Err() // what was not delivered is due again when the claim runs out
	}
	delivered := 0
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		delivered = 0
		for i, delivery := range due {
			if outcomes[i] == nil {
				delivered++
				if err := tx.Delivered(delivery.Seq); err != nil {
					return err
				}
				continue
			}
			if errors.Is(outcomes[i], punchcard.ErrRunGone) {
				continue
			}
			pause := min(retryPause<<min(delivery.Attempts, 10), maxDeliveryPause)
			if err := tx.Undelivered(delivery.Seq, outcomes[i].Error(), pause); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	var failed error
	away := true
	for i, delivery := range due {
		switch {
		case outcomes[i] == nil:
		case errors.Is(outcomes[i], punchcard.ErrRunGone):
			closed, err := d.fence.CloseGone(ctx, delivery.RunID, false)
			if err != nil {
				return delivered, err
			}
			if closed {
				d.log.WarnContext(ctx, "a run's workflow is gone; the run is closed", "run", delivery.RunID)
			}
			delivered++
		default:
			failed = outcomes[i]
			away = away && punchcard.CodeOf(failed) == punchcard.CodeUnavailable
		}
	}
	switch {
	case delivered > 0 || failed == nil:
		return delivered, nil
	case away:
		return 0, fmt.Errorf("tell Temporal of runs: %w: %w", errAway, failed)
	default:
		return 0, fmt.Errorf("tell Temporal of runs: %w", failed)
	}
}

// deliver tells the engine one thing.
func (d *Dispatcher) deliver(ctx context.Context, delivery store.Delivery) error {
	run, err := d.store.View(ctx).Run(delivery.RunID)
	if err != nil {
		return err
	}
	if run == nil {
		return punchcard.ErrRunGone
	}
	if delivery.Number > 0 {
		var s rules.Signal
		if err := json.Unmarshal(delivery.Signal, &s); err != nil {
			return fmt.Errorf("signal %d of run %s cannot be read: %w", delivery.Number, run.ID, err)
		}
		return d.engine.Signal(ctx, run.Journey, run.ID, s)
	}
	_, journey, err := d.fence.Catalog.Journey(ctx, run.Version, run.Journey)
	if err != nil {
		return err
	}
	s := rules.Start{Run: run.ID, Journey: run.Journey, Customer: run.CustomerID, Version: run.Version, Plan: journey.Plan}
	if l := run.Listener; l != nil && l.Node == journey.Plan.Start {
		s.Armed, s.First = true, l.Deadline.Sub(d.store.Clock().Now())
	}
	return d.engine.Start(ctx, s)
}
