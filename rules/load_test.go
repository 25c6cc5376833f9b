package rules_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/programs"
	"punchcard/rules"
)

// TestLoad_design loads the sample program of the design, to the letter.
func TestLoad_design(t *testing.T) {
	t.Parallel()
	p, found := rules.Load(os.DirFS("testdata/design"))
	require.Empty(t, found.Errors(), "%v", found)
	checkPlans(t, p)
}

func TestLoad_coffee(t *testing.T) {
	t.Parallel()
	p, found := rules.Load(programs.Coffee())
	require.Empty(t, found.Errors(), "%v", found)
	checkPlans(t, p)
}

// checkPlans checks that every plan can be driven, and that every node that does something has a step.
func checkPlans(t *testing.T, p *rules.Program) {
	t.Helper()
	require.NotEmpty(t, p.Journeys)
	for name, j := range p.Journeys {
		require.NoError(t, j.Plan.Check(), name)
		for id, node := range j.Plan.Nodes {
			if node.Kind == rules.KindAgain {
				require.NotContains(t, j.Steps, id)
				continue
			}
			require.Contains(t, j.Steps, id, name)
			require.Equal(t, node.Kind, j.Steps[id].Kind, name)
			require.Equal(t, id, j.Steps[id].Node, name)
		}
		require.Len(t, j.Steps, stepNodes(j.Plan))
	}
}

func stepNodes(p *rules.Plan) int {
	n := 0
	for _, node := range p.Nodes {
		if node.Kind != rules.KindAgain {
			n++
		}
	}
	return n
}
