package workflows

import (
	"errors"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/stretchr/testify/require"

	"punchcard/activities"
	"punchcard/rules"
)

// hasty is a server that suggests to continue as new after 40 events.
func hasty(t *testing.T) *server {
	t.Helper()
	s, err := startServer("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40")
	require.NoError(t, err)
	t.Cleanup(s.stop)
	return s
}

// executions are the histories of a run, oldest first.
func executions(b *bundle) (found []*historypb.History) {
	h := b.history("")
	for {
		found = append([]*historypb.History{h}, found...)
		before := h.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId()
		if before == "" {
			return found
		}
		h = b.history(before)
	}
}

func inputOf(t *testing.T, h *historypb.History) (in Input) {
	t.Helper()
	payloads := h.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetInput()
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(payloads, &in))
	return in
}

// Hundreds of signals come in bursts, some twice and some before their predecessors, while the history is continued over and over.
func TestNothingIsLostWhenAHistoryIsContinued(t *testing.T) {
	t.Parallel()
	s := hasty(t)
	plan := stamps()
	plan.Nodes["1/each/1"] = effect(rules.KindReward, "reward stamp", "next", "1")
	b := setup(t, s, "stamp-card", plan)
	b.start.Armed, b.start.First = true, forever
	b.ends["4"] = "filled"
	b.begin()

	const last = 300
	for n := 1; n < last; n += 2 {
		b.signal(stamp(n+1, outcomeAt(n+1, last)), stamp(n, "each"))
		if n%10 == 1 {
			b.signal(stamp(n, "each"))
		}
		if n%50 == 49 { // now the run comes to rest, and the next burst falls into its continuation
			b.reached("1/each/1", n)
		}
	}
	require.Equal(t, "filled", b.outcome())

	var counts, want []int
	steps := map[int]string{}
	for _, c := range b.asked() {
		// What a workflow task did locally is asked for again when the server refused that task, as it does when a signal came while
		// the task was to close the history. The fence answers then; here it is enough that it is the same step.
		if node, ok := steps[c.Step]; ok {
			require.Equal(t, node, c.Node)
			continue
		}
		steps[c.Step] = c.Node
		if c.Node == "1/each/1" {
			counts = append(counts, c.Count)
		}
	}
	for n := 1; n < last; n++ {
		want = append(want, n)
	}
	require.Equal(t, want, counts)

	all := executions(b)
	require.Greater(t, len(all), 1)
	for _, h := range all {
		in := inputOf(t, h)
		require.LessOrEqual(t, len(in.Story), storyLines)
		require.Equal(t, b.start.Customer, in.Customer)
		require.Equal(t, rules.Interpreter, in.Interpreter)
	}
	// What the pages show is carried, too.
	require.Contains(t, details(b), "- **reward stamp**: next\n- **reward bonus-100**: next\n")
	require.Equal(t, storyLines, strings.Count(details(b), "\n- ")+1)
	attributes := all[len(all)-1].GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetSearchAttributes().GetIndexedFields()
	require.Contains(t, attributes, "Customer")
	require.Contains(t, attributes, "Version")
}

func outcomeAt(n, last int) string {
	if n == last {
		return "full"
	}
	return "each"
}

// A continued wait lasts what was left of it.
func TestWaitGoesOnWhenAHistoryIsContinued(t *testing.T) {
	t.Parallel()
	s := hasty(t)
	first := 300_000 * time.Second // three seconds at this speed
	b := setup(t, s, "abandoned-cart", cart(first, time.Hour))
	b.start.Armed, b.start.First = true, first
	b.ends["4"] = "lost"
	b.begin()
	b.timers(1)
	for n := range 40 {
		b.signal(rules.Signal{N: n + 1, Kind: rules.SignalRetry})
	}
	require.Equal(t, "lost", b.outcome())
	require.Equal(t, []string{"2", "4"}, b.nodes())
	require.Equal(t, "1", b.asked()[0].Elapsed)

	all := executions(b)
	require.Greater(t, len(all), 1)
	in := inputOf(t, all[1])
	require.Equal(t, rules.PhaseWaiting, in.State.Phase)
	require.Less(t, in.State.Wait, first)
	require.Positive(t, in.State.Wait)
	require.Equal(t, 0, events(all[0], enumspb.EVENT_TYPE_TIMER_CANCELED))
}

func TestStuckRunIsContinued(t *testing.T) {
	t.Parallel()
	s := hasty(t)
	b := setup(t, s, "abandoned-cart", cart(time.Hour, time.Hour))
	b.ends["4"] = "lost"
	b.on("2", func(n int) (rules.Result, error) {
		if n <= 30 {
			return rules.Result{Reply: rules.ReplyStuck, Code: "no_template"}, nil
		}
		return b.oblige("2"), nil
	})
	b.begin()
	for n := 1; n <= 30; n++ {
		b.reached("2", n)
		b.signal(rules.Signal{N: n, Kind: rules.SignalRetry})
	}
	require.Equal(t, "lost", b.outcome())
	require.Greater(t, len(executions(b)), 1)
}

// longOutage is a test of the workflow in time that is skipped: our database is away for longer than a local activity is tried.
func longOutage(t *testing.T, in Input, choose func(try int) (rules.Result, error)) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.RegisterDynamicWorkflow(run, workflow.DynamicRegisterOptions{})
	tries := 0
	env.RegisterActivityWithOptions(func(activities.Input) (rules.Result, error) {
		tries++
		return choose(tries)
	}, activity.RegisterOptions{Name: "choose"})
	env.RegisterActivityWithOptions(func(activities.Input) (rules.Result, error) {
		return rules.Result{Reply: rules.ReplyDone, Outcome: "over"}, nil
	}, activity.RegisterOptions{Name: "end"})
	in.Run, in.Interpreter, in.Speed, in.Plan = "run_1", rules.Interpreter, 1, cases()
	if err := env.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes()); err != nil {
		require.NoError(t, err)
	}
	env.ExecuteWorkflow("milestone", in)
	return env
}

func TestLongOutageIsWaitedOut(t *testing.T) {
	t.Parallel()
	env := longOutage(t, Input{}, func(try int) (rules.Result, error) {
		if try <= 3 {
			return rules.Result{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, errors.New("no answer"))
		}
		return rules.Result{Reply: rules.ReplyDone, Outcome: rules.OutcomeOtherwise}, nil
	})
	require.True(t, env.IsWorkflowCompleted())
	var r Result
	require.NoError(t, env.GetWorkflowResult(&r))
	require.Equal(t, "over", r.Outcome)
}

func TestLongOutageCarriesWhatCameMeanwhile(t *testing.T) {
	t.Parallel()
	st := rules.NewCursor(cases(), false, 0).State()
	in := Input{State: &st, Tries: 4, Unheard: []rules.Signal{leave(1, "opted_out")}}
	// What came is not told before the effect is answered; then it is.
	env := longOutage(t, in, func(int) (rules.Result, error) {
		return rules.Result{Reply: rules.ReplyDone, Outcome: rules.OutcomeOtherwise}, nil
	})
	var r Result
	require.NoError(t, env.GetWorkflowResult(&r))
	require.Equal(t, "opted_out", r.Outcome)
}
