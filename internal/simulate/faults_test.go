package simulate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punchcard"
	"punchcard/activities"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/internal/whatsapp/simulator"
	"punchcard/rules"
)

// notes is a program that sends one message for each event.
var notes = fstest.MapFS{
	"program.yaml": {Data: []byte(`
program: Notes
business: Bean & Bloom
privacy_url: https://beanandbloom.example/privacy
language: en
timezone: Europe/Copenhagen
currency: EUR
marketing_countries: [DK]
quiet_hours: {from: "21:00", to: "09:00"}
topics:
  news: {en: News}
keywords:
  stop:   [STOP]
  join:   [JOIN]
  yes:    [YES]
  no:     [NO]
  points: [POINTS]
replies:
  points: {en: "You have {{ points.balance }} points."}
  otherwise: {en: Thanks!}
events:
  note.asked: {n: string}
`)},
	"rewards.yaml":  {Data: []byte("rewards: {}\n")},
	"segments.yaml": {Data: []byte("segments: {}\n")},
	"templates.yaml": {Data: []byte(`
templates:
  note:
    category: utility
    body: {en: "Note {{ n }} of {{ program.business }} for you."}
`)},
	"journeys/note.yaml": {Data: []byte(`
journey: note
purpose: service
enter:
  - on: note.asked
    key: event.n
steps:
  - send: note
    with: {n: "{{ entry.n }}"}
  - end: noted
`)},
}

// everyFault is all that the simulator can do wrong, at once: to sends, to webhooks and to people. A seed and a person say which of
// theirs it hits.
func everyFault() []map[string]any {
	var all []map[string]any
	add := func(kind, what string, chance float64, more map[string]any) {
		f := map[string]any{kind: what, "chance": chance, "seed": 100 + len(all)}
		maps.Copy(f, more)
		all = append(all, f)
	}
	for _, what := range []string{"timeout_before", "timeout_after", "http_500", "http_500_after"} {
		add("send", what, 0.02, nil)
	}
	for code, chance := range map[int]float64{ // one of each class, but for those that stop everybody
		130429: 0.02, 131056: 0.02, 131016: 0.01, 80007: 0.005, 131049: 0.02, 131000: 0.02, 131026: 0.02, 131050: 0.005, 131008: 0.005,
	} {
		add("send", "error", chance, map[string]any{"code": code, "seed": code})
	}
	for _, code := range []int{132001, 131042} { // of the template and the sender: all wait until somebody has seen to it
		add("send", "error", 0.005, map[string]any{"code": code, "count": 3})
	}
	for _, code := range []int{131026, 131049, 131053} {
		add("send", "failed", 0.01, map[string]any{"code": code})
	}
	for what, more := range map[string]map[string]any{
		"drop": nil, "double": nil, "delay": {"delay": "150ms"}, "reorder": nil, "batch": {"delay": "100ms", "size": 50}, "skip_delivered": nil,
		"early": nil, "no_phone": nil,
	} {
		add("webhook", what, 0.1, more)
	}
	add("person", "new_user_id", 0.2, nil)
	add("person", "new_number", 0.1, nil)
	return all
}

// truth is the simulator's journal: what it took, and what it told.
type truth struct {
	taken   map[string]int // messages, by our id
	waiting int            // webhooks that are not delivered yet
}

func readTruth(t *testing.T, path string) truth {
	t.Helper()
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	j := truth{taken: map[string]int{}}
	lines := bytes.Split(raw, []byte("\n"))
	for _, line := range lines[:len(lines)-1] { // what is behind the last end of a line is being written
		var f struct {
			Message *struct {
				Direction    string
				CallbackData string `json:"callback_data"`
			}
			Hooks []json.RawMessage
			Taken *struct{ Count int }
		}
		require.NoError(t, json.Unmarshal(line, &f))
		if f.Message != nil && f.Message.Direction == "out" {
			j.taken[f.Message.CallbackData]++
		}
		j.waiting += len(f.Hooks)
		if f.Taken != nil {
			j.waiting -= max(1, f.Taken.Count)
		}
	}
	return j
}

