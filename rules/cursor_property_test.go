package rules

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// planner makes random plans of the shape that Compile gives: ids are paths, waits have scopes, returning branches come back.
type planner struct {
	t     *rapid.T
	nodes map[string]Node
}

func randomPlan(t *rapid.T) *Plan {
	p := &planner{t: t, nodes: map[string]Node{"0": {Kind: KindEnd, Label: "end"}}}
	plan := &Plan{Start: p.block("", 0, 1, "0"), Nodes: p.nodes}
	require.NoError(t, plan.Check())
	return plan
}

// block adds steps with ids prefix+1, prefix+2 … that lead to after, and answers the first one's id.
func (p *planner) block(prefix string, depth, least int, after string) string {
	n := rapid.IntRange(least, 3).Draw(p.t, "steps")
	for i := n; i >= 1; i-- {
		after = p.step(fmt.Sprintf("%s%d", prefix, i), depth, after)
	}
	return after
}

func (p *planner) step(id string, depth int, after string) string {
	kinds := []Kind{KindReward, KindSend, KindWait}
	if depth < 2 {
		kinds = append(kinds, KindChoose, KindWaitFor, KindAsk, KindCollect, KindApprove)
	}
	// A branch that comes back goes through again, as Compile has it.
	again := func(branch, to string) string {
		id := id + branch + "again"
		p.nodes[id] = Node{Kind: KindAgain, Next: map[string]string{OutcomeNext: to}}
		return id
	}
	duration := func() time.Duration {
		return time.Duration(rapid.IntRange(1, 50).Draw(p.t, "for")) * time.Hour
	}
	switch kind := rapid.SampledFrom(kinds).Draw(p.t, "kind"); kind {
	case KindWait:
		p.nodes[id] = Node{Kind: kind, Scope: id, For: duration(), Next: map[string]string{OutcomeElapsed: after}}
	case KindChoose:
		p.nodes[id] = Node{Kind: kind, Next: map[string]string{
			Case(0): p.block(id+"/case:0/", depth+1, 1, after), OutcomeOtherwise: p.block(id+"/otherwise/", depth+1, 0, after),
		}}
	case KindWaitFor:
		p.nodes[id] = Node{Kind: kind, Scope: id, For: duration(), Next: map[string]string{
			OutcomeHeard: after, OutcomeElapsed: p.block(id+"/timeout/", depth+1, 0, after),
		}}
	case KindApprove:
		p.nodes[id] = Node{Kind: kind, Next: map[string]string{OutcomeNext: id + "/wait", OutcomeSkipped: after}}
		p.nodes[id+"/wait"] = Node{Kind: KindDecision, Scope: id, For: duration(), Next: map[string]string{
			OutcomeApproved: after, OutcomeRejected: p.block(id+"/rejected/", depth+1, 1, after), OutcomeElapsed: after,
		}}
	case KindAsk:
		first, second := id+"/wait", id+"/wait2"
		answers := map[string]string{
			Answer("yes"): p.block(id+"/yes/", depth+1, 0, after),
			Answer("no"):  after,
			// Branches that come back may wait themselves.
			Answer("other"): p.block(id+"/other/", depth+1, 0, again("/other/", second)),
		}
		p.nodes[id] = Node{Kind: kind, Next: map[string]string{OutcomeNext: first, OutcomeNotSent: after}}
		p.nodes[id+"/remind"] = Node{Kind: KindSend, Next: map[string]string{OutcomeNext: second}}
		wait := Node{Kind: KindAnswer, Scope: id, For: duration(), Returns: map[string]int{Answer("other"): 0}}
		wait.Next = maps.Clone(answers)
		wait.Next[OutcomeElapsed] = id + "/remind"
		p.nodes[first] = wait
		wait.For += duration()
		wait.Next = maps.Clone(answers)
		wait.Next[OutcomeElapsed] = after
		p.nodes[second] = wait
	case KindCollect:
		p.nodes[id] = Node{Kind: kind, Scope: id, For: duration(), Returns: map[string]int{OutcomeEach: 0}, Next: map[string]string{
			OutcomeEach: p.block(id+"/each/", depth+1, 0, again("/each/", id)),
			OutcomeFull: after, OutcomeElapsed: p.block(id+"/timeout/", depth+1, 0, after),
		}}
	default:
		p.nodes[id] = Node{Kind: kind, Next: map[string]string{OutcomeNext: after}}
	}
	return id
}

