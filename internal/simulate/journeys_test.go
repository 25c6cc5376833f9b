package simulate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
)

const anna = "+4520123456"

func TestOptIn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		t.Run("yes", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.event(anna, "registration.received", map[string]any{"source": "web"})
			require.Equal(t, []string{"opt_in_request"}, b.messages(anna))
			b.says(anna, " Ja! ")
			require.Equal(t, []string{"opt_in_welcome"}, b.messages(anna))
			require.Equal(t, []string{"opt-in subscribed"}, b.outcomes(anna))

			log, err := b.Store.View(b.ctx).Consents(b.customer(anna).ID, 0, 100)
			require.NoError(t, err)
			require.Len(t, log, 6)
			granted := log[3]
			require.Equal(t, punchcard.StandingGranted, granted.Standing)
			require.Contains(t, granted.Wording, "Bean & Bloom would like to send you offers")
			require.Equal(t, "en", granted.WordingLanguage)
			require.Contains(t, granted.WordingVersion, "opt_in_request_")
			require.Equal(t, "wamid.in.2", granted.ReplyID)
			require.NotEmpty(t, granted.MessageID)

			grants, err := b.Store.View(b.ctx).Grants(b.customer(anna).ID, "", 10)
			require.NoError(t, err)
			require.Len(t, grants, 1)
			code := b.code(anna)
			require.Len(t, code, 10)
			require.Contains(t, b.wa.sent[1].Template.Body, code)
			require.Equal(t, punchcard.MaskCode(code), grants[0].Code)
			kept, err := b.Store.View(b.ctx).Messages(b.customer(anna).ID, "", 1)
			require.NoError(t, err)
			require.Contains(t, kept[0].Text, punchcard.MaskCode(code), "what is kept of a message shows no code")
			require.NotContains(t, kept[0].Text, code)
			require.Contains(t, b.wa.sent[1].Template.Body, "23 December 2026")

			// The code is used by the order that carries it.
			b.event(anna, "order.placed", map[string]any{"order_id": "o1", "total": 20, "coupon": code})
			used, err := b.Store.View(b.ctx).Grant(grants[0].ID)
			require.NoError(t, err)
			require.Equal(t, punchcard.GrantCaptured, used.Status)
		})
		t.Run("again after a stop", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.join(anna)
			b.says(anna, "stop")
			b.says(anna, "join")
			b.messages(anna)
			b.says(anna, "yes")
			require.Equal(t, []string{"text: Welcome back! Send POINTS to see your balance, REDEEM to use it, STOP to leave."}, b.messages(anna))
			require.Equal(t, []string{"opt-in subscribed", "opt-in subscribed"}, b.outcomes(anna))
			grants, err := b.Store.View(b.ctx).Grants(b.customer(anna).ID, "", 10)
			require.NoError(t, err)
			require.Len(t, grants, 1, "the code is given once")
		})
		t.Run("in Danish", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.language = "da"
			b.event(anna, "registration.received", map[string]any{"source": "web"})
			b.says(anna, "ja")
			require.Equal(t, "da", b.wa.sent[1].Template.Language)
			require.Contains(t, b.wa.sent[1].Template.Body, "23. december 2026")
			b.says(anna, "points")
			require.Equal(t, "Du har 0 point.", b.wa.sent[2].Text.Body)
		})
		t.Run("silence", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.event(anna, "registration.received", map[string]any{"source": "web"})
			b.advance(23 * time.Hour)
			require.Equal(t, []string{"opt_in_request"}, b.messages(anna))
			b.advance(2 * time.Hour)
			require.Equal(t, []string{"opt_in_reminder"}, b.messages(anna))
			b.advance(22 * time.Hour)
			require.Equal(t, []string{"opt-in live at 1/answer2 "}, b.outcomes(anna))
			b.advance(2 * time.Hour)
			require.Equal(t, []string{"opt-in unconfirmed"}, b.outcomes(anna))
			b.event(anna, "registration.received", map[string]any{"source": "web"})
			require.Empty(t, b.messages(anna), "silence is respected for ask_again_after")
			b.says(anna, "join")
			require.Equal(t, []string{"opt_in_request"}, b.messages(anna), "but the customer may begin again")
		})
		t.Run("the reminder's button", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.event(anna, "registration.received", map[string]any{"source": "web"})
			b.advance(25 * time.Hour)
			b.presses(anna, "yes", 2)
			require.Equal(t, []string{"opt-in subscribed"}, b.outcomes(anna))
		})
		t.Run("unclear, then yes", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.event(anna, "registration.received", map[string]any{"source": "web"})
			b.says(anna, "what is this?")
			require.Equal(t, []string{"opt_in_request", "text: Please reply YES or NO."}, b.messages(anna))
			b.says(anna, "still unclear")
			require.Equal(t, []string{"text: Thanks! A person will answer soon."}, b.messages(anna))
			b.says(anna, "still unclear?")
			require.Empty(t, b.messages(anna), "the fallback does not talk to itself")
			b.says(anna, "👍🏽")
			require.Equal(t, []string{"opt_in_welcome"}, b.messages(anna))
			require.Equal(t, []string{"opt-in subscribed"}, b.outcomes(anna))
		})
		t.Run("no", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.event(anna, "registration.received", map[string]any{"source": "web"})
			b.presses(anna, "no", 1)
			require.Equal(t, []string{"opt_in_request", "text: No problem, we will not ask again."}, b.messages(anna))
			require.Equal(t, []string{"opt-in declined"}, b.outcomes(anna))
		})
		t.Run("join while it is open counts as yes", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.event(anna, "registration.received", map[string]any{"source": "web"})
			b.says(anna, "JOIN")
			require.Equal(t, []string{"opt-in subscribed"}, b.outcomes(anna))
		})
	})
}

