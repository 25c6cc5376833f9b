package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

func TestRedemption(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.ida()
	got := b.post("/v1/redemptions", `{"customer": "external:c-17", "reward": "free-coffee"}`).is(http.StatusAccepted)
	redemption := got["redemption_id"].(string)
	view := b.get("/v1/redemptions/" + redemption).is(http.StatusOK)
	require.Equal(t, []any{redemption, id, "free-coffee", "requested", "", nil}, []any{view["id"], view["customer_id"], view["reward"], view["status"], view["code"], view["ended_at"]})
	b.route()
	require.Len(t, b.get("/v1/customers/" + id + "/runs").is(http.StatusOK)["items"], 2, "the opt-in and the redemption")

	for name, test := range map[string]struct {
		body   string
		status int
		reason any
	}{
		"unknown reward":   {`{"customer": "external:c-17", "reward": "free-tea"}`, http.StatusNotFound, "unknown_reward"},
		"not for points":   {`{"customer": "external:c-17", "reward": "welcome-10"}`, http.StatusUnprocessableEntity, "not_for_points"},
		"unknown customer": {`{"customer": "external:nobody", "reward": "free-coffee"}`, http.StatusNotFound, "unknown_customer"},
		"no reward":        {`{"customer": "external:c-17"}`, http.StatusUnprocessableEntity, nil},
		"no JSON":          {`reward`, http.StatusBadRequest, "malformed"},
	} {
		require.Equal(t, test.reason, b.post("/v1/redemptions", test.body).is(test.status)["reason"], name)
	}
	require.Equal(t, 1, b.customers())
	for _, who := range []string{id, "external:c-17", "%2B4520123456", "+4520123456", "phone:+4520123456", "phone:%2B4520123456"} {
		require.Len(t, b.get("/v1/redemptions?customer=" + who).is(http.StatusOK)["items"], 1, who)
		require.Empty(t, b.get("/v1/refusals?customer=" + who).is(http.StatusOK)["items"], who)
		require.Empty(t, b.get("/v1/referrals?customer=" + who).is(http.StatusOK)["items"], who)
	}
	require.Equal(t, "unknown_customer", b.get("/v1/redemptions?customer=4520123456").is(http.StatusNotFound)["reason"])
	b.get("/v1/redemptions/" + punchcard.NewID("rdm")).is(http.StatusNotFound)
	b.get("/v1/redemptions/capture").is(http.StatusNotFound)
}

// grant gives a customer a reward with a code.
func (b *bundle) grant(customer, code string, change func(*punchcard.Grant)) *punchcard.Grant {
	b.t.Helper()
	expires := monday.Add(time.Hour)
	g := &punchcard.Grant{ID: punchcard.NewID("grt"), CustomerID: customer, Reward: "free-coffee", Version: 1, CapturedBy: "till", Status: punchcard.GrantGiven, Value: 4.5, ExpiresAt: &expires}
	if change != nil {
		change(g)
	}
	b.do(func(tx *store.Tx) error {
		if err := tx.AddGrant(g); err != nil {
			return err
		}
		if _, err := tx.AddCode(code, g.Reward, g.ID); err != nil {
			return err
		}
		return tx.SetGrantCode(g, code)
	})
	return g
}

// TestCapture uses a code once, however it is typed, and says why another cannot be used.
func TestCapture(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.ida()
	good := b.grant(id, "GOOD1234", nil)
	b.grant(id, "SHIPPING", func(g *punchcard.Grant) { g.Reward, g.CapturedBy = "free-shipping", "order.placed" })
	b.grant(id, "OLD12345", func(g *punchcard.Grant) { g.ExpiresAt = &monday })
	void := b.grant(id, "VOID1234", nil)
	b.do(func(tx *store.Tx) error {
		_, err := tx.ReleaseGrant(void)
		return err
	})
	used := b.post("/v1/redemptions/capture", `{"code": " good-1234 "}`).is(http.StatusOK)
	require.Equal(t, map[string]any{
		"capture_id": used["capture_id"], "redemption_id": "", "grant_id": good.ID, "reward": "free-coffee", "value": 4.5, "amount": 4.5, "left": 0.0,
		"status": "captured", "captured_at": "2026-03-02T09:00:00Z",
	}, used)
	for code, test := range map[string]struct {
		status int
		reason any
	}{
		"GOOD1234": {http.StatusConflict, "already_captured"},
		"SHIPPING": {http.StatusConflict, "not_at_till"},
		"OLD12345": {http.StatusGone, "expired"},
		"VOID1234": {http.StatusGone, "released"},
		"NOBODYS1": {http.StatusNotFound, "unknown_code"},
		`a\u0000b`: {http.StatusNotFound, "unknown_code"},
		"":         {http.StatusUnprocessableEntity, nil},
		"--":       {http.StatusUnprocessableEntity, nil},
	} {
		r := b.post("/v1/redemptions/capture", `{"code": "`+code+`"}`)
		require.Equal(t, test.reason, r.is(test.status)["reason"], code)
		if code != "" && code != "--" {
			require.NotContains(t, r.body, code)
		}
	}
	b.post("/v1/redemptions/capture", `{"code": 5}`).is(http.StatusUnprocessableEntity)
	b.post("/v1/redemptions/capture", `{}`).is(http.StatusUnprocessableEntity)
	require.NotContains(t, b.log.String(), "GOOD1234")
}

