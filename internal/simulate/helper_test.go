package simulate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/calls"
	"punchcard/internal/dispatch"
	"punchcard/internal/simulate"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
	"punchcard/internal/whatsapp"
	"punchcard/programs"
	"punchcard/rules"
)

// monday is a Monday at ten in the morning in the coffee program's zone: no quiet hours.
var monday = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

var quiet = slog.New(slog.DiscardHandler)

// outbox is a WhatsApp that accepts everything, unless it is told otherwise.
type outbox struct {
	mu   sync.Mutex
	sent []whatsapp.Message
	fail []error // what the next calls answer
	// names are how WhatsApp calls whom it sends to; nil: as we do.
	names func(m whatsapp.Message) (phone, userID string)
}

func (o *outbox) Send(_ context.Context, m whatsapp.Message) (whatsapp.Accepted, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.fail) > 0 {
		err := o.fail[0]
		o.fail = o.fail[1:]
		if err != nil {
			return whatsapp.Accepted{}, err
		}
	}
	o.sent = append(o.sent, m)
	accepted := whatsapp.Accepted{ID: fmt.Sprintf("wamid.%d", len(o.sent)), Phone: m.To, UserID: m.UserID}
	if o.names != nil {
		accepted.Phone, accepted.UserID = o.names(m)
	}
	return accepted, nil
}

// each runs a test on every database; fresh gives it, and each of its parts, a database of its own.
func each(t *testing.T, test func(t *testing.T, fresh func(*testing.T) *store.Store)) {
	t.Helper()
	for _, d := range storetest.Dialects {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			test(t, func(t *testing.T) *store.Store {
				t.Helper()
				return storetest.New(t, d)
			})
		})
	}
}

type bundle struct {
	*simulate.World
	t    *testing.T
	wa   *outbox
	seq  int
	ctx  context.Context
	last map[string]int
	// language is what events say of the customer.
	language string
}

func setup(t *testing.T, s *store.Store, program fs.FS, caller ...calls.Caller) *bundle {
	t.Helper()
	clock := punchcard.NewManualClock(monday)
	wa := &outbox{}
	b := &bundle{World: simulate.NewWorld(s, clock, wa, quiet), t: t, wa: wa, ctx: context.Background(), last: map[string]int{}, language: "en"}
	if len(caller) > 0 {
		b.Activities.Caller, b.Dispatch.Caller = caller[0], caller[0]
	}
	p, problems := rules.Load(program)
	require.Empty(t, problems.Errors())
	_, _, err := b.Fence.Catalog.Publish(b.ctx, p)
	require.NoError(t, err)
	require.NoError(t, s.Update(b.ctx, func(tx *store.Tx) error {
		_, err := tx.PoolCodes("free-coffee", []string{"POOL1", "POOL2", "POOL3"})
		return err
	}))
	return b
}

// code is the whole code of the customer's newest grant.
func (b *bundle) code(phone string) string {
	b.t.Helper()
	view := b.Store.View(b.ctx)
	grants, err := view.Grants(b.customer(phone).ID, "", 1)
	require.NoError(b.t, err)
	require.Len(b.t, grants, 1)
	code, err := view.CodeOf(grants[0].ID)
	require.NoError(b.t, err)
	return code
}

// event sends one event of a customer and lets everything settle.
func (b *bundle) event(phone, name string, properties map[string]any) {
	b.t.Helper()
	b.seq++
	receipt, err := b.Dispatch.Ingest(b.ctx, []dispatch.Incoming{{
		ID: fmt.Sprintf("e%d", b.seq), Name: name, Customer: dispatch.Reference{Phone: phone}, Properties: properties,
		Profile: punchcard.Profile{Language: b.language},
	}})
	require.NoError(b.t, err)
	require.Empty(b.t, receipt.Rejected)
	require.Equal(b.t, 1, receipt.Accepted)
	require.NoError(b.t, b.Settle(b.ctx))
}

// says has the customer write, as a webhook would tell.
func (b *bundle) says(phone, text string) {
	b.t.Helper()
	b.webhook(phone, map[string]any{"type": "text", "text": map[string]any{"body": text}})
}

// presses has the customer press a button of our newest message.
func (b *bundle) presses(phone, payload string, of int) {
	b.t.Helper()
	b.webhook(phone, map[string]any{
		"type": "button", "button": map[string]any{"payload": payload, "text": payload},
		"context": map[string]any{"id": fmt.Sprintf("wamid.%d", of)},
	})
}

// status has WhatsApp tell what became of a message.
func (b *bundle) status(wamid, callback, status string) {
	b.t.Helper()
	b.change(map[string]any{"statuses": []any{map[string]any{
		"id": wamid, "status": status, "timestamp": "1749416383", "recipient_id": "4520123456", "biz_opaque_callback_data": callback,
	}}})
}

