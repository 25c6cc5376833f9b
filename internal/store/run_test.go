package store_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

func TestRun(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		r := &punchcard.Run{
			ID: punchcard.NewID(punchcard.PrefixRun), Journey: "abandoned-cart", Version: 3, CustomerID: c.ID, Key: "cart-1",
			EventID: "evt", Entry: map[string]any{"total": 12.5, "items": []any{}}, EntryEvent: "cart.updated", Node: "n1", Depth: 2,
		}
		h.do(func(tx *store.Tx) error {
			fresh, err := tx.AddRun(r)
			require.True(h.t, fresh)
			return err
		})
		read := func() *punchcard.Run {
			have, err := h.view().Run(r.ID)
			require.NoError(h.t, err)
			return have
		}
		require.Equal(h.t, r, read())
		require.Nil(h.t, read().Listener)
		require.True(h.t, scalar[bool](h, "SELECT listener IS NULL FROM runs"), "no listener is NULL and not the word null")
		require.Equal(h.t, monday, r.StartedAt)

		// All that a run may gain is kept, and written away again when it is empty.
		full := *r
		full.Listener = &punchcard.Listener{
			Node: "n2", Scope: "s", Since: monday, Deadline: monday.Add(time.Hour), Used: map[string]int{"other": 1}, Count: 2, MessageID: "m",
		}
		full.Bound = map[string]punchcard.Ref{"offer": {Kind: punchcard.RefGrant, ID: "grt_1", Reward: "free-coffee"}}
		full.Issued, full.Step, full.Node, full.Status, full.Reason = 4, 5, "n2", punchcard.RunStuck, "template_rejected"
		full.Goal, full.Value = true, 1.25
		h.clock.Advance(time.Minute)
		h.do(func(tx *store.Tx) error { return tx.SaveRun(&full) })
		require.Equal(h.t, monday.Add(time.Minute), full.UpdatedAt)
		require.Equal(h.t, &full, read())
		back := *r
		h.do(func(tx *store.Tx) error { return tx.SaveRun(&back) })
		require.Equal(h.t, &back, read())

		none, err := h.view().Run("run_none")
		require.NoError(h.t, err)
		require.Nil(h.t, none)
		err = h.try(func(tx *store.Tx) error {
			_, err := tx.LockRun("run_none")
			return err
		})
		require.Equal(h.t, punchcard.CodeNotFound, punchcard.CodeOf(err))

		require.Error(h.t, h.exec("UPDATE runs SET status = 'ended', outcome = 'x'"), "ended at no time")
		require.Error(h.t, h.exec("UPDATE runs SET status = 'ended', ended_at = started_at"), "ended with no outcome")
		require.Error(h.t, h.exec("UPDATE runs SET outcome = 'x'"), "an outcome of a live run")
		require.Error(h.t, h.exec("UPDATE runs SET status = 'lost'"))
		require.Error(h.t, h.exec("UPDATE runs SET issued = -1"))
		require.Error(h.t, h.exec("UPDATE runs SET customer_id = 'cus_nobody'"))
	})
}

func (h *house) end(r *punchcard.Run, outcome string) {
	h.t.Helper()
	r.Status, r.Outcome, r.EndedAt = punchcard.RunEnded, outcome, new(h.clock.Now())
	h.do(func(tx *store.Tx) error { return tx.SaveRun(r) })
}

