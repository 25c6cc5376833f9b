package simulate_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crypto/hmac"
	"crypto/sha256"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/calls"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
)

// journey is the coffee program with one more journey, and with more in program.yaml.
func journey(t *testing.T, text, more string) fs.FS {
	t.Helper()
	program, err := fs.ReadFile(coffee(), "program.yaml")
	require.NoError(t, err)
	return with(map[string]string{
		"journeys/tried.yaml": text, "program.yaml": string(program) + "\n" + more,
	})
}

// review starts the journey that a test tries.
func (b *bundle) review() {
	b.t.Helper()
	b.event(anna, "review.posted", map[string]any{"review_id": "f"})
}

// tried is how the tried journey's newest run stands.
func (b *bundle) tried() string {
	b.t.Helper()
	all := b.outcomes(anna)
	for _, o := range slices.Backward(all) {
		if how, ok := strings.CutPrefix(o, "tried "); ok {
			return how
		}
	}
	return ""
}

func TestCustomerSteps(t *testing.T) {
	t.Parallel()
	const text = `
journey: tried
topic: rewards
enter: [{on: review.posted}]
steps:
  - label: champion
  - set: {vip: true}
  - points: "{{ points.balance / 2 }}"
    pending: 2d
  - points: 7
    if: customer.vip and "champion" in customer.labels
  - unlabel: champion
  - raise: order.placed
    with: {order_id: made-up, total: 12.5}
  - start: abandoned-cart
    with: {cart_id: "{{ entry.review_id }}", total: 30, items: []}
`
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), journey(t, text, ""))
		b.review()
		c := b.customer(anna)
		require.Empty(t, c.Labels)
		require.Equal(t, true, c.Attributes["vip"])
		require.Equal(t, int64(207), b.points(anna).Available)
		require.Equal(t, int64(112), b.points(anna).Pending, "half of 200, and 12 of the order")
		require.ElementsMatch(t, []string{
			"tried completed", "stamp-card live at 1 ", "milestone completed", "abandoned-cart live at 1 ",
		}, b.outcomes(anna))
	})
}

func TestWaitUntil(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		for name, c := range map[string]struct {
			step string
			wait time.Duration // from Monday at ten in Copenhagen
		}{
			"a time today":          {`wait_until: "15:30"`, 5*time.Hour + 30*time.Minute},
			"a time tomorrow":       {`wait_until: "08:00"`, 22 * time.Hour},
			"a weekday":             {`wait_until: {weekday: wednesday, at: "10:00"}`, 48 * time.Hour},
			"a date":                {`wait_until: "{{ now + days(3) }}"`, 72 * time.Hour},
			"a date that is past":   {`wait_until: "{{ now - days(3) }}"`, 0},
			"a date that is absent": {`wait_until: "{{ customer.birthday }}"`, 0},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				text := "journey: tried\ntopic: rewards\nenter: [{on: review.posted}]\nsteps:\n  - " + c.step + "\n  - end: waited\n"
				b := setup(t, fresh(t), journey(t, text, ""))
				b.review()
				if c.wait > 0 {
					b.advance(c.wait - time.Minute)
					require.Contains(t, b.tried(), "live")
					b.advance(2 * time.Minute)
				}
				require.Equal(t, "waited", b.tried())
			})
		}
	})
}

func TestSplit(t *testing.T) {
	t.Parallel()
	const text = `
journey: tried
topic: rewards
enter: [{on: review.posted, key: event.review_id}]
steps:
  - split:
      - {weight: 1, name: left, do: [{end: went_left}]}
      - {weight: 1, name: right, do: [{end: went_right}]}
      - {holdout: 1}
`
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), journey(t, text, ""))
		ends := map[string]int{}
		for i := range 30 {
			phone := fmt.Sprintf("+45201234%02d", i)
			for _, friend := range []string{"f", "g"} {
				b.event(phone, "review.posted", map[string]any{"review_id": friend})
			}
			both := b.outcomes(phone)
			require.Equal(t, both[0], both[1], "the same customer goes the same way each time")
			ends[both[0]]++
		}
		require.Len(t, ends, 3, "all three ways are gone: %v", ends)
		require.Contains(t, ends, "tried holdout")
	})
}

