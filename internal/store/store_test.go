package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

func TestSQLiteConnections(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.New(t, store.SQLite))
	write, read := h.Pools(t)
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000",
	} {
		for name, pool := range map[string]*sql.DB{"writer": write, "reader": read} {
			var have string
			require.NoError(t, pool.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&have))
			require.Equal(t, want, have, "%s of the %s", pragma, name)
		}
	}
	require.Equal(t, 1, write.Stats().MaxOpenConnections)
	require.Error(t, h.view().SetSetting("a", "b"), "reads are for reading")
	require.Error(t, h.exec("INSERT INTO pending_customers (customer_id, due_at, claimed_by) VALUES ('cus_nobody', '', '')"), "foreign keys hold")
}

// Two processes that read and then write, side by side, lose nothing and fail at nothing.
func TestUpdateReadsThenWrites(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		stores := []*store.Store{open(), open()}
		h := newHouse(t, stores[0])
		c := h.customer("1")
		const each = 100
		noErrors(t, together(4, func(i int) error {
			for range each {
				if err := stores[i%2].Update(t.Context(), func(tx *store.Tx) error {
					c, err := tx.LockCustomer(c.ID)
					if err != nil {
						return err
					}
					n, _ := strconv.Atoi(c.Name)
					c.Name = strconv.Itoa(n + 1)
					return tx.SaveCustomer(c)
				}); err != nil {
					return err
				}
			}
			return nil
		}))
		have, err := h.view().Customer(c.ID)
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(4*each), have.Name)
	})
}

func TestReadsSeeWhatWasCommitted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		h, other := newHouse(t, open()), open()
		for i := range 200 {
			want := strconv.Itoa(i)
			h.do(func(tx *store.Tx) error {
				if err := tx.SetSetting("n", want); err != nil {
					return err
				}
				before, err := h.view().Setting("n")
				require.NotEqual(t, want, before, "it is not committed yet")
				return err
			})
			for _, s := range []*store.Store{h.Store, other} {
				have, err := s.View(t.Context()).Setting("n")
				require.NoError(t, err)
				require.Equal(t, want, have)
			}
		}
	})
}

func TestUpdateRollsBack(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		set := func(tx *store.Tx) { require.NoError(h.t, tx.SetSetting("n", "1")) }
		require.ErrorIs(h.t, h.try(func(tx *store.Tx) error {
			set(tx)
			return errNotForKeeps
		}), errNotForKeeps)
		require.Panics(h.t, func() {
			_ = h.try(func(tx *store.Tx) error {
				set(tx)
				panic("a fault")
			})
		})
		tries := 0
		require.ErrorIs(h.t, h.try(func(tx *store.Tx) error {
			tries++
			set(tx)
			return store.ErrTryAgain
		}), store.ErrTryAgain)
		require.Equal(h.t, 5, tries, "it does not try for ever")
		v, err := h.view().Setting("n")
		require.NoError(h.t, err)
		require.Empty(h.t, v)
		h.do(func(tx *store.Tx) error {
			require.Equal(h.t, monday, tx.Now)
			return nil
		})
	})
}

// Two that lock each other's customer are told apart by the database; the one that is broken off is run again.
func TestDeadlockIsTriedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.New(t, store.Postgres))
	ids := []string{h.customer("1").ID, h.customer("2").ID}
	met := make(chan struct{}, 2)
	noErrors(t, together(2, func(i int) error {
		first := true
		return h.try(func(tx *store.Tx) error {
			if _, err := tx.LockCustomer(ids[i]); err != nil {
				return err
			}
			if first {
				first = false
				met <- struct{}{}
				for len(met) < 2 {
					if t.Context().Err() != nil {
						return t.Context().Err()
					}
				}
			}
			_, err := tx.LockCustomer(ids[1-i])
			return err
		})
	}))
}

