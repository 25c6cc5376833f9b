package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"punchcard"
	"punchcard/internal/calls"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Engine runs workflows. Both methods may be called more than once for the same thing.
type Engine interface {
	// Start begins a run's workflow. One that began already is no error.
	Start(ctx context.Context, s rules.Start) error
	// Signal tells a run's workflow something. The error is punchcard.ErrRunGone when the workflow is over.
	Signal(ctx context.Context, journey, run string, s rules.Signal) error
}

// Dispatcher routes events and delivers what follows. Any number of them may work on one database, in one process or several.
type Dispatcher struct {
	store  *store.Store
	fence  *fence.Fence
	engine Engine
	log    *slog.Logger
	name   string // under which this dispatcher claims

	events, inbox, outbox bell

	hooks    hookSender
	pausesAt time.Time // when Drain last looked for pauses that have ended
	// UnknownAfter is how long after its call a message whose fate nothing has settled is reported, in real time.
	UnknownAfter time.Duration
	// Caller asks other systems for the codes of what is given by hand.
	Caller calls.Caller
}

// New is a dispatcher over the fence's store.
func New(f *fence.Fence, engine Engine, log *slog.Logger) *Dispatcher {
	return &Dispatcher{
		store: f.Store, fence: f, engine: engine, log: log, name: punchcard.NewID("dsp"),
		events: newBell(), inbox: newBell(), outbox: newBell(), UnknownAfter: UnknownAfter,
	}
}

// bell wakes a loop before its next look. Ringing one that has rung already does nothing.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

const (
	// pollEvery is how often a loop looks when no bell rings: another process may have added work.
	pollEvery = 500 * time.Millisecond
	// longestAway is how long the outbox is left alone at most while Temporal is away. A look reads what stands behind other
	// deliveries of its run, which grows as long as Temporal is away.
	longestAway = 5 * time.Second
	// lease is how long a claim lasts. Work on one is over in far less; a process that died gives its claims back after it.
	lease = 15 * time.Second
	// batch is how much one claim takes.
	batch = 64
	// eventsPerClaim bounds how long one customer with many events keeps others waiting.
	eventsPerClaim = 32
	// workers is how many customers, or deliveries, one claim works on at once.
	workers = 8
	// maxAttempts is how often an event or a webhook is tried before it is parked.
	maxAttempts = 5
	// retryPause is how long work that failed waits, times the number of tries so far.
	retryPause = time.Second
)

// Run works until ctx ends.
func (d *Dispatcher) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.loop(ctx, "inbox", d.inbox, d.readInbox) })
	g.Go(func() error { return d.loop(ctx, "events", d.events, d.routeDue) })
	g.Go(func() error { return d.loop(ctx, "outbox", d.outbox, d.deliverDue) })
	g.Go(func() error { return d.runSchedules(ctx) })
	g.Go(func() error { return d.runHooks(ctx) })
	g.Go(func() error {
		return d.loopEvery(ctx, "templates", func() time.Duration { return pausesEvery }, d.endPauses)
	})
	g.Go(func() error { return d.runWatch(ctx) })
	return g.Wait()
}

// loop calls work until it finds nothing more to do, then waits for the bell or the next look. From errAway until something is
// done the looks are further and further apart, and no bell brings one forward.
func (d *Dispatcher) loop(ctx context.Context, name string, b bell, work func(context.Context) (int, error)) error {
	failing := false
	var away time.Duration
	for {
		n, err := work(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is how a loop ends
		}
		if err != nil {
			if !failing {
				d.log.WarnContext(ctx, "dispatch cannot work just now and goes on trying", "loop", name, "error", err)
			}
			failing = true
		} else if failing && (n > 0 || away == 0) {
			failing = false
			d.log.InfoContext(ctx, "dispatch works again", "loop", name)
		}
		if err == nil && n > 0 {
			away = 0
			continue
		}
		if errors.Is(err, errAway) {
			away = min(max(2*away, pollEvery), longestAway)
		}
		pause, ring := pollEvery, b
		if away > 0 {
			pause, ring = away, nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ring:
		case <-time.After(pause):
		}
	}
}

// loopEvery calls work at intervals, each as long as pause says after the last.
func (d *Dispatcher) loopEvery(ctx context.Context, name string, pause func() time.Duration, work func(context.Context) error) error {
	return d.loop(ctx, name, newBell(), func(ctx context.Context) (int, error) {
		err := work(ctx)
		if err != nil {
			return 0, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause()):
		}
		return 1, nil
	})
}

