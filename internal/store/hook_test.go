package store_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

// hook adds a hook that wants some types; none: everything.
func (h *house) hook(types ...punchcard.HookType) *punchcard.Hook {
	h.t.Helper()
	hook := &punchcard.Hook{ID: punchcard.NewID(punchcard.PrefixHook), URL: "https://example.com", Types: types, Secret: "whsec_c2VjcmV0"}
	h.do(func(tx *store.Tx) error { return tx.AddHook(hook) })
	return hook
}

// told lists what a hook is to be told, in the order of the events.
func (h *house) told(hook *punchcard.Hook) []store.ToldHook {
	h.t.Helper()
	rows, err := h.view().HookDeliveries(hook.ID, "", 0, 1000)
	require.NoError(h.t, err)
	slices.SortFunc(rows, func(a, b store.ToldHook) int { return int(a.EventSeq - b.EventSeq) })
	return rows
}

func (h *house) toldTypes(hook *punchcard.Hook) []punchcard.HookType {
	h.t.Helper()
	var types []punchcard.HookType
	for _, r := range h.told(hook) {
		types = append(types, r.Event.Type)
	}
	return types
}

// What happens is told with the fact, to each hook that wants it, and not at all when the fact is rolled back.
func TestHooksHearOfFacts(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("anna")
		h.do(func(tx *store.Tx) error {
			_, _, err := tx.Earn(c.ID, 5, "event", "before", "before", tx.Now, nil)
			return err
		})
		require.Zero(h.t, scalar[int64](h, "SELECT count(*) FROM hook_events"), "nobody wants to hear")

		all, points := h.hook(), h.hook(punchcard.HookPointsChanged)
		rolledBack := errors.New("no")
		require.ErrorIs(h.t, h.try(func(tx *store.Tx) error {
			_, _, err := tx.Earn(c.ID, 100, "event", "gone", "gone", tx.Now, nil)
			require.NoError(h.t, err)
			return rolledBack
		}), rolledBack)
		grant, given := newGrant(c.ID, "free-coffee", punchcard.GrantHeld), newGrant(c.ID, "welcome", punchcard.GrantGiven)
		grant.RedemptionID, grant.Cost, grant.Value = "rdm_1", 40, 4.5
		h.do(func(tx *store.Tx) error {
			_, err := tx.LockCustomer(c.ID)
			require.NoError(h.t, err)
			_, _, err = tx.Earn(c.ID, 100, "event", "order-1", "k", tx.Now, nil)
			require.NoError(h.t, err)
			require.NoError(h.t, tx.AddRedemption(&punchcard.Redemption{ID: "rdm_1", CustomerID: c.ID, Reward: "free-coffee"}))
			require.NoError(h.t, tx.AddRedemption(&punchcard.Redemption{ID: "rdm_2", CustomerID: c.ID, Reward: "free-coffee"}))
			require.NoError(h.t, tx.AddGrant(grant))
			require.NoError(h.t, tx.Hold(grant, 40, 0))
			return tx.AddGrant(given)
		})
		h.do(func(tx *store.Tx) error {
			ok, err := tx.CaptureGrant(grant)
			require.True(h.t, ok)
			require.NoError(h.t, err)
			require.NoError(h.t, tx.EndRedemption("rdm_2", c.ID, punchcard.RedemptionRefused, "velocity"))
			require.NoError(h.t, tx.EndRedemption("rdm_2", c.ID, punchcard.RedemptionRefused, "velocity"), "once")
			for _, s := range []punchcard.Standing{punchcard.StandingRequested, punchcard.StandingGranted, punchcard.StandingGranted} {
				require.NoError(h.t, tx.AddConsent(&punchcard.ConsentEntry{CustomerID: c.ID, Topic: "offers", Standing: s, Source: "x", Channel: punchcard.ChannelAPI}))
			}
			_, err = tx.AddEvent(&punchcard.Event{
				ID: "t", CustomerID: c.ID, Name: punchcard.EventTierChanged, Properties: map[string]any{"from": "bronze", "to": "gold"}, OccurredAt: tx.Now,
			})
			return err
		})
		require.Equal(h.t, []punchcard.HookType{
			"points.changed", "redemption.requested", "redemption.requested", "points.changed", "reward.granted",
			"points.changed", "redemption.captured", "redemption.refused", "consent.changed", "consent.changed", "tier.changed",
		}, h.toldTypes(all))
		require.Equal(h.t, []punchcard.HookType{"points.changed", "points.changed", "points.changed"}, h.toldTypes(points))
		told := h.told(all)
		require.Equal(h.t, map[string]any{
			"balance": 105.0, "pending": 0.0, "held": 0.0, "debt": 0.0,
			"changes": []any{map[string]any{"kind": "earn", "from": "outside", "to": "available", "points": 100.0, "ref": "order-1"}},
		}, told[0].Event.Data)
		require.Equal(h.t, map[string]any{
			"redemption_id": "rdm_1", "grant_id": grant.ID, "reward": "free-coffee", "points": 40.0, "value": 4.5,
		}, told[6].Event.Data)
		require.Equal(h.t, "granted", told[9].Event.Data["to"])
		require.Equal(h.t, map[string]any{"from": "bronze", "to": "gold"}, told[10].Event.Data)
		for i, d := range told {
			require.Equal(h.t, c.ID, d.Event.CustomerID)
			require.True(h.t, punchcard.IsID(punchcard.PrefixHookEvent, d.Event.ID))
			require.Equal(h.t, monday, d.Event.At.UTC())
			require.Equal(h.t, punchcard.HookPending, d.Status)
			require.True(h.t, i == 0 || d.EventSeq > told[i-1].EventSeq)
		}
	})
}