func TestOneLiveRun(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c, other := h.customer("1"), h.customer("2")
		add := func(tx *store.Tx) (bool, error) {
			return tx.AddRun(&punchcard.Run{ID: punchcard.NewID(punchcard.PrefixRun), Journey: "cart", Version: 1, CustomerID: c.ID, Key: ""})
		}
		var mu sync.Mutex
		fresh := 0
		noErrors(h.t, together(20, func(int) error {
			return h.try(func(tx *store.Tx) error {
				is, err := add(tx)
				mu.Lock()
				defer mu.Unlock()
				if is {
					fresh++
				}
				return err
			})
		}))
		require.Equal(h.t, 1, fresh)
		h.run(other.ID, "cart", "")
		h.run(c.ID, "cart", "another")
		h.run(c.ID, "other", "")

		none, err := h.view().LastEnd("cart", c.ID, "")
		require.NoError(h.t, err)
		require.Nil(h.t, none)
		var open []*punchcard.Run
		h.do(func(tx *store.Tx) (err error) {
			open, err = tx.OpenRuns(c.ID)
			return err
		})
		require.Len(h.t, open, 3)
		require.Empty(h.t, open[0].Key)
		h.clock.Advance(time.Hour)
		h.end(open[0], "lost")
		ended, err := h.view().LastEnd("cart", c.ID, "")
		require.NoError(h.t, err)
		require.Equal(h.t, new(monday.Add(time.Hour)), ended)

		// One that is held or stuck is live as well; one that has ended is not.
		again := h.run(c.ID, "cart", "")
		for _, status := range []punchcard.RunStatus{punchcard.RunHeld, punchcard.RunStuck} {
			again.Status = status
			h.do(func(tx *store.Tx) error { return tx.SaveRun(again) })
			h.do(func(tx *store.Tx) error {
				fresh, err := add(tx)
				require.False(h.t, fresh)
				return err
			})
		}
		h.clock.Advance(time.Hour)
		h.end(again, "lost")
		ended, err = h.view().LastEnd("cart", c.ID, "")
		require.NoError(h.t, err)
		require.Equal(h.t, new(monday.Add(2*time.Hour)), ended)
	})
}

func TestLists(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c, other := h.customer("1"), h.customer("2")
		var ids []string
		for i := range 5 {
			r := h.run(c.ID, "cart", fmt.Sprint(i))
			ids = append([]string{r.ID}, ids...)
			if i%2 == 0 {
				r.Status = punchcard.RunHeld
				h.do(func(tx *store.Tx) error { return tx.SaveRun(r) })
			}
		}
		h.run(other.ID, "cart", "")
		var paged []string
		for before := ""; ; {
			page, err := h.view().Runs(c.ID, before, 2)
			require.NoError(h.t, err)
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				paged = append(paged, r.ID)
			}
			before = page[len(page)-1].ID
		}
		require.Equal(h.t, ids, paged, "newest first")

		held, err := h.view().HeldRuns("cart")
		require.NoError(h.t, err)
		require.Len(h.t, held, 3)
		require.Equal(h.t, []string{ids[4], ids[2], ids[0]}, []string{held[0].ID, held[1].ID, held[2].ID})
		held, err = h.view().HeldRuns("other")
		require.NoError(h.t, err)
		require.Empty(h.t, held)

		reply := &punchcard.Run{ID: punchcard.NewID(punchcard.PrefixRun), Journey: punchcard.BuiltinReply, CustomerID: c.ID, Key: "wamid", EntryEvent: "points"}
		h.do(func(tx *store.Tx) error {
			_, err := tx.AddRun(reply)
			return err
		})
		for since, want := range map[time.Time]int64{monday.Add(-time.Second): 1, monday: 0} {
			n, err := h.view().CountReplies(c.ID, "points", since)
			require.NoError(h.t, err)
			require.Equal(h.t, want, n)
		}
	})
}

func TestSteps(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		r := h.run(h.customer("1").ID, "cart", "")
		none, err := h.view().Step(r.ID, 1)
		require.NoError(h.t, err)
		require.Nil(h.t, none)
		for _, n := range []int{2, 1} {
			h.do(func(tx *store.Tx) error {
				return tx.AddStep(&punchcard.RunStep{RunID: r.ID, Step: n, Node: "n", Label: "send", Outcome: "sent", Code: "ok", Result: []byte(`{"outcome": "sent"}`)})
			})
		}
		step, err := h.view().Step(r.ID, 2)
		require.NoError(h.t, err)
		require.JSONEq(h.t, `{"outcome":"sent"}`, string(step.Result))
		step.Result = nil
		require.Equal(h.t, &punchcard.RunStep{RunID: r.ID, Step: 2, Node: "n", Label: "send", Outcome: "sent", Code: "ok", At: monday}, step)
		story, err := h.view().Story(r.ID)
		require.NoError(h.t, err)
		require.Len(h.t, story, 2)
		require.Equal(h.t, 1, story[0].Step)

		err = h.try(func(tx *store.Tx) error {
			return tx.AddStep(&punchcard.RunStep{RunID: r.ID, Step: 2, Result: []byte(`{}`)})
		})
		require.True(h.t, store.IsDuplicate(err), "an effect is recorded once: %v", err)
	})
}

