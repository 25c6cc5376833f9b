package api

import (
	"bytes"
	"context"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"time"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

var aboutGive = options{
	status: http.StatusCreated, idempotent: true,
	about: "Gives a reward within its limits; its cost in points is not asked for. 409: a rule refuses it, and the reason says which. " +
		"502: its code is another system's, which gave none, and nothing was given; the same Idempotency-Key goes on where a request died. " +
		"The customer is told nothing: a journey does that.",
	example: `{"reward": "free-coffee", "by": "Maria", "reason": "the machine was broken"}`,
}

var aboutReveal = options{
	about:   "A code is worth money, so every other answer shows its end only. Who reads one and why is recorded.",
	example: `{"by": "Maria", "reason": "the customer lost the phone"}`,
}

var aboutContent = options{
	status: http.StatusFound,
	also: map[int]string{
		http.StatusNotFound: "A page that says that nobody has that link", http.StatusGone: "A page that says that the grant is not good any more",
	},
	media: []string{htmlType},
	about: "Leads to the content while the grant is good. To follow it uses nothing: programs that preview links follow them too.",
}

// RewardView is a reward of the catalog, and how much of it is given.
type RewardView struct {
	Name        string            `json:"name"`
	Kind        rules.RewardKind  `json:"kind" enum:"discount_code,gift_card,offer,content,points"`
	Title       map[string]string `json:"title" doc:"By language"`
	Description map[string]string `json:"description,omitempty" doc:"By language"`
	Terms       map[string]string `json:"terms,omitempty" doc:"By language"`
	Image       string            `json:"image,omitempty"`
	Cost        int64             `json:"cost" doc:"In points; 0: it cannot be asked for"`
	Value       float64           `json:"value" doc:"In the program's currency"`
	Points      int64             `json:"points,omitempty"`
	Codes       string            `json:"codes" doc:"generated, pool, or call where another system issues them; empty: it has none"`
	CapturedBy  string            `json:"captured_by"`
	Eligible    string            `json:"eligible,omitempty" doc:"The expression that says who can have it"`
	From        *time.Time        `json:"from,omitempty" doc:"When it is first given"`
	Until       *time.Time        `json:"until,omitempty" doc:"From when it is given no more"`
	Stopped     bool              `json:"stopped" doc:"An operator has stopped it"`

	Held     int64 `json:"held" doc:"Grants that are asked for and not used yet"`
	Given    int64 `json:"given" doc:"Grants that are not used yet"`
	Captured int64 `json:"captured" doc:"Grants that were used"`
	Released int64 `json:"released" doc:"Grants that were given back"`

	FreeCodes  *int64   `json:"free_codes,omitempty" doc:"codes: pool: how many are left"`
	Stock      *int64   `json:"stock,omitempty" doc:"How many can still be given, where the reward has a stock"`
	Budget     *float64 `json:"budget,omitempty" doc:"How much the grants of the budget's time may be worth"`
	BudgetUsed *float64 `json:"budget_used,omitempty" doc:"How much they are worth"`
}

func (s *server) rewards(ctx context.Context, _ *struct{}) (*output[list[RewardView]], error) {
	policy, err := s.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	view := s.Store.View(ctx)
	uses, err := view.RewardUses()
	if err != nil {
		return nil, err
	}
	l := list[RewardView]{Items: []RewardView{}}
	for _, name := range slices.Sorted(maps.Keys(policy.Rewards)) {
		v, err := ViewReward(view, policy.Rewards[name], uses)
		if err != nil {
			return nil, err
		}
		l.Items = append(l.Items, v)
	}
	return answer(l), nil
}

type rewardPath struct {
	Reward string `path:"reward" maxLength:"200" doc:"Its name in the catalog"`
}

func (s *server) reward(ctx context.Context, in *rewardPath) (*output[RewardView], error) {
	r, err := s.rewardNamed(ctx, in.Reward)
	if err != nil {
		return nil, err
	}
	view := s.Store.View(ctx)
	uses, err := view.RewardUses()
	if err != nil {
		return nil, err
	}
	v, err := ViewReward(view, r, uses)
	return answer(v), err
}

// rewardNamed is a reward of the program that runs now.
func (s *server) rewardNamed(ctx context.Context, name string) (*rules.Reward, error) {
	policy, err := s.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	r := policy.Rewards[name]
	if r == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "the program has no such reward").Because(fence.RefusedUnknown)
	}
	return r, nil
}

