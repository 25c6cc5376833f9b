package language_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/calls"
	"punchcard/internal/dispatch"
	"punchcard/internal/simulate"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// The lines of a trace that make something happen. Anna is the customer; it is Monday 23 November 2026, ten in the morning.
//
//	> order.placed {order_id: o1, total: 42}   an event comes; $code is the newest code that she has
//	> 3h                                       time passes
//	> says yes                                 she writes
//	> taps yes                                 she taps a button of the newest message
//	> asks for free-coffee                     she asks for a reward with her points
//	> the till takes $code                     the till captures the code
//	> a friend comes                           somebody sends the text of her referral link
//	> her friend order.placed {total: 42, …}   an event of theirs comes
//	> has 300 points                           she gets points out of nowhere
//	> is {birthday: 1990-11-25}                she has attributes
//	> has no first_name                        she has one no more
//	> approve, reject                          a person decides the newest approval
//	> the person is done                       a person closes the newest handoff
//	> crm answers {score: 12}, crm refuses     what other systems say from now on
//	> apply                                  the newest example is published
//	> pause, resume, stop                      an operator acts on the journey
//
// What follows from each is written below it: messages, rewards, points, consent, attributes, people who are asked, and how runs end.

// monday is ten in the morning in Copenhagen.
var monday = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

const (
	anna   = "+4520123456"
	friend = "+4520123457"
)

// scene is a world in virtual time with Anna in it.
type scene struct {
	*simulate.World
	t     *testing.T
	ctx   context.Context
	zone  *time.Location
	id    string
	seq   int
	seen  map[string]string
	codes []string
	crm   string
	next  map[string]string // what "> apply" publishes
}

type line struct {
	at   time.Time
	text string
}

// trace runs the program above a block and writes what happens.
func (p *examples) trace(b block, where string) string {
	how := strings.Join(b.words[1:], " ")
	files := p.files
	if how == "versions" {
		files = p.before
	}
	s := newScene(p.t, files, how != "new")
	s.next = p.files
	var out []string
	for text := range strings.SplitSeq(b.text, "\n") {
		input, ok := strings.CutPrefix(text, "> ")
		if !ok {
			continue
		}
		s.do(input, where)
		out = append(out, "> "+input)
		out = append(out, s.news()...)
	}
	return strings.Join(append(out, s.standing()...), "\n")
}