// fence is a model of the run's row and of dispatch. It knows every signal the moment it is issued, so it knows by itself
// where the run must be when an effect passes: that is what the Cursor is held against.
type fence struct {
	t    *rapid.T
	plan *Plan
	now  time.Duration

	issued int
	sent   []Signal // all that was issued, by number
	ended  bool
	result string // how it ended
	paused bool
	stuck  bool
	done   map[int]Result
	nodes  map[int]string // of the effects that left something under a step's number: a result, or a message that was deferred
	last   int            // the last step done

	at      string // where the run stands once all that was issued is heard
	settled bool   // at is a wait that was armed for the run's present visit
	pending []Signal
	armed   map[string]time.Duration // by scope: since when
	due     map[string]time.Duration // by scope
	count   int
	trace   []string
}

func newFence(t *rapid.T, plan *Plan, armed bool) *fence {
	f := &fence{
		t: t, plan: plan, at: plan.Start, done: map[int]Result{}, nodes: map[int]string{},
		armed: map[string]time.Duration{}, due: map[string]time.Duration{},
	}
	if armed && plan.Nodes[plan.Start].Kind.Waits() {
		f.arm(plan.Start)
		f.settled = true
	}
	return f
}

func (f *fence) arm(node string) time.Duration {
	n := f.plan.Nodes[node]
	if _, ok := f.armed[n.Scope]; !ok {
		f.armed[n.Scope] = f.now
	}
	f.due[n.Scope] = f.armed[n.Scope] + n.For
	return f.due[n.Scope] - f.now
}

func (f *fence) disarm(scope string) {
	delete(f.armed, scope)
	delete(f.due, scope)
}

// settle moves at through the waits for which something was heard.
func (f *fence) settle() {
	for {
		n := f.plan.Nodes[f.at]
		i := slices.IndexFunc(f.pending, func(s Signal) bool { return n.Kind.Waits() && s.Scope == n.Scope })
		if i < 0 {
			return
		}
		if n.Kind == KindCollect {
			f.count = f.pending[i].Count
		}
		f.at, f.settled = f.plan.Lands(f.at, f.pending[i].Outcome), false
		f.pending = slices.Delete(f.pending, i, i+1)
	}
}

// effect answers as the real fence does, in its order.
func (f *fence) effect(e Effect) Result {
	require.LessOrEqual(f.t, e.Heard, f.issued, "heard what was not issued")
	if r, ok := f.done[e.Step]; ok {
		require.Equal(f.t, f.nodes[e.Step], e.Node, "step %d was another effect", e.Step)
		return r
	}
	switch {
	case f.ended:
		return Result{Reply: ReplyLeft, Outcome: f.result}
	case f.paused:
		return Result{Reply: ReplyHeld}
	case f.issued > e.Heard:
		return Result{Reply: ReplyHearFirst, Issued: f.issued}
	}
	if e.Elapsed != "" {
		if left := f.due[f.plan.Nodes[e.Elapsed].Scope] - f.now; left > 0 {
			return Result{Reply: ReplyNotDue, Wait: left}
		}
	}
	f.settle()
	expected := f.at
	if f.settled && f.plan.Nodes[f.at].Kind.Waits() {
		require.Equal(f.t, f.at, e.Elapsed, "a wait ended in silence")
		expected = f.plan.Lands(f.at, OutcomeElapsed)
	} else {
		require.Empty(f.t, e.Elapsed)
	}
	require.Equal(f.t, expected, e.Node, "the run is astray; trace %v", f.trace)
	require.Greater(f.t, e.Step, f.last)
	if node, ok := f.nodes[e.Step]; ok {
		require.Equal(f.t, node, e.Node, "step %d was tried for another effect", e.Step)
	}
	require.Equal(f.t, f.count, e.Count, "what the collect has counted")

	node := f.plan.Nodes[e.Node]
	switch rapid.IntRange(0, 9).Draw(f.t, "effect") {
	case 0:
		f.nodes[e.Step] = e.Node
		return Result{Reply: ReplyDeferred, Wait: time.Duration(rapid.IntRange(0, 5).Draw(f.t, "defer")) * time.Hour}
	case 1:
		f.stuck = true
		return Result{Reply: ReplyStuck}
	case 2:
		if node.Kind.Waits() {
			// The arming of a wait may find that its time is not come either.
			return Result{Reply: ReplyNotDue, Wait: time.Hour}
		}
	}
	f.stuck = false
	return f.act(e, node)
}