func TestWaitingEntries(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		keep := func(key, event string) *punchcard.WaitingEntry {
			e := &punchcard.WaitingEntry{Journey: "card", CustomerID: c.ID, Key: key, EventID: event, EntryEvent: "order.placed", Entry: map[string]any{"n": 1.0}}
			h.do(func(tx *store.Tx) error { return tx.KeepWaiting(e) })
			return e
		}
		keep("", "a")
		other := keep("k", "c")
		h.clock.Advance(time.Second)
		later := keep("", "b")
		have, err := h.view().Waiting("card", c.ID, "")
		require.NoError(h.t, err)
		require.Equal(h.t, later, have, "the later takes the earlier's place")

		h.do(func(tx *store.Tx) error { return tx.TakeWaiting(have) })
		have, err = h.view().Waiting("card", c.ID, "")
		require.NoError(h.t, err)
		require.Nil(h.t, have)
		have, err = h.view().Waiting("card", c.ID, "k")
		require.NoError(h.t, err)
		require.Equal(h.t, other, have, "an empty key is a key and not any key")
	})
}

func (h *house) queue(run string, number int, signal json.RawMessage) {
	h.t.Helper()
	h.do(func(tx *store.Tx) error { return tx.Queue(run, number, signal) })
}

func (h *house) deliveries(by string, limit int, lease time.Duration) []store.Delivery {
	h.t.Helper()
	var rows []store.Delivery
	h.do(func(tx *store.Tx) (err error) {
		rows, err = tx.ClaimDeliveries(by, limit, lease)
		return err
	})
	return rows
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		a, b := h.run(c.ID, "cart", "a"), h.run(c.ID, "cart", "b")
		h.queue(a.ID, 0, nil)
		h.queue(a.ID, 1, json.RawMessage(`{"number": 1}`))
		h.queue(b.ID, 0, nil)
		depth, err := h.view().OutboxDepth()
		require.NoError(h.t, err)
		require.EqualValues(h.t, 3, depth)

		rows := h.deliveries("w1", 10, time.Minute)
		require.Len(h.t, rows, 2, "one a run")
		require.Equal(h.t, []string{a.ID, b.ID}, []string{rows[0].RunID, rows[1].RunID})
		require.Zero(h.t, rows[0].Number)
		require.Nil(h.t, rows[0].Signal)
		require.Empty(h.t, h.deliveries("w2", 10, time.Minute), "the signal waits for the start, which is claimed")

		// A delivery that failed is due after its pause, and what comes after it waits too.
		h.do(func(tx *store.Tx) error { return tx.Undelivered(rows[0].Seq, "no \x00 connection", time.Hour) })
		require.Empty(h.t, h.deliveries("w2", 10, time.Minute))
		h.do(func(tx *store.Tx) error { return tx.Undelivered(rows[0].Seq, "no connection", -time.Second) })
		again := h.deliveries("w2", 10, -time.Second)
		require.Len(h.t, again, 1)
		require.Equal(h.t, rows[0].Seq, again[0].Seq)
		require.Equal(h.t, 2, again[0].Attempts)
		require.Equal(h.t, "no connection", again[0].Error)
		require.Len(h.t, h.deliveries("w3", 10, time.Minute), 1, "the lease was over")

		h.do(func(tx *store.Tx) error { return tx.Delivered(rows[0].Seq) })
		next := h.deliveries("w1", 10, time.Minute)
		require.Len(h.t, next, 1)
		require.Equal(h.t, 1, next[0].Number)
		require.JSONEq(h.t, `{"number":1}`, string(next[0].Signal))

		h.queue(a.ID, 2, json.RawMessage(`{}`))
		h.do(func(tx *store.Tx) error { return tx.DropDeliveries(a.ID) })
		depth, err = h.view().OutboxDepth()
		require.NoError(h.t, err)
		require.EqualValues(h.t, 1, depth)

		err = h.try(func(tx *store.Tx) error { return tx.Queue(b.ID, 0, nil) })
		require.True(h.t, store.IsDuplicate(err), "a run is told each number once: %v", err)
	})
}

