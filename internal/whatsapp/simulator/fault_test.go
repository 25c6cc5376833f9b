package simulator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.template(cart)
	set := func(body object) {
		t.Helper()
		code, answer := w.call(http.MethodPost, "/faults", body)
		require.Equal(t, http.StatusCreated, code, "%v", answer)
	}
	send := func() (string, whatsapp.Class) {
		t.Helper()
		accepted, err := w.client.Send(t.Context(), cartMessage())
		if err != nil {
			require.Empty(t, accepted.ID)
			return "", whatsapp.ClassOf(err)
		}
		return accepted.ID, ""
	}
	// giveUp sends and hangs up when the fault has been spent and ready says so.
	giveUp := func(ready func() bool) whatsapp.Class {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := w.client.Send(ctx, cartMessage())
			done <- err
		}()
		require.Eventually(t, func() bool {
			w.sim.mu.Lock()
			defer w.sim.mu.Unlock()
			return len(w.sim.faults) == 0 && ready()
		}, waitFor, tick)
		cancel()
		return whatsapp.ClassOf(<-done)
	}

	set(object{"send": "timeout_before"})
	require.Equal(t, whatsapp.Ambiguous, giveUp(func() bool { return true }))
	require.Empty(t, w.chat(mia), "it was not taken")

	set(object{"send": "timeout_after", "count": 1})
	require.Equal(t, whatsapp.Ambiguous, giveUp(func() bool { return len(w.sim.messages) == 1 }))
	require.Len(t, w.chat(mia), 1, "it was taken")
	s := w.receiver.status(t)
	require.Equal(t, "msg_1", s.CallbackData, "which is how the sender finds out")
	w.receiver.status(t)

	set(object{"send": "http_500"})
	_, class := send()
	require.Equal(t, whatsapp.Ambiguous, class)

	set(object{"send": "error", "code": 130429, "count": 2})
	set(object{"send": "error", "code": 131050})
	_, answer := w.call(http.MethodGet, "/faults", nil)
	require.Len(t, answer["items"], 2)
	for _, want := range []whatsapp.Class{whatsapp.Retry, whatsapp.Retry, whatsapp.OptOut} {
		_, class = send()
		require.Equal(t, want, class)
	}
	require.Len(t, w.chat(mia), 1)
	id, class := send()
	require.Empty(t, class)
	require.NotEmpty(t, id, "all are spent")

	set(object{"send": "error", "code": 131000, "count": 1000})
	code, _ := w.call(http.MethodDelete, "/faults", nil)
	require.Equal(t, http.StatusNoContent, code)
	_, class = send()
	require.Empty(t, class)

	set(object{"send": "http_500_after"})
	before := len(w.chat(mia))
	_, class = send()
	require.Equal(t, whatsapp.Ambiguous, class)
	require.Len(t, w.chat(mia), before+1, "it was taken")

	for _, body := range []object{
		{}, {"send": "fire"}, {"send": "error"}, {"send": "error", "code": -1}, {"send": "http_500", "code": 1}, {"send": "http_500", "count": -1},
		{"send": "http_500", "webhook": "drop"}, {"webhook": "fire"}, {"person": "fire"}, {"webhook": "delay"}, {"webhook": "drop", "delay": "1s"},
		{"webhook": "drop", "size": 5}, {"webhook": "batch", "size": 1001}, {"send": "http_500", "about": "sent"}, {"webhook": "drop", "about": "fire"},
		{"webhook": "drop", "chance": 2}, {"webhook": "drop", "seed": 2}, {"webhook": "drop", "phone": "Mia"},
	} {
		code, _ := w.call(http.MethodPost, "/faults", body)
		require.Equal(t, http.StatusUnprocessableEntity, code, "%v", body)
	}
}

// Close ends a request that hangs.
func TestCloseEndsHangs(t *testing.T) {
	t.Parallel()
	w := setup(t)
	code, _ := w.call(http.MethodPost, "/faults", object{"send": "timeout_before"})
	require.Equal(t, http.StatusCreated, code)
	done := make(chan error, 1)
	go func() {
		_, err := w.client.Send(t.Context(), cartMessage())
		done <- err
	}()
	require.Eventually(t, func() bool {
		w.sim.mu.Lock()
		defer w.sim.mu.Unlock()
		return len(w.sim.faults) == 0
	}, waitFor, tick)
	require.NoError(t, w.sim.Close())
	require.Equal(t, whatsapp.Ambiguous, whatsapp.ClassOf(<-done))
}

