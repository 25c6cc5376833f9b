package fence_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
	"punchcard/programs"
	"punchcard/rules"
)

// bundle is one run of the coffee shop's abandoned-cart journey, which waits in its first hour.
type bundle struct {
	t     *testing.T
	ctx   context.Context
	clock *punchcard.ManualClock
	store *store.Store
	fence *fence.Fence
	run   string
	acted int // how often an act was let through
}

func setup(t *testing.T, dialect store.Dialect) *bundle {
	t.Helper()
	clock := punchcard.NewManualClock(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC))
	s := storetest.New(t, dialect, clock)
	b := &bundle{t: t, ctx: context.Background(), clock: clock, store: s, fence: fence.New(s)}
	p, problems := rules.Load(programs.Coffee())
	require.Empty(t, problems)
	version, _, err := b.fence.Catalog.Publish(b.ctx, p)
	require.NoError(t, err)
	require.NoError(t, s.Update(b.ctx, func(tx *store.Tx) error {
		c, err := tx.Enroll([]punchcard.Identity{{Kind: punchcard.IdentityExternal, Value: "anna"}}, punchcard.Customer{})
		if err != nil {
			return err
		}
		r, err := fence.Begin(tx, p, p.Journeys["abandoned-cart"], c, &punchcard.Run{
			Version: version, Key: "c1", EntryEvent: "cart.updated",
			Entry: map[string]any{"cart_id": "c1", "total": 120.0, "items": []any{}},
		})
		if err == nil {
			b.run = r.ID
		}
		return err
	}))
	return b
}

// do asks for an effect; an act that passes answers with outcome.
func (b *bundle) do(e rules.Effect, outcome string) rules.Result {
	b.t.Helper()
	r, err := b.fence.Do(b.ctx, b.run, e, b.act(rules.Result{Reply: rules.ReplyDone, Outcome: outcome}))
	require.NoError(b.t, err)
	return r
}

func (b *bundle) act(r rules.Result) fence.Act {
	return func(*fence.Pass) (rules.Result, error) {
		b.acted++
		return r, nil
	}
}

// row reads the run.
func (b *bundle) row() *punchcard.Run {
	b.t.Helper()
	r, err := b.store.View(b.ctx).Run(b.run)
	require.NoError(b.t, err)
	return r
}

// decide does something to the run as dispatch would, under its locks.
func (b *bundle) decide(fn func(tx *store.Tx, r *punchcard.Run) error) {
	b.t.Helper()
	customer := b.row().CustomerID
	require.NoError(b.t, b.store.Update(b.ctx, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(customer); err != nil {
			return err
		}
		r, err := tx.LockRun(b.run)
		if err != nil {
			return err
		}
		return fn(tx, r)
	}))
}

