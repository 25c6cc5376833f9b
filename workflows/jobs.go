package workflows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"punchcard"
	"punchcard/activities"
)

// QueueJobs is the task queue of jobs: work on many customers keeps no run waiting.
const QueueJobs = "jobs"

const (
	workflowJob = "job"
	activityJob = "work"
	scheduleJob = "job/" // and the job's name: the id of its schedule, and of its workflows
)

// JobInput is what the workflow of a job is given, and what goes on with it from one history to the next.
type JobInput struct {
	Job string `json:"job"`
	JobProgress
}

// JobProgress is how far one round of a job has come.
type JobProgress struct {
	After  string `json:"after,omitempty"` // where it goes on
	Done   int64  `json:"done"`
	Of     int64  `json:"of,omitempty"` // about how many there were to do when it began; 0: that is not known
	Failed int64  `json:"failed,omitempty"`
	Ended  bool   `json:"ended,omitempty"`
}

const (
	// jobStretch is how long an activity goes on with a job before it answers how far it has come.
	jobStretch = time.Minute
	// jobStartToClose is longer by what the last batch may take at most.
	jobStartToClose = 5 * time.Minute
	// jobHeartbeat is how soon it is noticed that a worker died.
	jobHeartbeat = 30 * time.Second
	// jobStretches is how many a history has.
	jobStretches = 200
)

// job is the workflow of every job: it asks for one stretch of work after the other, until there is no more. It decides nothing.
func job(ctx workflow.Context, in JobInput) (JobProgress, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: jobStartToClose,
		HeartbeatTimeout:    jobHeartbeat,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
		Summary:             in.Job,
	})
	for range jobStretches {
		workflow.SetCurrentDetails(ctx, in.markdown())
		if err := workflow.ExecuteActivity(ctx, activityJob, in).Get(ctx, &in.JobProgress); err != nil {
			return in.JobProgress, err
		}
		if in.Ended {
			workflow.SetCurrentDetails(ctx, in.markdown())
			return in.JobProgress, nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			break
		}
	}
	return in.JobProgress, workflow.NewContinueAsNewError(ctx, workflowJob, in)
}

// markdown is what Temporal's pages show of a round.
func (in JobInput) markdown() string {
	state := "under way"
	if in.Ended {
		state = "ended"
	}
	done := fmt.Sprint(in.Done)
	if in.Of > 0 {
		done += fmt.Sprintf(" of about %d", in.Of)
	}
	return fmt.Sprintf("**%s** %s: %s done, %d failed", in.Job, state, done, in.Failed)
}

// jobs does the work of jobs.
type jobs struct {
	table map[string]activities.Job
	log   *slog.Logger
}

func newJobs(table []activities.Job, log *slog.Logger) *jobs {
	j := &jobs{table: map[string]activities.Job{}, log: log}
	for _, job := range table {
		j.table[job.Name] = job
	}
	return j
}

// errJob is all that a history learns of a job's trouble: its own words may quote what it was given.
var errJob = errors.New("the job cannot go on just now; this is tried again, and the worker's log says why")

// work does batches of a job for a stretch, from where it was, and tells after each how far it has come: a worker that dies in the
// middle loses a batch at most, and doing that again does nothing twice.
func (j *jobs) work(ctx context.Context, in JobInput) (JobProgress, error) {
	job, known := j.table[in.Job]
	if !known {
		return in.JobProgress, temporal.NewNonRetryableApplicationError("this worker knows no such job", "job", nil)
	}
	p := in.JobProgress
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &p); err != nil {
			return in.JobProgress, errJob
		}
	}
	for stretch := time.Now(); !p.Ended && time.Since(stretch) < jobStretch; {
		b, err := job.Batch(ctx, p.After)
		if ctx.Err() != nil {
			return p, ctx.Err()
		}
		if err != nil {
			j.log.WarnContext(ctx, "a job cannot go on just now and is tried again", "job", in.Job, "error", err)
			return p, errJob
		}
		p.After, p.Done, p.Failed = b.Next, p.Done+int64(b.Done), p.Failed+int64(b.Failed)
		p.Of = max(p.Of, b.Of)
		p.Ended = b.Next == "" && !b.Busy
		activity.RecordHeartbeat(ctx, p)
		pause := job.Pause
		if b.Busy {
			pause = busyPause
		}
		select {
		case <-ctx.Done():
			return p, ctx.Err()
		case <-activity.GetWorkerStopChannel(ctx):
			return p, nil // another worker goes on
		case <-time.After(pause):
		}
	}
	return p, nil
}

