package workflows

import (
	"math"
	"time"

	"go.temporal.io/sdk/workflow"

	"punchcard/rules"
)

// timer is the timer of the present wait, if it has one.
type timer struct {
	number int // the wait it is for
	future workflow.Future
	cancel workflow.CancelFunc
	due    time.Time
}

// stop cancels the timer if there is one.
func (t *timer) stop() {
	if t.cancel != nil {
		t.cancel()
	}
	*t = timer{}
}

// left is how much business time is left of the wait of that number, and whether the timer is that wait's.
func (t *timer) left(ctx workflow.Context, speed float64, number int) (left time.Duration, running bool) {
	if t.future == nil || t.number != number {
		return 0, false
	}
	return max(business(t.due.Sub(workflow.Now(ctx)), speed), 0), true
}

// wait waits until the move's time is over or something was heard, whichever is first; when both are there, what was heard
// is. A timer that runs for this wait already goes on running.
func (r *runner) wait(ctx workflow.Context, move rules.Move) {
	if r.timer.number != move.WaitNumber {
		r.timer.stop()
	}
	if !move.Forever && r.timer.future == nil {
		d := onTheWall(move.Wait, r.in.Speed)
		if d <= 0 {
			r.elapsed()
			return
		}
		timerCtx, cancel := workflow.WithCancel(ctx)
		r.timer = timer{
			number: move.WaitNumber,
			future: workflow.NewTimerWithOptions(timerCtx, d, workflow.TimerOptions{Summary: r.label()}),
			cancel: cancel,
			due:    workflow.Now(ctx).Add(d),
		}
	}
	selector := workflow.NewSelector(ctx)
	selector.AddReceive(r.signals, r.receive)
	if r.timer.future != nil {
		selector.AddFuture(r.timer.future, r.fired)
	}
	selector.Select(ctx)
}

func (r *runner) receive(signals workflow.ReceiveChannel, _ bool) {
	var s rules.Signal
	if signals.ReceiveAsync(&s) {
		r.unheard = append(r.unheard, s)
	}
}

func (r *runner) fired(workflow.Future) { r.elapsed() }

func (r *runner) elapsed() {
	r.timer = timer{}
	r.story.elapsed(r.label(), r.cursor.State().Phase)
	r.cursor.Elapsed()
}

// onTheWall is how long a span of business time takes on the wall. A part of a millisecond counts as one: timers are no finer, and one
// that fires early is only told by the fence to wait again.
func onTheWall(d time.Duration, speed float64) time.Duration {
	return time.Duration(math.Ceil(float64(d)/speed/float64(time.Millisecond))) * time.Millisecond
}

// business is how much business time passes in a span on the wall.
func business(d time.Duration, speed float64) time.Duration {
	return time.Duration(float64(d) * speed)
}