// Times keep their microseconds and their order, whatever zone they came in and however many digits they have.
func TestTimes(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1").ID
		times := []time.Time{
			monday, monday.Truncate(time.Second), monday.Truncate(time.Second).Add(time.Microsecond), monday.Truncate(time.Minute).Add(-time.Microsecond),
			time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC), time.Date(2199, 12, 31, 0, 0, 0, 1000, time.UTC),
		}
		random := rand.New(rand.NewPCG(1, 2))
		for range 100 {
			digits := []time.Duration{time.Second, time.Millisecond, 10 * time.Microsecond, time.Microsecond}[random.IntN(4)]
			times = append(times, monday.Add(time.Duration(random.Int64N(int64(2*time.Second)))).Truncate(digits))
		}
		zones := []*time.Location{time.UTC, time.FixedZone("", 5*3600+1800), time.FixedZone("", -11*3600), time.Local}
		for i, at := range times {
			h.do(func(tx *store.Tx) error {
				_, err := tx.AddEvent(&punchcard.Event{ID: fmt.Sprint(i), CustomerID: c, Name: "n", OccurredAt: at.In(zones[i%len(zones)])})
				return err
			})
			e, err := h.view().Event(fmt.Sprint(i))
			require.NoError(h.t, err)
			require.Equal(h.t, at, e.OccurredAt, "equal in every respect, the zone's too")
		}
		write, _ := h.Pools(h.t)
		compare := "SELECT count(*) FROM events WHERE occurred_at < ?"
		if h.Dialect() == store.Postgres {
			compare = numbered(compare)
		}
		rows, err := write.QueryContext(h.t.Context(), "SELECT occurred_at FROM events ORDER BY occurred_at")
		require.NoError(h.t, err)
		defer func() { require.NoError(h.t, rows.Close()) }()
		var sorted []time.Time
		for rows.Next() {
			var at time.Time
			require.NoError(h.t, rows.Scan(&at))
			sorted = append(sorted, at)
		}
		require.NoError(h.t, rows.Err())
		want := slices.SortedFunc(slices.Values(times), time.Time.Compare)
		require.Equal(h.t, want, sorted)
		for i, at := range times {
			var n int
			require.NoError(h.t, write.QueryRowContext(h.t.Context(), compare, at.In(zones[(i+1)%len(zones)])).Scan(&n))
			earlier, _ := slices.BinarySearchFunc(want, at, time.Time.Compare)
			require.Equal(h.t, earlier, n, at)
		}
	})
}

func TestPasswordIsHidden(t *testing.T) {
	t.Parallel()
	err := store.HidePassword("postgres://me:s3cret@db/punchcard", fmt.Errorf("dial me:s3cret@db: %w", net.ErrClosed))
	require.EqualError(t, err, "dial me:…@db: use of closed network connection")
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestIsOutage(t *testing.T) {
	t.Parallel()
	require.False(t, store.IsOutage(nil))
	require.False(t, store.IsOutage(errors.New("a fault of ours")))
	require.False(t, store.IsOutage(punchcard.Errorf(punchcard.CodeConflict, "no")))
	each(t, func(h *house) {
		require.False(h.t, store.IsOutage(h.exec("INSERT INTO settings (name, value) VALUES ('n', NULL)")))
		h.customer("1")
		err := h.exec("INSERT INTO identities SELECT * FROM identities")
		require.True(h.t, store.IsDuplicate(err), "%v", err)
		require.False(h.t, store.IsOutage(err))

		ctx, cancel := context.WithCancel(h.t.Context())
		cancel()
		require.True(h.t, store.IsOutage(h.Update(ctx, func(*store.Tx) error { return nil })))
		require.NoError(h.t, h.Close())
		require.True(h.t, store.IsOutage(h.Ping(h.t.Context())), "a store that is closed: %v", h.Ping(h.t.Context()))
		require.True(h.t, store.IsOutage(h.try(func(*store.Tx) error { return nil })))
	})
}

func TestOutageOfPostgres(t *testing.T) {
	t.Parallel()
	dsn := storetest.DSN(t, store.Postgres)
	h, other := newHouse(t, storetest.Open(t, dsn)), newHouse(t, storetest.Open(t, dsn))
	write, _ := other.Pools(t)
	write.SetMaxOpenConns(1) // the connection that stays
	terminate := func() {
		_, err := write.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		require.NoError(t, err)
	}
	err := h.try(func(tx *store.Tx) error {
		require.NoError(t, tx.SetSetting("n", "1"))
		terminate()
		return tx.SetSetting("n", "2")
	})
	require.True(t, store.IsOutage(err), "in a transaction: %v", err)
	// Connections that were cut while idle are found out one by one.
	noErrors(t, together(10, func(int) error { return h.Ping(t.Context()) }))
	terminate()
	for range 50 {
		v, err := h.view().Setting("n")
		if err == nil {
			require.Empty(t, v, "what was not committed is not there")
			break
		}
		require.True(t, store.IsOutage(err), "%v", err)
	}
	require.NoError(t, h.Ping(t.Context()))
}

func TestServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, err = store.Open(t.Context(), "postgres://me:s3cret@"+address+"/punchcard?sslmode=disable")
	require.True(t, store.IsOutage(err), "refused: %v", err)
	require.NotContains(t, err.Error(), "s3cret")

	dsn := storetest.DSN(t, store.Postgres)
	_, err = store.Open(t.Context(), strings.Replace(dsn, "/punchcard_test_", "/punchcard_nowhere_", 1))
	require.True(t, store.IsOutage(err), "there is no such database: %v", err)
}

