package simulate_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
)

// united makes one customer of two: the second is the first's from then on.
func (b *bundle) united(into, from string) {
	b.t.Helper()
	_, err := b.Dispatch.Merge(b.ctx, b.customer(from).ID, b.customer(into).ID)
	require.NoError(b.t, err)
	require.NoError(b.t, b.Settle(b.ctx))
}

// Who brings themself under another number, and is found out, keeps what that earned until the order is taken back: not longer.
func TestRefundAfterSelfReferral(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.known(anna)
		b.says(bea, "FRIEND "+b.invites(anna))
		b.orders(bea, "o1", 20)
		b.united(anna, bea)
		require.Equal(t, []string{"refused same_person"}, b.referrals(anna))
		require.EqualValues(t, 300, b.points(anna).Available)
		b.refunds(anna, "o1", 5)
		require.EqualValues(t, 300, b.points(anna).Available)
		b.refunds(anna, "o1", 15)
		b.refunds(anna, "o1", 20)
		require.Equal(t, "0, 0 pending, 0 held, 0 owed, 0 earned", b.account())
		require.Equal(t, []string{"refused same_person"}, b.referrals(anna))
	})
}

// A friend of oneself takes up a place among those that count, also once the two are known to be one.
func TestSelfReferralsKeepTheirPlaces(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		program := string(coffee()["program.yaml"].Data)
		b := setup(t, fresh(t), with(map[string]string{"program.yaml": replaced(t, program, "timeout: 60d, at_most: 10, within: 30d", "timeout: 60d, at_most: 1, within: 30d")}))
		b.known(anna)
		code := b.invites(anna)
		b.says(bea, "FRIEND "+code)
		b.orders(bea, "o1", 20)
		b.united(anna, bea)
		b.says(carl, "FRIEND "+code)
		b.orders(carl, "o2", 20)
		require.Equal(t, []string{"refused limit_reached"}, b.referrals(carl))
		require.EqualValues(t, 300, b.points(anna).Available)
	})
}

// An order and its refund that came under two names of one person undo each other once that is known.
func TestRefundUnderAnotherName(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.join(anna)
		b.order("o1", 100)
		b.order("o2", 50)
		b.event(bo, "order.refunded", map[string]any{"order_id": "o1", "total": 40})
		b.event(bo, "order.refunded", map[string]any{"order_id": "o9", "total": 40})
		b.event(bo, "order.placed", map[string]any{"order_id": "o3", "total": 30})
		b.refund("o3", 30)
		b.united(anna, bo)
		require.Equal(t, "0, 110 pending, 0 held, 0 owed, 110 earned", b.account())
		b.refund("o1", 60)
		b.order("o9", 40)
		require.Equal(t, "0, 50 pending, 0 held, 0 owed, 50 earned", b.account(), "once, and what waits for its order waits on")
	})
}

// What is published of other events gives nobody another turn under a limit of earning.
func TestEarnLimitOutlivesAnEdit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		program := replaced(t, string(coffee()["program.yaml"].Data), "points: 200, at_most: 10, within: 30d", "points: 200, at_most: 1, within: 30d")
		b := setup(t, fresh(t), with(map[string]string{"program.yaml": program}))
		b.review()
		b.review()
		require.EqualValues(t, 200, b.points(anna).Available)
		b.publish(with(map[string]string{"program.yaml": replaced(t, program, "  earn:\n", "  earn:\n    - {on: cart.emptied, points: 1}\n")}))
		b.review()
		require.EqualValues(t, 200, b.points(anna).Available)
	})
}

// A wish that no run takes up ends: it does not stand open for ever, to be cancelled by nobody.
func TestWishThatNothingServes(t *testing.T) {
	t.Parallel()
	const serves = "journey: redemption\npurpose: service\nENTER\nsteps:\n  - redeem: \"{{ entry.reward }}\"\n    as: held\n    on_refused: [{end: refused}]\n" +
		"  - wait_for: redemption.captured\n    where: event.redemption_id == entry.redemption_id\n    timeout: 15d\n    on_timeout: [{end: expired}]\n"
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		for name, test := range map[string]struct {
			enter string
			stop  bool
			want  []string // of three wishes, the first first
		}{
			"not entered":        {enter: `enter: [{on: redemption.requested, where: event.reward == "card-25"}]`, want: []string{"refused no_journey", "refused no_journey", "refused no_journey"}},
			"stopped":            {enter: `enter: [{on: redemption.requested, key: event.redemption_id}]`, stop: true, want: []string{"refused no_journey", "refused no_journey", "refused no_journey"}},
			"one at a time":      {enter: `enter: [{on: redemption.requested}]`, want: []string{"held", "refused no_journey", "refused no_journey"}},
			"one after another":  {enter: "enter: [{on: redemption.requested}]\nif_running: after", want: []string{"held", "refused no_journey", "requested"}},
			"each by themselves": {enter: `enter: [{on: redemption.requested, key: event.redemption_id}]`, want: []string{"held", "held", "held"}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t, fresh(t), with(map[string]string{"journeys/redemption.yaml": strings.Replace(serves, "ENTER", test.enter, 1)}))
				b.known(anna)
				b.rich(anna)
				if test.stop {
					_, err := b.Dispatch.Stop(b.ctx, "journey", "redemption", "")
					require.NoError(t, err)
				}
				var got, ids []string
				for range 3 {
					r, err := b.Dispatch.RequestRedemption(b.ctx, b.customer(anna).ID, "free-cake", "")
					require.NoError(t, err)
					require.NoError(t, b.Settle(b.ctx))
					ids = append(ids, r.ID)
				}
				for _, id := range ids {
					r, err := b.Store.View(b.ctx).Redemption(id)
					require.NoError(t, err)
					got = append(got, strings.TrimSpace(string(r.Status)+" "+r.Reason))
				}
				require.Equal(t, test.want, got)
				if name == "one after another" { // and the journey is stopped before its turn comes
					_, err := b.Dispatch.Stop(b.ctx, "journey", "redemption", "")
					require.NoError(t, err)
					require.NoError(t, b.Settle(b.ctx))
					r, err := b.Store.View(b.ctx).Redemption(ids[2])
					require.NoError(t, err)
					require.Equal(t, punchcard.RedemptionRefused, r.Status)
				}
			})
		}
	})
}

