package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/programs"
	"punchcard/rules"
)

// card gives a customer a gift card of 20 that is used in parts.
func (b *bundle) card(customer, code string) *punchcard.Grant {
	b.t.Helper()
	return b.grant(customer, code, func(g *punchcard.Grant) {
		g.Value, g.Partial = 20, true
		expires := monday.Add(40 * 24 * time.Hour)
		g.ExpiresAt = &expires
	})
}

// ben is another customer.
func (b *bundle) ben() string {
	b.t.Helper()
	b.post("/v1/events", `{"id": "reg-2", "name": "registration.received", "properties": {"source": "web"}, "customer": {"external_id": "c-18", "phone": "+45 20 99 99 99"}}`).is(http.StatusAccepted)
	b.route()
	return b.get("/v1/customers/external:c-18").is(http.StatusOK)["id"].(string)
}

// itsFraud are the coffee shop's own rules against misuse.
var itsFraud = regexp.MustCompile(`(?m)^fraud:.*\n(?:  .*\n)+`)

// publish has the program say that of misuse.
func (b *bundle) publish(fraud string) {
	b.t.Helper()
	program, problems := rules.Load(programs.Coffee())
	require.Empty(b.t, problems.Errors())
	files := maps.Clone(program.Files)
	require.Regexp(b.t, itsFraud, files["program.yaml"])
	files["program.yaml"] = itsFraud.ReplaceAllString(files["program.yaml"], fraud+"\n")
	p, problems := rules.LoadFiles(files)
	require.Empty(b.t, problems.Errors())
	_, _, err := b.fence.Catalog.Publish(b.t.Context(), p)
	require.NoError(b.t, err)
}

func keyed(k string) []string { return []string{"Idempotency-Key", k} }

