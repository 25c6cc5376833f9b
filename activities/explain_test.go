package activities

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/fence"
)

// Every reason that the gate can give has words: a new one fails here until it does.
func TestEveryReasonHasWords(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "gate.go", nil, 0)
	require.NoError(t, err)
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
			return true
		}
		reason, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		rule, _ := fence.InWords(punchcard.MessageDecision{Reason: reason})
		require.NotContains(t, rule, "WhatsApp refused it", reason)
		require.NotContains(t, rule, "{", reason)
		n++
		return true
	})
	require.Greater(t, n, 20)
}
