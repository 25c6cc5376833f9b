package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// permission says who may call a route.
type permission string

const (
	public   permission = "public"
	needsKey permission = "key"
)

// Paths that are named elsewhere too.
const (
	pathHealth  = "/healthz"
	pathReady   = "/readyz"
	pathOpenAPI = "/openapi.json"
	pathDocs    = "/docs"
	pathWebhook = "/webhooks/whatsapp"
)

// The tags, which are the chapters of the documentation.
const (
	tagEvents      = "Events"
	tagCustomers   = "Customers"
	tagConsents    = "Consents"
	tagRuns        = "Runs"
	tagRedemptions = "Redemptions"
	tagRewards     = "Rewards"
	tagApprovals   = "Approvals"
	tagSending     = "Sending"
	tagProgram     = "Program"
	tagHooks       = "Hooks"
	tagWhatsApp    = "WhatsApp"
	tagServer      = "Server"
)

const (
	get  = http.MethodGet
	post = http.MethodPost
	del  = http.MethodDelete
)

// routes is the table of all there is, with who may call it.
func (s *server) routes() []route {
	return []route{
		{post, "/v1/events", needsKey, "sendEvents", tagEvents, "Send one event, or up to 1,000", with(s, s.sendEvents), aboutEvents},
		{get, "/v1/events/parked", needsKey, "listParkedEvents", tagEvents, "List events that could not be routed", with(s, s.parkedEvents), options{}},
		{post, "/v1/events/{id}/retry", needsKey, "retryEvent", tagEvents, "Route a parked event again", with(s, s.retryEvent), options{status: http.StatusAccepted}},

		{get, "/v1/customers", needsKey, "listCustomers", tagCustomers, "List customers", with(s, s.customers), options{}},
		{get, "/v1/customers/{ref}", needsKey, "getCustomer", tagCustomers, "Look at a customer", with(s, s.customer), options{}},
		{get, "/v1/customers/{ref}/runs", needsKey, "listRuns", tagCustomers, "List a customer's runs, newest first", with(s, s.customerRuns), options{}},
		{get, "/v1/customers/{ref}/messages", needsKey, "listMessages", tagCustomers, "List a customer's messages, newest first", with(s, s.customerMessages), options{}},
		{get, "/v1/customers/{ref}/explain", needsKey, "explainCustomer", tagCustomers, "Why a customer's messages went, waited or were not sent, oldest first", with(s, s.explain), options{about: aboutExplain}},
		{get, "/v1/customers/{ref}/consents", needsKey, "listConsents", tagConsents, "List a customer's consent log with its evidence, oldest first", with(s, s.customerConsents), aboutConsents},
		{post, "/v1/customers/{ref}/consents/revoke", needsKey, "revokeConsents", tagConsents, "Revoke consent in a customer's name", with(s, s.revokeConsents), aboutRevoke},
		{post, "/v1/consents/import", needsKey, "importConsents", tagConsents, "Take over consents that were given elsewhere", with(s, s.importConsents), aboutImport},
		{get, "/v1/consents/export", needsKey, "exportConsents", tagConsents, "Everyone's consent log", with(s, s.exportConsents), aboutExport},
		{get, "/v1/links", needsKey, "listLinks", tagConsents, "List the program's links, each a way in", with(s, s.links), options{}},
		{get, "/v1/links/{link}/qr", needsKey, "getLinkQR", tagConsents, "A link's QR code", with(s, s.linkQR), aboutQR},
		{get, "/v1/customers/{ref}/points", needsKey, "listPoints", tagCustomers, "Look at a customer's points and their ledger, oldest first", with(s, s.customerPoints), options{}},
		{get, "/v1/customers/{ref}/points/statement", needsKey, "pointsStatement", tagCustomers, "What happened to a customer's points, in plain words, oldest first", with(s, s.pointsStatement), options{}},
		{post, "/v1/customers/{ref}/points/adjust", needsKey, "adjustPoints", tagCustomers, "Give a customer points, or take them", with(s, s.adjustPoints), aboutAdjust},
		{get, "/v1/customers/{ref}/grants", needsKey, "listGrants", tagCustomers, "List a customer's rewards, newest first", with(s, s.customerGrants), options{}},

		{post, "/v1/customers/{ref}/grants", needsKey, "giveReward", tagRewards, "Give a reward by hand", with(s, s.giveReward), aboutGive},
		{get, "/v1/customers/{ref}/referral", needsKey, "getReferral", tagCustomers, "Look at a customer's code, who brought them, and whom they brought", with(s, s.customerReferral), options{about: aboutOwnReferral}},
		{post, "/v1/customers/{ref}/referral", needsKey, "refer", tagCustomers, "Say whose code a customer came with", with(s, s.refer), aboutRefer},
		{get, "/v1/referrals", needsKey, "listReferrals", tagCustomers, "List referrals, newest first", with(s, s.referrals), options{about: aboutReferrals}},
		{post, "/v1/customers/{ref}/merge", needsKey, "mergeCustomer", tagCustomers, "Merge a customer into another who is the same person", with(s, s.merge), aboutMerge},

		{post, "/v1/journeys/{journey}/runs", needsKey, "startRun", tagRuns, "Start a run", with(s, s.startRun), aboutStart},
		{post, "/v1/journeys/{journey}/pause", needsKey, "pauseJourney", tagRuns, "Hold a journey's runs", with(s, s.pause), aboutPause},
		{post, "/v1/journeys/{journey}/resume", needsKey, "resumeJourney", tagRuns, "Let a paused journey's runs go on", with(s, s.resume), options{}},
		{get, "/v1/runs", needsKey, "searchRuns", tagRuns, "List runs of all customers, newest first", with(s, s.allRuns), options{}},
		{post, "/v1/runs/retry", needsKey, "retryRuns", tagRuns, "Let stuck runs try again", with(s, s.retryRuns), aboutRetryAll},
		{get, "/v1/runs/{id}", needsKey, "getRun", tagRuns, "Look at a run and its story", with(s, s.run), options{}},
		{post, "/v1/runs/{id}/retry", needsKey, "retryRun", tagRuns, "Let a stuck run try again", with(s, s.retryRun), options{status: http.StatusAccepted}},

		{post, "/v1/redemptions", needsKey, "requestRedemption", tagRedemptions, "Ask for a reward with points", with(s, s.requestRedemption), aboutRedemption},
		{get, "/v1/redemptions/{id}", needsKey, "getRedemption", tagRedemptions, "Look at a redemption", with(s, s.redemption), options{}},
		{get, "/v1/redemptions", needsKey, "listRedemptions", tagRedemptions, "List redemptions, newest first", with(s, s.redemptions), options{}},
		{post, "/v1/redemptions/{id}/cancel", needsKey, "cancelRedemption", tagRedemptions, "Give a redemption up", with(s, s.cancelRedemption), aboutCancel},
		{post, "/v1/redemptions/capture", needsKey, "captureCode", tagRedemptions, "Use a code at the till", with(s, s.capture), aboutCapture},
		{get, "/v1/rewards", needsKey, "listRewards", tagRewards, "List the catalog, and how much of it is given", with(s, s.rewards), options{}},
		{get, "/v1/rewards/{reward}", needsKey, "getReward", tagRewards, "Look at a reward", with(s, s.reward), options{}},
		{get, "/v1/grants/{id}", needsKey, "getGrant", tagRewards, "Look at a grant", with(s, s.grant), options{}},
		{post, "/v1/grants/{id}/reveal", needsKey, "revealCode", tagRewards, "Read a grant's whole code", with(s, s.reveal), aboutReveal},
		{get, "/c/{token}", public, "openContent", tagRewards, "A customer's own link to content", with(s, s.content), aboutContent},
		{post, "/v1/rewards/{reward}/codes", needsKey, "addCodes", tagRewards, "Add codes to a reward's pool", with(s, s.addCodes), aboutCodes},
		{post, "/v1/rewards/{reward}/codes/uploads", needsKey, "uploadCodes", tagRewards, "Add a file of codes to a reward's pool", with(s, s.uploadCodes), aboutUpload},
		{get, "/v1/rewards/{reward}/codes/uploads/{upload}", needsKey, "getCodeUpload", tagRewards, "Look at how far an upload is", with(s, s.codeUpload), options{}},
		{post, "/v1/redemptions/lookup", needsKey, "lookUpCode", tagRedemptions, "Look at a code at the till", with(s, s.lookup), aboutLookup},
		{post, "/v1/redemptions/usable", needsKey, "listUsableRewards", tagRedemptions, "Look at what a customer at the till can use", with(s, s.usable), aboutUsable},
		{post, "/v1/captures/{id}/reverse", needsKey, "reverseCapture", tagRedemptions, "Take a use back", with(s, s.reverseCapture), aboutReverse},
		{get, "/v1/refusals", needsKey, "listRefusals", tagRedemptions, "List what rules have refused, newest first", with(s, s.refusals), aboutRefusals},

		{get, "/v1/approvals", needsKey, "listApprovals", tagApprovals, "List questions to a person, oldest first", with(s, s.approvals), options{}},
		{post, "/v1/approvals/{id}", needsKey, "decideApproval", tagApprovals, "Decide one", with(s, s.decide), aboutDecision},
		{get, "/v1/handoffs", needsKey, "listHandoffs", tagApprovals, "List conversations that a person has taken over, oldest first", with(s, s.handoffs), options{}},
		{post, "/v1/handoffs/{id}/close", needsKey, "closeHandoff", tagApprovals, "Give one back to automation", with(s, s.closeHandoff), aboutClose},

		{get, "/v1/hygiene", needsKey, "listHygiene", tagSending, "List what the list's hygiene came to, day by day, newest first", with(s, s.hygiene), options{about: aboutHygiene}},
		{get, "/v1/account", needsKey, "getAccount", tagSending, "Look at what WhatsApp says of the account", with(s, s.account), options{about: aboutAccount}},
		{post, "/v1/account/circuit/close", needsKey, "closeCircuit", tagSending, "Let held sends go on", with(s, s.closeCircuit), options{idempotent: true, about: aboutCircuit, example: `{"scope": "all", "by": "maria@beanandbloom.example"}`}},
		{get, "/v1/messages", needsKey, "listUnsettledMessages", tagSending, "List messages of which nobody knows what became, newest first", with(s, s.unsettledMessages), options{}},
		{get, "/v1/alerts", needsKey, "listAlerts", tagSending, "List what a person is to look at, newest first", with(s, s.alerts), options{about: aboutAlerts}},
		{post, "/v1/alerts/{id}/close", needsKey, "closeAlert", tagSending, "Close an alert", with(s, s.closeAlert), options{idempotent: true, about: aboutCloseAlert, example: `{"by": "maria@beanandbloom.example"}`}},

		{get, "/v1/program", needsKey, "getProgram", tagProgram, "Look at the program that runs now", with(s, s.program), options{}},
		{get, "/v1/templates", needsKey, "listTemplates", tagProgram, "List its templates, and how they stand with WhatsApp", with(s, s.templates), options{about: aboutTemplates}},
		{post, "/v1/templates/push", needsKey, "pushTemplates", tagProgram, "Submit what WhatsApp does not have yet", with(s, s.pushTemplates), options{about: aboutPush}},

		{get, "/u/{token}", public, "unsubscribe", tagConsents, "The page to unsubscribe", with(s, s.unsubscribe), aboutUnsubscribe},
		{post, "/u/{token}", public, "unsubscribed", tagConsents, "Unsubscribe", with(s, s.unsubscribed), aboutUnsubscribed},

		{get, "/v1/hooks", needsKey, "listHooks", tagHooks, "List who is told of what happens", with(s, s.listHooks), options{about: aboutHooks}},
		{post, "/v1/hooks", needsKey, "addHook", tagHooks, "Have another system told", with(s, s.addHook), aboutAddHook},
		{del, "/v1/hooks/{id}", needsKey, "removeHook", tagHooks, "Have it told no more", with(s, s.removeHook), options{status: http.StatusNoContent, about: aboutRemoveHook}},
		{get, "/v1/hooks/{id}/deliveries", needsKey, "listHookDeliveries", tagHooks, "List what it was told, newest first", with(s, s.hookDeliveries), options{}},
		{post, "/v1/hooks/{id}/rotate", needsKey, "rotateHook", tagHooks, "Give it a new secret", with(s, s.rotateHook), options{about: aboutRotate}},
		{post, "/v1/hooks/{id}/enable", needsKey, "enableHook", tagHooks, "Have it told again after it was disabled", with(s, s.enableHook), options{about: aboutEnable}},
		{post, "/v1/hooks/{id}/test", needsKey, "testHook", tagHooks, "Send it a test", with(s, s.testHook), options{status: http.StatusAccepted, about: aboutTestHook}},
		{post, "/v1/hooks/{id}/replay", needsKey, "replayHook", tagHooks, "Tell it again", with(s, s.replayHook), aboutReplay},

		{get, pathWebhook, public, "verifyWebhook", tagWhatsApp, "WhatsApp's handshake", with(s, s.handshake), aboutHandshake},
		{post, pathWebhook, public, "receiveWebhook", tagWhatsApp, "Receive what WhatsApp has to say", with(s, s.webhook), aboutWebhook},
		{get, "/v1/webhooks/parked", needsKey, "listParkedWebhooks", tagWhatsApp, "List webhooks that could not be taken over whole, oldest first", with(s, s.parkedWebhooks), options{}},
		{post, "/v1/webhooks/{id}/retry", needsKey, "retryWebhook", tagWhatsApp, "Take a parked webhook over again", with(s, s.retryWebhook), options{status: http.StatusAccepted}},
		{get, "/v1/webhooks/unknown", needsKey, "listUnknownWebhooks", tagWhatsApp, "List kinds of webhook that this version has no use for", with(s, s.unknownWebhooks), options{}},

		{get, pathHealth, public, "health", tagServer, "Whether the process is alive", with(s, s.health), options{}},
		{get, pathReady, public, "ready", tagServer, "Whether every part that is needed is up", with(s, s.ready), options{}},
		{get, pathOpenAPI, public, "openapi", tagServer, "This API as an OpenAPI 3.1 document", with(s, s.openAPI), options{media: []string{"application/json"}}},
		{get, pathDocs, public, "docs", tagServer, "This API for people", with(s, s.docs), options{media: []string{htmlType}}},
		{get, "/", public, "start", tagServer, "Where to go from here", with(s, s.start), options{media: []string{htmlType}}},
	}
}

