package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/api"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
)

// open are the routes that anyone may call. A route that is missing here and asks for no key fails TestAnonymousIsRefused.
var open = []string{
	"GET /", "GET /c/:token", "GET /docs", "GET /healthz", "GET /openapi.json", "GET /readyz", "GET /u/:token", "GET /webhooks/whatsapp", "POST /u/:token", "POST /webhooks/whatsapp",
}

var param = regexp.MustCompile(`:[a-z]+`)

// TestAnonymousIsRefused calls every route that the router has without a key, and with wrong ones.
func TestAnonymousIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	handler, routes := api.Routes(b.options)
	b.handler = handler
	require.Greater(t, len(routes), 25)
	var public []string
	for _, route := range routes {
		path := param.ReplaceAllString(route.Pattern, "x")
		if slices.Contains(open, route.Method+" "+route.Pattern) {
			public = append(public, route.Method+" "+route.Pattern)
			require.True(t, route.Public, route.Pattern)
			continue
		}
		require.False(t, route.Public, route.Pattern)
		for _, header := range [][2]string{
			{"X-Nothing", ""}, {"Authorization", "Bearer wrong"}, {"Authorization", "Bearer "}, {"Authorization", key}, {"Authorization", "Basic " + key},
			{"X-API-Key", "wrong"}, {"X-API-Key", strings.Repeat("k", 10_000)},
		} {
			r := httptest.NewRequest(route.Method, path, strings.NewReader(`{"id": "x"}`))
			r.Header.Set(header[0], header[1])
			got := b.send(r)
			problem := got.is(http.StatusUnauthorized)
			require.Equal(t, "unauthorized", problem["code"], route.Pattern)
			require.Equal(t, "Bearer", got.header.Get("WWW-Authenticate"))
			require.NotContains(t, got.body, "kkkk")
		}
		r := httptest.NewRequest(route.Method, path, nil)
		r.Header.Set("X-Api-Key", key)
		require.NotEqual(t, http.StatusUnauthorized, b.send(r).status, route.Pattern)
	}
	slices.Sort(public)
	require.Equal(t, open, public)
	require.Zero(t, b.customers())
}

// TestNoKeys refuses everyone where nobody says which keys there are, and where the fixed key is empty.
func TestNoKeys(t *testing.T) {
	t.Parallel()
	for _, keys := range []api.Keys{nil, api.FixedKey("")} {
		b := setup(t, func(o *api.Options) { o.Keys = keys })
		b.get("/v1/program").is(http.StatusUnauthorized)
		b.call(http.MethodGet, "/v1/program", "", "Authorization", "Bearer").is(http.StatusUnauthorized)
	}
}

// TestStoreKeys knows the keys in the database by their hashes, and not one that was revoked.
func TestStoreKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for id, secret := range map[string]string{"key_1": "first", "key_2": "second"} {
		b.do(func(tx *store.Tx) error {
			return tx.AddAPIKey(&store.APIKey{ID: id, Name: id, Hash: api.HashKey(secret)})
		})
	}
	b.do(func(tx *store.Tx) error { return tx.RevokeAPIKey("key_2") })
	keys := &api.StoreKeys{Store: b.store}
	for secret, known := range map[string]bool{"first": true, "second": false, "third": false, "": false, api.HashKey("first"): false} {
		for range 2 {
			name, ok, err := keys.Lookup(t.Context(), secret)
			require.NoError(t, err)
			require.Equal(t, known, ok, secret)
			if ok {
				require.Equal(t, "key_1", name)
			}
		}
	}
	require.NoError(t, b.store.Close())
	_, ok, err := keys.Lookup(t.Context(), "first")
	require.NoError(t, err, "one that was known a moment ago needs no database")
	require.True(t, ok)
	_, _, err = keys.Lookup(t.Context(), "third")
	require.Error(t, err)
}

// TestNoSuchAddress answers a problem for what is not there, and for a method that is not taken.
func TestNoSuchAddress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{"/v1", "/v1/", "/v2/events", "/v1/events/", "/.env", "/v1/customers/external:a/secrets", "/v1//program"} {
		problem := b.call(http.MethodGet, path, "", "Authorization", "").json()
		require.Contains(t, []any{404.0, 405.0}, problem["status"], path)
		require.NotEmpty(t, problem["code"])
	}
	r := b.call(http.MethodDelete, "/v1/events", "")
	require.Equal(t, "no_method", r.is(http.StatusMethodNotAllowed)["reason"])
	require.Equal(t, "POST", r.header.Get("Allow"))
	require.Equal(t, "no_route", b.get("/nothing").is(http.StatusNotFound)["reason"])
}

