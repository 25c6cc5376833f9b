package simulate_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punchcard"
	"punchcard/activities"
	"punchcard/internal/calls"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// vendor is another system that issues codes: one for each grant that it is asked for, the same however often.
type vendor struct {
	url   string
	mu    sync.Mutex
	ids   []string // of the requests, as they came
	body  string   // of the last
	fault string   // what is wrong with the last, to our own documentation
	// answers, if it is there, answers in its place; n counts the requests from 1. It answers false to leave it to the vendor.
	answers func(n int, w http.ResponseWriter, r *http.Request) bool
}

const vendorSecret = "secret"

var asVendor = calls.Caller{Secret: []byte(vendorSecret), Private: true}

func newVendor(t *testing.T) *vendor {
	t.Helper()
	v := &vendor{}
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	v.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	return v
}

// issued is the vendor's code for a grant.
func issued(grant string) string { return "FILM-" + strings.ToUpper(grant[len(grant)-10:]) }

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	id := r.Header.Get("Webhook-Id")
	mac := hmac.New(sha256.New, []byte(vendorSecret))
	_, _ = mac.Write([]byte(id + "." + r.Header.Get("Webhook-Timestamp") + "." + string(body)))
	v.mu.Lock()
	v.ids = append(v.ids, id)
	if r.Header.Get("Webhook-Signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		v.fault = "the signature"
	}
	if v.body != "" && v.ids[0] == id && v.body != string(body) {
		v.fault = "the same grant is asked for in other words"
	}
	v.body = string(body)
	n, answers := len(v.ids), v.answers
	v.mu.Unlock()
	if answers != nil && answers(n, w, r) {
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"code": issued(id), "balance": 3})
}

func (v *vendor) asked() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.ids...)
}

// films is the coffee program with a reward whose codes are a vendor's: given for a review, and redeemed.
func films(t *testing.T, v *vendor) fs.FS {
	t.Helper()
	program := catalog(`
rewards:
  film: {kind: gift_card, title: A film, cost: 300, value: 12.50, codes: {call: vendor.code}, valid_for: 30d, captured_by: till}
  tape: {kind: gift_card, title: A tape, codes: {call: vendor.code}, captured_by: till, per_customer: 1}
`)
	base, err := fs.ReadFile(program, "program.yaml")
	require.NoError(t, err)
	for name, text := range map[string]string{
		"program.yaml": string(base) + "\ncalls:\n  vendor.code: {url: " + v.url + "/codes, answers: {code: string, expires_at: time?}, timeout: 1s}\n",
		"journeys/gift.yaml": `
journey: gift
purpose: service
enter: [{on: review.posted}]
if_running: after
steps:
  - reward: film
    as: gift
    on_refused: [{say: "Sorry: {{ gift.reason }}"}, {end: refused}]
  - say: "{{ gift.title }}: {{ gift.code }}"
  - end: given
`,
		"journeys/redemption.yaml": `
journey: redemption
purpose: service
enter: [{on: redemption.requested, key: event.redemption_id}]
steps:
  - redeem: "{{ entry.reward }}"
    as: held
    on_refused: [{end: refused}]
  - say: "{{ held.title }}: {{ held.code }}"
  - wait_for: redemption.captured
    where: event.redemption_id == entry.redemption_id
    timeout: 15d
    on_timeout: [{release: held}, {end: expired}]
  - end: redeemed
`,
	} {
		program[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return program
}

// wants is a film-goer: a customer with points, who has just written to us.
func (b *bundle) wants(phone string) {
	b.t.Helper()
	b.event(phone, "registration.received", map[string]any{"source": "web"})
	b.says(phone, "Hello!")
	b.rich(phone)
	b.messages(phone)
	require.NoError(b.t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
		if hooks, err := tx.Hooks(); err != nil || len(hooks) > 0 {
			return err
		}
		return tx.AddHook(&punchcard.Hook{ID: punchcard.NewID(punchcard.PrefixHook), URL: "https://shop.example", Secret: "whsec_c2VjcmV0"})
	}))
}