// A given reward that is over because its time is, is told as expired.
func TestHooksHearOfExpiry(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c, hook := h.customer("anna"), h.hook(punchcard.HookRedemptionExpired, punchcard.HookRedemptionReleased)
		for _, late := range []time.Duration{time.Hour, -time.Hour} {
			g, until := newGrant(c.ID, "x", punchcard.GrantGiven), monday.Add(late)
			g.ExpiresAt = &until
			h.do(func(tx *store.Tx) error { return tx.AddGrant(g) })
			h.do(func(tx *store.Tx) error {
				_, err := tx.ReleaseGrant(g)
				return err
			})
		}
		require.Equal(h.t, []punchcard.HookType{"redemption.released", "redemption.expired"}, h.toldTypes(hook))
	})
}

// One that is disabled is told nothing, and can be told all of it later; one that is removed costs nothing and is told nothing.
func TestHookDisabledAndReplayed(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c, hook := h.customer("anna"), h.hook()
		earn := func(key string) {
			h.do(func(tx *store.Tx) error {
				_, _, err := tx.Earn(c.ID, 1, "event", key, key, tx.Now, nil)
				return err
			})
		}
		earn("first")
		h.do(func(tx *store.Tx) error {
			ok, err := tx.DisableHook(hook.ID, punchcard.HookDisabledGone)
			require.True(h.t, ok)
			return err
		})
		h.clock.Advance(time.Hour)
		earn("second")
		require.Len(h.t, h.told(hook), 1)
		due, err := h.view().DueHooks()
		require.NoError(h.t, err)
		require.Empty(h.t, due)

		h.do(func(tx *store.Tx) error {
			now, err := tx.LockHook(hook.ID)
			require.NoError(h.t, err)
			require.NotNil(h.t, now.DisabledAt)
			now.DisabledAt, now.Disabled = nil, ""
			require.NoError(h.t, tx.SaveHook(now))
			last, n, err := tx.ReplayHookSince(now, monday.Add(time.Minute), 0, 10)
			require.Positive(h.t, last)
			require.Equal(h.t, 1, n)
			return err
		})
		require.Len(h.t, h.told(hook), 2, "also what it was never told")

		// What was delivered is replayed as well, from its first try.
		seconds := h.told(hook)[1]
		h.do(func(tx *store.Tx) error {
			claimed, err := tx.ClaimHookDeliveries("x", hook.ID, 10, time.Minute)
			require.Len(h.t, claimed, 2)
			for i := range claimed {
				claimed[i].Status, claimed[i].Attempts = punchcard.HookDelivered, 3
				wrote, err := tx.SaveHookDelivery(&claimed[i])
				require.NoError(h.t, err)
				require.True(h.t, wrote)
				wrote, err = tx.SaveHookDelivery(&claimed[i])
				require.NoError(h.t, err)
				require.False(h.t, wrote, "it is settled")
			}
			return err
		})
		h.do(func(tx *store.Tx) error { return tx.ReplayHookEvent(hook, seconds.Event.ID) })
		told := h.told(hook)
		require.Equal(h.t, punchcard.HookDelivered, told[0].Status)
		require.Equal(h.t, punchcard.HookPending, told[1].Status)
		require.Zero(h.t, told[1].Attempts)
		require.Equal(h.t, punchcard.CodeNotFound, punchcard.CodeOf(h.try(func(tx *store.Tx) error { return tx.ReplayHookEvent(hook, "hke_none") })))

		h.do(func(tx *store.Tx) error { hook.RemovedAt = &tx.Now; return tx.SaveHook(hook) })
		earn("third")
		require.EqualValues(h.t, 2, scalar[int64](h, "SELECT count(*) FROM hook_events"))
		n := int64(0)
		h.do(func(tx *store.Tx) (err error) { n, err = tx.PruneHooks(monday.Add(24*time.Hour), 100); return err })
		require.EqualValues(h.t, 2, n, "nothing is on its way to one that is removed")
		require.Zero(h.t, scalar[int64](h, "SELECT count(*) FROM hook_deliveries"))
	})
}

