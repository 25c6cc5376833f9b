package api

import (
	"context"
	"time"

	"punchcard"
	"punchcard/internal/dispatch"
)

const (
	aboutOwnReferral = "The code is made when it is first asked for, and stays. The link is empty until serve is told the business's number."
	aboutReferrals   = "With status=refused: who was not taken for a friend, and why, to be reviewed."
)

var aboutRefer = options{
	about: "For a friend who came in another way than by the link or an event with referral_code. The first counts: " +
		"the same again is answered the same. 409: refused, with the reason; that is recorded.",
	example: `{"code": "7K3QX9MA"}`,
}

// ReferralItem is a referral as lists have it.
type ReferralItem struct {
	ID          string                   `json:"id"`
	Code        string                   `json:"code"`
	ReferrerID  *string                  `json:"referrer_id" doc:"Ours; null for a code that is nobody's"`
	FriendID    string                   `json:"friend_id" doc:"Ours"`
	Status      punchcard.ReferralStatus `json:"status" enum:"attributed,completed,reversed,refused"`
	Reason      string                   `json:"reason" doc:"Why it was refused"`
	Source      string                   `json:"source" doc:"How the friend came: an event's name, message, or api"`
	EventID     string                   `json:"event_id" doc:"What made it count"`
	At          time.Time                `json:"at"`
	CompletedAt *time.Time               `json:"completed_at"`
	EndedAt     *time.Time               `json:"ended_at" doc:"When it was reversed or refused"`
}

// ViewReferral is a referral as the API shows it.
func ViewReferral(r punchcard.Referral) ReferralItem {
	return ReferralItem{r.ID, r.Code, r.ReferrerID, r.FriendID, r.Status, r.Reason, r.Source, r.EventID, r.At, r.CompletedAt, r.EndedAt}
}

// OwnReferral is a customer's part in referrals.
type OwnReferral struct {
	Code    string        `json:"code"`
	Link    string        `json:"link" doc:"Opens WhatsApp with the word and the code written already"`
	By      *ReferralItem `json:"by" doc:"How they came themself; null for one whom nobody brought"`
	Friends struct {
		Attributed int64 `json:"attributed" doc:"Who came, and have not done yet what makes them count"`
		Completed  int64 `json:"completed"`
		Reversed   int64 `json:"reversed"`
		Refused    int64 `json:"refused"`
	} `json:"friends"`
}

func (s *server) customerReferral(ctx context.Context, in *CustomerPath) (*output[OwnReferral], error) {
	c, err := s.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	own, err := s.Dispatch.OwnReferral(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	return answer(ViewOwnReferral(own)), nil
}

// ViewOwnReferral is a customer's part in referrals as the API shows it.
func ViewOwnReferral(own *dispatch.OwnReferral) OwnReferral {
	body := OwnReferral{Code: own.Code, Link: own.Link}
	if own.By != nil {
		by := ViewReferral(*own.By)
		body.By = &by
	}
	f := &body.Friends
	f.Attributed, f.Completed = own.Friends[punchcard.ReferralAttributed], own.Friends[punchcard.ReferralCompleted]
	f.Reversed, f.Refused = own.Friends[punchcard.ReferralReversed], own.Friends[punchcard.ReferralRefused]
	return body
}

type referInput struct {
	CustomerPath
	Body struct {
		Code string `json:"code" minLength:"1" maxLength:"200" doc:"Of the customer who brought them"`
	}
}

func (s *server) refer(ctx context.Context, in *referInput) (*output[ReferralItem], error) {
	c, err := s.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	r, err := s.Dispatch.Refer(ctx, c.ID, in.Body.Code)
	if err != nil {
		return nil, err
	}
	return answer(ViewReferral(*r)), nil
}

type referralsInput struct {
	Paging

	Status   punchcard.ReferralStatus `query:"status" enum:"attributed,completed,reversed,refused" doc:"Of this status only"`
	Customer string                   `query:"customer" maxLength:"300" doc:"Only this customer's, named as in a path: whom they brought, and who brought them"`
}

func (s *server) referrals(ctx context.Context, in *referralsInput) (*output[list[ReferralItem]], error) {
	before, err := in.afterID(punchcard.PrefixReferral)
	if err != nil {
		return nil, err
	}
	customer, err := s.only(ctx, in.Customer)
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.View(ctx).Referrals(in.Status, customer, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return answer(paged(rows, in.Limit, func(r punchcard.Referral) string { return r.ID }, ViewReferral)), nil
}
