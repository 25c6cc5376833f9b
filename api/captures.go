package api

import (
	"context"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
)

var aboutCapture = options{
	idempotent: true,
	about: "Uses the reward that a code belongs to: the whole, or an amount of a gift card whose value may be used in parts. Give an Idempotency-Key, so that a request " +
		"that is sent twice uses it once. 404: no reward has that code. 409: a rule refuses, and the reason says which: it is used up, is not used at the till, " +
		"is another customer's, has less left, or too much is used too fast. 410: it expired or was given back. 429: too many unknown codes were asked for. " +
		"Name the device, so that one till's mistakes stop that till alone. Answers 404 to an unknown code as to one that is still in its pool.",
	example: `{"code": "COFFEE-7Q2K", "device": "till-3", "order": "receipt-1207"}`,
}

var aboutReverse = options{
	idempotent: true,
	about: "What the capture used can be used again, until the reward expires. Points that were spent for it stay spent. 409: it is taken back already, or was " +
		"captured by something else than a till or a tap. 410: it is too late, by the program's fraud.reverse_within, or the reward's own time is over.",
	example: `{"by": "maria@beanandbloom.example", "reason": "Rung up for the wrong table"}`,
}

var aboutLookup = options{
	about:   "What a code is, and whether it can be used at the till now. Unknown codes count as for a capture. It is a POST so that no log has the code.",
	example: `{"code": "COFFEE-7Q2K", "device": "till-3"}`,
}

var aboutUsable = options{
	about:   "What a customer at the till has that is not used or over, the ones that expire soonest first, at most 50. It is a POST so that no log has the phone.",
	example: `{"customer": "phone:+4520123456", "device": "till-3"}`,
}

var aboutRefusals = options{
	about: "Each time that a rule said no to a reward or to the use of a code, with the rule's code: what to look at when somebody complains, or somebody cheats.",
}

type captureInput struct {
	Body struct {
		Code     string      `json:"code" doc:"As the customer shows it; case, spaces and hyphens do not matter"`
		Amount   float64     `json:"amount,omitempty" exclusiveMinimum:"0" doc:"How much of a value that may be used in parts; all that is left when it is not said"`
		Device   string      `json:"device,omitempty" maxLength:"200" doc:"The till's own name for itself"`
		Order    string      `json:"order,omitempty" maxLength:"200" doc:"What it is used for: a receipt's number"`
		Customer customerRef `json:"customer,omitempty" doc:"Who uses it, if the till knows: another's code is refused"`
	}
}

type captured struct {
	CaptureID    string                `json:"capture_id"`
	RedemptionID string                `json:"redemption_id" doc:"Empty for a reward that was not asked for with points"`
	GrantID      string                `json:"grant_id"`
	Reward       string                `json:"reward"`
	Amount       float64               `json:"amount" doc:"What of the value this used, in the program's currency"`
	Value        float64               `json:"value" doc:"Of the whole, in the program's currency"`
	Left         float64               `json:"left" doc:"What of the value was left after it"`
	Status       punchcard.GrantStatus `json:"status" enum:"given,captured" doc:"given while something is left"`
	CapturedAt   time.Time             `json:"captured_at"`
}

func capturedOf(c *dispatch.Captured) captured {
	status := punchcard.GrantCaptured
	if c.Capture.LeftOver > 0 || c.Capture.Reverses != nil {
		status = punchcard.GrantGiven
	}
	return captured{
		c.Capture.ID, c.Grant.RedemptionID, c.Grant.ID, c.Grant.Reward, c.Capture.Amount.Float(), c.Grant.Value, c.Capture.LeftOver.Float(), status, c.Capture.At,
	}
}

// till is who asks for a code.
func (s *server) till(ctx context.Context, device string, customer customerRef) (dispatch.Till, error) {
	t := dispatch.Till{Caller: caller(ctx), Device: device}
	if len(customer) == 0 {
		return t, nil
	}
	c, err := s.find(ctx, customer)
	if err != nil {
		return t, err
	}
	t.Customer = c.ID
	return t, nil
}

func (s *server) capture(ctx context.Context, in *captureInput) (*output[captured], error) {
	b := in.Body
	if strings.ContainsRune(b.Code, 0) {
		b.Code = "?" // no code has that, and no database takes it: it is as unknown as any other
	}
	t, err := s.till(ctx, b.Device, b.Customer)
	if err != nil {
		return nil, err
	}
	c, err := s.Dispatch.Capture(ctx, dispatch.Use{Till: t, Code: b.Code, Amount: b.Amount, Order: b.Order, Request: requestKey(ctx)})
	if err != nil {
		return nil, err
	}
	return answer(capturedOf(c)), nil
}

type reverseInput struct {
	ID   string `path:"id" maxLength:"100" doc:"The capture_id that the capture answered: cap_…"`
	Body struct {
		By     string `json:"by" minLength:"1" maxLength:"200" doc:"Who does it"`
		Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why"`
	}
}

func (s *server) reverseCapture(ctx context.Context, in *reverseInput) (*output[captured], error) {
	c, err := s.Dispatch.ReverseCapture(ctx, in.ID, in.Body.By, in.Body.Reason, requestKey(ctx))
	if err != nil {
		return nil, err
	}
	return answer(capturedOf(c)), nil
}

type lookupInput struct {
	Body struct {
		Code     string      `json:"code" doc:"As the customer shows it"`
		Device   string      `json:"device,omitempty" maxLength:"200" doc:"The till's own name for itself"`
		Customer customerRef `json:"customer,omitempty" doc:"Who shows it, if the till knows"`
	}
}

