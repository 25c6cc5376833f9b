package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"punchcard"
	"punchcard/internal/dispatch"
)

// What one request may bring.
const (
	maxEvents     = 1000
	maxEventsBody = 5 << 20
)

var aboutEvents = options{
	status: http.StatusAccepted, maxBody: maxEventsBody, body: eventsSchema,
	about: "Answers once the events are committed. Each is judged by itself: those that are refused are listed with the reason, and the " +
		"others are taken. An event whose id came before is a duplicate and no error, so it is safe to send all again. An event that is sent " +
		"alone and refused is answered with a problem.",
	example: `{"id": "order-1001", "name": "order.placed",
 "customer": {"external_id": "c-17", "phone": "+4520123456", "name": "Ida", "language": "da"},
 "properties": {"order_id": "1001", "total": 12.5}}`,
}

// eventBody documents an event; it is read by decodeEvent.
type eventBody struct {
	ID         string         `json:"id" maxLength:"200" doc:"Yours. The same id again is the same event"`
	Name       string         `json:"name" doc:"One of the program's events"`
	Customer   customerBody   `json:"customer"`
	OccurredAt time.Time      `json:"occurred_at" required:"false" doc:"When it happened; now when absent"`
	Properties map[string]any `json:"properties,omitempty" doc:"As the program declares them"`
}

type customerBody struct {
	ID         string         `json:"id,omitempty" doc:"Ours: cus_…"`
	ExternalID string         `json:"external_id,omitempty" maxLength:"200" doc:"Yours"`
	Phone      string         `json:"phone,omitempty" doc:"In international form: +4520123456"`
	Name       string         `json:"name,omitempty" maxLength:"200"`
	Language   string         `json:"language,omitempty" doc:"BCP 47: da"`
	Timezone   string         `json:"timezone,omitempty" doc:"IANA: Europe/Copenhagen"`
	Attributes map[string]any `json:"attributes,omitempty" doc:"As the program declares them"`
}

type eventsBody struct {
	Events []eventBody `json:"events" maxItems:"1000" nullable:"false"`
}

func eventsSchema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		huma.SchemaFromType(r, typeOf[eventBody]()), huma.SchemaFromType(r, typeOf[eventsBody]()),
	}}
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

type rawInput struct{ RawBody []byte }

type receiptBody struct {
	Accepted   int             `json:"accepted" doc:"How many are committed and will be routed"`
	Duplicates int             `json:"duplicates" doc:"How many came before"`
	Rejected   []rejectionBody `json:"rejected" nullable:"false" doc:"Those that were refused, by index"`
}

type rejectionBody struct {
	Index  int            `json:"index" doc:"The place in events, from 0"`
	Error  string         `json:"error" doc:"What is wrong, for a person"`
	Code   punchcard.Code `json:"code"`
	Reason string         `json:"reason,omitempty"`
	Field  string         `json:"field,omitempty" doc:"The part of the event that is meant, as a path"`
}

func (s *server) sendEvents(ctx context.Context, in *rawInput) (*output[receiptBody], error) {
	raw, alone, err := splitEvents(in.RawBody)
	if err != nil {
		return nil, err
	}
	incoming := make([]dispatch.Incoming, 0, len(raw))
	index := make([]int, 0, len(raw)) // of incoming, in the request
	var rejected []dispatch.Rejection
	for i, r := range raw {
		e, err := decodeEvent(r)
		if err != nil {
			rejected = append(rejected, dispatch.Rejection{Index: i, Err: err})
			continue
		}
		incoming, index = append(incoming, e), append(index, i)
	}
	var receipt dispatch.Receipt
	if len(incoming) > 0 {
		if receipt, err = s.Dispatch.Ingest(ctx, incoming); err != nil {
			return nil, err
		}
	}
	for _, r := range receipt.Rejected {
		rejected = append(rejected, dispatch.Rejection{Index: index[r.Index], Err: r.Err})
	}
	slices.SortFunc(rejected, func(a, b dispatch.Rejection) int { return a.Index - b.Index })
	if alone && len(rejected) > 0 {
		p := newProblem(rejected[0].Err)
		p.Status, p.Title = http.StatusUnprocessableEntity, http.StatusText(http.StatusUnprocessableEntity)
		return nil, p
	}
	body := receiptBody{Accepted: receipt.Accepted, Duplicates: receipt.Duplicates, Rejected: make([]rejectionBody, len(rejected))}
	for i, r := range rejected {
		body.Rejected[i] = rejectionBody{Index: r.Index, Error: sentence(r.Err), Code: r.Err.Code, Reason: r.Err.Reason, Field: r.Err.Field}
	}
	return answer(body), nil
}

