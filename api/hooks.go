package api

import (
	"context"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
)

const aboutHooks = "Other systems that are told of what happens, by requests signed by the Standard Webhooks scheme. What they get stands under webhooks in this document."

var aboutAddHook = options{
	status: http.StatusCreated, idempotent: true,
	about:   "The secret is answered here and when it is rotated, and never again. What happens a second after this is told; what happened before can be replayed.",
	example: `{"url": "https:\/\/shop.example\/punchcard", "types": ["points.changed", "reward.granted"], "note": "the shop's backend"}`,
}

var aboutReplay = options{
	status:  http.StatusAccepted,
	about:   "Say one of event, dead and since. Each event keeps its id, so that who has seen it can tell.",
	example: `{"dead": true}`,
}

const (
	aboutRotate     = "The secret until now goes on signing beside the new one for a day: webhook-signature has both."
	aboutTestHook   = "Sends hook.test, which happened to nobody. Its delivery is the newest of the list a moment later."
	aboutRemoveHook = "It is told nothing any more, and what was still on its way to it is dropped."
	aboutEnable     = "After 410, or after five days of failures, a hook is disabled. What happened since can be replayed."
)

type hookItem struct {
	ID           string               `json:"id"`
	URL          string               `json:"url"`
	Types        []punchcard.HookType `json:"types" nullable:"false" doc:"What it wants to hear of; none: everything"`
	Note         string               `json:"note"`
	CreatedAt    time.Time            `json:"created_at"`
	FailingSince *time.Time           `json:"failing_since" doc:"When the failures began that go on"`
	DisabledAt   *time.Time           `json:"disabled_at"`
	Disabled     string               `json:"disabled" doc:"Why it is: gone or failing"`
	FormerUntil  *time.Time           `json:"former_until" doc:"Until when the secret signs as well that was rotated out last"`
	Pending      int64                `json:"pending" doc:"Deliveries that are on their way"`
	Delivered    int64                `json:"delivered" doc:"Deliveries of the last 30 days"`
	Dead         int64                `json:"dead" doc:"Deliveries that were given up"`
}

func hookOf(h punchcard.Hook, counts map[punchcard.HookStatus]int64) hookItem {
	return hookItem{
		h.ID, h.URL, h.Types, h.Note, h.CreatedAt, h.FailingSince, h.DisabledAt, h.Disabled, h.FormerUntil,
		counts[punchcard.HookPending], counts[punchcard.HookDelivered], counts[punchcard.HookDead],
	}
}

// hookWithSecret is the one answer that has a secret.
type hookWithSecret struct {
	hookItem

	Secret string `json:"secret" doc:"Keep it: it is not answered again"`
}

func (s *server) listHooks(ctx context.Context, _ *struct{}) (*output[list[hookItem]], error) {
	view := s.Store.View(ctx)
	hooks, err := view.Hooks()
	if err != nil {
		return nil, err
	}
	counts, err := view.CountHookDeliveries()
	if err != nil {
		return nil, err
	}
	return answer(paged(hooks, store.MaxHooks, func(h punchcard.Hook) string { return h.ID }, func(h punchcard.Hook) hookItem { return hookOf(h, counts[h.ID]) })), nil
}

type addHookInput struct {
	Body struct {
		URL   string               `json:"url" minLength:"1" maxLength:"2000" doc:"https, at an address that anybody may reach"`
		Types []punchcard.HookType `json:"types,omitempty" maxItems:"100" doc:"What it wants to hear of; none: everything"`
		Note  string               `json:"note,omitempty" maxLength:"200" doc:"Whose it is"`
	}
}

func (s *server) addHook(ctx context.Context, in *addHookInput) (*output[hookWithSecret], error) {
	h, err := s.Dispatch.AddHook(ctx, in.Body.URL, in.Body.Types, in.Body.Note)
	if err != nil {
		return nil, err
	}
	return answer(hookWithSecret{hookOf(*h, nil), h.Secret}), nil
}

type hookInput struct {
	ID string `path:"id" maxLength:"100" doc:"Ours: hok_…"`
}

func (s *server) removeHook(ctx context.Context, in *hookInput) (*struct{}, error) {
	return nil, s.Dispatch.RemoveHook(ctx, in.ID)
}