// TestPages serves what people and programs read of the API, each to be shown without anything from elsewhere.
func TestPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{"/docs", "/"} {
		r := b.call(http.MethodGet, path, "", "Authorization", "")
		require.Equal(t, http.StatusOK, r.status)
		require.Equal(t, "text/html; charset=utf-8", r.header.Get("Content-Type"))
		require.NotContains(t, r.body, "<script")
		require.NotContains(t, r.body, "src=")
		require.NotContains(t, r.body, "https://")
		require.NotContains(t, r.body, "ZgotmplZ")
		style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(r.body)
		require.Len(t, style, 2)
		sum := sha256.Sum256([]byte(style[1]))
		require.Contains(t, r.header.Get("Content-Security-Policy"), "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	docs := b.get("/docs").body
	_, routes := api.Routes(b.options)
	for _, r := range routes {
		require.Contains(t, docs, "</span> "+r.Path+"</code>")
	}
	require.Contains(t, docs, `order-1001`)
}

// TestOpenAPI checks the document: it is 3.1, has every route with who may call it, and no reference leads nowhere.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.call(http.MethodGet, "/openapi.json", "", "Authorization", "")
	doc := r.is(http.StatusOK)
	require.True(t, strings.HasPrefix(doc["openapi"].(string), "3.1."))
	require.Equal(t, "test", doc["info"].(map[string]any)["version"])
	paths := doc["paths"].(map[string]any)
	_, routes := api.Routes(b.options)
	ids := map[string]bool{}
	operations := 0
	for _, route := range routes {
		item, ok := paths[route.Path].(map[string]any)
		require.True(t, ok, route.Path)
		op, ok := item[strings.ToLower(route.Method)].(map[string]any)
		require.True(t, ok, route.Method+" "+route.Path)
		id := op["operationId"].(string)
		require.NotEmpty(t, op["summary"])
		require.False(t, ids[id], id)
		ids[id] = true
		security, _ := op["security"].([]any)
		require.Equal(t, route.Public, len(security) == 0, route.Path)
		responses := op["responses"].(map[string]any)
		require.Contains(t, responses, "default")
		require.Greater(t, len(responses), 1, route.Path)
		var inPath []string
		params, _ := op["parameters"].([]any)
		for _, p := range params {
			p := p.(map[string]any)
			require.NotEmpty(t, p["description"], "%s: %s", id, p["name"])
			if p["in"] == "path" {
				require.Equal(t, true, p["required"])
				inPath = append(inPath, "{"+p["name"].(string)+"}")
			}
		}
		for status, answer := range responses {
			require.NotEmpty(t, answer.(map[string]any)["description"], "%s %s", id, status)
		}
		if body, ok := op["requestBody"].(map[string]any); ok && id != "receiveWebhook" { // that one's is WhatsApp's own
			for media, content := range body["content"].(map[string]any) {
				require.Equal(t, media == "application/json", content.(map[string]any)["example"] != nil, "%s: an example of the body", id)
			}
		}
		slices.Sort(inPath)
		want := regexp.MustCompile(`\{[a-z]+\}`).FindAllString(route.Path, -1)
		slices.Sort(want)
		require.Equal(t, want, inPath, route.Path)
	}
	for _, item := range paths {
		operations += len(item.(map[string]any))
	}
	require.Equal(t, len(routes), operations)

	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	for _, ref := range regexp.MustCompile(`"\$ref": "([^"]*)"`).FindAllStringSubmatch(r.body, -1) {
		name, ok := strings.CutPrefix(ref[1], "#/components/schemas/")
		require.True(t, ok, ref[1])
		require.Contains(t, schemas, name)
	}
	require.NotContains(t, schemas, "ErrorModel")
	upload := paths["/v1/rewards/{reward}/codes/uploads"].(map[string]any)["post"].(map[string]any)["requestBody"].(map[string]any)
	require.ElementsMatch(t, []string{"text/csv", "application/x-ndjson"}, slices.Collect(maps.Keys(upload["content"].(map[string]any))))
	content := paths["/c/{token}"].(map[string]any)["get"].(map[string]any)["responses"].(map[string]any)
	require.ElementsMatch(t, []string{"302", "404", "410", "default"}, slices.Collect(maps.Keys(content)))
	bodies := paths["/v1/events"].(map[string]any)["post"].(map[string]any)["requestBody"].(map[string]any)
	require.Equal(t, true, bodies["required"])
	require.Len(t, bodies["content"].(map[string]any), 1)
	require.Equal(t, false, schemas["EventBody"].(map[string]any)["additionalProperties"])
	require.NotContains(t, schemas["RunView"], "additionalProperties")
	require.Contains(t, schemas["CustomerView"].(map[string]any)["properties"], "identities")
}

// TestExamples sends the document's own examples: each is of the form that its route takes.
func TestExamples(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ida()
	doc := b.get("/openapi.json").is(http.StatusOK)
	sent := 0
	for path, item := range doc["paths"].(map[string]any) {
		op, ok := item.(map[string]any)["post"].(map[string]any)
		if !ok {
			continue
		}
		body, _ := op["requestBody"].(map[string]any)
		media, _ := body["content"].(map[string]any)
		form, _ := media["application/json"].(map[string]any)
		example, ok := form["example"]
		if !ok {
			continue
		}
		sent++
		text, err := json.Marshal(example)
		require.NoError(t, err)
		path = strings.NewReplacer("{journey}", "abandoned-cart", "{reward}", "free-coffee", "{id}", "apr_none").Replace(path)
		r := b.post(path, string(text))
		// What the approval and the code are about is not there; all else does something.
		require.NotContains(t, []int{400, 422, 500, 503}, r.status, path+" "+r.body)
	}
	require.Greater(t, sent, 5)
}