func (b *bundle) webhook(phone string, message map[string]any) {
	b.t.Helper()
	b.seq++
	message["id"], message["from"], message["timestamp"] = fmt.Sprintf("wamid.in.%d", b.seq), strings.TrimPrefix(phone, "+"), "1749416383"
	b.change(map[string]any{"messages": []any{message}})
}

// change has a webhook come with one change of the messages field.
func (b *bundle) change(value map[string]any) {
	b.t.Helper()
	value["messaging_product"] = "whatsapp"
	b.field("messages", value)
}

// field has a webhook come with one change of a field.
func (b *bundle) field(name string, value map[string]any) {
	b.t.Helper()
	body, err := json.Marshal(map[string]any{"object": "whatsapp_business_account", "entry": []any{map[string]any{"id": "1", "changes": []any{
		map[string]any{"field": name, "value": value},
	}}}})
	require.NoError(b.t, err)
	require.NoError(b.t, b.Dispatch.Receive(b.ctx, body))
	require.NoError(b.t, b.Settle(b.ctx))
}

// advance lets time pass.
func (b *bundle) advance(d time.Duration) {
	b.t.Helper()
	require.NoError(b.t, b.Advance(b.ctx, d))
}

// messages lists the templates and texts that have left for a phone since the last call, as "template" or "text: …".
func (b *bundle) messages(phone string) []string {
	b.t.Helper()
	c := b.customer(phone)
	all, err := b.Store.View(b.ctx).Messages(c.ID, "", 200)
	require.NoError(b.t, err)
	var out []string
	n := 0
	for _, m := range slices.Backward(all) {
		if m.Direction != punchcard.Outbound {
			continue
		}
		if n++; n <= b.last[phone] {
			continue
		}
		what := m.Template
		if what == "" {
			what = "text: " + m.Text
		}
		if m.Status != punchcard.MessageAccepted {
			what += " (" + string(m.Status) + ", " + m.Reason + ")"
		}
		out = append(out, what)
	}
	b.last[phone] = n
	return out
}

func (b *bundle) customer(phone string) *punchcard.Customer {
	b.t.Helper()
	c, err := b.Store.View(b.ctx).Identify([]punchcard.Identity{{Kind: punchcard.IdentityPhone, Value: phone}})
	require.NoError(b.t, err)
	require.NotNil(b.t, c, "nobody has %s", phone)
	return c
}

// outcomes lists a customer's runs as "journey outcome", or "journey live at node", oldest first, replies left out.
func (b *bundle) outcomes(phone string) []string {
	b.t.Helper()
	runs, err := b.Store.View(b.ctx).Runs(b.customer(phone).ID, "", 200)
	require.NoError(b.t, err)
	var out []string
	for _, r := range slices.Backward(runs) {
		switch {
		case r.Journey == punchcard.BuiltinReply:
		case r.Status == punchcard.RunEnded:
			out = append(out, r.Journey+" "+r.Outcome)
		default:
			out = append(out, r.Journey+" "+string(r.Status)+" at "+r.Node+" "+r.Reason)
		}
	}
	return out
}

func (b *bundle) points(phone string) store.PointsNow {
	b.t.Helper()
	p, err := b.Store.View(b.ctx).PointsNow(b.customer(phone).ID)
	require.NoError(b.t, err)
	return p
}

// join brings a customer through the opt-in.
func (b *bundle) join(phone string) {
	b.t.Helper()
	b.event(phone, "registration.received", map[string]any{"source": "web"})
	b.says(phone, "yes")
	require.Equal(b.t, []string{"opt_in_request", "opt_in_welcome"}, b.messages(phone))
}

// declared is what tests declare in their own way: links, rules against misuse, and the keywords that are not in every program.
var declared = regexp.MustCompile(`(?m)^(links|fraud):.*\n(  .*\n)+|^  (cancel|topics): \[.*\n`)

// coffee is the coffee program without that, and without its schedule, which would have time go in steps of a quarter of an hour.
func coffee() fstest.MapFS {
	out := fstest.MapFS{}
	_ = fs.WalkDir(programs.Coffee(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == "journeys/birthday.yaml" {
			return err
		}
		data, err := fs.ReadFile(programs.Coffee(), path)
		if path == "program.yaml" {
			data = declared.ReplaceAll(data, nil)
		}
		out[path] = &fstest.MapFile{Data: data}
		return err
	})
	return out
}

// with is the coffee program with some files in another wording.
func with(files map[string]string) fstest.MapFS {
	out := coffee()
	for path, text := range files {
		out[path] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

// add is a program with one more file.
func add(program fstest.MapFS, path, text string) fstest.MapFS {
	out := maps.Clone(program)
	out[path] = &fstest.MapFile{Data: []byte(text)}
	return out
}
