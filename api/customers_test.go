package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

// TestCustomer looks at one by each of her names, however their signs are escaped.
func TestCustomer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.ida()
	want := map[string]any{
		"id": id, "name": "Ida", "language": "da", "timezone": "", "country": "DK", "tier": "bronze", "labels": []any{},
		"attributes": map[string]any{"first_name": "Ida", "vip": true},
		"identities": []any{
			map[string]any{"kind": "external", "value": "c-17"},
			map[string]any{"kind": "phone", "value": "+4520123456"},
		},
		"since":    "2026-03-02T09:00:00Z",
		"points":   map[string]any{"balance": 0.0, "pending": 0.0, "held": 0.0, "debt": 0.0, "earned": 0.0, "expiring": 0.0},
		"consents": map[string]any{"offers": "requested", "reminders": "requested", "rewards": "requested"},
	}
	for _, ref := range []string{id, "external:c-17", "external%3Ac-17", "phone:+4520123456", "phone:%2B4520123456", "phone%3A%2B4520123456", "phone%3A+4520123456", "+4520123456", "%2B4520123456"} {
		require.Equal(t, want, b.get("/v1/customers/"+ref).is(http.StatusOK), ref)
	}
	require.NotContains(t, b.log.String(), "4520123456")
	require.NotContains(t, b.log.String(), key)
}

// TestCustomerOddNames looks at customers whose backend has strange names for them.
func TestCustomerOddNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, name := range []string{"shop/1", "a b", "a+b", "50%", "ø", "../x", "a?b#c", "external:x", ":", "runs"} {
		b.post("/v1/events", fmt.Sprintf(`{"id": "odd-%d", "name": "order.placed", "customer": {"external_id": %q}, "properties": {"order_id": "1", "total": 1}}`, i, name)).is(http.StatusAccepted)
		got := b.get("/v1/customers/external:" + url.PathEscape(name)).is(http.StatusOK)
		require.Equal(t, name, got["identities"].([]any)[0].(map[string]any)["value"])
		b.get("/v1/customers/external:" + url.PathEscape(name) + "/runs").is(http.StatusOK)
	}
}

func TestCustomerUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ida()
	for ref, status := range map[string]int{
		punchcard.NewID("cus"): http.StatusNotFound,
		"cus_nobody":           http.StatusNotFound,
		"ida":                  http.StatusNotFound,
		"external:nobody":      http.StatusNotFound,
		"phone:+4520999999":    http.StatusNotFound,
		"phone:31415926":       http.StatusUnprocessableEntity,
		"phone:":               http.StatusUnprocessableEntity,
		"external:":            http.StatusUnprocessableEntity,
		"external:a%01b":       http.StatusUnprocessableEntity,
		"external:%00":         http.StatusNotFound,
	} {
		for _, below := range []string{"", "/runs", "/messages", "/consents", "/points", "/grants"} {
			r := b.get("/v1/customers/" + ref + below)
			r.is(status)
			require.NotContains(t, r.body, "31415926")
		}
	}
}

// TestCustomersPages walks a list page by page.
func TestCustomersPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 5 {
		b.post("/v1/events", fmt.Sprintf(`{"id": "e-%d", "name": "order.placed", "customer": {"external_id": "c-%d"}, "properties": {"order_id": "1", "total": 1}}`, i, i)).is(http.StatusAccepted)
	}
	var seen []string
	after := ""
	for range 3 {
		page := b.get("/v1/customers?limit=2&after=" + after).is(http.StatusOK)
		for _, item := range page["items"].([]any) {
			seen = append(seen, item.(map[string]any)["identities"].([]any)[0].(map[string]any)["value"].(string))
		}
		after, _ = page["next"].(string)
	}
	require.Empty(t, after)
	require.Equal(t, []string{"c-0", "c-1", "c-2", "c-3", "c-4"}, seen)
	for _, query := range []string{"limit=0", "limit=201", "limit=x", "limit=-1", "after=x", "after=Y3VzXzE", "aftr=x"} {
		b.get("/v1/customers?" + query).is(http.StatusUnprocessableEntity)
	}
	b.get("/v1/customers/external:c-1/consents?after=" + "LTE").is(http.StatusUnprocessableEntity)
	b.get("/v1/customers/external:c-1/points?after=" + "eA").is(http.StatusUnprocessableEntity)
}

