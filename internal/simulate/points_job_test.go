package simulate_test

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/activities"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

// earners are new customers who have earned 100 points each, which live for 20 days.
func (b *bundle) earners(many int) []string {
	b.t.Helper()
	const at = 500
	ids := make([]string, many)
	for i := 0; i < many; i += at {
		require.NoError(b.t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
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
	return ids
}

// job is one of the table of jobs.
func (b *bundle) job(name string) activities.Job {
	b.t.Helper()
	jobs := b.Activities.Jobs()
	i := slices.IndexFunc(jobs, func(j activities.Job) bool { return j.Name == name })
	require.GreaterOrEqual(b.t, i, 0)
	return jobs[i]
}

// round does a job to its end, and answers how many were done and failed.
func (b *bundle) round(job activities.Job) (done, failed int) {
	b.t.Helper()
	for after := ""; ; {
		r, err := job.Batch(b.ctx, after)
		require.NoError(b.t, err)
		done, failed = done+r.Done, failed+r.Failed
		if after = r.Next; after == "" && !r.Busy {
			return done, failed
		}
	}
}

// expired sums what has expired of a customer's points.
func (b *bundle) expired(customer string) (points int64) {
	b.t.Helper()
	ledger, err := b.Store.View(b.ctx).Ledger(customer, 0, 10_000)
	require.NoError(b.t, err)
	for _, e := range ledger {
		if e.Kind == punchcard.LedgerExpire {
			points += e.Points
		}
	}
	return points
}

// hearing is the coffee program with a journey that hears of points that expire.
func hearing() fstest.MapFS {
	return add(coffee(), "journeys/gone.yaml", "journey: gone\npurpose: service\nenter:\n  - on: points.expired\nsteps:\n  - label: told\n")
}

// Everybody's points expire in one round of the job, which is killed in the middle and goes on, while the same customers earn and hold.
// PUNCHCARD_CUSTOMERS says how many they are; 100000 takes minutes. What it took is compared with what the database takes
// for as many bare rows of the ledger.
func TestEverybodysPointsExpire(t *testing.T) {
	t.Parallel()
	many := 400
	if n, err := strconv.Atoi(os.Getenv("PUNCHCARD_CUSTOMERS")); err == nil {
		many = n
	}
	for _, dialect := range storetest.Dialects {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			dsn := storetest.DSN(t, dialect)
			b := setup(t, storetest.Open(t, dsn), coffee())
			ids := b.earners(many)
			b.Clock.Advance(21 * day)
			job := b.job(activities.JobPoints)

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
						begun := time.Now()
						if err := b.busy(ids[(n*7919)%many], n); err != nil {
							t.Errorf("traffic: %v", err)
							return
						}
						took[w] = append(took[w], time.Since(begun))
					}
				})
			}
			begun, after, done, batches, longest := time.Now(), "", 0, 0, time.Duration(0)
			for {
				one := time.Now()
				r, err := job.Batch(b.ctx, after)
				require.NoError(t, err)
				require.Zero(t, r.Failed)
				longest = max(longest, time.Since(one))
				done += r.Done
				if batches == 0 {
					require.EqualValues(t, many, r.Of)
				}
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
			t.Logf("%s: %d customers in %s, %d done in %d batches, the longest of them %s", dialect, many, lasted.Round(time.Millisecond), done, batches, longest)
			if len(all) > 0 {
				t.Logf("%s: %d others' transactions meanwhile: median %s, 99%% %s, longest %s", dialect,
					len(all), all[len(all)/2], all[len(all)*99/100], all[len(all)-1])
				require.Less(t, all[len(all)-1], 10*time.Second, "nobody is locked out")
			}
			b.round(job) // what the others touched is due since: events are to be raised of that
			next, err := b.Store.View(b.ctx).NextDue()
			require.NoError(t, err)
			require.Nil(t, next, "nothing is left")
			for i := 0; i < many; i += max(1, many/500) {
				account, err := b.Store.View(b.ctx).Account(ids[i])
				require.NoError(t, err)
				require.Zero(t, account.Available%10)
				require.EqualValues(t, 100, b.expired(ids[i]), "each once, whoever wrote it")
			}
			bare := bareRows(t, dialect, dsn, many)
			t.Logf("%s: %d bare rows of the ledger, as many a transaction, in %s: the job took %.1f times that", dialect, many, bare.Round(time.Millisecond), float64(lasted)/float64(bare))
		})
	}
}

