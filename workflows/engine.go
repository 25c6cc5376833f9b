package workflows

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"punchcard"
	"punchcard/rules"
)

// Engine starts runs and tells them of signals. It is what dispatch's outbox delivers to, and safe for use by many goroutines.
type Engine struct {
	client client.Client
	speed  float64
}

// NewEngine makes an Engine. Speed is business seconds per real second; what is not positive counts as 1.
func NewEngine(c client.Client, speed float64) *Engine {
	if !(speed > 0) {
		speed = 1
	}
	return &Engine{client: c, speed: speed}
}

// Start starts a run's workflow. A run that was started before, and may have ended since, is success: the outbox delivers
// at least once. A plan that cannot be followed is refused with punchcard.CodeInvalid, and trying again will not help; any other
// error is Temporal's, and trying again may.
func (e *Engine) Start(ctx context.Context, s rules.Start) error {
	if s.Plan == nil {
		return punchcard.Errorf(punchcard.CodeInvalid, "run %s of %s has no plan", s.Run, s.Journey)
	}
	if err := s.Plan.Check(); err != nil {
		return punchcard.Errorf(punchcard.CodeInvalid, "run %s of %s: %v", s.Run, s.Journey, err)
	}
	_, err := e.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:        WorkflowID(s.Journey, s.Run),
		TaskQueue: QueueJourneys,
		// One run is one workflow, for ever: what comes twice must neither restart it nor run beside it.
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			AttributeCustomer.ValueSet(s.Customer),
			AttributeJourney.ValueSet(s.Journey),
			AttributeVersion.ValueSet(int64(s.Version)),
		),
		// Temporal drops this when a history is continued; the workflow's type says the same.
		StaticSummary: s.Journey,
	}, s.Journey, Input{
		Run:         s.Run,
		Customer:    s.Customer,
		Version:     s.Version,
		Interpreter: rules.Interpreter,
		Speed:       e.speed,
		Plan:        s.Plan,
		Armed:       s.Armed,
		First:       s.First,
	})
	if _, already := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); already {
		return nil
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", WorkflowID(s.Journey, s.Run), orAway(err))
	}
	return nil
}

// orAway gives an error of Temporal that would have met any run punchcard.CodeUnavailable: Temporal was not reached, did not
// answer in time, or has too much to do.
func orAway(err error) error {
	_, unavailable := errors.AsType[*serviceerror.Unavailable](err)
	_, late := errors.AsType[*serviceerror.DeadlineExceeded](err)
	_, busy := errors.AsType[*serviceerror.ResourceExhausted](err)
	if unavailable || late || busy || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", errAway, err)
	}
	return err
}

var errAway = punchcard.Errorf(punchcard.CodeUnavailable, "Temporal cannot take it now")

// Signal tells a run's workflow of a signal. It returns punchcard.ErrRunGone when the workflow is over or was never there;
// any other error is Temporal's, and trying again may help.
func (e *Engine) Signal(ctx context.Context, journey, run string, s rules.Signal) error {
	id := WorkflowID(journey, run)
	err := e.client.SignalWorkflow(ctx, id, "", SignalName, s)
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		return fmt.Errorf("signal %d to %s: %w", s.N, id, punchcard.ErrRunGone)
	}
	if err != nil {
		return fmt.Errorf("signal %d to %s: %w", s.N, id, orAway(err))
	}
	return nil
}
