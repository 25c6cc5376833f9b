package rules

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cartPlan is a wait, a message that leads to another wait, and the end.
func cartPlan() *Plan {
	return &Plan{Start: "1", Nodes: map[string]Node{
		"1": {Kind: KindWait, Scope: "1", For: time.Hour, Next: map[string]string{OutcomeElapsed: "2"}},
		"2": {Kind: KindSend, Next: map[string]string{OutcomeNext: "3"}},
		"3": {Kind: KindWaitFor, Scope: "3", For: 23 * time.Hour, Next: map[string]string{OutcomeHeard: "4", OutcomeElapsed: "4"}},
		"4": {Kind: KindEnd},
	}}
}

// askPlan is an ask with a reminder, and an answer that comes back.
func askPlan() *Plan {
	answers := func(elapsed string) map[string]string {
		return map[string]string{Answer("yes"): "1/yes/1", Answer("other"): "1/other/1", OutcomeElapsed: elapsed}
	}
	return &Plan{Start: "1", Nodes: map[string]Node{
		"1":         {Kind: KindAsk, Next: map[string]string{OutcomeNext: "1/wait", OutcomeNotSent: "3"}},
		"1/wait":    {Kind: KindAnswer, Scope: "1", For: time.Hour, Next: answers("1/remind")},
		"1/remind":  {Kind: KindSend, Next: map[string]string{OutcomeNext: "1/wait2"}},
		"1/wait2":   {Kind: KindAnswer, Scope: "1", For: 2 * time.Hour, Next: answers("3")},
		"1/other/1": {Kind: KindSay, Next: map[string]string{OutcomeNext: "1/other/2"}},
		"1/other/2": {Kind: KindAgain, Next: map[string]string{OutcomeNext: "1/wait2"}},
		"1/yes/1":   {Kind: KindReward, Next: map[string]string{OutcomeNext: "2"}},
		"2":         {Kind: KindWaitFor, Scope: "2", For: time.Hour, Next: map[string]string{OutcomeHeard: "3", OutcomeElapsed: "3"}},
		"3":         {Kind: KindEnd},
	}}
}

// collectPlan is a collect that starts armed, and one thing to do for each.
func collectPlan() *Plan {
	return &Plan{Start: "1", Nodes: map[string]Node{
		"1":        {Kind: KindCollect, Scope: "1", For: time.Hour, Next: map[string]string{OutcomeEach: "1/each/1", OutcomeFull: "2", OutcomeElapsed: "3"}},
		"1/each/1": {Kind: KindSend, Next: map[string]string{OutcomeNext: "1/each/2"}},
		"1/each/2": {Kind: KindAgain, Next: map[string]string{OutcomeNext: "1"}},
		"2":        {Kind: KindReward, Next: map[string]string{OutcomeNext: "3"}},
		"3":        {Kind: KindEnd},
	}}
}

// drive is a Cursor that goes through JSON before everything it is told.
type drive struct {
	t *testing.T
	c *Cursor
}

func driving(t *testing.T, plan *Plan, armed bool) *drive {
	t.Helper()
	require.NoError(t, plan.Check())
	return &drive{t: t, c: NewCursor(plan, armed, plan.Nodes[plan.Start].For)}
}

func (d *drive) again() *Cursor {
	text, err := json.Marshal(d.c.State())
	require.NoError(d.t, err)
	var st State
	require.NoError(d.t, json.Unmarshal(text, &st))
	require.Equal(d.t, d.c.State(), st)
	d.c = ResumeCursor(d.c.plan, st)
	return d.c
}

func (d *drive) done(outcome string) *drive {
	return d.reply(Result{Reply: ReplyDone, Outcome: outcome})
}

func (d *drive) arms(outcome string, wait time.Duration) *drive {
	return d.reply(Result{Reply: ReplyDone, Outcome: outcome, Armed: true, Wait: wait})
}

func (d *drive) reply(r Result) *drive { d.again().Done(r); return d }
func (d *drive) elapsed() *drive       { d.again().Elapsed(); return d }

func (d *drive) heard(signals ...Signal) *drive {
	for _, s := range signals {
		d.again().Heard(s)
	}
	return d
}