// busy has a customer earn and hold points, and give them back.
func (b *bundle) busy(id string, n int) error {
	return b.Store.Update(b.ctx, func(tx *store.Tx) error {
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
}

// bareRows is what the database takes to write so many rows of the ledger and nothing else, as many a transaction as the job has customers.
func bareRows(t *testing.T, dialect store.Dialect, dsn string, many int) time.Duration {
	t.Helper()
	driver, source := "pgx", dsn
	if dialect == store.SQLite {
		driver, source = "sqlite", "file:"+dsn+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, source)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	begun := time.Now()
	for i := 0; i < many; i += activities.PointsBatch {
		_, err := db.ExecContext(t.Context(), fmt.Sprintf(`INSERT INTO ledger_entries (customer_id, kind, from_account, to_account, points, lot_id, ref, "key", at)
			SELECT customer_id, 'expire', 'available', 'outside', 1, id, '', 'bare/' || id, expires_at FROM points_lots WHERE expires_at IS NOT NULL AND id > %d ORDER BY id LIMIT %d`,
			i, activities.PointsBatch))
		require.NoError(t, err)
	}
	return time.Since(begun)
}

// A batch takes as many statements for a hundred customers as for five, and not many.
func TestPointsBatchBudget(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		costs := map[int]int64{}
		for _, many := range []int{5, activities.PointsBatch} {
			b := setup(t, fresh(t), hearing())
			ids := b.earners(many)
			job := b.job(activities.JobPoints)
			b.round(job) // every account is reckoned by the program's tiers, and it is known what is listened to
			b.Clock.Advance(21 * day)
			before := b.Store.Statements()
			r, err := job.Batch(b.ctx, "due/")
			require.NoError(t, err)
			require.Equal(t, many, r.Done)
			require.Zero(t, r.Failed)
			costs[many] = b.Store.Statements() - before
			for _, id := range ids {
				e, _, err := b.Store.View(b.ctx).NextEvent(id)
				require.NoError(t, err)
				require.Equal(t, punchcard.EventPointsExpired, e.Name)
			}
			require.NoError(t, b.Settle(b.ctx))
			done, _ := b.round(job)
			require.Zero(t, done, "each once")
		}
		t.Logf("%v statements", costs)
		// Is dispatch busy, who is due; customers, accounts, lots, what was earned; entries, lots, what is to be told, accounts; the queue,
		// events. Where a second has passed: is there a newer program, what is listened to, which hooks there are.
		for many, cost := range costs {
			require.LessOrEqual(t, cost, int64(16), "%d customers", many)
		}
	})
}

// One customer whose account cannot be done is left, and said; all the others of the batch are done.
func TestOneSpoilsNoOther(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		ids := b.earners(6)
		bad := ids[2]
		b.round(b.job(activities.JobPoints)) // every account is reckoned by the program's tiers
		ledger, err := b.Store.View(b.ctx).Ledger(bad, 0, 1)
		require.NoError(t, err)
		require.NoError(t, b.Store.Update(b.ctx, func(tx *store.Tx) error { // somebody else's entry has the key that the bad one's will have
			_, _, err := tx.Earn(ids[5], 1, "order.placed", "o", fmt.Sprintf("expired/%d/0", *ledger[0].LotID), tx.Now, nil)
			return err
		}))
		b.Clock.Advance(21 * day)
		for range 2 {
			_, failed := b.round(b.job(activities.JobPoints))
			require.Equal(t, 1, failed)
		}
		for _, id := range ids {
			want := int64(100)
			if id == bad {
				want = 0
			}
			require.Equal(t, want, b.expired(id))
		}
	})
}

