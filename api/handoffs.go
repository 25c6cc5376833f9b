package api

import (
	"context"
	"time"

	"punchcard"
)

var aboutClose = options{
	idempotent: true,
	about:      "Automation to the customer goes on, unless another handoff of theirs is open. Messages that waited are tried again within the hour.",
	example:    `{"by": "maria@beanandbloom.example"}`,
}

type handoffItem struct {
	ID         string     `json:"id"`
	RunID      string     `json:"run_id"`
	CustomerID string     `json:"customer_id"`
	Note       string     `json:"note" doc:"What the person is to do"`
	Mutes      bool       `json:"mutes" doc:"Automation to the customer is silent meanwhile. A message that nothing answered mutes nothing, and has no run"`
	MessageID  string     `json:"message_id" doc:"The customer's message that nothing answered; empty for one that a journey handed off"`
	OpenedAt   time.Time  `json:"opened_at"`
	Until      time.Time  `json:"until" doc:"When automation goes on by itself"`
	ClosedAt   *time.Time `json:"closed_at"`
	ClosedBy   string     `json:"closed_by"`
}

func handoffOf(h punchcard.Handoff) handoffItem {
	return handoffItem{h.ID, h.RunID, h.CustomerID, h.Note, h.Mutes, h.MessageID, h.OpenedAt, h.Until, h.ClosedAt, h.ClosedBy}
}

func (s *server) handoffs(ctx context.Context, in *struct{ Paging }) (*output[list[handoffItem]], error) {
	after, err := in.afterID(punchcard.PrefixHandoff)
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.View(ctx).OpenHandoffs(after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return answer(paged(rows, in.Limit, func(h punchcard.Handoff) string { return h.ID }, handoffOf)), nil
}

type closeInput struct {
	ID   string `path:"id" maxLength:"100" doc:"Ours: hnd_…"`
	Body struct {
		By string `json:"by" maxLength:"200" doc:"Who closes it"`
	}
}

func (s *server) closeHandoff(ctx context.Context, in *closeInput) (*output[handoffItem], error) {
	h, err := s.Dispatch.CloseHandoff(ctx, in.ID, in.Body.By)
	if err != nil {
		return nil, err
	}
	return answer(handoffOf(*h)), nil
}