// TestCodes fills a pool. One bad code refuses them all.
func TestCodes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, map[string]any{"added": 2.0, "duplicates": 1.0, "free": 2.0},
		b.post("/v1/rewards/free-coffee/codes", `{"codes": ["coffee-0001", "COFFEE0002", "COFFEE 0001"]}`).is(http.StatusOK))
	require.Equal(t, map[string]any{"added": 1.0, "duplicates": 1.0, "free": 3.0},
		b.post("/v1/rewards/free-coffee/codes", `{"codes": ["COFFEE0002", "COFFEE0003"]}`).is(http.StatusOK))
	for name, test := range map[string]struct {
		reward, body string
		status       int
		field        any
	}{
		"unknown reward": {"free-tea", `{"codes": ["COFFEE0009"]}`, http.StatusNotFound, nil},
		"no pool":        {"welcome-10", `{"codes": ["COFFEE0009"]}`, http.StatusUnprocessableEntity, nil},
		"too short":      {"free-coffee", `{"codes": ["COFFEE0009", "A-B-C"]}`, http.StatusUnprocessableEntity, "codes[1]"},
		"too long":       {"free-coffee", `{"codes": ["COFFEE0009", "0123456789ABCDEF"]}`, http.StatusUnprocessableEntity, "codes[1]"},
		"strange":        {"free-coffee", `{"codes": ["COFFEE0009", "CAFÉ00009"]}`, http.StatusUnprocessableEntity, "codes[1]"},
		"a number":       {"free-coffee", `{"codes": ["COFFEE0009", 12345]}`, http.StatusUnprocessableEntity, "codes[1]"},
		"none":           {"free-coffee", `{"codes": []}`, http.StatusUnprocessableEntity, "codes"},
		"null":           {"free-coffee", `{"codes": null}`, http.StatusUnprocessableEntity, "codes"},
		"too many":       {"free-coffee", `{"codes": ["COFFEE0009"` + strings.Repeat(`, "COFFEE0009"`, 10_000) + `]}`, http.StatusUnprocessableEntity, "codes"},
	} {
		r := b.post("/v1/rewards/"+test.reward+"/codes", test.body)
		require.Equal(t, test.field, r.is(test.status)["field"], name)
		require.NotContains(t, r.body, "COFFEE0009")
	}
	free, err := b.store.View(t.Context()).FreeCodes("free-coffee")
	require.NoError(t, err)
	require.EqualValues(t, 3, free)
}

// question stores a question to a person that a run waits for.
func (b *bundle) question() string {
	b.t.Helper()
	b.post("/v1/redemptions", `{"customer": "external:c-17", "reward": "barista-course"}`).is(http.StatusAccepted)
	b.route()
	runs := b.get("/v1/customers/external:c-17/runs").is(http.StatusOK)["items"].([]any)
	a := &punchcard.Approval{ID: punchcard.NewID("apr"), RunID: runs[0].(map[string]any)["id"].(string), Step: 2, Title: "A barista course"}
	b.do(func(tx *store.Tx) error {
		r, err := tx.LockRun(a.RunID)
		if err != nil {
			return err
		}
		_, j, err := b.fence.Catalog.Journey(b.t.Context(), r.Version, r.Journey)
		if err != nil {
			return err
		}
		for node, n := range j.Plan.Nodes {
			if n.Kind == rules.KindDecision {
				r.Node, r.Listener = node, &punchcard.Listener{Node: node, Scope: n.Scope, Since: tx.Now, Deadline: tx.Now.Add(n.For)}
			}
		}
		a.CustomerID = r.CustomerID
		if err := tx.AddApproval(a); err != nil {
			return err
		}
		return tx.SaveRun(r)
	})
	return a.ID
}

func TestApproval(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ida()
	id := b.question()
	pending := b.get("/v1/approvals?status=pending").is(http.StatusOK)["items"].([]any)
	require.Len(t, pending, 1)
	require.Equal(t, []any{id, "A barista course", "pending"}, []any{pending[0].(map[string]any)["id"], pending[0].(map[string]any)["title"], pending[0].(map[string]any)["status"]})
	for name, body := range map[string]string{
		"no decision": `{"by": "maria"}`, "another word": `{"decision": "maybe", "by": "maria"}`, "nobody": `{"decision": "approve", "by": " "}`,
		"no by": `{"decision": "approve"}`, "unknown member": `{"decision": "approve", "by": "maria", "force": true}`,
	} {
		b.post("/v1/approvals/"+id, body).is(http.StatusUnprocessableEntity)
		require.Len(t, b.get("/v1/approvals?status=pending").is(http.StatusOK)["items"], 1, name)
	}
	got := b.post("/v1/approvals/"+id, `{"decision": "reject", "by": "maria", "note": "too new"}`).is(http.StatusOK)
	require.Equal(t, []any{"rejected", "maria", "too new", "2026-03-02T09:00:00Z"}, []any{got["status"], got["by"], got["note"], got["decided_at"]})
	require.Equal(t, "rejected", b.post("/v1/approvals/"+id, `{"decision": "approve", "by": "maria"}`).is(http.StatusConflict)["reason"])
	require.Empty(t, b.get("/v1/approvals?status=pending").is(http.StatusOK)["items"])
	require.Len(t, b.get("/v1/approvals").is(http.StatusOK)["items"], 1)
	b.get("/v1/approvals?status=all").is(http.StatusUnprocessableEntity)
	b.post("/v1/approvals/apr_x", `{"decision": "approve", "by": "maria"}`).is(http.StatusNotFound)
}

