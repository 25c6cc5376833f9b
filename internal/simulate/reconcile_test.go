package simulate_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/activities"
	"punchcard/internal/store"
)

// lost is a Temporal that has lost some runs.
type lost struct{ asked, missing []string }

func (l *lost) Missing(_ context.Context, runs []punchcard.Run) ([]string, error) {
	for _, r := range runs {
		l.asked = append(l.asked, r.ID)
	}
	return l.missing, nil
}

// A run whose workflow is gone ends as terminated, and what it held is given back. One that Temporal is still to be told of is left alone.
func TestReconcile(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		temporal := &lost{}
		b.Activities.Workflows = temporal
		b.join(anna)
		b.order("o1", 300)
		b.advance(14 * day)
		_, err := b.Dispatch.RequestRedemption(b.ctx, b.customer(anna).ID, "free-coffee", "")
		require.NoError(t, err)
		require.NoError(t, b.Settle(b.ctx))
		require.Equal(t, "50, 0 pending, 250 held, 0 owed, 300 earned", b.account())
		round := func() {
			t.Helper()
			for _, j := range b.Activities.Jobs() {
				if j.Name == activities.JobReconcile {
					r, err := j.Batch(b.ctx, "")
					require.NoError(t, err)
					require.Zero(t, r.Failed)
				}
			}
		}
		round()
		require.Len(t, temporal.asked, 1, "of the stamp card: what has just changed is not asked about")
		b.Clock.Advance(2 * time.Hour)
		round()
		require.Len(t, temporal.asked, 3)
		require.Equal(t, "50, 0 pending, 250 held, 0 owed, 300 earned", b.account())
		temporal.missing = temporal.asked
		round()
		require.Equal(t, "300, 0 pending, 0 held, 0 owed, 300 earned", b.account())
		require.Contains(t, b.outcomes(anna), "redemption terminated")
	})
}

// A milestone within a time counts what came in it, and is reached again with nothing that counted before.
func TestMilestoneWithin(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		files := coffee()
		text := strings.Replace(string(files["program.yaml"].Data), "milestones:", "milestones:\n  - {name: busy, of: times(\"order.placed\"), at: 3, within: 7d}\n#", 1)
		files["program.yaml"].Data = []byte(text)
		b := setup(t, fresh(t), add(files, "journeys/busy.yaml", "journey: busy\npurpose: service\nenter:\n"+
			"  - {on: milestone.reached, where: event.milestone == \"busy\", key: string(event.nth)}\nsteps:\n  - label: busy\n"))
		b.join(anna)
		orders, busy := 0, 0
		order := func(days int, reached int) {
			t.Helper()
			b.advance(time.Duration(days) * day)
			orders++
			b.order(fmt.Sprint("o", orders), 1)
			busy = 0
			for _, o := range b.outcomes(anna) {
				if o == "busy completed" {
					busy++
				}
			}
			require.Equal(t, reached, busy, "order %d", orders)
		}
		order(0, 0)
		order(10, 0)
		order(1, 0)
		order(1, 1) // three in a week
		order(1, 1)
		order(1, 1)
		order(7, 1) // that week is not over by a whole day
		order(1, 1)
		order(1, 2)
	})
}