// splitEvents takes a body apart: into one event that is sent alone, or those of a batch.
func splitEvents(body []byte) (events []json.RawMessage, alone bool, err error) {
	if !utf8.Valid(body) {
		return nil, false, malformed("%s", errNotUTF8)
	}
	if err := json.Unmarshal(body, &noValue{}); err != nil {
		return nil, false, malformed("%s%s", notJSON, err)
	}
	if k := kind(body); k != "an object" {
		return nil, false, punchcard.Errorf(punchcard.CodeInvalid, `an event, or {"events": […]}, is expected, not %s`, k)
	}
	top, problem := membersOf(body, "")
	if problem != nil {
		return nil, false, problem
	}
	if _, batch := top.raw["events"]; !batch {
		return []json.RawMessage{body}, true, nil
	}
	if problem := top.only("events"); problem != nil {
		return nil, false, problem
	}
	if k := kind(top.raw["events"]); k != "a list" {
		return nil, false, punchcard.Errorf(punchcard.CodeInvalid, "a list is expected, not %s", k).In("events")
	}
	if err := json.Unmarshal(top.raw["events"], &events); err != nil {
		return nil, false, malformed("%s%s", notJSON, err)
	}
	if len(events) > maxEvents {
		return nil, false, punchcard.Errorf(punchcard.CodeTooLarge, "at most %d events may come at once, and these are %d", maxEvents, len(events)).In("events")
	}
	return events, false, nil
}

// noValue reads any JSON and keeps nothing of it.
type noValue struct{}

// UnmarshalJSON takes what is JSON.
func (*noValue) UnmarshalJSON([]byte) error { return nil }

// decodeEvent reads one event.
func decodeEvent(raw json.RawMessage) (dispatch.Incoming, *punchcard.Error) {
	var e dispatch.Incoming
	m, err := membersOf(raw, "")
	if err != nil {
		return e, err
	}
	if err := m.only("id", "name", "customer", "occurred_at", "properties"); err != nil {
		return e, err
	}
	e.ID, e.Name = m.text("id"), m.text("name")
	if at := m.text("occurred_at"); at != "" {
		t, err := time.Parse(time.RFC3339Nano, at)
		if err != nil || t.IsZero() {
			m.fail("occurred_at", "a time is expected: 2026-03-02T09:30:00Z")
		}
		e.OccurredAt = t
	}
	e.Properties = m.object("properties")
	if m.err != nil {
		return e, m.err
	}
	if !m.has("customer") {
		return e, nil // dispatch says that it is missing
	}
	c, err := membersOf(m.raw["customer"], "customer")
	if err != nil {
		return e, err
	}
	if err := c.only("id", "external_id", "phone", "name", "language", "timezone", "attributes"); err != nil {
		return e, err
	}
	e.Customer = c.reference()
	e.Profile = punchcard.Profile{
		Name: c.text("name"), Language: c.text("language"), Timezone: c.text("timezone"), Attributes: c.object("attributes"),
	}
	return e, c.err
}

// members are an object's, read one by one. The first that is wrong stays in err.
type members struct {
	path string // of the object
	raw  map[string]json.RawMessage
	err  *punchcard.Error
}

