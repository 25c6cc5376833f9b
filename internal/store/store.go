// Package store keeps Punchcard's facts in PostgreSQL or SQLite, through gorm.
//
// What must happen together happens in one Tx (Store.Update). Locks are taken in one order: customer, run, points, code, WhatsApp's
// account, alert; of customers several are locked in the order of their ids, and alerts in the order of their kinds and subjects, which
// Update does by itself at a transaction's end. Nothing does I/O while it holds one. SQLite has one writer, which begins its transactions as immediate ones, and reads on
// a pool of its own; on PostgreSQL rows are locked FOR NO KEY UPDATE.
//
// Methods of Tx answer gorm.ErrRecordNotFound as a *punchcard.Error with CodeNotFound where a person named the thing, and
// nil where its absence is ordinary; each says which.
//
// What partial indexes name stands in queries as literals: with a parameter in their place the planners cannot
// know that the index serves.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"punchcard"
)

// Store is the database. It is safe for concurrent use.
type Store struct {
	write   *gorm.DB
	read    *gorm.DB
	dialect Dialect
	clock   punchcard.Clock
	log     *slog.Logger // of alerts
	codes   *codeKeys    // nil: codes cannot be read or written

	statements statements
	hooks      hookList
	kill       func(committed bool) bool // for tests: see Kill
}

// Dialect names a database.
type Dialect string

// The dialects. They are also the names of the migrations' folders.
const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

// Connections a process opens to PostgreSQL: enough for its workers' local activities, few enough that several processes
// fit into PostgreSQL's default of 100.
const maxPostgresConnections = 24

// Open connects to dsn: a postgres:// URL, or the path of an SQLite file. It neither migrates nor checks the schema.
func Open(ctx context.Context, dsn string) (*Store, error) {
	s := &Store{clock: punchcard.SystemClock{}, log: slog.New(slog.DiscardHandler)}
	config := &gorm.Config{
		Logger:                 &s.statements,
		SkipDefaultTransaction: true,
		PrepareStmt:            false,
		NowFunc:                func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) },
	}
	var err error
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		s.dialect = Postgres
		if s.write, err = openPostgres(dsn, config); err != nil {
			return nil, fmt.Errorf("connect to PostgreSQL: %w", hidePassword(dsn, err))
		}
		s.read = s.write
	} else {
		s.dialect = SQLite
		if err := os.MkdirAll(filepath.Dir(dsn), 0o700); err != nil {
			return nil, err
		}
		if s.write, err = openSQLite(dsn, 1, false, config); err != nil {
			return nil, err
		}
		if s.read, err = openSQLite(dsn, 4, true, config); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("reach the database: %w", hidePassword(dsn, err)), s.Close())
	}
	return s, nil
}

// connectTimeout bounds how long a connection to PostgreSQL may take to come about, where the address says nothing of it:
// a server that is gone without a word would otherwise hold whoever asks for minutes.
const connectTimeout = 10 * time.Second

func openPostgres(dsn string, config *gorm.Config) (*gorm.DB, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	// Times are read as UTC, as from SQLite; the driver would give them in the machine's zone.
	pool := stdlib.OpenDB(*c, stdlib.OptionAfterConnect(func(_ context.Context, conn *pgx.Conn) error {
		conn.TypeMap().RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}))
	pool.SetMaxOpenConns(maxPostgresConnections)
	pool.SetMaxIdleConns(maxPostgresConnections)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	db, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), config)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return db, nil
}

