package api

import (
	"context"
	"time"

	"punchcard"
)

const (
	aboutAccount = "What WhatsApp says of the account that messages go out by. An open circuit holds runs before they send: nothing is lost, and they go on when it closes."
	aboutCircuit = "Close it when what WhatsApp stopped the account for is mended: the first message that is refused opens it again. Runs that it held go on."
)

type circuitItem struct {
	Open   bool       `json:"open"`
	Reason string     `json:"reason" doc:"Why it is open: a code of WhatsApp's, or a word of its"`
	Since  *time.Time `json:"since"`
	Until  *time.Time `json:"until" doc:"When it closes by itself; null: somebody closes it, or WhatsApp reinstates the account"`
	Held   int64      `json:"held" doc:"How many runs it holds"`
}

type accountItem struct {
	Circuit    circuitItem `json:"circuit" doc:"Of every message"`
	Marketing  circuitItem `json:"marketing" doc:"Of marketing alone"`
	DailyLimit *int64      `json:"daily_limit" doc:"How many customers a day may be written to outside of their service window, by WhatsApp's word; 0: any number; null: it has not said"`
	Contacted  int64       `json:"contacted" doc:"How many were, of the last day"`
	Quality    string      `json:"quality" doc:"Of the number: GREEN, YELLOW, RED; empty: WhatsApp has not said"`
}

func (s *server) account(ctx context.Context, _ *struct{}) (*output[accountItem], error) {
	view := s.Store.View(ctx)
	a, err := view.WhatsAppAccount()
	if err != nil {
		return nil, err
	}
	item := accountItem{DailyLimit: a.DailyLimit, Quality: a.Quality}
	for scope, into := range map[punchcard.CircuitScope]*circuitItem{punchcard.CircuitAll: &item.Circuit, punchcard.CircuitMarketing: &item.Marketing} {
		into.Reason, into.Since, into.Until = a.Opened(scope)
		into.Open = into.Reason != ""
	}
	if item.Circuit.Held, err = view.CountHeld(punchcard.ReasonCircuitOpen); err != nil {
		return nil, err
	}
	if item.Marketing.Held, err = view.CountHeld(punchcard.ReasonMarketingOpen); err != nil {
		return nil, err
	}
	item.Contacted, _, err = view.Contacts()
	return answer(item), err
}

type closeCircuitInput struct {
	Body struct {
		Scope punchcard.CircuitScope `json:"scope,omitempty" enum:"all,marketing" default:"all" doc:"Which one"`
		By    string                 `json:"by" minLength:"1" maxLength:"200" doc:"Who closes it"`
	}
}

type closedCircuit struct {
	Resumed int `json:"resumed" doc:"How many runs went on"`
}

func (s *server) closeCircuit(ctx context.Context, in *closeCircuitInput) (*output[closedCircuit], error) {
	n, err := s.Dispatch.CloseCircuit(ctx, in.Body.Scope, in.Body.By)
	if err != nil {
		return nil, err
	}
	return answer(closedCircuit{n}), nil
}

type messagesInput struct {
	Paging

	Status punchcard.MessageStatus `query:"status" enum:"sending,unknown" doc:"One of the two; both when absent"`
}

// unsettledMessages lists messages of which nobody knows what became: under way, or never heard of again.
func (s *server) unsettledMessages(ctx context.Context, in *messagesInput) (*output[list[unsettledItem]], error) {
	before, err := in.afterID(punchcard.PrefixMessage)
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.View(ctx).Unsettled(in.Status, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return answer(paged(rows, in.Limit, func(m punchcard.Message) string { return m.ID }, func(m punchcard.Message) unsettledItem {
		return unsettledItem{m.ID, m.CustomerID, m.RunID, m.Template, m.Category, m.Status, m.Reason, m.ErrorCode, m.HandedAt, m.ReportedAt}
	})), nil
}

type unsettledItem struct {
	ID         string                  `json:"id"`
	CustomerID string                  `json:"customer_id"`
	RunID      string                  `json:"run_id"`
	Template   string                  `json:"template" doc:"Empty for free text"`
	Category   string                  `json:"category"`
	Status     punchcard.MessageStatus `json:"status" enum:"sending,unknown"`
	Reason     string                  `json:"reason"`
	ErrorCode  int                     `json:"error_code" doc:"WhatsApp's, where it gave one"`
	HandedAt   *time.Time              `json:"handed_at" doc:"When it passed the gate, on its way to WhatsApp"`
	ReportedAt *time.Time              `json:"reported_at" doc:"When an alert said that no status settles it"`
}
