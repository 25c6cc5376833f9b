package api

import (
	"context"
	"time"

	"punchcard"
)

var aboutDecision = options{
	idempotent: true,
	about:      "A question can be decided once, and only while its run waits for it.",
	example:    `{"decision": "approve", "by": "maria@beanandbloom.example", "note": "known customer"}`,
}

type approvalItem struct {
	ID         string                   `json:"id"`
	RunID      string                   `json:"run_id"`
	CustomerID string                   `json:"customer_id"`
	Title      string                   `json:"title" doc:"What is asked"`
	Status     punchcard.ApprovalStatus `json:"status" enum:"pending,approved,rejected,lapsed"`
	By         string                   `json:"by"`
	Note       string                   `json:"note"`
	CreatedAt  time.Time                `json:"created_at"`
	DecidedAt  *time.Time               `json:"decided_at"`
}

func approvalOf(a punchcard.Approval) approvalItem {
	return approvalItem{a.ID, a.RunID, a.CustomerID, a.Title, a.Status, a.By, a.Note, a.CreatedAt, a.DecidedAt}
}

type approvalsInput struct {
	Paging
	Status punchcard.ApprovalStatus `query:"status" enum:"pending,approved,rejected,lapsed" doc:"Only those; all when absent"`
}

func (s *server) approvals(ctx context.Context, in *approvalsInput) (*output[list[approvalItem]], error) {
	after, err := in.afterID(punchcard.PrefixApproval)
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.View(ctx).Approvals(in.Status, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return answer(paged(rows, in.Limit, func(a punchcard.Approval) string { return a.ID }, approvalOf)), nil
}

// The decisions.
const decisionApprove = "approve"

type decisionInput struct {
	ID   string `path:"id" maxLength:"100" doc:"Ours: apr_…"`
	Body struct {
		Decision string `json:"decision" enum:"approve,reject"`
		By       string `json:"by" maxLength:"200" doc:"Who decides"`
		Note     string `json:"note,omitempty" maxLength:"2000"`
	}
}

func (s *server) decide(ctx context.Context, in *decisionInput) (*output[approvalItem], error) {
	a, err := s.Dispatch.Decide(ctx, in.ID, in.Body.Decision == decisionApprove, in.Body.By, in.Body.Note)
	if err != nil {
		return nil, err
	}
	return answer(approvalOf(*a)), nil
}
