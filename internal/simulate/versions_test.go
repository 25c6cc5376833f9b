package simulate_test

import (
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/store"
	"punchcard/rules"
)

// publish makes a program the newest version.
func (b *bundle) publish(program fs.FS) int {
	b.t.Helper()
	p, problems := rules.Load(program)
	require.Empty(b.t, problems.Errors())
	version, _, err := b.Fence.Catalog.Publish(b.ctx, p)
	require.NoError(b.t, err)
	return version
}

// A journey changed in every way a marketer might leaves runs that are under way as they were, and new ones take the change.
func TestVersions(t *testing.T) {
	t.Parallel()
	text, err := fs.ReadFile(coffee(), "journeys/abandoned-cart.yaml")
	require.NoError(t, err)
	reworded := func(old, now string) string {
		require.Contains(t, string(text), old)
		return strings.Replace(string(text), old, now, 1)
	}
	head, _, found := strings.Cut(string(text), "steps:")
	require.True(t, found)
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		for name, changed := range map[string]string{
			"a wait is longer":              reworded("- wait: 1h", "- wait: 2h"),
			"a step is added":               reworded("steps:", "steps:\n  - label: carted"),
			"a step is removed":             reworded("  - wait: 23h\n", ""),
			"steps are reordered":           head + "steps:\n  - wait: 2h\n  - end: lost\n",
			"an outcome is named otherwise": reworded("- end: no_offer", "- end: nothing_to_offer"),
			"the journey is gone":           "",
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t, fresh(t), coffee())
				b.join(anna)
				cart := func(id string) {
					b.event(anna, "cart.updated", map[string]any{"cart_id": id, "total": 50, "items": []any{}})
				}
				cart("old")
				program := with(map[string]string{"journeys/abandoned-cart.yaml": changed})
				if changed == "" {
					program = without(program, "journeys/abandoned-cart.yaml")
				}
				require.Equal(t, 2, b.publish(program))
				cart("new")
				b.advance(25 * time.Hour)
				runs, err := b.Store.View(b.ctx).Runs(b.customer(anna).ID, "", 10)
				require.NoError(t, err)
				versions := map[string]int{}
				for _, r := range runs {
					if r.Journey != "abandoned-cart" {
						continue
					}
					versions[r.Key] = r.Version
					if r.Key == "old" {
						require.Equal(t, "no_offer", r.Outcome, "it goes on as it began")
						story, err := b.Store.View(b.ctx).Story(r.ID)
						require.NoError(t, err)
						require.Equal(t, "send cart_reminder", story[0].Label)
					}
				}
				require.Equal(t, 1, versions["old"])
				if changed != "" {
					require.Equal(t, 2, versions["new"])
				}
			})
		}
	})
}

// without is a program with one file less.
func without(program fstest.MapFS, path string) fstest.MapFS {
	less := maps.Clone(program)
	delete(less, path)
	return less
}
