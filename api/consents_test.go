package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

const heading = "phone,external_id,topic,standing,occurred_at,source,channel,wording,language,reference\n"

// anonymous calls without a key.
func (b *bundle) anonymous(method, path string) reply {
	b.t.Helper()
	return b.send(httptest.NewRequest(method, path, nil))
}

func TestImportConsents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	file := heading +
		"+4520123456,,offers,granted,2025-03-14,in-store form,store,\"May we send you offers?\nYes, please\",en,form 4711\n" +
		"+4520123456,,rewards,granted,2025-03-14,in-store form,store,May we?,en,\n" +
		"+4520123456,,ofers,granted,2025-03-14,form,store,May we?,en,form 1\n" +
		"12345,,offers,granted,2025-03-14,form,store,May we?,en,form 1\n" +
		",c-9,offers,revoked,2025-06-01T10:00:00+02:00,support call,phone,,,ticket 9\n" +
		",c-9,offers,granted,2025-05-01,form,store,May we?,en,form 9\n" +
		",c-9,*,revoked,2025-07-01,letter,store,,,letter 3\n" +
		",c-9,rewards,granted,2025-06-30,form,store,May we?,en,form 10\n" +
		",c-9,rewards,granted,2999-06-30,form,store,May we?,en,form 10\n" +
		",c-9,rewards,requested,2025-06-30,form,store,May we?,en,form 10\n" +
		"too,short\n"
	dry := b.post("/v1/consents/import?dry_run=true", file).is(http.StatusOK)
	require.EqualValues(t, 3, dry["recorded"])
	require.Zero(t, b.customers(), "nothing is kept")
	for try, want := range [][3]int{{3, 0, 8}, {0, 3, 8}} {
		got := b.post("/v1/consents/import", file).is(http.StatusOK)
		require.EqualValues(t, want[0], got["recorded"], "try %d", try)
		require.EqualValues(t, want[1], got["repeated"])
		require.EqualValues(t, want[2], got["refused"])
		lines := got["lines"].([]any)
		require.Len(t, lines, 11)
		line := func(i int) map[string]any { return lines[i].(map[string]any) }
		require.EqualValues(t, 2, line(0)["line"])
		require.EqualValues(t, 4, line(1)["line"], "the wording before has a line break")
		require.Equal(t, "reference", line(1)["field"])
		require.Equal(t, "no_evidence", line(1)["reason"])
		require.Equal(t, "unknown_topic", line(2)["reason"])
		require.Equal(t, "phone", line(3)["field"])
		require.Equal(t, "stopped_since", line(5)["reason"])
		require.Equal(t, "stopped_since", line(7)["reason"], "a stop of everything")
		require.Equal(t, "occurred_at", line(8)["field"])
		require.Equal(t, "standing", line(9)["field"])
	}
	log := b.get("/v1/customers/phone:+4520123456/consents").is(http.StatusOK)["items"].([]any)
	require.Len(t, log, 1)
	first := log[0].(map[string]any)
	require.Equal(t, "granted", first["standing"])
	require.Equal(t, "2025-03-13T23:00:00Z", first["occurred_at"], "a grant counts from the beginning of its day, in the program's time")
	require.Equal(t, "dev", first["recorded_by"])
	require.Equal(t, "form 4711", first["reference"])

	for body, want := range map[string]string{
		"": "no_heading", "a,b\n": "unknown_column", "phone,topic\n": "missing_column", heading + "\"": "not_csv",
		heading + strings.Repeat("x", 300_000): "not_csv",
	} {
		require.Equal(t, want, b.post("/v1/consents/import", body).is(http.StatusUnprocessableEntity)["reason"], "%.20q", body)
	}
}

func TestExportConsents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.post("/v1/consents/import", heading+
		"+4520123456,c-1,offers,granted,2025-03-14T08:00:00Z,form,store,=May we send you offers?,en,form 4711\n").is(http.StatusOK)
	all := b.get("/v1/consents/export")
	require.Equal(t, http.StatusOK, all.status)
	require.Equal(t, "text/csv; charset=utf-8", all.header.Get("Content-Type"))
	lines := strings.Split(strings.TrimSpace(all.body), "\n")
	require.Len(t, lines, 2)
	require.Equal(t, strings.Join(dispatch.ExportColumns, ","), lines[0])
	require.Contains(t, lines[1], ",c-1,+4520123456,offers,granted,2025-03-14T08:00:00Z,")
	require.Contains(t, lines[1], "'=May we", "no formula for a spreadsheet")
	require.Equal(t, all.body, b.get("/v1/customers/external:c-1/consents?format=csv").body)

	b.post("/v1/customers/external:c-1/consents/revoke", `{"topics": ["offers"], "source": "support call", "reference": "ticket 7"}`).is(http.StatusOK)
	story := b.get("/v1/customers/external:c-1/consents?format=text").body
	for _, part := range []string{
		"14 March 2025 09:00:00 CET", "The customer agreed: offers (Offers and early access", "> =May we send you offers?", "form 4711", "Recorded by: dev",
		"The customer stopped it", "support call", "ticket 7", "offers (Offers and early access, at most two a week): revoked", "nothing is known, which means no",
	} {
		require.Contains(t, story, part)
	}
	page := b.get("/v1/customers/external:c-1/consents?format=html")
	require.Equal(t, "text/html; charset=utf-8", page.header.Get("Content-Type"))
	require.Contains(t, page.body, "ticket 7")
	require.NotContains(t, page.body, "ZgotmplZ")
	b.get("/v1/customers/external:c-1/consents?format=pdf").is(http.StatusUnprocessableEntity)
	b.get("/v1/customers/external:nobody/consents?format=csv").is(http.StatusNotFound)
}

