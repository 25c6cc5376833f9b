package workflows

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/rules"
)

func wake(n int, scope, outcome string) rules.Signal {
	return rules.Signal{N: n, Kind: rules.SignalWake, Scope: scope, Outcome: outcome}
}

func stamp(n int, outcome string) rules.Signal {
	return rules.Signal{N: n, Kind: rules.SignalWake, Scope: "1", Outcome: outcome, Count: n}
}

func leave(n int, outcome string) rules.Signal {
	return rules.Signal{N: n, Kind: rules.SignalLeave, Outcome: outcome}
}

func TestRunToItsEnd(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "abandoned-cart", cart(time.Hour, 23*time.Hour))
	b.start.Armed, b.start.First = true, time.Hour
	b.ends["4"] = "lost"
	b.begin()
	require.Equal(t, "lost", b.outcome())

	calls := b.asked()
	require.Len(t, calls, 2)
	require.Equal(t, "send", calls[0].Name)
	require.Equal(t, rules.Effect{Node: "2", Step: 1, Elapsed: "1"}, calls[0].Effect)
	require.Equal(t, "end", calls[1].Name)
	require.Equal(t, rules.Effect{Node: "4", Step: 2, Elapsed: "3"}, calls[1].Effect)
}

func TestWaitThatNothingPrecedesArmsItself(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "abandoned-cart", cart(time.Hour, time.Hour))
	b.begin()
	b.outcome()
	calls := b.asked()
	require.Equal(t, ActivityArm, calls[0].Name)
	require.Equal(t, []string{"1", "2", "4"}, b.nodes())
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		remind  time.Duration
		timeout time.Duration
		signals []rules.Signal
		nodes   []string
	}{
		{"yes", forever, forever, []rules.Signal{wake(1, "1", "answer:yes")}, []string{"1", "1/yes/1", "1/yes/2", "2"}},
		{"no", forever, forever, []rules.Signal{wake(1, "1", "answer:no")}, []string{"1", "3"}},
		{
			"other, then yes", forever, forever,
			[]rules.Signal{wake(1, "1", "answer:other"), wake(2, "1", "answer:yes")},
			[]string{"1", "1/other/1", "1/yes/1", "1/yes/2", "2"},
		},
		{"reminded, then silence", time.Hour, time.Hour, nil, []string{"1", "1/remind", "2"}},
		{
			"left", forever, forever,
			[]rules.Signal{leave(1, "opted_out"), wake(2, "1", "answer:yes")},
			[]string{"1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, house, "opt-in", optIn(tt.remind, tt.timeout))
			b.begin()
			b.reached("1", 1)
			for _, s := range tt.signals {
				if err := house.engine.Signal(b.ctx, b.start.Journey, b.start.Run, s); err != nil {
					require.ErrorIs(t, err, punchcard.ErrRunGone) // what comes after a leave
				}
			}
			b.outcome()
			require.Equal(t, tt.nodes, b.nodes())
		})
	}
}

func TestSignalsTwiceAndOutOfOrder(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "stamp-card", stamps())
	b.ends["4"] = "filled"
	b.begin()
	b.signal(stamp(3, "each"), stamp(1, "each"), stamp(3, "each"), stamp(1, "each"))
	b.reached("1/each/1", 1)
	b.signal(stamp(2, "each"), stamp(2, "each"))
	b.reached("1/each/1", 3)
	b.signal(stamp(1, "each"), stamp(4, "full"))
	require.Equal(t, "filled", b.outcome())

	var counts []int
	for _, c := range b.asked() {
		if c.Node == "1/each/1" {
			counts = append(counts, c.Count)
		}
	}
	require.Equal(t, []int{1, 2, 3}, counts)
}