func TestStop(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.join(anna)
		b.event(anna, "cart.updated", map[string]any{"cart_id": "c1", "total": 120, "items": []any{}})
		b.event(anna, "order.placed", map[string]any{"order_id": "o1", "total": 20})
		require.ElementsMatch(t, []string{"stamp", "milestone_thanks"}, b.messages(anna))
		b.says(anna, "Stop.")
		require.ElementsMatch(t, []string{"opt-in subscribed", "abandoned-cart opted_out", "stamp-card opted_out", "milestone completed"}, b.outcomes(anna))
		require.Equal(t, []string{"text: You will get no more messages from Bean & Bloom. Write JOIN if you change your mind."}, b.messages(anna))
		b.says(anna, "STOP")
		require.Empty(t, b.messages(anna), "it is confirmed once")
		b.event(anna, "cart.updated", map[string]any{"cart_id": "c2", "total": 120, "items": []any{}})
		b.event(anna, "registration.received", map[string]any{"source": "web"})
		b.advance(72 * time.Hour)
		require.Equal(t, []string{"cart_reminder (suppressed, no_consent)"}, b.messages(anna))
		b.event(anna, "cart.updated", map[string]any{"cart_id": "c3", "total": 120, "items": []any{}})
		b.says(anna, "STOP")
		require.Contains(t, b.outcomes(anna), "abandoned-cart opted_out")
		require.NotContains(t, b.outcomes(anna), "abandoned-cart live at 1 ")
		require.Empty(t, b.messages(anna), "a run that began since could say nothing: its end is no news")
		b.says(anna, "points")
		require.Equal(t, []string{"text: You have 0 points."}, b.messages(anna))
		b.says(anna, "join")
		require.Equal(t, []string{"opt_in_request"}, b.messages(anna))
	})
}