// route is one line of the table.
type route struct {
	method, path string
	permission   permission
	id           string // of the operation, for generated clients
	tag, summary string
	register     func(huma.API, huma.Operation)
	options
}

// options are what few routes have.
type options struct {
	status     int   // of success; 0: 200
	maxBody    int64 // in bytes; 0: defaultBody
	idempotent bool  // it honours Idempotency-Key
	about      string
	example    string                             // of the body, as JSON
	media      []string                           // of an answer that is no JSON of ours, in any of these forms
	also       map[int]string                     // other statuses with which it answers in that form
	answers    reflect.Type                       // of an answer that is written by hand
	consumes   []string                           // the media types of a body that is read as it comes
	long       bool                               // it may take minutes, and its body may be as long as it will
	body       func(r huma.Registry) *huma.Schema // of a body that the handler reads by itself
}

const (
	defaultBody = 256 << 10
	// bodyTimeout bounds how long a body may take to come.
	bodyTimeout = 20 * time.Second
)

func (r route) bodyLimit() int64 {
	if r.maxBody > 0 {
		return r.maxBody
	}
	return defaultBody
}

// ginPath is the path as gin writes patterns.
func (r route) ginPath() string {
	return strings.ReplaceAll(strings.ReplaceAll(r.path, "{", ":"), "}", "")
}

