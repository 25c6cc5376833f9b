package simulate_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
)

// till is the coffee program with rewards that are used in parts and by a tap, and rules against misuse.
func till(t *testing.T, fraud string) fstest.MapFS {
	t.Helper()
	program := string(coffee()["program.yaml"].Data)
	program = replaced(t, program, "keywords:", fraud+"\nkeywords:\n  cancel: [CANCEL]")
	rewards := string(coffee()["rewards.yaml"].Data)
	return with(map[string]string{
		"program.yaml": program,
		"rewards.yaml": rewards + "\n  card: {kind: gift_card, title: A card, value: 20, codes: generated, valid_for: 30d, partial: true, captured_by: till}\n" +
			"  cake: {kind: offer, title: A cake, value: 3, valid_for: 30d, captured_by: tap}\n",
		"journeys/card.yaml": "journey: card\npurpose: service\nenter: [{on: cart.emptied}]\nsteps:\n  - reward: card\n    as: gift\n",
		"journeys/cake.yaml": "journey: cake\npurpose: service\nenter: [{on: cart.updated}]\nsteps:\n  - reward: cake\n    as: gift\n" +
			"  - say: A cake!\n    buttons: [{capture: gift, title: Use now}]\n",
	})
}

// rich gives a customer 400 points.
func (b *bundle) rich(phone string) {
	b.t.Helper()
	_, err := b.Dispatch.Adjust(b.ctx, b.customer(phone).ID, dispatch.Adjustment{Points: 400, By: "Mia", Reason: "A test"})
	require.NoError(b.t, err)
	require.NoError(b.t, b.Settle(b.ctx))
}

// taps has the customer tap a button of a message of ours.
func (b *bundle) taps(phone, id string) {
	b.t.Helper()
	b.webhook(phone, map[string]any{"type": "interactive", "interactive": map[string]any{
		"type": "button_reply", "button_reply": map[string]any{"id": id, "title": id},
	}})
}

// card gives a customer a gift card, and answers its code and grant.
func (b *bundle) card(phone string) (string, *punchcard.Grant) {
	b.t.Helper()
	b.event(phone, "cart.emptied", map[string]any{"cart_id": fmt.Sprint("c", b.seq)})
	grants, err := b.Store.View(b.ctx).Grants(b.customer(phone).ID, "", 1)
	require.NoError(b.t, err)
	code, err := b.Store.View(b.ctx).CodeOf(grants[0].ID)
	require.NoError(b.t, err)
	return code, &grants[0]
}

// Two hundred use a card of 20 at once, half of them each by a request that comes twice: it gives 20 and no more, and the same
// request gets the same answer.
func TestPartialCaptures(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), till(t, ""))
		code, g := b.card(anna)
		var used atomic.Int64
		var mu sync.Mutex
		answers := map[string]string{}
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				request := fmt.Sprintf("r%d", i%100)
				c, err := b.Dispatch.Capture(b.ctx, dispatch.Use{Code: code, Amount: 0.7, Request: request, Till: dispatch.Till{Device: "t1"}})
				if err != nil {
					if punchcard.CodeOf(err) != punchcard.CodeConflict {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if before := answers[request]; before == "" {
					used.Add(int64(c.Capture.Amount))
				} else if before != c.Capture.ID {
					t.Errorf("request %s was answered as %s and as %s", request, before, c.Capture.ID)
				}
				answers[request] = c.Capture.ID
			})
		}
		wg.Wait()
		require.Equal(t, int64(28*700), used.Load())
		now, err := b.Store.View(b.ctx).Grant(g.ID)
		require.NoError(t, err)
		require.Equal(t, punchcard.Amount(400), now.Left())
		_, err = b.Dispatch.Capture(b.ctx, dispatch.Use{Code: code, Amount: 0.5})
		require.Equal(t, "amount_too_large", punchcard.ReasonOf(err))
		last, err := b.Dispatch.Capture(b.ctx, dispatch.Use{Code: code})
		require.NoError(t, err)
		require.Equal(t, punchcard.GrantCaptured, last.Grant.Status)
		_, err = b.Dispatch.Capture(b.ctx, dispatch.Use{Code: code})
		require.Equal(t, "already_captured", punchcard.ReasonOf(err))

		back, err := b.Dispatch.ReverseCapture(b.ctx, last.Capture.ID, "Mia", "Wrong table", "")
		require.NoError(t, err)
		require.Equal(t, punchcard.Amount(400), back.Grant.Left())
		_, err = b.Dispatch.ReverseCapture(b.ctx, last.Capture.ID, "Mia", "Again", "")
		require.Equal(t, "already_reversed", punchcard.ReasonOf(err))
		again, err := b.Dispatch.Capture(b.ctx, dispatch.Use{Code: code})
		require.NoError(t, err)
		b.advance(25 * time.Hour)
		_, err = b.Dispatch.ReverseCapture(b.ctx, again.Capture.ID, "Mia", "Late", "")
		require.Equal(t, "too_late", punchcard.ReasonOf(err))
		all, err := b.Store.View(b.ctx).Captures(g.ID)
		require.NoError(t, err)
		var sum punchcard.Amount
		for _, c := range all {
			if c.Reverses != nil {
				sum -= c.Amount
			} else {
				sum += c.Amount
			}
		}
		require.Equal(t, punchcard.AmountOf(20), sum)
	})
}

