package dispatch_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

// receiver is another system that hears of what happens.
type receiver struct {
	*httptest.Server

	mu     sync.Mutex
	heard  []request
	answer int // 0: 204
}

type request struct {
	header http.Header
	body   []byte
}

func receive(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		body, _ := io.ReadAll(in.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.heard = append(r.heard, request{in.Header, body})
		if r.answer == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		if r.answer == 0 {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.WriteHeader(r.answer)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answers(code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = code
}

func (r *receiver) all() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request(nil), r.heard...)
}

// signedBy tells which of a request's signatures a secret has made.
func (r request) signedBy(t *testing.T, secret string) []bool {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	require.NoError(t, err)
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, r.header.Get("Webhook-Id")+"."+r.header.Get("Webhook-Timestamp")+"."+string(r.body))
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	var is []bool
	for s := range strings.SplitSeq(r.header.Get("Webhook-Signature"), " ") {
		is = append(is, s == want)
	}
	return is
}

func eachHook(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) { test(t, setup(t, open())) })
}

func (b *bundle) tells(want int) {
	b.t.Helper()
	n, err := b.d.TellHooks(b.ctx)
	require.NoError(b.t, err)
	require.Equal(b.t, want, n)
}

func (b *bundle) deliveries(hook string) []store.ToldHook {
	b.t.Helper()
	rows, err := b.store.View(b.ctx).HookDeliveries(hook, "", 0, 100)
	require.NoError(b.t, err)
	return rows
}

func (b *bundle) alerts() map[punchcard.AlertKind]string {
	b.t.Helper()
	rows, err := b.store.View(b.ctx).Alerts(false, "", 10)
	require.NoError(b.t, err)
	kinds := map[punchcard.AlertKind]string{}
	for _, a := range rows {
		kinds[a.Kind] = a.Detail
	}
	return kinds
}

func TestHooks(t *testing.T) {
	t.Parallel()
	eachHook(t, func(t *testing.T, b *bundle) {
		b.d.LetHooksBePrivate()
		r := receive(t)
		hook, err := b.d.AddHook(b.ctx, r.URL, []punchcard.HookType{punchcard.HookMilestoneReached}, "")
		require.NoError(t, err)
		b.send(order("o1", dispatch.Reference{ExternalID: "shop-7"}))
		b.drain()
		b.tells(1)
		got := r.all()
		require.Len(t, got, 1)
		require.Equal(t, []bool{true}, got[0].signedBy(t, hook.Secret))
		var m punchcard.HookMessage
		require.NoError(t, json.Unmarshal(got[0].body, &m))
		require.Equal(t, got[0].header.Get("Webhook-Id"), m.ID)
		require.Equal(t, punchcard.HookMilestoneReached, m.Type)
		require.Equal(t, 1, m.Version)
		require.Equal(t, "shop-7", m.Customer.ExternalID)
		require.Equal(t, map[string]any{"milestone": "first-order", "nth": 1.0}, m.Data)
		d := b.deliveries(hook.ID)
		require.Equal(t, punchcard.HookDelivered, d[0].Status)
		require.Equal(t, http.StatusNoContent, d[0].Code)
		b.tells(0)

		// While a secret is changed both sign.
		next, err := b.d.RotateHook(b.ctx, hook.ID)
		require.NoError(t, err)
		_, err = b.d.TestHook(b.ctx, hook.ID)
		require.NoError(t, err)
		b.tells(1)
		got = r.all()
		require.Equal(t, []bool{true, false}, got[1].signedBy(t, next.Secret))
		require.Equal(t, []bool{false, true}, got[1].signedBy(t, hook.Secret))
		require.NoError(t, json.Unmarshal(got[1].body, &m))
		require.Equal(t, punchcard.HookTest, m.Type)

		// Who rotates again, the answer being lost, has not lost what the receiver knows; a storm of it leaves a bounded number.
		last, err := b.d.RotateHook(b.ctx, hook.ID)
		require.NoError(t, err)
		_, err = b.d.TestHook(b.ctx, hook.ID)
		require.NoError(t, err)
		b.tells(1)
		got = r.all()
		require.Equal(t, []bool{true, false, false}, got[2].signedBy(t, last.Secret))
		require.Equal(t, []bool{false, true, false}, got[2].signedBy(t, next.Secret))
		require.Equal(t, []bool{false, false, true}, got[2].signedBy(t, hook.Secret))
		for range 20 {
			last, err = b.d.RotateHook(b.ctx, hook.ID)
			require.NoError(t, err)
		}
		_, err = b.d.TestHook(b.ctx, hook.ID)
		require.NoError(t, err)
		b.tells(1)
		require.Equal(t, []bool{true, false, false, false, false, false}, r.all()[3].signedBy(t, last.Secret))
	})
}

