package rules_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"punchcard/programs"
	"punchcard/rules"
)

// What any expression of a program asks about is listened to, wherever it stands: it would not be counted otherwise.
func TestListensToWhatIsAskedAbout(t *testing.T) {
	t.Parallel()
	coffee := folder(t, programs.Coffee())
	listens := func(path, from, to string) bool {
		t.Helper()
		files := fstest.MapFS{}
		for name, text := range coffee {
			files[name] = &fstest.MapFile{Data: []byte(text)}
		}
		require.Equal(t, 1, strings.Count(coffee[path], from), from)
		files[path] = &fstest.MapFile{Data: []byte(strings.Replace(coffee[path], from, to, 1))}
		p, found := rules.Load(files)
		require.Empty(t, found.Errors())
		return p.Listens("points.expired")
	}
	require.False(t, listens("program.yaml", "event.total >= 10", "event.total >= 11"))
	require.True(t, listens("program.yaml", "where: event.total >= 10,", `where: 'times("points.expired", "30d") == 0',`))
	require.True(t, listens("program.yaml", `of: times("order.placed"), at: 1`, `of: times("points.expired"), at: 1`))
	require.True(t, listens("journeys/abandoned-cart.yaml", "where: event.total >= 20", `where: total("points.expired", "points") > 20`))
	require.True(t, listens("journeys/redemption.yaml", "if: held.value > 50", `if: latest("points.expired")?.points > 50`))
	require.True(t, listens("rewards.yaml", `eligible: customer.tier == "gold"`, `eligible: times("points.expired") == 0`))
	require.True(t, listens("journeys/milestone.yaml", "if: entry.milestone", `if: times("points.expired") == 0 and entry.milestone`))
}
