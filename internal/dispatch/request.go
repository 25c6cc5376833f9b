package dispatch

import (
	"context"
	"fmt"
	"strings"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Ways to name a customer in one word, beside our own id and a phone number.
const (
	refExternal = "external:"
	refPhone    = "phone:"
)

// ParseReference reads how a customer is named in one word, on a command line and in an address: by our id (cus_…), external:ID, or a phone
// number with its plus, which may have phone: before it. The error is CodeNotFound: nobody is known by anything else.
func ParseReference(word string) (Reference, error) {
	var ref Reference
	switch id, external := strings.CutPrefix(word, refExternal); {
	case external:
		ref.ExternalID = id
	case punchcard.IsID(punchcard.PrefixCustomer, word):
		ref.ID = word
	case strings.HasPrefix(word, "+"), strings.HasPrefix(word, refPhone):
		ref.Phone = strings.TrimPrefix(word, refPhone)
	default:
		return ref, punchcard.Errorf(punchcard.CodeNotFound,
			"nobody is known by that; a customer is named by our id (cus_…), a phone number with its plus (+4520123456), or external:ID").In("customer")
	}
	if ref == (Reference{}) {
		return ref, punchcard.Errorf(punchcard.CodeInvalid, "say who the customer is after external: or phone:").In("customer")
	}
	return ref, nil
}

// Resolve finds the customer that a reference names. The error is CodeNotFound when nobody is known by it, and CodeInvalid for
// a reference that is none.
func (d *Dispatcher) Resolve(ctx context.Context, ref Reference) (*punchcard.Customer, error) {
	own, identities, _, err := checkReference(ref)
	if err != nil {
		return nil, err
	}
	view := d.store.View(ctx)
	var c *punchcard.Customer
	if own != "" {
		c, err = view.Customer(own)
	} else {
		c, err = view.Identify(identities)
	}
	if err == nil && c == nil {
		err = punchcard.Errorf(punchcard.CodeNotFound, "nobody is known by that").In("customer")
	}
	return c, err
}

// StartRun starts a run by request. properties are those of one of the events by which the journey is entered. The errors are
// CodeNotFound for an unknown journey, CodeInvalid for properties that fit none of its entries, and CodeConflict with reason
// live_run when a run is live on that key; the run is answered with that one. A request that is not empty names the start: the
// second time it answers the run that was started the first.
func (d *Dispatcher) StartRun(ctx context.Context, journey, customer string, properties map[string]any, request string) (*punchcard.Run, error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	j := policy.Journeys[journey]
	if j == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "the program has no journey %q", short(journey)).Because("unknown_journey")
	}
	enter, entry, err := fitting(policy.Program, j, properties)
	if err != nil {
		return nil, err
	}
	var run, live *punchcard.Run
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		run, live = nil, nil
		c, err := tx.LockCustomer(customer)
		if err != nil {
			return err
		}
		if run, err = tx.RunOfRequest(request); err != nil || run != nil {
			return err
		}
		if stopped, err := tx.Off(store.SwitchEntry, journey); err != nil {
			return err
		} else if stopped {
			return punchcard.Errorf(punchcard.CodeConflict, "%s is stopped and takes no new runs", journey).Because("stopped")
		}
		event := &punchcard.Event{Name: enter.On, CustomerID: c.ID, Properties: entry, OccurredAt: tx.Now}
		env, err := fence.Scene{Tx: tx, Program: policy.Program, Customer: c, Event: event}.Env()
		if err != nil {
			return err
		}
		key, err := entryKey(enter, env)
		if err != nil {
			return punchcard.Errorf(punchcard.CodeInvalid, "the journey's key cannot be made of these properties: %s", err).In("properties")
		}
		run, err = fence.Begin(tx, policy.Program, j, c, &punchcard.Run{
			Version: policy.Version, Key: key, Entry: entry, EntryEvent: enter.On, Request: request,
		})
		if err != nil || run != nil {
			return err
		}
		open, err := tx.OpenRuns(c.ID)
		for _, r := range open {
			if r.Journey == journey && r.Key == key {
				live = r
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if run == nil {
		return live, punchcard.Errorf(punchcard.CodeConflict, "a run of %s is live for this customer and key", journey).Because("live_run")
	}
	d.outbox.ring()
	return run, nil
}

// fitting is the way into a journey whose event has such properties, and the properties in canonical form.
func fitting(p *rules.Program, j *rules.Journey, properties map[string]any) (rules.Enter, map[string]any, error) {
	var first error
	for _, enter := range j.Enter {
		schema, ok := p.Schema(enter.On)
		if !ok {
			continue
		}
		entry, err := schema.Normalize(properties)
		if err != nil {
			err = valueError(err, "properties")
		} else if err = bounded("properties", entry); err == nil {
			return enter, entry, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = fmt.Errorf("journey %s has no way in", j.Name)
	}
	return rules.Enter{}, nil, first
}

// Decide answers an approval. The errors are CodeNotFound when there is none, and CodeConflict when it was decided or lapsed.
func (d *Dispatcher) Decide(ctx context.Context, id string, approve bool, by, note string) (*punchcard.Approval, error) {
	by, note = strings.TrimSpace(by), strings.TrimSpace(note)
	if by == "" || len(by) > maxName || !clean(by) {
		return nil, punchcard.Errorf(punchcard.CodeInvalid, "say who decides, in at most %d bytes", maxName).In("by")
	}
	if len(note) > maxNote || !clean(note) {
		return nil, punchcard.Errorf(punchcard.CodeInvalid, "a note is at most %d bytes of text", maxNote).In("note")
	}
	found, err := d.store.View(ctx).Approval(id)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "there is no approval with that id")
	}
	var approval *punchcard.Approval
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		run, journey, err := d.lockRun(ctx, tx, found.RunID)
		if err != nil {
			return err
		}
		if approval, err = tx.Approval(id); err != nil {
			return err
		}
		if approval.Status != punchcard.ApprovalPending {
			return punchcard.Errorf(punchcard.CodeConflict, "it is %s already", approval.Status).Because(string(approval.Status))
		}
		outcome := rules.OutcomeRejected
		approval.Status = punchcard.ApprovalRejected
		if approve {
			outcome, approval.Status = rules.OutcomeApproved, punchcard.ApprovalApproved
		}
		if !fence.Hears(journey, run, outcome) {
			return punchcard.Errorf(punchcard.CodeConflict, "the run no longer waits for this").Because("not_waiting")
		}
		approval.By, approval.Note, approval.DecidedAt = by, note, &tx.Now
		if err := tx.SaveApproval(approval); err != nil {
			return err
		}
		if err := fence.Wake(tx, journey, run, outcome); err != nil {
			return err
		}
		return tx.SaveRun(run)
	})
	if err != nil {
		return nil, err
	}
	d.outbox.ring()
	return approval, nil
}