// A failure is tried again for days, then given up and raised; a replay begins anew.
func TestHookRetries(t *testing.T) {
	t.Parallel()
	eachHook(t, func(t *testing.T, b *bundle) {
		b.d.LetHooksBePrivate()
		r := receive(t)
		hook, err := b.d.AddHook(b.ctx, r.URL, nil, "")
		require.NoError(t, err)
		_, err = b.d.TestHook(b.ctx, hook.ID)
		require.NoError(t, err)
		var waits []time.Duration
		for i, code := range []int{500, 404, 302, 429, 503, 400, 401, 200 + 100, 500, 500} {
			r.answers(code)
			b.tells(1)
			d := b.deliveries(hook.ID)[0]
			require.Equal(t, code, d.Code)
			require.Equal(t, i+1, d.Attempts)
			if i < 9 {
				require.Equal(t, punchcard.HookPending, d.Status)
				waits = append(waits, d.DueAt.Sub(*d.TriedAt))
				b.tells(0)
				require.NoError(t, b.store.Update(b.ctx, func(tx *store.Tx) error { return tx.HurryHook(hook.ID) }))
			}
		}
		pauses := []time.Duration{
			5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		}
		for i, wait := range waits {
			require.GreaterOrEqual(t, wait, pauses[i])
			require.LessOrEqual(t, wait, pauses[i]*12/10+time.Second)
		}
		require.Len(t, r.all(), 10, "a redirect is not followed")
		require.Equal(t, punchcard.HookDead, b.deliveries(hook.ID)[0].Status)
		require.Equal(t, "status", b.alerts()[punchcard.AlertHookDead])

		r.answers(0)
		n, err := b.d.ReplayHook(b.ctx, hook.ID, dispatch.Replay{Dead: true})
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		b.tells(1)
		require.Equal(t, punchcard.HookDelivered, b.deliveries(hook.ID)[0].Status)
		require.Empty(t, b.alerts())
		now, err := b.store.View(b.ctx).Hook(hook.ID)
		require.NoError(t, err)
		require.Nil(t, now.FailingSince)
		ids := map[string]bool{}
		for _, q := range r.all() {
			ids[q.header.Get("Webhook-Id")] = true
		}
		require.Len(t, ids, 1, "one event has one id, however often it is told")

		n, err = b.d.ReplayHook(b.ctx, hook.ID, dispatch.Replay{Since: time.Now().Add(-time.Hour)})
		require.NoError(t, err)
		require.Zero(t, n, "a test is not replayed by its time")
		for _, wrong := range []dispatch.Replay{{}, {Dead: true, Event: "x"}} {
			_, err = b.d.ReplayHook(b.ctx, hook.ID, wrong)
			require.Equal(t, punchcard.CodeInvalid, punchcard.CodeOf(err))
		}
	})
}