// reminder is the effect after the first hour's wait.
func reminder() rules.Effect { return rules.Effect{Node: "2", Step: 1, Elapsed: "1"} }

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, b *bundle){
		"an effect that passes is recorded and arms the wait it leads to": func(t *testing.T, b *bundle) {
			b.clock.Advance(time.Hour)
			r := b.do(reminder(), rules.OutcomeSent)
			require.Equal(t, rules.Result{Reply: rules.ReplyDone, Outcome: rules.OutcomeSent, Armed: true, Wait: 23 * time.Hour}, r)
			row := b.row()
			require.Equal(t, "3", row.Listener.Node)
			require.Equal(t, b.clock.Now().Add(23*time.Hour), row.Listener.Deadline.UTC())
			require.Equal(t, 1, row.Step)
			require.Equal(t, "3", row.Node)
		},
		"done: the second time it answers what it came to, with what is left of the wait": func(t *testing.T, b *bundle) {
			b.clock.Advance(time.Hour)
			b.do(reminder(), rules.OutcomeSent)
			b.clock.Advance(3 * time.Hour)
			r := b.do(reminder(), "another outcome")
			require.Equal(t, rules.Result{Reply: rules.ReplyDone, Outcome: rules.OutcomeSent, Armed: true, Wait: 20 * time.Hour}, r)
			require.Equal(t, 1, b.acted)
			story, err := b.store.View(b.ctx).Story(b.run)
			require.NoError(t, err)
			require.Len(t, story, 1)
		},
		"done: even when the run has ended since": func(t *testing.T, b *bundle) {
			b.clock.Advance(time.Hour)
			b.do(reminder(), rules.OutcomeSent)
			b.decide(func(tx *store.Tx, r *punchcard.Run) error {
				return fence.Leave(tx, r, fence.Ending{Outcome: "recovered"})
			})
			require.Equal(t, rules.ReplyDone, b.do(reminder(), rules.OutcomeSent).Reply)
		},
		"a step number that stood for another node is refused": func(t *testing.T, b *bundle) {
			b.clock.Advance(time.Hour)
			b.do(reminder(), rules.OutcomeSent)
			_, err := b.fence.Do(b.ctx, b.run, rules.Effect{Node: "4", Step: 1}, b.act(rules.Result{Reply: rules.ReplyDone}))
			require.ErrorContains(t, err, "asked for as 4")
		},
		"left": func(t *testing.T, b *bundle) {
			b.clock.Advance(time.Hour)
			b.decide(func(tx *store.Tx, r *punchcard.Run) error {
				return fence.Leave(tx, r, fence.Ending{Outcome: "recovered", Goal: true, Value: 120})
			})
			require.Equal(t, rules.Result{Reply: rules.ReplyLeft, Outcome: "recovered"}, b.do(reminder(), rules.OutcomeSent))
			require.Zero(t, b.acted)
		},
		"left: a run that is not there": func(t *testing.T, b *bundle) {
			b.run = punchcard.NewID(punchcard.PrefixRun)
			require.Equal(t, rules.ReplyLeft, b.do(reminder(), rules.OutcomeSent).Reply)
		},
		"held, until the journey is resumed": func(t *testing.T, b *bundle) {
			b.clock.Advance(time.Hour)
			pause := func(off bool) {
				require.NoError(t, b.store.Update(b.ctx, func(tx *store.Tx) error {
					if off {
						return tx.SwitchOff(store.SwitchJourney, "abandoned-cart", "too eager")
					}
					return tx.SwitchOn(store.SwitchJourney, "abandoned-cart")
				}))
			}
			pause(true)
			require.Equal(t, rules.ReplyHeld, b.do(reminder(), rules.OutcomeSent).Reply)
			require.Equal(t, punchcard.RunHeld, b.row().Status)
			require.Zero(t, b.acted)
			pause(false)
			require.Equal(t, rules.ReplyDone, b.do(reminder(), rules.OutcomeSent).Reply)
			require.Equal(t, punchcard.RunLive, b.row().Status)
		},
		"hear first": func(t *testing.T, b *bundle) {
			b.clock.Advance(time.Hour)
			b.decide(func(tx *store.Tx, r *punchcard.Run) error {
				if err := fence.Tell(tx, r, rules.Signal{Kind: rules.SignalResume}); err != nil {
					return err
				}
				return tx.SaveRun(r)
			})
			require.Equal(t, rules.Result{Reply: rules.ReplyHearFirst, Issued: 1}, b.do(reminder(), rules.OutcomeSent))
			require.Zero(t, b.acted)
			e := reminder()
			e.Heard = 1
			require.Equal(t, rules.ReplyDone, b.do(e, rules.OutcomeSent).Reply)
		},
		"not due: the deadline was moved": func(t *testing.T, b *bundle) {
			b.clock.Advance(50 * time.Minute)
			b.decide(func(tx *store.Tx, r *punchcard.Run) error {
				r.Listener.Deadline = tx.Now.Add(time.Hour)
				return tx.SaveRun(r)
			})
			b.clock.Advance(10 * time.Minute)
			require.Equal(t, rules.Result{Reply: rules.ReplyNotDue, Wait: 50 * time.Minute}, b.do(reminder(), rules.OutcomeSent))
			require.Zero(t, b.acted)
			b.clock.Advance(50*time.Minute - time.Millisecond) // clocks differ a little
			require.Equal(t, rules.ReplyDone, b.do(reminder(), rules.OutcomeSent).Reply)
		},
		"deferred and stuck commit, and are asked for again": func(t *testing.T, b *bundle) {
			b.clock.Advance(time.Hour)
			for _, reply := range []rules.Reply{rules.ReplyDeferred, rules.ReplyStuck} {
				r, err := b.fence.Do(b.ctx, b.run, reminder(), b.act(rules.Result{Reply: reply, Code: "why", Wait: time.Minute}))
				require.NoError(t, err)
				require.Equal(t, reply, r.Reply)
				require.Equal(t, "1", b.row().Listener.Node, "the wait is not over until an effect is recorded")
			}
			require.Equal(t, punchcard.RunStuck, b.row().Status)
			require.Equal(t, "why", b.row().Reason)
			require.Equal(t, rules.ReplyDone, b.do(reminder(), rules.OutcomeSent).Reply)
			require.Equal(t, punchcard.RunLive, b.row().Status)
		},
		"an error rolls everything back": func(t *testing.T, b *bundle) {
			b.clock.Advance(time.Hour)
			boom := errors.New("boom")
			_, err := b.fence.Do(b.ctx, b.run, reminder(), func(p *fence.Pass) (rules.Result, error) {
				p.Run.Reason = "must not be seen"
				if err := p.Tx.SaveRun(p.Run); err != nil {
					return rules.Result{}, err
				}
				return rules.Result{}, boom
			})
			require.ErrorIs(t, err, boom)
			require.Empty(t, b.row().Reason)
			require.Equal(t, rules.ReplyDone, b.do(reminder(), rules.OutcomeSent).Reply)
		},
		"begun arms ahead, and finish records whatever came between": func(t *testing.T, b *bundle) {
			b.clock.Advance(time.Hour)
			r, err := b.fence.Do(b.ctx, b.run, reminder(), b.act(rules.Result{Reply: fence.ReplyBegun}))
			require.NoError(t, err)
			require.Equal(t, fence.ReplyBegun, r.Reply)
			require.Equal(t, "3", b.row().Listener.Node)
			b.decide(func(tx *store.Tx, r *punchcard.Run) error {
				return fence.Leave(tx, r, fence.Ending{Outcome: "recovered"})
			})
			r, err = b.fence.Finish(b.ctx, b.run, reminder(), b.act(rules.Result{Reply: rules.ReplyDone, Outcome: rules.OutcomeSent}))
			require.NoError(t, err)
			require.Equal(t, rules.Result{Reply: rules.ReplyLeft, Outcome: "recovered"}, r)
			row := b.row()
			require.Equal(t, punchcard.RunEnded, row.Status)
			require.Nil(t, row.Listener)
			story, err := b.store.View(b.ctx).Story(b.run)
			require.NoError(t, err)
			require.Len(t, story, 1, "the message that left is part of the story")
		},
	} {
		for _, d := range storetest.Dialects {
			t.Run(string(d)+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(t, setup(t, d))
			})
		}
	}
}

