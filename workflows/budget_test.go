package workflows

import (
	"fmt"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"

	"github.com/stretchr/testify/require"
)

// Cost is what a workflow's history costs.
type Cost struct {
	Events  int
	Actions int // as Temporal Cloud bills them
}

// CostOf counts a history. An action is a start (a continuation is one too), a timer, a regular activity and each of its retries, a signal, a
// search attribute upsert, and all markers of one workflow task together, which is what local activities leave. Search
// attributes at start, current details and workflow tasks cost nothing.
func CostOf(h *historypb.History) Cost {
	c := Cost{Events: len(h.GetEvents())}
	marked := map[int64]bool{} // workflow tasks that recorded markers
	for _, e := range h.GetEvents() {
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
			enumspb.EVENT_TYPE_TIMER_STARTED,
			enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
			enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
			enumspb.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
			c.Actions++
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED:
			c.Actions += int(e.GetActivityTaskStartedEventAttributes().GetAttempt()) - 1
		case enumspb.EVENT_TYPE_MARKER_RECORDED:
			task := e.GetMarkerRecordedEventAttributes().GetWorkflowTaskCompletedEventId()
			if !marked[task] {
				marked[task] = true
				c.Actions++
			}
		default:
		}
	}
	return c
}

func (c Cost) String() string { return fmt.Sprintf("%d events, %d actions", c.Events, c.Actions) }

// A reminded cart that is bought after all: the armed wait, the message, the wait that it armed, the leave.
func TestBudgetOfACart(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "abandoned-cart", cart(time.Hour, forever))
	b.start.Armed, b.start.First = true, time.Hour
	b.begin()
	b.reached("2", 1)
	// The leave comes into the second wait, not on the heels of the message.
	b.timers(2)
	b.signal(leave(1, "recovered"))
	require.Equal(t, "recovered", b.outcome())

	cost := CostOf(b.history(""))
	require.LessOrEqual(t, cost.Events, 24, cost)
	require.LessOrEqual(t, cost.Actions, 6, cost)
}

// A cart that is bought within the hour, which most are.
func TestBudgetOfACartBoughtAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "abandoned-cart", cart(forever, forever))
	b.start.Armed, b.start.First = true, forever
	b.begin()
	b.timers(1)
	b.signal(leave(1, "recovered"))
	b.outcome()

	cost := CostOf(b.history(""))
	require.LessOrEqual(t, cost.Events, 11, cost)
	require.LessOrEqual(t, cost.Actions, 4, cost)
}

// Local activities of one stretch are one action.
func TestBudgetOfAnOptIn(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "opt-in", optIn(forever, forever))
	b.ends["2"] = "subscribed"
	b.begin()
	b.timers(1)
	b.signal(wake(1, "1", "answer:yes"))
	b.outcome()
	cost := CostOf(b.history(""))
	require.LessOrEqual(t, cost.Actions, 6, cost) // start, ask, timer, signal, three local activities, outcome
}
