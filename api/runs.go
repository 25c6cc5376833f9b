package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"punchcard"
)

var aboutStart = options{
	status: http.StatusCreated, idempotent: true,
	about: "The properties are those of one of the events that the journey is entered by. A run that is live on the same key is answered with 409 and its run_id. The customer must be known: a start makes nobody.",
	example: `{"customer": "external:c-17",
 "properties": {"cart_id": "cart-9", "total": 42, "items": [{"name": "Espresso beans", "price": 42}]}}`,
}

var aboutPause = options{
	about:   "Runs are held before their next effect, and so are those that start meanwhile. Nobody is dropped.",
	example: `{"reason": "the offer has a wrong price"}`,
}

// properties are values that are free in form, with numbers as they were written.
type properties map[string]any

// UnmarshalJSON keeps numbers exact.
func (p *properties) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode((*map[string]any)(p))
}

// Schema is an object's.
func (properties) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "As the program declares them"}
}

type startInput struct {
	Journey string `path:"journey" maxLength:"200" doc:"Its name in the program"`
	Body    struct {
		Customer   customerRef `json:"customer"`
		Properties properties  `json:"properties,omitempty"`
	}
}

type startedRun struct {
	RunID       string `json:"run_id"`
	WorkflowID  string `json:"workflow_id"`
	TemporalURL string `json:"temporal_url"`
}

func (s *server) startRun(ctx context.Context, in *startInput) (*output[startedRun], error) {
	// The journey comes first: who asks for one that is not there need not be told about customers.
	policy, err := s.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	if policy.Journeys[in.Journey] == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "the program has no such journey").Because("unknown_journey")
	}
	c, err := s.find(ctx, in.Body.Customer)
	if err != nil {
		return nil, err
	}
	run, err := s.Dispatch.StartRun(ctx, in.Journey, c.ID, in.Body.Properties, requestKey(ctx))
	if err != nil {
		p := s.problem(ctx, err)
		if run != nil {
			p.RunID, p.WorkflowID = run.ID, s.WorkflowID(run.Journey, run.ID)
			p.TemporalURL = s.TemporalURL(p.WorkflowID)
		}
		return nil, p
	}
	workflow := s.WorkflowID(run.Journey, run.ID)
	return answer(startedRun{RunID: run.ID, WorkflowID: workflow, TemporalURL: s.TemporalURL(workflow)}), nil
}

// RunPath names a run in a path.
type RunPath struct {
	ID string `path:"id" maxLength:"100" doc:"Ours: run_…"`
}

type runView struct {
	RunItem
	CustomerID   string     `json:"customer_id"`
	Node         string     `json:"node" doc:"The step's id in the journey's text"`
	WaitingUntil *time.Time `json:"waiting_until" doc:"Until when it waits, if it does"`
	Story        []stepBody `json:"story" nullable:"false" doc:"What it has done, in order"`
}

type stepBody struct {
	Step    int       `json:"step"`
	Node    string    `json:"node"`
	Label   string    `json:"label"`
	Outcome string    `json:"outcome"`
	Code    string    `json:"code"`
	At      time.Time `json:"at"`
}

// runItem is a run as lists have it.
func (s *server) runItem(ctx context.Context, r *punchcard.Run) RunItem {
	step := r.Node
	// A version that does not compile any more is no reason to hide its runs.
	if _, j, err := s.Catalog.Journey(ctx, r.Version, r.Journey); err == nil && j.Plan.Nodes[r.Node].Label != "" {
		step = j.Plan.Nodes[r.Node].Label
	}
	workflow := s.WorkflowID(r.Journey, r.ID)
	return RunItem{
		ID: r.ID, Journey: r.Journey, Version: r.Version, Status: r.Status, Step: step, Outcome: r.Outcome, Goal: r.Goal, Value: r.Value,
		Reason: r.Reason, Key: r.Key, StartedAt: r.StartedAt, EndedAt: r.EndedAt, WorkflowID: workflow, TemporalURL: s.TemporalURL(workflow),
	}
}