// TestCustomerLists reads each list below a customer. A reward's code is shown in none.
func TestCustomerLists(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.ida()
	wamid := "wamid.1"
	expires := monday.Add(60 * 24 * time.Hour)
	run := punchcard.NewID("run")
	b.do(func(tx *store.Tx) error {
		g := &punchcard.Grant{ID: punchcard.NewID("grt"), CustomerID: id, Reward: "free-coffee", Version: 1, Code: punchcard.MaskCode("COFFEE7Q2K"), CapturedBy: "till", Status: punchcard.GrantGiven, Cost: 0, Value: 4.5, ExpiresAt: &expires}
		if err := tx.AddGrant(g); err != nil {
			return err
		}
		for _, m := range []*punchcard.Message{
			{ID: punchcard.NewID("msg"), CustomerID: id, Direction: punchcard.Inbound, Kind: "text", Text: "hello", Wamid: &wamid, Status: punchcard.MessageReceived},
			{ID: punchcard.NewID("msg"), CustomerID: id, RunID: run, Step: 1, Direction: punchcard.Outbound, Kind: "template", Template: "reward_code", Text: "Your code is ••••••7Q2K.", GrantID: g.ID, Status: punchcard.MessageFailed, Reason: "whatsapp_131026", ErrorCode: 131026},
		} {
			if _, err := tx.AddMessage(m); err != nil {
				return err
			}
		}
		if err := tx.AddConsent(&punchcard.ConsentEntry{
			CustomerID: id, Topic: "offers", Standing: punchcard.StandingGranted, Source: "reply", Channel: punchcard.ChannelWhatsApp, Wording: "Hi Ida", WordingLanguage: "da", WordingVersion: "v1",
			MessageID: "msg_1", ReplyID: "wamid.1", RunID: run,
		}); err != nil {
			return err
		}
		_, _, err := tx.Earn(id, 300, "order.placed", "o-1", "earn/1", tx.Now, &expires)
		return err
	})

	grants := b.get("/v1/customers/external:c-17/grants")
	grant := grants.is(http.StatusOK)["items"].([]any)[0].(map[string]any)
	require.Equal(t, "••••••7Q2K", grant["code"])
	require.Equal(t, "free-coffee", grant["reward"])
	messages := b.get("/v1/customers/external:c-17/messages?limit=1")
	first := messages.is(http.StatusOK)
	require.Equal(t, "Your code is ••••••7Q2K.", first["items"].([]any)[0].(map[string]any)["text"])
	require.EqualValues(t, 131026, first["items"].([]any)[0].(map[string]any)["error_code"])
	second := b.get("/v1/customers/external:c-17/messages?limit=1&after=" + first["next"].(string)).is(http.StatusOK)
	require.Equal(t, "hello", second["items"].([]any)[0].(map[string]any)["text"])
	require.Equal(t, "wamid.1", second["items"].([]any)[0].(map[string]any)["wamid"])
	require.Nil(t, second["next"])
	require.NotContains(t, grants.body+messages.body, "COFFEE7Q2K")

	log := b.get("/v1/customers/external:c-17/consents").is(http.StatusOK)["items"].([]any)
	require.Len(t, log, 4)
	last := log[3].(map[string]any)
	delete(last, "id")
	require.Equal(t, map[string]any{
		"topic": "offers", "standing": "granted", "at": "2026-03-02T09:00:00Z", "occurred_at": "2026-03-02T09:00:00Z", "source": "reply",
		"channel": "whatsapp", "recorded_by": "", "reference": "", "everything": false, "erased_at": nil, "wording": "Hi Ida", "wording_language": "da",
		"wording_version": "v1", "message_id": "msg_1", "reply_id": "wamid.1", "event_id": "", "run_id": run,
	}, last)
	page := b.get("/v1/customers/external:c-17/consents?limit=3").is(http.StatusOK)
	rest := b.get("/v1/customers/external:c-17/consents?after=" + page["next"].(string)).is(http.StatusOK)
	require.Len(t, rest["items"], 1)

	points := b.get("/v1/customers/external:c-17/points").is(http.StatusOK)
	require.EqualValues(t, 300, points["balance"])
	require.EqualValues(t, 300, points["earned"])
	line := points["items"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"earn", "outside", "available", 300.0, "o-1"}, []any{line["kind"], line["from"], line["to"], line["points"], line["ref"]})

	runs := b.get("/v1/customers/external:c-17/runs").is(http.StatusOK)["items"].([]any)
	require.Len(t, runs, 1)
	r := runs[0].(map[string]any)
	require.Equal(t, []any{"opt-in", "live", "ask opt_in_request", 1.0}, []any{r["journey"], r["status"], r["step"], r["version"]})
	require.Equal(t, "opt-in/"+r["id"].(string), r["workflow_id"])
	require.True(t, strings.HasSuffix(r["temporal_url"].(string), r["workflow_id"].(string)))
}
