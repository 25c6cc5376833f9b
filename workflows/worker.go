package workflows

import (
	"context"
	"fmt"
	"log/slog"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"punchcard/activities"
	"punchcard/rules"
)

// Activities is what a run may do to the world: a method for each kind of effect, and Arm for the waits. Each is idempotent by
// run and step.
//
// An error means that it is unknown whether the effect was done, and the effect is asked for again, for as long as it takes.
// What trying again cannot mend is a rules.ReplyStuck, or an application error of type ErrorBug.
type Activities interface {
	Send(context.Context, activities.Input) (rules.Result, error)
	Say(context.Context, activities.Input) (rules.Result, error)
	Ask(context.Context, activities.Input) (rules.Result, error)
	Choose(context.Context, activities.Input) (rules.Result, error)
	Reward(context.Context, activities.Input) (rules.Result, error)
	Redeem(context.Context, activities.Input) (rules.Result, error)
	Release(context.Context, activities.Input) (rules.Result, error)
	Consent(context.Context, activities.Input) (rules.Result, error)
	Approve(context.Context, activities.Input) (rules.Result, error)
	Split(context.Context, activities.Input) (rules.Result, error)
	Capture(context.Context, activities.Input) (rules.Result, error)
	Points(context.Context, activities.Input) (rules.Result, error)
	Label(context.Context, activities.Input) (rules.Result, error)
	Unlabel(context.Context, activities.Input) (rules.Result, error)
	Set(context.Context, activities.Input) (rules.Result, error)
	Raise(context.Context, activities.Input) (rules.Result, error)
	Handoff(context.Context, activities.Input) (rules.Result, error)
	Call(context.Context, activities.Input) (rules.Result, error)
	Start(context.Context, activities.Input) (rules.Result, error)
	End(context.Context, activities.Input) (rules.Result, error)
	Arm(context.Context, activities.Input) (rules.Result, error)
}

// Options bound what one Worker does at a time. The zero value is the SDK's defaults, which suit a small machine.
type Options struct {
	// Journeys is how many workflow tasks run at a time, at least 2; 0: 1000. Lower it when a worker's memory is short.
	Journeys int
	// Effects is how many effects on our database run at a time; 0: 1000. The pool of database connections is a good measure.
	Effects int
	// Messages is how many messages are being handed to WhatsApp at a time; 0: 1000. The send rate is bounded elsewhere.
	Messages int
	// Calls is how many other systems are being asked at a time; 0: 1000.
	Calls int
	// Jobs are the jobs that come round by their schedules (see EnsureSchedules); none: this worker does none.
	Jobs []activities.Job
	// Log is where jobs say what keeps them from going on; nil: slog's own.
	Log *slog.Logger
	// Fatal is called when a worker stops by itself, for a reason that will not pass: a namespace that does not exist. Nil: it
	// is logged only.
	Fatal func(error)
}

// Worker runs journeys and sends their messages.
type Worker struct {
	journeys worker.Worker
	messages worker.Worker
	calls    worker.Worker
	jobs     worker.Worker
}

// parts are the workers in the order in which they start.
func (w *Worker) parts() []worker.Worker {
	return []worker.Worker{w.journeys, w.messages, w.calls, w.jobs}
}

// NewWorker makes a Worker that takes work from all task queues once it is started.
func NewWorker(c client.Client, a Activities, o Options) *Worker {
	w := &Worker{
		journeys: worker.New(c, QueueJourneys, worker.Options{
			MaxConcurrentWorkflowTaskExecutionSize:  o.Journeys,
			MaxConcurrentLocalActivityExecutionSize: o.Effects,
			LocalActivityWorkerOnly:                 true,
			OnFatalError:                            o.Fatal,
		}),
		messages: worker.New(c, QueueMessages, worker.Options{
			MaxConcurrentActivityExecutionSize: o.Messages,
			DisableWorkflowWorker:              true,
			// A message in flight is let go out: the answer to it is worth the wait.
			WorkerStopTimeout: remoteStartToClose,
			OnFatalError:      o.Fatal,
		}),
		calls: worker.New(c, QueueCalls, worker.Options{
			MaxConcurrentActivityExecutionSize: o.Calls,
			DisableWorkflowWorker:              true,
			WorkerStopTimeout:                  remoteStartToClose,
			OnFatalError:                       o.Fatal,
		}),
		jobs: worker.New(c, QueueJobs, worker.Options{
			MaxConcurrentActivityExecutionSize: max(len(o.Jobs), 1),
			WorkerStopTimeout:                  remoteStartToClose,
			OnFatalError:                       o.Fatal,
		}),
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	w.jobs.RegisterWorkflowWithOptions(job, workflow.RegisterOptions{Name: workflowJob})
	w.jobs.RegisterActivityWithOptions(newJobs(o.Jobs, o.Log).work, activity.RegisterOptions{Name: activityJob})
	w.journeys.RegisterDynamicWorkflow(run, workflow.DynamicRegisterOptions{})
	for name, f := range map[string]any{
		string(rules.KindChoose):  a.Choose,
		string(rules.KindReward):  a.Reward,
		string(rules.KindRedeem):  a.Redeem,
		string(rules.KindRelease): a.Release,
		string(rules.KindConsent): a.Consent,
		string(rules.KindApprove): a.Approve,
		string(rules.KindSplit):   a.Split,
		string(rules.KindCapture): a.Capture,
		string(rules.KindPoints):  a.Points,
		string(rules.KindLabel):   a.Label,
		string(rules.KindUnlabel): a.Unlabel,
		string(rules.KindSet):     a.Set,
		string(rules.KindRaise):   a.Raise,
		string(rules.KindHandoff): a.Handoff,
		string(rules.KindStart):   a.Start,
		string(rules.KindEnd):     a.End,
		ActivityArm:               a.Arm,
	} {
		w.journeys.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	for name, f := range map[string]any{
		string(rules.KindSend): a.Send,
		string(rules.KindSay):  a.Say,
		string(rules.KindAsk):  a.Ask,
	} {
		w.messages.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	for name, f := range map[string]any{
		string(rules.KindCall):   a.Call,
		string(rules.KindReward): a.Reward, // those whose code another system is asked for: see rules.Node.Asks
		string(rules.KindRedeem): a.Redeem,
	} {
		w.calls.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	return w
}

// Start begins to take work. It returns when the workers are up, or with the error that kept one from it.
func (w *Worker) Start() error {
	for i, part := range w.parts() {
		if err := part.Start(); err != nil {
			for _, started := range w.parts()[:i] {
				started.Stop()
			}
			return fmt.Errorf("start the worker of task queue %s: %w", queues[i], err)
		}
	}
	return nil
}

// Stop takes no more work, lets messages in flight go out, for 20 seconds at most, and returns. Runs and jobs go on at other
// workers.
func (w *Worker) Stop() {
	for _, part := range w.parts() {
		part.Stop()
	}
}

// queues are the task queues of a Worker's parts.
var queues = []string{QueueJourneys, QueueMessages, QueueCalls, QueueJobs}