// A card is used in parts, each once for its key; what was used is taken back once.
func TestCaptureParts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.ida()
	ben := b.ben()
	g := b.card(id, "CARD1234")
	const capture = "/v1/redemptions/capture"
	use := func(body, k string) reply { return b.call(http.MethodPost, capture, body, keyed(k)...) }

	part := `{"code": "card-1234", "amount": 4.5, "device": "till-1", "order": "1207"}`
	first := use(part, "k1")
	require.Subset(t, first.is(http.StatusOK), map[string]any{"amount": 4.5, "left": 15.5, "value": 20.0, "status": "given", "grant_id": g.ID})
	again := use(part, "k1")
	require.Equal(t, first.body, again.body)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, "key_reused", use(strings.Replace(part, "4.5", "5", 1), "k1").is(http.StatusUnprocessableEntity)["reason"])

	for name, test := range map[string]struct {
		body          string
		status        int
		reason, field any
	}{
		"more than is left":       {`{"code": "CARD1234", "amount": 15.501}`, http.StatusConflict, "amount_too_large", "amount"},
		"below zero":              {`{"code": "CARD1234", "amount": -1}`, http.StatusUnprocessableEntity, nil, "amount"},
		"nothing":                 {`{"code": "CARD1234", "amount": 0}`, http.StatusUnprocessableEntity, nil, "amount"},
		"too fine":                {`{"code": "CARD1234", "amount": 0.0001}`, http.StatusUnprocessableEntity, nil, "amount"},
		"more than money":         {`{"code": "CARD1234", "amount": 1e300}`, http.StatusUnprocessableEntity, nil, "amount"},
		"a word":                  {`{"code": "CARD1234", "amount": "4"}`, http.StatusUnprocessableEntity, nil, "amount"},
		"another's":               {`{"code": "CARD1234", "customer": "external:c-18"}`, http.StatusConflict, "customer_mismatch", nil},
		"nobody's":                {`{"code": "CARD1234", "customer": "external:c-99"}`, http.StatusNotFound, "unknown_customer", "customer"},
		"a customer that is none": {`{"code": "CARD1234", "customer": 5}`, http.StatusUnprocessableEntity, nil, "customer"},
		"a long device":           {`{"code": "CARD1234", "device": "` + strings.Repeat("d", 201) + `"}`, http.StatusUnprocessableEntity, nil, "device"},
		"a strange device":        {`{"code": "CARD1234", "device": "till\u0000"}`, http.StatusUnprocessableEntity, nil, "device"},
		"a strange order":         {`{"code": "CARD1234", "order": "a\nb"}`, http.StatusUnprocessableEntity, nil, "order"},
		"unknown member":          {`{"code": "CARD1234", "force": true}`, http.StatusUnprocessableEntity, nil, "force"},
		"a list":                  {`{"code": ["CARD1234"]}`, http.StatusUnprocessableEntity, nil, "code"},
	} {
		r := b.post(capture, test.body)
		got := r.is(test.status)
		require.Equal(t, []any{test.reason, test.field}, []any{got["reason"], got["field"]}, "%s: %s", name, r.body)
		require.NotContains(t, r.body, "CARD1234", name)
	}
	whole := b.grant(id, "WHOLE234", nil)
	require.Equal(t, "not_partial", b.post(capture, `{"code": "WHOLE234", "amount": 1}`).is(http.StatusConflict)["reason"])
	require.Equal(t, "captured", b.post(capture, `{"code": "WHOLE234", "amount": 4.5}`).is(http.StatusOK)["status"], "all of it is no part")
	require.NotEqual(t, whole.ID, g.ID)

	rest := use(`{"code": "CARD1234", "customer": {"phone": "+4520123456"}}`, "k2").is(http.StatusOK)
	require.Subset(t, rest, map[string]any{"amount": 15.5, "left": 0.0, "status": "captured"})
	require.Equal(t, "already_captured", use(`{"code": "CARD1234"}`, "k3").is(http.StatusConflict)["reason"])
	require.Equal(t, first.body, use(part, "k1").body, "the answer of then, though all is used by now")

	// Taking back.
	back := "/v1/captures/" + rest["capture_id"].(string) + "/reverse"
	for name, test := range map[string]struct {
		path, body string
		status     int
		field      any
	}{
		"nobody":        {back, `{"by": " ", "reason": "x"}`, http.StatusUnprocessableEntity, "by"},
		"for no reason": {back, `{"by": "Maria", "reason": "  "}`, http.StatusUnprocessableEntity, "reason"},
		"without":       {back, `{"by": "Maria"}`, http.StatusUnprocessableEntity, nil},
		"strange":       {back, `{"by": "Ma\u0000ria", "reason": "x"}`, http.StatusUnprocessableEntity, "by"},
		"a long reason": {back, `{"by": "Maria", "reason": "` + strings.Repeat("x", 1001) + `"}`, http.StatusUnprocessableEntity, "reason"},
		"no capture":    {"/v1/captures/" + punchcard.NewID("cap") + "/reverse", `{"by": "Maria", "reason": "x"}`, http.StatusNotFound, nil},
		"no id":         {"/v1/captures/%00/reverse", `{"by": "Maria", "reason": "x"}`, http.StatusNotFound, nil},
	} {
		r := b.post(test.path, test.body)
		require.Equal(t, test.field, r.is(test.status)["field"], "%s: %s", name, r.body)
	}
	why := `{"by": " Maria ", "reason": "Rung up for the wrong table"}`
	taken := b.call(http.MethodPost, back, why, keyed("r1")...)
	require.Subset(t, taken.is(http.StatusOK), map[string]any{"amount": 15.5, "left": 15.5, "status": "given"})
	require.Equal(t, taken.body, b.call(http.MethodPost, back, why, keyed("r1")...).body)
	require.Equal(t, "already_reversed", b.call(http.MethodPost, back, why, keyed("r2")...).is(http.StatusConflict)["reason"])
	require.Equal(t, "not_reversible", b.post("/v1/captures/"+taken.json()["capture_id"].(string)+"/reverse", why).is(http.StatusConflict)["reason"])
	require.Subset(t, use(`{"code": "CARD1234", "amount": 15.5}`, "k4").is(http.StatusOK), map[string]any{"left": 0.0, "status": "captured"})
	require.Equal(t, "already_captured", use(`{"code": "CARD1234"}`, "k5").is(http.StatusConflict)["reason"], "usable once again, and no more")
	b.clock.Advance(24 * time.Hour)
	require.Equal(t, "too_late", b.post("/v1/captures/"+first.json()["capture_id"].(string)+"/reverse", why).is(http.StatusGone)["reason"])
	rows, err := b.store.View(t.Context()).Captures(g.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"Maria", "Rung up for the wrong table"}, []string{rows[2].Author, rows[2].Note})
	require.NotEqual(t, id, ben)
}