// broken is a dispatcher that fails as the test says.
type broken struct {
	api.Dispatch
	err   error
	panic any
}

func (b broken) Ingest(context.Context, []dispatch.Incoming) (dispatch.Receipt, error) {
	if b.panic != nil {
		panic(b.panic)
	}
	return dispatch.Receipt{}, b.err
}

func (b broken) Receive(context.Context, []byte) error { return b.err }

func (b broken) Resolve(context.Context, dispatch.Reference) (*punchcard.Customer, error) {
	return nil, b.err
}

// TestFailures tells what the caller may know of a failure, and the log the rest.
func TestFailures(t *testing.T) {
	t.Parallel()
	const inner = "secret table at 10.0.0.7"
	for name, test := range map[string]struct {
		broken broken
		status int
		code   string
		logs   bool
	}{
		"a fault of ours":     {broken{err: errors.New(inner)}, http.StatusInternalServerError, "internal", true},
		"marked as internal":  {broken{err: punchcard.Errorf(punchcard.CodeInternal, inner)}, http.StatusInternalServerError, "internal", true},
		"a panic":             {broken{panic: inner}, http.StatusInternalServerError, "internal", true},
		"the database gone":   {broken{err: fmt.Errorf("%s: %w", inner, io.ErrUnexpectedEOF)}, http.StatusServiceUnavailable, "unavailable", true},
		"a database file out": {broken{err: fmt.Errorf("%s: %w", inner, os.ErrDeadlineExceeded)}, http.StatusServiceUnavailable, "unavailable", true},
		"no program yet":      {broken{err: punchcard.Errorf(punchcard.CodeUnavailable, "no program is published yet")}, http.StatusServiceUnavailable, "unavailable", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(o *api.Options) { o.Dispatch = test.broken })
			r := b.post("/v1/events", order("", ""))
			problem := r.is(test.status)
			require.Equal(t, test.code, problem["code"])
			require.NotContains(t, r.body, "secret")
			require.Equal(t, test.status == http.StatusServiceUnavailable, r.header.Get("Retry-After") != "")
			if test.logs {
				require.Contains(t, b.log.String(), inner)
				require.Contains(t, b.log.String(), r.header.Get("X-Request-ID"))
				require.Equal(t, r.header.Get("X-Request-ID"), problem["request_id"])
			}
			require.NotContains(t, b.log.String(), key)
		})
	}
}

// TestHealth is alive while parts are down, and ready only when all are up. Which is down is told; why is for the log.
func TestHealth(t *testing.T) {
	t.Parallel()
	parts := map[string]error{"database": nil, "temporal": nil}
	b := setup(t, func(o *api.Options) { o.Ready = func(context.Context) map[string]error { return parts } })
	require.Equal(t, map[string]any{"status": "ok", "version": "test"}, b.call(http.MethodGet, "/healthz", "", "Authorization", "").is(http.StatusOK))
	require.Equal(t, map[string]any{"status": "ready", "parts": map[string]any{"database": "ok", "temporal": "ok"}}, b.get("/readyz").is(http.StatusOK))
	parts["temporal"] = errors.New("dial 10.0.0.7")
	r := b.get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, r.status)
	require.Equal(t, map[string]any{"status": "not ready", "parts": map[string]any{"database": "ok", "temporal": "down"}}, r.json())
	require.NotContains(t, r.body, "10.0.0.7")
	require.Contains(t, b.log.String(), "10.0.0.7")
	b.get("/healthz").is(http.StatusOK)
}

// TestHeaders are on every answer, and the log has no query.
func TestHeaders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{"/", "/v1/program?token=hidden", "/nothing", "/healthz"} {
		h := b.get(path).header
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		require.Equal(t, "no-store", h.Get("Cache-Control"))
		require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'")
		require.True(t, punchcard.IsID("req", h.Get("X-Request-ID")))
	}
	require.NotContains(t, b.log.String(), "hidden")
}

// TestDefaults needs no more than a store, a dispatcher and a catalog.
func TestDefaults(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.handler = api.New(api.Options{Store: b.store, Dispatch: b.dispatch, Catalog: b.fence.Catalog, Log: slog.New(slog.DiscardHandler)})
	require.Equal(t, map[string]any{"database": "ok"}, b.get("/readyz").is(http.StatusOK)["parts"])
	b.get("/v1/program").is(http.StatusUnauthorized)
	b.get("/webhooks/whatsapp?hub.mode=subscribe&hub.verify_token=&hub.challenge=1").is(http.StatusForbidden)
}
