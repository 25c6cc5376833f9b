package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

// TestAccount shows an open circuit, and closes it once.
func TestAccount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	account := b.get("/v1/account").is(http.StatusOK)
	require.Equal(t, false, account["circuit"].(map[string]any)["open"])
	require.Nil(t, account["daily_limit"])
	b.do(func(tx *store.Tx) error { return tx.OpenCircuit(punchcard.CircuitMarketing, "restricted", nil) })
	marketing := b.get("/v1/account").is(http.StatusOK)["marketing"].(map[string]any)
	require.Equal(t, []any{true, "restricted", nil, 0.0}, []any{marketing["open"], marketing["reason"], marketing["until"], marketing["held"]})
	const path = "/v1/account/circuit/close"
	require.Equal(t, "not_open", b.post(path, `{"by": "maria"}`).is(http.StatusConflict)["reason"])
	b.post(path, `{"scope": "some", "by": "maria"}`).is(http.StatusUnprocessableEntity)
	require.Zero(t, b.post(path, `{"scope": "marketing", "by": "maria"}`).is(http.StatusOK)["resumed"])
	require.Empty(t, b.get("/v1/alerts").is(http.StatusOK)["items"], "its alert is closed with it")
	b.post(path, `{"scope": "marketing", "by": "maria"}`).is(http.StatusConflict)

	require.Empty(t, b.get("/v1/messages?status=unknown").is(http.StatusOK)["items"])
	b.get("/v1/messages?status=read").is(http.StatusUnprocessableEntity)
}