func TestCaptureStep(t *testing.T) {
	t.Parallel()
	const text = `
journey: tried
purpose: service
enter: [{on: redemption.requested, key: event.redemption_id}]
steps:
  - redeem: "{{ entry.reward }}"
    as: held
    on_refused: [{end: refused}]
  - capture: held
    on_refused: [{end: lost}]
  - capture: held
    on_refused: [{end: used_once}]
`
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), journey(t, text, ""))
		b.review()
		b.review()
		_, err := b.Dispatch.Stop(b.ctx, "journey", "redemption", "the tried one takes its place")
		require.NoError(t, err)
		r, err := b.Dispatch.RequestRedemption(b.ctx, b.customer(anna).ID, "free-coffee", "")
		require.NoError(t, err)
		require.NoError(t, b.Settle(b.ctx))
		require.Equal(t, "used_once", b.tried())
		require.Equal(t, int64(150), b.points(anna).Available)
		require.Zero(t, b.points(anna).Held)
		now, err := b.Store.View(b.ctx).Redemption(r.ID)
		require.NoError(t, err)
		require.Equal(t, punchcard.RedemptionCaptured, now.Status)
	})
}

func TestHandoff(t *testing.T) {
	t.Parallel()
	const text = `
journey: tried
topic: rewards
enter: [{on: review.posted}]
steps:
  - handoff: "Call {{ customer.first_name | default(\"them\") }} about {{ entry.review_id }}"
    timeout: 5h
  - send: milestone_thanks
`
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), journey(t, text, ""))
		b.join(anna)
		b.review()
		require.Equal(t, []string{"milestone_thanks (deferred, handed_off)"}, b.messages(anna))
		b.says(anna, "hello, are you there?")
		require.Empty(t, b.messages(anna), "a person answers, not the fallback")
		open, err := b.Store.View(b.ctx).OpenHandoffs("", 10)
		require.NoError(t, err)
		require.Len(t, open, 1)
		require.Equal(t, "Call them about f", open[0].Note)
		_, err = b.Dispatch.CloseHandoff(b.ctx, open[0].ID, "Mia")
		require.NoError(t, err)
		b.advance(time.Hour)
		b.last = map[string]int{}
		require.Contains(t, b.messages(anna), "milestone_thanks")
		_, err = b.Dispatch.CloseHandoff(b.ctx, open[0].ID, "Mia")
		require.Equal(t, punchcard.CodeConflict, punchcard.CodeOf(err))

		b.event(anna, "review.posted", map[string]any{"review_id": "g"})
		b.advance(6 * time.Hour)
		require.Equal(t, "completed", b.tried(), "nobody closed it, and its time is over")
		b.says(anna, "stop")
		require.Contains(t, b.messages(anna), "text: You will get no more messages from Bean & Bloom. Write JOIN if you change your mind.")
	})
}

