package dispatch_test

import (
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
	"punchcard/programs"
)

// hearing is the coffee program with a journey that is entered when points expire.
func hearing(t *testing.T) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{"journeys/gone.yaml": {Data: []byte("journey: gone\npurpose: service\nenter:\n  - on: points.expired\nsteps:\n  - label: told\n")}}
	coffee := programs.Coffee()
	require.NoError(t, fs.WalkDir(coffee, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(coffee, path)
		out[path] = &fstest.MapFile{Data: data}
		return err
	}))
	return out
}

// customers enrols some.
func (b *bundle) customers(many int) []string {
	b.t.Helper()
	ids := make([]string, many)
	for from := 0; from < many; from += 500 {
		require.NoError(b.t, b.store.Update(b.ctx, func(tx *store.Tx) error {
			for i := from; i < min(from+500, many); i++ {
				c, err := tx.Enroll([]punchcard.Identity{{Kind: punchcard.IdentityExternal, Value: strconv.Itoa(i)}}, punchcard.Customer{})
				if err != nil {
					return err
				}
				ids[i] = c.ID
			}
			return nil
		}))
	}
	return ids
}

// orders has so many orders come, of so many customers in turn.
func (b *bundle) orders(many, customers int) {
	b.t.Helper()
	for from := 0; from < many; from += 500 {
		var batch []dispatch.Incoming
		for i := from; i < min(from+500, many); i++ {
			batch = append(batch, order(fmt.Sprintf("speed/%d", i), dispatch.Reference{ExternalID: strconv.Itoa(i % customers)}))
		}
		receipt, err := b.d.Ingest(b.ctx, batch)
		require.NoError(b.t, err)
		require.Equal(b.t, len(batch), receipt.Accepted)
	}
}

// raise raises an event of ours for each customer, as a job does.
func (b *bundle) raise(name string, ids []string) {
	b.t.Helper()
	for some := range slices.Chunk(ids, 100) {
		require.NoError(b.t, b.store.Update(b.ctx, func(tx *store.Tx) error {
			var events []*punchcard.Event
			for _, id := range some {
				events = append(events, &punchcard.Event{
					ID: punchcard.NewID(punchcard.PrefixEvent), CustomerID: id, Name: name, OccurredAt: tx.Now, Depth: 1,
					Properties: map[string]any{"points": 100, "balance": 0},
				})
			}
			return tx.AddEvents(events...)
		}))
	}
}

// first routes an event of somebody else, so that the program and what there is to know of it is read.
func (b *bundle) first() {
	b.t.Helper()
	receipt, err := b.d.Ingest(b.ctx, []dispatch.Incoming{order("first", dispatch.Reference{ExternalID: "nobody"})})
	require.NoError(b.t, err)
	require.Equal(b.t, 1, receipt.Accepted)
	b.drain()
}

// routed is what routing cost.
type routed struct {
	events, statements, transactions int64
	rows                             int64 // added
	took                             time.Duration
}

func (r routed) String() string {
	per := func(n int64) float64 { return float64(n) / float64(r.events) }
	return fmt.Sprintf("%d events in %s: %.0f a second; for each %.1f statements in %.2f transactions, and %.1f rows", r.events,
		r.took.Round(time.Millisecond), float64(r.events)/r.took.Seconds(), per(r.statements), per(r.transactions), per(r.rows))
}

// route routes all that is pending, by dispatch's own claims and workers.
func (b *bundle) route(db *sql.DB) routed {
	b.t.Helper()
	before, rows := b.count(db, "events WHERE status = 'routed'"), b.rows(db)
	statements, transactions, begun := b.store.Statements(), b.store.Transactions(), time.Now()
	for {
		n, err := b.d.RouteDue(b.ctx)
		require.NoError(b.t, err)
		if n == 0 {
			break
		}
	}
	r := routed{took: time.Since(begun), statements: b.store.Statements() - statements, transactions: b.store.Transactions() - transactions}
	r.events, r.rows = b.count(db, "events WHERE status = 'routed'")-before, b.rows(db)-rows
	require.Zero(b.t, b.count(db, "events WHERE status <> 'routed'"), "all are routed")
	require.Zero(b.t, b.count(db, "pending_customers"), "and the queue is empty")
	return r
}

func (b *bundle) count(db *sql.DB, from string) (n int64) {
	b.t.Helper()
	require.NoError(b.t, db.QueryRowContext(b.ctx, "SELECT count(*) FROM "+from).Scan(&n))
	return n
}