// What is still on its way is not forgotten.
func TestPruneHooks(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c, _ := h.customer("anna"), h.hook()
		h.do(func(tx *store.Tx) error {
			_, _, err := tx.Earn(c.ID, 1, "event", "k", "k", tx.Now, nil)
			return err
		})
		h.do(func(tx *store.Tx) error {
			n, err := tx.PruneHooks(monday.Add(time.Hour), 100)
			require.Zero(h.t, n)
			return err
		})
	})
}

// Many who claim at once share the deliveries, and the events of a customer are numbered in the order in which they happened.
func TestHooksUnderConcurrency(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c, hook := h.customer("anna"), h.hook()
		const n = 40
		noErrors(h.t, together(n, func(i int) error {
			return h.try(func(tx *store.Tx) error {
				if _, err := tx.LockCustomer(c.ID); err != nil {
					return err
				}
				key := fmt.Sprint(i)
				_, _, err := tx.Earn(c.ID, 1, "event", key, key, tx.Now, nil)
				return err
			})
		}))
		told := h.told(hook)
		require.Len(h.t, told, n)
		for i, d := range told {
			require.EqualValues(h.t, i+1, d.Event.Data["balance"], "the higher number is the later balance")
		}
		claimed := make([][]punchcard.HookDelivery, 8)
		noErrors(h.t, together(len(claimed), func(i int) error {
			return h.try(func(tx *store.Tx) (err error) {
				claimed[i], err = tx.ClaimHookDeliveries(fmt.Sprint(i), hook.ID, 10, time.Minute)
				return err
			})
		}))
		seen := map[int64]int{}
		for _, rows := range claimed {
			for _, r := range rows {
				seen[r.ID]++
			}
		}
		for _, times := range seen {
			require.Equal(h.t, 1, times)
		}
		require.LessOrEqual(h.t, len(slices.Collect(maps.Keys(seen))), n)
	})
}