// maxNote bounds a note, in bytes.
const maxNote = 2000

// lockRun locks a run's customer and the run, and reads its journey.
func (d *Dispatcher) lockRun(ctx context.Context, tx *store.Tx, id string) (*punchcard.Run, *rules.Journey, error) {
	row, err := tx.Run(id)
	if err != nil {
		return nil, nil, err
	}
	if row == nil {
		return nil, nil, punchcard.Errorf(punchcard.CodeNotFound, "there is no run with that id")
	}
	if _, err := tx.LockCustomer(row.CustomerID); err != nil {
		return nil, nil, err
	}
	run, err := tx.LockRun(id)
	if err != nil {
		return nil, nil, err
	}
	_, journey, err := d.fence.Catalog.Journey(ctx, run.Version, run.Journey)
	return run, journey, err
}

// Pause holds a journey's runs before their next effect, and those that start. The error is CodeNotFound for a journey that
// the program does not have.
func (d *Dispatcher) Pause(ctx context.Context, journey, reason string) error {
	if err := d.knownJourney(ctx, journey); err != nil {
		return err
	}
	if len(reason) > maxNote || !clean(reason) {
		return punchcard.Errorf(punchcard.CodeInvalid, "a reason is at most %d bytes of text", maxNote).In("reason")
	}
	return d.store.Update(ctx, func(tx *store.Tx) error { return tx.SwitchOff(store.SwitchJourney, journey, reason) })
}

// Resume lets a paused journey's runs go on. It answers how many were held.
func (d *Dispatcher) Resume(ctx context.Context, journey string) (int, error) {
	if err := d.knownJourney(ctx, journey); err != nil {
		return 0, err
	}
	if err := d.store.Update(ctx, func(tx *store.Tx) error { return tx.SwitchOn(store.SwitchJourney, journey) }); err != nil {
		return 0, err
	}
	held, err := d.store.View(ctx).HeldRuns(journey)
	if err != nil {
		return 0, err
	}
	resumed := 0
	for _, h := range held {
		ok, err := d.wakeFrom(ctx, h.ID, punchcard.RunHeld, rules.SignalResume)
		if err != nil {
			return resumed, err
		}
		if ok {
			resumed++
		}
	}
	return resumed, nil
}