func (s *server) rotateHook(ctx context.Context, in *hookInput) (*output[hookWithSecret], error) {
	h, err := s.Dispatch.RotateHook(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return answer(hookWithSecret{hookOf(*h, nil), h.Secret}), nil
}

func (s *server) enableHook(ctx context.Context, in *hookInput) (*output[hookItem], error) {
	h, err := s.Dispatch.EnableHook(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return answer(hookOf(*h, nil)), nil
}

type testedHook struct {
	Status punchcard.HookStatus `json:"status" enum:"pending"`
}

func (s *server) testHook(ctx context.Context, in *hookInput) (*output[testedHook], error) {
	if _, err := s.Dispatch.TestHook(ctx, in.ID); err != nil {
		return nil, err
	}
	return answer(testedHook{punchcard.HookPending}), nil
}

type replayInput struct {
	ID   string `path:"id" maxLength:"100" doc:"Ours: hok_…"`
	Body struct {
		Event string    `json:"event,omitempty" maxLength:"100" doc:"One event, by its id: hke_…"`
		Dead  bool      `json:"dead,omitempty" doc:"All that was given up"`
		Since time.Time `json:"since,omitzero" doc:"All that happened since, whether or not it was told"`
	}
}

type replayed struct {
	Replayed int64 `json:"replayed" doc:"How many events are on their way again"`
}

func (s *server) replayHook(ctx context.Context, in *replayInput) (*output[replayed], error) {
	n, err := s.Dispatch.ReplayHook(ctx, in.ID, dispatch.Replay{Event: in.Body.Event, Dead: in.Body.Dead, Since: in.Body.Since})
	if err != nil {
		return nil, err
	}
	return answer(replayed{n}), nil
}

type hookDeliveryItem struct {
	Event       string               `json:"event" doc:"Its id: hke_…"`
	Type        punchcard.HookType   `json:"type"`
	CustomerID  string               `json:"customer_id"`
	At          time.Time            `json:"at" doc:"When it happened"`
	Status      punchcard.HookStatus `json:"status" enum:"pending,delivered,dead"`
	Attempts    int                  `json:"attempts"`
	Code        int                  `json:"code" doc:"The status of the last answer; 0: there was none. What it said is not kept"`
	Error       string               `json:"error" doc:"Why the last try failed: status, timeout, unreachable, private, secret"`
	TriedAt     *time.Time           `json:"tried_at"`
	DueAt       *time.Time           `json:"due_at" doc:"When it is tried next"`
	DeliveredAt *time.Time           `json:"delivered_at"`
}

func hookDeliveryOf(d store.ToldHook) hookDeliveryItem {
	item := hookDeliveryItem{
		d.Event.ID, d.Event.Type, d.Event.CustomerID, d.Event.At, d.Status, d.Attempts, d.Code, d.Error, d.TriedAt, nil, d.DeliveredAt,
	}
	if d.Status == punchcard.HookPending {
		item.DueAt = &d.DueAt
	}
	return item
}

type hookDeliveriesInput struct {
	Paging

	ID     string               `path:"id" maxLength:"100" doc:"Ours: hok_…"`
	Status punchcard.HookStatus `query:"status" enum:"pending,delivered,dead" doc:"Of this status only"`
}

func (s *server) hookDeliveries(ctx context.Context, in *hookDeliveriesInput) (*output[list[hookDeliveryItem]], error) {
	before, err := in.afterNumber()
	if err != nil {
		return nil, err
	}
	view := s.Store.View(ctx)
	if _, err := view.Hook(in.ID); err != nil {
		return nil, err
	}
	rows, err := view.HookDeliveries(in.ID, in.Status, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return answer(paged(rows, in.Limit, func(d store.ToldHook) string { return strconv.FormatInt(d.ID, 10) }, hookDeliveryOf)), nil
}

// documentHooks adds to the document what hooks are told.
func documentHooks(doc *huma.OpenAPI) {
	registry := doc.Components.Schemas
	doc.Webhooks = map[string]*huma.PathItem{}
	told := append(punchcard.HookTypes(), punchcard.HookAbout{Type: punchcard.HookTest, When: "a hook is tested", Data: punchcard.TestTold{}})
	for _, t := range told {
		envelope := *huma.SchemaFromType(huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer), typeOf[punchcard.HookMessage]())
		properties := maps.Clone(envelope.Properties)
		properties["type"] = &huma.Schema{Type: huma.TypeString, Enum: []any{string(t.Type)}}
		properties["customer"] = registry.Schema(typeOf[punchcard.HookCustomer](), true, "HookCustomer")
		properties["data"] = registry.Schema(reflect.TypeOf(t.Data), true, "")
		envelope.Properties, envelope.AdditionalProperties = properties, nil
		doc.Webhooks[string(t.Type)] = &huma.PathItem{Post: &huma.Operation{
			OperationID: "hook." + string(t.Type), Tags: []string{tagHooks}, Summary: "Sent when " + t.When, Security: []map[string][]string{},
			Parameters: []*huma.Param{
				{Name: "webhook-id", In: "header", Required: true, Schema: &huma.Schema{Type: huma.TypeString}, Description: "The event's id: the same at each try"},
				{Name: "webhook-timestamp", In: "header", Required: true, Schema: &huma.Schema{Type: huma.TypeString}, Description: "Now, in seconds: refuse what is minutes old"},
				{
					Name: "webhook-signature", In: "header", Required: true, Schema: &huma.Schema{Type: huma.TypeString},
					Description: "v1, and the base64 HMAC-SHA256 of webhook-id.webhook-timestamp.body; two, with a space between, while the secret is changed",
				},
			},
			RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: &envelope}}},
			Responses:   map[string]*huma.Response{"2XX": {Description: "It is known. Any other answer is tried again; 410 disables the hook"}},
		}}
	}
}
