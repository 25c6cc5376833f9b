package simulator

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

// told is what the next webhook says of a template.
func (w *world) told() string {
	w.t.Helper()
	u := w.receiver.next(w.t)
	require.NotNil(w.t, u.Template, "%+v", u)
	return string(u.Template.Kind) + " " + u.Template.Event
}

// standing is the status and the quality of a template, as the Graph side says.
func (w *world) standing(name string) string {
	w.t.Helper()
	_, answer := w.call(http.MethodGet, "/v26.0/201/message_templates?name="+name, nil, "Authorization", "Bearer token")
	t := answer["data"].([]any)[0].(map[string]any)
	return t["status"].(string) + " " + t["quality_score"].(map[string]any)["score"].(string)
}

// annoy makes people block the business after a template.
func (w *world) annoy(name string, from, to int) {
	w.t.Helper()
	for i := from; i < to; i++ {
		phone := fmt.Sprintf("+45202000%02d", i)
		require.Equal(w.t, sent, w.outcome(templateTo(phone, name)))
		w.blocks(phone, true)
	}
}

func TestReview(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t))
	w.limit(object{"review": "2h", "reject_containing": "gamble"})
	create := func(name string) string {
		info, err := w.client.CreateTemplate(t.Context(), whatsapp.TemplateSpec{
			Name: name, Language: "en", Category: "UTILITY", Components: []whatsapp.Component{{Type: "BODY", Text: "Hello."}},
		})
		require.NoError(t, err)
		require.Equal(t, "PENDING", info.Status)
		return info.ID
	}
	create("hello")
	id := create("gamble_now")
	w.clock.Advance(2*time.Hour - time.Second)
	require.Equal(t, "PENDING UNKNOWN", w.standing("hello"))
	require.Equal(t, 132001, w.refusal(templateTo(mia, "hello")))
	require.Empty(t, w.receiver.updates)
	w.restart() // a review goes on in the next process
	w.clock.Advance(time.Second)
	require.Equal(t, "status APPROVED", w.told())
	u := w.receiver.next(t).Template
	require.Equal(t, [...]string{"gamble_now", "REJECTED", "INVALID_FORMAT"}, [...]string{u.Name, u.Event, u.Reason})
	require.NotEmpty(t, u.Text)
	require.Equal(t, sent, w.outcome(templateTo(mia, "hello")))
	require.Equal(t, 132001, w.refusal(templateTo(mia, "gamble_now")))

	// What was rejected is edited, and reviewed again. Its name still has the word, so the limit changes.
	w.limit(object{"reject_containing": ""})
	require.Equal(t, 100, code(w.post("/v26.0/"+id, `{"name":"other"}`)))
	require.Equal(t, 100, code(w.post("/v26.0/"+id, `{"components":[{"type":"BODY","text":""}]}`)))
	require.Zero(t, code(w.post("/v26.0/"+id, `{"components":[{"type":"BODY","text":"Play fair."}]}`)))
	require.Equal(t, 100, code(w.post("/v26.0/"+id, `{"components":[{"type":"BODY","text":"Again."}]}`)), "it is pending")
	w.clock.Advance(2 * time.Hour)
	require.Equal(t, "status APPROVED", w.told())
	_, answer := w.call(http.MethodGet, "/v26.0/"+id, nil, "Authorization", "Bearer token")
	require.Equal(t, "Play fair.", answer["components"].([]any)[0].(map[string]any)["text"])

	// Deleted, by name and by both.
	del := func(query string) int {
		status, answer := w.call(http.MethodDelete, "/v26.0/201/message_templates?"+query, nil, "Authorization", "Bearer token")
		return code(status, answer)
	}
	require.Equal(t, 131008, del(""))
	require.Equal(t, 100, del("name=nothing"))
	require.Equal(t, 100, del("name=hello&hsm_id="+id))
	require.Zero(t, del("name=gamble_now&hsm_id="+id))
	require.Equal(t, "status DELETED", w.told())
	require.Equal(t, 132001, w.refusal(templateTo(mia, "gamble_now")))
	require.Equal(t, 100, code(w.post("/v26.0/"+id, `{}`)))
}

func TestTemplateLists(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.plain("a", "UTILITY")
	w.plain("b", "MARKETING")
	for query, want := range map[string]int{
		"": 2, "name=a": 1, "name=c": 0, "category=MARKETING": 1, "status=APPROVED": 2, "status=PENDING": 0,
		`status=["APPROVED","PAUSED"]`: 2, "quality_score=UNKNOWN": 2, "quality_score=RED": 0, "limit=1": 1, "limit=1&after=after-1": 1, "limit=1&after=after-2": 0,
	} {
		status, answer := w.call(http.MethodGet, "/v26.0/201/message_templates?"+query, nil, "Authorization", "Bearer token")
		require.Equal(t, http.StatusOK, status)
		require.Len(t, answer["data"], want, query)
	}
	for query, want := range map[string]int{"limit=0": 100, "after=x": 131059} {
		require.Equal(t, want, code(w.call(http.MethodGet, "/v26.0/201/message_templates?"+query, nil, "Authorization", "Bearer token")))
	}
	// How long a message of a template is tried.
	for _, c := range []struct {
		category string
		seconds  int
		want     int
	}{{"UTILITY", 29, 100}, {"UTILITY", 43_201, 100}, {"MARKETING", 43_199, 100}, {"MARKETING", 43_200, 0}, {"UTILITY", 43_200, 0}} {
		require.Equal(t, c.want, code(w.post("/v26.0/201/message_templates", fmt.Sprintf(
			`{"name":"ttl_%d","language":"en","category":%q,"message_send_ttl_seconds":%d,"components":[{"type":"BODY","text":"x"}]}`,
			len(c.category)*100_000+c.seconds, c.category, c.seconds))))
	}
	_, listed := w.call(http.MethodGet, "/v26.0/201/message_templates?name=ttl_743200", nil, "Authorization", "Bearer token")
	require.EqualValues(t, 43_200, listed["data"].([]any)[0].(map[string]any)["message_send_ttl_seconds"])

	// How many there may be, at all and in an hour.
	w.limit(object{"templates": 5, "templates_per_hour": 4})
	spec := `{"name":"%s","language":"en","category":"UTILITY","components":[{"type":"BODY","text":"x"}]}`
	require.Equal(t, 80007, code(w.post("/v26.0/201/message_templates", fmt.Sprintf(spec, "c"))))
	w.clock.Advance(time.Hour)
	require.Zero(t, code(w.post("/v26.0/201/message_templates", fmt.Sprintf(spec, "c"))))
	status, answer := w.post("/v26.0/201/message_templates", fmt.Sprintf(spec, "d"))
	require.Equal(t, 100, code(status, answer))
	require.EqualValues(t, 2388019, answer["error"].(map[string]any)["error_subcode"])
}

