package workflows

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"punchcard/activities"
	"punchcard/rules"
)

// Activities of our own database are local: bounded in time, and retried at short intervals, so that an outage of
// seconds goes unnoticed. See the package comment for why they do not simply go on for days.
const (
	localStartToClose    = 10 * time.Second
	localScheduleToClose = 2 * time.Minute
	localPause           = 30 * time.Second // between the end of one such stretch and the next
)

// Activities that call other people's systems wait with the server, as long as it takes.
const remoteStartToClose = 20 * time.Second

// callStartToClose leaves a program's longest timeout of a call, 30 seconds, and time to write down what came of it.
const callStartToClose = 45 * time.Second

var localRetry = temporal.RetryPolicy{
	InitialInterval:        100 * time.Millisecond,
	BackoffCoefficient:     2,
	MaximumInterval:        5 * time.Second,
	NonRetryableErrorTypes: []string{ErrorBug, errorPanic},
}

var remoteRetry = temporal.RetryPolicy{
	InitialInterval:        time.Second,
	BackoffCoefficient:     2,
	MaximumInterval:        30 * time.Second,
	NonRetryableErrorTypes: []string{ErrorBug, errorPanic},
}

// run is the workflow of every journey. It drives a Cursor over the plan it was given until the Cursor says that the run
// has ended.
func run(ctx workflow.Context, args converter.EncodedValues) (Result, error) {
	var in Input
	if err := args.Get(&in); err != nil || in.Plan == nil {
		return Result{}, temporal.NewNonRetryableApplicationError("this workflow was not started by Punchcard: its input is no run", "input", nil)
	}
	if in.Interpreter < 1 || in.Interpreter > rules.Interpreter {
		// A panic blocks this task and leaves the run whole, for a worker that knows the interpreter.
		panic(fmt.Sprintf("the run goes by interpreter %d; this worker knows 1 to %d", in.Interpreter, rules.Interpreter))
	}
	// Cancelling is not a way to end a run; see the package comment.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	return newRunner(ctx, in).run(ctx)
}

// runner is one run under way.
type runner struct {
	in      Input
	cursor  *rules.Cursor
	signals workflow.ReceiveChannel
	timer   timer
	story   story
	// unheard is what has come and was not told to the Cursor yet.
	unheard []rules.Signal
	// tries counts how often the effect under way has gone unanswered. While it is not 0 it is unknown whether the effect
	// was done, and the Cursor is told nothing: a wake means one thing before an effect and another after it.
	tries int
}

func newRunner(ctx workflow.Context, in Input) *runner {
	r := &runner{
		in:      in,
		signals: workflow.GetSignalChannel(ctx, SignalName),
		story:   story{lines: in.Story},
		unheard: in.Unheard,
		tries:   in.Tries,
	}
	if in.State != nil {
		r.cursor = rules.ResumeCursor(in.Plan, *in.State)
	} else {
		r.cursor = rules.NewCursor(in.Plan, in.Armed, in.First)
	}
	return r
}

func (r *runner) run(ctx workflow.Context) (Result, error) {
	for {
		r.drain()
		r.hear()
		move := r.cursor.Next()
		workflow.SetCurrentDetails(ctx, r.story.markdown(r.now(move)))

		switch move.Kind {
		case rules.MoveEnded:
			return r.ended(ctx, move.Outcome), nil
		case rules.MoveWait:
			if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
				return Result{}, r.continued(ctx)
			}
			r.wait(ctx, move)
		case rules.MoveDo:
			r.timer.stop()
			if result, answered := r.do(ctx, move.Do); answered {
				r.tries = 0
				r.story.add(r.label(), result)
				r.cursor.Done(result)
				continue
			}
			r.tries++
			workflow.SetCurrentDetails(ctx, r.story.markdown(r.now(move)))
			if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
				r.drain()
				return Result{}, r.continued(ctx)
			}
			r.pause(ctx)
		}
	}
}

// drain takes what has come. It never blocks.
func (r *runner) drain() {
	for {
		var s rules.Signal
		if !r.signals.ReceiveAsync(&s) {
			return
		}
		r.unheard = append(r.unheard, s)
	}
}