func (s *server) run(ctx context.Context, in *RunPath) (*output[runView], error) {
	view := s.Store.View(ctx)
	r, err := view.Run(in.ID)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "there is no run with that id")
	}
	steps, err := view.Story(r.ID)
	if err != nil {
		return nil, err
	}
	v := runView{RunItem: s.runItem(ctx, r), CustomerID: r.CustomerID, Node: r.Node, Story: make([]stepBody, len(steps))}
	if r.Listener != nil && !r.Listener.Deadline.IsZero() {
		v.WaitingUntil = &r.Listener.Deadline
	}
	for i, st := range steps {
		v.Story[i] = stepBody{st.Step, st.Node, st.Label, st.Outcome, st.Code, st.At}
	}
	return answer(v), nil
}

type runStatus struct {
	RunID  string              `json:"run_id"`
	Status punchcard.RunStatus `json:"status" enum:"live"`
}

func (s *server) retryRun(ctx context.Context, in *RunPath) (*output[runStatus], error) {
	if err := s.Dispatch.Retry(ctx, in.ID); err != nil {
		return nil, err
	}
	return answer(runStatus{RunID: in.ID, Status: punchcard.RunLive}), nil
}

// JourneyPath names a journey in a path.
type JourneyPath struct {
	Journey string `path:"journey" maxLength:"200" doc:"Its name in the program"`
}

type pauseInput struct {
	JourneyPath
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"2000" doc:"For the next who wonders"`
	}
}

type journeyState struct {
	Journey string `json:"journey"`
	Paused  bool   `json:"paused"`
	Held    int    `json:"held" doc:"How many runs are held now"`
	Resumed int    `json:"resumed" doc:"How many went on"`
}

func (s *server) pause(ctx context.Context, in *pauseInput) (*output[journeyState], error) {
	reason := ""
	if in.Body != nil {
		reason = in.Body.Reason
	}
	if err := s.Dispatch.Pause(ctx, in.Journey, reason); err != nil {
		return nil, err
	}
	held, err := s.Store.View(ctx).HeldRuns(in.Journey)
	if err != nil {
		return nil, err
	}
	return answer(journeyState{Journey: in.Journey, Paused: true, Held: len(held)}), nil
}

func (s *server) resume(ctx context.Context, in *JourneyPath) (*output[journeyState], error) {
	resumed, err := s.Dispatch.Resume(ctx, in.Journey)
	if err != nil {
		return nil, err
	}
	held, err := s.Store.View(ctx).HeldRuns(in.Journey)
	if err != nil {
		return nil, err
	}
	return answer(journeyState{Journey: in.Journey, Held: len(held), Resumed: resumed}), nil
}

type runsInput struct {
	Paging
	Status  punchcard.RunStatus `query:"status" enum:"live,held,stuck,ended" doc:"Only those; all when absent"`
	Journey string              `query:"journey" maxLength:"200" doc:"Only of this journey"`
	Reason  string              `query:"reason" maxLength:"200" doc:"Only with this reason, such as whatsapp_190"`
}

func (s *server) allRuns(ctx context.Context, in *runsInput) (*output[list[RunItem]], error) {
	before, err := in.afterID(punchcard.PrefixRun)
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.View(ctx).RunsOf(in.Status, in.Journey, in.Reason, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return answer(paged(rows, in.Limit, func(r punchcard.Run) string { return r.ID }, func(r punchcard.Run) RunItem { return s.runItem(ctx, &r) })), nil
}

var aboutRetryAll = options{
	status:  http.StatusAccepted,
	about:   "For when what many runs are stuck on has been mended: a token, a template. Each tries its effect again, under the same key.",
	example: `{"reason": "whatsapp_190"}`,
}

type retryAllInput struct {
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"100" doc:"Only runs that are stuck for this reason; all when absent"`
	}
}

type retriedRuns struct {
	Retried int `json:"retried"`
}

func (s *server) retryRuns(ctx context.Context, in *retryAllInput) (*output[retriedRuns], error) {
	n, err := s.Dispatch.RetryAll(ctx, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return answer(retriedRuns{n}), nil
}
