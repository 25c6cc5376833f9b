package api_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/api"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

func (b *bundle) webhook(body, signature string) reply {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/webhooks/whatsapp", strings.NewReader(body))
	if signature != "" {
		r.Header.Set("X-Hub-Signature-256", signature)
	}
	return b.send(r)
}

// inbox takes what webhooks have left.
func (b *bundle) inbox() []store.InboxItem {
	b.t.Helper()
	var items []store.InboxItem
	b.do(func(tx *store.Tx) (err error) {
		items, err = tx.ClaimInbox(100, time.Minute)
		return err
	})
	return items
}

const hook = `{"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": {"name": "\u00f8 ø <"}}]}]}`

func TestWebhook(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.webhook(hook, whatsapp.Sign(secret, []byte(hook))).is(http.StatusOK)
	b.webhook("no JSON", whatsapp.Sign(secret, []byte("no JSON"))).is(http.StatusOK)
	items := b.inbox()
	require.Len(t, items, 2)
	require.True(t, bytes.Equal([]byte(hook), items[0].Body), "the bytes as they came")
}

// TestWebhookForged refuses what Meta has not signed; nothing of it is stored, and its text is not logged.
func TestWebhookForged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	right := whatsapp.Sign(secret, []byte(hook))
	for name, signature := range map[string]string{
		"none": "", "another secret's": whatsapp.Sign("other", []byte(hook)), "an empty secret's": whatsapp.Sign("", []byte(hook)),
		"another body's": whatsapp.Sign(secret, []byte(hook+" ")), "cut": right[:len(right)-2], "no prefix": strings.TrimPrefix(right, "sha256="),
		"sha1": "sha1=" + strings.TrimPrefix(right, "sha256="),
	} {
		require.Equal(t, "bad_signature", b.webhook(hook, signature).is(http.StatusUnauthorized)["reason"], name)
	}
	b.webhook("", "").is(http.StatusUnauthorized)
	require.Empty(t, b.inbox())
	require.NotContains(t, b.log.String(), "whatsapp_business_account")

	none := setup(t, func(o *api.Options) { o.AppSecrets = nil })
	none.webhook(hook, whatsapp.Sign("", []byte(hook))).is(http.StatusUnauthorized)
	require.Empty(t, none.inbox())
}

func TestWebhookTooLarge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := strings.Repeat("x", 4<<20)
	b.webhook(body, whatsapp.Sign(secret, []byte(body))).is(http.StatusOK)
	body += "x"
	b.webhook(body, whatsapp.Sign(secret, []byte(body))).is(http.StatusRequestEntityTooLarge)
	require.Len(t, b.inbox(), 1)
}

// TestWebhookNotStored is answered so that Meta sends it again.
func TestWebhookNotStored(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.Dispatch = broken{err: os.ErrDeadlineExceeded} })
	b.webhook(hook, whatsapp.Sign(secret, []byte(hook))).is(http.StatusServiceUnavailable)
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const path = "/webhooks/whatsapp?hub.mode=subscribe&hub.challenge=%3Cb%3E123&hub.verify_token="
	r := b.send(httptest.NewRequest(http.MethodGet, path+token, nil))
	require.Equal(t, http.StatusOK, r.status)
	require.Equal(t, "<b>123", r.body)
	require.Equal(t, "text/plain; charset=utf-8", r.header.Get("Content-Type"))
	for _, bad := range []string{path + "wrong", path, "/webhooks/whatsapp", "/webhooks/whatsapp?hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=" + token} {
		r := b.send(httptest.NewRequest(http.MethodGet, bad, nil))
		r.is(http.StatusForbidden)
		require.NotContains(t, r.body, "123")
	}
	require.NotContains(t, b.log.String(), token)
}

// TestParkedWebhooks lists what could not be taken over, without its content, and takes it over again.
func TestParkedWebhooks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.webhook("no JSON of +4520123456", whatsapp.Sign(secret, []byte("no JSON of +4520123456"))).is(http.StatusOK)
	for _, item := range b.inbox() {
		b.do(func(tx *store.Tx) error { return tx.InboxFailed(item, "it is no JSON", time.Minute, 1) })
	}
	list := b.get("/v1/webhooks/parked")
	require.NotContains(t, list.body, "4520123456")
	items := list.is(http.StatusOK)["items"].([]any)
	require.Len(t, items, 1)
	require.Equal(t, "it is no JSON", items[0].(map[string]any)["error"])
	b.post("/v1/webhooks/1/retry", "").is(http.StatusAccepted)
	b.post("/v1/webhooks/1/retry", "").is(http.StatusNotFound)
	require.Empty(t, b.get("/v1/webhooks/parked").is(http.StatusOK)["items"])
	b.do(func(tx *store.Tx) error { return tx.CountUnknown(map[string]int{"tides": 2}) })
	require.EqualValues(t, 2, b.get("/v1/webhooks/unknown").is(http.StatusOK)["items"].([]any)[0].(map[string]any)["times"])
}

// TestMergeCustomers makes one of two, twice with one answer; both ids and all names lead to who stays.
func TestMergeCustomers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ida := b.ida()
	b.post("/v1/events", `{"id": "o-1", "name": "order.placed", "properties": {"order_id": "1", "total": 10}, "customer": {"external_id": "c-18"}}`).is(http.StatusAccepted)
	b.route()
	other := b.get("/v1/customers/external:c-18").is(http.StatusOK)["id"].(string)
	for range 2 {
		require.Equal(t, ida, b.post("/v1/customers/external:c-18/merge", `{"into": "external:c-17"}`).is(http.StatusOK)["customer_id"])
	}
	b.route()
	for _, ref := range []string{ida, other, "external:c-17", "external:c-18"} {
		require.Equal(t, ida, b.get("/v1/customers/" + ref).is(http.StatusOK)["id"], ref)
	}
	b.post("/v1/customers/external:c-19/merge", `{"into": "external:c-17"}`).is(http.StatusNotFound)
	b.post("/v1/customers/external:c-18/merge", `{"into": "external:c-19"}`).is(http.StatusNotFound)
}
