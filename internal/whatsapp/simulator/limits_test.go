package simulator

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

// restart ends the process, without warning, and starts another.
func (w *world) restart() {
	w.t.Helper()
	w.settled()
	w.kill("")
	w.sim.SetWebhookURL("http://127.0.0.1:1") // a dead process delivers nothing
	w.start()
}

// limit changes limits while the simulator runs.
func (w *world) limit(change object) {
	w.t.Helper()
	status, answer := w.call(http.MethodPost, "/limits", change)
	require.Equal(w.t, http.StatusOK, status, "%v", answer)
}

// plain is a template without variables, approved.
func (w *world) plain(name, category string) {
	w.t.Helper()
	w.template(whatsapp.TemplateSpec{Name: name, Language: "en", Category: category, Components: []whatsapp.Component{{Type: "BODY", Text: "Hello."}}})
}

func templateTo(phone, name string) whatsapp.Message {
	return whatsapp.Message{To: phone, Template: &whatsapp.TemplateMessage{Name: name, Language: "en"}}
}

// outcome sends and answers what the first webhook says: sent, or failed with a code.
func (w *world) outcome(m whatsapp.Message) string {
	w.t.Helper()
	id := w.send(m)
	s := w.receiver.status(w.t)
	require.Equal(w.t, id, s.ID)
	if s.Status == failed {
		return fmt.Sprint("failed ", s.Errors[0].Code)
	}
	require.Equal(w.t, delivered, w.receiver.status(w.t).Status)
	return s.Status
}

// refusal sends, and answers the code that it is refused with at once.
func (w *world) refusal(m whatsapp.Message) int {
	w.t.Helper()
	_, err := w.client.Send(w.t.Context(), m)
	var e *whatsapp.Error
	require.ErrorAs(w.t, err, &e)
	return e.Code
}

func TestLimitsOnRequest(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t))
	_, answer := w.call(http.MethodGet, "/limits", nil)
	require.Equal(t, "TIER_UNLIMITED", answer["tier"])
	require.Equal(t, "6s", answer["pair_every"])
	w.limit(object{"tier": "TIER_250", "review": "90m", "prices": object{"currency": "DKK", "rates": object{"+45": object{"service": 5}}}})
	w.limit(object{"throughput": 20})
	for _, wrong := range []object{
		{"tier": "TIER_3"}, {"review": "soon"}, {"review": "-1m"}, {"throughput": -1}, {"pair_burst": 0}, {"speed": 1}, {"templates": 0},
		{"prices": object{"rates": object{"DK": object{}}}},
	} {
		code, _ := w.call(http.MethodPost, "/limits", wrong)
		require.Equal(t, http.StatusUnprocessableEntity, code, "%v", wrong)
	}
	code, _ := w.call(http.MethodPost, "/limits", object{}, "Origin", "https://elsewhere.example")
	require.Equal(t, http.StatusForbidden, code)
	w.restart()
	_, answer = w.call(http.MethodGet, "/limits", nil)
	require.Equal(t, []any{"TIER_250", "1h30m0s", 20.0}, []any{answer["tier"], answer["review"], answer["throughput"]})
	require.Equal(t, "DKK", answer["prices"].(map[string]any)["currency"])
	_, err := New(Options{Limits: &Limits{}})
	require.ErrorContains(t, err, "tier")
}

// Throughput and the pair rate: the last message that goes, and the first that does not, in real time that the test holds still.
func TestRates(t *testing.T) {
	t.Parallel()
	sim, err := New(Options{})
	require.NoError(t, err)
	sim.limits.Throughput, sim.limits.PairEvery, sim.limits.PairBurst = 10, Span(6*time.Second), 3
	now := time.Now()
	code := func(phone string) int {
		if e := sim.throttle(phone, now); e != nil {
			require.Equal(t, http.StatusTooManyRequests, e.status)
			return e.code
		}
		return 0
	}
	for range 3 {
		require.Zero(t, code(mia))
	}
	require.Equal(t, 131056, code(mia))
	for i := range 7 { // the one that was refused does not count
		require.Zero(t, code(fmt.Sprintf("+452000000%d", i)))
	}
	require.Equal(t, 130429, code("+4520000009"))
	now = now.Add(99 * time.Millisecond)
	require.Equal(t, 130429, code("+4520000009"))
	now = now.Add(time.Millisecond)
	require.Zero(t, code("+4520000009"))
	now = now.Add(6*time.Second - 101*time.Millisecond)
	require.Equal(t, 131056, code(mia))
	now = now.Add(time.Millisecond)
	require.Zero(t, code(mia), "six seconds after, one more")
	require.Equal(t, 131056, code(mia))
	now = now.Add(18 * time.Second)
	for range 3 {
		require.Zero(t, code(mia), "the burst is there again")
	}
	require.Equal(t, 131056, code(mia))
	sim.limits.Throughput, sim.limits.PairEvery = 0, 0
	for range 200 {
		require.Zero(t, code(mia))
	}
}

func TestRateIsTold(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.plain("hello", "UTILITY")
	w.limit(object{"pair_every": "1h", "pair_burst": 1})
	require.Equal(t, sent, w.outcome(templateTo(mia, "hello")))
	require.Equal(t, 131056, w.refusal(templateTo(mia, "hello")))
	require.Equal(t, sent, w.outcome(templateTo("+4520123457", "hello")), "others are not concerned")
	require.Len(t, w.chat(mia), 1)
}

