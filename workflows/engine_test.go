package workflows

import (
	"context"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
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