// A card that was used in part expires: what is left is lost, and the till hears that and not that it was used up.
func TestCaptureOfWhatExpired(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.ida()
	g := b.card(id, "CARD1234")
	used := b.post("/v1/redemptions/capture", `{"code": "CARD1234", "amount": 5}`).is(http.StatusOK)
	b.clock.Advance(40 * 24 * time.Hour)
	for range 2 {
		require.Equal(t, "expired", b.post("/v1/redemptions/capture", `{"code": "CARD1234"}`).is(http.StatusGone)["reason"])
		require.Equal(t, "expired", b.post("/v1/redemptions/lookup", `{"code": "CARD1234"}`).is(http.StatusOK)["reason"])
		require.Equal(t, "expired", b.post("/v1/captures/"+used["capture_id"].(string)+"/reverse", `{"by": "Maria", "reason": "x"}`).is(http.StatusGone)["reason"])
		b.do(func(tx *store.Tx) error { // and the same once the hourly job has been there
			if _, err := tx.LockCustomer(id); err != nil {
				return err
			}
			return b.fence.Expire(t.Context(), tx, []string{g.ID})
		})
	}
}

// A look at a code, and at what a customer has, tells a till what it needs and no more.
func TestLookup(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.ida()
	g := b.card(id, "CARD1234")
	b.grant(id, "SHIPPING", func(g *punchcard.Grant) {
		g.Reward, g.CapturedBy, g.Value, g.ExpiresAt = "free-shipping", "order.placed", 0, nil
	})
	b.grant(id, "OLD12345", func(g *punchcard.Grant) { g.ExpiresAt = &monday })
	void := b.grant(id, "VOID1234", nil)
	b.do(func(tx *store.Tx) error {
		_, err := tx.ReleaseGrant(void)
		return err
	})
	const lookup, usable = "/v1/redemptions/lookup", "/v1/redemptions/usable"
	found := b.post(lookup, `{"code": "card1234", "device": "till-1"}`)
	require.Equal(t, map[string]any{
		"grant_id": g.ID, "reward": "free-coffee", "title": "A free coffee", "code": "••••1234", "customer_id": id, "customer": "I… •••••••3456", "status": "given",
		"value": 20.0, "left": 20.0, "partial": true, "expires_at": "2026-04-11T09:00:00Z", "usable": true, "reason": "", "detail": "",
	}, found.is(http.StatusOK))
	for _, whole := range []string{"CARD1234", "Ida", "20123456"} {
		require.NotContains(t, found.body, whole)
	}
	for code, reason := range map[string]string{"SHIPPING": "not_at_till", "OLD12345": "expired", "VOID1234": "released"} {
		got := b.post(lookup, `{"code": "`+code+`"}`).is(http.StatusOK)
		require.Equal(t, []any{false, reason}, []any{got["usable"], got["reason"]}, code)
		require.NotEmpty(t, got["detail"])
	}
	require.Equal(t, "unknown_code", b.post(lookup, `{"code": "NOBODYS1"}`).is(http.StatusNotFound)["reason"])
	require.Equal(t, "unknown_code", b.post(lookup, `{"code": "a\u0000b"}`).is(http.StatusNotFound)["reason"])
	for _, body := range []string{`{}`, `{"code": ""}`, `{"code": " - "}`, `{"code": 5}`, `{"code": null}`, `{"code": "` + strings.Repeat("A", 300) + `"}`, `{"code": "CARD1234", "amount": 5}`} {
		b.post(lookup, body).is(http.StatusUnprocessableEntity)
	}
	b.post(lookup, `{"code": "`+strings.Repeat("A", 300<<10)+`"}`).is(http.StatusRequestEntityTooLarge)
	b.post(lookup, `{"code": "`+"\xff"+`"}`).is(http.StatusBadRequest)
	b.get(lookup).is(http.StatusNotFound)

	b.post("/v1/redemptions/capture", `{"code": "CARD1234", "amount": 5}`).is(http.StatusOK)
	all := b.post(usable, `{"customer": "phone:+4520123456", "device": "till-1"}`)
	var rewards []string
	for _, item := range all.is(http.StatusOK)["items"].([]any) {
		m := item.(map[string]any)
		rewards = append(rewards, fmt.Sprint(m["reward"], " ", m["left"], " ", m["usable"], " ", m["reason"]))
	}
	require.Equal(t, []string{"free-coffee 15 true ", "free-shipping 0 false not_at_till"}, rewards, "what expires first is first; what is over is not there")
	b.ben()
	require.Empty(t, b.post(usable, `{"customer": {"external_id": "c-18"}}`).is(http.StatusOK)["items"])
	for body, status := range map[string]int{
		`{"customer": "external:nobody"}`: http.StatusNotFound, `{}`: http.StatusUnprocessableEntity, `{"customer": ""}`: http.StatusNotFound,
		`{"customer": "phone:5"}`: http.StatusUnprocessableEntity, `{"customer": {"name": "Ida"}}`: http.StatusUnprocessableEntity,
	} {
		require.Equal(t, status, b.post(usable, body).status, body)
	}
	for _, code := range []string{"CARD1234", "SHIPPING", "NOBODYS1", "20123456"} {
		require.NotContains(t, b.log.String(), code)
	}
}

