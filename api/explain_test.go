package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

// TestExplain pages through what was decided of a customer's messages.
func TestExplain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.ida()
	b.do(func(tx *store.Tx) error {
		until := tx.Now.Add(9 * time.Hour)
		for _, d := range []punchcard.MessageDecision{
			{CustomerID: c, MessageID: "msg_1", Journey: "cart", Template: "cart_reminder", Verdict: punchcard.VerdictDefer, Reason: "quiet_hours", Until: &until,
				Facts: punchcard.DecisionFacts{Zone: "Europe/Copenhagen", Local: "Mon 2026-11-23 22:00", Quiet: "21:00 to 09:00"}},
			{CustomerID: c, MessageID: "msg_1", Journey: "cart", Template: "cart_reminder", Verdict: punchcard.VerdictSend},
		} {
			if err := tx.AddDecision(&d); err != nil {
				return err
			}
		}
		return nil
	})
	path := "/v1/customers/" + c + "/explain"
	page := b.get(path + "?limit=1").is(http.StatusOK)
	first := page["items"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"defer", "quiet_hours", "It is night for the customer, Mon 2026-11-23 22:00: quiet hours are 21:00 to 09:00."},
		[]any{first["decision"], first["reason"], first["rule"]})
	require.Contains(t, first["change"], "in Europe/Copenhagen")
	page = b.get(path + "?limit=1&after=" + page["next"].(string)).is(http.StatusOK)
	require.Equal(t, "send", page["items"].([]any)[0].(map[string]any)["decision"])
	require.Nil(t, page["next"])
	require.Empty(t, b.get(path + "?from=2126-01-01T00:00:00Z").is(http.StatusOK)["items"])
	require.Len(t, b.get(path + "?to=2126-01-01T00:00:00Z").is(http.StatusOK)["items"], 2)
	b.get(path + "?from=yesterday").is(http.StatusUnprocessableEntity)
	b.get(path + "?after=x").is(http.StatusUnprocessableEntity)
	b.get("/v1/customers/cus_x/explain").is(http.StatusNotFound)
}

// TestHygiene lists the days' rounds, newest first.
func TestHygiene(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Empty(t, b.get("/v1/hygiene").is(http.StatusOK)["items"])
	b.do(func(tx *store.Tx) error {
		for _, day := range []string{"2026-11-22", "2026-11-23"} {
			if _, err := tx.HygieneRound(day); err != nil {
				return err
			}
			if err := tx.HygieneCounted(punchcard.HygieneRound{Day: day, LookedAt: 3, Expired: 1}); err != nil {
				return err
			}
		}
		_, err := tx.EndHygiene("2026-11-22", 5)
		return err
	})
	page := b.get("/v1/hygiene?limit=1").is(http.StatusOK)
	first := page["items"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"2026-11-23", 3.0, 1.0, nil}, []any{first["day"], first["looked_at"], first["expired"], first["ended_at"]})
	page = b.get("/v1/hygiene?after=" + page["next"].(string)).is(http.StatusOK)
	require.Len(t, page["items"], 1)
	require.NotNil(t, page["items"].([]any)[0].(map[string]any)["ended_at"])
	b.get("/v1/hygiene?after=x").is(http.StatusUnprocessableEntity)
}
