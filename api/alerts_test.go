package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

// TestAlerts lists what a person is to look at, and lets them say that they did.
func TestAlerts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Empty(t, b.get("/v1/alerts").is(http.StatusOK)["items"])
	for _, name := range []string{"cart", "gift", "cart"} {
		b.do(func(tx *store.Tx) error {
			return tx.RaiseAlert(punchcard.AlertTemplate, name, punchcard.SeverityWarning, "whatsapp_132001")
		})
	}
	page := b.get("/v1/alerts?limit=1").is(http.StatusOK)
	first := page["items"].([]any)[0].(map[string]any)
	require.Equal(t, "gift", first["subject"])
	page = b.get("/v1/alerts?limit=1&after=" + page["next"].(string)).is(http.StatusOK)
	second := page["items"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"template_refused", "cart", "warning", "whatsapp_132001", 2.0, nil},
		[]any{second["kind"], second["subject"], second["severity"], second["detail"], second["count"], second["closed_at"]})
	require.Nil(t, page["next"])

	path := "/v1/alerts/" + second["id"].(string) + "/close"
	b.post(path, `{"by": ""}`).is(http.StatusUnprocessableEntity)
	b.post(path, `{"by": "ma\u0000ria"}`).is(http.StatusUnprocessableEntity)
	require.Equal(t, "maria", b.post(path, `{"by": "maria"}`).is(http.StatusOK)["closed_by"])
	require.Equal(t, "closed", b.post(path, `{"by": "maria"}`).is(http.StatusConflict)["reason"])
	b.post("/v1/alerts/alr_x/close", `{"by": "maria"}`).is(http.StatusNotFound)
	require.Len(t, b.get("/v1/alerts").is(http.StatusOK)["items"], 1)
	require.Len(t, b.get("/v1/alerts?all=true").is(http.StatusOK)["items"], 2)
	b.get("/v1/alerts?after=x").is(http.StatusUnprocessableEntity)
}