// told is how far webhooks said each message has come, by our id.
type told struct {
	mu       sync.Mutex
	furthest map[string]punchcard.MessageStatus
}

func (h *told) hear(body []byte) error {
	updates, err := whatsapp.Parse(body)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, u := range updates {
		if u.Status == nil {
			continue
		}
		id, s := u.Status.CallbackData, punchcard.MessageStatus(u.Status.Status)
		if was, known := h.furthest[id]; !known || s.Passes(was) {
			h.furthest[id] = s
		}
	}
	return err
}

// With every fault on at once, and workers that die: no message is sent twice and none is lost, and each whose fate is unknown is
// settled by a webhook or reported. PUNCHCARD_FAULTS says how many are sent; the simulator's journal says what is true.
func TestEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	sends, err := strconv.Atoi(os.Getenv("PUNCHCARD_FAULTS"))
	if err != nil {
		sends = 300
	}
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		f := newFaulty(t, fresh(t), 5*time.Minute+time.Duration(sends)*250*time.Millisecond)
		f.live(sends)
		f.settle(sends)
		f.judge(sends)
	})
}

// textBook is WhatsApp's templates, for a program whose templates show nothing but text.
type textBook struct{ *whatsapp.Client }

// Sample is of dispatch.TemplateBook.
func (textBook) Sample(context.Context, rules.HeaderFormat, string) (string, error) {
	return "", errors.New("nothing here shows a file")
}

// faulty is a deployment whose WhatsApp does everything wrong.
type faulty struct {
	t       *testing.T
	limit   time.Duration // of real time, for whatever is waited for: a busy machine is slow
	store   *store.Store
	clock   *punchcard.ManualClock
	d       *dispatch.Dispatcher
	runs    *crowd
	book    dispatch.TemplateBook
	told    *told
	journal string
	address string // the simulator's
}

func newFaulty(t *testing.T, s *store.Store, limit time.Duration) *faulty {
	t.Helper()
	f := &faulty{
		t: t, limit: limit, store: s, clock: punchcard.NewManualClock(monday), told: &told{furthest: map[string]punchcard.MessageStatus{}},
		journal: filepath.Join(t.TempDir(), "journal"),
	}
	s.UseClock(f.clock)
	ctx, stop := context.WithCancel(context.Background())
	const secret = "app secret"
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !whatsapp.Verify([]string{secret}, body, r.Header.Get("X-Hub-Signature-256")) || f.d.Receive(ctx, body) != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if f.told.hear(body) != nil {
			t.Error("a webhook that cannot be parsed")
		}
	}))
	limits := simulator.DefaultLimits()
	limits.Throughput = 0 // the machine's own pace says nothing here
	sim, err := simulator.New(simulator.Options{
		Clock: f.clock, WebhookURL: receiver.URL, AppSecret: secret, Token: "token", PhoneNumberID: "301", AccountID: "201",
		BusinessPhone: "+4533112233", Business: "Bean & Bloom", DataFile: f.journal, Limits: &limits,
	})
	require.NoError(t, err)
	server := httptest.NewServer(sim.Handler())
	f.address = server.URL
	config := whatsapp.Config{BaseURL: server.URL, PhoneNumberID: "301", AccountID: "201", Token: "token", HTTP: &http.Client{Timeout: 400 * time.Millisecond}}

	cards := fence.New(s)
	f.runs = newCrowd(t, f.clock, &activities.Activities{Fence: cards, Sender: whatsapp.New(config), Log: quiet}, 7, 0.03)
	f.d = dispatch.New(cards, f.runs, quiet)
	p, problems := rules.Load(notes)
	require.Empty(t, problems.Errors())
	_, _, err = cards.Catalog.Publish(ctx, p)
	require.NoError(t, err)
	config.HTTP = server.Client()
	f.book = textBook{whatsapp.New(config)}
	_, err = f.d.PushTemplates(ctx, f.book, p)
	require.NoError(t, err)

	var g errgroup.Group
	g.Go(func() error { return f.d.Run(ctx) })
	g.Go(func() error { return sim.Run(ctx) })
	t.Cleanup(func() {
		stop()
		require.NoError(t, g.Wait())
		require.NoError(t, sim.Close())
		server.Close()
		receiver.Close()
	})
	f.until("the templates are known", 20*time.Millisecond, func() bool { return readTruth(t, f.journal).waiting == 0 && f.depth() == 0 })
	for _, fault := range everyFault() {
		f.post("/faults", fault, http.StatusCreated)
	}
	return f
}

