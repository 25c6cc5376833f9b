package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReferrals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, who := range []string{"a", "f"} {
		b.post("/v1/events", `{"id": "`+who+`", "name": "cart.emptied", "customer": {"external_id": "`+who+`"}, "properties": {"cart_id": "c"}}`).is(http.StatusAccepted)
	}
	own := b.get("/v1/customers/external:a/referral").is(http.StatusOK)
	code, _ := own["code"].(string)
	require.Len(t, code, 8)
	require.Nil(t, own["by"])
	require.Equal(t, own, b.get("/v1/customers/external:a/referral").is(http.StatusOK), "it stays")

	for range 2 {
		ref := b.post("/v1/customers/external:f/referral", `{"code": "`+code+`"}`).is(http.StatusOK)
		require.Equal(t, "attributed", ref["status"])
		require.Equal(t, "api", ref["source"])
	}
	require.Equal(t, "self", b.post("/v1/customers/external:a/referral", `{"code": "`+code+`"}`).is(http.StatusConflict)["reason"])
	require.Equal(t, "unknown_code", b.post("/v1/customers/external:a/referral", `{"code": "Robert'); DROP"}`).is(http.StatusConflict)["reason"])
	require.Equal(t, "unknown_customer", b.post("/v1/customers/external:x/referral", `{"code": "`+code+`"}`).is(http.StatusNotFound)["reason"])

	friends, _ := b.get("/v1/customers/external:a/referral").is(http.StatusOK)["friends"].(map[string]any)
	require.Equal(t, map[string]any{"attributed": 1.0, "completed": 0.0, "reversed": 0.0, "refused": 1.0}, friends)
	by, _ := b.get("/v1/customers/external:f/referral").is(http.StatusOK)["by"].(map[string]any)
	require.Equal(t, code, by["code"])

	page := b.get("/v1/referrals?status=refused&limit=1").is(http.StatusOK)
	items, _ := page["items"].([]any)
	require.Len(t, items, 1)
	first, _ := items[0].(map[string]any)
	require.Equal(t, "unknown_code", first["reason"])
	require.Empty(t, first["code"], "what is no code is not kept")
	next, _ := page["next"].(string)
	require.Contains(t, b.get("/v1/referrals?status=refused&after="+next).body, `"reason":"self"`)
}