// with binds a line to its handler. An error that the handler answers becomes a problem.
func with[I, O any](s *server, handle func(context.Context, *I) (*O, error)) func(huma.API, huma.Operation) {
	return func(a huma.API, op huma.Operation) {
		huma.Register(a, op, func(ctx context.Context, in *I) (*O, error) {
			out, err := handle(ctx, in)
			if err != nil {
				return nil, s.problem(ctx, err)
			}
			return out, nil
		})
	}
}

// operation is a line of the table as huma and the OpenAPI document have it.
func (s *server) operation(r route, registry huma.Registry) huma.Operation {
	op := huma.Operation{
		Method: r.method, Path: r.path, OperationID: r.id, Tags: []string{r.tag}, Summary: r.summary, Description: r.about,
		DefaultStatus: r.status, MaxBodyBytes: r.bodyLimit() + 1, BodyReadTimeout: bodyTimeout,
		RejectUnknownQueryParameters: strings.HasPrefix(r.path, "/v1/"),
		Security:                     []map[string][]string{},
		Responses:                    map[string]*huma.Response{"default": problemResponse(registry)},
	}
	if r.permission != public {
		op.Security = []map[string][]string{{"bearer": {}}, {"apiKey": {}}}
	}
	if len(r.media) > 0 {
		op.Responses[strconv.Itoa(cmp.Or(r.status, http.StatusOK))] = &huma.Response{Content: texts(r.media)}
	}
	for status, description := range r.also {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Description: description, Content: texts(r.media)}
	}
	if r.answers != nil {
		op.Responses["200"] = &huma.Response{Content: map[string]*huma.MediaType{"application/json": {Schema: huma.SchemaFromType(registry, r.answers)}}}
	}
	if len(r.consumes) > 0 {
		op.RequestBody = &huma.RequestBody{Required: true, Content: texts(r.consumes)}
	}
	if r.body != nil {
		op.SkipValidateBody = true
	}
	if r.idempotent {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: headerIdempotency, In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: "The same key with the same body gets the same answer again; with another body it is refused.",
		})
	}
	return op
}