func TestAbandonedCart(t *testing.T) {
	t.Parallel()
	cart := map[string]any{"cart_id": "c1", "total": 120, "items": []any{map[string]any{"name": "Ethiopia", "price": 12.5}}}
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		t.Run("bronze gets the reminder and no offer", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.join(anna)
			b.event(anna, "cart.updated", cart)
			b.advance(50 * time.Minute)
			require.Empty(t, b.messages(anna))
			b.event(anna, "cart.updated", cart) // the wait begins again
			b.advance(55 * time.Minute)
			require.Empty(t, b.messages(anna))
			b.advance(10 * time.Minute)
			require.Equal(t, []string{"cart_reminder"}, b.messages(anna))
			require.Contains(t, b.wa.sent[2].Template.Body, "Ethiopia")
			b.advance(24 * time.Hour)
			require.Empty(t, b.messages(anna))
			require.Equal(t, []string{"opt-in subscribed", "abandoned-cart no_offer"}, b.outcomes(anna))
		})
		t.Run("gold gets an offer, then is lost", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.join(anna)
			for range 11 {
				b.event(anna, "review.posted", map[string]any{"review_id": "f"})
			}
			require.Equal(t, int64(2000), b.points(anna).Available, "the eleventh is over the limit")
			require.Equal(t, []string{"milestone_thanks"}, b.messages(anna), "500 points")
			b.event(anna, "cart.updated", cart)
			b.advance(25 * time.Hour)
			require.Equal(t, []string{"cart_reminder", "cart_offer"}, b.messages(anna))
			b.advance(49 * time.Hour)
			require.Equal(t, "abandoned-cart lost", b.outcomes(anna)[2])
		})
		t.Run("an order recovers it at once", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.join(anna)
			b.event(anna, "cart.updated", cart)
			b.event(anna, "order.placed", map[string]any{"order_id": "o0", "cart_id": "other", "total": 30})
			b.advance(2 * time.Hour)
			b.event(anna, "order.placed", map[string]any{"order_id": "o1", "cart_id": "c1", "total": 117.5})
			runs, err := b.Store.View(b.ctx).Runs(b.customer(anna).ID, "", 20)
			require.NoError(t, err)
			found := false
			for _, r := range runs {
				if r.Journey == "abandoned-cart" {
					found = true
					require.Equal(t, "recovered", r.Outcome)
					require.True(t, r.Goal)
					require.InDelta(t, 117.5, r.Value, 0)
				}
			}
			require.True(t, found)
		})
		t.Run("at night the reminder waits for the morning, and leaving still works", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.join(anna)
			b.advance(10*time.Hour + 30*time.Minute) // 20:30
			b.event(anna, "cart.updated", cart)
			b.advance(2 * time.Hour)
			require.Equal(t, []string{"cart_reminder (deferred, quiet_hours)"}, b.messages(anna))
			b.event(anna, "order.placed", map[string]any{"order_id": "o1", "cart_id": "c1", "total": 117.5})
			b.advance(24 * time.Hour)
			require.Len(t, b.wa.sent, 4, "two of the opt-in, the stamp and the first order's thanks")
		})
		t.Run("two carts are two runs", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.join(anna)
			b.event(anna, "cart.updated", cart)
			b.event(anna, "cart.updated", map[string]any{"cart_id": "c2", "total": 20, "items": []any{}})
			b.event(anna, "cart.updated", map[string]any{"cart_id": "c3", "total": 19.99, "items": []any{}})
			b.event(anna, "cart.emptied", map[string]any{"cart_id": "c2"})
			require.Equal(t, []string{"opt-in subscribed", "abandoned-cart live at 1 ", "abandoned-cart emptied"}, b.outcomes(anna))
		})
	})
}

func TestStampCardAndMilestones(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.join(anna)
		order := func(id string) {
			b.event(anna, "order.placed", map[string]any{"order_id": id, "total": 10.99})
		}
		order("1")
		require.ElementsMatch(t, []string{"stamp", "milestone_thanks"}, b.messages(anna))
		for _, id := range []string{"2", "3", "4"} {
			order(id)
		}
		require.Equal(t, []string{"stamp", "stamp", "stamp"}, b.messages(anna))
		order("5")
		require.ElementsMatch(t, []string{"stamp_card_full", "milestone_gift"}, b.messages(anna))
		require.ElementsMatch(t, []string{"opt-in subscribed", "stamp-card filled", "milestone completed", "milestone completed"}, b.outcomes(anna))
		require.Equal(t, int64(100), b.points(anna).Available)
		require.Equal(t, int64(50), b.points(anna).Pending)
		b.advance(15 * 24 * time.Hour)
		require.Equal(t, int64(150), b.points(anna).Available)
		order("6")
		require.Equal(t, []string{"stamp"}, b.messages(anna))
		b.advance(31 * 24 * time.Hour)
		require.Contains(t, b.outcomes(anna), "stamp-card ran_out")
	})
}