func openSQLite(path string, connections int, readOnly bool, config *gorm.Config) (*gorm.DB, error) {
	// _txlock=immediate: a transaction that reads and then writes would otherwise fail when another wrote between.
	// synchronous=FULL: what is acknowledged is on the disk.
	// _timezone=UTC: times are compared as text, which puts them in order only when all are of one zone.
	// busy_timeout: how long another process's lock is waited for, in milliseconds. SQLite waits inside of one call that does
	// not hear a context's end, so a cancelled Update may take so much longer to return; its error is an outage all the same.
	q := url.Values{
		"_txlock":      {"immediate"},
		"_time_format": {"sqlite"},
		"_timezone":    {"UTC"},
		"_pragma": {
			"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		},
	}
	if readOnly {
		// What is written past the one writer would be outside of any transaction of ours.
		q["_pragma"] = append(q["_pragma"], "query_only(1)")
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	g, err := gorm.Open(&gormsqlite.Dialector{DriverName: "sqlite", Conn: db}, config)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	return g, nil
}

// hidePassword keeps a connection string's password out of an error's text. What the error is can still be asked of it.
func hidePassword(dsn string, err error) error {
	u, parse := url.Parse(dsn)
	if parse != nil || u.User == nil {
		return err
	}
	if p, ok := u.User.Password(); ok && p != "" {
		return &redacted{text: strings.ReplaceAll(err.Error(), p, "…"), err: err}
	}
	return err
}

type redacted struct {
	text string
	err  error
}

func (r *redacted) Error() string { return r.text }
func (r *redacted) Unwrap() error { return r.err }

// Close closes all connections.
func (s *Store) Close() error {
	var errs []error
	for _, g := range []*gorm.DB{s.write, s.read} {
		if g == nil {
			continue
		}
		db, err := g.DB()
		if err == nil {
			err = db.Close()
		}
		errs = append(errs, err)
		if s.read == s.write {
			break
		}
	}
	return errors.Join(errs...)
}

// Dialect is the database's.
func (s *Store) Dialect() Dialect { return s.dialect }

// UseClock sets the clock that gives transactions their time. It is called once, before anything else uses the store: the
// development server keeps its clock's anchor in the database, and so opens it first.
func (s *Store) UseClock(c punchcard.Clock) { s.clock = c }

// Clock is the business's clock.
func (s *Store) Clock() punchcard.Clock { return s.clock }

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	db, err := s.read.DB()
	if err != nil {
		return err
	}
	return db.PingContext(ctx)
}

// Tx is one transaction, or, from View, reads outside of one.
type Tx struct {
	db    *gorm.DB
	store *Store
	// Now is the business's time at which the transaction's facts happen.
	Now time.Time

	claim  *claim            // that it works on
	alerts []alerting        // what this transaction does to alerts when all else is done
	opened []punchcard.Alert // that it has opened
	told   []told            // what hooks are to be told of
}

// Business is the business's time at which a span of the machine's time from now is over.
func (tx *Tx) Business(d time.Duration) time.Time {
	return kept(tx.Now.Add(tx.store.clock.Business(d)))
}

// maxTries is how often a transaction is tried when the database breaks it off for a deadlock or a serialization failure.
const maxTries = 5

// Update runs fn in one transaction and commits it if fn answers nil. fn may run more than once (after a deadlock), so it
// touches nothing but the Tx and what it makes itself.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	for try := 1; ; try++ {
		tx := &Tx{store: s}
		before := s.statements.writes.Load()
		s.statements.transactions.Add(1)
		err := s.write.WithContext(ctx).Transaction(func(db *gorm.DB) error {
			tx.db, tx.Now = db, s.clock.Now()
			if err := fn(tx); err != nil {
				return err
			}
			if err := tx.tell(); err != nil {
				return err
			}
			if err := tx.alert(); err != nil {
				return err
			}
			return s.dies(false, before)
		})
		if err == nil {
			s.tell(ctx, tx.opened)
			err = s.dies(true, before)
		}
		if err == nil || try == maxTries || !isContention(err) && !errors.Is(err, ErrTryAgain) {
			return err
		}
	}
}

// ErrKilled is what Update answers in a test of a process that dies.
var ErrKilled = fmt.Errorf("the process died: %w", io.ErrUnexpectedEOF)

// Kill is for tests: kill is asked before each transaction that wrote anything is committed, and after it, and where it says so Update fails
// as for a process that died there, with ErrKilled. nil takes it away. It is set while nothing else uses the store.
func (s *Store) Kill(kill func(committed bool) bool) {
	s.kill = kill
	s.statements.killed.Store(kill != nil)
}