func (d *drive) does(e Effect) *drive {
	d.t.Helper()
	require.Equal(d.t, Move{Kind: MoveDo, Do: e}, d.again().Next())
	return d
}

func (d *drive) waits(wait time.Duration) *drive {
	d.t.Helper()
	m := d.again().Next()
	require.Equal(d.t, MoveWait, m.Kind)
	require.False(d.t, m.Forever)
	require.Equal(d.t, wait, m.Wait)
	return d
}

func (d *drive) waitsForever(p Phase) *drive {
	d.t.Helper()
	m := d.again().Next()
	require.Equal(d.t, MoveWait, m.Kind)
	require.True(d.t, m.Forever)
	require.Equal(d.t, p, d.c.State().Phase)
	return d
}

func (d *drive) ends(outcome string) *drive {
	d.t.Helper()
	require.Equal(d.t, Move{Kind: MoveEnded, Outcome: outcome}, d.again().Next())
	return d
}

func waking(n int, scope, outcome string) Signal {
	return Signal{N: n, Kind: SignalWake, Scope: scope, Outcome: outcome}
}

func TestCursorToTheEnd(t *testing.T) {
	t.Parallel()
	driving(t, cartPlan(), true).
		waits(time.Hour).elapsed().
		does(Effect{Node: "2", Step: 1, Elapsed: "1"}).arms(OutcomeSent, 23*time.Hour).
		waits(23 * time.Hour).elapsed().
		does(Effect{Node: "4", Step: 2, Elapsed: "3"}).done("lost").
		ends("lost")
}

func TestCursorArmsAWaitThatNothingArmed(t *testing.T) {
	t.Parallel()
	driving(t, cartPlan(), false).
		does(Effect{Node: "1", Step: 1}).reply(Result{Reply: ReplyDone, Wait: time.Hour}).
		waits(time.Hour).elapsed().
		does(Effect{Node: "2", Step: 2, Elapsed: "1"}).done(OutcomeSent).
		does(Effect{Node: "3", Step: 3})
}

func TestCursorOutcomeWithoutAnEdgeGoesNext(t *testing.T) {
	t.Parallel()
	driving(t, askPlan(), false).done(OutcomeSent).does(Effect{Node: "1/wait", Step: 2})
	driving(t, askPlan(), false).done(OutcomeNotSent).does(Effect{Node: "3", Step: 2})
}

func TestCursorReplies(t *testing.T) {
	t.Parallel()
	at2 := func(t *testing.T) *drive { return driving(t, cartPlan(), true).elapsed() }
	again := Effect{Node: "2", Step: 1, Elapsed: "1"}
	heard := Effect{Node: "2", Step: 1, Elapsed: "1", Heard: 1}

	at2(t).reply(Result{Reply: ReplyLeft, Outcome: "recovered"}).ends("recovered")

	at2(t).reply(Result{Reply: ReplyHeld}).waitsForever(PhaseHeld).elapsed().
		heard(Signal{N: 1, Kind: SignalResume}).does(heard)

	at2(t).reply(Result{Reply: ReplyStuck, Code: "no_template"}).waitsForever(PhaseStuck).
		heard(Signal{N: 1, Kind: SignalRetry}).does(heard)

	at2(t).reply(Result{Reply: "a reply of the future"}).waitsForever(PhaseStuck)

	at2(t).reply(Result{Reply: ReplyDeferred, Wait: 9 * time.Hour}).waits(9 * time.Hour).elapsed().does(again)

	at2(t).reply(Result{Reply: ReplyHearFirst, Issued: 1}).waitsForever(PhaseHearing).
		heard(Signal{N: 1, Kind: SignalRetry}).does(heard)

	// What the fence waits for has been heard already: the effect is asked for again with that.
	at2(t).heard(Signal{N: 1, Kind: SignalRetry}).reply(Result{Reply: ReplyHearFirst, Issued: 1}).does(heard)

	// The deadline was moved: back to the wait, and what comes after it has a number of its own.
	at2(t).reply(Result{Reply: ReplyNotDue, Wait: 30 * time.Minute}).waits(30 * time.Minute).elapsed().
		does(Effect{Node: "2", Step: 2, Elapsed: "1"})

	// An effect that ends no wait waits and asks again.
	driving(t, askPlan(), false).reply(Result{Reply: ReplyNotDue, Wait: time.Minute}).waits(time.Minute).elapsed().
		does(Effect{Node: "1", Step: 1})
}

