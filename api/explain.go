package api

import (
	"context"
	"strconv"
	"time"

	"punchcard"
	"punchcard/internal/fence"
)

const aboutExplain = "Each change of what was decided of a message: it went, waits, or is not sent. With the rule, what was seen then (no phone and no " +
	"text), and what would have to change for it to go."

type explainInput struct {
	CustomerPath
	Paging

	From time.Time `query:"from" doc:"From this moment on"`
	To   time.Time `query:"to" doc:"Until before this one"`
}

type decisionItem struct {
	ID           int64                   `json:"id"`
	At           time.Time               `json:"at"`
	Decision     punchcard.Verdict       `json:"decision" enum:"send,defer,hold,suppress,end,failed"`
	Reason       string                  `json:"reason" doc:"A code; empty where it was sent"`
	Rule         string                  `json:"rule" doc:"The same in words"`
	Change       string                  `json:"change" doc:"What would have to change for it to go"`
	Until        *time.Time              `json:"until" doc:"When it is asked again"`
	Facts        punchcard.DecisionFacts `json:"facts" doc:"What was seen"`
	MessageID    string                  `json:"message_id"`
	RunID        string                  `json:"run_id"`
	Journey      string                  `json:"journey"`
	Template     string                  `json:"template" doc:"Empty for free text"`
	Status       punchcard.MessageStatus `json:"status" doc:"How the message stands now"`
	StatusReason string                  `json:"status_reason"`
}

func decisionOf(e fence.Explained) decisionItem {
	return decisionItem{
		e.ID, e.At, e.Verdict, e.Reason, e.Rule, e.Change, e.Until, e.Facts, e.MessageID, e.RunID, e.Journey, e.Template, e.Status, e.StatusReason,
	}
}

func (s *server) explain(ctx context.Context, in *explainInput) (*output[list[decisionItem]], error) {
	c, err := s.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	after, err := in.afterNumber()
	if err != nil {
		return nil, err
	}
	rows, err := fence.Explain(s.Store.View(ctx), c.ID, after, in.From, in.To, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return answer(paged(rows, in.Limit, func(e fence.Explained) string { return strconv.FormatInt(e.ID, 10) }, decisionOf)), nil
}