func (f *fence) act(e Effect, node Node) Result {
	r := Result{Reply: ReplyDone}
	if e.Elapsed != "" {
		from := f.plan.Nodes[e.Elapsed].Scope
		if to := f.plan.Nodes[e.Node].Scope; to != from && !f.rearms(e.Node, from) {
			f.disarm(from)
		}
	}
	f.trace = append(f.trace, fmt.Sprintf("%d %s", e.Step, e.Node))
	switch {
	case node.Kind == KindEnd:
		f.ended, f.result = true, "the end"
		r.Outcome = f.result
	case node.Kind.Waits():
		r.Wait = f.arm(e.Node)
		f.at, f.settled = e.Node, true
	default:
		outcomes := slices.Sorted(maps.Keys(node.Next))
		r.Outcome = rapid.SampledFrom(outcomes).Draw(f.t, "outcome")
		f.at, f.settled = f.plan.Lands(e.Node, r.Outcome), false
		if f.plan.Nodes[f.at].Kind.Waits() && rapid.IntRange(0, 3).Draw(f.t, "arms") > 0 {
			r.Armed, r.Wait = true, f.arm(f.at)
			f.settled = true
		}
	}
	f.done[e.Step], f.nodes[e.Step], f.last = r, e.Node, e.Step
	return r
}

// rearms tells whether an effect leads to another wait of the scope: the reminder of an ask.
func (f *fence) rearms(node, scope string) bool {
	to := f.plan.Nodes[f.plan.Lands(node, OutcomeNext)]
	return f.plan.Nodes[node].Kind == KindSend && to.Kind.Waits() && to.Scope == scope && Under(node, scope)
}

// begin is the first half of a remote effect: what it leads to is armed before the call, which may take its time.
func (f *fence) begin(e Effect) {
	if f.ended || f.paused || f.issued > e.Heard || f.done[e.Step].Reply != "" {
		return
	}
	if e.Elapsed != "" && f.due[f.plan.Nodes[e.Elapsed].Scope] > f.now {
		return
	}
	f.nodes[e.Step] = e.Node
	if to := f.plan.Lands(e.Node, OutcomeNext); f.plan.Nodes[to].Kind.Waits() {
		f.arm(to)
	}
}

func (f *fence) issue(s Signal) Signal {
	f.issued++
	s.N = f.issued
	f.sent = append(f.sent, s)
	return s
}

// wake matches an event with an armed wait.
func (f *fence) wake() (Signal, bool) {
	if f.ended || len(f.armed) == 0 {
		return Signal{}, false
	}
	scope := rapid.SampledFrom(slices.Sorted(maps.Keys(f.armed))).Draw(f.t, "scope")
	var node Node
	for _, id := range f.plan.IDs() {
		if f.plan.Nodes[id].Scope == scope {
			node = f.plan.Nodes[id]
			break
		}
	}
	var outcomes []string
	for o := range node.Next {
		if o != OutcomeElapsed {
			outcomes = append(outcomes, o)
		}
	}
	if len(outcomes) == 0 {
		return Signal{}, false
	}
	sort.Strings(outcomes)
	s := Signal{Kind: SignalWake, Scope: scope, Outcome: rapid.SampledFrom(outcomes).Draw(f.t, "heard")}
	if node.Kind == KindCollect {
		s.Count = f.issued + 1
	}
	if _, returns := node.Returns[s.Outcome]; !returns {
		f.disarm(scope)
	}
	s = f.issue(s)
	f.pending = append(f.pending, s)
	return s, true
}

// driver drives a Cursor against the fence, and a second one that goes through JSON at every move.
type driver struct {
	t     *rapid.T
	f     *fence
	c     *Cursor
	twin  *Cursor
	post  []Signal // on its way
	timer struct {
		number int
		due    time.Duration
	}
}

func (d *driver) both(f func(c *Cursor)) {
	f(d.c)
	f(d.twin)
	text, err := json.Marshal(d.twin.State())
	require.NoError(d.t, err)
	var st State
	require.NoError(d.t, json.Unmarshal(text, &st))
	d.twin = ResumeCursor(d.f.plan, st)
	require.Equal(d.t, d.c.State(), d.twin.State())
	before := d.c.State()
	require.Equal(d.t, d.c.Next(), d.twin.Next())
	require.Equal(d.t, before, d.c.State(), "asking changed something")
}

// deliver tells of the i-th signal on its way; with again it will come once more.
func (d *driver) deliver(i int, again bool) {
	s := d.post[i]
	if !again {
		d.post = slices.Delete(d.post, i, i+1)
	}
	d.both(func(c *Cursor) { c.Heard(s) })
}