// hooksHeard lists what hooks were told of a customer's grants and redemptions: the type, the grant if it says one, and the reason.
func (b *bundle) hooksHeard(phone string) (out []string, bodies string) {
	b.t.Helper()
	view := b.Store.View(b.ctx)
	id := b.customer(phone).ID
	for seq := int64(1); ; seq++ {
		e, err := view.HookEvent(seq)
		if err != nil || e == nil {
			return out, bodies
		}
		data, err := json.Marshal(e.Data)
		require.NoError(b.t, err)
		bodies += string(data)
		if e.CustomerID == id && (e.Type == punchcard.HookRewardGranted || strings.HasPrefix(string(e.Type), "redemption.")) {
			line := string(e.Type)
			if e.Data["grant_id"] != nil {
				line += " of a grant"
			}
			if e.Data["reason"] != nil {
				line += fmt.Sprint(" ", e.Data["reason"])
			}
			out = append(out, line)
		}
	}
}

// newestGrant is the customer's, nil for none.
func (b *bundle) newestGrant(phone string) *punchcard.Grant {
	b.t.Helper()
	grants, err := b.Store.View(b.ctx).Grants(b.customer(phone).ID, "", 10)
	require.NoError(b.t, err)
	if len(grants) == 0 {
		return nil
	}
	return &grants[0]
}

// holds are how often the customer's points were held, given back and spent.
func (b *bundle) holds(phone string) map[punchcard.LedgerKind]int {
	b.t.Helper()
	entries, err := b.Store.View(b.ctx).Ledger(b.customer(phone).ID, 0, 100)
	require.NoError(b.t, err)
	n := map[punchcard.LedgerKind]int{}
	for _, e := range entries {
		if e.Kind == punchcard.LedgerHold || e.Kind == punchcard.LedgerRelease || e.Kind == punchcard.LedgerCapture {
			n[e.Kind]++
		}
	}
	return n
}

func TestCodesOfAnotherSystem(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		v := newVendor(t)
		var log bytes.Buffer
		b := setup(t, fresh(t), films(t, v), asVendor)
		b.Activities.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		b.wants(anna)

		b.review()
		g := b.newestGrant(anna)
		require.Equal(t, []string{g.ID}, v.asked(), "the request is named by the grant")
		require.Empty(t, v.fault)
		require.JSONEq(t, fmt.Sprintf(`{"type": "vendor.code", "timestamp": %q, "customer": %q, "data": {
			"grant_id": %q, "reward": "film", "value": 12.5, "currency": "EUR", "expires_at": %q}}`,
			g.CreatedAt.UTC().Format(time.RFC3339Nano), g.CustomerID, g.ID, g.ExpiresAt.UTC().Format(time.RFC3339Nano)), v.body)
		code := issued(g.ID)
		require.Equal(t, code, b.code(anna))
		require.Equal(t, punchcard.GrantGiven, g.Status)
		require.Equal(t, "gift given", b.outcomeOf(anna, "gift"))
		sent, err := json.Marshal(b.wa.sent[len(b.wa.sent)-1])
		require.NoError(t, err)
		require.Contains(t, string(sent), code, "the customer reads it whole")
		require.Equal(t, []string{"text: A film: " + punchcard.MaskCode(code)}, b.messages(anna), "nobody else does")

		id := b.customer(anna).ID
		r, err := b.Dispatch.RequestRedemption(b.ctx, id, "film", "")
		require.NoError(t, err)
		require.NoError(t, b.Settle(b.ctx))
		held := b.newestGrant(anna)
		require.Equal(t, punchcard.GrantHeld, held.Status)
		require.Contains(t, v.body, r.ID)
		require.Equal(t, int64(300), b.points(anna).Held)
		_, err = b.Dispatch.Capture(b.ctx, dispatch.Use{Code: strings.ToLower(issued(held.ID))})
		require.NoError(t, err)
		require.NoError(t, b.Settle(b.ctx))
		require.Equal(t, "redemption redeemed", b.outcomeOf(anna, "redemption"))
		require.Equal(t, map[punchcard.LedgerKind]int{punchcard.LedgerHold: 1, punchcard.LedgerCapture: 1}, b.holds(anna))

		told, bodies := b.hooksHeard(anna)
		require.Equal(t, []string{"reward.granted of a grant", "redemption.requested", "redemption.captured of a grant"}, told)
		all := bodies + log.String() + fmt.Sprintf("%+v %+v", g, held)
		for _, secret := range []string{code, issued(held.ID)} {
			require.NotContains(t, all, secret)
		}
		require.Empty(t, b.raised())
	})
}

