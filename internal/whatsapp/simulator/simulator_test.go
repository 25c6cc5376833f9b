package simulator

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/whatsapp"
)

const (
	mia    = "+4520123456"
	secret = "app secret"
)

// world is a simulator, the client that calls it, and the receiver of its webhooks.
type world struct {
	t        *testing.T
	clock    *punchcard.ManualClock
	opt      Options
	sim      *Simulator
	address  string
	client   *whatsapp.Client
	receiver *receiver
}

// receiver takes webhooks. It checks every signature.
type receiver struct {
	address string
	bodies  chan string                // every body that came, whatever the answer
	updates chan whatsapp.Update       // of the bodies that were taken
	answer  atomic.Pointer[func() int] // the status to answer with; nil is 200
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	rec := &receiver{bodies: make(chan string, 10_000), updates: make(chan whatsapp.Update, 10_000)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			challenge, ok := whatsapp.Handshake(r.URL.Query(), "verify")
			if !ok {
				w.WriteHeader(http.StatusForbidden)
			}
			_, _ = io.WriteString(w, challenge)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || !whatsapp.Verify([]string{secret}, body, r.Header.Get("X-Hub-Signature-256")) {
			t.Error("a webhook without a right signature")
			return
		}
		rec.bodies <- string(body)
		if f := rec.answer.Load(); f != nil {
			if status := (*f)(); status != http.StatusOK {
				w.WriteHeader(status)
				return
			}
		}
		updates, err := whatsapp.Parse(body)
		if err != nil {
			t.Error("a webhook that cannot be parsed")
		}
		for _, u := range updates {
			rec.updates <- u
		}
	}))
	t.Cleanup(s.Close)
	rec.address = s.URL + "/webhooks/whatsapp"
	return rec
}

func (r *receiver) answers(f func() int) { r.answer.Store(&f) }

func (r *receiver) next(t *testing.T) whatsapp.Update {
	t.Helper()
	select {
	case u := <-r.updates:
		return u
	case <-time.After(10 * time.Second):
		t.Fatal("no webhook came")
	}
	panic("unreachable")
}

func (r *receiver) status(t *testing.T) whatsapp.Status {
	t.Helper()
	u := r.next(t)
	require.NotNil(t, u.Status, "%+v", u)
	return *u.Status
}

func (r *receiver) inbound(t *testing.T) whatsapp.Inbound {
	t.Helper()
	u := r.next(t)
	require.NotNil(t, u.Inbound, "%+v", u)
	return *u.Inbound
}

func setup(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, clock: punchcard.NewManualClock(time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)), receiver: newReceiver(t)}
	w.opt = Options{
		Clock: w.clock, WebhookURL: w.receiver.address, AppSecret: secret, VerifyToken: "verify", Token: "token",
		PhoneNumberID: "301", AccountID: "201", AppID: "401", BusinessPhone: "+4533112233", Business: "Bean & Bloom",
	}
	for _, f := range change {
		f(&w.opt)
	}
	w.start()
	return w
}

// start makes a simulator of the options. A second start is what a new process is.
func (w *world) start() {
	w.t.Helper()
	sim, err := New(w.opt)
	require.NoError(w.t, err)
	server := httptest.NewServer(sim.Handler())
	done := make(chan error, 1)
	go func() { done <- sim.Run(w.t.Context()) }()
	w.t.Cleanup(func() {
		require.NoError(w.t, sim.Close())
		server.Close()
		require.NoError(w.t, <-done)
	})
	w.sim, w.address = sim, server.URL
	w.client = whatsapp.New(whatsapp.Config{BaseURL: server.URL, PhoneNumberID: "301", AccountID: "201", AppID: "401", Token: "token", HTTP: server.Client()})
}

// call makes a request and decodes the answer.
func (w *world) call(method, path string, body any, headers ...string) (int, map[string]any) {
	w.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		require.NoError(w.t, err)
		r = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.address+path, r)
	require.NoError(w.t, err)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	answer := map[string]any{}
	if len(raw) > 0 {
		require.NoError(w.t, json.Unmarshal(raw, &answer), "%s", raw)
	}
	if res.StatusCode >= 400 && !strings.HasPrefix(path, "/v") {
		require.Equal(w.t, "application/problem+json", res.Header.Get("Content-Type"))
		require.NotEmpty(w.t, answer["detail"])
	}
	return res.StatusCode, answer
}