// However people and phones write a code, it is the same; what only looks alike is another.
func TestCodesAsTyped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.card(b.ida(), "BBQ2K7M4")
	for _, typed := range []string{
		"BBQ2K7M4", "bbq2k7m4", " BB-Q2K7-M4 ", "bb q2k7 m4", "BB–Q2K7—M4", "BB\u2011Q2K7\u00a0M4", "\u200eBBQ2K7M4\u200b", "BBQ2K7M4\n", "\tBBQ2K7M4", "\ufeffbbq2k7m4",
	} {
		body, err := json.Marshal(map[string]string{"code": typed, "device": "till-1"})
		require.NoError(t, err)
		require.Equal(t, g.ID, b.post("/v1/redemptions/lookup", string(body)).is(http.StatusOK)["grant_id"], "%q", typed)
	}
	for _, other := range []string{"8BQ2K7M4", "ВВQ2K7M4", "BBQ2K7M", "BBQ2K7M4.", "BBQ2K7M4' OR '1'='1", "%", "BBQ2K7M_"} { // the second in Cyrillic letters
		body, err := json.Marshal(map[string]string{"code": other})
		require.NoError(t, err)
		require.Equal(t, "unknown_code", b.post("/v1/redemptions/lookup", string(body)).is(http.StatusNotFound)["reason"], "%q", other)
	}
}

