package simulate_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/activities"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// What WhatsApp answers decides whether a message is tried again, given up, or left to webhooks to settle.
func TestWhatsAppAnswers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		for name, c := range map[string]struct {
			err  error
			want []string // the messages at once
			wait time.Duration
			then []string // and after the wait
			run  string
		}{
			"refused before processing": {
				&whatsapp.Error{Code: 130429, Class: whatsapp.Retry},
				[]string{"opt_in_request (deferred, whatsapp_130429)"}, 10 * time.Second,
				[]string{"opt_in_request"}, "opt-in live at 1/answer ",
			},
			"not now": {
				&whatsapp.Error{Code: 133015, Class: whatsapp.Defer, RetryAfter: 5 * time.Minute},
				[]string{"opt_in_request (deferred, whatsapp_133015)"}, 6 * time.Minute,
				[]string{"opt_in_request"}, "opt-in live at 1/answer ",
			},
			"the answer never came": {
				&whatsapp.Error{Code: whatsapp.CodeNone, Class: whatsapp.Ambiguous},
				[]string{"opt_in_request (unknown, whatsapp)"}, time.Hour,
				[]string{"opt_in_request (unknown, whatsapp)"}, "opt-in live at 1/answer ",
			},
			"nobody there": {
				&whatsapp.Error{Code: 131026, Class: whatsapp.Recipient},
				[]string{"opt_in_request (failed, whatsapp_131026)"}, time.Hour,
				[]string{"opt_in_request (failed, whatsapp_131026)"}, "opt-in unreachable",
			},
			"the template is not approved": {
				&whatsapp.Error{Code: 132001, Class: whatsapp.Template},
				[]string{"opt_in_request (deferred, whatsapp_132001)"}, time.Hour,
				[]string{"opt_in_request (deferred, whatsapp_132001)"}, "opt-in stuck at 1 whatsapp_132001",
			},
			"the token has expired": {
				&whatsapp.Error{Code: 190, Class: whatsapp.Sender},
				[]string{"opt_in_request (deferred, circuit_open)"}, time.Hour,
				[]string{"opt_in_request (deferred, circuit_open)"}, "opt-in held at 1 circuit_open",
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t, fresh(t), coffee())
				b.wa.fail = []error{c.err}
				b.event(anna, "registration.received", map[string]any{"source": "web"})
				require.Equal(t, c.want, b.messages(anna))
				b.advance(c.wait)
				b.last = map[string]int{}
				require.Equal(t, c.then, b.messages(anna))
				require.Equal(t, []string{c.run}, b.outcomes(anna))
				if len(b.wa.sent) == 1 {
					return
				}
				runs, err := b.Store.View(b.ctx).Runs(b.customer(anna).ID, "", 1)
				require.NoError(t, err)
				err = b.Dispatch.Retry(b.ctx, runs[0].ID)
				if runs[0].Status != punchcard.RunStuck {
					require.Equal(t, punchcard.CodeConflict, punchcard.CodeOf(err))
					return
				}
				require.NoError(t, err)
				require.NoError(t, b.Settle(b.ctx))
				b.last = map[string]int{}
				require.Equal(t, []string{"opt_in_request"}, b.messages(anna), "somebody mended it, and it goes on where it was")
			})
		}
	})
}

// A process that dies between committing a message and hearing WhatsApp's answer leaves it unknown: it is never sent again.
func TestInterruptedSend(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.wa.fail = []error{&whatsapp.Error{Code: 132001, Class: whatsapp.Template}}
		b.event(anna, "registration.received", map[string]any{"source": "web"})
		runs, err := b.Store.View(b.ctx).Runs(b.customer(anna).ID, "", 1)
		require.NoError(t, err)

		acts := &activities.Activities{Fence: b.Fence, Sender: dies{}, Log: quiet}
		in := activities.Input{Run: runs[0].ID, Effect: rules.Effect{Node: "1", Step: 1}}
		require.Panics(t, func() { _, _ = acts.Ask(b.ctx, in) })
		b.last = map[string]int{}
		require.Equal(t, []string{"opt_in_request (sending, )"}, b.messages(anna))

		acts.Sender = b.wa
		r, err := acts.Ask(b.ctx, in)
		require.NoError(t, err)
		require.Equal(t, rules.OutcomeSent, r.Outcome)
		require.Equal(t, "unknown", r.Code)
		require.Empty(t, b.wa.sent, "it may have gone out, so it is not sent again")
		b.last = map[string]int{}
		require.Equal(t, []string{"opt_in_request (unknown, interrupted)"}, b.messages(anna))
	})
}

