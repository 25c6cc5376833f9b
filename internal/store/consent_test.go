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
			"offers":  {CustomerID: c.ID, Topic: "offers", Standing: punchcard.StandingGranted, At: second.At, OccurredAt: second.At, EntryID: second.ID},
			"rewards": {CustomerID: c.ID, Topic: "rewards", Standing: punchcard.StandingRequested, At: third.At, OccurredAt: third.At, EntryID: third.ID},
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

// A grant that is older than a stop, or answers a question from before it, is refused; one that was recorded before the stop came
// loses to it. So the order of arrival is all the same.
func TestConsentInEveryOrder(t *testing.T) {
	t.Parallel()
	type fact = punchcard.ConsentEntry
	at := func(minute int, e fact) fact {
		e.OccurredAt = monday.Add(time.Duration(minute-60) * time.Minute)
		if e.Topic == "" {
			e.Topic = "offers"
		}
		return e
	}
	asked := fact{Standing: punchcard.StandingRequested, Source: "registration.received", Channel: punchcard.ChannelAPI}
	joined := fact{Standing: punchcard.StandingRequested, Source: "keyword.join", Channel: punchcard.ChannelWhatsApp}
	yes := fact{Standing: punchcard.StandingGranted, Source: "reply", Channel: punchcard.ChannelWhatsApp, MessageID: "m", ReplyID: "w"}
	imported := fact{Standing: punchcard.StandingGranted, Source: "form", Channel: punchcard.ChannelImport}
	stop := fact{Standing: punchcard.StandingRevoked, Source: "stop", Channel: punchcard.ChannelWhatsApp, Everything: true}
	elsewhere := stop
	elsewhere.Topic = "rewards"
	for name, c := range map[string]struct {
		facts   []fact
		granted bool
	}{
		"a reply older than a stop":                       {[]fact{at(1, asked), at(2, yes), at(3, stop)}, false},
		"an import from before a stop":                    {[]fact{at(1, imported), at(3, stop)}, false},
		"an import from before a stop that knew no topic": {[]fact{at(1, imported), at(3, elsewhere), at(3, stop)}, false},
		"an import from after a stop":                     {[]fact{at(1, stop), at(3, imported)}, true},
		"an answer to a question from before the stop":    {[]fact{at(1, asked), at(2, stop), at(3, yes)}, false},
		"a backend asks after the stop":                   {[]fact{at(1, stop), at(2, asked), at(3, yes)}, false},
		"two stops, and an import between":                {[]fact{at(1, stop), at(2, imported), at(3, stop)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(h *house) {
				for i, order := range permutations(c.facts) {
					who := h.customer(name + string(rune('a'+i)))
					for _, f := range order {
						f.CustomerID = who.ID
						err := h.try(func(tx *store.Tx) error { return tx.AddConsent(&f) })
						if f.Standing != punchcard.StandingGranted {
							require.NoError(h.t, err)
						} else if err != nil {
							require.ErrorIs(h.t, err, store.ErrStoppedSince)
						}
						log, err := h.view().Consents(who.ID, 0, 100)
						require.NoError(h.t, err)
						states, err := h.view().Standings(who.ID)
						require.NoError(h.t, err)
						var offers []punchcard.ConsentEntry
						for _, e := range log {
							if e.Topic == "offers" {
								offers = append(offers, e)
							}
						}
						require.Equal(h.t, punchcard.DeriveConsent(offers), orNone(states["offers"]), "the standing is in step with the log")
					}
					states, err := h.view().Standings(who.ID)
					require.NoError(h.t, err)
					require.Equal(h.t, c.granted, states["offers"].Standing == punchcard.StandingGranted, "order %d", i)
				}
			})
		})
	}
	t.Run("begun again by the customer", func(t *testing.T) {
		t.Parallel()
		each(t, func(h *house) {
			who := h.customer("again")
			for _, f := range []fact{at(1, stop), at(2, joined), at(3, yes)} {
				f.CustomerID = who.ID
				h.do(func(tx *store.Tx) error { return tx.AddConsent(&f) })
			}
			states, err := h.view().Standings(who.ID)
			require.NoError(h.t, err)
			require.Equal(h.t, punchcard.StandingGranted, states["offers"].Standing)
		})
	})
}

func orNone(s punchcard.ConsentState) punchcard.ConsentState {
	if s.Standing == "" {
		s.Standing = punchcard.StandingNone
	}
	return s
}

func permutations[T any](items []T) [][]T {
	if len(items) <= 1 {
		return [][]T{items}
	}
	var all [][]T
	for i := range items {
		rest := append(append([]T(nil), items[:i]...), items[i+1:]...)
		for _, p := range permutations(rest) {
			all = append(all, append([]T{items[i]}, p...))
		}
	}
	return all
}

// The one change that the log takes is the blanking that erasure needs, once, and it leaves what was agreed to.
func TestConsentErasure(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		h.do(func(tx *store.Tx) error {
			return tx.AddConsent(&punchcard.ConsentEntry{
				CustomerID: c.ID, Topic: "offers", Standing: punchcard.StandingGranted, Source: "api", Wording: "Hi Anna", ReplyID: "wamid", Reference: "form 7",
			})
		})
		const blank = "wording = '', message_id = '', reply_id = '', reference = '', import_key = NULL"
		for _, set := range []string{
			blank, "erased_at = CURRENT_TIMESTAMP", "erased_at = CURRENT_TIMESTAMP, standing = 'revoked', " + blank,
			"erased_at = CURRENT_TIMESTAMP, occurred_at = CURRENT_TIMESTAMP, " + blank, "erased_at = CURRENT_TIMESTAMP, topic = 'rewards', " + blank,
		} {
			require.ErrorContains(h.t, h.exec("UPDATE consent_entries SET "+set), "append-only", set)
		}
		require.NoError(h.t, h.exec("UPDATE consent_entries SET erased_at = CURRENT_TIMESTAMP, "+blank))
		require.ErrorContains(h.t, h.exec("UPDATE consent_entries SET erased_at = CURRENT_TIMESTAMP, "+blank), "append-only", "once")
		require.ErrorContains(h.t, h.exec("DELETE FROM consent_entries"), "append-only")
		if h.Dialect() == store.Postgres {
			require.ErrorContains(h.t, h.exec("TRUNCATE consent_entries CASCADE"), "append-only")
		}
	})
}