func TestCursorSignalsInEveryPhase(t *testing.T) {
	t.Parallel()
	phases := map[string]func(t *testing.T) *drive{
		"ready":   func(t *testing.T) *drive { return driving(t, askPlan(), false) },
		"waiting": func(t *testing.T) *drive { return driving(t, cartPlan(), true) },
		"elapsed": func(t *testing.T) *drive { return driving(t, cartPlan(), true).elapsed() },
		"deferred": func(t *testing.T) *drive {
			return driving(t, askPlan(), false).reply(Result{Reply: ReplyDeferred, Wait: 1})
		},
		"held":  func(t *testing.T) *drive { return driving(t, askPlan(), false).reply(Result{Reply: ReplyHeld}) },
		"stuck": func(t *testing.T) *drive { return driving(t, askPlan(), false).reply(Result{Reply: ReplyStuck}) },
		"hearing": func(t *testing.T) *drive {
			return driving(t, askPlan(), false).reply(Result{Reply: ReplyHearFirst, Issued: 1})
		},
		"ended": func(t *testing.T) *drive {
			return driving(t, cartPlan(), true).heard(Signal{N: 0}).reply(Result{}).elapsed().reply(Result{Reply: ReplyLeft, Outcome: "left"})
		},
	}
	// To what phase a signal leads, where it does not leave the run as it was.
	moves := map[string]map[SignalKind]Phase{
		"held":    {SignalResume: PhaseReady},
		"stuck":   {SignalRetry: PhaseReady},
		"hearing": {SignalResume: PhaseReady, SignalRetry: PhaseReady, SignalWake: PhaseReady},
	}
	for name, setup := range phases {
		for _, kind := range []SignalKind{SignalWake, SignalResume, SignalRetry, SignalLeave, "a signal of the future"} {
			t.Run(name+" "+string(kind), func(t *testing.T) {
				t.Parallel()
				d := setup(t)
				before := d.c.State()
				d.heard(Signal{N: 1, Kind: kind, Scope: "elsewhere", Outcome: "left"})
				after := d.c.State()
				require.Equal(t, 1, after.Heard)
				switch want, ok := moves[name][kind]; {
				case kind == SignalLeave:
					d.ends("left")
				case ok:
					require.Equal(t, want, after.Phase)
				case name == "hearing":
					require.Equal(t, PhaseReady, after.Phase) // whatever it was, it was heard
				default:
					require.Equal(t, before.Phase, after.Phase)
					require.Equal(t, before.Node, after.Node)
					require.Equal(t, before.WaitNumber, after.WaitNumber)
				}
			})
		}
	}
}

func TestCursorWake(t *testing.T) {
	t.Parallel()
	waiting := func(t *testing.T) *drive { return driving(t, askPlan(), false).arms(OutcomeSent, time.Hour) }
	yes := Effect{Node: "1/yes/1", Step: 2, Heard: 1}

	waiting(t).heard(waking(1, "1", Answer("yes"))).does(yes)

	// It came when the time was over and no effect had confirmed that: what was heard wins, under a number of its own.
	yes.Step = 3
	waiting(t).elapsed().does(Effect{Node: "1/remind", Step: 2, Elapsed: "1/wait"}).heard(waking(1, "1", Answer("yes"))).does(yes)
	waiting(t).elapsed().reply(Result{Reply: ReplyHearFirst, Issued: 1}).heard(waking(1, "1", Answer("yes"))).does(yes)
	waiting(t).elapsed().reply(Result{Reply: ReplyHeld}).heard(waking(1, "1", Answer("yes"))).does(yes)
	waiting(t).elapsed().reply(Result{Reply: ReplyDeferred, Wait: time.Hour}).heard(waking(1, "1", Answer("yes"))).does(yes)

	// It came while the run was in the branch that comes back: it is taken there, without arming.
	waiting(t).heard(waking(1, "1", Answer("other")), waking(2, "1", Answer("yes"))).
		does(Effect{Node: "1/other/1", Step: 2, Heard: 2}).done(OutcomeSent).
		does(Effect{Node: "1/yes/1", Step: 4, Heard: 2})
	waiting(t).heard(waking(1, "1", Answer("other")), waking(2, "1", Answer("yes"))).
		arms(OutcomeSent, time.Hour).
		does(Effect{Node: "1/yes/1", Step: 3, Heard: 2})
}