// routeDue claims customers with events and routes them.
func (d *Dispatcher) routeDue(ctx context.Context) (int, error) {
	var customers []string
	err := d.store.Update(ctx, func(tx *store.Tx) error {
		var err error
		customers, err = tx.ClaimCustomers(d.name, batch, lease)
		return err
	})
	if err != nil {
		return 0, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, c := range customers {
		g.Go(func() error { return d.routeCustomer(ctx, c) })
	}
	return len(customers), g.Wait()
}

// routeCustomer routes what a claimed customer has, one event a transaction.
func (d *Dispatcher) routeCustomer(ctx context.Context, customer string) error {
	for range eventsPerClaim {
		more, seq, err := d.routeNext(ctx, customer)
		switch {
		case err == nil:
			if seq > 0 {
				d.outbox.ring()
			}
			if !more {
				return nil
			}
		case store.IsOutage(err) || punchcard.CodeOf(err) == punchcard.CodeUnavailable:
			return err // not the event's fault: the claim runs out, or the next look finds it
		default:
			parked, failErr := d.failEvent(ctx, customer, seq, err)
			if failErr != nil {
				return failErr
			}
			if !parked {
				return nil
			}
		}
	}
	return d.store.Update(ctx, func(tx *store.Tx) error { return tx.FinishCustomer(d.name, customer) })
}

// failEvent counts a failed try. An event that is parked lets the next one go on; else the customer waits a little.
func (d *Dispatcher) failEvent(ctx context.Context, customer string, seq int64, cause error) (parked bool, err error) {
	attempts := maxAttempts
	if errors.Is(cause, errHopeless) {
		attempts = 1
	}
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		var err error
		if parked, err = tx.MarkFailed(seq, cause.Error(), attempts); err != nil || parked {
			return err
		}
		return tx.PostponeCustomer(d.name, customer, retryPause)
	})
	if err != nil {
		return false, err
	}
	d.log.ErrorContext(ctx, "an event could not be routed", "seq", seq, "customer", customer, "parked", parked, "error", cause)
	return parked, nil
}

// errHopeless is wrapped by the error of an event that no further try will route.
var errHopeless = errors.New("no further try will help")

// routeNext routes a customer's oldest event, and answers its seq, 0 when there was none. It ends the claim in the same
// transaction, and answers false, when there is no more to route.
func (d *Dispatcher) routeNext(ctx context.Context, customer string) (more bool, seq int64, err error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return false, 0, err
	}
	err = d.store.Update(ctx, func(tx *store.Tx) (err error) {
		more, seq = false, 0
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("routing panicked: %v", r)
			}
		}()
		c, err := tx.LockCustomer(customer)
		if err != nil {
			return err
		}
		if c.ID != customer {
			// They turned out to be somebody else. What came for them since is the other's.
			if _, err := tx.Forward(customer, c.ID); err != nil {
				return err
			}
			return tx.FinishCustomer(d.name, customer)
		}
		e, last, err := tx.NextEvent(customer)
		if err != nil {
			return err
		}
		tx.Claimed(d.name, customer, lease)
		if e != nil {
			seq = e.Seq
			r := &routing{d: d, ctx: ctx, tx: tx, policy: policy, customer: c, event: e}
			if err := r.route(); err != nil {
				return err
			}
		}
		if !last {
			more = true
			return nil
		}
		ended, err := tx.EndClaim()
		more = !ended
		return err
	})
	return more, seq, err
}

// Drain does all that is due now, once, and answers whether there was anything. It is for whoever drives time itself.
func (d *Dispatcher) Drain(ctx context.Context) (bool, error) {
	worked := false
	schedules := func(ctx context.Context) (int, error) {
		for {
			if more, err := d.scheduleBatch(ctx); err != nil || !more {
				return 0, err
			}
		}
	}
	pauses := func(ctx context.Context) (int, error) {
		now := d.store.Clock().Now()
		if now.Sub(d.pausesAt) < time.Minute {
			return 0, nil
		}
		d.pausesAt = now
		return 0, d.endPauses(ctx)
	}
	for _, work := range []func(context.Context) (int, error){pauses, d.readInbox, schedules, d.routeDue, d.deliverDue} {
		for {
			n, err := work(ctx)
			if err != nil {
				return worked, err
			}
			if n == 0 {
				break
			}
			worked = true
		}
	}
	return worked, nil
}
