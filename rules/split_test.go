package rules_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/rules"
)

func TestSplit_Arm(t *testing.T) {
	t.Parallel()
	const customers = 20_000
	s := &rules.Split{Name: "words", Arms: []rules.SplitArm{
		{Name: "a", Weight: 45}, {Name: "holdout", Weight: 10, Holdout: true}, {Name: "b", Weight: 45},
	}}
	wider := &rules.Split{Name: "words", Arms: []rules.SplitArm{s.Arms[0], s.Arms[1], {Name: "b", Weight: 55}}}
	other := &rules.Split{Name: "colours", Arms: s.Arms}
	got, moved, alike, elsewhere := map[string]int{}, 0, 0, 0
	for i := range customers {
		id := fmt.Sprintf("cus_%d", i)
		arm := s.Arm("journey", id)
		got[arm.Name]++
		require.Equal(t, arm, s.Arm("journey", id))
		if to := wider.Arm("journey", id).Name; to != arm.Name {
			require.Equal(t, "b", to, "only the arm that grew takes customers")
			moved++
		}
		if other.Arm("journey", id).Name == arm.Name {
			alike++
		}
		if s.Arm("other", id).Name == arm.Name {
			elsewhere++
		}
	}
	require.InDelta(t, 0.45, float64(got["a"])/customers, 0.01)
	require.InDelta(t, 0.45, float64(got["b"])/customers, 0.01)
	require.InDelta(t, 0.10, float64(got["holdout"])/customers, 0.01)
	// b's share grows from 45 of 100 to 55 of 110: what it gains moves, and nothing else.
	require.InDelta(t, 0.05, float64(moved)/customers, 0.005)
	// Splits of other names, and of other journeys, divide independently: two of 45 % and one of 10 % meet by chance in 41.5 %.
	require.InDelta(t, 0.415, float64(alike)/customers, 0.02)
	require.InDelta(t, 0.415, float64(elsewhere)/customers, 0.02)
}

// TestSplit_Arm_fixed keeps customers where they are: who changes the hash moves everybody.
func TestSplit_Arm_fixed(t *testing.T) {
	t.Parallel()
	s := &rules.Split{Name: "words", Arms: []rules.SplitArm{{Name: "a", Weight: 50}, {Name: "b", Weight: 50}}}
	arms := ""
	for i := range 20 {
		arms += s.Arm("journey", fmt.Sprintf("cus_%d", i)).Name
	}
	require.Equal(t, "babaabbabbababaaaaaa", arms)
}