func TestLeaveDuringAnActivity(t *testing.T) {
	t.Parallel()
	asks := effect(rules.KindReward, "reward that asks", "next", "2")
	asks.Asks = true
	for name, first := range map[string]rules.Node{
		"send": effect(rules.KindSend, "send", "next", "2"), "reward": effect(rules.KindReward, "reward", "next", "2"), "reward that asks": asks,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := &rules.Plan{Start: "1", Nodes: map[string]rules.Node{
				"1": first,
				"2": effect(rules.KindReward, "reward", "next", "3"),
				"3": end(),
			}}
			b := setup(t, house, "welcome", plan)
			told := make(chan struct{})
			b.on("1", func(int) (rules.Result, error) {
				<-told
				return rules.Result{Reply: rules.ReplyDone}, nil
			})
			// Local activities of one workflow task follow each other without hearing anything: there the fence says it.
			b.on("2", func(int) (rules.Result, error) {
				return rules.Result{Reply: rules.ReplyLeft, Outcome: "opted_out"}, nil
			})
			b.begin()
			b.reached("1", 1)
			b.signal(leave(1, "opted_out"))
			close(told)
			require.Equal(t, "opted_out", b.outcome())
			require.NotContains(t, b.nodes(), "3")
			if first.Remote() {
				require.Equal(t, []string{"1"}, b.nodes())
			}
		})
	}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		first   rules.Result // how the send is first answered
		signals []rules.Signal
		outcome string
		nodes   []string
	}{
		{"left", rules.Result{Reply: rules.ReplyLeft, Outcome: "opted_out"}, nil, "opted_out", []string{"2"}},
		{"deferred", rules.Result{Reply: rules.ReplyDeferred, Wait: time.Hour, Code: "quiet_hours"}, nil, "lost", []string{"2", "2", "4"}},
		{
			"deferred, then left", rules.Result{Reply: rules.ReplyDeferred, Wait: forever, Code: "quiet_hours"},
			[]rules.Signal{leave(1, "recovered")}, "recovered", []string{"2"},
		},
		{
			"held, then resumed", rules.Result{Reply: rules.ReplyHeld},
			[]rules.Signal{{N: 1, Kind: rules.SignalResume}}, "lost", []string{"2", "2", "4"},
		},
		{"held, then left", rules.Result{Reply: rules.ReplyHeld}, []rules.Signal{leave(1, "emptied")}, "emptied", []string{"2"}},
		{
			"stuck, then retried", rules.Result{Reply: rules.ReplyStuck, Code: "no_template"},
			[]rules.Signal{{N: 1, Kind: rules.SignalRetry}}, "lost", []string{"2", "2", "4"},
		},
		{"unknown, then retried", rules.Result{Reply: "??"}, []rules.Signal{{N: 1, Kind: rules.SignalRetry}}, "lost", []string{"2", "2", "4"}},
		{"not due", rules.Result{Reply: rules.ReplyNotDue, Wait: time.Hour}, nil, "lost", []string{"2", "2", "4"}},
		{"not due, then left", rules.Result{Reply: rules.ReplyNotDue, Wait: forever}, []rules.Signal{leave(1, "recovered")}, "recovered", []string{"2"}},
		{
			"hear first", rules.Result{Reply: rules.ReplyHearFirst, Issued: 1},
			[]rules.Signal{{N: 1, Kind: rules.SignalRetry}}, "lost", []string{"2", "2", "4"},
		},
		{"hear first: a leave", rules.Result{Reply: rules.ReplyHearFirst, Issued: 1}, []rules.Signal{leave(1, "recovered")}, "recovered", []string{"2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, house, "abandoned-cart", cart(time.Hour, time.Hour))
			b.start.Armed, b.start.First = true, time.Hour
			b.ends["4"] = "lost"
			b.once("2", tt.first)
			b.begin()
			b.reached("2", 1)
			b.signal(tt.signals...)
			require.Equal(t, tt.outcome, b.outcome())
			require.Equal(t, tt.nodes, b.nodes())
			for _, c := range b.asked() {
				if c.Node == "2" {
					require.Equal(t, "1", c.Elapsed)
				}
			}
		})
	}
}

func TestDatabaseOutage(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "welcome", &rules.Plan{Start: "1", Nodes: map[string]rules.Node{
		"1": effect(rules.KindReward, "reward", "next", "2"),
		"2": end(),
	}})
	b.on("1", func(n int) (rules.Result, error) {
		if n <= 5 { // 0.1 + 0.2 + 0.4 + 0.8 + 1.6 s
			return rules.Result{}, errors.New("connection refused")
		}
		return b.oblige("1"), nil
	})
	b.begin()
	b.outcome()
	require.Equal(t, []string{"1", "1", "1", "1", "1", "1", "2"}, b.nodes())
}

