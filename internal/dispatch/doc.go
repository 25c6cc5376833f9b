// Package dispatch decides what follows from a fact. It takes one customer at a time and one event a transaction: the event's
// counts and points, milestones and consent, then which runs leave, which wake and which start. What Temporal must learn of
// that is queued in the same transaction and delivered afterwards, in order for each run and at least once.
//
//	Ingest, inbox ──▶ events ──▶ route ──▶ outbox ──▶ Engine
//	                    ▲           │
//	                    └── raise ──┘  what an event causes is an event of its own, routed later
//
// When the database is gone, nothing is lost and nothing counts as failed: the loops try again. When Temporal is gone,
// deliveries wait in the outbox. An event that cannot be routed is tried a few times and then parked with its error; the
// customer's next events go on.
package dispatch