func TestTapAndCancel(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), till(t, ""))
		b.join(anna)
		b.rich(anna)
		b.event(anna, "cart.updated", map[string]any{"cart_id": "c", "total": 1, "items": []any{}})
		require.Equal(t, []string{"text: A cake!"}, b.messages(anna))
		button := b.wa.sent[len(b.wa.sent)-1].Buttons.Buttons[0].ID
		b.taps(anna, button)
		require.Equal(t, []string{"text: Use A cake now? Do this at the counter: it can be used once."}, b.messages(anna))
		const bob = "+4520999999"
		b.taps(bob, button+"/yes")
		require.Equal(t, []string{"text: That cannot be used now: there is no such reward."}, b.messages(bob))
		b.taps(anna, button+"/no")
		require.Equal(t, []string{"text: A cake is still yours."}, b.messages(anna))
		b.taps(anna, button+"/yes")
		require.Equal(t, []string{"text: ✅ A cake\nUsed 2026-11-23 10:00. Show this to the staff."}, b.messages(anna))
		b.taps(anna, button+"/yes")
		require.Equal(t, []string{"text: That cannot be used now: it has been used."}, b.messages(anna))

		r, err := b.Dispatch.RequestRedemption(b.ctx, b.customer(anna).ID, "free-coffee", "")
		require.NoError(t, err)
		b.says(anna, "cancel")
		require.Equal(t, int64(400), b.points(anna).Available, "the wish was asked for and given up")
		r, err = b.Store.View(b.ctx).Redemption(r.ID)
		require.NoError(t, err)
		require.Equal(t, []any{punchcard.RedemptionReleased, "cancelled"}, []any{r.Status, r.Reason})
		r, err = b.Dispatch.RequestRedemption(b.ctx, b.customer(anna).ID, "free-coffee", "")
		require.NoError(t, err)
		require.NoError(t, b.Settle(b.ctx))
		require.Equal(t, int64(250), b.points(anna).Held)
		b.messages(anna)
		b.says(anna, "cancel")
		require.Equal(t, []string{"text: A free coffee is cancelled. You have 400 points."}, b.messages(anna))
		require.Equal(t, int64(0), b.points(anna).Held)
		outcomes := b.outcomes(anna)
		require.Equal(t, "redemption cancelled", outcomes[len(outcomes)-1])
		_, err = b.Dispatch.CancelRedemption(b.ctx, r.ID)
		require.Equal(t, punchcard.CodeConflict, punchcard.CodeOf(err))
	})
}