// A driver died when an effect had been done and before the Cursor was told. What the effect armed has been heard meanwhile.
func TestCursorHearsOfAWaitItHasYetToComeTo(t *testing.T) {
	t.Parallel()
	// Two effects were done, and the second armed the wait; both are asked for again.
	driving(t, askPlan(), false).arms(OutcomeSent, time.Hour).heard(waking(1, "1", Answer("yes"))).
		heard(waking(2, "2", OutcomeHeard)).
		does(Effect{Node: "1/yes/1", Step: 2, Heard: 2}).arms(OutcomeNext, time.Hour).
		does(Effect{Node: "3", Step: 3, Heard: 2})

	// The arming itself was done under step 2: the number is not used for what comes next.
	driving(t, askPlan(), false).done(OutcomeSent).does(Effect{Node: "1/wait", Step: 2}).
		heard(waking(1, "1", Answer("yes"))).
		does(Effect{Node: "1/yes/1", Step: 3, Heard: 1})

	// The arming that was done also confirmed that the time of the wait before was over: it is asked for again.
	plan := &Plan{Start: "1", Nodes: map[string]Node{
		"1": {Kind: KindWait, Scope: "1", For: time.Hour, Next: map[string]string{OutcomeElapsed: "2"}},
		"2": {Kind: KindWaitFor, Scope: "2", For: time.Hour, Next: map[string]string{OutcomeHeard: "3", OutcomeElapsed: "3"}},
		"3": {Kind: KindEnd},
	}}
	driving(t, plan, true).elapsed().heard(waking(1, "2", OutcomeHeard)).
		does(Effect{Node: "2", Step: 1, Elapsed: "1", Heard: 1}).reply(Result{Reply: ReplyDone, Wait: time.Hour}).
		does(Effect{Node: "3", Step: 2, Heard: 1})
}

func TestCursorCollects(t *testing.T) {
	t.Parallel()
	each := func(n int) Signal {
		return Signal{N: n, Kind: SignalWake, Scope: "1", Outcome: OutcomeEach, Count: n}
	}
	d := driving(t, collectPlan(), true).
		heard(each(1)).does(Effect{Node: "1/each/1", Step: 1, Heard: 1, Count: 1}).
		heard(each(3), each(2), each(2)).arms(OutcomeSent, time.Hour).
		does(Effect{Node: "1/each/1", Step: 2, Heard: 3, Count: 2}).arms(OutcomeSent, time.Hour).
		does(Effect{Node: "1/each/1", Step: 3, Heard: 3, Count: 3}).arms(OutcomeSent, time.Hour).
		waits(time.Hour)
	full := each(4)
	full.Outcome = OutcomeFull
	d.heard(full).does(Effect{Node: "2", Step: 4, Heard: 4, Count: 4}).done(OutcomeNext).
		does(Effect{Node: "3", Step: 5, Heard: 4, Count: 4})
}

func TestCursorKeepsTheCountPastOtherWaits(t *testing.T) {
	t.Parallel()
	plan := &Plan{Start: "1", Nodes: map[string]Node{
		"1": {Kind: KindCollect, Scope: "1", Next: map[string]string{OutcomeFull: "2", OutcomeElapsed: "3"}},
		"2": {Kind: KindWaitFor, Scope: "2", Next: map[string]string{OutcomeHeard: "3", OutcomeElapsed: "3"}},
		"3": {Kind: KindEnd},
	}}
	driving(t, plan, true).
		heard(Signal{N: 1, Kind: SignalWake, Scope: "1", Outcome: OutcomeFull, Count: 5}).
		reply(Result{Reply: ReplyDone, Wait: time.Hour}).
		heard(waking(2, "2", OutcomeHeard)).
		does(Effect{Node: "3", Step: 2, Heard: 2, Count: 5})
}