// An order in the wrong unit does not reach a milestone a billion times.
func TestMilestoneOfAHugeNumber(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		program := replaced(t, string(coffee()["program.yaml"].Data), "milestones:", "milestones:\n  - {name: each-point, of: points.earned, every: 1}\n"+
			"  - {name: beyond, of: 1e300 * points.earned, every: 1}")
		b := setup(t, fresh(t), with(map[string]string{
			"program.yaml":            program,
			"journeys/milestone.yaml": "journey: milestone\ntopic: rewards\nenter: [{on: milestone.reached, where: event.milestone == \"none\"}]\nsteps: [{send: milestone_thanks}]\n",
		}))
		b.known(anna)
		b.order("o1", 7)
		b.order("o2", 1e12)
		b.order("o3", 3) // gold counts twice
		view := b.Store.View(b.ctx)
		for milestone, want := range map[string]int64{"each-point": 1_000_000_013, "beyond": 9_000_000_000_000_000_000} {
			nth, at, err := view.LastReached(b.customer(anna).ID, milestone)
			require.NoError(t, err)
			require.NotNil(t, at)
			require.Equal(t, want, nth, milestone)
		}
	})
}

// An order is known by its id however long that is.
func TestRefundByALongName(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.known(anna)
		var long strings.Builder // as long as a string of an event may be, and nothing that can be made shorter
		for r := rand.New(rand.NewPCG(1, 2)); long.Len() < 4096; {
			long.WriteByte(byte('!' + r.IntN(94)))
		}
		b.refund(long.String(), 40)
		b.order(long.String(), 100)
		b.order(long.String()[1:], 10)
		b.refund(long.String(), 40)
		require.Equal(t, "0, 30 pending, 0 held, 0 owed, 30 earned", b.account())
	})
}

// Whoever uses a reward by a tap gets what they show for it, however much they were answered before: it cannot be had again.
func TestEachTapIsAnswered(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), till(t, ""))
		b.known(anna)
		var cakes []string
		for range 12 {
			b.event(anna, "cart.updated", map[string]any{"cart_id": "c", "total": 5, "items": []any{}})
			grants, err := b.Store.View(b.ctx).Grants(b.customer(anna).ID, "", 1)
			require.NoError(t, err)
			cakes = append(cakes, grants[0].ID)
		}
		b.messages(anna)
		for _, id := range cakes {
			b.webhook(anna, map[string]any{"type": "interactive", "interactive": map[string]any{
				"type": "button_reply", "button_reply": map[string]any{"id": "capture:" + id + "/yes", "title": "Yes, use it"},
			}})
		}
		shown := 0
		for _, m := range b.messages(anna) {
			if strings.Contains(m, "Used 2026") {
				shown++
			}
		}
		for _, id := range cakes {
			g, err := b.Store.View(b.ctx).Grant(id)
			require.NoError(t, err)
			require.Equal(t, punchcard.GrantCaptured, g.Status)
		}
		require.Equal(t, len(cakes), shown)
	})
}

// A reward that the catalog has no more is used all the same, and called what it was called when it was given.
func TestRewardsThatAreGoneKeepTheirTitles(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		program := till(t, "")
		b := setup(t, fresh(t), program)
		b.known(anna)
		b.event(anna, "cart.updated", map[string]any{"cart_id": "c", "total": 5, "items": []any{}})
		grants, err := b.Store.View(b.ctx).Grants(b.customer(anna).ID, "", 1)
		require.NoError(t, err)
		code, _ := b.card(anna)
		rewards, _, found := strings.Cut(string(program["rewards.yaml"].Data), "\n  card: ")
		require.True(t, found)
		gone := add(program, "rewards.yaml", rewards+"\n")
		delete(gone, "journeys/card.yaml")
		delete(gone, "journeys/cake.yaml")
		b.publish(gone)
		b.messages(anna)
		b.taps(anna, "capture:"+grants[0].ID+"/yes")
		said := b.messages(anna)
		require.Len(t, said, 1)
		require.Contains(t, said[0], "A cake")
		card, err := b.Dispatch.LookUp(b.ctx, dispatch.Till{}, code)
		require.NoError(t, err)
		require.Equal(t, "A card", card.Title)
		require.Nil(t, card.Refused)
	})
}