// move does what the Cursor wants next. It answers false when the run has to hear something first.
func (d *driver) move() bool {
	m := d.c.Next()
	switch m.Kind {
	case MoveDo:
		before := d.c.State()
		remote := d.f.plan.Nodes[m.Do.Node].Kind.Remote()
		if remote && rapid.IntRange(0, 4).Draw(d.t, "begins only") == 0 {
			d.f.begin(m.Do)
			d.event()
		}
		r := d.f.effect(m.Do)
		if !remote && rapid.IntRange(0, 4).Draw(d.t, "dies") == 0 {
			// The answer is lost with the driver; the next one goes on from before the effect, and may hear more first.
			d.c, d.twin = ResumeCursor(d.f.plan, before), ResumeCursor(d.f.plan, before)
			d.event()
			return true
		}
		if rapid.IntRange(0, 4).Draw(d.t, "during") == 0 {
			d.event() // it is told after Done
		}
		d.both(func(c *Cursor) { c.Done(r) })
		return true
	case MoveWait:
		if m.Forever {
			return false
		}
		if d.timer.number != m.WaitNumber {
			d.timer.number, d.timer.due = m.WaitNumber, d.f.now+m.Wait
		}
		// Timers are on time, or a little early.
		early := time.Duration(rapid.IntRange(0, 1).Draw(d.t, "early")) * time.Minute
		d.f.now = max(d.f.now, d.timer.due-early)
		d.timer.number = 0
		d.both(func(c *Cursor) { c.Elapsed() })
		return true
	default:
		return false
	}
}

// event is something that dispatch decides.
func (d *driver) event() {
	f := d.f
	switch rapid.IntRange(0, 9).Draw(d.t, "event") {
	case 0, 1, 2, 3, 4:
		if s, ok := f.wake(); ok {
			d.post = append(d.post, s)
		}
	case 5:
		f.paused = !f.ended
	case 6:
		d.resume()
	case 7:
		d.retry()
	case 8:
		for scope := range f.due { // restart_on
			f.due[scope] = max(f.due[scope], f.now+2*time.Hour)
		}
	case 9:
		if !f.ended && rapid.IntRange(0, 3).Draw(d.t, "leaves") == 0 {
			f.ended, f.result = true, "left"
			d.post = append(d.post, f.issue(Signal{Kind: SignalLeave, Outcome: "left"}))
		}
	}
}

func (d *driver) resume() {
	if d.f.paused && !d.f.ended {
		d.f.paused = false
		d.post = append(d.post, d.f.issue(Signal{Kind: SignalResume}))
	}
}

func (d *driver) retry() {
	if d.f.stuck && !d.f.ended {
		d.f.stuck = false
		d.post = append(d.post, d.f.issue(Signal{Kind: SignalRetry}))
	}
}

// Whatever the plan, whatever comes, however often, late or out of order, and whenever the driver dies: the run follows its plan by
// what was issued, step by step, loses no signal, and ends.
func TestCursorFollowsTheFence(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		plan := randomPlan(t)
		armed := rapid.Bool().Draw(t, "armed")
		f := newFence(t, plan, armed)
		d := &driver{t: t, f: f}
		first := f.due[plan.Nodes[plan.Start].Scope]
		d.c, d.twin = NewCursor(plan, armed, first), NewCursor(plan, armed, first)

		for range rapid.IntRange(5, 60).Draw(t, "actions") {
			switch rapid.IntRange(0, 5).Draw(t, "action") {
			case 0, 1:
				d.event()
			case 2, 3:
				if len(d.post) > 0 {
					d.deliver(rapid.IntRange(0, len(d.post)-1).Draw(t, "which"), rapid.Bool().Draw(t, "again"))
				}
			default:
				d.move()
			}
		}

		// Everything arrives, and all that stands in the way is mended: the run must come to its end.
		for range 2000 {
			for len(d.post) > 0 {
				d.deliver(len(d.post)-1, false)
			}
			if m := d.c.Next(); m.Kind == MoveEnded {
				require.True(t, f.ended)
				require.Equal(t, f.result, m.Outcome)
				if f.result != "left" { // after a leave, what else came is of no matter
					require.Equal(t, f.issued, d.c.State().Heard, "a signal was lost")
				}
				return
			}
			if f.ended && f.result == "left" && len(d.post) == 0 {
				require.Equal(t, MoveEnded, d.c.Next().Kind, "a leave was heard and did not end the run")
			}
			d.move()
			d.resume()
			d.retry()
		}
		t.Fatalf("the run does not end; it stands at %+v, trace %v", d.c.State(), f.trace)
	})
}