// rows is how many rows there are of what routing adds to.
func (b *bundle) rows(db *sql.DB) (n int64) {
	b.t.Helper()
	for _, table := range []string{
		"events", "event_totals", "event_days", "milestones_reached", "points", "points_lots", "points_origins", "ledger_entries", "runs", "outbox", "waiting_entries",
	} {
		n += b.count(db, table)
	}
	return n
}

// bare is what the database takes for as many transactions that add as many rows and do nothing else, by as many workers.
func (b *bundle) bare(db *sql.DB, r routed) time.Duration {
	b.t.Helper()
	_, err := db.ExecContext(b.ctx, "CREATE TABLE bare (id bigint PRIMARY KEY, body text)")
	require.NoError(b.t, err)
	transactions := r.transactions
	var g errgroup.Group
	g.SetLimit(dispatch.Workers)
	begun := time.Now()
	for i := range transactions {
		g.Go(func() error {
			tx, err := db.BeginTx(b.ctx, nil)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback() }() // nothing, once it is committed
			for row := i * r.rows / transactions; row < (i+1)*r.rows/transactions; row++ {
				if _, err := tx.ExecContext(b.ctx, "INSERT INTO bare (id, body) VALUES ($1, $2)", row, "a row of some length, as those of the ledger are"); err != nil {
					return err
				}
			}
			return tx.Commit()
		})
	}
	require.NoError(b.t, g.Wait())
	return time.Since(begun)
}

// plainDB is a database without anything of ours before it.
func plainDB(t *testing.T, dialect store.Dialect, dsn string) *sql.DB {
	t.Helper()
	driver, source := "pgx", dsn
	if dialect == store.SQLite {
		driver, source = "sqlite", "file:"+dsn+"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, source)
	require.NoError(t, err)
	if dialect == store.SQLite {
		db.SetMaxOpenConns(1)
	}
	db.SetMaxIdleConns(dispatch.Workers)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// What comes at once is routed within a budget: statements and transactions for each event. How long it took is told beside what the
// database takes for as many bare rows in as many transactions. PUNCHCARD_EVENTS says how many events come; 10000 take minutes, best
// measured with -parallel 1.
//
// An order of a new customer counts for two events: it raises a milestone. It earns points, and each of the two starts a run.
func TestRoutingSpeed(t *testing.T) {
	t.Parallel()
	many := 100
	if n, err := strconv.Atoi(os.Getenv("PUNCHCARD_EVENTS")); err == nil {
		many = n
	}
	for _, c := range []struct {
		name       string
		statements float64 // for an event, at most
		come       func(b *bundle)
	}{
		{"orders of as many customers", 21, func(b *bundle) { b.customers(many); b.orders(many, many) }},
		{"raised, and each starts a run", 10, func(b *bundle) { b.raise(punchcard.EventPointsExpired, b.customers(many)) }},
		{"raised, and nothing listens", 7, func(b *bundle) { b.raise(punchcard.EventPointsMatured, b.customers(many)) }},
		{"orders of one customer", 23, func(b *bundle) { b.customers(1); b.orders(max(many/10, 20), 1) }},
	} {
		for _, dialect := range storetest.Dialects {
			t.Run(c.name+"/"+string(dialect), func(t *testing.T) {
				t.Parallel()
				dsn := storetest.DSN(t, dialect)
				b := setup(t, storetest.Open(t, dsn), hearing(t))
				db := plainDB(t, dialect, dsn)
				b.first()
				c.come(b)
				r := b.route(db)
				// A claim is two statements for 64 customers. What programs and hooks there are is looked up each second.
				slack := float64(r.took/time.Second)*2 + 4 + float64(r.events)/16
				require.LessOrEqual(t, float64(r.statements), c.statements*float64(r.events)+slack, "statements for %d events", r.events)
				require.LessOrEqual(t, r.transactions, r.events+r.events/16+2, "transactions for %d events", r.events)
				bare := b.bare(db, r)
				t.Logf("%s; bare rows %s: routing took %.1f times that", r, bare.Round(time.Millisecond), float64(r.took)/float64(bare))
				deliveries, begun := b.count(db, "outbox"), time.Now()
				for {
					n, err := b.d.DeliverDue(b.ctx)
					require.NoError(t, err)
					if n == 0 {
						break
					}
				}
				if deliveries > 0 {
					t.Logf("%d deliveries in %s", deliveries, time.Since(begun).Round(time.Millisecond))
				}
			})
		}
	}
}
