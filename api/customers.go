package api

import (
	"context"
	"encoding/json"
	"maps"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

// CustomerPath names a customer in a path.
type CustomerPath struct {
	Ref string `path:"ref" maxLength:"300" doc:"Our id (cus_…), a phone number with its plus (+4520123456), or external: and your own id"`
}

// resolve finds the customer that a word names.
func (s *server) resolve(ctx context.Context, ref string) (*punchcard.Customer, error) {
	r, err := dispatch.ParseReference(ref)
	if err != nil {
		return nil, unknownCustomer(err)
	}
	return s.resolveReference(ctx, r)
}

func (s *server) resolveReference(ctx context.Context, r dispatch.Reference) (*punchcard.Customer, error) {
	c, err := s.Dispatch.Resolve(ctx, r)
	return c, unknownCustomer(err)
}

// unknownCustomer says of an error that it is the customer who was not found.
func unknownCustomer(err error) error {
	if e, ok := err.(*punchcard.Error); ok && e.Code == punchcard.CodeNotFound { //nolint:errorlint // dispatch answers it unwrapped
		return e.Because("unknown_customer")
	}
	return err
}

// customerRef is a customer in a body: an object as in an event, or a word as in a path.
type customerRef []byte

// UnmarshalJSON keeps the text until it is asked who is meant.
func (r *customerRef) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}

// Schema documents both forms. What is in the object is judged by find, which can say what is wrong.
func (customerRef) Schema(huma.Registry) *huma.Schema {
	text := func(doc string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: doc} }
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeString, Description: "As in a path: cus_…, +4520123456 or external:ID"},
		{Type: huma.TypeObject, AdditionalProperties: true, Properties: map[string]*huma.Schema{
			"id": text("Ours"), "external_id": text("Yours"), "phone": text("In international form"),
		}},
	}}
}

func (s *server) find(ctx context.Context, ref customerRef) (*punchcard.Customer, error) {
	if kind(ref) == "a string" {
		var word string
		if err := unmarshal(ref, &word); err != nil {
			return nil, err
		}
		return s.resolve(ctx, word)
	}
	m, err := membersOf([]byte(ref), "customer")
	if err != nil {
		return nil, err
	}
	// What an event says about a customer has no place here: nothing of it would be kept.
	if err := m.only("id", "external_id", "phone"); err != nil {
		return nil, err
	}
	r := m.reference()
	if m.err != nil {
		return nil, m.err
	}
	return s.resolveReference(ctx, r)
}

type identityBody struct {
	Kind  punchcard.IdentityKind `json:"kind" enum:"phone,user_id,parent_user_id,external"`
	Value string                 `json:"value"`
}

// CustomerItem is a customer as lists have it.
type CustomerItem struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Language   string         `json:"language"`
	Timezone   string         `json:"timezone"`
	Country    string         `json:"country"`
	Labels     []string       `json:"labels" nullable:"false"`
	Attributes map[string]any `json:"attributes"`
	Identities []identityBody `json:"identities" nullable:"false" doc:"The names the customer is known by"`
	Since      time.Time      `json:"since" doc:"The earliest that is known of the customer"`
}

type customerView struct {
	CustomerItem
	Tier     string                        `json:"tier"`
	Points   PointsBody                    `json:"points"`
	Consents map[string]punchcard.Standing `json:"consents" doc:"The standing on each topic; a topic nothing is known of is none"`
}

// PointsBody is a customer's account as it stands now.
type PointsBody struct {
	Balance  int64 `json:"balance" doc:"What can be spent"`
	Pending  int64 `json:"pending" doc:"Earned, not yet to be spent"`
	Held     int64 `json:"held" doc:"Set aside for a redemption"`
	Debt     int64 `json:"debt" doc:"What is owed: it was taken back and was not there. What can be spent next pays it first"`
	Earned   int64 `json:"earned" doc:"All that was ever earned, less what was taken back"`
	Expiring int64 `json:"expiring" doc:"Of the balance, what expires within 30 days"`
}

func pointsOf(p store.PointsNow) PointsBody {
	return PointsBody{Balance: p.Available, Pending: p.Pending, Held: p.Held, Debt: p.Debt, Earned: p.Earned, Expiring: p.Expiring}
}

func itemOf(view *store.Tx, c *punchcard.Customer) (CustomerItem, error) {
	names, err := view.Identities(c.ID)
	if err != nil {
		return CustomerItem{}, err
	}
	item := CustomerItem{
		ID: c.ID, Name: c.Name, Language: c.Language, Timezone: c.Timezone, Country: c.Country, Labels: c.Labels,
		Attributes: maps.Clone(c.Attributes), Identities: make([]identityBody, len(names)), Since: c.Since,
	}
	if item.Labels == nil {
		item.Labels = []string{}
	}
	if item.Attributes == nil {
		item.Attributes = map[string]any{}
	}
	maps.DeleteFunc(item.Attributes, func(_ string, v any) bool { return v == nil }) // a null is an attribute that was forgotten
	for i, n := range names {
		item.Identities[i] = identityBody{n.Kind, n.Value}
	}
	return item, nil
}