func TestNoCodeOfAnotherSystem(t *testing.T) {
	t.Parallel()
	says := func(text string) func(int, http.ResponseWriter, *http.Request) bool {
		return func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			_, _ = io.WriteString(w, text)
			return true
		}
	}
	status := func(status int) func(int, http.ResponseWriter, *http.Request) bool {
		return func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			return true
		}
	}
	cases := map[string]struct {
		answers func(int, http.ResponseWriter, *http.Request) bool
		caller  calls.Caller
		detail  string
	}{
		"4xx":              {status(http.StatusPaymentRequired), asVendor, "refused"},
		"a redirect":       {status(http.StatusFound), asVendor, "refused"},
		"5xx":              {status(http.StatusBadGateway), asVendor, "unreachable"},
		"slow":             {func(_ int, _ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }, asVendor, "unreachable"},
		"broken off":       {func(int, http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, asVendor, "unreachable"},
		"no JSON":          {says("<html>"), asVendor, "answer_invalid"},
		"another form":     {says(`[]`), asVendor, "answer_invalid"},
		"no code":          {says(`{}`), asVendor, "answer_invalid"},
		"null":             {says(`{"code": null}`), asVendor, "answer_invalid"},
		"a number":         {says(`{"code": 123456}`), asVendor, "answer_invalid"},
		"an empty code":    {says(`{"code": ""}`), asVendor, "answer_invalid"},
		"a short code":     {says(`{"code": "A-1-B-"}`), asVendor, "answer_invalid"},
		"a code of spaces": {says(`{"code": "AB CD EF"}`), asVendor, "answer_invalid"},
		"a code in Danish": {says(`{"code": "ÆØÅÆØÅ"}`), asVendor, "answer_invalid"},
		"a long code":      {says(`{"code": "` + strings.Repeat("x", 65) + `"}`), asVendor, "answer_invalid"},
		"a huge answer":    {says(`{"code": "ABCDEFGH", "x": "` + strings.Repeat("x", 70_000) + `"}`), asVendor, "answer_invalid"},
		"no time":          {says(`{"code": "ABCDEFGH", "expires_at": "soon"}`), asVendor, "answer_invalid"},
		"expired":          {says(`{"code": "ABCDEFGH", "expires_at": "2026-11-23T08:59:59Z"}`), asVendor, "code_expired"},
		"another's code":   {says(`{"code": "po-OL1"}`), asVendor, "code_taken"},
		"no secret":        {nil, calls.Caller{Private: true}, "no_secret"},
		"a private host":   {nil, calls.Caller{Secret: []byte("x")}, "refused"},
	}
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		v := newVendor(t)
		b := setup(t, fresh(t), films(t, v))
		for name, c := range cases {
			v.answers, b.Activities.Caller = c.answers, c.caller
			phone := fmt.Sprintf("+452014%04d", b.seq)
			b.wants(phone)

			b.event(phone, "review.posted", map[string]any{"review_id": "f"})
			g := b.newestGrant(phone)
			require.Equal(t, []any{punchcard.GrantReleased, "no_code", "", false}, []any{g.Status, g.Reason, g.Code, g.AwaitsCode}, name)
			require.Equal(t, []string{"text: Sorry: we could not get a code just now; please try again later"}, b.messages(phone), name)
			require.Equal(t, []string{"no_code film " + c.detail}, b.raised(), name)

			before := b.points(phone).Available
			r, err := b.Dispatch.RequestRedemption(b.ctx, b.customer(phone).ID, "film", "")
			require.NoError(t, err)
			require.NoError(t, b.Settle(b.ctx))
			r, err = b.Store.View(b.ctx).Redemption(r.ID)
			require.NoError(t, err)
			require.Equal(t, []any{punchcard.RedemptionRefused, "no_code"}, []any{r.Status, r.Reason}, name)
			require.Equal(t, "redemption refused", b.outcomeOf(phone, "redemption"), name)
			require.Equal(t, before, b.points(phone).Available, name)
			require.Equal(t, map[punchcard.LedgerKind]int{punchcard.LedgerHold: 1, punchcard.LedgerRelease: 1}, b.holds(phone), name)
			refusals, err := b.Store.View(b.ctx).Refusals("no_code", b.customer(phone).ID, "", 10)
			require.NoError(t, err)
			require.Len(t, refusals, 2, name)
			require.Equal(t, []any{punchcard.RefusedRedeem, punchcard.RefusedGive}, []any{refusals[0].Action, refusals[1].Action})
			told, _ := b.hooksHeard(phone)
			require.Equal(t, []string{
				"redemption.released of a grant", "redemption.requested", "redemption.refused no_code", "redemption.released of a grant",
			}, told, "who may have issued a code hears that nobody has it")

			v.answers, b.Activities.Caller = nil, asVendor
			b.event(phone, "review.posted", map[string]any{"review_id": "g"})
			require.Equal(t, issued(b.newestGrant(phone).ID), b.code(phone), name)
			require.Empty(t, b.raised(), "it gives codes again")
		}
	})
}