// dies is a process's end in the middle of a call.
type dies struct{}

func (dies) Send(context.Context, whatsapp.Message) (whatsapp.Accepted, error) { panic("killed") }

// An effect that panics or breaks a rule of the database makes its run stuck, with nothing half done, and can be retried.
func TestStuck(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.event(anna, "registration.received", map[string]any{"source": "web"})
		runs, err := b.Store.View(b.ctx).Runs(b.customer(anna).ID, "", 1)
		require.NoError(t, err)
		acts := &activities.Activities{Fence: b.Fence, Sender: b.wa, Log: quiet}
		r, err := acts.Choose(b.ctx, activities.Input{Run: runs[0].ID, Effect: rules.Effect{Node: "no such step", Step: 9}})
		require.NoError(t, err)
		require.Equal(t, rules.Result{Reply: rules.ReplyStuck, Code: activities.CodeFault}, r)
		require.Equal(t, []string{"opt-in stuck at 1/answer fault"}, b.outcomes(anna))
	})
}

// Pausing a journey holds its runs and those that start, and resuming drops none.
func TestPause(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		require.NoError(t, b.Dispatch.Pause(b.ctx, "opt-in", "the wording is wrong"))
		b.event(anna, "registration.received", map[string]any{"source": "web"})
		b.advance(time.Hour)
		require.Empty(t, b.wa.sent)
		require.Equal(t, []string{"opt-in held at 1 paused"}, b.outcomes(anna))
		n, err := b.Dispatch.Resume(b.ctx, "opt-in")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.NoError(t, b.Settle(b.ctx))
		require.Equal(t, []string{"opt_in_request"}, b.messages(anna))

		require.Equal(t, punchcard.CodeNotFound, punchcard.CodeOf(b.Dispatch.Pause(b.ctx, "opt-on", "")))
	})
}

// A circle of journeys ends: the event at the end of a long chain is parked with the reason, and the customer's next one goes on.
func TestCircleIsParked(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.event(anna, "review.posted", map[string]any{"review_id": "f"})
		c := b.customer(anna)
		require.NoError(t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
			_, err := tx.AddEvent(&punchcard.Event{
				ID: "deep", CustomerID: c.ID, Name: "review.posted", Properties: map[string]any{"review_id": "g"},
				OccurredAt: tx.Now, Depth: punchcard.MaxEventDepth + 1,
			})
			return err
		}))
		require.NoError(t, b.Settle(b.ctx))
		parked, err := b.Store.View(b.ctx).ParkedEvents(0, 10)
		require.NoError(t, err)
		require.Len(t, parked, 1)
		require.Contains(t, parked[0].Error, "circle")
		b.event(anna, "review.posted", map[string]any{"review_id": "h"})
		require.Equal(t, int64(400), b.points(anna).Available)
	})
}

// Statuses move a message forward whatever order they come in, and a webhook that comes twice does nothing the second time.
func TestStatuses(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.event(anna, "registration.received", map[string]any{"source": "web"})
		all, err := b.Store.View(b.ctx).Messages(b.customer(anna).ID, "", 10)
		require.NoError(t, err)
		m := all[0]
		status := func(s string) punchcard.MessageStatus {
			b.status(*m.Wamid, m.ID, s)
			now, err := b.Store.View(b.ctx).Message(m.ID)
			require.NoError(t, err)
			return now.Status
		}
		require.Equal(t, punchcard.MessageDelivered, status("delivered"))
		require.Equal(t, punchcard.MessageDelivered, status("sent"))
		require.Equal(t, punchcard.MessageDelivered, status("failed"))
		require.Equal(t, punchcard.MessageRead, status("read"))
		require.Equal(t, punchcard.MessageRead, status("delivered"))
		require.Equal(t, punchcard.MessageRead, status("a status of next year"))
	})
}
