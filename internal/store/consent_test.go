package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

func TestConsent(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		entry := func(topic string, s punchcard.Standing) *punchcard.ConsentEntry {
			e := &punchcard.ConsentEntry{
				CustomerID: c.ID, Topic: topic, Standing: s, Source: "reply", Wording: "May we?", WordingLanguage: "en",
				WordingVersion: "v1", MessageID: "msg", ReplyID: "wamid", EventID: "evt", RunID: "run",
			}
			h.do(func(tx *store.Tx) error { return tx.AddConsent(e) })
			return e
		}
		states, err := h.view().Standings(c.ID)
		require.NoError(h.t, err)
		require.Empty(h.t, states)

		first := entry("offers", punchcard.StandingRequested)
		h.clock.Advance(time.Minute)
		second := entry("offers", punchcard.StandingGranted)
		third := entry("rewards", punchcard.StandingRequested)

		states, err = h.view().Standings(c.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, map[string]punchcard.ConsentState{
			"offers":  {CustomerID: c.ID, Topic: "offers", Standing: punchcard.StandingGranted, At: second.At, EntryID: second.ID},
			"rewards": {CustomerID: c.ID, Topic: "rewards", Standing: punchcard.StandingRequested, At: third.At, EntryID: third.ID},
		}, states)
		log, err := h.view().Consents(c.ID, 0, 10)
		require.NoError(h.t, err)
		require.Equal(h.t, []punchcard.ConsentEntry{*first, *second, *third}, log)
		log, err = h.view().Consents(c.ID, first.ID, 1)
		require.NoError(h.t, err)
		require.Equal(h.t, []punchcard.ConsentEntry{*second}, log)

		require.Error(h.t, h.try(func(tx *store.Tx) error {
			return tx.AddConsent(&punchcard.ConsentEntry{CustomerID: c.ID, Topic: "offers", Standing: punchcard.StandingGranted})
		}), "a change of consent without a source")
		require.Error(h.t, h.try(func(tx *store.Tx) error {
			return tx.AddConsent(&punchcard.ConsentEntry{CustomerID: c.ID, Topic: "offers", Standing: "perhaps", Source: "api"})
		}))
	})
}

func TestLogsAreAppendOnly(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		h.do(func(tx *store.Tx) error {
			if err := tx.AddConsent(&punchcard.ConsentEntry{CustomerID: c.ID, Topic: "offers", Standing: punchcard.StandingGranted, Source: "api"}); err != nil {
				return err
			}
			_, _, err := tx.Earn(c.ID, 5, "order.placed", "evt", "earn/evt", monday, nil)
			return err
		})
		for _, table := range []string{"consent_entries", "ledger_entries"} {
			require.ErrorContains(h.t, h.exec("UPDATE "+table+" SET customer_id = customer_id"), "append-only", table)
			require.ErrorContains(h.t, h.exec("DELETE FROM "+table), "append-only", table)
			require.EqualValues(h.t, 1, scalar[int64](h, "SELECT count(*) FROM "+table))
		}
	})
}