func TestWhatTryingAgainCannotMend(t *testing.T) {
	t.Parallel()
	failures := map[string]func() error{
		"panic": func() error { panic("index out of range") },
		"bug":   func() error { return temporal.NewApplicationError("no such grant", ErrorBug) },
		"never": func() error { return temporal.NewNonRetryableApplicationError("no such grant", "other", nil) },
	}
	for name, fail := range failures {
		for _, kind := range []rules.Kind{rules.KindSay, rules.KindChoose} {
			t.Run(name+" in "+string(kind), func(t *testing.T) {
				t.Parallel()
				b := setup(t, house, "welcome", &rules.Plan{Start: "1", Nodes: map[string]rules.Node{
					"1": effect(kind, "step one", "next", "2"),
					"2": end(),
				}})
				b.on("1", func(n int) (rules.Result, error) {
					if n == 1 {
						return rules.Result{}, fail()
					}
					return b.oblige("1"), nil
				})
				b.begin()
				b.reached("1", 1)
				require.Eventually(t, func() bool { return strings.Contains(details(b), "stuck (bug)") }, 10*time.Second, 20*time.Millisecond)
				require.Equal(t, []string{"1"}, b.nodes())
				b.signal(rules.Signal{N: 1, Kind: rules.SignalRetry})
				b.outcome()
				require.Equal(t, []string{"1", "1", "2"}, b.nodes())
			})
		}
	}
}

func TestTimerOfAWaitRunsOn(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "abandoned-cart", cart(forever, forever))
	b.start.Armed, b.start.First = true, forever
	b.begin()
	b.timers(1)
	for n := range 5 {
		b.signal(rules.Signal{N: n + 1, Kind: rules.SignalResume}) // nothing to a run that waits
	}
	b.signal(leave(6, "recovered"))
	require.Equal(t, "recovered", b.outcome())
	h := b.history("")
	require.Equal(t, 1, events(h, enumspb.EVENT_TYPE_TIMER_STARTED))
	require.Zero(t, events(h, enumspb.EVENT_TYPE_TIMER_CANCELED))
	require.Empty(t, b.nodes())
}

func TestTimerOfAWaitThatIsOverIsCancelled(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "redemption", redemption(forever, forever))
	b.begin()
	b.reached("2", 1)
	b.signal(wake(1, "2", "approved"))
	b.reached("3", 1)
	b.signal(wake(2, "3", "heard"))
	b.outcome()
	h := b.history("")
	require.Equal(t, events(h, enumspb.EVENT_TYPE_TIMER_STARTED), events(h, enumspb.EVENT_TYPE_TIMER_CANCELED))
	require.Equal(t, []string{"1", "2", "3", "4"}, b.nodes())
}

func TestWhatIsNotForARunIsIgnored(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "abandoned-cart", cart(forever, forever))
	b.start.Armed, b.start.First = true, forever
	b.begin()
	require.NoError(t, house.client.SignalWorkflow(b.ctx, b.id(), "", SignalName, "garbage"))
	require.NoError(t, house.client.SignalWorkflow(b.ctx, b.id(), "", "another", 1))
	require.NoError(t, house.client.CancelWorkflow(b.ctx, b.id(), ""))
	b.signal(leave(1, "recovered"))
	require.Equal(t, "recovered", b.outcome())
	require.Equal(t, 1, events(b.history(""), enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED))
}

func TestNewerInterpreterBlocks(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "abandoned-cart", cart(time.Hour, time.Hour))
	_, err := house.client.ExecuteWorkflow(b.ctx, client.StartWorkflowOptions{ID: b.id(), TaskQueue: QueueJourneys},
		b.start.Journey, Input{Run: b.start.Run, Interpreter: rules.Interpreter + 1, Speed: speed, Plan: b.start.Plan})
	require.NoError(t, err)
	it := house.client.GetWorkflowHistory(b.ctx, b.id(), "", true, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for {
		event, err := it.Next()
		require.NoError(t, err)
		if event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED {
			break
		}
	}
	d, err := house.client.DescribeWorkflow(b.ctx, b.id(), "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, d.Status)
	require.NoError(t, house.client.TerminateWorkflow(b.ctx, b.id(), "", "the test is over"))
}

func TestWorkflowThatIsNoRunFails(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "abandoned-cart", cart(time.Hour, time.Hour))
	w, err := house.client.ExecuteWorkflow(b.ctx, client.StartWorkflowOptions{ID: b.id(), TaskQueue: QueueJourneys}, "abandoned-cart")
	require.NoError(t, err)
	require.ErrorContains(t, w.Get(b.ctx, nil), "not started by Punchcard")
}