// An answer that comes between a message's call and its record is heard, not lost: the wait was armed with the first commit.
func TestAnswerFasterThanTheCall(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open().Dialect())
		program, journey, err := b.fence.Catalog.Journey(b.ctx, 1, "stamp-card")
		require.NoError(t, err)
		require.NotNil(t, program)
		require.Equal(t, rules.KindCollect, journey.Plan.Nodes[journey.Plan.Start].Kind)
		b.decide(func(tx *store.Tx, r *punchcard.Run) error {
			c, err := tx.Customer(r.CustomerID)
			if err != nil {
				return err
			}
			run, err := fence.Begin(tx, program, journey, c, &punchcard.Run{
				Version: 1, EntryEvent: "order.placed", Entry: map[string]any{"order_id": "o", "total": 1.0},
			})
			if err == nil {
				b.run = run.ID
			}
			return err
		})
		require.Equal(t, 1, b.row().Issued, "the entry is counted, and each has something to do")

		stamp := rules.Effect{Node: "1/each/1", Step: 1, Heard: 1, Count: 1}
		_, err = b.fence.Do(b.ctx, b.run, stamp, b.act(rules.Result{Reply: fence.ReplyBegun}))
		require.NoError(t, err)
		b.decide(func(tx *store.Tx, r *punchcard.Run) error {
			c, err := tx.Customer(r.CustomerID)
			if err != nil {
				return err
			}
			for range 4 {
				if err := fence.Counted(tx, program, journey, c, r); err != nil {
					return err
				}
			}
			return tx.SaveRun(r)
		})
		require.Nil(t, b.row().Listener, "the card is full")
		require.Equal(t, 5, b.row().Issued)
		r, err := b.fence.Finish(b.ctx, b.run, stamp, b.act(rules.Result{Reply: rules.ReplyDone, Outcome: rules.OutcomeSent}))
		require.NoError(t, err)
		require.True(t, r.Armed)
		require.Nil(t, b.row().Listener, "finishing does not open a card that is full")
	})
}
