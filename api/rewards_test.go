package api_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

// TestRewards reads the catalog, gives a reward by hand once, and shows its code whole only to whoever says who and why.
func TestRewards(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ida()
	const give = "/v1/customers/external:c-17/grants"
	b.post(give, `{"reward": "free-coffee", "by": "Maria", "reason": "the machine was broken"}`).is(http.StatusConflict)
	b.do(func(tx *store.Tx) error {
		_, err := tx.PoolCodes("free-coffee", []string{"SECRETCODE7", "SECRETCODE8"})
		return err
	})
	body := `{"reward": "free-coffee", "by": "Maria", "reason": "the machine was broken"}`
	given := b.call(http.MethodPost, give, body, "Idempotency-Key", "once").is(http.StatusCreated)
	again := b.call(http.MethodPost, give, body, "Idempotency-Key", "once").is(http.StatusCreated)
	require.Equal(t, given["id"], again["id"])
	require.Equal(t, "given", given["status"])
	require.Equal(t, "Maria", given["by"])
	require.Equal(t, "the machine was broken", given["reason"])
	require.Regexp(t, `^•{7}ODE[78]$`, given["code"])
	grant := "/v1/grants/" + given["id"].(string)

	for name, test := range map[string]struct {
		body   string
		status int
		reason string
	}{
		"no reward":     {`{"reward": "gold-bar", "by": "Maria", "reason": "x"}`, http.StatusNotFound, "unknown_reward"},
		"nobody":        {`{"reward": "free-coffee", "by": " ", "reason": "x"}`, http.StatusUnprocessableEntity, ""},
		"for no reason": {`{"reward": "free-coffee", "by": "Maria"}`, http.StatusUnprocessableEntity, ""},
		"not eligible":  {`{"reward": "tasting", "by": "Maria", "reason": "x"}`, http.StatusConflict, "not_eligible"},
	} {
		reason, _ := b.post(give, test.body).is(test.status)["reason"].(string)
		require.Equal(t, test.reason, reason, name)
	}

	look := b.get(grant)
	require.Equal(t, []any{}, look.is(http.StatusOK)["revealed"])
	b.post(grant+"/reveal", `{"by": "Maria"}`).is(http.StatusUnprocessableEntity)
	b.post(grant+"/reveal", `{"by": "", "reason": "x"}`).is(http.StatusUnprocessableEntity)
	b.post("/v1/grants/"+punchcard.NewID("grt")+"/reveal", `{"by": "Maria", "reason": "x"}`).is(http.StatusNotFound)
	code := b.post(grant+"/reveal", `{"by": "Maria", "reason": "the phone is lost"}`).is(http.StatusOK)["code"]
	require.Regexp(t, `^SECRETCODE[78]$`, code)
	seen := b.get(grant).is(http.StatusOK)["revealed"].([]any)
	require.Len(t, seen, 1)
	require.Equal(t, "the phone is lost", seen[0].(map[string]any)["reason"])

	coffee := b.get("/v1/rewards/free-coffee")
	require.Subset(t, coffee.is(http.StatusOK), map[string]any{
		"given": 1.0, "held": 0.0, "captured": 0.0, "free_codes": 1.0, "budget": 5000.0, "budget_used": 4.5, "codes": "pool", "stopped": false,
		"title": map[string]any{"en": "A free coffee", "da": "En gratis kaffe"},
	})
	require.EqualValues(t, 200, b.get("/v1/rewards/barista-course").is(http.StatusOK)["stock"])
	require.Equal(t, `customer.tier == "gold"`, b.get("/v1/rewards/tasting").is(http.StatusOK)["eligible"])
	all := b.get("/v1/rewards")
	require.Len(t, all.is(http.StatusOK)["items"], 9)
	b.get("/v1/rewards/none").is(http.StatusNotFound)

	list := b.get(give)
	for _, text := range []string{list.body, look.body, coffee.body, all.body, b.get("/v1/customers/external:c-17").body, b.log.String()} {
		require.NotContains(t, text, "SECRETCODE")
	}
}

// TestContent follows a customer's own link without a key.
func TestContent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ida()
	require.NoError(t, fence.SetPublicURL(t.Context(), b.store, "https://rewards.example.com"))
	given := b.post("/v1/customers/external:c-17/grants", `{"reward": "latte-art", "by": "Maria", "reason": "thanks"}`).is(http.StatusCreated)
	token, err := b.store.View(t.Context()).LinkToken(given["id"].(string))
	require.NoError(t, err)
	open := b.send(httptest.NewRequest(http.MethodGet, "/c/"+token, nil))
	require.Equal(t, http.StatusFound, open.status)
	require.Equal(t, "https://beanandbloom.example/latte-art", open.header.Get("Location"))
	require.Equal(t, "no-store", open.header.Get("Cache-Control"))
	other := b.send(httptest.NewRequest(http.MethodGet, "/c/"+token[:len(token)-2]+"xx", nil))
	require.Equal(t, http.StatusNotFound, other.status)
	require.Contains(t, other.body, "There is nothing at this address.")
	b.clock.Advance(31 * 24 * time.Hour)
	over := b.send(httptest.NewRequest(http.MethodGet, "/c/"+token, nil))
	require.Equal(t, http.StatusGone, over.status)
	require.Contains(t, over.body, "expired")
	require.Empty(t, over.header.Get("Location"))
}
