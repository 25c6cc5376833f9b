package workflows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/activities"
)

const jobHistory = "testdata/histories/jobs/points.json"

// startJobs runs a worker that does jobs, on a task queue of the test's own.
func startJobs(t *testing.T, queue string, table []activities.Job) {
	t.Helper()
	w := worker.New(house.client, queue, worker.Options{})
	w.RegisterWorkflowWithOptions(job, workflow.RegisterOptions{Name: workflowJob})
	w.RegisterActivityWithOptions(newJobs(table, slog.New(slog.DiscardHandler)).work, activity.RegisterOptions{Name: activityJob})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
}

// A job goes on from where it came to, whatever fails on the way, and each batch is done.
func TestJobGoesOn(t *testing.T) {
	t.Parallel()
	const batches = 10
	var asked [batches]atomic.Int32
	queue := "jobs-" + t.Name()
	startJobs(t, queue, []activities.Job{{Name: "points", Batch: func(_ context.Context, after string) (activities.Batch, error) {
		n := 0
		_, _ = fmt.Sscanf(after, "%d", &n)
		tries := asked[n].Add(1)
		switch {
		case n == 0:
			return activities.Batch{Next: "1", Done: 100, Of: batches * 100}, nil
		case n == 3 && tries == 1:
			return activities.Batch{}, errors.New("the database is away, and +4520123456 must not be read in a history")
		case n == 5 && tries == 1:
			return activities.Batch{Next: after, Busy: true}, nil
		case n == batches-1:
			return activities.Batch{Done: 100, Failed: 1}, nil
		}
		return activities.Batch{Next: fmt.Sprint(n + 1), Done: 100}, nil
	}}})
	run, err := house.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: t.Name(), TaskQueue: queue}, workflowJob, JobInput{Job: "points"})
	require.NoError(t, err)
	var p JobProgress
	require.NoError(t, run.Get(t.Context(), &p))
	require.Equal(t, JobProgress{Done: batches * 100, Of: batches * 100, Failed: 1, Ended: true}, p)
	require.Equal(t, "**points** ended: 1000 of about 1000 done, 1 failed", JobInput{Job: "points", JobProgress: p}.markdown())
	for n := range asked {
		require.LessOrEqual(t, asked[n].Load(), int32(2), "batch %d: a retry begins where the try before came to", n)
	}
	history := house.client.GetWorkflowHistory(t.Context(), t.Name(), run.GetRunID(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	all := &historypb.History{}
	for history.HasNext() {
		e, err := history.Next()
		require.NoError(t, err)
		all.Events = append(all.Events, e)
	}
	text, err := protojson.MarshalOptions{Indent: " "}.Marshal(all)
	require.NoError(t, err)
	require.NotContains(t, string(text), "4520123456")
	if _, err := os.Stat(jobHistory); os.IsNotExist(err) && *update { // once recorded, it stays
		require.NoError(t, os.MkdirAll(filepath.Dir(jobHistory), 0o750))
		require.NoError(t, os.WriteFile(jobHistory, text, 0o600))
	}
}

func TestJobReplays(t *testing.T) {
	t.Parallel()
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{})
	require.NoError(t, err)
	replayer.RegisterWorkflowWithOptions(job, workflow.RegisterOptions{Name: workflowJob})
	require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), jobHistory))
}

// Workers that start together make one schedule for each job, and bring it up to date; one that is paused stays so.
func TestSchedules(t *testing.T) {
	t.Parallel()
	name := "schedule-test"
	table := func(every time.Duration) []activities.Job { return []activities.Job{{Name: name, Every: every}} }
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() { errs <- EnsureSchedules(t.Context(), house.client, table(time.Hour), punchcard.SystemClock{}) }()
	}
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	handle := house.client.ScheduleClient().GetHandle(t.Context(), scheduleJob+name)
	require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{}))
	var d *client.ScheduleDescription
	shows := func(what func() bool) { // Temporal answers before it has done what it was asked for
		t.Helper()
		require.Eventually(t, func() bool {
			var err error
			d, err = handle.Describe(t.Context())
			return err == nil && what()
		}, 30*time.Second, 20*time.Millisecond)
	}
	shows(func() bool { return d.Schedule.State.Paused })
	require.NoError(t, EnsureSchedules(t.Context(), house.client, table(2*time.Hour), punchcard.SystemClock{}))
	shows(func() bool { return d.Schedule.Spec.Intervals[0].Every == 2*time.Hour })
	require.True(t, d.Schedule.State.Paused, "one that is paused stays so")
	require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, d.Schedule.Policy.Overlap)
	require.NoError(t, handle.Trigger(t.Context(), client.ScheduleTriggerOptions{}))
	require.NoError(t, handle.Delete(t.Context()))
}

// A run that is under way is not missing, one that was terminated is, and one that never was as well.
func TestMissing(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "waits", cart(forever, forever))
	b.begin()
	id := b.start.Run
	never := punchcard.NewID(punchcard.PrefixRun)
	runs := []punchcard.Run{{ID: id, Journey: "waits"}, {ID: never, Journey: "waits"}}
	missing, err := house.engine.Missing(t.Context(), runs)
	require.NoError(t, err)
	require.Equal(t, []string{never}, missing)
	require.NoError(t, house.client.TerminateWorkflow(t.Context(), WorkflowID("waits", id), "", "by hand"))
	require.Eventually(t, func() bool { // what visibility shows may be a moment old: the run counts as under way until it shows
		missing, err = house.engine.Missing(t.Context(), runs)
		return err == nil && len(missing) == 2
	}, 20*time.Second, 50*time.Millisecond)
}