// until looks every so often, until something is so.
func (f *faulty) until(what string, every time.Duration, so func() bool) {
	f.t.Helper()
	for end := time.Now().Add(f.limit); !so(); time.Sleep(every) {
		require.True(f.t, time.Now().Before(end), what)
	}
}

// depth is how many webhooks are to be worked on.
func (f *faulty) depth() int64 {
	n, err := f.store.View(f.t.Context()).InboxDepth()
	require.NoError(f.t, err)
	return n
}

func (f *faulty) post(path string, body map[string]any, want int) {
	raw, err := json.Marshal(body)
	require.NoError(f.t, err)
	res, err := http.Post(f.address+path, "application/json", bytes.NewReader(raw))
	require.NoError(f.t, err)
	answer, err := io.ReadAll(res.Body)
	require.NoError(f.t, err)
	require.NoError(f.t, res.Body.Close())
	if want != 0 {
		require.Equal(f.t, want, res.StatusCode, "%s", answer)
	}
}

// each customer gets so many messages.
const perPerson = 10

// live has customers ask for what is to be sent, write themselves now and then, and read what they got.
func (f *faulty) live(sends int) {
	var g errgroup.Group
	g.SetLimit(8)
	for person := range (sends + perPerson - 1) / perPerson {
		g.Go(func() error {
			phone := fmt.Sprintf("+4520%06d", 100_000+20*person) // room for those who take another number
			for n := range min(perPerson, sends-person*perPerson) {
				receipt, err := f.d.Ingest(f.t.Context(), []dispatch.Incoming{{
					ID: fmt.Sprintf("e%d-%d", person, n), Name: "note.asked", Customer: reference(person, n, phone),
					Properties: map[string]any{"n": fmt.Sprint(n)},
				}})
				if err == nil && receipt.Accepted != 1 {
					err = fmt.Errorf("event %d of %d: %+v", n, person, receipt)
				}
				if err != nil {
					return err
				}
				if n%3 == 1 { // whoever took another number is not there any more
					f.post("/people/"+phone+"/messages", map[string]any{"text": "points"}, 0)
					f.post("/people/"+phone+"/read", map[string]any{}, 0)
				}
			}
			return nil
		})
	}
	require.NoError(f.t, g.Wait())
}

// reference is how the backend names a customer: with the phone once.
func reference(person, n int, phone string) dispatch.Reference {
	r := dispatch.Reference{ExternalID: fmt.Sprintf("c%d", person)}
	if n == 0 {
		r.Phone = phone
	}
	return r
}

// settle lets time pass, and does what an operator does, until every run has ended; then until no webhook is under way; and then
// until what is unknown is reported.
func (f *faulty) settle(sends int) {
	looked := time.Now()
	f.until("every run ends", 20*time.Millisecond, func() bool {
		idle, ended := f.runs.idle("note")
		if idle || time.Since(looked) > time.Second {
			looked = time.Now()
			f.mend()
		}
		if idle {
			f.clock.Advance(10 * time.Minute)
			f.runs.tick()
		}
		return ended == sends
	})
	f.until("every webhook is taken over", 200*time.Millisecond, func() bool {
		f.clock.Advance(time.Second)
		idle, _ := f.runs.idle("note")
		return idle && readTruth(f.t, f.journal).waiting == 0 && f.depth() == 0
	})
	f.clock.Advance(dispatch.UnknownAfter + time.Second)
	require.NoError(f.t, f.d.Watch(f.t.Context()))
}