func TestCursorNumbersSignals(t *testing.T) {
	t.Parallel()
	d := driving(t, cartPlan(), true).heard(
		Signal{N: 3, Kind: SignalLeave, Outcome: "recovered"}, Signal{N: 3, Kind: SignalLeave, Outcome: "recovered"},
		Signal{N: 2, Kind: SignalRetry},
	).waits(time.Hour) // the first has not come
	require.Zero(t, d.c.State().Heard)
	require.Len(t, d.c.State().Early, 2)
	d.heard(Signal{N: 1, Kind: SignalRetry}).ends("recovered")
	d.heard(Signal{N: 1, Kind: SignalLeave, Outcome: "again"}, Signal{N: 4, Kind: SignalLeave, Outcome: "again"}).ends("recovered")
}

func TestCursorNumbersWaits(t *testing.T) {
	t.Parallel()
	d := driving(t, cartPlan(), true)
	first := d.c.Next().WaitNumber
	d.heard(Signal{N: 1, Kind: SignalRetry})
	require.Equal(t, first, d.c.Next().WaitNumber, "it is the same wait")
	d.elapsed().reply(Result{Reply: ReplyNotDue, Wait: time.Hour})
	second := d.c.Next().WaitNumber
	require.NotEqual(t, first, second)
	d.elapsed().reply(Result{Reply: ReplyDeferred, Wait: time.Hour})
	require.NotEqual(t, second, d.c.Next().WaitNumber)
}

// A leave that a driver tells while an effect is under way ends the run, and what the effect came to changes nothing.
func TestCursorDoneAfterALeave(t *testing.T) {
	t.Parallel()
	d := driving(t, cartPlan(), true).elapsed().heard(Signal{N: 1, Kind: SignalLeave, Outcome: "opted_out"})
	d.arms(OutcomeSent, time.Hour).ends("opted_out")
}

func TestCursorWaitIsNeverNegative(t *testing.T) {
	t.Parallel()
	driving(t, askPlan(), false).arms(OutcomeSent, -time.Hour).waits(0)
}

func TestCursorStateIsACopy(t *testing.T) {
	t.Parallel()
	d := driving(t, collectPlan(), true).heard(waking(1, "1", OutcomeEach), waking(2, "1", OutcomeEach), waking(9, "1", OutcomeEach))
	st := d.c.State()
	st.Queue[0].Outcome, st.Early[0].Outcome = "changed", "changed"
	require.Equal(t, OutcomeEach, d.c.State().Queue[0].Outcome)
	require.Equal(t, OutcomeEach, d.c.State().Early[0].Outcome)
	resumed := ResumeCursor(collectPlan(), st)
	st.Queue[0].Outcome = "changed again"
	require.Equal(t, "changed", resumed.State().Queue[0].Outcome)
}

func TestPlanCheck(t *testing.T) {
	t.Parallel()
	tests := map[string]func(p *Plan){
		"starts at":              func(p *Plan) { p.Start = "9" },
		"leads nowhere":          func(p *Plan) { p.Nodes["2"] = Node{Kind: KindSend} },
		"which it does not have": func(p *Plan) { p.Nodes["2"] = Node{Kind: KindSend, Next: map[string]string{OutcomeNext: "9"}} },
		"which is no wait":       func(p *Plan) { p.Nodes["2"] = Node{Kind: KindAgain, Next: map[string]string{OutcomeNext: "4"}} },
		"has no scope":           func(p *Plan) { p.Nodes["1"] = Node{Kind: KindWait, Next: map[string]string{OutcomeElapsed: "2"}} },
		"no way on": func(p *Plan) {
			p.Nodes["1"] = Node{Kind: KindWait, Scope: "1", Next: map[string]string{OutcomeHeard: "2"}}
		},
	}
	for want, spoil := range tests {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			p := cartPlan()
			spoil(p)
			require.ErrorContains(t, p.Check(), want)
		})
	}
}

func TestPlanIDsAreInTheOrderOfReading(t *testing.T) {
	t.Parallel()
	p := &Plan{Nodes: map[string]Node{"10": {}, "2": {}, "2/yes/10": {}, "2/yes/2": {}, "1": {}, "2/case:0/1": {}}}
	require.Equal(t, []string{"1", "2", "2/case:0/1", "2/yes/2", "2/yes/10", "10"}, p.IDs())
}