// Deliveries that fail again and again do not keep those behind them waiting, although a claim takes only so many.
func TestDeliveriesGoRound(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		var all []string
		for i := range 3 {
			r := h.run(c.ID, "cart", fmt.Sprint(i))
			h.queue(r.ID, 0, nil)
			h.queue(r.ID, 1, nil)
			all = append(all, r.ID)
		}
		var tried []string
		for range 6 {
			for _, d := range h.deliveries("w", 1, time.Minute) {
				require.Zero(h.t, d.Number)
				tried = append(tried, d.RunID)
				h.do(func(tx *store.Tx) error { return tx.Undelivered(d.Seq, "never", 0) })
			}
		}
		require.Equal(h.t, slices.Concat(all, all), tried)
	})
}

// Workers that claim side by side never have the same delivery, and a run's come in their order.
func TestDeliveriesAreFirstInFirstOut(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		const runs, signals = 8, 6
		c := h.customer("1")
		for i := range runs {
			r := h.run(c.ID, "cart", fmt.Sprint(i))
			for n := range signals {
				h.queue(r.ID, n, nil)
			}
		}
		met := h.meet(4)
		heads := make([][]store.Delivery, 4)
		noErrors(h.t, together(len(heads), func(i int) error {
			return h.try(func(tx *store.Tx) (err error) {
				if heads[i], err = tx.ClaimDeliveries("w", 2, -time.Second); err != nil { // a lease that is over at once
					return err
				}
				return met()
			})
		}))
		if h.Dialect() == store.Postgres {
			first := map[string]bool{}
			for _, d := range slices.Concat(heads...) {
				require.Zero(h.t, d.Number)
				first[d.RunID] = true
			}
			require.Len(h.t, first, runs, "each run's first delivery went to one worker")
		}

		var mu sync.Mutex
		told := map[string][]int{}
		total := 0
		noErrors(h.t, together(6, func(i int) error {
			by := fmt.Sprint("w", i)
			for {
				var rows []store.Delivery
				if err := h.try(func(tx *store.Tx) (err error) {
					rows, err = tx.ClaimDeliveries(by, 3, time.Hour)
					return err
				}); err != nil {
					return err
				}
				for _, d := range rows {
					mu.Lock()
					told[d.RunID] = append(told[d.RunID], d.Number)
					total++
					mu.Unlock()
					if err := h.try(func(tx *store.Tx) error { return tx.Delivered(d.Seq) }); err != nil {
						return err
					}
				}
				mu.Lock()
				over := total >= runs*signals
				mu.Unlock()
				if over {
					return nil
				}
			}
		}))
		require.Len(h.t, told, runs)
		for run, numbers := range told {
			require.Equal(h.t, []int{0, 1, 2, 3, 4, 5}, numbers, run)
		}
	})
}

func TestApprovals(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		r := h.run(c.ID, "redemption", "")
		add := func(step int) *punchcard.Approval {
			a := &punchcard.Approval{ID: punchcard.NewID(punchcard.PrefixApproval), RunID: r.ID, Step: step, CustomerID: c.ID, Title: "A coffee?"}
			h.do(func(tx *store.Tx) error { return tx.AddApproval(a) })
			return a
		}
		a, b, last := add(1), add(2), add(3)
		have, err := h.view().Approval(a.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, a, have)
		none, err := h.view().Approval("apr_none")
		require.NoError(h.t, err)
		require.Nil(h.t, none)

		a.Status, a.By, a.Note, a.DecidedAt = punchcard.ApprovalApproved, "Kim", "fine", new(monday.Add(time.Minute))
		h.do(func(tx *store.Tx) error { return tx.SaveApproval(a) })
		pending, err := h.view().Approvals(punchcard.ApprovalPending, "", 10)
		require.NoError(h.t, err)
		require.Equal(h.t, []punchcard.Approval{*b, *last}, pending)
		pending, err = h.view().Approvals(punchcard.ApprovalPending, b.ID, 10)
		require.NoError(h.t, err)
		require.Equal(h.t, []punchcard.Approval{*last}, pending)
		all, err := h.view().Approvals("", "", 2)
		require.NoError(h.t, err)
		require.Equal(h.t, []punchcard.Approval{*a, *b}, all)

		h.clock.Advance(time.Hour)
		h.do(func(tx *store.Tx) error { return tx.LapseApprovals(r.ID) })
		all, err = h.view().Approvals("", "", 10)
		require.NoError(h.t, err)
		b.Status, b.DecidedAt = punchcard.ApprovalLapsed, new(monday.Add(time.Hour))
		last.Status, last.DecidedAt = b.Status, b.DecidedAt
		require.Equal(h.t, []punchcard.Approval{*a, *b, *last}, all)

		require.Error(h.t, h.exec("UPDATE approvals SET decided_at = NULL"), "decided at no time")
		err = h.try(func(tx *store.Tx) error {
			return tx.AddApproval(&punchcard.Approval{ID: "apr_x", RunID: r.ID, Step: 3, CustomerID: c.ID})
		})
		require.True(h.t, store.IsDuplicate(err), "an effect asks once: %v", err)
	})
}