func TestRedemption(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		rich := func(t *testing.T) (*bundle, string) {
			b := setup(t, fresh(t), coffee())
			b.join(anna)
			b.event(anna, "review.posted", map[string]any{"review_id": "f"})
			b.event(anna, "review.posted", map[string]any{"review_id": "g"})
			return b, b.customer(anna).ID
		}
		t.Run("captured", func(t *testing.T) {
			t.Parallel()
			b, id := rich(t)
			r, err := b.Dispatch.RequestRedemption(b.ctx, id, "free-coffee", "")
			require.NoError(t, err)
			require.NoError(t, b.Settle(b.ctx))
			require.Equal(t, []string{"reward_code"}, b.messages(anna))
			require.Equal(t, int64(150), b.points(anna).Available)
			require.Equal(t, int64(250), b.points(anna).Held)
			code := b.code(anna)
			g, err := b.Dispatch.Capture(b.ctx, dispatch.Use{Code: strings.ToLower(code[:4] + "-" + code[4:])})
			require.NoError(t, err)
			require.Equal(t, r.ID, g.Grant.RedemptionID)
			require.NoError(t, b.Settle(b.ctx))
			require.Equal(t, []string{"redemption_thanks"}, b.messages(anna))
			require.Contains(t, b.outcomes(anna), "redemption redeemed")
			require.Equal(t, int64(0), b.points(anna).Held)
			_, err = b.Dispatch.Capture(b.ctx, dispatch.Use{Code: code})
			require.Equal(t, punchcard.CodeConflict, punchcard.CodeOf(err))
			require.Equal(t, "already_captured", punchcard.ReasonOf(err))
		})
		t.Run("not captured", func(t *testing.T) {
			t.Parallel()
			b, id := rich(t)
			_, err := b.Dispatch.RequestRedemption(b.ctx, id, "free-coffee", "")
			require.NoError(t, err)
			b.advance(16 * 24 * time.Hour)
			require.Equal(t, []string{"reward_code", "redemption_expired"}, b.messages(anna))
			require.Equal(t, int64(400), b.points(anna).Available)
			shown := b.code(anna)
			_, err = b.Dispatch.Capture(b.ctx, dispatch.Use{Code: shown})
			require.Equal(t, punchcard.CodeGone, punchcard.CodeOf(err))
			for _, free := range []string{"POOL1", "POOL2", "POOL3"} {
				if free != shown {
					_, err = b.Dispatch.Capture(b.ctx, dispatch.Use{Code: free})
					require.Equal(t, punchcard.CodeNotFound, punchcard.CodeOf(err), "a code of the pool is nobody's yet")
				}
			}
		})
		t.Run("refused for want of points", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.join(anna)
			require.NoError(t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
				return tx.AddHook(&punchcard.Hook{ID: punchcard.NewID(punchcard.PrefixHook), URL: "https://shop.example", Secret: "whsec_c2VjcmV0"})
			}))
			_, err := b.Dispatch.RequestRedemption(b.ctx, b.customer(anna).ID, "free-coffee", "")
			require.NoError(t, err)
			require.NoError(t, b.Settle(b.ctx))
			require.Equal(t, []string{"redemption_refused"}, b.messages(anna))
			told, _ := b.hooksHeard(anna)
			require.Equal(t, []string{"redemption.requested", "redemption.refused not_enough_points"}, told)
			require.Contains(t, b.wa.sent[2].Template.Body, "you do not have enough points yet")
		})
		t.Run("by the menu", func(t *testing.T) {
			t.Parallel()
			b, _ := rich(t)
			b.says(anna, "redeem")
			require.Equal(t, []string{"text: You have 400 points. What would you like?"}, b.messages(anna))
			require.Equal(t, "redeem:free-coffee", b.wa.sent[2].List.Sections[0].Rows[1].ID)
			b.webhook(anna, map[string]any{"type": "interactive", "interactive": map[string]any{
				"type": "list_reply", "list_reply": map[string]any{"id": "redeem:free-coffee", "title": "A free coffee"},
			}})
			require.Equal(t, []string{"reward_code"}, b.messages(anna))
		})
		t.Run("a person decides about a dear one", func(t *testing.T) {
			t.Parallel()
			for decision, want := range map[bool]string{true: "redemption live at 4 ", false: "redemption rejected"} {
				b, id := rich(t)
				for range 6 {
					b.event(anna, "review.posted", map[string]any{"review_id": "h"})
				}
				_, err := b.Dispatch.RequestRedemption(b.ctx, id, "barista-course", "")
				require.NoError(t, err)
				require.NoError(t, b.Settle(b.ctx))
				pending, err := b.Store.View(b.ctx).Approvals(punchcard.ApprovalPending, "", 10)
				require.NoError(t, err)
				require.Len(t, pending, 1)
				_, err = b.Dispatch.Decide(b.ctx, pending[0].ID, decision, "Mia", "")
				require.NoError(t, err)
				require.NoError(t, b.Settle(b.ctx))
				outcomes := b.outcomes(anna)
				require.Equal(t, want, outcomes[len(outcomes)-1])
				_, err = b.Dispatch.Decide(b.ctx, pending[0].ID, decision, "Mia", "")
				require.Equal(t, punchcard.CodeConflict, punchcard.CodeOf(err))
			}
		})
		t.Run("stop leaves it alone", func(t *testing.T) {
			t.Parallel()
			b, id := rich(t)
			_, err := b.Dispatch.RequestRedemption(b.ctx, id, "free-coffee", "")
			require.NoError(t, err)
			require.NoError(t, b.Settle(b.ctx))
			b.says(anna, "stop")
			_, err = b.Dispatch.Capture(b.ctx, dispatch.Use{Code: b.code(anna)})
			require.NoError(t, err)
			require.NoError(t, b.Settle(b.ctx))
			require.Contains(t, b.outcomes(anna), "redemption redeemed")
		})
	})
}
