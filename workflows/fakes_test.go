package workflows

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/activities"
	"punchcard/rules"
)

// forever is a wait that no test sees the end of.
const forever = 100_000 * time.Hour

// call is one try of one effect.
type call struct {
	Name string // of the activity
	Node string
	Step int
	activities.Input
}

// answerer answers the nth call (from 1) for a node.
type answerer func(n int) (rules.Result, error)

// bundle is one run in a test's hands.
type bundle struct {
	t      *testing.T
	server *server
	ctx    context.Context
	start  rules.Start

	mu      sync.Mutex
	cond    *sync.Cond
	calls   []call
	answers map[string]answerer // by node; a node without one is obliged
	ends    map[string]string   // outcomes by node
}

// fakes are the activities of every test's run.
type fakes struct{ runs sync.Map }

// setup prepares a run of a plan on a server. Nothing is started yet.
func setup(t *testing.T, s *server, journey string, plan *rules.Plan) *bundle {
	t.Helper()
	require.NoError(t, plan.Check())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	b := &bundle{
		t: t, server: s, ctx: ctx,
		start: rules.Start{
			Run: punchcard.NewID(punchcard.PrefixRun), Journey: journey, Customer: punchcard.NewID(punchcard.PrefixCustomer),
			Version: 7, Plan: plan,
		},
		answers: map[string]answerer{},
		ends:    map[string]string{},
	}
	b.cond = sync.NewCond(&b.mu)
	context.AfterFunc(ctx, func() { b.mu.Lock(); b.cond.Broadcast(); b.mu.Unlock() })
	s.fakes.runs.Store(b.start.Run, b)
	return b
}

// on sets how a node's effect is answered.
func (b *bundle) on(node string, a answerer) { b.answers[node] = a }

// once answers the first call for a node with a result, and obliges the later ones.
func (b *bundle) once(node string, first rules.Result) {
	b.on(node, func(n int) (rules.Result, error) {
		if n == 1 {
			return first, nil
		}
		return b.oblige(node), nil
	})
}

// oblige is the result of an effect that goes well: it arms the wait it leads to.
func (b *bundle) oblige(node string) rules.Result {
	plan := b.start.Plan
	n := plan.Nodes[node]
	r := rules.Result{Reply: rules.ReplyDone, Outcome: b.ends[node]}
	switch {
	case n.Kind.Waits():
		r.Wait = n.For
		return r
	case n.Kind == rules.KindEnd:
		return r
	case r.Outcome != "":
	case n.Kind.Remote():
		r.Outcome = rules.OutcomeSent
	default:
		r.Outcome = rules.OutcomeNext
	}
	if to := plan.Nodes[plan.Lands(node, r.Outcome)]; to.Kind.Waits() {
		r.Armed, r.Wait = true, to.For
	}
	return r
}

// begin starts the run.
func (b *bundle) begin() {
	b.t.Helper()
	require.NoError(b.t, b.server.engine.Start(b.ctx, b.start))
}

// signal tells the run of signals, in this order.
func (b *bundle) signal(signals ...rules.Signal) {
	b.t.Helper()
	for _, s := range signals {
		require.NoError(b.t, b.server.engine.Signal(b.ctx, b.start.Journey, b.start.Run, s))
	}
}

// reached waits until a node's effect was asked for n times.
func (b *bundle) reached(node string, n int) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.count(node) < n {
		require.NoError(b.t, b.ctx.Err(), "node %s was asked for %d times, not %d", node, b.count(node), n)
		b.cond.Wait()
	}
}

func (b *bundle) count(node string) (n int) {
	for _, c := range b.calls {
		if c.Node == node {
			n++
		}
	}
	return n
}

// nodes are the nodes whose effects were asked for, in order.
func (b *bundle) nodes() (ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.calls {
		ids = append(ids, c.Node)
	}
	return ids
}

// asked are the calls so far.
func (b *bundle) asked() []call {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]call(nil), b.calls...)
}

// outcome waits until the run is over and tells how it ended. No test's run may fail.
func (b *bundle) outcome() string {
	b.t.Helper()
	var r Result
	require.NoError(b.t, b.server.client.GetWorkflow(b.ctx, b.id(), "").Get(b.ctx, &r))
	return r.Outcome
}

func (b *bundle) id() string { return WorkflowID(b.start.Journey, b.start.Run) }

// history is the history of the run's last workflow execution, or of the one named.
func (b *bundle) history(execution string) *historypb.History {
	b.t.Helper()
	h := &historypb.History{}
	it := b.server.client.GetWorkflowHistory(b.ctx, b.id(), execution, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for it.HasNext() {
		event, err := it.Next()
		require.NoError(b.t, err)
		h.Events = append(h.Events, event)
	}
	return h
}

// timers waits until n timers were started.
func (b *bundle) timers(n int) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		return events(b.history(""), enumspb.EVENT_TYPE_TIMER_STARTED) >= n
	}, 20*time.Second, 10*time.Millisecond)
}

func (f *fakes) answer(name string, in activities.Input) (rules.Result, error) {
	v, ok := f.runs.Load(in.Run)
	if !ok {
		return rules.Result{}, errors.New("no test has this run")
	}
	b := v.(*bundle)
	b.mu.Lock()
	b.calls = append(b.calls, call{Name: name, Node: in.Node, Step: in.Step, Input: in})
	n := b.count(in.Node)
	b.cond.Broadcast()
	a := b.answers[in.Node]
	b.mu.Unlock()
	if a == nil {
		return b.oblige(in.Node), nil
	}
	return a(n)
}

func (f *fakes) Send(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("send", in)
}

func (f *fakes) Say(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("say", in)
}

func (f *fakes) Ask(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("ask", in)
}

func (f *fakes) Choose(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("choose", in)
}

func (f *fakes) Reward(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("reward", in)
}

func (f *fakes) Redeem(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("redeem", in)
}

func (f *fakes) Release(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("release", in)
}

func (f *fakes) Consent(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("consent", in)
}

func (f *fakes) Approve(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("approve", in)
}

func (f *fakes) Split(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("split", in)
}

func (f *fakes) Capture(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("capture", in)
}

func (f *fakes) Points(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("points", in)
}

func (f *fakes) Label(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("label", in)
}

func (f *fakes) Unlabel(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("unlabel", in)
}

func (f *fakes) Set(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("set", in)
}

func (f *fakes) Raise(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("raise", in)
}

func (f *fakes) Handoff(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("handoff", in)
}

func (f *fakes) Call(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("call", in)
}

func (f *fakes) Start(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("start", in)
}

func (f *fakes) End(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("end", in)
}

func (f *fakes) Arm(_ context.Context, in activities.Input) (rules.Result, error) {
	return f.answer("arm", in)
}