// dies is ErrKilled where a test says that the process dies here. written is how many statements had written when the transaction began.
func (s *Store) dies(committed bool, written int64) error {
	if s.kill != nil && s.statements.writes.Load() != written && s.kill(committed) {
		return ErrKilled
	}
	return nil
}

// View reads, each query on its own.
func (s *Store) View(ctx context.Context) *Tx {
	return &Tx{db: s.read.WithContext(ctx), store: s, Now: s.clock.Now()}
}

// ErrTryAgain is wrapped by errors that only say that another transaction came between: Update runs its function again.
var ErrTryAgain = errors.New("try again")

// lock is the clause that locks the selected rows. SQLite's writer is alone already, and its dialect writes nothing for it.
var lock = clause.Locking{Strength: "NO KEY UPDATE"}

// skipLocked locks what nobody else has locked.
var skipLocked = clause.Locking{Strength: "NO KEY UPDATE", Options: "SKIP LOCKED"}

// isContention tells whether the database broke a transaction off that may well pass the next time.
func isContention(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// isDuplicate tells whether a unique constraint refused a row.
func isDuplicate(err error) bool {
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return true
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "23505"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) &&
		(lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// IsOutage tells whether an error says that the database cannot be reached or used for now, as against that it was reached
// and refused what was asked. Work that met an outage is tried again and never counted as failed.
func IsOutage(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, ErrTryAgain) {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true // whatever the server's reason is for not letting us in
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		// 08 connection, 53 resources, 57P shutdown and start, 58 system, 25006 read-only after a failover, 40 contention.
		for _, class := range []string{"08", "53", "57P", "58", "25006", "40"} {
			if strings.HasPrefix(pg.Code, class) {
				return true
			}
		}
		return false
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
			sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PROTOCOL:
			return true
		case sqlite3.SQLITE_ERROR:
			// A file that was taken away from under the connection shows as missing tables.
			return strings.Contains(lite.Error(), "no such table")
		}
		return false
	}
	var netErr net.Error
	return errors.As(err, &netErr) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "bad connection") ||
		strings.Contains(err.Error(), "database is closed")
}

// one reads the single row that q selects into a T, or answers nil when there is none.
func one[T any](q *gorm.DB) (*T, error) {
	var row T
	err := q.Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &row, nil
}

// must turns the absence of what a person named into an error that says so.
func must[T any](row *T, err error, what string) (*T, error) {
	if err == nil && row == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "there is no %s with that id", what)
	}
	return row, err
}

// list reads the rows that q selects.
func list[T any](q *gorm.DB) ([]T, error) {
	rows := []T{}
	err := q.Find(&rows).Error
	return rows, err
}

// count counts the rows of T's table that q selects.
func count[T any](q *gorm.DB) (int64, error) {
	var row T
	var n int64
	err := q.Model(&row).Count(&n).Error
	return n, err
}

// rowsAtOnce is how many rows one statement writes. PostgreSQL takes 65,535 values in one, SQLite 32,766: no row of ours has 64.
const rowsAtOnce = 500

// save writes rows that may be there already, in few statements.
func save[T any](tx *Tx, rows []T) error {
	if len(rows) == 0 {
		return nil
	}
	return tx.db.Clauses(clause.OnConflict{UpdateAll: true}).CreateInBatches(&rows, rowsAtOnce).Error
}

// kept is a time as both databases keep it.
func kept(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// failure is an error's text in a form that no database refuses, however the error came about: a failure that cannot be
// recorded would be met again for ever.
func failure(message string) string {
	message = strings.ReplaceAll(message, "\x00", "")
	if len(message) > maxFailure {
		message = message[:maxFailure]
	}
	message = strings.ToValidUTF8(message, "")
	if message == "" {
		return "failed without a word"
	}
	return message
}

// maxFailure is how much of a failure's text is kept, in bytes.
const maxFailure = 4000

// plusOne counts a try.
var plusOne = gorm.Expr("attempts + 1")