// A till that asks for too many codes that there are not is told when it may ask again, and so is its API key; another till goes on.
func TestGuessing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish("fraud: {guesses: {at_most: 3, within: 10m}}")
	g := b.card(b.ida(), "CARD1234")
	look := func(code, device string) reply {
		return b.post("/v1/redemptions/lookup", `{"code": "`+code+`", "device": "`+device+`"}`)
	}
	for i := range 3 {
		look(fmt.Sprintf("GUESS%d", i), "till-1").is(http.StatusNotFound)
	}
	stopped := look("CARD1234", "till-1")
	require.Equal(t, "code_guessing", stopped.is(http.StatusTooManyRequests)["reason"])
	seconds, err := strconv.Atoi(stopped.header.Get("Retry-After"))
	require.NoError(t, err)
	require.Equal(t, 600, seconds)
	b.clock.Advance(4*time.Minute + 500*time.Millisecond)
	used := b.call(http.MethodPost, "/v1/redemptions/capture", `{"code": "CARD1234", "device": "till-1"}`, keyed("k")...)
	used.is(http.StatusTooManyRequests)
	require.Equal(t, "360", used.header.Get("Retry-After"), "whole seconds, and not one too few")
	require.Equal(t, g.ID, look("CARD1234", "till-2").is(http.StatusOK)["grant_id"])
	b.clock.Advance(6 * time.Minute)
	require.Equal(t, g.ID, look("CARD1234", "till-1").is(http.StatusOK)["grant_id"])
	again := b.call(http.MethodPost, "/v1/redemptions/capture", `{"code": "CARD1234", "device": "till-1"}`, keyed("k")...)
	require.Equal(t, "captured", again.is(http.StatusOK)["status"], "to be told to wait is no answer that is kept for a key")

	for i := range 30 {
		look(fmt.Sprintf("OTHER%d", i), fmt.Sprint("till-", 10+i))
	}
	require.Equal(t, "code_guessing", look("CARD1234", "till-99").is(http.StatusTooManyRequests)["reason"], "the key as a whole: ten times as many")
	alerts := b.get("/v1/alerts").is(http.StatusOK)["items"].([]any)
	require.NotEmpty(t, alerts)
}

// Each limit refuses by its own code, at a till and for its customer; what was taken back, and what nobody used at a till, does not count.
func TestCaptureLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.ida()
	ben := b.ben()
	const capture = "/v1/redemptions/capture"
	b.publish("fraud: {limits: [{of: captures, by: device, at_most: 2, within: 1h}, {of: captures, by: customer, at_most: 3, within: 1h}, {of: captures, by: program, at_most: 4, within: 1h}]}")
	b.card(id, "CARD1234")
	b.card(ben, "CARD5678")
	for _, by := range []string{"delivery", "step", "order.placed"} {
		g := b.grant(id, "OTHER"+strings.ToUpper(by[:3]), func(g *punchcard.Grant) { g.CapturedBy = by })
		b.do(func(tx *store.Tx) error {
			_, err := tx.UseGrant(g, &punchcard.Capture{By: by})
			return err
		})
	}
	use := func(code, device string) string {
		r := b.post(capture, `{"code": "`+code+`", "amount": 1, "device": "`+device+`"}`)
		reason, _ := r.json()["reason"].(string)
		return reason
	}
	require.Empty(t, use("CARD1234", "till-1"))
	second := b.post(capture, `{"code": "CARD1234", "amount": 1, "device": "till-1"}`).is(http.StatusOK)
	require.Equal(t, "velocity_device", use("CARD1234", "till-1"))
	require.Equal(t, "velocity_device", b.post("/v1/redemptions/lookup", `{"code": "CARD1234", "device": "till-1"}`).is(http.StatusOK)["reason"])
	require.Equal(t, "velocity_device", use("CARD5678", "till-1"), "the till's, whoever comes")
	b.post("/v1/captures/"+second["capture_id"].(string)+"/reverse", `{"by": "Maria", "reason": "x"}`).is(http.StatusOK)
	require.Empty(t, use("CARD1234", "till-1"), "what was taken back does not count")
	require.Empty(t, use("CARD1234", "till-2"))
	require.Equal(t, "velocity_customer", use("CARD1234", "till-3"))
	require.Equal(t, "velocity_customer", use("CARD1234", ""))
	require.Empty(t, use("CARD5678", ""), "who says no device is not counted by one")
	require.Equal(t, "velocity_program", use("CARD5678", "till-3"))
	b.clock.Advance(time.Hour)
	require.Empty(t, use("CARD1234", "till-1"))

	reasons := map[string]int{}
	for _, item := range b.get("/v1/refusals?limit=100").is(http.StatusOK)["items"].([]any) {
		reasons[item.(map[string]any)["reason"].(string)]++
	}
	require.Equal(t, map[string]int{"velocity_device": 2, "velocity_customer": 2, "velocity_program": 1}, reasons, "each refused use is kept, a look is not")
}