// mend is what an operator does: what was seen to is closed, pulled and tried again.
func (f *faulty) mend() {
	ctx := f.t.Context()
	for _, scope := range []punchcard.CircuitScope{punchcard.CircuitAll, punchcard.CircuitMarketing} {
		if _, err := f.d.CloseCircuit(ctx, scope, "Mia"); punchcard.CodeOf(err) != punchcard.CodeConflict {
			require.NoError(f.t, err)
		}
	}
	// A template that was refused once is held until WhatsApp says that it is there. Who asks too often within its hour asks again later.
	_, err := f.d.PullTemplates(ctx, f.book)
	if whatsapp.ClassOf(err) != whatsapp.Retry {
		require.NoError(f.t, err)
	}
	_, err = f.d.RetryAll(ctx, "")
	require.NoError(f.t, err)
}

// judge compares what we believe of each message with what is true.
func (f *faulty) judge(sends int) {
	t, view := f.t, f.store.View(f.t.Context())
	journal := readTruth(t, f.journal)
	for id, n := range journal.taken {
		require.Equal(t, 1, n, "message %s was sent twice", id)
	}
	parked, err := view.ParkedEvents(0, 10)
	require.NoError(t, err)
	require.Empty(t, parked)
	hooks, err := view.ParkedInbox(0, 10)
	require.NoError(t, err)
	require.Empty(t, hooks)

	ends, unreported, known := map[punchcard.MessageStatus]int{}, 0, map[string]bool{}
	requested := 0
	customers, err := view.CustomersAfter("", sends+1000)
	require.NoError(t, err)
	for _, c := range customers {
		messages, err := view.Messages(c.ID, "", 1000)
		require.NoError(t, err)
		for _, m := range messages {
			if m.Direction != punchcard.Outbound {
				continue
			}
			known[m.ID] = true
			if m.Template == "note" {
				requested++
				ends[m.Status]++
			}
			switch m.Status {
			case punchcard.MessageAccepted, punchcard.MessageSent, punchcard.MessageDelivered, punchcard.MessageRead:
				require.Equal(t, 1, journal.taken[m.ID], "%s is %s and was never taken", m.ID, m.Status)
			case punchcard.MessageSuppressed:
				require.Zero(t, journal.taken[m.ID], "%s is suppressed (%s) and was sent", m.ID, m.Reason)
			case punchcard.MessageFailed:
				require.NotEmpty(t, m.Reason)
			case punchcard.MessageUnknown:
				if m.ReportedAt == nil {
					unreported++
				}
			default:
				require.NotEqual(t, "note", m.Template, "%s is left as %s (%s)", m.ID, m.Status, m.Reason)
			}
			if s, heard := f.told.furthest[m.ID]; heard {
				require.False(t, s.Passes(m.Status), "%s is %s, and a webhook said that it was %s", m.ID, m.Status, s)
			}
		}
	}
	require.Equal(t, sends, requested, "one message for each event")
	require.Zero(t, unreported, "what is unknown is reported")
	for id := range journal.taken {
		require.True(t, known[id], "%s was sent and is not known", id)
	}
	if ends[punchcard.MessageUnknown] > 0 {
		alerts, err := view.Alerts(false, "", 200)
		require.NoError(t, err)
		require.Contains(t, kinds(alerts), punchcard.AlertUnknownSends)
	}
	t.Logf("%d messages: %v; WhatsApp took %d", sends, ends, len(journal.taken))
}

func kinds(alerts []punchcard.Alert) []punchcard.AlertKind {
	var out []punchcard.AlertKind
	for _, a := range alerts {
		out = append(out, a.Kind)
	}
	return out
}