// fault sets one.
func (w *world) fault(f object) {
	w.t.Helper()
	status, answer := w.call(http.MethodPost, "/faults", f)
	require.Equal(w.t, http.StatusCreated, status, "%v", answer)
}

func hello(phone string) whatsapp.Message {
	return whatsapp.Message{To: phone, Text: &whatsapp.Text{Body: "hello"}}
}

// Any code of Meta's, at once or by webhook.
func TestEveryCode(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.limit(object{"pair_every": "0s", "throughput": 0})
	w.says(mia, "hi")
	for _, code := range []int{0, 1, 4, 100, 190, 200, 368, 80007, 130429, 130472, 131016, 131026, 131049, 131056, 132015, 132069, 134102, 2388040} {
		w.fault(object{"send": "error", "code": code})
		require.Equal(t, code, w.refusal(hello(mia)))
		w.fault(object{"send": "failed", "code": code})
		require.Equal(t, fmt.Sprint("failed ", code), w.outcome(hello(mia)))
		require.Equal(t, sent, w.outcome(hello(mia)), "it was for one")
	}
	// For one person only, and by user id as well.
	in := w.says("+4520123457", "hi")
	w.fault(object{"send": "error", "code": 131026, "phone": "4520123457", "count": 2})
	require.Equal(t, sent, w.outcome(hello(mia)))
	require.Equal(t, 131026, w.refusal(hello("+4520123457")))
	require.Equal(t, 131026, w.refusal(whatsapp.Message{UserID: in.UserID, Text: &whatsapp.Text{Body: "x"}}))
	require.Equal(t, sent, w.outcome(hello("+4520123457")))
}

// What comes of a webhook, and that the next comes as always.
func TestWebhookFaults(t *testing.T) {
	t.Parallel()
	const far = "+4520123457"
	for name, c := range map[string]struct {
		fault object
		want  []string // of a send to Mia, and of one after it to another
	}{
		"none":                 {nil, []string{"sent", "delivered", "far sent", "far delivered"}},
		"drop":                 {object{"webhook": "drop"}, []string{"delivered", "far sent", "far delivered"}},
		"drop of all of Mia's": {object{"webhook": "drop", "phone": mia, "count": 10}, []string{"far sent", "far delivered"}},
		"drop of delivered":    {object{"webhook": "drop", "about": "delivered", "count": 2}, []string{"sent", "far sent"}},
		"double":               {object{"webhook": "double"}, []string{"sent", "sent", "delivered", "far sent", "far delivered"}},
		"double, twice":        {object{"webhook": "double", "count": 2}, []string{"sent", "sent", "delivered", "delivered", "far sent", "far delivered"}},
		"reorder":              {object{"webhook": "reorder", "count": 2}, []string{"delivered", "sent", "far sent", "far delivered"}},
		"skip delivered":       {object{"webhook": "skip_delivered"}, []string{"sent", "far sent", "far delivered"}},
		"delay":                {object{"webhook": "delay", "delay": "300ms"}, []string{"delivered", "far sent", "far delivered", "sent"}},
		"never, by chance":     {object{"webhook": "drop", "chance": 0.000001, "seed": 1}, []string{"sent", "delivered", "far sent", "far delivered"}},
		"always, by chance":    {object{"webhook": "drop", "chance": 1, "seed": 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.says(mia, "hi")
			w.says(far, "hi")
			if c.fault != nil {
				w.fault(c.fault)
			}
			w.send(hello(mia))
			var got []string
			take := func(n int) {
				for range n {
					s := w.receiver.status(t)
					if s.Recipient == far {
						s.Status = "far " + s.Status
					}
					got = append(got, s.Status)
				}
			}
			mine := slices.IndexFunc(c.want, func(s string) bool { return strings.HasPrefix(s, "far") })
			take(max(0, mine))
			w.send(hello(far))
			take(len(c.want) - len(got))
			require.Equal(t, c.want, got)
			if name != "always, by chance" {
				w.settled()
			}
			require.Empty(t, w.receiver.updates)
		})
	}
}