// What was refused is listed, newest first, in pages, by reason and by customer.
func TestRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.ida()
	b.ben()
	b.card(id, "CARD1234")
	for range 3 {
		b.post("/v1/redemptions/capture", `{"code": "CARD1234", "amount": 99, "device": "till-1"}`).is(http.StatusConflict)
	}
	for i := range 2 {
		b.post("/v1/redemptions/lookup", fmt.Sprintf(`{"code": "NOBODYS%d"}`, i)).is(http.StatusNotFound)
	}
	b.post("/v1/redemptions/capture", `{"code": "CARD1234", "customer": "external:c-18"}`).is(http.StatusConflict)
	list := func(query string) []string {
		var all []string
		path := "/v1/refusals?limit=2" + query
		for {
			page := b.get(path)
			got := page.is(http.StatusOK)
			require.NotContains(t, page.body, "CARD1234")
			require.NotContains(t, page.body, "NOBODYS")
			items := got["items"].([]any)
			require.LessOrEqual(t, len(items), 2)
			for _, item := range items {
				m := item.(map[string]any)
				all = append(all, fmt.Sprint(m["action"], " ", m["reason"]))
			}
			if got["next"] == nil {
				return all
			}
			path = "/v1/refusals?limit=2" + query + "&after=" + got["next"].(string)
		}
	}
	tooMuch := "capture amount_too_large"
	require.Equal(t, []string{"capture customer_mismatch", "lookup unknown_code", "lookup unknown_code", tooMuch, tooMuch, tooMuch}, list(""))
	require.Equal(t, []string{tooMuch, tooMuch, tooMuch}, list("&reason=amount_too_large"))
	require.Equal(t, []string{tooMuch, tooMuch, tooMuch}, list("&customer=external:c-17"))
	require.Equal(t, []string{"capture customer_mismatch"}, list("&customer="+"phone:%2B4520999999"))
	require.Empty(t, list("&reason=nothing"))
	require.Empty(t, list("&reason="+"'%20OR%20''='"))
	first := b.get("/v1/refusals?reason=amount_too_large").is(http.StatusOK)["items"].([]any)[0].(map[string]any)
	require.Equal(t, []any{id, "free-coffee", "till-1", "2026-03-02T09:00:00Z"}, []any{first["customer_id"], first["reward"], first["device"], first["at"]})
	require.NotEmpty(t, first["key"])
	for query, status := range map[string]int{
		"?limit=0": http.StatusUnprocessableEntity, "?limit=x": http.StatusUnprocessableEntity, "?after=x": http.StatusUnprocessableEntity,
		"?after=" + punchcard.NewID("rdm"): http.StatusUnprocessableEntity, "?customer=external:nobody": http.StatusNotFound,
		"?reason=" + strings.Repeat("x", 101): http.StatusUnprocessableEntity, "?reason=%00": http.StatusUnprocessableEntity, "?reason=%ff": http.StatusUnprocessableEntity,
	} {
		require.Equal(t, status, b.get("/v1/refusals"+query).status, query)
	}
}