func TestRevokeConsents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.post("/v1/consents/import", heading+",c-1,offers,granted,2025-03-14,form,store,May we?,en,1\n,c-1,rewards,granted,2025-03-14,form,store,May we?,en,1\n").is(http.StatusOK)
	const path = "/v1/customers/external:c-1/consents/revoke"
	require.Equal(t, "unknown_topic", b.post(path, `{"topics": ["ofers"]}`).is(http.StatusNotFound)["reason"])
	got := b.post(path, `{"topics": ["offers"]}`).is(http.StatusOK)
	require.Equal(t, true, got["changed"])
	require.Equal(t, map[string]any{"offers": "revoked", "rewards": "granted"}, got["consents"])
	require.Equal(t, false, b.post(path, `{"topics": ["offers"]}`).is(http.StatusOK)["changed"])
	require.Equal(t, true, b.post(path, `{}`).is(http.StatusOK)["changed"])
	require.Equal(t, "revoked", b.get("/v1/customers/external:c-1").is(http.StatusOK)["consents"].(map[string]any)["rewards"])
}

func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.post("/v1/consents/import", heading+",c-1,offers,granted,2025-03-14,form,store,May we?,en,1\n").is(http.StatusOK)
	var c *punchcard.Customer
	b.do(func(tx *store.Tx) (err error) {
		c, err = tx.Identify([]punchcard.Identity{{Kind: punchcard.IdentityExternal, Value: "c-1"}})
		return err
	})
	address, err := fence.UnsubscribeURL(b.store.View(t.Context()), c.ID)
	require.NoError(t, err)
	require.Empty(t, address, "no address is known yet")
	for _, wrong := range []string{"", "rewards.example", "ftp://x", "https://x/?a=b"} {
		require.Error(t, fence.SetPublicURL(t.Context(), b.store, wrong), wrong)
	}
	require.NoError(t, fence.SetPublicURL(t.Context(), b.store, "https://rewards.example/"))
	address, err = fence.UnsubscribeURL(b.store.View(t.Context()), c.ID)
	require.NoError(t, err)
	path, ok := strings.CutPrefix(address, "https://rewards.example")
	require.True(t, ok)
	require.NoError(t, fence.SetPublicURL(t.Context(), b.store, "https://other.example"))

	standing := func() any { return b.get("/v1/customers/external:c-1").json()["consents"].(map[string]any)["offers"] }
	other := "x"
	if strings.HasSuffix(path, "x") {
		other = "y"
	}
	for _, wrong := range []string{"/u/x", "/u/.", path[:len(path)-2], "/u/" + strings.Repeat("a", 150), path[:len(path)-3] + other + other + other} {
		b.anonymous(http.MethodPost, wrong).is(http.StatusNotFound)
	}
	page := b.anonymous(http.MethodGet, path)
	require.Equal(t, http.StatusOK, page.status)
	require.Contains(t, page.body, `<form method="post">`)
	require.Contains(t, page.header.Get("Content-Security-Policy"), "form-action 'self'")
	require.Equal(t, "granted", standing(), "to look at it changes nothing")
	for range 2 {
		done := b.anonymous(http.MethodPost, path)
		require.Equal(t, http.StatusOK, done.status)
		require.NotContains(t, done.body, "<form")
		require.Equal(t, "revoked", standing())
	}
	log := b.get("/v1/customers/external:c-1/consents").json()["items"].([]any)
	last := log[len(log)-1].(map[string]any)
	require.Equal(t, "unsubscribe", last["source"])
	require.Equal(t, "web", last["channel"])
	require.Contains(t, last["wording"], "Stop all messages")
	require.Contains(t, b.get("/v1/customers/external:c-1/consents?format=text").body, "What was shown:\n", "the page has no version and no message")
	require.NotContains(t, b.get("/v1/customers/external:c-1/consents?format=html").body, "()")
}

func TestLinks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, "no_number", b.get("/v1/links").is(http.StatusConflict)["reason"])
	require.Error(t, dispatch.SetNumber(t.Context(), b.store, "12"))
	require.NoError(t, dispatch.SetNumber(t.Context(), b.store, "+4570000000"))
	links := b.get("/v1/links").is(http.StatusOK)["items"].([]any)
	require.Len(t, links, 1)
	require.Subset(t, links[0], map[string]any{"name": "counter", "url": "https://wa.me/4570000000?text=JOIN%20counter"})
	require.Contains(t, b.get("/v1/links/counter/qr").body, "PNG")
	b.get("/v1/links/nothing/qr").is(http.StatusNotFound)
	for _, image := range []func(string) ([]byte, error){dispatch.QRAsPNG, dispatch.QRAsSVG} {
		data, err := image("https://wa.me/4570000000?text=JOIN%20counter-3")
		require.NoError(t, err)
		require.Greater(t, len(data), 300)
	}
}