func (w *world) chat(phone string) []messageView {
	w.t.Helper()
	res, err := http.Get(w.address + "/people/" + phone + "/messages")
	require.NoError(w.t, err)
	defer func() { _ = res.Body.Close() }()
	require.Equal(w.t, http.StatusOK, res.StatusCode)
	var answer struct{ Items []messageView }
	require.NoError(w.t, json.NewDecoder(res.Body).Decode(&answer))
	return answer.Items
}

// says makes a person write, and answers the webhook of it.
func (w *world) says(phone, text string) whatsapp.Inbound {
	w.t.Helper()
	status, answer := w.call(http.MethodPost, "/people/"+phone+"/messages", object{"text": text})
	require.Equal(w.t, http.StatusCreated, status, "%v", answer)
	return w.receiver.inbound(w.t)
}

func (w *world) send(m whatsapp.Message) string {
	w.t.Helper()
	accepted, err := w.client.Send(w.t.Context(), m)
	require.NoError(w.t, err)
	require.Regexp(w.t, `^wamid\.`, accepted.ID)
	return accepted.ID
}

// template creates one and waits for its approval.
func (w *world) template(spec whatsapp.TemplateSpec) {
	w.t.Helper()
	info, err := w.client.CreateTemplate(w.t.Context(), spec)
	require.NoError(w.t, err)
	require.Equal(w.t, "PENDING", info.Status)
	u := w.receiver.next(w.t)
	require.NotNil(w.t, u.Template)
	require.Equal(w.t, whatsapp.TemplateStatus, u.Template.Kind)
	require.Equal(w.t, "APPROVED", u.Template.Event)
	require.Equal(w.t, info.ID, u.Template.ID)
}

var cart = whatsapp.TemplateSpec{
	Name: "cart_reminder_0a1b2c3d", Language: "en", Category: "MARKETING",
	Components: []whatsapp.Component{
		{Type: "HEADER", Format: "TEXT", Text: "For {{1}}", Example: &whatsapp.Example{HeaderText: []string{"Mia"}}},
		{Type: "BODY", Text: "Your {{1}} waits, {{2}} of it. Yes, {{1}}!", Example: &whatsapp.Example{BodyText: [][]string{{"cup", "3"}}}},
		{Type: "FOOTER", Text: "STOP ends it"},
		{Type: "BUTTONS", Buttons: []whatsapp.ButtonSpec{
			{Type: "QUICK_REPLY", Text: "Yes please"},
			{Type: "QUICK_REPLY", Text: "No"},
			{Type: "URL", Text: "See it", URL: "https://shop.example/c/{{1}}", Example: whatsapp.Samples{"https://shop.example/c/1"}},
			{Type: "COPY_CODE", Text: "Copy code", Example: whatsapp.Samples{"AB12"}},
		}},
	},
}

func cartMessage() whatsapp.Message {
	return whatsapp.Message{To: mia, CallbackData: "msg_1", Template: &whatsapp.TemplateMessage{
		Name: cart.Name, Language: "en", Header: &whatsapp.TemplateHeader{Text: "Mia"}, Body: []string{"cup <$1>", "2"},
		Buttons: []whatsapp.TemplateButton{
			{Index: 0, SubType: whatsapp.QuickReply, Value: "yes-1"},
			{Index: 2, SubType: whatsapp.URLSuffix, Value: "77"},
			{Index: 3, SubType: whatsapp.CopyCode, Value: "WELCOME10"},
		},
	}}
}

func TestTemplateToReply(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.template(cart)
	id := w.send(cartMessage())

	s := w.receiver.status(t)
	require.Equal(t, [...]string{id, "sent", mia, "msg_1"}, [...]string{s.ID, s.Status, s.Recipient, s.CallbackData})
	require.Regexp(t, `^DK\.[0-9]{20}$`, s.UserID)
	require.Equal(t, whatsapp.Pricing{Category: "marketing", Type: "regular", Billable: true}, *s.Pricing)
	require.Equal(t, w.clock.Now(), s.At)
	require.Equal(t, "delivered", w.receiver.status(t).Status)

	items := w.chat("%2B4520123456")
	require.Len(t, items, 1)
	m := items[0]
	require.Equal(t, messageView{
		ID: id, Direction: "out", Type: "template", Template: "cart_reminder", Header: "For Mia",
		Text: "Your cup <$1> waits, 2 of it. Yes, cup <$1>!", Footer: "STOP ends it", Status: "delivered", At: w.clock.Now(),
		Buttons: []button{
			{Title: "Yes please", ID: "yes-1", Kind: "reply"}, {Title: "No", ID: "No", Kind: "reply"},
			{Title: "See it", Kind: "url", Value: "https://shop.example/c/77"}, {Title: "Copy code", Kind: "copy_code", Value: "WELCOME10"},
		},
	}, m)

	// The press: whoever answers has read.
	w.clock.Advance(time.Minute)
	code, answer := w.call(http.MethodPost, "/people/4520123456/messages", object{"press": "yes PLEASE"})
	require.Equal(t, http.StatusCreated, code)
	require.Equal(t, "in", answer["direction"])
	require.Equal(t, "Yes please", answer["text"])
	s = w.receiver.status(t)
	require.Equal(t, [...]string{id, "read", "msg_1"}, [...]string{s.ID, s.Status, s.CallbackData})
	in := w.receiver.inbound(t)
	require.Equal(t, whatsapp.Inbound{
		ID: answer["id"].(string), From: mia, UserID: s.UserID, ProfileName: "Customer 3456", At: w.clock.Now(),
		Type: "button", Text: "Yes please", Payload: "yes-1", ReplyTo: id, Raw: in.Raw,
	}, in)

	// The business reads it: blue ticks.
	require.NoError(t, w.client.MarkRead(t.Context(), in.ID))
	items = w.chat(mia)
	require.Equal(t, "read", items[0].Status)
	require.Equal(t, "read", items[1].Status)
	require.Error(t, w.client.MarkRead(t.Context(), "wamid.none"))
}