// A vendor's own expiry is the grant's, and a code may be of any form that can be typed.
func TestCodeOfAnotherSystemExpires(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		v := newVendor(t)
		code := strings.Repeat("aB3$-/.", 9) + "!"
		v.answers = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "expires_at": "2026-11-24T12:00:00+02:00"})
			return true
		}
		b := setup(t, fresh(t), films(t, v), asVendor)
		b.wants(anna)
		b.review()
		require.Equal(t, code, b.code(anna))
		require.Len(t, code, 64)
		require.Equal(t, time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC), b.newestGrant(anna).ExpiresAt.UTC())
		found, err := b.Dispatch.LookUp(b.ctx, dispatch.Till{}, code)
		require.NoError(t, err)
		require.Nil(t, found.Refused)
		b.advance(48 * time.Hour)
		require.Equal(t, punchcard.ReasonExpired, b.newestGrant(anna).Reason)
	})
}

// However the run ends while the vendor thinks, what was held is given back once, and a code that comes too late goes to nobody.
func TestRunEndsWhileACodeIsAskedFor(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, b *bundle, r *punchcard.Redemption){
		"cancelled": func(t *testing.T, b *bundle, r *punchcard.Redemption) {
			t.Helper()
			_, err := b.Dispatch.CancelRedemption(b.ctx, r.ID)
			require.NoError(t, err)
		},
		"stopped": func(t *testing.T, b *bundle, r *punchcard.Redemption) {
			t.Helper()
			require.NoError(t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
				run, err := tx.LockRun(r.RunID)
				if err != nil {
					return err
				}
				return fence.Leave(tx, run, fence.Ending{Outcome: "stopped"})
			}))
		},
		"expired": func(t *testing.T, b *bundle, r *punchcard.Redemption) {
			t.Helper()
			b.Clock.Advance(31 * 24 * time.Hour)
			require.NoError(t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
				if _, err := tx.LockCustomer(r.CustomerID); err != nil {
					return err
				}
				return b.Fence.Expire(b.ctx, tx, []string{r.GrantID})
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
				v := newVendor(t)
				b := setup(t, fresh(t), films(t, v), asVendor)
				b.wants(anna)
				r, err := b.Dispatch.RequestRedemption(b.ctx, b.customer(anna).ID, "film", "")
				require.NoError(t, err)
				v.answers = func(_ int, _ http.ResponseWriter, req *http.Request) bool {
					view := b.Store.View(b.ctx)
					g, err := view.Grant(req.Header.Get("Webhook-Id"))
					require.NoError(t, err)
					require.True(t, g.AwaitsCode)
					require.Equal(t, int64(300), b.points(anna).Held)
					usable, err := b.Dispatch.Usable(b.ctx, g.CustomerID, "")
					require.NoError(t, err)
					require.Empty(t, usable, "a till is not shown it")
					require.NoError(t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
						used, err := fence.Capture(tx, g, &punchcard.Capture{By: punchcard.CapturedByTill}, 0)
						require.False(t, used)
						return err
					}))
					now, err := view.Redemption(r.ID)
					require.NoError(t, err)
					end(t, b, now)
					return false
				}
				require.NoError(t, b.Settle(b.ctx))
				g := b.newestGrant(anna)
				require.Equal(t, []any{punchcard.GrantReleased, name, false}, []any{g.Status, g.Reason, g.AwaitsCode})
				require.Equal(t, int64(400), b.points(anna).Available)
				require.Equal(t, map[punchcard.LedgerKind]int{punchcard.LedgerHold: 1, punchcard.LedgerRelease: 1}, b.holds(anna))
				require.Len(t, v.asked(), 1)
				owner, err := b.Store.View(b.ctx).GrantByCode(issued(g.ID))
				require.NoError(t, err)
				require.Nil(t, owner)
				now, err := b.Store.View(b.ctx).Redemption(r.ID)
				require.NoError(t, err)
				require.Equal(t, []any{punchcard.RedemptionReleased, name}, []any{now.Status, now.Reason})
				told, _ := b.hooksHeard(anna)
				kind := "redemption.released of a grant"
				if name == "expired" {
					kind = "redemption.expired of a grant"
				}
				require.Equal(t, []string{"redemption.requested", kind}, told)
				outcome := name
				if name == "expired" {
					outcome = "refused"
				}
				require.Equal(t, "redemption "+outcome, b.outcomeOf(anna, "redemption"))
				require.Empty(t, b.raised(), "nobody's fault")
			})
		})
	}
}

