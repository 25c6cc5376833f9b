package dispatch

import (
	"context"
	"fmt"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

const (
	// schedulePause is the real time between two batches of customers: what a schedule starts must not keep events waiting.
	schedulePause = 100 * time.Millisecond
	// scheduleBatch is how many customers one batch looks at.
	scheduleBatch = 200
	// scheduleEvery is the real time between two looks at the clock when no schedule is under way.
	scheduleEvery = time.Second
)

// runSchedules looks at the clock until ctx ends, and brings the schedules that have come round to their customers.
func (d *Dispatcher) runSchedules(ctx context.Context) error {
	pause := time.Duration(0)
	return d.loopEvery(ctx, "schedules", func() time.Duration { return pause }, func(ctx context.Context) error {
		more, err := d.scheduleBatch(ctx)
		pause = scheduleEvery
		if more && err == nil {
			pause = schedulePause
		}
		return err
	})
}

// scheduleBatch looks at one batch of each schedule that is due, and answers whether any has more.
func (d *Dispatcher) scheduleBatch(ctx context.Context) (more bool, err error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		if punchcard.CodeOf(err) == punchcard.CodeUnavailable {
			return false, nil // nothing is published yet
		}
		return false, err
	}
	if !policy.Scheduled() {
		return false, nil
	}
	zones, err := d.store.View(ctx).Zones()
	if err != nil {
		return false, err
	}
	for _, j := range policy.Journeys {
		for i, enter := range j.Enter {
			if enter.Every == "" {
				continue
			}
			for _, zone := range zones {
				unfinished, err := d.scheduleZone(ctx, policy, j, i, zone)
				if err != nil {
					return more, fmt.Errorf("the schedule of %s: %w", j.Name, err)
				}
				more = more || unfinished
			}
		}
	}
	return more, nil
}

// scheduleZone looks at the next batch of a zone's customers for the newest slot of a schedule. What holds for a customer is
// raised as schedule.due, under an id made of schedule, slot and customer, so that a batch which is looked at twice raises
// nothing twice; whether it still holds is asked again when that is routed.
func (d *Dispatcher) scheduleZone(ctx context.Context, policy fence.Published, j *rules.Journey, entry int, zone string) (more bool, err error) {
	enter := j.Enter[entry]
	slot, at := enter.Slot(d.store.Clock().Now(), fence.ZoneNamed(policy.Program, zone))
	known, err := d.store.View(ctx).ScheduleSlot(j.Name, entry, zone, slot)
	switch {
	case err != nil:
		return false, err
	case known != nil && known.EndedAt != nil:
		return false, nil
	case known == nil && at.Before(policy.PublishedAt):
		return false, nil // it came round before there was this schedule
	}
	entered := false
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		more, entered = false, false
		s, err := tx.LockSlot(store.ScheduleSlot{Journey: j.Name, Entry: entry, Zone: zone, Slot: slot})
		if err != nil || s == nil {
			return err
		}
		customers, err := tx.CustomersInZone(zone, s.Cursor, scheduleBatch)
		if err != nil {
			return err
		}
		for i := range customers {
			c := &customers[i]
			ok, err := d.raiseDue(ctx, tx, policy, j, entry, c, slot)
			if err != nil {
				return err
			}
			s.Cursor, s.LookedAt = c.ID, s.LookedAt+1
			if ok {
				s.Entered++
				entered = true
			}
		}
		more = len(customers) == scheduleBatch
		if !more {
			s.EndedAt = &tx.Now
		}
		return tx.SaveSlot(s)
	})
	if entered && err == nil {
		d.events.ring()
	}
	return more, err
}

// raiseDue raises schedule.due for a customer for whom the schedule holds.
func (d *Dispatcher) raiseDue(ctx context.Context, tx *store.Tx, policy fence.Published, j *rules.Journey, entry int, c *punchcard.Customer, slot string) (bool, error) {
	event := &punchcard.Event{
		ID: fmt.Sprintf("schedule/%s/%d/%s/%s", j.Name, entry, slot, c.ID), CustomerID: c.ID, Name: punchcard.EventScheduleDue,
		Properties: map[string]any{propDate: slot}, Target: fmt.Sprintf("%s/%d", j.Name, entry), OccurredAt: tx.Now,
	}
	if where := j.Enter[entry].Where; where != nil {
		env, err := fence.Scene{Tx: tx, Program: policy.Program, Customer: c, Event: event}.Env()
		if err != nil {
			return false, err
		}
		ok, err := where.Bool(env)
		if cause := fence.Cause(err); cause != nil {
			return false, cause
		}
		if err != nil {
			d.log.WarnContext(ctx, "an expression failed and counts as false", "where", j.Name+" enter", "customer", c.ID, "error", err)
		}
		if !ok || err != nil {
			return false, nil //nolint:nilerr // an expression that fails is false
		}
	}
	return tx.AddEvent(event)
}

// propDate is the property of schedule.due.
const propDate = "date"