// Redemptions are listed in pages, by status and customer, and given up once.
func TestCancelRedemption(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.ida()
	b.ben()
	var ids []string
	for range 3 {
		ids = append(ids, b.post("/v1/redemptions", `{"customer": "external:c-17", "reward": "free-coffee"}`).is(http.StatusAccepted)["redemption_id"].(string))
	}
	cancel := "/v1/redemptions/" + ids[0] + "/cancel"
	given := b.call(http.MethodPost, cancel, "", keyed("c1")...)
	require.Subset(t, given.is(http.StatusOK), map[string]any{"id": ids[0], "status": "released", "reason": "cancelled", "ended_at": "2026-03-02T09:00:00Z"})
	require.Equal(t, given.body, b.call(http.MethodPost, cancel, "", keyed("c1")...).body)
	require.Equal(t, "redemption_released", b.post(cancel, "").is(http.StatusConflict)["reason"])
	b.post("/v1/redemptions/"+punchcard.NewID("rdm")+"/cancel", "").is(http.StatusNotFound)
	b.post("/v1/redemptions/%00/cancel", "").is(http.StatusNotFound)
	b.route()
	require.Len(t, b.get("/v1/customers/external:c-17/runs").is(http.StatusOK)["items"], 3, "the opt-in, and the two that were not given up before a run was there")

	b.post("/v1/redemptions/"+ids[1]+"/cancel", "").is(http.StatusOK)
	list := func(query string) []any {
		var got []any
		for _, item := range b.get("/v1/redemptions" + query).is(http.StatusOK)["items"].([]any) {
			got = append(got, item.(map[string]any)["id"])
		}
		return got
	}
	require.Equal(t, []any{ids[2], ids[1], ids[0]}, list(""))
	require.Equal(t, []any{ids[1], ids[0]}, list("?status=released"))
	require.Equal(t, []any{ids[2]}, list("?status=requested&customer=external:c-17"))
	require.Empty(t, list("?customer=external:c-18"))
	page := b.get("/v1/redemptions?limit=2").is(http.StatusOK)
	require.Equal(t, []any{ids[0]}, list("?limit=2&after="+page["next"].(string)))
	for query, status := range map[string]int{
		"?status=lost": http.StatusUnprocessableEntity, "?after=x": http.StatusUnprocessableEntity, "?limit=-1": http.StatusUnprocessableEntity, "?customer=external:nobody": http.StatusNotFound,
		"?customer=external:%00": http.StatusUnprocessableEntity,
	} {
		require.Equal(t, status, b.get("/v1/redemptions"+query).status, query)
	}
}

// Nobody without a key learns or does anything at a till, with any body.
func TestTillNeedsAKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.card(b.ida(), "CARD1234")
	for method, paths := range map[string][]string{
		http.MethodPost: {
			"/v1/redemptions/capture", "/v1/redemptions/lookup", "/v1/redemptions/usable", "/v1/redemptions", "/v1/redemptions/x/cancel", "/v1/captures/x/reverse",
			"/v1/grants/" + g.ID + "/reveal",
		},
		http.MethodGet: {"/v1/refusals", "/v1/redemptions", "/v1/redemptions/x", "/v1/grants/" + g.ID},
	} {
		for _, path := range paths {
			for _, auth := range []string{"Bearer wrong", "Basic dGVzdC1rZXk6", "test-key", "Bearer"} {
				r := b.call(method, path, `{"code": "CARD1234", "customer": "external:c-17"}`, "Authorization", auth)
				r.is(http.StatusUnauthorized)
				require.NotContains(t, r.body, g.ID)
			}
		}
	}
	rows, err := b.store.View(t.Context()).Captures(g.ID)
	require.NoError(t, err)
	require.Empty(t, rows)
	all, err := b.store.View(t.Context()).Refusals("", "", "", 10)
	require.NoError(t, err)
	require.Empty(t, all, "and nothing counts as a guess")
}
