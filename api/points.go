package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

var aboutAdjust = options{
	idempotent: true,
	about: "Gives points, or takes them with a negative number. Who does it and why is kept in the ledger. They are not earned: no tier and no milestone " +
		"counts them. 409: more are taken than there are, and debt does not say that the rest is owed.",
	example: `{"points": 50, "reason": "The machine was out of order", "by": "Ida, support"}`,
}

type adjustInput struct {
	CustomerPath
	Body struct {
		Points int64  `json:"points" doc:"How many; negative to take them"`
		Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why"`
		By     string `json:"by" minLength:"1" maxLength:"200" doc:"Who does it"`
		Debt   bool   `json:"debt,omitempty" doc:"More may be taken than there is: the rest is owed, and paid by what is earned"`
	}
}

func (s *server) adjustPoints(ctx context.Context, in *adjustInput) (*output[PointsBody], error) {
	c, err := s.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	_, err = s.Dispatch.Adjust(ctx, c.ID, dispatch.Adjustment{
		Points: in.Body.Points, By: in.Body.By, Reason: in.Body.Reason, Debt: in.Body.Debt, Key: requestKey(ctx),
	})
	if err != nil {
		return nil, err
	}
	points, err := s.Store.View(ctx).PointsNow(c.ID)
	if err != nil {
		return nil, err
	}
	return answer(pointsOf(points)), nil
}

type statementInput struct {
	CustomerPath
	Paging
	From time.Time `query:"from" doc:"From this moment on; from the beginning when it is not said"`
	To   time.Time `query:"to" doc:"Until before this moment; until now when it is not said"`
}

type statementSums struct {
	Balance int64 `json:"balance"`
	Pending int64 `json:"pending"`
	Held    int64 `json:"held"`
	Debt    int64 `json:"debt" doc:"What is owed"`
}

type statementLine struct {
	At      time.Time            `json:"at"`
	Text    string               `json:"text" doc:"What happened, in plain words"`
	Kind    punchcard.LedgerKind `json:"kind" enum:"earn,mature,hold,capture,release,expire,reverse,repay,adjust,merge"`
	Ref     string               `json:"ref" doc:"What it was for: an event, a run, a grant"`
	Points  int64                `json:"points" doc:"What came into the balance, or went out of it"`
	Pending int64                `json:"pending" doc:"The same for points that cannot be spent yet"`
	Held    int64                `json:"held"`
	Debt    int64                `json:"debt"`
	Balance int64                `json:"balance" doc:"After it"`
}

type statementBody struct {
	From    time.Time       `json:"from"`
	To      time.Time       `json:"to"`
	Opening statementSums   `json:"opening" doc:"Where the account stood at from"`
	Closing statementSums   `json:"closing" doc:"Where it stood at to, whatever page this is"`
	Items   []statementLine `json:"items" nullable:"false"`
	Next    *string         `json:"next" doc:"Give this as after for the page that follows, with the same from and to; null at the end"`
}

func sumsOf(s store.Sums) statementSums {
	return statementSums{Balance: s.Available, Pending: s.Pending, Held: s.Held, Debt: s.Debt}
}

func (s *server) pointsStatement(ctx context.Context, in *statementInput) (*output[statementBody], error) {
	c, err := s.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	policy, err := s.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	var after store.Place
	if in.After != "" {
		var micros int64
		text, err := base64.RawURLEncoding.DecodeString(in.After)
		if err != nil {
			return nil, errCursor
		}
		if n, err := fmt.Sscanf(string(text), "%d/%d", &micros, &after.ID); err != nil || n != 2 {
			return nil, errCursor
		}
		after.At = time.UnixMicro(micros).UTC()
	}
	view := s.Store.View(ctx)
	body := statementBody{From: in.From.UTC(), To: in.To.UTC(), Items: []statementLine{}}
	if in.To.IsZero() {
		body.To = view.Now.Add(time.Microsecond)
	}
	if !body.From.Before(body.To) {
		return nil, punchcard.Errorf(punchcard.CodeInvalid, "from is before to").In("from")
	}
	st, err := fence.NewStatement(view, policy.Program, c, body.From, body.To, after, in.Limit)
	if err != nil {
		return nil, err
	}
	body.Opening, body.Closing = sumsOf(st.Opening), sumsOf(st.Closing)
	for _, l := range st.Lines {
		body.Items = append(body.Items, statementLine{l.At, l.Text, l.Kind, l.Ref, l.Points, l.Pending, l.Held, l.Debt, l.Balance})
		if st.More {
			next := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d/%d", l.Place.At.UnixMicro(), l.Place.ID))
			body.Next = &next
		}
	}
	return answer(body), nil
}