func TestServiceWindow(t *testing.T) {
	t.Parallel()
	w := setup(t)
	hello := whatsapp.Message{To: mia, CallbackData: "msg_2", Text: &whatsapp.Text{Body: "hello"}}

	shut := func() {
		t.Helper()
		id := w.send(hello) // a 200 all the same
		s := w.receiver.status(t)
		require.Equal(t, [...]string{id, "failed", "msg_2", ""}, [...]string{s.ID, s.Status, s.CallbackData, s.UserID})
		require.Equal(t, 131047, s.Errors[0].Code)
		require.Nil(t, s.Pricing)
	}
	shut()
	in := w.says(mia, "hi / café 🎁")
	require.Equal(t, "hi / café 🎁", in.Text)
	require.Equal(t, "text", in.Type)
	w.clock.Advance(24*time.Hour - time.Second)
	w.send(hello)
	require.Equal(t, "sent", w.receiver.status(t).Status)
	require.Equal(t, "delivered", w.receiver.status(t).Status)
	w.clock.Advance(time.Second)
	shut()
	items := w.chat(mia)
	require.Equal(t, []string{"failed", "delivered", "delivered", "failed"}, []string{items[0].Status, items[1].Status, items[2].Status, items[3].Status})
	require.Equal(t, 131047, items[0].Error.Code)
	require.Empty(t, items[0].Template)
}

func TestSendToUserID(t *testing.T) {
	t.Parallel()
	w := setup(t)
	in := w.says(mia, "hi")
	id := w.send(whatsapp.Message{UserID: in.UserID, ReplyTo: in.ID, Text: &whatsapp.Text{Body: "hello"}})
	require.Equal(t, id, w.receiver.status(t).ID)
	require.Equal(t, in.ID, w.chat(mia)[1].ReplyTo)
	_, err := w.client.Send(t.Context(), whatsapp.Message{UserID: "DK.404", Text: &whatsapp.Text{Body: "hello"}})
	require.Equal(t, whatsapp.Recipient, whatsapp.ClassOf(err))
}

func TestEveryKindIsTaken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.says(mia, "hi")
	for kind, m := range map[string]whatsapp.Message{
		"text":     {Text: &whatsapp.Text{Body: "x", PreviewURL: true}},
		"image":    {Image: &whatsapp.Media{Link: "https://x.example/a.png", Caption: "x"}},
		"document": {Document: &whatsapp.Media{Link: "https://x.example/a.pdf", Filename: "a.pdf", Caption: "x"}},
		"location": {Location: &whatsapp.Location{Latitude: 55.6, Longitude: 12.5, Name: "Shop", Address: "x"}},
		"interactive": {List: &whatsapp.List{Header: "h", Body: "x", Footer: "f", Button: "Open",
			Sections: []whatsapp.Section{{Rows: []whatsapp.Row{{ID: "1", Title: "One"}}}}}},
	} {
		m.To = mia
		w.send(m)
		items := w.chat(mia)
		got := items[len(items)-1]
		require.Equal(t, kind, got.Type)
		require.Equal(t, "x", got.Text)
		require.Equal(t, "delivered", got.Status)
	}
}