func membersOf(raw json.RawMessage, path string) (*members, *punchcard.Error) {
	m := &members{path: path}
	if k := kind(raw); k != "an object" {
		return nil, punchcard.Errorf(punchcard.CodeInvalid, "an object is expected, not %s", k).In(path)
	}
	if err := json.Unmarshal(raw, &m.raw); err != nil {
		return nil, punchcard.Errorf(punchcard.CodeInvalid, "the object cannot be read").In(path)
	}
	return m, nil
}

func (m *members) at(name string) string {
	if m.path == "" {
		return name
	}
	return m.path + "." + name
}

func (m *members) fail(name, message string) {
	if m.err == nil {
		m.err = punchcard.Errorf(punchcard.CodeInvalid, "%s", message).In(m.at(name))
	}
}

// has tells whether a member is there; one that is null is not.
func (m *members) has(name string) bool {
	raw, ok := m.raw[name]
	return ok && kind(raw) != "null"
}

// plainName is what a member's name must look like to be shown: it comes from outside.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)

// only refuses members that are not among names.
func (m *members) only(names ...string) *punchcard.Error {
	for _, name := range slices.Sorted(maps.Keys(m.raw)) {
		if slices.Contains(names, name) {
			continue
		}
		shown := name
		if !plainName.MatchString(name) {
			shown = "?"
		}
		return punchcard.Errorf(punchcard.CodeInvalid, "there is no such member; there are %s", strings.Join(names, ", ")).In(m.at(shown))
	}
	return nil
}

func (m *members) text(name string) string {
	if !m.has(name) {
		return ""
	}
	if k := kind(m.raw[name]); k != "a string" {
		m.fail(name, "a string is expected, not "+k)
		return ""
	}
	var s string
	if err := json.Unmarshal(m.raw[name], &s); err != nil {
		m.fail(name, "the string cannot be read")
	}
	return s
}

// object reads a member that is free in form, with its numbers as they were written.
func (m *members) object(name string) map[string]any {
	if !m.has(name) {
		return nil
	}
	if k := kind(m.raw[name]); k != "an object" {
		m.fail(name, "an object is expected, not "+k)
		return nil
	}
	var values map[string]any
	d := json.NewDecoder(bytes.NewReader(m.raw[name]))
	d.UseNumber()
	if err := d.Decode(&values); err != nil {
		m.fail(name, "the object cannot be read")
	}
	return values
}

// reference reads how a customer is named.
func (m *members) reference() dispatch.Reference {
	return dispatch.Reference{ID: m.text("id"), ExternalID: m.text("external_id"), Phone: m.text("phone")}
}

// kind is what a JSON text is, for a person.
func kind(raw []byte) string {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a bool"
	case 'n':
		return "null"
	default:
		return "a number"
	}
}

type parkedEvent struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	CustomerID string    `json:"customer_id"`
	OccurredAt time.Time `json:"occurred_at"`
	ReceivedAt time.Time `json:"received_at"`
	Attempts   int       `json:"attempts"`
	Error      string    `json:"error" doc:"Why it could not be routed"`
}

func (s *server) parkedEvents(ctx context.Context, in *struct{ Paging }) (*output[list[parkedEvent]], error) {
	after, err := in.afterNumber()
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.View(ctx).ParkedEvents(after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return answer(paged(rows, in.Limit, func(e punchcard.Event) string { return strconv.FormatInt(e.Seq, 10) }, func(e punchcard.Event) parkedEvent {
		return parkedEvent{e.ID, e.Name, e.CustomerID, e.OccurredAt, e.ReceivedAt, e.Attempts, e.Error}
	})), nil
}

type eventStatus struct {
	ID     string                `json:"id"`
	Status punchcard.EventStatus `json:"status" enum:"pending"`
}

func (s *server) retryEvent(ctx context.Context, in *struct {
	ID string `path:"id" maxLength:"200" doc:"The event's, as it was sent"`
}) (*output[eventStatus], error) {
	if err := s.Dispatch.Unpark(ctx, in.ID); err != nil {
		return nil, fmt.Errorf("unpark: %w", err)
	}
	return answer(eventStatus{ID: in.ID, Status: punchcard.EventPending}), nil
}
