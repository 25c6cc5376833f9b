package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

const cart = `{"cart_id": "cart-9", "total": 42, "items": [{"name": "beans", "price": 42}]}`

// start is the body that starts a run for a customer.
func start(customer, properties string) string {
	return fmt.Sprintf(`{"customer": %s, "properties": %s}`, customer, properties)
}

func TestStartRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.ida()
	for i, customer := range []string{`"external:c-17"`, `"phone:+4520123456"`, `"+4520123456"`, fmt.Sprintf("%q", id), `{"external_id": "c-17"}`, `{"phone": "+45 20 12 34 56"}`, fmt.Sprintf(`{"id": %q}`, id)} {
		body := start(customer, strings.ReplaceAll(cart, "cart-9", fmt.Sprintf("cart-%d", i)))
		got := b.post("/v1/journeys/abandoned-cart/runs", body).is(http.StatusCreated)
		run := got["run_id"].(string)
		require.Equal(t, map[string]any{
			"run_id": run, "workflow_id": "abandoned-cart/" + run, "temporal_url": "http://temporal.example/abandoned-cart/" + run,
		}, got)
		problem := b.post("/v1/journeys/abandoned-cart/runs", body).is(http.StatusConflict)
		require.Equal(t, []any{"conflict", "live_run", run, "abandoned-cart/" + run}, []any{problem["code"], problem["reason"], problem["run_id"], problem["workflow_id"]})
	}
	require.Len(t, b.get("/v1/customers/" + id + "/runs").is(http.StatusOK)["items"], 8, "seven carts and the opt-in")
}

// TestStartRunRefused starts nothing and makes nobody.
func TestStartRunRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		journey, body string
		status        int
		field         any
		says          string
	}{
		"unknown journey":       {"abandoned-card", start(`"external:c-17"`, cart), http.StatusNotFound, nil, "no such journey"},
		"unknown customer":      {"abandoned-cart", start(`"external:nobody"`, cart), http.StatusNotFound, "customer", "nobody is known"},
		"unknown in an object":  {"abandoned-cart", start(`{"external_id": "nobody"}`, cart), http.StatusNotFound, "customer", "nobody is known"},
		"profile in the object": {"abandoned-cart", start(`{"external_id": "c-17", "name": "Eva"}`, cart), http.StatusUnprocessableEntity, "customer.name", "no such member"},
		"bad phone":             {"abandoned-cart", start(`{"phone": "31415926"}`, cart), http.StatusUnprocessableEntity, "customer.phone", "country code"},
		"empty customer":        {"abandoned-cart", start(`{}`, cart), http.StatusUnprocessableEntity, "customer", "say who"},
		"customer a number":     {"abandoned-cart", start(`17`, cart), http.StatusUnprocessableEntity, "customer", "expected value"},
		"no customer":           {"abandoned-cart", `{"properties": {}}`, http.StatusUnprocessableEntity, nil, "customer"},
		"property's type":       {"abandoned-cart", start(`"external:c-17"`, `{"cart_id": "1", "total": "42", "items": []}`), http.StatusUnprocessableEntity, "properties.total", "a number is expected"},
		"properties a list":     {"abandoned-cart", start(`"external:c-17"`, `[]`), http.StatusUnprocessableEntity, "properties", "object"},
		"unknown member":        {"abandoned-cart", `{"customer": "external:c-17", "propertys": {}}`, http.StatusUnprocessableEntity, "propertys", "unexpected"},
		"no JSON":               {"abandoned-cart", `customer=c-17`, http.StatusBadRequest, nil, "not JSON"},
		"not UTF-8":             {"abandoned-cart", start("\"external:\xff\"", cart), http.StatusBadRequest, nil, "not UTF-8"},
		"nothing":               {"abandoned-cart", ``, http.StatusBadRequest, nil, "body"},
		"too large":             {"abandoned-cart", start(`"external:c-17"`, `{"cart_id": "`+strings.Repeat("x", 300<<10)+`"}`), http.StatusRequestEntityTooLarge, nil, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			id := b.ida()
			r := b.post("/v1/journeys/"+test.journey+"/runs", test.body)
			problem := r.is(test.status)
			require.Equal(t, test.field, problem["field"])
			require.Contains(t, problem["detail"], test.says)
			require.NotContains(t, r.body, "31415926")
			require.Equal(t, 1, b.customers())
			require.Len(t, b.get("/v1/customers/" + id + "/runs").is(http.StatusOK)["items"], 1)
		})
	}
}

