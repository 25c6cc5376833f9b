package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Dispatch is what the API asks of the dispatcher; *dispatch.Dispatcher is one. Each method promises what it says there.
type Dispatch interface {
	Ingest(ctx context.Context, incoming []dispatch.Incoming) (dispatch.Receipt, error)
	Receive(ctx context.Context, body []byte) error
	Resolve(ctx context.Context, ref dispatch.Reference) (*punchcard.Customer, error)
	StartRun(ctx context.Context, journey, customer string, properties map[string]any, request string) (*punchcard.Run, error)
	Retry(ctx context.Context, run string) error
	RetryAll(ctx context.Context, reason string) (int, error)
	Unpark(ctx context.Context, event string) error
	UnparkWebhook(ctx context.Context, id int64) error
	Merge(ctx context.Context, from, into string) (*punchcard.Customer, error)
	Pause(ctx context.Context, journey, reason string) error
	Resume(ctx context.Context, journey string) (int, error)
	RequestRedemption(ctx context.Context, customer, reward, request string) (*punchcard.Redemption, error)
	GiveReward(ctx context.Context, given dispatch.Given) (*punchcard.Grant, error)
	RevealCode(ctx context.Context, grant, by, reason string) (string, error)
	OpenContent(ctx context.Context, token string) (string, error)
	CancelRedemption(ctx context.Context, id string) (*punchcard.Redemption, error)
	Capture(ctx context.Context, u dispatch.Use) (*dispatch.Captured, error)
	ReverseCapture(ctx context.Context, id, by, reason, request string) (*dispatch.Captured, error)
	LookUp(ctx context.Context, t dispatch.Till, code string) (*dispatch.Found, error)
	Usable(ctx context.Context, customer, device string) ([]dispatch.Found, error)
	Revoke(ctx context.Context, in dispatch.Revocation) (standings map[string]punchcard.ConsentState, changed bool, err error)
	ImportConsents(ctx context.Context, file io.Reader, by string, dryRun bool, report func(dispatch.ImportLine) error) (dispatch.ImportTotals, error)
	ExportConsents(ctx context.Context, customer string, to io.Writer) error
	ConsentStory(ctx context.Context, customer string) (*dispatch.ConsentStory, error)
	UnsubscribePage(ctx context.Context, token string) (*dispatch.Unsubscribing, error)
	Unsubscribe(ctx context.Context, token string) (*dispatch.Unsubscribing, error)
	Links(ctx context.Context) ([]dispatch.WayIn, error)
	CloseHandoff(ctx context.Context, id, by string) (*punchcard.Handoff, error)
	CloseCircuit(ctx context.Context, scope punchcard.CircuitScope, by string) (int, error)
	OwnReferral(ctx context.Context, customer string) (*dispatch.OwnReferral, error)
	Refer(ctx context.Context, customer, code string) (*punchcard.Referral, error)
	AddHook(ctx context.Context, url string, types []punchcard.HookType, note string) (*punchcard.Hook, error)
	RemoveHook(ctx context.Context, id string) error
	RotateHook(ctx context.Context, id string) (*punchcard.Hook, error)
	EnableHook(ctx context.Context, id string) (*punchcard.Hook, error)
	TestHook(ctx context.Context, id string) (*punchcard.HookDelivery, error)
	ReplayHook(ctx context.Context, id string, what dispatch.Replay) (int64, error)
	CloseAlert(ctx context.Context, id, by string) (*punchcard.Alert, error)
	Templates(ctx context.Context) (*dispatch.TemplateReport, error)
	PushTemplates(ctx context.Context, book dispatch.TemplateBook, p *rules.Program) (*dispatch.TemplateReport, error)
	Decide(ctx context.Context, id string, approve bool, by, note string) (*punchcard.Approval, error)
	Adjust(ctx context.Context, customer string, a dispatch.Adjustment) (bool, error)
}

// Options are what an API is made of. Store, Dispatch and Catalog are required.
type Options struct {
	Store    *store.Store
	Dispatch Dispatch
	Catalog  *fence.Catalog

	// Keys knows who may call. Without it every route that needs a key refuses.
	Keys Keys

	// AppSecrets are those that Meta may have signed a webhook with: one, or two while it is being changed. Without any, every
	// webhook is refused.
	AppSecrets []string
	// VerifyToken is the word that Meta's handshake must say. Without it every handshake is refused.
	VerifyToken string

	// WhatsApp is where templates are submitted; nil: they are submitted by the command alone.
	WhatsApp dispatch.TemplateBook

	// TemporalURL is where a run's workflow is to be seen, by the workflow's id; nil: answers have no such address.
	TemporalURL func(workflowID string) string
	// WorkflowID is the id of a run's workflow; nil: journey/run.
	WorkflowID func(journey, run string) string

	// Ready asks each part that is needed, by name, whether it is up; nil: the database alone is asked.
	Ready func(ctx context.Context) map[string]error

	Log     *slog.Logger // nil: slog.Default
	Version string       // of this build, shown in the documentation
}

// server has what the handlers share.
type server struct {
	Options
	inFlight inFlight
	pages    pages
}

// quiet keeps gin from printing every route.
var quiet = sync.OnceFunc(func() { gin.SetMode(gin.ReleaseMode) })

// New is the whole HTTP side.
func New(o Options) http.Handler { return build(o).engine }

// built is an API with what its tests look at.
type built struct {
	engine *gin.Engine
	routes []route
}

func build(o Options) built {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.WorkflowID == nil {
		o.WorkflowID = func(journey, run string) string { return journey + "/" + run }
	}
	if o.TemporalURL == nil {
		o.TemporalURL = func(string) string { return "" }
	}
	if o.Ready == nil {
		o.Ready = func(ctx context.Context) map[string]error { return map[string]error{"database": o.Store.Ping(ctx)} }
	}
	s := &server{Options: o}
	routes := s.routes()
	table := make(map[string]route, len(routes))
	for _, r := range routes {
		table[r.method+" "+r.ginPath()] = r
	}

	quiet()
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	// Paths are matched as they came, so that a backend's id may have a slash in it, and unescaped by `unescape`: gin's own way
	// would make a space of a plus.
	engine.UseRawPath = true
	engine.UnescapePathValues = false
	engine.Use(s.observe, s.rescue, unescape, s.guard(table), s.authenticate(table), s.once(table))
	engine.NoRoute(func(c *gin.Context) {
		writeProblem(c, newProblem(errNoRoute))
	})
	engine.NoMethod(func(c *gin.Context) {
		p := newProblem(punchcard.Errorf(punchcard.CodeInvalid, "this address does not take %s; see /docs", c.Request.Method).Because("no_method"))
		p.Status, p.Title = http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed)
		writeProblem(c, p)
	})

	a := humagin.New(engine, s.humaConfig())
	for _, r := range routes {
		r.register(a, s.operation(r, a.OpenAPI().Components.Schemas))
		r.document(a)
	}
	documentHooks(a.OpenAPI())
	openAnswers(a.OpenAPI())
	s.pages = renderPages(a.OpenAPI())
	for _, r := range routes {
		if r.body != nil {
			// The document says that the body is required; the handler says what is wrong with an empty one.
			operationAt(a.OpenAPI(), r.method, r.path).RequestBody.Required = false
		}
	}
	return built{engine: engine, routes: routes}
}