func (d *Dispatcher) knownJourney(ctx context.Context, journey string) error {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return err
	}
	if policy.Journeys[journey] == nil {
		return punchcard.Errorf(punchcard.CodeNotFound, "the program has no journey %q", short(journey)).Because("unknown_journey")
	}
	return nil
}

// Unpark has a parked event routed again. The error is CodeNotFound when none is parked under that id.
func (d *Dispatcher) Unpark(ctx context.Context, event string) error {
	err := d.store.Update(ctx, func(tx *store.Tx) error { return tx.Unpark(event) })
	if err == nil {
		d.events.ring()
	}
	return err
}

// UnparkWebhook has a parked webhook taken over again. What it said that was taken already is a duplicate then. The error is
// CodeNotFound when none is parked under that id.
func (d *Dispatcher) UnparkWebhook(ctx context.Context, id int64) error {
	err := d.store.Update(ctx, func(tx *store.Tx) error { return tx.UnparkInbox(id) })
	if err == nil {
		d.inbox.ring()
	}
	return err
}

// Merge makes one customer of two, by our ids: from's all is into's from then on, and from's id leads there. It answers into. Two that
// are one already are no error. The error is CodeNotFound for a customer who is not there.
func (d *Dispatcher) Merge(ctx context.Context, from, into string) (*punchcard.Customer, error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	var c *punchcard.Customer
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		ids := [2]string{from, into}
		for i, id := range ids {
			var err error
			if c, err = tx.Customer(id); err != nil {
				return err
			}
			if c == nil {
				return punchcard.Errorf(punchcard.CodeNotFound, "there is no customer with that id").Because("unknown_customer")
			}
			ids[i] = c.ID
		}
		if ids[0] == ids[1] {
			return nil
		}
		var err error
		c, err = d.fence.Merge(ctx, tx, policy.Program, ids[0], ids[1], ids[1])
		return err
	})
	if err != nil {
		return nil, err
	}
	d.events.ring()
	d.outbox.ring()
	return c, nil
}

// Retry asks a stuck run to try its effect again. The errors are CodeNotFound for a run that is not there, and CodeConflict
// for one that is not stuck.
func (d *Dispatcher) Retry(ctx context.Context, run string) error {
	ok, err := d.wakeFrom(ctx, run, punchcard.RunStuck, rules.SignalRetry)
	if err == nil && !ok {
		err = punchcard.Errorf(punchcard.CodeConflict, "the run is not stuck").Because("not_stuck")
	}
	return err
}

// RetryAll asks every stuck run with a reason (empty: any) to try its effect again: what they were stuck on has been mended. It
// answers how many were asked.
func (d *Dispatcher) RetryAll(ctx context.Context, reason string) (int, error) {
	before, asked := "", 0
	for {
		runs, err := d.store.View(ctx).RunsOf(punchcard.RunStuck, "", reason, before, batch)
		if err != nil || len(runs) == 0 {
			return asked, err
		}
		for _, r := range runs {
			before = r.ID
			ok, err := d.wakeFrom(ctx, r.ID, punchcard.RunStuck, rules.SignalRetry)
			if err != nil {
				return asked, err
			}
			if ok {
				asked++
			}
		}
	}
}

// wakeFrom makes a run live that is held or stuck, and tells it. It answers false when the run is not.
func (d *Dispatcher) wakeFrom(ctx context.Context, id string, from punchcard.RunStatus, kind rules.SignalKind) (bool, error) {
	woken := false
	err := d.store.Update(ctx, func(tx *store.Tx) error {
		woken = false
		run, _, err := d.lockRun(ctx, tx, id)
		if err != nil || run.Status != from {
			return err
		}
		woken = true
		run.Status, run.Reason = punchcard.RunLive, ""
		if err := fence.Tell(tx, run, rules.Signal{Kind: kind}); err != nil {
			return err
		}
		return tx.SaveRun(run)
	})
	if err == nil && woken {
		d.outbox.ring()
	}
	return woken, err
}