// FoundReward is a reward as a till sees it.
type FoundReward struct {
	GrantID    string                `json:"grant_id"`
	Reward     string                `json:"reward"`
	Title      string                `json:"title"`
	Code       string                `json:"code" doc:"Its last characters"`
	CustomerID string                `json:"customer_id"`
	Customer   string                `json:"customer" doc:"Enough of the name and the number to ask whether it is they"`
	Status     punchcard.GrantStatus `json:"status" enum:"held,given,captured,released"`
	Value      float64               `json:"value" doc:"In the program's currency"`
	Left       float64               `json:"left" doc:"What of the value is not used"`
	Partial    bool                  `json:"partial" doc:"It may be used in parts"`
	ExpiresAt  *time.Time            `json:"expires_at"`
	Usable     bool                  `json:"usable" doc:"It can be captured at the till now"`
	Reason     string                `json:"reason" doc:"Why not; empty when it can"`
	Detail     string                `json:"detail" doc:"The same for a person"`
}

// ViewFound is what a till is shown: enough of the customer to ask whether it is they.
func ViewFound(view *store.Tx, f *dispatch.Found) (FoundReward, error) {
	v := FoundReward{
		GrantID: f.Grant.ID, Reward: f.Grant.Reward, Title: f.Title, Code: f.Grant.Code, CustomerID: f.Customer.ID, Status: f.Grant.Status,
		Value: f.Grant.Value, Left: f.Grant.Left().Float(), Partial: f.Grant.Partial, ExpiresAt: f.Grant.ExpiresAt, Usable: f.Refused == nil,
	}
	if f.Refused != nil {
		v.Reason, v.Detail = f.Refused.Reason, f.Refused.Message
	}
	var words []string
	if name := []rune(f.Customer.Name); len(name) > 0 {
		words = append(words, string(name[0])+"…")
	}
	names, err := view.Identities(f.Customer.ID)
	for _, n := range names {
		if n.Kind == punchcard.IdentityPhone {
			words = append(words, punchcard.MaskCode(n.Value))
		}
	}
	v.Customer = strings.Join(words, " ")
	return v, err
}

func (s *server) lookup(ctx context.Context, in *lookupInput) (*output[FoundReward], error) {
	b := in.Body
	if strings.ContainsRune(b.Code, 0) {
		b.Code = "?"
	}
	t, err := s.till(ctx, b.Device, b.Customer)
	if err != nil {
		return nil, err
	}
	f, err := s.Dispatch.LookUp(ctx, t, b.Code)
	if err != nil {
		return nil, err
	}
	v, err := ViewFound(s.Store.View(ctx), f)
	if err != nil {
		return nil, err
	}
	return answer(v), nil
}

type usableInput struct {
	Body struct {
		Customer customerRef `json:"customer"`
		Device   string      `json:"device,omitempty" maxLength:"200" doc:"The till's own name for itself"`
	}
}

type usableRewards struct {
	Items []FoundReward `json:"items" nullable:"false"`
}

func (s *server) usable(ctx context.Context, in *usableInput) (*output[usableRewards], error) {
	c, err := s.find(ctx, in.Body.Customer)
	if err != nil {
		return nil, err
	}
	found, err := s.Dispatch.Usable(ctx, c.ID, in.Body.Device)
	if err != nil {
		return nil, err
	}
	view := s.Store.View(ctx)
	body := usableRewards{Items: []FoundReward{}}
	for i := range found {
		v, err := ViewFound(view, &found[i])
		if err != nil {
			return nil, err
		}
		body.Items = append(body.Items, v)
	}
	return answer(body), nil
}

type refusalsInput struct {
	Paging
	Reason   string `query:"reason" maxLength:"100" doc:"Only those with this reason: unknown_code, velocity_device, …"`
	Customer string `query:"customer" maxLength:"300" doc:"Only this customer's, named as in a path"`
}

// RefusalItem is one time that a rule said no.
type RefusalItem struct {
	ID         string                  `json:"id"`
	CustomerID string                  `json:"customer_id" doc:"Empty when nobody knows whose it was"`
	Reward     string                  `json:"reward" doc:"Empty when nobody knows what it was for"`
	GrantID    string                  `json:"grant_id"`
	Action     punchcard.RefusedAction `json:"action" enum:"give,redeem,capture,lookup" doc:"What was refused"`
	Reason     string                  `json:"reason" doc:"The rule's code"`
	Key        string                  `json:"key" doc:"The API key with which it was asked"`
	Device     string                  `json:"device"`
	At         time.Time               `json:"at"`
}

// ViewRefusal is a refusal as the API shows it.
func ViewRefusal(r punchcard.Refusal) RefusalItem {
	return RefusalItem{r.ID, r.CustomerID, r.Reward, r.GrantID, r.Action, r.Reason, r.Caller, r.Device, r.At}
}

func (s *server) refusals(ctx context.Context, in *refusalsInput) (*output[list[RefusalItem]], error) {
	after, err := in.afterID(punchcard.PrefixRefusal)
	if err != nil {
		return nil, err
	}
	customer, err := s.only(ctx, in.Customer)
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.View(ctx).Refusals(in.Reason, customer, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return answer(paged(rows, in.Limit, func(r punchcard.Refusal) string { return r.ID }, ViewRefusal)), nil
}