func TestWhatTemporalsPagesShow(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "opt-in", optIn(forever, forever))
	b.ends["2"] = "subscribed"
	b.once("1", rules.Result{Reply: rules.ReplyDeferred, Code: "quiet_hours", Wait: time.Hour})
	b.begin()
	b.reached("1", 2)
	require.Eventually(t, func() bool { return strings.Contains(details(b), "Waiting at **answer to opt_in**") }, 10*time.Second, 20*time.Millisecond)
	b.signal(wake(1, "1", "answer:yes"))
	b.outcome()

	story := details(b)
	for _, line := range []string{
		"- **ask opt_in**: deferred (quiet_hours)\n",
		"- **ask opt_in**: sent\n",
		"- heard 1, wake: answer:yes\n",
		"- **reward welcome-10**: next\n",
		"Ended: **subscribed**.",
	} {
		require.Contains(t, story, line)
	}

	d, err := house.client.DescribeWorkflow(b.ctx, b.id(), "")
	require.NoError(t, err)
	summary, err := d.GetStaticSummary()
	require.NoError(t, err)
	require.Equal(t, "opt-in", summary)

	// Every activity, local or not, and every timer carries its step's label.
	require.Equal(t, map[enumspb.EventType][]string{
		enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: {"ask opt_in", "ask opt_in"},
		enumspb.EVENT_TYPE_TIMER_STARTED:           {"ask opt_in", "answer to opt_in"},
		enumspb.EVENT_TYPE_MARKER_RECORDED:         {"consent grant", "reward welcome-10", "end"},
	}, summaries(t, b.history("")))
}

func summaries(t *testing.T, h *historypb.History) map[enumspb.EventType][]string {
	t.Helper()
	found := map[enumspb.EventType][]string{}
	for _, e := range h.GetEvents() {
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, enumspb.EVENT_TYPE_TIMER_STARTED, enumspb.EVENT_TYPE_MARKER_RECORDED:
			var s string
			require.NoError(t, converter.GetDefaultDataConverter().FromPayload(e.GetUserMetadata().GetSummary(), &s))
			found[e.GetEventType()] = append(found[e.GetEventType()], s)
		default:
		}
	}
	return found
}

func TestRunsAreFoundByAttributes(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "abandoned-cart", cart(time.Hour, time.Hour))
	b.ends["4"] = "lost"
	b.begin()
	b.outcome()
	query := `Customer = "` + b.start.Customer + `" AND Journey = "abandoned-cart" AND Version = 7 AND Outcome = "lost" AND WorkflowType = "abandoned-cart"`
	require.Eventually(t, func() bool {
		found, err := house.client.CountWorkflow(b.ctx, countRequest(query))
		return err == nil && found.GetCount() == 1
	}, 10*time.Second, 20*time.Millisecond)
}

func TestManyRunsAtOnce(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for range 20 {
		b := setup(t, house, "abandoned-cart", cart(time.Hour, time.Hour))
		wg.Go(func() {
			b.begin()
			b.outcome()
		})
	}
	wg.Wait()
}

// details are the current details of a run's workflow, as Temporal's pages ask for them; empty while nobody answers.
func details(b *bundle) string {
	v, err := b.server.client.QueryWorkflow(b.ctx, b.id(), "", "__temporal_workflow_metadata")
	if err != nil {
		return ""
	}
	var m sdkpb.WorkflowMetadata
	require.NoError(b.t, v.Get(&m))
	return m.GetCurrentDetails()
}

func events(h *historypb.History, kind enumspb.EventType) (n int) {
	for _, e := range h.GetEvents() {
		if e.GetEventType() == kind {
			n++
		}
	}
	return n
}