func TestOutageOfSQLite(t *testing.T) {
	t.Parallel()
	dsn := storetest.DSN(t, store.SQLite)
	h := newHouse(t, storetest.Open(t, dsn))
	// Another process holds the file's write lock, and this one has no patience.
	other, err := sql.Open("sqlite", "file:"+dsn+"?_txlock=immediate")
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close()) }()
	tx, err := other.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, h.exec("PRAGMA busy_timeout = 0"))
	err = h.try(func(*store.Tx) error { return nil })
	require.True(t, store.IsOutage(err), "locked: %v", err)
	_, err = h.view().Setting("n")
	require.NoError(t, err, "reading goes on")
	require.NoError(t, h.exec("PRAGMA busy_timeout = 200"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = h.Update(ctx, func(*store.Tx) error { return nil })
	require.True(t, store.IsOutage(err), "out of time while it was locked: %v", err)
	require.NoError(t, tx.Rollback())
	h.do(func(*store.Tx) error { return nil })

	_, err = store.Open(t.Context(), filepath.Join(dsn, "below-a-file.db"))
	require.Error(t, err)
}

func TestOddPathsOfSQLite(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"with space.db", "100%25?mode=memory#x.db", "new/folder/ø.db"} {
		path := filepath.Join(t.TempDir(), name)
		s := storetest.Open(t, path)
		require.NoError(t, s.Migrate(t.Context()))
		require.FileExists(t, path)
	}
}

