package simulator

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"punchcard"
)

// Options is what a Simulator needs to know.
type Options struct {
	Clock         punchcard.Clock // the business's time; nil is the machine's
	WebhookURL    string          // where webhooks go; empty keeps them until SetWebhookURL
	AppSecret     string          // signs webhooks; receivers refuse an empty one
	VerifyToken   string          // for the handshake that Run makes; empty makes none
	Token         string          // the bearer token that the Graph side asks for
	PhoneNumberID string          // of the business's number
	AccountID     string          // of the WhatsApp Business Account
	AppID         string          // of the Meta app, to which samples of templates are uploaded; empty takes none
	BusinessPhone string          // the business's number, E.164 with "+"
	Business      string          // the business's name, as customers see it
	Location      *time.Location  // the time zone of the phone page; nil is UTC
	DataFile      string          // the journal; empty keeps everything in memory
	Limits        *Limits         // Meta's rules; nil is DefaultLimits
	Logger        *slog.Logger    // nil logs nowhere
	HTTP          *http.Client    // delivers webhooks; nil is a client with a timeout of 10 s, in real time
}

// Simulator is one business's WhatsApp: its people, its templates and its webhooks. Any number of goroutines may use it.
type Simulator struct {
	opt     Options
	log     *slog.Logger
	http    *http.Client
	closed  chan struct{} // closed by Close
	closing sync.Once
	over    chan struct{} // closed when Run ends: pages that wait need wait no longer
	ending  sync.Once
	wake    chan struct{} // has a token when Run may have something to deliver

	mu         sync.Mutex
	webhookURL string
	journal    *journal
	people     map[string]*person // by phone
	userIDs    map[string]*person // by business-scoped user id
	order      []*person          // in the order of their first message
	messages   map[string]*message
	templates  map[templateKey]*storedTemplate
	listed     []*storedTemplate // in the order of their making
	queues     map[string]*queue // webhooks to deliver, by phone; "" is the account's own
	ready      []*queue          // queues with something to deliver and nobody at it
	hooks      int64             // the number of the last webhook
	version    uint64            // grows with every fact; tells the page what is new
	changed    chan struct{}     // closed when version grows, and then made anew
	epoch      string            // of this process's versions
	media      map[string]*storedMedia
	mediaBytes map[string][]byte // of media that is not committed yet, where there is no journal
	faults     []*fault
	early      map[int64]chan struct{} // closed when the webhook of this number is taken
	earlier    []chan struct{}         // of the fact that was committed last
	limits     Limits
	account    account
	rates      rates
	opened     []openedAt                 // by templates, outside the service window; oldest first
	halfUsed   time.Time                  // when half of the tier was; zero when it is not
	made       []time.Time                // when templates were, of the last hour
	held       map[templateKey][]*message // by pacing
	settling   bool                       // settle is at work
	uploads    map[string]uploading       // of samples, by id; gone with the process
	samples    map[string]string          // the format of each sample, by its handle
}