// Two hundred guess at once: as many as may are told that there is no such code, the others nothing, and neither is told of a code that there is.
func TestGuesses(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), till(t, "fraud: {guesses: {at_most: 7, within: 10m}, limits: [{of: captures, by: device, at_most: 2, within: 1h}]}"))
		code, _ := b.card(anna)
		asks := dispatch.Till{Caller: "key", Device: "t1"}
		var unknown, throttled atomic.Int64
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				_, err := b.Dispatch.LookUp(b.ctx, asks, fmt.Sprintf("GUESS%d", i))
				switch punchcard.CodeOf(err) {
				case punchcard.CodeNotFound:
					unknown.Add(1)
				case punchcard.CodeTooMany:
					throttled.Add(1)
				default:
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, []int64{7, 193}, []int64{unknown.Load(), throttled.Load()})
		_, err := b.Dispatch.Capture(b.ctx, dispatch.Use{Till: asks, Code: code})
		require.Equal(t, "code_guessing", punchcard.ReasonOf(err))
		alerts, err := b.Store.View(b.ctx).Alerts(false, "", 10)
		require.NoError(t, err)
		require.Equal(t, punchcard.AlertGuessing, alerts[0].Kind)
		b.advance(10 * time.Minute)
		for i, want := range []string{"", "", "velocity_device"} {
			_, err = b.Dispatch.Capture(b.ctx, dispatch.Use{Till: asks, Code: code, Amount: 1})
			require.Equal(t, want, punchcard.ReasonOf(err), i)
		}
		asks.Customer = punchcard.NewID(punchcard.PrefixCustomer)
		_, err = b.Dispatch.Capture(b.ctx, dispatch.Use{Till: asks, Code: code, Amount: 1})
		require.Equal(t, "customer_mismatch", punchcard.ReasonOf(err))
		reasons := map[string]int{}
		all, err := b.Store.View(b.ctx).Refusals("", "", "", 100)
		require.NoError(t, err)
		for _, r := range all {
			reasons[r.Reason]++
		}
		require.Equal(t, map[string]int{"unknown_code": 7, "code_guessing": 1, "velocity_device": 1, "customer_mismatch": 1}, reasons)
	})
}

// Two hundred at once want the last forty codes of a pool, half of them for one customer, each of a hundred wishes asked for twice: forty get one, each another, and
// the rest are told that there are none.
func TestPoolTogether(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), till(t, ""))
		const wishes, stock = 100, 40
		customers := make([]string, wishes)
		require.NoError(t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
			codes := make([]string, stock-3) // with those that are there
			for i := range codes {
				codes[i] = fmt.Sprintf("LAST%02d", i)
			}
			if _, err := tx.PoolCodes("free-coffee", codes); err != nil {
				return err
			}
			for i := range customers {
				if i%2 == 1 {
					customers[i] = customers[0]
					continue
				}
				c, err := tx.Enroll([]punchcard.Identity{{Kind: punchcard.IdentityExternal, Value: fmt.Sprint(i)}}, punchcard.Customer{})
				if err != nil {
					return err
				}
				customers[i] = c.ID
			}
			return nil
		}))
		var mu sync.Mutex
		grants := map[string]string{} // by the request
		none := map[string]bool{}
		var wg sync.WaitGroup
		for i := range 2 * wishes {
			wg.Go(func() {
				request := fmt.Sprint("r", i%wishes)
				g, err := b.Dispatch.GiveReward(b.ctx, dispatch.Given{Customer: customers[i%wishes], Reward: "free-coffee", By: "Mia", Note: "A test", Request: request})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case punchcard.ReasonOf(err) == "out_of_codes":
					none[request] = true
				case err != nil:
					t.Error(err)
				case grants[request] != "" && grants[request] != g.ID:
					t.Errorf("%s was given %s and %s", request, grants[request], g.ID)
				default:
					grants[request] = g.ID
				}
			})
		}
		wg.Wait()
		require.Len(t, grants, stock)
		codes := map[string]bool{}
		for request, id := range grants {
			require.False(t, none[request], "a request is answered the same")
			code, err := b.Store.View(b.ctx).CodeOf(id)
			require.NoError(t, err)
			codes[code] = true
		}
		require.Len(t, codes, stock, "each another")
		free, err := b.Store.View(b.ctx).FreeCodes("free-coffee")
		require.NoError(t, err)
		require.Zero(t, free)
	})
}