// texts is a body in any of some forms that are no JSON of ours.
func texts(media []string) map[string]*huma.MediaType {
	content := map[string]*huma.MediaType{}
	for _, m := range media {
		content[m] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	return content
}

// document adds to an operation's body what its types do not say.
func (r route) document(a huma.API) {
	op := operationAt(a.OpenAPI(), r.method, r.path)
	if op == nil || op.RequestBody == nil {
		return
	}
	if r.body != nil {
		op.RequestBody.Content = map[string]*huma.MediaType{"application/json": {Schema: r.body(a.OpenAPI().Components.Schemas)}}
	}
	if r.example != "" {
		op.RequestBody.Content["application/json"].Example = json.RawMessage(r.example)
	}
}

// openAnswers lets answers have members that the document does not know yet: we may add some. Bodies may not.
func openAnswers(doc *huma.OpenAPI) {
	schemas := doc.Components.Schemas
	strict := map[*huma.Schema]bool{}
	var walk func(s *huma.Schema)
	walk = func(s *huma.Schema) {
		if s == nil {
			return
		}
		if s.Ref != "" {
			s = schemas.SchemaFromRef(s.Ref)
		}
		if strict[s] {
			return
		}
		strict[s] = true
		walk(s.Items)
		for _, p := range s.Properties {
			walk(p)
		}
		for _, p := range s.OneOf {
			walk(p)
		}
	}
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Delete} {
			if op == nil || op.RequestBody == nil {
				continue
			}
			for _, media := range op.RequestBody.Content {
				walk(media.Schema)
			}
		}
	}
	for _, s := range schemas.Map() {
		if !strict[s] && s.AdditionalProperties == false {
			s.AdditionalProperties = nil
		}
	}
}