// redemptions counts the customer's wishes by the events that they raised.
func (b *bundle) redemptions() int {
	b.t.Helper()
	b.route()
	c := b.get("/v1/customers/external:c-17").is(http.StatusOK)["id"].(string)
	n, err := b.store.View(b.t.Context()).Total(c, punchcard.EventRedemptionRequested, "", 0)
	require.NoError(b.t, err)
	return int(n)
}

// TestIdempotency gives the same answer again, and does nothing twice.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	const wish = `{"customer": "external:c-17", "reward": "free-coffee"}`
	b := setup(t)
	b.ida()
	send := func(path, body, key string) reply {
		return b.call(http.MethodPost, path, body, "Idempotency-Key", key)
	}
	first := send("/v1/redemptions", wish, "k-1")
	first.is(http.StatusAccepted)
	again := send("/v1/redemptions", wish, "k-1")
	again.is(http.StatusAccepted)
	require.Equal(t, first.body, again.body)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, 1, b.redemptions())
	require.Equal(t, "key_reused", send("/v1/redemptions", strings.ReplaceAll(wish, "free-coffee", "barista-course"), "k-1").is(http.StatusUnprocessableEntity)["reason"])
	require.Equal(t, 1, b.redemptions())
	require.NotEqual(t, first.body, send("/v1/redemptions", wish, "k-2").body)
	require.Equal(t, 2, b.redemptions())

	// The keys of one route are not those of another, and an answer that says no is the same again too.
	run := send("/v1/journeys/abandoned-cart/runs", start(`"external:c-17"`, cart), "k-1")
	run.is(http.StatusCreated)
	require.Equal(t, run.body, send("/v1/journeys/abandoned-cart/runs", start(`"external:c-17"`, cart), "k-1").body)
	live := send("/v1/journeys/abandoned-cart/runs", start(`"external:c-17"`, cart), "k-3")
	require.Equal(t, "live_run", live.is(http.StatusConflict)["reason"])
	liveAgain := send("/v1/journeys/abandoned-cart/runs", start(`"external:c-17"`, cart), "k-3")
	liveAgain.is(http.StatusConflict)
	require.Equal(t, live.body, liveAgain.body)

	// What was not of the form did nothing: the same key serves when it is put right.
	send("/v1/redemptions", `{"customer": "external:c-17"}`, "k-4").is(http.StatusUnprocessableEntity)
	send("/v1/redemptions", wish, "k-4").is(http.StatusAccepted)

	for _, bad := range []string{strings.Repeat("k", 201), "a b", "ø"} {
		send("/v1/redemptions", wish, bad).is(http.StatusUnprocessableEntity)
	}
	send("/v1/redemptions", strings.Repeat("x", 300<<10), "k-5").is(http.StatusRequestEntityTooLarge)
	require.Equal(t, 3, b.redemptions())

	id := b.question()
	reject := send("/v1/approvals/"+id, `{"decision": "reject", "by": "maria"}`, "k-1")
	reject.is(http.StatusOK)
	require.Equal(t, reject.body, send("/v1/approvals/"+id, `{"decision": "reject", "by": "maria"}`, "k-1").body)
}

// TestIdempotencyAtOnce sends the same request many times at once: it is done once.
func TestIdempotencyAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ida()
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	for range 8 {
		wg.Go(func() {
			r := b.call(http.MethodPost, "/v1/redemptions", `{"customer": "external:c-17", "reward": "free-coffee"}`, "Idempotency-Key", "same")
			mu.Lock()
			defer mu.Unlock()
			seen[fmt.Sprint(r.status)]++
		})
	}
	wg.Wait()
	require.Equal(t, 8, seen["202"]+seen["409"], "%v", seen)
	require.Positive(t, seen["202"])
	require.Equal(t, 1, b.redemptions())
}

// TestIdempotencyAfterPanic still answers a problem, and keeps nothing.
func TestIdempotencyAfterPanic(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ida()
	b.options.Dispatch = nil // whoever uses it panics
	whole := b.handler
	b.handler = newHandler(b)
	b.call(http.MethodPost, "/v1/redemptions", `{"customer": "external:c-17", "reward": "free-coffee"}`, "Idempotency-Key", "k").is(http.StatusInternalServerError)
	b.handler = whole
	b.call(http.MethodPost, "/v1/redemptions", `{"customer": "external:c-17", "reward": "free-coffee"}`, "Idempotency-Key", "k").is(http.StatusAccepted)
}