// The portfolio's limit counts people whom templates reach outside the window in 24 hours.
func TestTier(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.plain("hello", "UTILITY")
	tiers["TIER_TEST"] = 2
	w.sim.mu.Lock()
	w.sim.limits.Tier = "TIER_TEST"
	w.sim.mu.Unlock()
	person := func(i int) whatsapp.Message { return templateTo(fmt.Sprintf("+452012345%d", i), "hello") }
	require.Equal(t, sent, w.outcome(person(1)))
	w.clock.Advance(time.Hour)
	require.Equal(t, sent, w.outcome(person(2)))
	require.Equal(t, "failed 131048", w.outcome(person(3)))
	require.Equal(t, sent, w.outcome(person(1)), "who was reached today counts already")
	w.says("+4520123454", "hi")
	require.Equal(t, sent, w.outcome(person(4)), "inside the window it does not count")
	w.clock.Advance(24*time.Hour - time.Second)
	require.Equal(t, "failed 131048", w.outcome(person(3)))
	w.clock.Advance(time.Second) // both were reached a day ago
	require.Equal(t, sent, w.outcome(templateTo("+4520123459", "hello")))
}

// What a person gets of marketing, and the nearest that they do get.
func TestMarketingToAPerson(t *testing.T) {
	t.Parallel()
	const ny, toronto = "+12125550123", "+14165550123"
	for name, c := range map[string]struct {
		do   func(w *world)
		to   string
		tmpl string
		want string
	}{
		"first of the day":          {func(*world) {}, mia, "offer", sent},
		"second of the day":         {func(w *world) { w.outcome(templateTo(mia, "offer")) }, mia, "offer", "failed 131049"},
		"second, of a service":      {func(w *world) { w.outcome(templateTo(mia, "offer")) }, mia, "receipt", sent},
		"second, to another":        {func(w *world) { w.outcome(templateTo(mia, "offer")) }, "+4520123457", "offer", sent},
		"second, a day later":       {func(w *world) { w.outcome(templateTo(mia, "offer")); w.clock.Advance(24 * time.Hour) }, mia, "offer", sent},
		"second, a moment before":   {func(w *world) { w.outcome(templateTo(mia, "offer")); w.clock.Advance(24*time.Hour - 1e6) }, mia, "offer", "failed 131049"},
		"second, after an answer":   {func(w *world) { w.outcome(templateTo(mia, "offer")); w.answers(mia) }, mia, "offer", sent},
		"after sends in the window": {func(w *world) { w.answers(mia); w.outcome(templateTo(mia, "offer")); w.clock.Advance(24 * time.Hour) }, mia, "offer", sent},
		"third, soon after refusal": {func(w *world) {
			w.outcome(templateTo(mia, "offer"))
			w.clock.Advance(20 * time.Hour)
			require.Equal(t, "failed 131049", w.outcome(templateTo(mia, "offer")))
			w.clock.Advance(24*time.Hour - time.Second)
		}, mia, "offer", "failed 131049"},
		"third, a day after refusal": {func(w *world) {
			w.outcome(templateTo(mia, "offer"))
			w.clock.Advance(20 * time.Hour)
			require.Equal(t, "failed 131049", w.outcome(templateTo(mia, "offer")))
			w.clock.Advance(24 * time.Hour)
		}, mia, "offer", sent},
		"the United States":          {func(*world) {}, ny, "offer", "failed 131049"},
		"the United States, service": {func(*world) {}, ny, "receipt", sent},
		"Canada":                     {func(*world) {}, toronto, "offer", sent},
		"the United States, allowed": {func(w *world) { w.limit(object{"us_marketing": true}) }, ny, "offer", sent},
		"stopped":                    {func(w *world) { w.stops(mia, true) }, mia, "offer", "failed 131050"},
		"stopped, service":           {func(w *world) { w.stops(mia, true) }, mia, "receipt", sent},
		"resumed":                    {func(w *world) { w.stops(mia, true); w.stops(mia, false) }, mia, "offer", sent},
		"blocked":                    {func(w *world) { w.blocks(mia, true) }, mia, "receipt", "failed 131026"},
		"unblocked":                  {func(w *world) { w.blocks(mia, true); w.blocks(mia, false) }, mia, "receipt", sent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.limit(object{"marketing_per_day": 1})
			w.plain("offer", "MARKETING")
			w.plain("receipt", "UTILITY")
			c.do(w)
			require.Equal(t, c.want, w.outcome(templateTo(c.to, c.tmpl)))
		})
	}
}

// answers makes a person write, and takes the webhooks of it.
func (w *world) answers(phone string) {
	w.t.Helper()
	status, _ := w.call(http.MethodPost, "/people/"+phone+"/messages", object{"text": "thanks"})
	require.Equal(w.t, http.StatusCreated, status)
	for w.receiver.next(w.t).Inbound == nil {
	}
}

// stops makes a person stop marketing, or resume it.
func (w *world) stops(phone string, stop bool) {
	w.t.Helper()
	w.person(personFact{Phone: phone, Stopped: &stop})
}

// blocks makes a person block the business, or unblock it.
func (w *world) blocks(phone string, block bool) {
	w.t.Helper()
	w.person(personFact{Phone: phone, Blocked: &block})
}

func (w *world) person(f personFact) {
	w.t.Helper()
	w.sim.mu.Lock()
	defer w.sim.mu.Unlock()
	require.NoError(w.t, w.sim.commit(fact{Person: &f}))
}

func TestParseLimits(t *testing.T) {
	t.Parallel()
	l, err := ParseLimits([]byte(`{"tier": "TIER_250"}`))
	require.NoError(t, err)
	want := DefaultLimits()
	want.Tier = "TIER_250"
	require.Equal(t, &want, l)
	for _, wrong := range []string{``, `[]`, `{"tier": "x"}`, `{"tear": 1}`, `{"review": 5}`} {
		_, err := ParseLimits([]byte(wrong))
		require.ErrorContains(t, err, "limits", wrong)
	}
}