func operationAt(doc *huma.OpenAPI, method, path string) *huma.Operation {
	item := doc.Paths[path]
	switch {
	case item == nil:
		return nil
	case method == post:
		return item.Post
	case method == del:
		return item.Delete
	default:
		return item.Get
	}
}

func problemResponse(registry huma.Registry) *huma.Response {
	schema := huma.SchemaFromType(registry, typeOf[Problem]())
	return &huma.Response{Description: "A problem", Content: map[string]*huma.MediaType{problemType: {Schema: schema}}}
}

// humaConfig is huma without the pages of its own, which load from other servers.
func (s *server) humaConfig() huma.Config {
	config := huma.DefaultConfig("Punchcard", s.Version)
	config.OpenAPIPath, config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", "", nil
	config.Info.Description = "Rewards on WhatsApp: send events, look at customers and runs, capture rewards."
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer"},
		"apiKey": {Type: "apiKey", In: "header", Name: "X-API-Key"},
	}
	config.Tags = []*huma.Tag{
		{Name: tagEvents}, {Name: tagCustomers}, {Name: tagConsents}, {Name: tagRuns}, {Name: tagRedemptions}, {Name: tagRewards}, {Name: tagApprovals}, {Name: tagSending}, {Name: tagProgram},
		{Name: tagHooks, Description: aboutHooks}, {Name: tagWhatsApp}, {Name: tagServer},
	}
	format := huma.DefaultJSONFormat
	format.Unmarshal = unmarshal
	config.Formats = map[string]huma.Format{"application/json": format, "json": format} // the latter for +json
	config.Transformers = []huma.Transformer{s.ownProblems}
	return config
}

var errNotUTF8 = errors.New("the body is not UTF-8 text")

// unmarshal reads JSON. Go's own would put a replacement character where the text is not UTF-8.
func unmarshal(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errNotUTF8
	}
	return json.Unmarshal(data, v)
}