// Many updates in one webhook, up to the size that was said; each is there once, and a restart keeps those that wait.
func TestBatches(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t), func(o *Options) { o.WebhookURL = "" })
	w.fault(object{"webhook": "batch", "size": 7, "count": 20})
	for i := range 20 {
		status, _ := w.call(http.MethodPost, fmt.Sprintf("/people/+45201234%02d/messages", i), object{"text": "hi é /"})
		require.Equal(t, http.StatusCreated, status)
	}
	w.kill("")
	w.start()
	w.sim.SetWebhookURL(w.receiver.address)
	seen := map[string]bool{}
	for range 20 {
		in := w.receiver.inbound(t)
		require.Equal(t, "hi é /", in.Text)
		require.False(t, seen[in.From])
		seen[in.From] = true
	}
	w.settled()
	var sizes []int
	for len(w.receiver.bodies) > 0 {
		sizes = append(sizes, strings.Count(<-w.receiver.bodies, `"changes"`))
	}
	require.Equal(t, []int{7, 7, 6}, sizes)
	for _, m := range w.chat("+4520123419") {
		require.Equal(t, delivered, m.Status)
	}
	w.restart()
	require.Empty(t, w.receiver.updates, "each was taken")
}

// A status that is there before the answer to its own send.
func TestEarlyStatus(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.says(mia, "hi")
	w.fault(object{"webhook": "early", "about": "sent"})
	id := w.send(hello(mia))
	select {
	case u := <-w.receiver.updates:
		require.Equal(t, [...]string{id, sent}, [...]string{u.Status.ID, u.Status.Status})
	default:
		t.Fatal("the answer was there first")
	}
	require.Equal(t, delivered, w.receiver.status(t).Status)
}

// People whose phone Meta does not tell, whose user id changes, and who take another number.
func TestPersonFaults(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t))
	plain := w.says(mia, "hi")
	w.fault(object{"webhook": "no_phone", "phone": mia, "count": 3})
	in := w.says(mia, "hi")
	require.Equal(t, [...]string{"", plain.UserID}, [...]string{in.From, in.UserID})
	accepted, err := w.client.Send(t.Context(), whatsapp.Message{UserID: in.UserID, Text: &whatsapp.Text{Body: "x"}})
	require.NoError(t, err)
	for _, want := range []string{sent, delivered} {
		s := w.receiver.status(t)
		require.Equal(t, [...]string{accepted.ID, want, "", plain.UserID}, [...]string{s.ID, s.Status, s.Recipient, s.UserID})
	}
	for len(w.receiver.bodies) > 0 {
		if b := <-w.receiver.bodies; strings.Contains(b, accepted.ID) {
			require.NotContains(t, b, "4520123456")
			require.Contains(t, b, `"username":"customer`)
		}
	}

	w.fault(object{"person": "new_user_id", "phone": mia})
	w.answers(mia)
	in = w.receiver.inbound(t)
	require.Equal(t, "system", in.Type)
	require.Equal(t, [...]string{"user_changed_user_id", plain.UserID}, [...]string{in.System.Type, in.System.PreviousUserID})
	fresh := in.System.UserID
	require.NotEqual(t, plain.UserID, fresh)
	require.Equal(t, 131026, w.refusal(whatsapp.Message{UserID: plain.UserID, Text: &whatsapp.Text{Body: "x"}}))
	require.Equal(t, sent, w.outcome(whatsapp.Message{UserID: fresh, Text: &whatsapp.Text{Body: "x"}}))
	w.restart()
	w.answers(mia)

	w.fault(object{"person": "new_number", "phone": mia})
	w.answers(mia)
	in = w.receiver.inbound(t)
	require.Equal(t, [...]string{"system", "user_changed_number", mia}, [...]string{in.Type, in.System.Type, in.From})
	require.Empty(t, w.chat(mia))
	require.NotEmpty(t, w.chat("+4520123457"))
	require.NotEqual(t, fresh, w.says("+4520123457", "it is me").UserID)
}

// The same seed does the same to a person, whatever happens to others meanwhile; another seed does something else.
func TestChanceIsSeeded(t *testing.T) {
	t.Parallel()
	story := func(seed int, others bool) string {
		sim, err := New(Options{})
		require.NoError(t, err)
		f := fault{Send: http500, Chance: 0.3, Seed: uint64(seed)}
		require.Empty(t, f.check())
		sim.faults = []*fault{&f}
		var b strings.Builder
		for i := range 400 {
			if others {
				sim.strike(&f, fmt.Sprint(i))
			}
			if sim.strike(&f, mia) {
				b.WriteByte('x')
			} else {
				b.WriteByte('.')
			}
		}
		return b.String()
	}
	one := story(1, false)
	require.Equal(t, one, story(1, true))
	require.NotEqual(t, one, story(2, false))
	require.InDelta(t, 120, strings.Count(one, "x"), 40)
	require.Equal(t, "...xx.xx.......x..x..x...xx.x.............", one[:42], "written down, so that a seed means the same in every version")
}
