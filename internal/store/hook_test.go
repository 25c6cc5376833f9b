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
	"punchcard/internal/storetest"
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

// What hooks sign with is nowhere in the database as it is, opens for its own hook only, and goes with the keys of codes.
func TestHookSecretsAreSealed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		h := newHouse(t, open())
		first, second := h.hook(), h.hook()
		secrets := func(s *store.Store, id string) (secret, former string) {
			t.Helper()
			_, secret, former, err := s.View(t.Context()).OpenHook(id)
			require.NoError(t, err)
			return secret, former
		}
		h.do(func(tx *store.Tx) error { return tx.SetHookSecrets(first.ID, "whsec_bmV3ZXI=", "whsec_c2VjcmV0") })
		h.do(func(tx *store.Tx) error { first.Note = "renamed"; return tx.SaveHook(first) })
		for _, plain := range []string{"whsec", "c2VjcmV0", "bmV3ZXI"} {
			require.NotContains(t, h.everything(), plain)
		}
		secret, former := secrets(h.Store, first.ID)
		require.Equal(t, []string{"whsec_bmV3ZXI=", "whsec_c2VjcmV0"}, []string{secret, former})
		secret, former = secrets(h.Store, second.ID)
		require.Equal(t, []string{"whsec_c2VjcmV0", ""}, []string{secret, former})

		// A version before kept them in the clear: they are read so, and sealed when the keys next come, by whoever is first.
		third := h.hook()
		require.NoError(t, h.exec("UPDATE hooks SET key_id = '', sealed = NULL, sealed_former = NULL, secret = 'whsec_Y2xlYXI=', former = 'whsec_b2xkZXI=' WHERE id = ?", third.ID))
		require.Error(t, h.exec("UPDATE hooks SET key_id = 'test' WHERE id = ?", third.ID), "sealed, and in the clear beside it")
		secret, former = secrets(h.Store, third.ID)
		require.Equal(t, []string{"whsec_Y2xlYXI=", "whsec_b2xkZXI="}, []string{secret, former})
		stores := []*store.Store{open(), open()}
		noErrors(t, together(len(stores), func(i int) error { return stores[i].UseCodeKeys(t.Context(), []string{storetest.CodeKey}) }))
		require.NotContains(t, h.everything(), "whsec_")
		secret, former = secrets(stores[0], third.ID)
		require.Equal(t, []string{"whsec_Y2xlYXI=", "whsec_b2xkZXI="}, []string{secret, former})

		// Another key takes them over, and the one until now may go.
		fresh := store.NewCodeKey("fresh")
		both, alone := open(), open()
		require.NoError(t, both.UseCodeKeys(t.Context(), []string{fresh, storetest.CodeKey}))
		next, sealed, err := both.Reseal(t.Context(), nil)
		require.NoError(t, err)
		require.Nil(t, next)
		require.Equal(t, 3, sealed)
		used, err := both.View(t.Context()).CodeKeysInUse()
		require.NoError(t, err)
		require.Equal(t, map[string]int64{"fresh": 4}, used, "with the database's own")
		_, _, _, err = h.view().OpenHook(first.ID)
		require.ErrorContains(t, err, "fresh", "whoever has only the old one says what is missing")
		require.NoError(t, alone.UseCodeKeys(t.Context(), []string{fresh}))
		secret, former = secrets(alone, third.ID)
		require.Equal(t, []string{"whsec_Y2xlYXI=", "whsec_b2xkZXI="}, []string{secret, former})

		// Moved to another hook, they do not open; removed, nothing of them is left.
		require.NoError(t, h.exec("UPDATE hooks SET sealed = (SELECT sealed FROM hooks AS o WHERE o.id = ?) WHERE id = ?", first.ID, second.ID))
		_, _, _, err = alone.View(t.Context()).OpenHook(second.ID)
		require.ErrorContains(t, err, "does not open")
		require.NoError(t, alone.Update(t.Context(), func(tx *store.Tx) error { return tx.SetHookSecrets(second.ID, "", "") }))
		require.EqualValues(t, 1, scalar[int64](h, "SELECT count(*) FROM hooks WHERE key_id = '' AND secret = '' AND sealed IS NULL AND sealed_former IS NULL"))
	})
}

// Without keys hooks are listed and changed; what needs their secrets says what is missing.
func TestHooksWithoutKeys(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			dsn := storetest.DSN(t, dialect)
			h := newHouse(t, storetest.Open(t, dsn))
			hook := h.hook()
			bare, err := store.Open(t.Context(), dsn)
			require.NoError(t, err)
			defer func() { require.NoError(t, bare.Close()) }()
			err = bare.Update(t.Context(), func(tx *store.Tx) error {
				found, err := tx.LockHook(hook.ID)
				require.NoError(t, err)
				found.Note = "whose it is"
				return tx.SaveHook(found)
			})
			require.NoError(t, err)
			for name, err := range map[string]error{
				"open": func() error { _, _, _, err := bare.View(t.Context()).OpenHook(hook.ID); return err }(),
				"add": bare.Update(t.Context(), func(tx *store.Tx) error {
					return tx.AddHook(&punchcard.Hook{ID: punchcard.NewID(punchcard.PrefixHook), URL: "https://example.com", Secret: "whsec_c2VjcmV0"})
				}),
			} {
				require.Equal(t, punchcard.CodeUnavailable, punchcard.CodeOf(err), name)
				require.ErrorContains(t, err, "--code-keys", name)
			}
			found, secret, _, err := h.view().OpenHook(hook.ID)
			require.NoError(t, err)
			require.Equal(t, []string{"whsec_c2VjcmV0", "whose it is"}, []string{secret, found.Note})
		})
	}
}