func TestPress(t *testing.T) {
	t.Parallel()
	w := setup(t)
	press := func(body object) (int, map[string]any) {
		return w.call(http.MethodPost, "/people/"+mia+"/messages", body)
	}
	// Outside the window it fails, so it is on no screen.
	w.send(whatsapp.Message{To: mia, Buttons: &whatsapp.Buttons{Body: "?", Buttons: []whatsapp.Button{{ID: "y0", Title: "Yes"}}}})
	require.Equal(t, "failed", w.receiver.status(t).Status)
	w.says(mia, "hi")
	code, problem := press(object{"press": "Yes"})
	require.Equal(t, http.StatusConflict, code)
	require.Contains(t, problem["detail"], "no message has a button Yes")

	ask := func(id string) string {
		t.Helper()
		wamid := w.send(whatsapp.Message{To: mia, Buttons: &whatsapp.Buttons{Body: "?", Buttons: []whatsapp.Button{{ID: id, Title: "Yes"}, {ID: "n", Title: "No"}}}})
		w.receiver.status(t)
		w.receiver.status(t)
		return wamid
	}
	older, newer := ask("y1"), ask("y2")
	list := w.send(whatsapp.Message{To: mia, List: &whatsapp.List{Body: "?", Button: "Choose", Sections: []whatsapp.Section{
		{Title: "A", Rows: []whatsapp.Row{{ID: "r1", Title: "Latte", Description: "with milk"}}},
		{Title: "B", Rows: []whatsapp.Row{{ID: "r2", Title: "Mocha"}}},
	}}})
	w.receiver.status(t)
	w.receiver.status(t)

	for _, c := range []struct {
		body                    object
		text, payload, answered string
		reads                   int
	}{
		{object{"press": "YES"}, "Yes", "y2", newer, 3},
		{object{"press": "y1"}, "Yes", "y1", older, 0},
		{object{"press": "yes", "reply_to": older}, "Yes", "y1", older, 0},
		{object{"press": "latte"}, "Latte", "r1", list, 0},
		{object{"press": "r2"}, "Mocha", "r2", list, 0},
	} {
		code, answer := press(c.body)
		require.Equal(t, http.StatusCreated, code, "%v", answer)
		for range c.reads {
			require.Equal(t, "read", w.receiver.status(t).Status)
		}
		in := w.receiver.inbound(t)
		require.Equal(t, [...]string{"interactive", c.text, c.payload, c.answered}, [...]string{in.Type, in.Text, in.Payload, in.ReplyTo})
		require.Equal(t, c.text == "Latte", strings.Contains(string(in.Raw), "with milk"))
		require.Equal(t, c.answered == list, strings.Contains(string(in.Raw), "list_reply"))
	}
	for _, body := range []object{{"press": "Maybe"}, {"press": "latte", "reply_to": older}, {"press": "yes", "reply_to": "wamid.none"}, {"press": ""}} {
		code, _ = press(body)
		require.Equal(t, http.StatusConflict, code, "%v", body)
	}
	// A button that only the phone knows about.
	w.template(cart)
	w.send(cartMessage())
	code, problem = press(object{"press": "See it"})
	require.Equal(t, http.StatusConflict, code)
	require.Contains(t, problem["detail"], "sends nothing")
}

func TestReplyTo(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first := w.says(mia, "hi")
	code, _ := w.call(http.MethodPost, "/people/"+mia+"/messages", object{"text": "as I said", "reply_to": first.ID})
	require.Equal(t, http.StatusCreated, code)
	in := w.receiver.inbound(t)
	require.Equal(t, first.ID, in.ReplyTo)
	// Another's message cannot be quoted.
	code, _ = w.call(http.MethodPost, "/people/+4599999999/messages", object{"text": "x", "reply_to": first.ID})
	require.Equal(t, http.StatusConflict, code)
}

func TestNumber(t *testing.T) {
	t.Parallel()
	w := setup(t)
	code, answer := w.call(http.MethodGet, "/v26.0/301", nil, "Authorization", "Bearer token")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "Bean & Bloom", answer["verified_name"])
	require.Equal(t, "+4533112233", answer["display_phone_number"])
	code, answer = w.call(http.MethodGet, "/v26.0/999", nil, "Authorization", "Bearer token")
	require.Equal(t, http.StatusBadRequest, code)
	require.EqualValues(t, 33, answer["error"].(map[string]any)["error_subcode"])
}

func TestUserIDs(t *testing.T) {
	t.Parallel()
	id := userID("1", mia)
	require.Equal(t, id, userID("1", mia))
	require.NotEqual(t, id, userID("2", mia), "scoped to the business")
	require.NotEqual(t, id, userID("1", "+4520123457"))
	require.Regexp(t, `^XX\.[0-9]{20}$`, userID("1", "+23420123456"))
}