// The queries that run most, or over the largest tables, find an index that serves them on either database.
func TestQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		const many = 300
		h.do(func(tx *store.Tx) error {
			for i := range many {
				c, err := tx.Enroll([]punchcard.Identity{external(strconv.Itoa(i))}, punchcard.Customer{})
				if err != nil {
					return err
				}
				e := &punchcard.Event{ID: strconv.Itoa(i), CustomerID: c.ID, Name: "order.placed", OccurredAt: monday}
				if _, err := tx.AddEvent(e); err != nil {
					return err
				}
				if err := tx.MarkRouted(e); err != nil {
					return err
				}
				r := &punchcard.Run{ID: punchcard.NewID(punchcard.PrefixRun), Journey: "cart", CustomerID: c.ID}
				if _, err := tx.AddRun(r); err != nil {
					return err
				}
				if err := tx.Queue(r.ID, 0, nil); err != nil {
					return err
				}
				if _, _, err := tx.Earn(c.ID, 10, e.Name, e.ID, "earn/"+e.ID, tx.Now, nil); err != nil {
					return err
				}
			}
			return nil
		})
		require.NoError(h.t, h.exec("ANALYZE"))
		queries := h.Record(h.t)
		recorded := 0
		plans := func(name string, run func(tx *store.Tx) error) string {
			require.NoError(h.t, run(h.view()), name)
			all := queries()
			require.Greater(h.t, len(all), recorded, name)
			var b strings.Builder
			for _, q := range all[recorded:] {
				b.WriteString(h.explain(q))
			}
			recorded = len(all)
			return b.String()
		}
		for name, want := range map[string]struct {
			index string
			run   func(tx *store.Tx) error
		}{
			"NextEvent":       {"events_pending", func(tx *store.Tx) error { _, _, err := tx.NextEvent("cus_1"); return err }},
			"ClaimCustomers":  {"pending_customers_due", func(tx *store.Tx) error { _, err := tx.ClaimCustomers("d", 0, time.Minute); return err }},
			"ClaimDeliveries": {"outbox_due", func(tx *store.Tx) error { _, err := tx.ClaimDeliveries("w", 0, time.Minute); return err }},
			"OpenRuns":        {"runs_", func(tx *store.Tx) error { _, err := tx.OpenRuns("cus_1"); return err }},
			"ClaimInbox":      {"inbox_pending", func(tx *store.Tx) error { _, err := tx.ClaimInbox(0, time.Minute); return err }},
			"ParkedEvents":    {"events_parked", func(tx *store.Tx) error { _, err := tx.ParkedEvents(0, 10); return err }},
			"HeldRuns":        {"runs_held", func(tx *store.Tx) error { _, err := tx.HeldRuns("cart"); return err }},
			"HeldGrants":      {"grants_", func(tx *store.Tx) error { _, err := tx.HeldGrants("run_1"); return err }},
			"PointsNow":       {"points_lots_open", func(tx *store.Tx) error { _, err := tx.PointsNow("cus_1"); return err }},
			"TakeCode":        {"reward_codes_free", func(tx *store.Tx) error { _, err := tx.TakeCode("r", "g"); return err }},
			"Handed":          {"messages_", func(tx *store.Tx) error { _, err := tx.Handed("cus_1", monday); return err }},
			"LastInbound":     {"messages_", func(tx *store.Tx) error { _, err := tx.LastInbound("cus_1"); return err }},
			"MessageByWamid":  {"messages", func(tx *store.Tx) error { _, err := tx.MessageByWamid("w"); return err }},
			"MessageOfEffect": {"messages_effect", func(tx *store.Tx) error { _, err := tx.MessageOfEffect("r", 1); return err }},
			"LastEnd":         {"runs_", func(tx *store.Tx) error { _, err := tx.LastEnd("cart", "cus_1", ""); return err }},
			"Messages":        {"messages", func(tx *store.Tx) error { _, err := tx.Messages("cus_1", "", 10); return err }},
			"CountGrants":     {"grants_", func(tx *store.Tx) error { _, err := tx.CountGrants("r", "", monday); return err }},
			"Ledger":          {"ledger_entries_customer", func(tx *store.Tx) error { _, err := tx.Ledger("cus_1", 0, 10); return err }},
			"EarnedSince":     {"points_lots_earned", func(tx *store.Tx) error { _, err := tx.EarnedSince("cus_1", monday); return err }},
			"AllEarnedSince": {"points_lots_earned", func(tx *store.Tx) error {
				_, err := tx.AllEarnedSince([]string{"cus_1", "cus_2"}, monday)
				return err
			}},
			"FirstEarned": {"points_lots_earned", func(tx *store.Tx) error {
				_, err := tx.FirstEarnedSince([]string{"cus_1", "cus_2"}, monday)
				return err
			}},
			"Books":          {"points_lots_", func(tx *store.Tx) error { return tx.ReadAccounts("cus_1", "cus_2") }},
			"Unannounced":    {"ledger_entries_", func(tx *store.Tx) error { return tx.Unannounced("cus_1", "cus_2") }},
			"ExpiringGrants": {"grants_expiring", func(tx *store.Tx) error { _, err := tx.ExpiringGrants(monday, "grt_1", 10); return err }},
			"DueAccounts": {"points_due", func(tx *store.Tx) error {
				_, err := tx.DueAccounts(store.DueAccount{CustomerID: "cus_1", DueAt: monday}, 10)
				return err
			}},
			"CountDue":      {"points_due", func(tx *store.Tx) error { _, err := tx.CountDue(); return err }},
			"CountExpiring": {"grants_expiring", func(tx *store.Tx) error { _, err := tx.CountExpiring(); return err }},
			"NextDue":       {"points_due", func(tx *store.Tx) error { _, err := tx.NextDue(); return err }},
			"Origins":       {"points_origins_value", func(tx *store.Tx) error { _, err := tx.Origins("cus_1", "e", "p", "v"); return err }},
			"Waiting":       {"points_reversals_waiting", func(tx *store.Tx) error { _, err := tx.WaitingReversals("cus_1", "e", "p", "v"); return err }},
			"Identities":    {"identities_customer", func(tx *store.Tx) error { _, err := tx.Identities("cus_1"); return err }},
			"RunOfRequest":  {"runs_request", func(tx *store.Tx) error { _, err := tx.RunOfRequest("hash"); return err }},
			"RedemptionOf":  {"redemptions_request", func(tx *store.Tx) error { _, err := tx.RedemptionOfRequest("hash"); return err }},
			"Total":         {"event_", func(tx *store.Tx) error { _, err := tx.Total("cus_1", "e", "", time.Hour); return err }},
		} {
			plan := plans(name, want.run)
			require.Contains(h.t, plan, want.index, "%s:\n%s", name, plan)
			require.NotContains(h.t, plan, "Seq Scan", "%s:\n%s", name, plan)
			require.NotRegexp(h.t, `(?m)^SCAN \w+$`, plan, "%s:\n%s", name, plan)
			if name == "ClaimDeliveries" { // nor are rows read to know whether one of them is its run's first
				require.Regexp(h.t, `number ?<`, plan, "%s:\n%s", name, plan)
			}
		}
	})
}