// ViewReward is a reward as the API shows it; uses are those of all rewards.
func ViewReward(view *store.Tx, r *rules.Reward, uses []store.RewardUse) (RewardView, error) {
	v := RewardView{
		Name: r.Name, Kind: r.Kind, Title: wordings(r.Title), Description: wordings(r.Description), Terms: wordings(r.Terms), Image: r.Image,
		Cost: r.Cost, Value: r.Value, Points: r.Points, Codes: string(r.Codes), CapturedBy: r.CapturedBy,
		From: unlessZero(r.From), Until: unlessZero(r.Until),
	}
	if r.Eligible != nil {
		v.Eligible = r.Eligible.Source()
	}
	for _, u := range uses {
		if u.Reward != r.Name {
			continue
		}
		switch u.Status {
		case punchcard.GrantHeld:
			v.Held = u.Grants
		case punchcard.GrantGiven:
			v.Given = u.Grants
		case punchcard.GrantCaptured:
			v.Captured = u.Grants
		case punchcard.GrantReleased:
			v.Released = u.Grants
		}
	}
	var err error
	if v.Stopped, err = view.Off(store.SwitchReward, r.Name); err != nil {
		return v, err
	}
	if r.Stock > 0 {
		v.Stock = new(max(int64(r.Stock)-v.Held-v.Given-v.Captured, 0))
	}
	if r.Codes == rules.CodesPool {
		free, err := view.FreeCodes(r.Name)
		if err != nil {
			return v, err
		}
		v.FreeCodes = &free
	}
	if r.Budget > 0 {
		var since time.Time
		if r.BudgetWithin > 0 {
			since = view.Now.Add(-r.BudgetWithin)
		}
		used, err := view.SumGrants(r.Name, since)
		if err != nil {
			return v, err
		}
		v.Budget, v.BudgetUsed = &r.Budget, &used
	}
	return v, nil
}

// wordings are a text by language; nil for none.
func wordings(t rules.Text) map[string]string {
	if t.IsZero() {
		return nil
	}
	words := map[string]string{}
	for _, l := range t.Languages() {
		words[l], _ = t.Render(l, nil) // what a catalog says reads nothing that could be missing
	}
	return words
}

func unlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// GrantView is a grant as lists have it.
type GrantView struct {
	ID           string                `json:"id"`
	CustomerID   string                `json:"customer_id"`
	Reward       string                `json:"reward"`
	Status       punchcard.GrantStatus `json:"status" enum:"held,given,captured,released"`
	Code         string                `json:"code" doc:"Its last characters: a code is worth money"`
	AwaitsCode   bool                  `json:"awaits_code" doc:"Another system is still being asked for its code: it cannot be used yet"`
	CapturedBy   string                `json:"captured_by" doc:"What uses it: till, delivery, or an event"`
	Cost         int64                 `json:"cost" doc:"Points that were held for it"`
	Value        float64               `json:"value" doc:"In the program's currency"`
	Left         float64               `json:"left" doc:"What of the value is not used"`
	Partial      bool                  `json:"partial" doc:"It may be used in parts"`
	RunID        string                `json:"run_id"`
	RedemptionID string                `json:"redemption_id"`
	By           string                `json:"by" doc:"Who gave it by hand; empty: a journey did"`
	Reason       string                `json:"reason" doc:"Why they did"`
	CreatedAt    time.Time             `json:"created_at"`
	ExpiresAt    *time.Time            `json:"expires_at"`
	EndedAt      *time.Time            `json:"ended_at" doc:"When it was captured or released"`
	Ended        string                `json:"ended" doc:"Why it was released: expired, cancelled, how its run ended; empty when nobody said"`
}

// ViewGrant is a grant as the API shows it.
func ViewGrant(g punchcard.Grant) GrantView {
	return GrantView{
		ID: g.ID, CustomerID: g.CustomerID, Reward: g.Reward, Status: g.Status, Code: g.Code, AwaitsCode: g.AwaitsCode, CapturedBy: g.CapturedBy, Cost: g.Cost, Value: g.Value,
		Left: g.Left().Float(), Partial: g.Partial,
		RunID: g.RunID, RedemptionID: g.RedemptionID, By: g.Author, Reason: g.Note, CreatedAt: g.CreatedAt, ExpiresAt: g.ExpiresAt, EndedAt: g.EndedAt, Ended: g.Reason,
	}
}

type giveInput struct {
	CustomerPath

	Body struct {
		Reward string `json:"reward" minLength:"1" maxLength:"200" doc:"Its name in the catalog"`
		By     string `json:"by" minLength:"1" maxLength:"200" doc:"Who gives it"`
		Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why"`
	}
}

func (s *server) giveReward(ctx context.Context, in *giveInput) (*output[GrantView], error) {
	c, err := s.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	g, err := s.Dispatch.GiveReward(ctx, dispatch.Given{
		Customer: c.ID, Reward: in.Body.Reward, By: in.Body.By, Note: in.Body.Reason, Request: requestKey(ctx),
	})
	if err != nil {
		return nil, err
	}
	return answer(ViewGrant(*g)), nil
}

