package simulate_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/activities"
	"punchcard/internal/store"
)

// Everybody's points expire in one round of the job, which is killed in the middle and goes on, while the same customers earn and hold.
// PUNCHCARD_CUSTOMERS says how many they are; 100000 takes minutes.
func TestEverybodysPointsExpire(t *testing.T) {
	t.Parallel()
	many := 400
	if n, err := strconv.Atoi(os.Getenv("PUNCHCARD_CUSTOMERS")); err == nil {
		many = n
	}
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		ids := make([]string, many)
		const at = 500
		for i := 0; i < many; i += at {
			require.NoError(t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
				for j := i; j < min(i+at, many); j++ {
					c, err := tx.Enroll([]punchcard.Identity{{Kind: punchcard.IdentityExternal, Value: strconv.Itoa(j)}}, punchcard.Customer{})
					if err != nil {
						return err
					}
					ids[j] = c.ID
					expires := tx.Now.Add(20 * day)
					if _, _, err := tx.Earn(c.ID, 100, "order.placed", "o", "earn/"+c.ID, tx.Now, &expires); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		b.Clock.Advance(21 * day)

		// Traffic on the same customers, as long as the job is at work.
		stop := make(chan struct{})
		var traffic sync.WaitGroup
		took := make([][]time.Duration, 4)
		for w := range took {
			traffic.Go(func() {
				for n := w; ; n += len(took) {
					select {
					case <-stop:
						return
					case <-time.After(5 * time.Millisecond): // a customer now and then, as life has it
					}
					id := ids[(n*7919)%many]
					begun := time.Now()
					err := b.Store.Update(b.ctx, func(tx *store.Tx) error {
						if _, err := tx.LockCustomer(id); err != nil {
							return err
						}
						if _, _, err := tx.Earn(id, 10, "order.placed", "p", fmt.Sprintf("more/%d", n), tx.Now, nil); err != nil {
							return err
						}
						g := &punchcard.Grant{ID: punchcard.NewID("grt"), CustomerID: id, Reward: "free-coffee", Version: 1, CapturedBy: "till", Status: punchcard.GrantHeld, Cost: 10}
						if err := tx.AddGrant(g); err != nil {
							return err
						}
						if err := tx.Hold(g, 10, 0); err != nil {
							return err
						}
						_, err := tx.ReleaseGrant(g)
						return err
					})
					took[w] = append(took[w], time.Since(begun))
					if err != nil {
						t.Errorf("traffic: %v", err)
						return
					}
				}
			})
		}
		var job activities.Job
		for _, j := range b.Activities.Jobs() {
			if j.Name == activities.JobPoints {
				job = j
			}
		}
		begun, after, done, batches := time.Now(), "", 0, 0
		for {
			r, err := job.Batch(b.ctx, after)
			require.NoError(t, err)
			require.Zero(t, r.Failed)
			done += r.Done
			if batches++; batches == many/200 {
				after = "due/" // killed: it begins again, and finds only what is left
				continue
			}
			if after = r.Next; after == "" && !r.Busy {
				break
			}
		}
		lasted := time.Since(begun)
		close(stop)
		traffic.Wait()
		all := slices.Concat(took...)
		slices.Sort(all)
		if len(all) > 0 {
			t.Logf("%s: %d customers in %s, %d batches; %d others' transactions meanwhile: median %s, 99%% %s, longest %s", b.Store.Dialect(), many,
				lasted.Round(time.Millisecond), batches, len(all), all[len(all)/2], all[len(all)*99/100], all[len(all)-1])
			require.Less(t, all[len(all)-1], 10*time.Second, "nobody is locked out")
		}
		t.Logf("%d were done", done)
		for after = ""; ; { // what the others touched is due since: events are to be raised of that
			r, err := job.Batch(b.ctx, after)
			require.NoError(t, err)
			if after = r.Next; after == "" && !r.Busy {
				break
			}
		}
		next, err := b.Store.View(b.ctx).NextDue()
		require.NoError(t, err)
		require.Nil(t, next, "nothing is left")
		for i := 0; i < many; i += max(1, many/500) {
			account, err := b.Store.View(b.ctx).Account(ids[i])
			require.NoError(t, err)
			require.Zero(t, account.Available%10)
			ledger, err := b.Store.View(b.ctx).Ledger(ids[i], 0, 10_000)
			require.NoError(t, err)
			expired := int64(0)
			for _, e := range ledger {
				if e.Kind == punchcard.LedgerExpire {
					expired += e.Points
				}
			}
			require.EqualValues(t, 100, expired, "each once, whoever wrote it")
		}
	})
}