// TestRun looks at a run with what it has done, and lets one that is stuck try again.
func TestRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.ida()
	run := b.post("/v1/journeys/abandoned-cart/runs", start(`"external:c-17"`, cart)).is(http.StatusCreated)["run_id"].(string)
	got := b.get("/v1/runs/" + run).is(http.StatusOK)
	require.Equal(t, []any{run, "abandoned-cart", 1.0, id, "live", "cart-9", "2026-03-02T10:00:00Z", []any{}, nil},
		[]any{got["id"], got["journey"], got["version"], got["customer_id"], got["status"], got["key"], got["waiting_until"], got["story"], got["ended_at"]})
	require.Contains(t, got["step"], "wait")

	require.Equal(t, "not_stuck", b.post("/v1/runs/"+run+"/retry", "").is(http.StatusConflict)["reason"])
	b.do(func(tx *store.Tx) error {
		r, err := tx.LockRun(run)
		if err != nil {
			return err
		}
		r.Status, r.Reason = punchcard.RunStuck, "no_codes"
		if err := tx.AddStep(&punchcard.RunStep{RunID: run, Step: 1, Node: "2", Label: "send cart_reminder", Outcome: "sent", Code: "accepted", Result: []byte("{}")}); err != nil {
			return err
		}
		return tx.SaveRun(r)
	})
	got = b.get("/v1/runs/" + run).is(http.StatusOK)
	require.Equal(t, "no_codes", got["reason"])
	require.Equal(t, []any{map[string]any{
		"step": 1.0, "node": "2", "label": "send cart_reminder", "outcome": "sent", "code": "accepted", "at": "2026-03-02T09:00:00Z",
	}}, got["story"])
	require.Equal(t, map[string]any{"run_id": run, "status": "live"}, b.post("/v1/runs/"+run+"/retry", "").is(http.StatusAccepted))
	b.post("/v1/runs/"+run+"/retry", "").is(http.StatusConflict)

	for _, unknown := range []string{punchcard.NewID("run"), "x", "%00"} {
		b.get("/v1/runs/" + unknown).is(http.StatusNotFound)
		b.post("/v1/runs/"+unknown+"/retry", "").is(http.StatusNotFound)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ida()
	run := b.post("/v1/journeys/abandoned-cart/runs", start(`"external:c-17"`, cart)).is(http.StatusCreated)["run_id"].(string)
	b.post("/v1/journeys/nothing/pause", "").is(http.StatusNotFound)
	b.post("/v1/journeys/nothing/resume", "").is(http.StatusNotFound)
	b.post("/v1/journeys/abandoned-cart/pause", `{"reason": "`+strings.Repeat("x", 2001)+`"}`).is(http.StatusUnprocessableEntity)
	paused := func() (names []string) {
		for _, j := range b.get("/v1/program").is(http.StatusOK)["journeys"].([]any) {
			if j := j.(map[string]any); j["paused"] == true {
				names = append(names, j["name"].(string))
			}
		}
		return names
	}
	require.Empty(t, paused())
	require.Equal(t, map[string]any{"journey": "abandoned-cart", "paused": true, "held": 0.0, "resumed": 0.0},
		b.post("/v1/journeys/abandoned-cart/pause", `{"reason": "wrong price"}`).is(http.StatusOK))
	require.Equal(t, []string{"abandoned-cart"}, paused())
	b.do(func(tx *store.Tx) error {
		r, err := tx.LockRun(run)
		if err != nil {
			return err
		}
		r.Status = punchcard.RunHeld
		return tx.SaveRun(r)
	})
	require.EqualValues(t, 1, b.post("/v1/journeys/abandoned-cart/pause", "").is(http.StatusOK)["held"])
	require.Equal(t, map[string]any{"journey": "abandoned-cart", "paused": false, "held": 0.0, "resumed": 1.0},
		b.post("/v1/journeys/abandoned-cart/resume", "").is(http.StatusOK))
	require.Empty(t, paused())
}

func TestProgram(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := b.get("/v1/program").is(http.StatusOK)
	require.Equal(t, "Bean & Bloom Rewards", got["name"])
	require.EqualValues(t, 1, got["version"])
	require.Len(t, got["hash"], 64)
	require.Len(t, got["journeys"], 6)
	require.Equal(t, map[string]any{"name": "abandoned-cart", "title": got["journeys"].([]any)[0].(map[string]any)["title"], "enters": []any{"cart.updated"}, "paused": false}, got["journeys"].([]any)[0])
	require.Contains(t, got["rewards"], map[string]any{
		"name": "free-coffee", "kind": "gift_card", "title": "A free coffee", "cost": 250.0, "value": 4.5, "codes": "pool", "captured_by": "till",
	})
	require.Equal(t, map[string]any{"name": "offers", "title": "Offers and early access, at most two a week"}, got["topics"].([]any)[0])
}
