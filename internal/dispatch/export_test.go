package dispatch

import "context"

// RouteDue is one claim's work on the events.
func (d *Dispatcher) RouteDue(ctx context.Context) (int, error) { return d.routeDue(ctx) }

// DeliverDue is one claim's work on the outbox.
func (d *Dispatcher) DeliverDue(ctx context.Context) (int, error) { return d.deliverDue(ctx) }

// Workers is how many customers one claim works on at once.
const Workers = workers