// explain is how the database would go about a query, for any values of its parameters.
func (h *house) explain(q store.Query) string {
	h.t.Helper()
	write, _ := h.Pools(h.t)
	conn, err := write.Conn(h.t.Context())
	require.NoError(h.t, err)
	defer func() { require.NoError(h.t, conn.Close()) }()
	statement, args := "EXPLAIN QUERY PLAN "+q.SQL, q.Vars
	if h.Dialect() == store.Postgres {
		// Small tables are read from end to end for good reasons: what is asked is whether an index could serve.
		for _, s := range []string{"SET plan_cache_mode = force_generic_plan", "SET enable_seqscan = off", "PREPARE explained AS " + q.SQL} {
			_, err := conn.ExecContext(h.t.Context(), s)
			require.NoError(h.t, err, s)
		}
		defer func() {
			_, err := conn.ExecContext(h.t.Context(), "DEALLOCATE explained")
			require.NoError(h.t, err)
		}()
		statement, args = "EXPLAIN (COSTS OFF) EXECUTE explained", nil
		if len(q.Vars) > 0 {
			statement += "(" + strings.TrimSuffix(strings.Repeat("NULL, ", len(q.Vars)), ", ") + ")"
		}
	}
	rows, err := conn.QueryContext(h.t.Context(), statement, args...)
	require.NoError(h.t, err, q.SQL)
	defer func() { require.NoError(h.t, rows.Close()) }()
	columns, err := rows.Columns()
	require.NoError(h.t, err)
	var b strings.Builder
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(sql.NullString)
		}
		require.NoError(h.t, rows.Scan(values...))
		b.WriteString(values[len(values)-1].(*sql.NullString).String + "\n")
	}
	require.NoError(h.t, rows.Err())
	return b.String()
}