// hear tells the Cursor what was taken, unless an effect is unanswered.
func (r *runner) hear() {
	if r.tries > 0 {
		return
	}
	for _, s := range r.unheard {
		r.story.heard(s, r.cursor.State().Heard)
		r.cursor.Heard(s)
	}
	r.unheard = nil
}

// do asks for one effect. It is not answered when our database could not be reached.
func (r *runner) do(ctx workflow.Context, do rules.Effect) (result rules.Result, answered bool) {
	node := r.cursor.Node()
	in := activities.Input{Run: r.in.Run, Effect: do}
	var err error
	if node.Remote() {
		err = workflow.ExecuteActivity(remote(ctx, node, r.label()), string(node.Kind), in).Get(ctx, &result)
	} else {
		name := string(node.Kind)
		if node.Kind.Waits() {
			name = ActivityArm
		}
		err = workflow.ExecuteLocalActivity(local(ctx, r.label()), name, in).Get(ctx, &result)
	}
	switch {
	case err == nil:
		return result, true
	case !node.Remote() && mayPass(err):
		workflow.GetLogger(ctx).Warn("effect unanswered", "node", do.Node, "step", do.Step)
		return rules.Result{}, false
	default:
		workflow.GetLogger(ctx).Error("effect failed, the run is stuck", "node", do.Node, "step", do.Step, "error", err)
		return rules.Result{Reply: rules.ReplyStuck, Code: CodeBug}, true
	}
}

// mayPass tells whether an error of an activity may be gone at another try: it timed out, or it is an application's error that
// was not marked as one for ever.
func mayPass(err error) bool {
	if _, timeout := errors.AsType[*temporal.TimeoutError](err); timeout {
		return true
	}
	application, ok := errors.AsType[*temporal.ApplicationError](err)
	return ok && !application.NonRetryable() &&
		!slices.Contains(localRetry.NonRetryableErrorTypes, application.Type())
}

func local(ctx workflow.Context, label string) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: localScheduleToClose,
		StartToCloseTimeout:    localStartToClose,
		RetryPolicy:            &localRetry,
		Summary:                label,
	})
}

func remote(ctx workflow.Context, node rules.Node, label string) workflow.Context {
	queue, timeout := QueueMessages, remoteStartToClose
	if node.Kind == rules.KindCall || node.Asks {
		queue, timeout = QueueCalls, callStartToClose
	}
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           queue,
		StartToCloseTimeout: timeout,
		RetryPolicy:         &remoteRetry,
		Summary:             label,
	})
}

// pause sleeps in real time between two stretches of tries.
func (r *runner) pause(ctx workflow.Context) {
	timer := workflow.NewTimerWithOptions(ctx, localPause, workflow.TimerOptions{Summary: "try again: " + r.label()})
	_ = timer.Get(ctx, nil) // it fails only when cancelled, and nothing cancels it
}

// ended marks how the run ended. Nothing blocks between the drain that led here and the return.
func (r *runner) ended(ctx workflow.Context, outcome string) Result {
	if outcome != "" {
		if err := workflow.UpsertTypedSearchAttributes(ctx, AttributeOutcome.ValueSet(outcome)); err != nil {
			workflow.GetLogger(ctx).Error("outcome not shown", "error", err)
		}
	}
	r.drain()
	return Result{Outcome: outcome}
}

// continued goes on in a new history. It is called right after a drain, and blocks on nothing.
func (r *runner) continued(ctx workflow.Context) error {
	st := r.cursor.State()
	if left, running := r.timer.left(ctx, r.in.Speed, st.WaitNumber); running {
		st.Wait = left
	}
	in := r.in
	in.Armed, in.First = false, 0 // the state says it now
	in.State, in.Unheard, in.Tries, in.Story = &st, r.unheard, r.tries, r.story.lines
	return workflow.NewContinueAsNewError(ctx, workflow.GetInfo(ctx).WorkflowType.Name, in)
}