func (s *server) customers(ctx context.Context, in *struct{ Paging }) (*output[list[CustomerItem]], error) {
	after, err := in.afterID(punchcard.PrefixCustomer)
	if err != nil {
		return nil, err
	}
	view := s.Store.View(ctx)
	rows, err := view.CustomersAfter(after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	var failed error
	page := paged(rows, in.Limit, func(c punchcard.Customer) string { return c.ID }, func(c punchcard.Customer) CustomerItem {
		item, err := itemOf(view, &c)
		if err != nil {
			failed = err
		}
		return item
	})
	if failed != nil {
		return nil, failed
	}
	return answer(page), nil
}

func (s *server) customer(ctx context.Context, in *CustomerPath) (*output[customerView], error) {
	c, err := s.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	policy, err := s.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	view := s.Store.View(ctx)
	item, err := itemOf(view, c)
	if err != nil {
		return nil, err
	}
	points, err := view.PointsNow(c.ID)
	if err != nil {
		return nil, err
	}
	standings, err := view.Standings(c.ID)
	if err != nil {
		return nil, err
	}
	env, err := fence.Scene{Tx: view, Program: policy.Program, Customer: c}.Env()
	if err != nil {
		return nil, err
	}
	tier, _, err := env.Own()
	if err != nil {
		return nil, err
	}
	v := customerView{CustomerItem: item, Tier: tier, Points: pointsOf(points), Consents: map[string]punchcard.Standing{}}
	for _, t := range policy.Topics {
		v.Consents[t.Name] = punchcard.StandingNone
	}
	for topic, state := range standings {
		v.Consents[topic] = state.Standing
	}
	return answer(v), nil
}

var aboutMerge = options{
	idempotent: true,
	about: "For two customers who are one person. Everything that is the one's becomes the other's: names, runs, points, rewards, messages, the " +
		"consent log. A no to a topic outweighs a yes. Of two runs that are live for one journey and key the younger ends as merged. What the " +
		"older customer says of themself stands. The merged customer's id goes on leading to whom they were merged into. It cannot be undone; " +
		"two that are one already are answered as they are.",
	example: `{"into": "external:c-17"}`,
}

type mergeInput struct {
	CustomerPath
	Body struct {
		Into string `json:"into" maxLength:"300" doc:"Who stays: cus_…, +4520123456 or external:ID"`
	}
}

type merged struct {
	CustomerID string `json:"customer_id" doc:"Who they both are now"`
}

func (s *server) merge(ctx context.Context, in *mergeInput) (*output[merged], error) {
	from, err := s.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	into, err := s.resolve(ctx, in.Body.Into)
	if err != nil {
		return nil, err
	}
	c, err := s.Dispatch.Merge(ctx, from.ID, into.ID)
	if err != nil {
		return nil, err
	}
	return answer(merged{c.ID}), nil
}

// customerList is what the lists below a customer are asked with.
type customerList struct {
	CustomerPath
	Paging
}

// RunItem is a run as lists have it.
type RunItem struct {
	ID          string              `json:"id"`
	Journey     string              `json:"journey"`
	Version     int                 `json:"version" doc:"Of the program that the run keeps"`
	Status      punchcard.RunStatus `json:"status" enum:"live,held,stuck,ended"`
	Step        string              `json:"step" doc:"Where it is, or was when it ended"`
	Outcome     string              `json:"outcome" doc:"Empty until it ends"`
	Goal        bool                `json:"goal"`
	Value       float64             `json:"value"`
	Reason      string              `json:"reason" doc:"Why it is stuck, or how it came to end"`
	Key         string              `json:"key" doc:"What tells it from the customer's other runs of the journey"`
	StartedAt   time.Time           `json:"started_at"`
	EndedAt     *time.Time          `json:"ended_at"`
	WorkflowID  string              `json:"workflow_id"`
	TemporalURL string              `json:"temporal_url"`
}

func (s *server) customerRuns(ctx context.Context, in *customerList) (*output[list[RunItem]], error) {
	c, err := s.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	before, err := in.afterID(punchcard.PrefixRun)
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.View(ctx).Runs(c.ID, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return answer(paged(rows, in.Limit, func(r punchcard.Run) string { return r.ID }, func(r punchcard.Run) RunItem { return s.runItem(ctx, &r) })), nil
}

type messageItem struct {
	ID        string                  `json:"id"`
	Direction punchcard.Direction     `json:"direction" enum:"in,out"`
	Kind      string                  `json:"kind"`
	Template  string                  `json:"template"`
	Category  string                  `json:"category"`
	Topic     string                  `json:"topic"`
	Language  string                  `json:"language"`
	Text      string                  `json:"text" doc:"As the customer sees it, but that a reward's code is masked"`
	Status    punchcard.MessageStatus `json:"status"`
	Reason    string                  `json:"reason" doc:"Why it was deferred, suppressed or failed"`
	ErrorCode int                     `json:"error_code" doc:"WhatsApp's, where it gave one"`
	Attempts  int                     `json:"attempts"`
	Wamid     *string                 `json:"wamid" doc:"WhatsApp's id; null until it is known"`
	ReplyTo   string                  `json:"reply_to" doc:"The wamid that it answers"`
	RunID     string                  `json:"run_id"`
	CreatedAt time.Time               `json:"created_at"`
	UpdatedAt time.Time               `json:"updated_at"`
	RetryAt   *time.Time              `json:"retry_at" doc:"When a deferred one is tried again"`

	SentAt        *time.Time `json:"sent_at" doc:"When WhatsApp says that each happened; one may be skipped"`
	DeliveredAt   *time.Time `json:"delivered_at"`
	ReadAt        *time.Time `json:"read_at"`
	FailedAt      *time.Time `json:"failed_at"`
	PriceCategory string     `json:"price_category" doc:"What WhatsApp charges it as; empty until it says"`
	PriceType     string     `json:"price_type"`
	Billable      *bool      `json:"billable" doc:"null until WhatsApp says"`

	FirstText *string         `json:"first_text" doc:"What a message said before its writer changed it"`
	EditedAt  *time.Time      `json:"edited_at"`
	RevokedAt *time.Time      `json:"revoked_at" doc:"When its writer took it back"`
	MediaID   string          `json:"media_id" doc:"WhatsApp's, good for seven days"`
	MediaType string          `json:"media_type"`
	Filename  string          `json:"filename"`
	Referral  json.RawMessage `json:"referral" doc:"The advertisement that it came from; null for none"`
	Items     json.RawMessage `json:"items" doc:"What it orders; null for nothing"`
}

func (s *server) customerMessages(ctx context.Context, in *customerList) (*output[list[messageItem]], error) {
	c, err := s.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	before, err := in.afterID(punchcard.PrefixMessage)
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.View(ctx).Messages(c.ID, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return answer(paged(rows, in.Limit, func(m punchcard.Message) string { return m.ID }, func(m punchcard.Message) messageItem {
		return messageItem{
			ID: m.ID, Direction: m.Direction, Kind: m.Kind, Template: m.Template, Category: m.Category, Topic: m.Topic, Language: m.Language,
			Text: m.Text, Status: m.Status, Reason: m.Reason, ErrorCode: m.ErrorCode, Attempts: m.Attempts, Wamid: m.Wamid, ReplyTo: m.ReplyTo,
			RunID: m.RunID, CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt, RetryAt: m.RetryAt,
			SentAt: m.SentAt, DeliveredAt: m.DeliveredAt, ReadAt: m.ReadAt, FailedAt: m.FailedAt,
			PriceCategory: m.PriceCategory, PriceType: m.PriceType, Billable: m.Billable,
			FirstText: m.FirstText, EditedAt: m.EditedAt, RevokedAt: m.RevokedAt, MediaID: m.MediaID, MediaType: m.MediaType,
			Filename: m.Filename, Referral: m.Referral, Items: m.Items,
		}
	})), nil
}

type ledgerItem struct {
	ID     int64                   `json:"id"`
	Kind   punchcard.LedgerKind    `json:"kind" enum:"earn,mature,hold,capture,release,expire,reverse,repay,adjust,merge"`
	From   punchcard.PointsAccount `json:"from" enum:"outside,pending,available,held,debt"`
	To     punchcard.PointsAccount `json:"to" enum:"outside,pending,available,held,debt"`
	Points int64                   `json:"points"`
	Ref    string                  `json:"ref" doc:"What it was for: an event, a grant"`
	At     time.Time               `json:"at"`
}

type pointsList struct {
	PointsBody
	Items []ledgerItem `json:"items" nullable:"false"`
	Next  *string      `json:"next" doc:"Give this as after for the page that follows; null at the end"`
}

func (s *server) customerPoints(ctx context.Context, in *customerList) (*output[pointsList], error) {
	c, err := s.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	after, err := in.afterNumber()
	if err != nil {
		return nil, err
	}
	view := s.Store.View(ctx)
	points, err := view.PointsNow(c.ID)
	if err != nil {
		return nil, err
	}
	rows, err := view.Ledger(c.ID, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	id := func(e punchcard.LedgerEntry) string { return strconv.FormatInt(e.ID, 10) }
	page := paged(rows, in.Limit, id, func(e punchcard.LedgerEntry) ledgerItem {
		return ledgerItem{e.ID, e.Kind, e.From, e.To, e.Points, e.Ref, e.At}
	})
	return answer(pointsList{PointsBody: pointsOf(points), Items: page.Items, Next: page.Next}), nil
}

func (s *server) customerGrants(ctx context.Context, in *customerList) (*output[list[GrantView]], error) {
	c, err := s.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	before, err := in.afterID(punchcard.PrefixGrant)
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.View(ctx).Grants(c.ID, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return answer(paged(rows, in.Limit, func(g punchcard.Grant) string { return g.ID }, ViewGrant)), nil
}
