package workflows

import (
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/stretchr/testify/require"
)

// A history that was recorded once must replay for ever: runs last for weeks, and workers are newer than the runs they take over.
// When this fails, what changed needs a new rules.Interpreter, or a workflow.GetVersion if it is the shell; never a new recording.
func TestReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/histories/v*/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(file, "testdata/histories/"), ".json"), func(t *testing.T) {
			t.Parallel()
			replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{})
			require.NoError(t, err)
			replayer.RegisterDynamicWorkflow(run, workflow.DynamicRegisterOptions{})
			quiet := log.NewStructuredLogger(slog.New(slog.DiscardHandler))
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(quiet, file))
		})
	}
}

func TestEveryKindHasAHistory(t *testing.T) {
	t.Parallel()
	for _, kind := range declaredKinds(t) {
		require.FileExists(t, filepath.Join(histories, kind+".json"), "record it, and nothing else: go test ./workflows -run 'TestKinds/^%s$' -update", kind)
	}
}

// declaredKinds reads the constants of type Kind from the source of package rules, so that a new one cannot be forgotten here.
func declaredKinds(t *testing.T) (kinds []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../rules/plan.go", nil, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Kind" {
			return true
		}
		for _, v := range spec.Values {
			kind, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			require.NoError(t, err)
			kinds = append(kinds, kind)
		}
		return true
	})
	require.GreaterOrEqual(t, len(kinds), 16)
	return kinds
}