// Whoever holds one customer keeps none of the others waiting.
func TestHeldCustomerKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		if b.Store.Dialect() == store.SQLite {
			t.Skip("SQLite has one writer: nobody holds a customer while another writes")
		}
		ids := b.earners(6)
		b.Clock.Advance(21 * day)
		held, release, batch := make(chan struct{}), make(chan struct{}), make(chan error, 2)
		go func() {
			batch <- b.Store.Update(b.ctx, func(tx *store.Tx) error {
				_, err := tx.LockCustomer(ids[1])
				close(held)
				<-release
				return err
			})
		}()
		<-held
		go func() {
			_, err := b.job(activities.JobPoints).Batch(b.ctx, "due/")
			batch <- err
		}()
		for _, id := range ids {
			if id != ids[1] {
				require.Eventually(t, func() bool { return b.expired(id) == 100 }, time.Minute, 5*time.Millisecond)
			}
		}
		require.Zero(t, b.expired(ids[1]))
		close(release)
		require.NoError(t, <-batch)
		require.NoError(t, <-batch)
		require.EqualValues(t, 100, b.expired(ids[1]), "and is done when they are free")
	})
}

// Rewards that nobody used end, each once, some in one transaction. PUNCHCARD_CUSTOMERS says how many there are.
func TestEverybodysRewardsExpire(t *testing.T) {
	t.Parallel()
	many := 60
	if n, err := strconv.Atoi(os.Getenv("PUNCHCARD_CUSTOMERS")); err == nil {
		many = n
	}
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		ids := b.earners(many)
		for i := 0; i < many; i += 500 {
			require.NoError(t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
				for _, id := range ids[i:min(i+500, many)] {
					ends := tx.Now.Add(day)
					g := &punchcard.Grant{
						ID: punchcard.NewID("grt"), CustomerID: id, Reward: "welcome-10", Version: 1, CapturedBy: "order.placed", Status: punchcard.GrantGiven, ExpiresAt: &ends,
					}
					if err := tx.AddGrant(g); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		b.Clock.Advance(2 * day)
		job := b.job(activities.JobGrants)
		for begun, after, batches, statements, longest := time.Now(), "", 0, b.Store.Statements(), time.Duration(0); ; {
			one := time.Now()
			r, err := job.Batch(b.ctx, after)
			require.NoError(t, err)
			require.Zero(t, r.Failed)
			longest = max(longest, time.Since(one))
			if batches++; batches == 1 {
				require.EqualValues(t, many, r.Of)
				require.LessOrEqual(t, b.Store.Statements()-statements, int64(5*activities.GrantsBatch), "a batch")
			}
			if r.Busy {
				_, err := b.Dispatch.Drain(b.ctx)
				require.NoError(t, err)
			}
			if after = r.Next; after == "" && !r.Busy {
				t.Logf("%s: %d rewards, and dispatch that routes what is raised, in %s; %d batches, the longest %s", b.Store.Dialect(), many, time.Since(begun).Round(time.Millisecond), batches, longest)
				break
			}
		}
		require.NoError(t, b.Settle(b.ctx))
		view := b.Store.View(b.ctx)
		for i := 0; i < many; i += max(1, many/100) {
			g, err := view.Grants(ids[i], "", 2)
			require.NoError(t, err)
			require.Len(t, g, 1)
			require.Equal(t, punchcard.GrantReleased, g[0].Status)
			n, err := view.Total(ids[i], punchcard.EventRewardExpired, "", 0)
			require.NoError(t, err)
			require.Equal(t, 1, int(n), "each is told once")
		}
	})
}