// One that says it is gone, and one that has failed for days, is told nothing any more, and somebody is told.
func TestHookDisabled(t *testing.T) {
	t.Parallel()
	eachHook(t, func(t *testing.T, b *bundle) {
		b.d.LetHooksBePrivate()
		for why, prepare := range map[string]func(r *receiver, h *punchcard.Hook){
			punchcard.HookDisabledGone: func(r *receiver, _ *punchcard.Hook) { r.answers(http.StatusGone) },
			punchcard.HookDisabledFailing: func(r *receiver, h *punchcard.Hook) {
				r.answers(http.StatusBadGateway)
				since := time.Now().Add(-6 * 24 * time.Hour)
				require.NoError(t, b.store.Update(b.ctx, func(tx *store.Tx) error {
					h.FailingSince = &since
					return tx.SaveHook(h)
				}))
			},
		} {
			r := receive(t)
			hook, err := b.d.AddHook(b.ctx, r.URL, nil, "")
			require.NoError(t, err)
			prepare(r, hook)
			_, err = b.d.TestHook(b.ctx, hook.ID)
			require.NoError(t, err)
			b.tells(1)
			now, err := b.store.View(b.ctx).Hook(hook.ID)
			require.NoError(t, err)
			require.NotNil(t, now.DisabledAt)
			require.Equal(t, why, now.Disabled)
			require.Equal(t, why, b.alerts()[punchcard.AlertHookDisabled])
			_, err = b.d.TestHook(b.ctx, hook.ID)
			require.Equal(t, "disabled", punchcard.ReasonOf(err))
			r.answers(0)
			_, err = b.d.EnableHook(b.ctx, hook.ID)
			require.NoError(t, err)
			require.Empty(t, b.alerts())
			require.NoError(t, b.d.RemoveHook(b.ctx, hook.ID))
			require.Equal(t, punchcard.CodeNotFound, punchcard.CodeOf(b.d.RemoveHook(b.ctx, hook.ID)))
			b.tells(0)
		}
	})
}

// A hook may be where anybody may reach it, and nowhere else.
func TestHookAddresses(t *testing.T) {
	t.Parallel()
	eachHook(t, func(t *testing.T, b *bundle) {
		for _, address := range []string{
			"", "example.com", "http://example.com", "ftp://example.com", "https://", "https://a:b@example.com", "https://example.com/#x", "https://exa\nmple.com",
			"https://example.com/" + strings.Repeat("x", 2000),
		} {
			_, err := b.d.AddHook(b.ctx, address, nil, "")
			require.Equal(t, punchcard.CodeInvalid, punchcard.CodeOf(err), address)
		}
		_, err := b.d.AddHook(b.ctx, "http://example.com", nil, "")
		require.ErrorContains(t, err, "hooks add --private", "it says how to try one at home")
		_, err = b.d.AddHook(b.ctx, "https://example.com", []punchcard.HookType{"points.chnged"}, "")
		require.ErrorContains(t, err, "points.changed")
		secure := httptest.NewTLSServer(http.NotFoundHandler())
		t.Cleanup(secure.Close)
		hook, err := b.d.AddHook(b.ctx, secure.URL, nil, "")
		require.NoError(t, err)
		_, err = b.d.TestHook(b.ctx, hook.ID)
		require.NoError(t, err)
		b.tells(1)
		require.Equal(t, "private", b.deliveries(hook.ID)[0].Error)
		for range store.MaxHooks - 1 {
			_, err = b.d.AddHook(b.ctx, "https://example.com", nil, "")
			require.NoError(t, err)
		}
		_, err = b.d.AddHook(b.ctx, "https://example.com", nil, "")
		require.Equal(t, "too_many_hooks", punchcard.ReasonOf(err))
	})
}

// One that does not answer keeps no other waiting.
func TestSlowHookKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	eachHook(t, func(t *testing.T, b *bundle) {
		b.d.LetHooksBePrivate()
		release := make(chan struct{})
		slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		t.Cleanup(slow.Close)
		t.Cleanup(func() { close(release) })
		r := receive(t)
		for _, address := range []string{slow.URL, r.URL} {
			hook, err := b.d.AddHook(b.ctx, address, nil, "")
			require.NoError(t, err)
			for range 20 {
				_, err = b.d.TestHook(b.ctx, hook.ID)
				require.NoError(t, err)
			}
		}
		ctx, stop := context.WithCancel(b.ctx)
		ended := make(chan error, 1)
		go func() { ended <- b.d.Run(ctx) }()
		require.Eventually(t, func() bool { return len(r.all()) == 20 }, 10*time.Second, 10*time.Millisecond)
		stop()
		require.NoError(t, <-ended)
	})
}