func TestOfRequest(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		h.run(c.ID, "cart", "without a request")
		r := &punchcard.Run{ID: punchcard.NewID(punchcard.PrefixRun), Journey: "cart", CustomerID: c.ID, Request: "hash"}
		wish := &punchcard.Redemption{ID: punchcard.NewID(punchcard.PrefixRedemption), CustomerID: c.ID, Reward: "free-coffee", Request: "hash"}
		h.do(func(tx *store.Tx) error {
			if _, err := tx.AddRun(r); err != nil {
				return err
			}
			return tx.AddRedemption(wish)
		})
		for request, there := range map[string]bool{"hash": true, "other": false, "": false} {
			run, err := h.view().RunOfRequest(request)
			require.NoError(h.t, err)
			require.Equal(h.t, there, run != nil, request)
			redemption, err := h.view().RedemptionOfRequest(request)
			require.NoError(h.t, err)
			require.Equal(h.t, there, redemption != nil, request)
		}
		h.do(func(tx *store.Tx) error {
			fresh, err := tx.AddRun(&punchcard.Run{ID: punchcard.NewID(punchcard.PrefixRun), Journey: "other", CustomerID: c.ID, Request: "hash"})
			require.False(h.t, fresh, "a request starts one run")
			return err
		})
		err := h.try(func(tx *store.Tx) error {
			return tx.AddRedemption(&punchcard.Redemption{ID: "rdm_2", CustomerID: c.ID, Reward: "free-coffee", Request: "hash"})
		})
		require.True(h.t, store.IsDuplicate(err), "%v", err)
	})
}

func TestClaimsAreReleasedAndHurried(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		h.event(c.ID, "a", "order.placed")
		r := h.run(c.ID, "cart", "")
		h.queue(r.ID, 0, nil)
		inbox := func() (items []store.InboxItem) {
			h.do(func(tx *store.Tx) (err error) {
				items, err = tx.ClaimInbox(10, time.Hour)
				return err
			})
			return items
		}
		h.do(func(tx *store.Tx) error { return tx.AddInbox([]byte("{}")) })
		for range 2 {
			require.Len(h.t, h.claim("d", 10, time.Hour), 1)
			require.Len(h.t, h.deliveries("w", 10, time.Hour), 1)
			require.Len(h.t, inbox(), 1)
			h.do(func(tx *store.Tx) error { return tx.HurryDeliveries() })
			require.Empty(h.t, h.deliveries("w", 10, time.Hour), "what is claimed is under way")
			h.do(func(tx *store.Tx) error { return tx.ReleaseClaims() })
		}
		d := h.deliveries("w", 10, time.Hour)[0]
		h.do(func(tx *store.Tx) error { return tx.Undelivered(d.Seq, "down", time.Hour) })
		require.Empty(h.t, h.deliveries("w", 10, time.Hour))
		h.do(func(tx *store.Tx) error { return tx.HurryDeliveries() })
		require.Len(h.t, h.deliveries("w", 10, time.Hour), 1)

		before := h.Statements()
		_, err := h.view().Run(r.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, before+1, h.Statements())
	})
}