// New makes a simulator, with everything that the journal holds. The error is a journal that cannot be read or written.
func New(opt Options) (*Simulator, error) {
	if opt.Clock == nil {
		opt.Clock = punchcard.SystemClock{}
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.HTTP == nil {
		opt.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	if opt.Location == nil {
		opt.Location = time.UTC
	}
	if opt.Business == "" {
		opt.Business = "The business"
	}
	s := &Simulator{
		opt: opt, log: opt.Logger, http: opt.HTTP, webhookURL: opt.WebhookURL,
		closed: make(chan struct{}), over: make(chan struct{}), wake: make(chan struct{}, 1),
		changed: make(chan struct{}), epoch: rand.Text()[:8], media: map[string]*storedMedia{}, mediaBytes: map[string][]byte{},
		people: map[string]*person{}, userIDs: map[string]*person{}, messages: map[string]*message{},
		templates: map[templateKey]*storedTemplate{}, queues: map[string]*queue{},
	}
	s.limits, s.account, s.rates.pairs = DefaultLimits(), account{Quality: green}, map[string]*bucket{}
	s.held, s.early = map[templateKey][]*message{}, map[int64]chan struct{}{}
	s.uploads, s.samples = map[string]uploading{}, map[string]string{}
	if opt.Limits != nil {
		s.limits = *opt.Limits
	}
	if why := s.limits.check(); why != "" {
		return nil, errors.New("simulator: limits: " + why)
	}
	if opt.DataFile != "" {
		j, err := openJournal(opt.DataFile, s.apply)
		if err != nil {
			return nil, err
		}
		s.journal = j
	}
	return s, nil
}

// Close ends requests that hang in a fault and closes the journal. Stop Run before, by its context. Requests after Close
// are refused with a 500: what cannot be written down did not happen.
func (s *Simulator) Close() error {
	var err error
	s.closing.Do(func() {
		close(s.closed)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.journal != nil {
			err = s.journal.close()
		}
	})
	return err
}

// SetWebhookURL changes where webhooks go, those that wait included.
func (s *Simulator) SetWebhookURL(address string) {
	s.mu.Lock()
	s.webhookURL = address
	s.mu.Unlock()
	s.nudge()
}

// Handler serves the Graph side, the person side and the phone page.
func (s *Simulator) Handler() http.Handler {
	mux := http.NewServeMux()
	// The Graph API: bearer token.
	mux.HandleFunc("POST /{version}/{id}/messages", s.graph(s.postMessage))
	mux.HandleFunc("GET /{version}/{id}/message_templates", s.manage(s.getTemplates))
	mux.HandleFunc("POST /{version}/{id}/message_templates", s.manage(s.postTemplate))
	mux.HandleFunc("DELETE /{version}/{id}/message_templates", s.manage(s.deleteTemplates))
	mux.HandleFunc("POST /{version}/{id}/unpause", s.manage(s.postUnpause))
	mux.HandleFunc("POST /{version}/{id}/marketing_messages", s.graph(s.postMarketingMessage))
	mux.HandleFunc("GET /{version}/{id}/phone_numbers", s.manage(s.getNumbers))
	mux.HandleFunc("GET /{version}/{id}/whatsapp_business_profile", s.manage(s.getProfile))
	mux.HandleFunc("POST /{version}/{id}/whatsapp_business_profile", s.manage(s.postProfile))
	mux.HandleFunc("GET /{version}/{id}/block_users", s.graph(s.getBlocked))
	mux.HandleFunc("POST /{version}/{id}/block_users", s.graph(s.blockUsers))
	mux.HandleFunc("DELETE /{version}/{id}/block_users", s.graph(s.blockUsers))
	mux.HandleFunc("GET /{version}/{id}", s.graph(s.getObject))
	mux.HandleFunc("POST /{version}/{id}", s.postToObject)
	mux.HandleFunc("POST /{version}/{id}/uploads", s.graph(s.beginUpload))
	mux.HandleFunc("POST /{version}/{id}/media", s.graphUpTo(maxMedia, s.postMedia))
	mux.HandleFunc("DELETE /{version}/{id}", s.graph(s.deleteMedia))
	mux.HandleFunc("GET /media/{id}", s.downloadMedia)
	// The person side and faults: for this machine, and nobody's pages but our own.
	mux.HandleFunc("GET /people", own(s.getPeople))
	mux.HandleFunc("POST /people", own(s.postPerson))
	mux.HandleFunc("GET /people/{phone}/messages", own(s.getChat))
	mux.HandleFunc("POST /people/{phone}/messages", own(s.postChat))
	mux.HandleFunc("PATCH /people/{phone}/messages/{id}", own(s.patchMessage))
	mux.HandleFunc("DELETE /people/{phone}/messages/{id}", own(s.deleteMessage))
	mux.HandleFunc("POST /people/{phone}/media", own(s.postPersonMedia))
	mux.HandleFunc("POST /people/{phone}/reactions", own(s.postReaction))
	mux.HandleFunc("POST /people/{phone}/read", own(s.postRead))
	mux.HandleFunc("POST /people/{phone}/marketing", own(s.postMarketing))
	mux.HandleFunc("POST /people/{phone}/block", own(s.postBlock))
	mux.HandleFunc("POST /people/{phone}/number", own(s.postNumber))
	mux.HandleFunc("POST /people/{phone}/off", own(s.postOff))
	mux.HandleFunc("GET /faults", own(s.getFaults))
	mux.HandleFunc("POST /faults", own(s.postFault))
	mux.HandleFunc("DELETE /faults", own(s.deleteFaults))
	mux.HandleFunc("GET /limits", own(s.getLimits))
	mux.HandleFunc("POST /limits", own(s.postLimits))
	mux.HandleFunc("GET /account", own(s.getAccount))
	mux.HandleFunc("POST /account", own(s.postAccount))
	// The phone page.
	mux.HandleFunc("GET /{$}", own(s.getPage))
	mux.HandleFunc("GET /page/live", own(s.getLive))
	mux.HandleFunc("GET /page/earlier", own(s.getEarlier))
	mux.HandleFunc("GET /page/file", own(s.getPageMedia))
	mux.Handle("GET /page/assets/phone.css", pageAssets)
	mux.Handle("GET /page/assets/phone.js", pageAssets)
	return mux
}

// errClosed is the end of a simulator.
var errClosed = errors.New("simulator: closed")

// commit writes a fact down and then makes it true. The caller holds mu. An error means that nothing happened.
func (s *Simulator) commit(f fact) error {
	select {
	case <-s.closed:
		return errClosed
	default:
	}
	if len(s.faults) > 0 {
		f.Hooks = s.disturb(f.Hooks)
	}
	if s.journal != nil {
		line, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if err := s.journal.append(line); err != nil {
			s.log.Error("simulator: the journal cannot be written", "error", err)
			return err
		}
	}
	s.apply(f)
	if len(f.Hooks) > 0 {
		s.nudge()
	}
	if f.Message != nil && f.Message.Direction == in {
		s.shake(s.person(f.Message.Phone))
	}
	s.settle()
	return nil
}

// nudge tells Run to look.
func (s *Simulator) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// now is the business's time.
func (s *Simulator) now() time.Time { return s.opt.Clock.Now() }

var phoneForm = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// parsePhone reads a phone number in E.164, with its "+" or without.
func parsePhone(s string) (string, bool) {
	p := "+" + strings.TrimPrefix(s, "+")
	return p, phoneForm.MatchString(p)
}

// background is cancelled by ctx and by Close.
func (s *Simulator) background(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-s.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
