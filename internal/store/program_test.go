package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

func TestPrograms(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		latest, err := h.view().LatestVersion()
		require.NoError(h.t, err)
		require.Zero(h.t, latest)
		none, err := h.view().LatestProgram()
		require.NoError(h.t, err)
		require.Nil(h.t, none)

		publish := func(hash string) (version int, fresh bool) {
			h.do(func(tx *store.Tx) (err error) {
				version, fresh, err = tx.Publish(hash, map[string]string{"program.yaml": "program: " + hash})
				return err
			})
			return version, fresh
		}
		for _, want := range []struct {
			hash    string
			version int
			fresh   bool
		}{{"a", 1, true}, {"a", 1, false}, {"b", 2, true}, {"a", 3, true}} {
			version, fresh := publish(want.hash)
			require.Equal(h.t, want.version, version)
			require.Equal(h.t, want.fresh, fresh)
		}
		p, err := h.view().Program(2)
		require.NoError(h.t, err)
		require.Equal(h.t, &store.Program{Version: 2, Hash: "b", Files: map[string]string{"program.yaml": "program: b"}, PublishedAt: monday}, p)
		p, err = h.view().LatestProgram()
		require.NoError(h.t, err)
		require.Equal(h.t, 3, p.Version)
		latest, err = h.view().LatestVersion()
		require.NoError(h.t, err)
		require.Equal(h.t, 3, latest)
		p, err = h.view().Program(9)
		require.NoError(h.t, err)
		require.Nil(h.t, p)

		// Whoever publishes at the same time gets a number of their own.
		noErrors(h.t, together(4, func(i int) error {
			return h.try(func(tx *store.Tx) error {
				_, _, err := tx.Publish(fmt.Sprint("hash ", i), map[string]string{})
				return err
			})
		}))
		latest, err = h.view().LatestVersion()
		require.NoError(h.t, err)
		require.Equal(h.t, 7, latest)
	})
}

func TestSettingsAndSwitches(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		v, err := h.view().Setting("clock.speed")
		require.NoError(h.t, err)
		require.Empty(h.t, v)
		for _, want := range []string{"1", "60", ""} {
			h.do(func(tx *store.Tx) error { return tx.SetSetting("clock.speed", want) })
			v, err = h.view().Setting("clock.speed")
			require.NoError(h.t, err)
			require.Equal(h.t, want, v)
		}

		off := func(kind store.SwitchKind, name string) bool {
			is, err := h.view().Off(kind, name)
			require.NoError(h.t, err)
			return is
		}
		paused := func() (is bool) {
			h.do(func(tx *store.Tx) (err error) {
				is, err = tx.Paused("cart")
				return err
			})
			return is
		}
		require.False(h.t, off(store.SwitchJourney, "cart"))
		require.False(h.t, paused())
		h.do(func(tx *store.Tx) error { return tx.SwitchOff(store.SwitchJourney, "cart", "a fault") })
		h.do(func(tx *store.Tx) error { return tx.SwitchOff(store.SwitchJourney, "cart", "a worse fault") })
		require.True(h.t, off(store.SwitchJourney, "cart"))
		require.True(h.t, paused())
		require.Equal(h.t, "a worse fault", scalar[string](h, "SELECT reason FROM switches"))
		require.False(h.t, off(store.SwitchTemplate, "cart"))
		h.do(func(tx *store.Tx) error { return tx.SwitchOn(store.SwitchTemplate, "cart") })
		require.True(h.t, off(store.SwitchJourney, "cart"))
		h.do(func(tx *store.Tx) error { return tx.SwitchOn(store.SwitchJourney, "cart") })
		require.False(h.t, off(store.SwitchJourney, "cart"))
		require.Error(h.t, h.try(func(tx *store.Tx) error { return tx.SwitchOff("rocket", "x", "") }))
	})
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		k := &store.APIKey{ID: punchcard.NewID(punchcard.PrefixKey), Name: "till", Hash: "hash"}
		h.do(func(tx *store.Tx) error { return tx.AddAPIKey(k) })
		require.Equal(h.t, monday, k.CreatedAt)
		have, err := h.view().APIKeyByHash("hash")
		require.NoError(h.t, err)
		require.Equal(h.t, k, have)
		have, err = h.view().APIKeyByHash("other")
		require.NoError(h.t, err)
		require.Nil(h.t, have)
		require.Error(h.t, h.try(func(tx *store.Tx) error { return tx.AddAPIKey(&store.APIKey{ID: "key_2", Hash: "hash"}) }))

		h.clock.Advance(time.Hour)
		h.do(func(tx *store.Tx) error { return tx.RevokeAPIKey(k.ID) })
		have, err = h.view().APIKeyByHash("hash")
		require.NoError(h.t, err)
		require.Nil(h.t, have)
		all, err := h.view().APIKeys()
		require.NoError(h.t, err)
		k.RevokedAt = new(monday.Add(time.Hour))
		require.Equal(h.t, []store.APIKey{*k}, all)
		err = h.try(func(tx *store.Tx) error { return tx.RevokeAPIKey(k.ID) })
		require.Equal(h.t, punchcard.CodeNotFound, punchcard.CodeOf(err))
	})
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		none, err := h.view().IdempotentAnswer("k", "POST /v1/events")
		require.NoError(h.t, err)
		require.Nil(h.t, none)
		k := &store.IdempotencyKey{Key: "k", Route: "POST /v1/events", RequestHash: "h", Status: 202, Body: `{"ok":true}`}
		h.do(func(tx *store.Tx) error {
			first, err := tx.KeepAnswer(k)
			require.True(h.t, first)
			return err
		})
		have, err := h.view().IdempotentAnswer("k", "POST /v1/events")
		require.NoError(h.t, err)
		require.Equal(h.t, k, have)
		none, err = h.view().IdempotentAnswer("k", "POST /v1/redemptions")
		require.NoError(h.t, err)
		require.Nil(h.t, none)

		// The slower of two finds the other's answer in the same transaction.
		h.do(func(tx *store.Tx) error {
			first, err := tx.KeepAnswer(&store.IdempotencyKey{Key: "k", Route: "POST /v1/events", Status: 400})
			require.False(h.t, first)
			require.NoError(h.t, err)
			have, err := tx.IdempotentAnswer("k", "POST /v1/events")
			require.Equal(h.t, k, have)
			return err
		})
	})
}