// A process dies before or after each commit of a step that asks: there is one grant, one name for the request, and the one code.
func TestKillWhileACodeIsAskedFor(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		v := newVendor(t)
		b := setup(t, fresh(t), films(t, v), asVendor)
		for _, after := range []bool{true, false} {
			for at, killed := 1, true; killed; at++ {
				require.Less(t, at, 100)
				phone := fmt.Sprintf("+452013%04d", b.seq)
				b.event(phone, "registration.received", map[string]any{"source": "web"})
				b.rich(phone)
				before := len(v.asked())
				r, err := b.Dispatch.RequestRedemption(b.ctx, b.customer(phone).ID, "film", "")
				require.NoError(t, err)
				n := 0
				killed = false
				b.Store.Kill(func(committed bool) bool {
					if committed == after && !killed {
						n++
						killed = n == at
						return killed
					}
					return false
				})
				for was := !killed; was != killed; {
					was = killed
					_ = b.Advance(b.ctx, time.Minute)
					_ = b.Store.Update(b.ctx, func(tx *store.Tx) error { return tx.ReleaseClaims() })
					b.Dispatch = dispatch.New(b.Fence, b.Engine, quiet)
				}
				b.Store.Kill(nil)
				b.advance(time.Minute)

				now, err := b.Store.View(b.ctx).Redemption(r.ID)
				require.NoError(t, err)
				require.Equal(t, punchcard.RedemptionHeld, now.Status, "killed at %d, after %v", at, after)
				require.Equal(t, issued(now.GrantID), b.code(phone))
				grants, err := b.Store.View(b.ctx).Grants(now.CustomerID, "", 10)
				require.NoError(t, err)
				require.Len(t, grants, 1)
				require.False(t, grants[0].AwaitsCode)
				for _, id := range v.asked()[before:] {
					require.Equal(t, now.GrantID, id)
				}
				require.Equal(t, map[punchcard.LedgerKind]int{punchcard.LedgerHold: 1}, b.holds(phone))
			}
		}
		require.Empty(t, v.fault)
		require.Empty(t, b.raised())
	})
}

// Several workers do the same step at once, and the vendor knows nothing of idempotency: one grant, one code, one answer.
func TestTwoWorkersAskForACode(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		v := newVendor(t)
		b := setup(t, fresh(t), films(t, v), asVendor)
		b.wants(anna)
		d := dispatch.New(b.Fence, deaf{}, quiet)
		_, err := d.RequestRedemption(b.ctx, b.customer(anna).ID, "film", "")
		require.NoError(t, err)
		for worked := true; worked; {
			worked, err = d.Drain(b.ctx)
			require.NoError(t, err)
		}
		runs, err := b.Store.View(b.ctx).Runs(b.customer(anna).ID, "", 1)
		require.NoError(t, err)
		const workers = 4
		var together sync.WaitGroup
		together.Add(workers)
		v.answers = func(n int, w http.ResponseWriter, _ *http.Request) bool {
			together.Done()
			together.Wait()
			_ = json.NewEncoder(w).Encode(map[string]any{"code": fmt.Sprintf("CODE%d", n)})
			return true
		}
		var g errgroup.Group
		var results [workers]rules.Result
		for i := range workers {
			g.Go(func() (err error) {
				results[i], err = b.Activities.Redeem(context.WithoutCancel(b.ctx), activities.Input{Run: runs[0].ID, Effect: rules.Effect{Step: 1, Node: "1"}})
				return err
			})
		}
		require.NoError(t, g.Wait())
		grant := b.newestGrant(anna)
		for i, r := range results {
			require.Equal(t, []any{rules.ReplyDone, rules.OutcomeNext}, []any{r.Reply, r.Outcome}, "worker %d", i)
			require.Equal(t, grant.ID, v.asked()[i])
		}
		require.Regexp(t, `^CODE[1-4]$`, b.code(anna))
		require.Equal(t, map[punchcard.LedgerKind]int{punchcard.LedgerHold: 1}, b.holds(anna))
		grants, err := b.Store.View(b.ctx).Grants(grant.CustomerID, "", 10)
		require.NoError(t, err)
		require.Len(t, grants, 1)
		found := 0
		for i := range workers {
			owner, err := b.Store.View(b.ctx).GrantByCode(fmt.Sprintf("CODE%d", i+1))
			require.NoError(t, err)
			if owner != nil {
				found++
			}
		}
		require.Equal(t, 1, found)
	})
}

