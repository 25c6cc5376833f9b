package workflows

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/rules"
)

func countRequest(query string) *workflowservice.CountWorkflowExecutionsRequest {
	return &workflowservice.CountWorkflowExecutionsRequest{Namespace: "default", Query: query}
}

func TestStartTwice(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "abandoned-cart", cart(forever, forever))
	b.start.Armed, b.start.First = true, forever
	b.begin()
	b.begin() // while it runs
	b.signal(leave(1, "recovered"))
	b.outcome()
	b.begin() // when it is over
	require.Equal(t, "recovered", b.outcome())
	require.Empty(t, b.nodes())
}

func TestStartRefusesABadPlan(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "abandoned-cart", cart(forever, forever))
	b.start.Plan = nil
	require.Equal(t, punchcard.CodeInvalid, punchcard.CodeOf(house.engine.Start(b.ctx, b.start)))
	b.start.Plan = &rules.Plan{Start: "1"}
	require.Equal(t, punchcard.CodeInvalid, punchcard.CodeOf(house.engine.Start(b.ctx, b.start)))
	require.ErrorIs(t, house.engine.Signal(b.ctx, b.start.Journey, b.start.Run, leave(1, "")), punchcard.ErrRunGone)
}

func TestSignalToARunThatIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t, house, "abandoned-cart", cart(time.Hour, time.Hour))
	b.begin()
	b.outcome()
	require.ErrorIs(t, house.engine.Signal(b.ctx, b.start.Journey, b.start.Run, leave(1, "")), punchcard.ErrRunGone)
	require.ErrorIs(t, house.engine.Signal(b.ctx, b.start.Journey, "run_none", leave(1, "")), punchcard.ErrRunGone)
}

func TestSignalThatDidNotArriveIsNotGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := house.engine.Signal(ctx, "abandoned-cart", "run_none", leave(1, ""))
	require.Error(t, err)
	require.NotErrorIs(t, err, punchcard.ErrRunGone)
}

// An outage of Temporal is told from a delivery that fails by its own fault.
func TestTemporalThatIsAway(t *testing.T) {
	t.Parallel()
	// An address that nothing listens on.
	c, err := client.NewLazyClient(client.Options{HostPort: "127.0.0.1:1", Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err = NewEngine(c, 1).Signal(ctx, "abandoned-cart", "run_none", leave(1, ""))
	require.Equal(t, punchcard.CodeUnavailable, punchcard.CodeOf(err), "%v", err)
	for _, err := range []error{
		serviceerror.NewUnavailable("down"), serviceerror.NewDeadlineExceeded("late"), context.DeadlineExceeded,
		serviceerror.NewResourceExhausted(enumspb.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT, "busy"),
	} {
		require.Equal(t, punchcard.CodeUnavailable, punchcard.CodeOf(orAway(fmt.Errorf("wrapped: %w", err))), "%v", err)
		require.ErrorIs(t, orAway(err), err)
	}
	for _, err := range []error{serviceerror.NewInvalidArgument("too large"), context.Canceled} {
		require.Equal(t, punchcard.CodeInternal, punchcard.CodeOf(orAway(err)), "%v", err)
	}
}

func TestUIPath(t *testing.T) {
	t.Parallel()
	require.Equal(t, "/namespaces/default/workflows/opt-in%2Frun_1", UIPath("default", WorkflowID("opt-in", "run_1")))
}

func TestEnsureSearchAttributes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	path, err := temporalPath()
	require.NoError(t, err)
	// A server of its own: one with an attribute of another type, and with none of ours.
	dev, err := testsuite.StartDevServer(ctx, testsuite.DevServerOptions{ExistingPath: path, LogLevel: "error"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = dev.Stop() })
	c := dev.Client()

	require.NoError(t, EnsureSearchAttributes(ctx, c, "default"))
	require.NoError(t, EnsureSearchAttributes(ctx, c, "default"))
	listed, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: "default"})
	require.NoError(t, err)
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_KEYWORD, listed.GetCustomAttributes()["Customer"])
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_INT, listed.GetCustomAttributes()["Version"])

	_, err = c.OperatorService().RemoveSearchAttributes(ctx, &operatorservice.RemoveSearchAttributesRequest{
		Namespace: "default", SearchAttributes: []string{"Version", "Outcome"},
	})
	require.NoError(t, err)
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: "default", SearchAttributes: map[string]enumspb.IndexedValueType{"Version": enumspb.INDEXED_VALUE_TYPE_KEYWORD},
	})
	require.NoError(t, err)
	require.ErrorContains(t, EnsureSearchAttributes(ctx, c, "default"), "search attribute Version of type Keyword")
	require.ErrorContains(t, EnsureSearchAttributes(ctx, c, "nowhere"), `namespace "nowhere"`)
}