// Blocks turn a template YELLOW, then RED; RED rests it for 3 hours, then for 6, then disables it.
func TestQuality(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t))
	w.limit(object{"yellow_at": 2, "red_at": 3})
	w.plain("offer", "MARKETING")
	w.plain("receipt", "UTILITY")
	w.annoy("offer", 0, 1)
	require.Equal(t, "APPROVED UNKNOWN", w.standing("offer"))
	w.annoy("offer", 1, 2)
	require.Equal(t, "quality YELLOW", w.told())
	require.Equal(t, "APPROVED YELLOW", w.standing("offer"))
	require.Equal(t, sent, w.outcome(templateTo(mia, "offer")))
	w.annoy("offer", 2, 3)
	require.Equal(t, []string{"quality RED", "status PAUSED"}, []string{w.told(), w.told()})
	require.Equal(t, 132015, w.refusal(templateTo(mia, "offer")))
	require.Equal(t, sent, w.outcome(templateTo(mia, "receipt")), "the others go on")
	w.clock.Advance(3*time.Hour - time.Second)
	require.Equal(t, 132015, w.refusal(templateTo(mia, "offer")))
	w.restart()
	require.Equal(t, "PAUSED RED", w.standing("offer"))
	w.clock.Advance(time.Second)
	require.Equal(t, "status APPROVED", w.told())
	require.Equal(t, sent, w.outcome(templateTo(mia, "offer")))

	second := func(from int) {
		w.annoy("offer", from, from+2)
		require.Equal(t, "quality YELLOW", w.told())
		w.annoy("offer", from+2, from+3)
		require.Equal(t, "quality RED", w.told())
	}
	second(10)
	require.Equal(t, "status PAUSED", w.told())
	w.clock.Advance(6*time.Hour - time.Second)
	require.Equal(t, 132015, w.refusal(templateTo(mia, "offer")))
	w.clock.Advance(time.Second)
	require.Equal(t, "status APPROVED", w.told())
	second(20)
	require.Equal(t, "status DISABLED", w.told())
	require.Equal(t, 132016, w.refusal(templateTo(mia, "offer")))
	w.clock.Advance(1000 * time.Hour)
	require.Equal(t, 132016, w.refusal(templateTo(mia, "offer")))
}

// A new marketing template is paced: after the first messages the others are held, and then released or dropped.
func TestPacing(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]bool{"released": false, "dropped": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, journalled(t))
			w.limit(object{"pace_after": 2, "pace_hold": "30m", "yellow_at": 1})
			w.plain("offer", "MARKETING")
			w.plain("receipt", "UTILITY")
			for i := range 3 {
				require.Equal(t, sent, w.outcome(templateTo(fmt.Sprintf("+452012340%d", i), "receipt")))
			}
			require.Equal(t, sent, w.outcome(templateTo("+4520123400", "offer")))
			require.Equal(t, sent, w.outcome(templateTo("+4520123401", "offer")))
			accepted, err := w.client.Send(t.Context(), templateTo(mia, "offer"))
			require.NoError(t, err)
			require.Equal(t, "held_for_quality_assessment", accepted.Status)
			if bad {
				w.blocks("+4520123401", true)
				require.Equal(t, "quality YELLOW", w.told())
			}
			w.clock.Advance(30*time.Minute - time.Second)
			w.says("+4520999999", "the only webhook so far")
			w.restart()
			w.clock.Advance(time.Second)
			if !bad {
				require.Equal(t, [...]string{accepted.ID, sent}, func() [2]string { s := w.receiver.status(t); return [2]string{s.ID, s.Status} }())
				require.Equal(t, delivered, w.receiver.status(t).Status)
				require.Equal(t, sent, w.outcome(templateTo("+4520123402", "offer")), "it is paced once")
				return
			}
			var s *whatsapp.Status
			var paused *whatsapp.TemplateUpdate
			for range 2 { // of a person, and of the account: in any order
				u := w.receiver.next(t)
				if u.Status != nil {
					s = u.Status
				} else {
					paused = u.Template
				}
			}
			require.Equal(t, [...]string{accepted.ID, failed}, [...]string{s.ID, s.Status})
			require.Equal(t, 132015, s.Errors[0].Code)
			require.Equal(t, "PAUSED", paused.Event)
			w.clock.Advance(100 * time.Hour)
			require.Equal(t, 132015, w.refusal(templateTo(mia, "offer")), "a person must unpause it")
			require.Zero(t, code(w.post("/v26.0/"+paused.ID+"/unpause", `{}`)))
			require.Equal(t, "status APPROVED", w.told())
			require.Equal(t, sent, w.outcome(templateTo(mia, "offer")))
		})
	}
}