// busyPause is how long a job waits where dispatch has much to do.
const busyPause = 200 * time.Millisecond

// minJobEvery is how often a job comes round at most, in real time: at a development server's pace an hour is over in a moment.
const minJobEvery = 15 * time.Second

// EnsureSchedules makes a schedule for each job, and brings those that are there up to date. One that somebody has paused stays so. A
// round that is still under way when the next is due goes on alone. Any number of workers may do it at once.
func EnsureSchedules(ctx context.Context, c client.Client, table []activities.Job, clock punchcard.Clock) error {
	for _, job := range table {
		id := scheduleJob + job.Name
		spec := &client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: max(clock.Real(job.Every), minJobEvery)}}}
		action := &client.ScheduleWorkflowAction{ID: id, Workflow: workflowJob, TaskQueue: QueueJobs, Args: []any{JobInput{Job: job.Name}}}
		policy := &client.SchedulePolicies{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: time.Minute}
		_, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{
			ID: id, Spec: *spec, Action: action, Overlap: policy.Overlap, CatchupWindow: policy.CatchupWindow,
		})
		if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
			err = c.ScheduleClient().GetHandle(ctx, id).Update(ctx, client.ScheduleUpdateOptions{
				DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
					s := in.Description.Schedule
					if upToDate(s, spec, action, policy) {
						// An update writes what it has read: one that changes nothing could take back what somebody has just paused.
						return nil, temporal.ErrSkipScheduleUpdate
					}
					s.Spec, s.Action, s.Policy = spec, action, policy
					return &client.ScheduleUpdate{Schedule: &s}, nil
				},
			})
		}
		if err != nil {
			return fmt.Errorf("make the schedule of job %s: %w", job.Name, err)
		}
	}
	return nil
}

// upToDate tells whether a schedule is as it is wanted.
func upToDate(have client.Schedule, spec *client.ScheduleSpec, action *client.ScheduleWorkflowAction, policy *client.SchedulePolicies) bool {
	does, ok := have.Action.(*client.ScheduleWorkflowAction)
	return ok && does.Workflow == action.Workflow && does.TaskQueue == action.TaskQueue && does.ID == action.ID &&
		have.Spec != nil && slices.Equal(have.Spec.Intervals, spec.Intervals) &&
		have.Policy != nil && have.Policy.Overlap == policy.Overlap && have.Policy.CatchupWindow == policy.CatchupWindow
}

// Missing are the ids of those of the runs whose workflow is not under way. One question is asked of all, and then one of each that
// it did not show: what it shows may be a moment old.
func (e *Engine) Missing(ctx context.Context, runs []punchcard.Run) ([]string, error) {
	var query strings.Builder
	query.WriteString(`ExecutionStatus = "Running" AND WorkflowId IN (`)
	for i, r := range runs {
		if i > 0 {
			query.WriteString(", ")
		}
		query.WriteString(`"` + WorkflowID(r.Journey, r.ID) + `"`)
	}
	seen := map[string]bool{}
	var page []byte
	for {
		listed, err := e.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query.String() + ")", NextPageToken: page})
		if err != nil {
			return nil, orAway(err)
		}
		for _, w := range listed.GetExecutions() {
			seen[w.GetExecution().GetWorkflowId()] = true
		}
		if page = listed.GetNextPageToken(); len(page) == 0 {
			break
		}
	}
	var missing []string
	for _, r := range runs {
		id := WorkflowID(r.Journey, r.ID)
		if seen[id] {
			continue
		}
		w, err := e.client.DescribeWorkflowExecution(ctx, id, "")
		_, gone := errors.AsType[*serviceerror.NotFound](err)
		switch {
		case gone:
		case err != nil:
			return nil, orAway(err)
		case w.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING,
			w.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
			continue
		}
		missing = append(missing, r.ID)
	}
	return missing, nil
}
