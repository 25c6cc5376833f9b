package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/api"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
	"punchcard/programs"
	"punchcard/rules"
)

const (
	key    = "test-key"
	secret = "app-secret"
	token  = "verify-me"
)

// monday is when the tests' clock stands: a Monday at 10:00 in Copenhagen.
var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// idle is an engine that takes what it is told and runs nothing.
type idle struct {
	mu     sync.Mutex
	starts []rules.Start
}

func (e *idle) Start(_ context.Context, s rules.Start) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.starts = append(e.starts, s)
	return nil
}

func (e *idle) Signal(context.Context, string, string, rules.Signal) error { return nil }

// bundle is an API over a database of the test's own, with the coffee shop's program.
type bundle struct {
	t        *testing.T
	store    *store.Store
	dispatch *dispatch.Dispatcher
	fence    *fence.Fence
	clock    *punchcard.ManualClock
	log      *lockedBuffer
	options  api.Options
	handler  http.Handler
}

// lockedBuffer is a log that several may write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func setup(t *testing.T, change ...func(*api.Options)) *bundle {
	t.Helper()
	b := &bundle{t: t, clock: punchcard.NewManualClock(monday), log: &lockedBuffer{}}
	b.store = storetest.New(t, store.SQLite, b.clock)
	p, problems := rules.Load(programs.Coffee())
	require.Empty(t, problems)
	require.NoError(t, b.store.Update(t.Context(), func(tx *store.Tx) error {
		_, _, err := tx.Publish(p.Hash, p.Files)
		return err
	}))
	log := slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.fence = fence.New(b.store)
	b.dispatch = dispatch.New(b.fence, &idle{}, log)
	b.options = api.Options{
		Store: b.store, Dispatch: b.dispatch, Catalog: b.fence.Catalog, Keys: api.FixedKey(key), AppSecrets: []string{secret}, VerifyToken: token,
		TemporalURL: func(id string) string { return "http://temporal.example/" + id }, Log: log, Version: "test",
	}
	for _, c := range change {
		c(&b.options)
	}
	b.handler = api.New(b.options)
	return b
}

// reply is what came back.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// json reads the answer.
func (r reply) json() map[string]any {
	r.t.Helper()
	var v map[string]any
	require.NoError(r.t, json.Unmarshal([]byte(r.body), &v), r.body)
	return v
}

// ok demands a status and reads the answer.
func (r reply) is(status int) map[string]any {
	r.t.Helper()
	require.Equal(r.t, status, r.status, r.body)
	want := "application/json"
	if status >= 400 {
		want = "application/problem+json"
	}
	require.Equal(r.t, want, r.header.Get("Content-Type"))
	return r.json()
}

func (b *bundle) send(r *http.Request) reply {
	b.t.Helper()
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r.WithContext(b.t.Context()))
	return reply{t: b.t, status: w.Code, header: w.Header(), body: w.Body.String()}
}

func (b *bundle) call(method, path, body string, headers ...string) reply {
	b.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, in)
	r.Header.Set("Authorization", "Bearer "+key)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return b.send(r)
}

func (b *bundle) get(path string) reply { b.t.Helper(); return b.call(http.MethodGet, path, "") }
func (b *bundle) post(path, body string) reply {
	b.t.Helper()
	return b.call(http.MethodPost, path, body)
}

// route lets dispatch work until nothing is left of the events.
func (b *bundle) route() {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- b.dispatch.Run(ctx) }()
	require.Eventually(b.t, func() bool {
		var pending int64
		customers, err := b.store.View(ctx).CustomersAfter("", 1000)
		if err != nil {
			return false
		}
		for _, c := range customers {
			e, _, err := b.store.View(ctx).NextEvent(c.ID)
			if err != nil || e != nil {
				pending++
			}
		}
		depth, err := b.store.View(ctx).OutboxDepth()
		return err == nil && pending == 0 && depth == 0
	}, 30*time.Second, 5*time.Millisecond)
	cancel()
	require.NoError(b.t, <-done)
}

// customers counts who is known.
func (b *bundle) customers() int {
	b.t.Helper()
	rows, err := b.store.View(b.t.Context()).CustomersAfter("", 1000)
	require.NoError(b.t, err)
	return len(rows)
}

// ida makes a customer by an event, and answers our id of her.
func (b *bundle) ida() string {
	b.t.Helper()
	b.post("/v1/events", `{"id": "reg-1", "name": "registration.received", "properties": {"source": "web"}, "customer":
		{"external_id": "c-17", "phone": "+45 20 12 34 56", "name": "Ida", "language": "da", "attributes": {"first_name": "Ida", "vip": true}}}`).is(http.StatusAccepted)
	b.route()
	return b.get("/v1/customers/external:c-17").is(http.StatusOK)["id"].(string)
}

// do runs fn in a transaction that must be committed.
func (b *bundle) do(fn func(tx *store.Tx) error) {
	b.t.Helper()
	require.NoError(b.t, b.store.Update(b.t.Context(), fn))
}

// park gives an event up.
func (b *bundle) park(id, message string) {
	b.t.Helper()
	b.do(func(tx *store.Tx) error {
		e, err := tx.Event(id)
		require.NoError(b.t, err)
		parked, err := tx.MarkFailed(e.Seq, message, 1)
		require.True(b.t, parked)
		return err
	})
}

// newHandler is the bundle's API with its options as they are now.
func newHandler(b *bundle) http.Handler { return api.New(b.options) }