func TestCodeOfAnotherSystemByHand(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		v := newVendor(t)
		b := setup(t, fresh(t), films(t, v), asVendor)
		b.wants(anna)
		gift := func(request string) (*punchcard.Grant, error) {
			return b.Dispatch.GiveReward(b.ctx, dispatch.Given{
				Customer: b.customer(anna).ID, Reward: "tape", By: "Mia", Note: "a broken machine", Request: request,
			})
		}
		refuse := func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusForbidden)
			return true
		}

		v.answers = refuse
		_, err := gift("one")
		require.Equal(t, punchcard.CodeUpstream, punchcard.CodeOf(err))
		require.Equal(t, "no_code", punchcard.ReasonOf(err))
		require.EqualError(t, err, "vendor.code gave no code: it refused the request, or may not be reached from here. Nothing was given; ask again later")
		require.Equal(t, []string{"no_code tape refused"}, b.raised())
		failed := b.newestGrant(anna)
		require.Equal(t, punchcard.GrantReleased, failed.Status)

		v.answers = nil
		// Killed at each commit: the same key goes on where the first request died.
		for _, after := range []bool{false, true} {
			for at, killed := 1, true; killed; at++ {
				n, key := 0, fmt.Sprint("one", at, after)
				killed = false
				b.Store.Kill(func(committed bool) bool {
					if committed == after {
						n++
					}
					killed = killed || committed == after && n == at
					return killed
				})
				_, err = gift(key)
				b.Store.Kill(nil)
				if killed {
					require.ErrorIs(t, err, store.ErrKilled)
				}
				begun := b.newestGrant(anna)
				g, err := gift(key)
				require.NoError(t, err)
				require.Equal(t, issued(g.ID), b.code(anna))
				require.False(t, g.AwaitsCode)
				if begun.EndedAt == nil {
					require.Equal(t, begun.ID, g.ID)
				}
				again, err := gift(key)
				require.NoError(t, err)
				require.Equal(t, g.ID, again.ID)
				_, err = gift("another")
				require.Equal(t, "per_customer", punchcard.ReasonOf(err))
				b.takeBack(g)
			}
		}
		require.Empty(t, b.raised())

		// Two requests at once with one key.
		var both errgroup.Group
		ids := make([]string, 4)
		for i := range ids {
			both.Go(func() error {
				g, err := gift("together")
				if err == nil {
					ids[i] = g.ID
				}
				return err
			})
		}
		require.NoError(t, both.Wait())
		for _, id := range ids {
			require.Equal(t, ids[0], id)
		}
		require.Empty(t, v.fault)

		// A process that dies and whose request never comes again: the hourly job gives back what it left.
		b.takeBack(b.newestGrant(anna))
		b.Store.Kill(func(committed bool) bool { return committed })
		_, err = gift("left")
		require.ErrorIs(t, err, store.ErrKilled)
		b.Store.Kill(nil)
		left := b.newestGrant(anna)
		require.True(t, left.AwaitsCode)
		b.hourly()
		require.True(t, b.newestGrant(anna).AwaitsCode, "it may be under way yet")
		b.Clock.Advance(16 * time.Minute)
		b.hourly()
		left = b.newestGrant(anna)
		require.Equal(t, []any{punchcard.GrantReleased, "no_code", false}, []any{left.Status, left.Reason, left.AwaitsCode})
		require.Equal(t, []string{"no_code tape abandoned"}, b.raised())
		g, err := gift("left")
		require.NoError(t, err)
		require.NotEqual(t, left.ID, g.ID)
		require.Empty(t, b.raised())
	})
}

func (b *bundle) takeBack(g *punchcard.Grant) {
	b.t.Helper()
	require.NoError(b.t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
		_, err := tx.ReleaseGrant(g)
		return err
	}))
}

// hourly does a round of the job that ends grants.
func (b *bundle) hourly() {
	b.t.Helper()
	for _, job := range b.Activities.Jobs() {
		if job.Name == activities.JobGrants {
			batch, err := job.Batch(b.ctx, "")
			require.NoError(b.t, err)
			require.Zero(b.t, batch.Failed)
		}
	}
}