type grantPath struct {
	ID string `path:"id" maxLength:"100" doc:"Ours: grt_…"`
}

type revealItem struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

type captureItem struct {
	ID       string    `json:"id" doc:"By which it can be taken back"`
	Reverses *string   `json:"reverses" doc:"The capture that this one takes back; null for a use"`
	Amount   float64   `json:"amount" doc:"In the program's currency"`
	Left     float64   `json:"left" doc:"What of the value was left after it"`
	What     string    `json:"what" doc:"What used it: till, tap, delivery, step, or an event"`
	Device   string    `json:"device"`
	Order    string    `json:"order"`
	By       string    `json:"by" doc:"Who took it back; empty for a use"`
	Reason   string    `json:"reason" doc:"Why they did"`
	At       time.Time `json:"at"`
}

// GrantStory is a grant with what became of it.
type GrantStory struct {
	GrantView

	Captures []captureItem `json:"captures" nullable:"false" doc:"Its uses, and what takes them back, oldest first"`
	Revealed []revealItem  `json:"revealed" nullable:"false" doc:"Who has read its whole code, oldest first"`
}

func (s *server) grant(ctx context.Context, in *grantPath) (*output[GrantStory], error) {
	view := s.Store.View(ctx)
	g, err := view.Grant(in.ID)
	if err != nil {
		return nil, err
	}
	if g == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "there is no grant with that id")
	}
	story, err := TellGrant(view, *g)
	if err != nil {
		return nil, err
	}
	return answer(story), nil
}

// TellGrant reads what became of a grant.
func TellGrant(view *store.Tx, g punchcard.Grant) (GrantStory, error) {
	story := GrantStory{GrantView: ViewGrant(g), Captures: []captureItem{}, Revealed: []revealItem{}}
	uses, err := view.Captures(g.ID)
	if err != nil {
		return story, err
	}
	for _, c := range uses {
		story.Captures = append(story.Captures, captureItem{
			c.ID, c.Reverses, c.Amount.Float(), c.LeftOver.Float(), c.By, c.Device, c.OrderRef, c.Author, c.Note, c.At,
		})
	}
	reveals, err := view.Reveals(g.ID)
	for _, r := range reveals {
		story.Revealed = append(story.Revealed, revealItem{r.Author, r.Reason, r.CreatedAt})
	}
	return story, err
}

type revealInput struct {
	ID   string `path:"id" maxLength:"100" doc:"Ours: grt_…"`
	Body struct {
		By     string `json:"by" minLength:"1" maxLength:"200" doc:"Who reads it"`
		Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why"`
	}
}

type revealed struct {
	Code string `json:"code"`
}

// secretOutput is an answer that nobody keeps.
type secretOutput[T any] struct {
	CacheControl string `header:"Cache-Control" hidden:"true"`
	Body         T
}

func (s *server) reveal(ctx context.Context, in *revealInput) (*secretOutput[revealed], error) {
	code, err := s.Dispatch.RevealCode(ctx, in.ID, in.Body.By, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return &secretOutput[revealed]{CacheControl: "no-store", Body: revealed{code}}, nil
}

type contentPath struct {
	Token string `path:"token" maxLength:"200" doc:"As the message has it"`
}

// contentAnswer leads on, or says to a person why not.
type contentAnswer struct {
	Status       int
	Location     string `header:"Location" hidden:"true"`
	CacheControl string `header:"Cache-Control" hidden:"true"`
	Referrer     string `header:"Referrer-Policy" hidden:"true"`
	ContentType  string `header:"Content-Type" hidden:"true"`
	Policy       string `header:"Content-Security-Policy" hidden:"true"`
	Body         []byte
}

func (s *server) content(ctx context.Context, in *contentPath) (*contentAnswer, error) {
	a := &contentAnswer{Status: http.StatusFound, CacheControl: "no-store", Referrer: "no-referrer", ContentType: htmlType + "; charset=utf-8", Policy: stylePolicy}
	var err error
	if a.Location, err = s.Dispatch.OpenContent(ctx, in.Token); err == nil {
		return a, nil
	}
	switch punchcard.CodeOf(err) {
	case punchcard.CodeNotFound:
		a.Status = http.StatusNotFound
	case punchcard.CodeGone:
		a.Status = http.StatusGone
	default:
		return nil, err
	}
	var b bytes.Buffer
	tell := contentTemplate.Execute(&b, err.Error())
	a.Body = b.Bytes()
	return a, tell
}

var contentTemplate = template.Must(template.New("content").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>{{.}}</title>
<style>body{font:18px/1.5 system-ui,sans-serif;max-width:28rem;margin:15vh auto;padding:0 1rem;text-align:center}</style>
<p>{{.}}</p>
</html>
`))
