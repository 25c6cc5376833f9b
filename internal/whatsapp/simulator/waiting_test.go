package simulator

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

// off switches a person's phone off or on.
func (w *world) off(phone string, off bool) {
	w.t.Helper()
	status, answer := w.call(http.MethodPost, "/people/"+phone+"/off", object{"off": off})
	require.Equal(w.t, http.StatusOK, status, "%v", answer)
}

// What is sent to a phone that is off arrives when it is on again, if it is still tried by then; else nobody is told.
func TestPhoneIsOff(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *Options) { o.DataFile = filepath.Join(t.TempDir(), "phone.jsonl") })
	w.says(mia, "hi")
	w.template(whatsapp.TemplateSpec{Name: "brief", Language: "en", Category: "UTILITY", TTL: 3600, Components: []whatsapp.Component{{Type: "BODY", Text: "x"}}})
	w.off(mia, true)
	for _, m := range []whatsapp.Message{templateTo(mia, "brief"), {To: mia, Text: &whatsapp.Text{Body: "long"}}} {
		w.send(m)
		require.Equal(t, sent, w.receiver.status(t).Status)
	}
	require.Len(t, w.chat(mia), 3)
	status, _ := w.call(http.MethodPost, "/people/"+mia+"/messages", object{"text": "hello"})
	require.Equal(t, http.StatusConflict, status, "it is off")
	_, people := w.call(http.MethodGet, "/people", nil)
	require.Zero(t, people["items"].([]any)[0].(map[string]any)["unread"])
	w.restart()
	w.clock.Advance(time.Hour)
	w.off(mia, false)
	told := w.receiver.status(t)
	require.Equal(t, delivered, told.Status)
	require.Equal(t, "long", w.chat(mia)[2].Text)
	require.Equal(t, told.ID, w.chat(mia)[2].ID)
	require.Equal(t, waiting, w.chat(mia)[1].Status)
	require.Equal(t, "read", w.says2(mia), "nothing came between")
}

// says2 has a person write, which reads what they have, and answers the status that came first.
func (w *world) says2(phone string) string {
	w.t.Helper()
	status, _ := w.call(http.MethodPost, "/people/"+phone+"/messages", object{"text": "ok"})
	require.Equal(w.t, http.StatusCreated, status)
	return w.receiver.status(w.t).Status
}

// The portfolio's limit grows 6 hours after half of it was used within a week, while the quality is high. A restart changes nothing.
func TestTierGrows(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *Options) { o.DataFile = filepath.Join(t.TempDir(), "phone.jsonl") })
	w.plain("hello", "UTILITY")
	w.limit(object{"tier": "TIER_250", "throughput": 0})
	person := func(i int) whatsapp.Message { return templateTo(fmt.Sprintf("+4520200%03d", i), "hello") }
	for i := range 124 {
		require.Equal(t, sent, w.outcome(person(i)))
	}
	require.Equal(t, sent, w.outcome(person(0)), "who was reached counts once")
	w.clock.Advance(3 * 24 * time.Hour)
	require.Equal(t, sent, w.outcome(person(124)))
	tier := func() string {
		_, answer := w.call(http.MethodGet, "/account", nil)
		return fmt.Sprint(answer["tier"])
	}
	w.restart()
	w.clock.Advance(6*time.Hour - time.Second)
	require.Equal(t, "TIER_250", tier())
	status, _ := w.call(http.MethodPost, "/account", object{"event": "PHONE_QUALITY", "quality": "YELLOW"})
	require.Equal(t, http.StatusCreated, status)
	w.clock.Advance(time.Second)
	require.Equal(t, "TIER_250", tier(), "the quality is not high")
	w.call(http.MethodPost, "/account", object{"event": "PHONE_QUALITY", "quality": "GREEN"})
	require.Equal(t, "TIER_2K", tier())
	w.clock.Advance(24 * time.Hour)
	require.Equal(t, "TIER_2K", tier(), "of which half is not used")
	w.restart()
	require.Equal(t, "TIER_2K", tier())
}

// Calls that manage are so many an hour, and the answer says when there is room. Messages are none.
func TestCallsPerHour(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.plain("hello", "UTILITY")
	w.limit(object{"calls_per_hour": 3})
	_, err := w.client.ListTemplates(t.Context())
	require.NoError(t, err)
	_, err = w.client.GetProfile(t.Context())
	require.NoError(t, err)
	_, err = w.client.ListTemplates(t.Context())
	var e *whatsapp.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, 80007, e.Code)
	require.Equal(t, whatsapp.Retry, e.Class)
	require.Equal(t, time.Hour, e.RetryAfter)
	require.Equal(t, sent, w.outcome(templateTo(mia, "hello")))
}

// A template that was deleted counts among those of the hour.
func TestTemplatesOfAnHour(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.limit(object{"templates_per_hour": 1})
	w.plain("a", "UTILITY")
	require.NoError(t, w.client.DeleteTemplate(t.Context(), "a"))
	create := func() int {
		return code(w.post("/v26.0/201/message_templates", `{"name":"b","language":"en","category":"UTILITY","components":[{"type":"BODY","text":"x"}]}`))
	}
	require.Equal(t, 80007, create())
	w.clock.Advance(time.Hour)
	require.Zero(t, create())
}

// A journal of limits from before a limit existed has its default.
func TestLimitsOfAnOlderJournal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "phone.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(`{"limits":{"tier":"TIER_2K","throughput":0,"pair_every":"6s","pair_burst":45,"templates":6000}}`+"\n"), 0o600))
	w := setup(t, func(o *Options) { o.DataFile = path })
	want := DefaultLimits()
	want.Tier, want.Throughput = "TIER_2K", 0
	require.Equal(t, want, w.sim.limits)
}