func TestCall(t *testing.T) {
	t.Parallel()
	const text = `
journey: tried
topic: rewards
enter: [{on: review.posted}]
steps:
  - call: crm.profile
    with: {friend: "{{ entry.review_id }}"}
    as: crm
    on_failed: [{end: failed}]
  - choose:
      - if: crm.score > 10
        do: [{end: high}]
      - otherwise: [{end: low}]
`
	for name, c := range map[string]struct {
		status int
		answer string
		want   string
	}{
		"an answer is typed and seen": {200, `{"score": 12.5, "name": "dropped"}`, "high"},
		"the wrong type":              {200, `{"score": "many"}`, "failed"},
		"no JSON":                     {200, `<html>`, "failed"},
		"too long":                    {200, `{"score": 1, "x": "` + strings.Repeat("x", 70_000) + `"}`, "failed"},
		"refused":                     {403, ``, "failed"},
		"broken":                      {500, ``, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				body, err := io.ReadAll(r.Body)
				mac := hmac.New(sha256.New, []byte("secret"))
				_, _ = mac.Write([]byte(r.Header.Get("Webhook-Id") + "." + r.Header.Get("Webhook-Timestamp") + "." + string(body)))
				signed := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
				var in struct {
					Type string         `json:"type"`
					Data map[string]any `json:"data"`
				}
				if err != nil || json.Unmarshal(body, &in) != nil || signed != r.Header.Get("Webhook-Signature") || in.Data["friend"] != "f" {
					w.WriteHeader(http.StatusTeapot)
					return
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.answer)
			}))
			t.Cleanup(server.Close)
			url := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
			more := "calls:\n  crm.profile: {url: " + url + "/profile, with: {friend: string}, answers: {score: number}, timeout: 2s}\n"
			each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
				b := setup(t, fresh(t), journey(t, text, more), calls.Caller{Secret: []byte("secret"), Private: true})
				b.review()
				require.Equal(t, c.want, b.tried())

				barred := setup(t, fresh(t), journey(t, text, more), calls.Caller{Secret: []byte("secret")})
				before := asked.Load()
				barred.review()
				require.Equal(t, "failed", barred.tried(), "a program may not reach our own network")
				require.Equal(t, before, asked.Load())
			})
		})
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	const text = `
journey: tried
topic: rewards
enter:
  - {every: day, at: "12:00", where: segment.quiet_ones}
again_after: 30d
steps: [{end: done}]
`
	segments := "segments:\n  quiet_ones: {title: Quiet ones, where: 'times(\"review.posted\", \"2d\") == 0'}\n"
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		files := journey(t, text, "")
		withSegments := with(map[string]string{"segments.yaml": segments})
		for _, name := range []string{"journeys/tried.yaml", "program.yaml"} {
			data, err := fs.ReadFile(files, name)
			require.NoError(t, err)
			withSegments = add(withSegments, name, string(data))
		}
		b := setup(t, fresh(t), withSegments)
		// Anna's noon is at eleven UTC, Ann's in New York is at seventeen.
		b.event(anna, "review.posted", map[string]any{"review_id": "f"})
		const ann = "+12125550123"
		_, err := b.Dispatch.Ingest(b.ctx, []dispatch.Incoming{{
			ID: "ny", Name: "review.posted", Customer: dispatch.Reference{Phone: ann}, Properties: map[string]any{"review_id": "f"},
			Profile: punchcard.Profile{Timezone: "America/New_York"},
		}})
		require.NoError(t, err)
		b.advance(3 * 24 * time.Hour) // Thursday, ten in Copenhagen
		require.Empty(t, b.tried())
		b.advance(2*time.Hour + time.Minute)
		require.Equal(t, "done", b.tried())
		require.NotContains(t, b.outcomes(ann), "tried done", "it is six in the morning there")
		b.advance(6 * time.Hour)
		require.Contains(t, b.outcomes(ann), "tried done")
		b.advance(5 * 24 * time.Hour)
		require.Len(t, b.outcomes(anna), 1, "not again within thirty days")
	})
}

// Stops act on runs of every version at once, and are taken back.
func TestStops(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.join(anna)
		cart := func(id string) {
			b.event(anna, "cart.updated", map[string]any{"cart_id": id, "total": 30, "items": []any{}})
		}
		cart("c1")
		_, err := b.Dispatch.Stop(b.ctx, "template", "cart_reminder", "the wording is wrong")
		require.NoError(t, err)
		b.advance(61 * time.Minute)
		require.Equal(t, []string{"cart_reminder (suppressed, template_stopped)"}, b.messages(anna))
		require.NoError(t, b.Dispatch.Allow(b.ctx, "template", "cart_reminder"))

		n, err := b.Dispatch.Stop(b.ctx, "journey", "abandoned-cart", "")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		cart("c2")
		require.Equal(t, []string{"opt-in subscribed", "abandoned-cart stopped"}, b.outcomes(anna))
		require.NoError(t, b.Dispatch.Allow(b.ctx, "journey", "abandoned-cart"))
		cart("c3")
		require.Len(t, b.outcomes(anna), 3)
		n, err = b.Dispatch.EndRuns(b.ctx, 1)
		require.NoError(t, err)
		require.Equal(t, 1, n)

		_, err = b.Dispatch.Stop(b.ctx, "reward", "free-coffee", "")
		require.NoError(t, err)
		b.review()
		b.review()
		_, err = b.Dispatch.RequestRedemption(b.ctx, b.customer(anna).ID, "free-coffee", "")
		require.NoError(t, err)
		require.NoError(t, b.Settle(b.ctx))
		require.Contains(t, b.messages(anna), "redemption_refused")
		_, err = b.Dispatch.Stop(b.ctx, "reward", "free-tea", "")
		require.Equal(t, punchcard.CodeNotFound, punchcard.CodeOf(err))
	})
}