func newScene(t *testing.T, files map[string]string, joined bool) *scene {
	t.Helper()
	s := &scene{t: t, ctx: context.Background(), seen: map[string]string{}}
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if s.crm == "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, s.crm)
	}))
	t.Cleanup(crm.Close)
	folder := fstest.MapFS{}
	for name, text := range files {
		text = strings.ReplaceAll(text, "https://crm.beanandbloom.example", strings.Replace(crm.URL, "127.0.0.1", "localhost", 1))
		folder[name] = &fstest.MapFile{Data: []byte(text)}
	}
	program, found := rules.Load(folder)
	require.Empty(t, found.Errors())
	s.zone = program.Zone
	db := storetest.New(t, storetest.Dialects[0])
	s.World = simulate.NewWorld(db, punchcard.NewManualClock(monday), accepting{}, slog.New(slog.DiscardHandler))
	s.Activities.Caller = calls.Caller{Secret: []byte("secret"), Private: true}
	_, _, err := s.Fence.Catalog.Publish(s.ctx, program)
	require.NoError(t, err)
	require.NoError(t, db.Update(s.ctx, func(tx *store.Tx) error {
		c, err := tx.Enroll([]punchcard.Identity{{Kind: punchcard.IdentityPhone, Value: anna}}, punchcard.Customer{
			Name: "Anna", Language: "en", Country: "DK", Zone: "Europe/Copenhagen",
			Attributes: map[string]any{"first_name": "Anna"},
		})
		if err != nil {
			return err
		}
		s.id = c.ID
		for _, topic := range program.Topics {
			if !joined {
				break
			}
			err := tx.AddConsent(&punchcard.ConsentEntry{CustomerID: c.ID, Topic: topic.Name, Standing: punchcard.StandingGranted, Source: "example"})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	s.news()
	return s
}

// accepting is a WhatsApp that takes every message.
type accepting struct{}

func (accepting) Send(_ context.Context, m whatsapp.Message) (whatsapp.Accepted, error) {
	return whatsapp.Accepted{ID: "wamid." + m.CallbackData}, nil
}

// do makes something happen.
func (s *scene) do(input, where string) {
	word, rest, _ := strings.Cut(input, " ")
	if n := len(s.codes); n > 0 {
		rest = strings.ReplaceAll(rest, "$code", s.codes[n-1])
	}
	var err error
	switch {
	case strings.Contains(word, "."):
		s.event(word, object(s.t, rest, where))
	case word == "says":
		s.webhook(map[string]any{"type": "text", "text": map[string]any{"body": rest}})
	case word == "taps":
		s.webhook(map[string]any{
			"type": "button", "button": map[string]any{"payload": rest, "text": rest}, "context": map[string]any{"id": s.newest()},
		})
	case strings.HasPrefix(input, "asks for "):
		_, err = s.Dispatch.RequestRedemption(s.ctx, s.id, strings.TrimPrefix(input, "asks for "), "")
	case input == "a friend comes":
		own, e := s.Dispatch.OwnReferral(s.ctx, s.id)
		require.NoError(s.t, e)
		program, e := s.Dispatch.Program(s.ctx)
		require.NoError(s.t, e)
		s.webhookFrom(friend, map[string]any{"type": "text", "text": map[string]any{"body": program.Referral.Text(own.Code)}})
	case strings.HasPrefix(input, "her friend "):
		name, properties, _ := strings.Cut(strings.TrimPrefix(input, "her friend "), " ")
		s.eventOf(friend, name, object(s.t, properties, where))
	case strings.HasPrefix(input, "the till takes"):
		_, err = s.Dispatch.Capture(s.ctx, dispatch.Use{Code: s.codes[len(s.codes)-1]})
	case strings.HasPrefix(input, "has no "):
		err = s.Store.Update(s.ctx, func(tx *store.Tx) error {
			c, err := tx.LockCustomer(s.id)
			if err != nil {
				return err
			}
			delete(c.Attributes, strings.TrimPrefix(input, "has no "))
			return tx.SaveCustomer(c)
		})
	case word == "has":
		points, _, _ := strings.Cut(rest, " ")
		n, _ := strconv.ParseInt(points, 10, 64)
		err = s.Store.Update(s.ctx, func(tx *store.Tx) error {
			_, _, err := tx.Earn(s.id, n, "example", "example", "earn/example", tx.Now, nil)
			return err
		})
	case word == "is":
		err = s.Store.Update(s.ctx, func(tx *store.Tx) error {
			c, err := tx.LockCustomer(s.id)
			if err != nil {
				return err
			}
			maps.Copy(c.Attributes, object(s.t, rest, where))
			return tx.SaveCustomer(c)
		})
	case input == "approve" || input == "reject":
		pending, e := s.Store.View(s.ctx).Approvals(punchcard.ApprovalPending, "", 10)
		require.NoError(s.t, e)
		require.NotEmpty(s.t, pending, "%s: nobody was asked", where)
		_, err = s.Dispatch.Decide(s.ctx, pending[len(pending)-1].ID, input == "approve", "Mia", "")
	case input == "the person is done":
		open, e := s.Store.View(s.ctx).OpenHandoffs("", 10)
		require.NoError(s.t, e)
		require.NotEmpty(s.t, open, "%s: nobody has taken over", where)
		_, err = s.Dispatch.CloseHandoff(s.ctx, open[len(open)-1].ID, "Mia")
	case strings.HasPrefix(input, "crm answers "):
		answer, e := json.Marshal(object(s.t, strings.TrimPrefix(input, "crm answers "), where))
		require.NoError(s.t, e)
		s.crm = string(answer)
	case input == "crm refuses":
		s.crm = ""
	case input == "pause":
		err = s.Dispatch.Pause(s.ctx, "example", "")
	case input == "resume":
		_, err = s.Dispatch.Resume(s.ctx, "example")
	case input == "apply":
		program, found := rules.LoadFiles(s.next)
		require.Empty(s.t, found.Errors())
		_, _, err = s.Fence.Catalog.Publish(s.ctx, program)
	case input == "stop":
		_, err = s.Dispatch.Stop(s.ctx, "journey", "example", "")
	default:
		d, ok := duration(input)
		require.True(s.t, ok, "%s: nobody knows what %q does", where, input)
		err = s.Advance(s.ctx, d)
	}
	require.NoError(s.t, err, "%s: %s", where, input)
	require.NoError(s.t, s.Settle(s.ctx))
}

func duration(text string) (time.Duration, bool) {
	if len(text) < 2 {
		return 0, false
	}
	n, err := strconv.Atoi(text[:len(text)-1])
	unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 168 * time.Hour}[text[len(text)-1]]
	return time.Duration(n) * unit, err == nil && unit > 0
}

func object(t *testing.T, text, where string) map[string]any {
	t.Helper()
	out := map[string]any{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &out), "%s: %s", where, text)
	// As a backend would send it.
	raw, err := json.Marshal(out)
	require.NoError(t, err)
	out = map[string]any{}
	require.NoError(t, json.Unmarshal(raw, &out))
	return out
}

func (s *scene) event(name string, properties map[string]any) { s.eventOf(anna, name, properties) }

func (s *scene) eventOf(phone, name string, properties map[string]any) {
	s.seq++
	receipt, err := s.Dispatch.Ingest(s.ctx, []dispatch.Incoming{{
		ID: fmt.Sprintf("e%d", s.seq), Name: name, Customer: dispatch.Reference{Phone: phone}, Properties: properties,
	}})
	require.NoError(s.t, err)
	require.Empty(s.t, receipt.Rejected)
}

func (s *scene) newest() string {
	all, err := s.Store.View(s.ctx).Messages(s.id, "", 50)
	require.NoError(s.t, err)
	for _, m := range all {
		if m.Direction == punchcard.Outbound && m.Wamid != nil {
			return *m.Wamid
		}
	}
	s.t.Fatal("no message has been sent")
	return ""
}

func (s *scene) webhook(message map[string]any) { s.webhookFrom(anna, message) }

func (s *scene) webhookFrom(phone string, message map[string]any) {
	s.seq++
	message["id"], message["from"], message["timestamp"] = fmt.Sprintf("wamid.in.%d", s.seq), strings.TrimPrefix(phone, "+"), "1749416383"
	body, err := json.Marshal(map[string]any{"object": "whatsapp_business_account", "entry": []any{map[string]any{"id": "1", "changes": []any{
		map[string]any{"field": "messages", "value": map[string]any{"messaging_product": "whatsapp", "messages": []any{message}}},
	}}}})
	require.NoError(s.t, err)
	require.NoError(s.t, s.Dispatch.Receive(s.ctx, body))
}

// news is what has changed since the last call, in the order of time.
func (s *scene) news() []string {
	now := s.Clock.Now()
	var lines []line
	tell := func(key, state string, at time.Time, text string) {
		if was, ok := s.seen[key]; state != was || !ok {
			s.seen[key] = state
			if text != "" {
				lines = append(lines, line{at, text})
			}
		}
	}
	view := s.Store.View(s.ctx)
	runs, err := view.Runs(s.id, "", 200)
	require.NoError(s.t, err)
	slices.Reverse(runs)
	grants, err := view.Grants(s.id, "", 200)
	require.NoError(s.t, err)
	slices.Reverse(grants)
	s.codes = nil
	for _, g := range grants {
		if g.Code != "" {
			code, err := view.CodeOf(g.ID)
			require.NoError(s.t, err)
			s.codes = append(s.codes, code)
		}
		tell(g.ID, string(g.Status), now, g.Reward+" is "+string(g.Status))
	}
	c, err := view.Customer(s.id)
	require.NoError(s.t, err)
	points, err := view.PointsNow(s.id)
	require.NoError(s.t, err)
	tell("points", fmt.Sprint(points.Available, points.Pending, points.Held), now, fmt.Sprintf("points: %d%s%s", points.Available,
		some(points.Pending, "pending"), some(points.Held, "held")))
	tell("labels", fmt.Sprint(c.Labels), now, fmt.Sprintf("labels: [%s]", strings.Join(c.Labels, ", ")))
	for _, name := range slices.Sorted(maps.Keys(c.Attributes)) {
		tell("attribute "+name, fmt.Sprint(c.Attributes[name]), now, fmt.Sprintf("%s: %v", name, c.Attributes[name]))
	}
	for key := range s.seen {
		if name, ok := strings.CutPrefix(key, "attribute "); ok && c.Attributes[name] == nil {
			delete(s.seen, key)
			lines = append(lines, line{now, name + " is forgotten"})
		}
	}
	standings, err := view.Standings(s.id)
	require.NoError(s.t, err)
	for _, topic := range slices.Sorted(maps.Keys(standings)) {
		tell("consent "+topic, string(standings[topic].Standing), standings[topic].At, fmt.Sprintf("consent to %s: %s", topic, standings[topic].Standing))
	}
	approvals, err := view.Approvals(punchcard.ApprovalPending, "", 50)
	require.NoError(s.t, err)
	for _, a := range approvals {
		tell(a.ID, "", now, "a person is asked: "+strings.ReplaceAll(a.Title, s.id, "Anna"))
	}
	handoffs, err := view.OpenHandoffs("", 50)
	require.NoError(s.t, err)
	for _, h := range handoffs {
		what := "a person takes over: "
		if !h.Mutes {
			what = "the team is told: "
		}
		tell(h.ID, "", h.OpenedAt, what+h.Note)
	}
	messages, err := view.Messages(s.id, "", 200)
	require.NoError(s.t, err)
	slices.Reverse(messages)
	for _, m := range messages {
		if m.Direction == punchcard.Outbound {
			at, text := s.message(m)
			tell(m.ID, string(m.Status)+m.Reason, at, text)
		}
	}
	for _, r := range runs {
		switch {
		case r.Journey == punchcard.BuiltinReply:
		case r.Status == punchcard.RunEnded:
			text := r.Journey + " ends as " + r.Outcome
			if r.Goal {
				text += ", its goal"
			}
			if r.Value != 0 {
				text += fmt.Sprintf(", worth %v", r.Value)
			}
			tell(r.ID, string(r.Status), *r.EndedAt, text)
		case r.Status != punchcard.RunLive:
			tell(r.ID, string(r.Status), now, strings.TrimSpace(r.Journey+" is "+string(r.Status)+" "+r.Reason))
		default:
			tell(r.ID, string(r.Status), r.StartedAt, "")
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = "  " + l.at.In(s.zone).Format("Mon 2 Jan 15:04") + "  " + l.text
	}
	return out
}

func some(n int64, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d %s", n, what)
}

// message is when a message went or was stopped, and what it says.
func (s *scene) message(m punchcard.Message) (time.Time, string) {
	what := m.Template
	if what == "" {
		what = "a text"
	}
	switch m.Status {
	case punchcard.MessageDeferred:
		return m.UpdatedAt, fmt.Sprintf("%s waits until %s: %s", what, m.RetryAt.In(s.zone).Format("Mon 15:04"), m.Reason)
	case punchcard.MessageSuppressed, punchcard.MessageFailed:
		return m.UpdatedAt, fmt.Sprintf("%s is not sent: %s", what, m.Reason)
	default:
		text := m.Text
		for _, code := range s.codes {
			text = strings.ReplaceAll(text, punchcard.MaskCode(code), "BB7K2M9Q4T")
		}
		if m.Template == "" {
			return *m.HandedAt, fmt.Sprintf("%q", text)
		}
		return *m.HandedAt, fmt.Sprintf("%s: %q", what, text)
	}
}

// standing is where the runs are that have not ended.
func (s *scene) standing() []string {
	runs, err := s.Store.View(s.ctx).Runs(s.id, "", 200)
	require.NoError(s.t, err)
	var out []string
	for _, r := range runs {
		if r.Status == punchcard.RunEnded || r.Journey == punchcard.BuiltinReply {
			continue
		}
		_, j, err := s.Fence.Catalog.Journey(s.ctx, r.Version, r.Journey)
		require.NoError(s.t, err)
		out = append(out, fmt.Sprintf("%s is %s at: %s", r.Journey, r.Status, j.Plan.Nodes[r.Node].Label))
	}
	slices.Sort(out)
	return out
}
