package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPointsByHand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ida()
	const adjust, statement = "/v1/customers/external:c-17/points/adjust", "/v1/customers/external:c-17/points/statement"

	body := `{"points": 50, "reason": "out of order", "by": "Ida"}`
	for range 2 {
		require.EqualValues(t, 50, b.call(http.MethodPost, adjust, body, "Idempotency-Key", "once").is(http.StatusOK)["balance"], "the same key gives once")
	}
	b.post(adjust, `{"points": 0, "reason": "x", "by": "Ida"}`).is(http.StatusUnprocessableEntity)
	b.post(adjust, `{"points": 5, "by": "Ida"}`).is(http.StatusUnprocessableEntity)
	b.post(adjust, `{"points": 5, "reason": "x", "by": ""}`).is(http.StatusUnprocessableEntity)
	b.post(adjust, `{"points": -60, "reason": "x", "by": "Ida"}`).is(http.StatusConflict)
	after := b.post(adjust, `{"points": -60, "reason": "was wrong", "by": "Ida", "debt": true}`).is(http.StatusOK)
	require.EqualValues(t, 0, after["balance"])
	require.EqualValues(t, 10, after["debt"])
	require.EqualValues(t, 0, after["earned"])

	whole := b.get(statement).is(http.StatusOK)
	require.Nil(t, whole["next"])
	items := whole["items"].([]any)
	require.Len(t, items, 3)
	for i, want := range []map[string]any{
		{"text": "Given by Ida: out of order", "points": 50.0, "balance": 50.0, "debt": 0.0},
		{"text": "Taken by Ida: was wrong", "points": -50.0, "balance": 0.0, "debt": 0.0},
		{"text": "Owed by Ida: was wrong", "points": 0.0, "balance": 0.0, "debt": 10.0},
	} {
		line := items[i].(map[string]any)
		for name, v := range want {
			require.Equal(t, v, line[name], "%d %s", i, name)
		}
	}
	require.EqualValues(t, 10, whole["closing"].(map[string]any)["debt"])

	page := b.get(statement + "?limit=2").is(http.StatusOK)
	require.Len(t, page["items"], 2)
	rest := b.get(statement + "?limit=2&after=" + page["next"].(string)).is(http.StatusOK)
	require.Equal(t, items[2:], rest["items"])
	b.get(statement + "?after=x").is(http.StatusUnprocessableEntity)
	b.get(statement + "?from=2026-03-03T00:00:00Z&to=2026-03-02T00:00:00Z").is(http.StatusUnprocessableEntity)
	require.Empty(t, b.get(statement + "?to=2020-01-01T00:00:00Z").is(http.StatusOK)["items"])
	b.get("/v1/customers/external:nobody/points/statement").is(http.StatusNotFound)
}
