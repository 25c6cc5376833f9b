// Package storetest gives each test a database of its own, on every database that the store knows.
//
// SQLite needs nothing. PostgreSQL is the server at the address in PUNCHCARD_POSTGRES, which `make test` starts
// (deploy/postgres.sh). Its user must be allowed to create databases. Without that address the PostgreSQL half of a test is
// skipped, or fails where PUNCHCARD_REQUIRE_POSTGRES=1 says that it must run.
//
// The schema is brought up once, in a template that each test's database is copied from. The template stays on the server
// for the next run, named after the migrations' content.
package storetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/migrations"
)

// Dialects are the databases that every test of the store runs on.
var Dialects = []store.Dialect{store.SQLite, store.Postgres}

// Each runs a test on every database, in parallel. Every call of open gives one more Store on the test's one database, as a
// further process would have it.
func Each(t *testing.T, test func(t *testing.T, open func() *store.Store)) {
	t.Helper()
	for _, dialect := range Dialects {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			dsn := DSN(t, dialect)
			test(t, func() *store.Store { return Open(t, dsn) })
		})
	}
}

// CodeKey is the key to codes of every test's stores.
const CodeKey = "test:dGhlIGtleSB0byBhbGwgY29kZXMgb2YgdGVzdHMgLi4="

// New is a store on a database of the test's own, with the schema and nothing in it. A clock may be given; without one it is
// the machine's.
func New(t *testing.T, dialect store.Dialect, clock ...punchcard.Clock) *store.Store {
	t.Helper()
	s := Open(t, DSN(t, dialect))
	for _, c := range clock {
		s.UseClock(c)
	}
	return s
}

// Open opens a store and closes it when the test ends.
func Open(t *testing.T, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() }) // a test that cut the connections cannot close them well
	if err := s.UseCodeKeys(t.Context(), []string{CodeKey}); err != nil {
		require.Error(t, s.CheckSchema(t.Context()), "the keys to codes: %v", err) // without a schema there are no codes
	}
	return s
}

// DSN is the address of a database of the test's own, with the schema and nothing in it.
func DSN(t *testing.T, dialect store.Dialect) string {
	t.Helper()
	if dialect == store.SQLite {
		file, err := sqliteTemplate()
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "punchcard.db")
		require.NoError(t, os.WriteFile(path, file, 0o600))
		return path
	}
	server := postgresServer(t)
	template, err := postgresTemplate()
	require.NoError(t, err)
	return createDatabase(t, server, "TEMPLATE "+template)
}

// EmptyDSN is the address of a database of the test's own without a schema.
func EmptyDSN(t *testing.T, dialect store.Dialect) string {
	t.Helper()
	if dialect == store.SQLite {
		return filepath.Join(t.TempDir(), "punchcard.db")
	}
	return createDatabase(t, postgresServer(t), "TEMPLATE template0")
}

// postgresServer is the address of the server, or the end of the test when there is none.
func postgresServer(t *testing.T) string {
	t.Helper()
	server := os.Getenv("PUNCHCARD_POSTGRES")
	switch {
	case server != "":
	case os.Getenv("PUNCHCARD_REQUIRE_POSTGRES") == "1":
		t.Fatal("PUNCHCARD_POSTGRES is not set, and PUNCHCARD_REQUIRE_POSTGRES says that this test must run on PostgreSQL")
	default:
		t.Skip("PUNCHCARD_POSTGRES is not set: `make test` provides a PostgreSQL server for this test")
	}
	return server
}

func createDatabase(t *testing.T, server, options string) string {
	t.Helper()
	name := "punchcard_test_" + hex.EncodeToString(random(8))
	require.NoError(t, execute(t.Context(), server, "CREATE DATABASE "+name+" "+options))
	t.Cleanup(func() {
		// The test's own context is over by now.
		require.NoError(t, execute(context.Background(), server, "DROP DATABASE "+name+" WITH (FORCE)"))
	})
	dsn, err := withDatabase(server, name)
	require.NoError(t, err)
	return dsn
}

// withDatabase is the server's address with another database in it.
func withDatabase(server, name string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme == "" {
		return "", fmt.Errorf("PUNCHCARD_POSTGRES is not a postgres:// URL")
	}
	u.Path = "/" + name
	return u.String(), nil
}

func execute(ctx context.Context, dsn, statement string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

// sqliteTemplate is the content of an SQLite file with the schema and nothing in it.
var sqliteTemplate = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "punchcard")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "template.db")
	if err := migrate(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// postgresTemplate is the name of a database with the schema and nothing in it. Test processes run side by side: the first
// makes it, under a lock, and gives it its name when it is whole.
var postgresTemplate = sync.OnceValues(func() (name string, err error) {
	server := os.Getenv("PUNCHCARD_POSTGRES")
	hash := sha256.New()
	files, err := fs.Glob(migrations.FS, "postgres/*.sql")
	if err != nil {
		return "", err
	}
	for _, f := range files {
		text, err := fs.ReadFile(migrations.FS, f)
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(hash, "%s %d\n%s", f, len(text), text)
	}
	name = "punchcard_template_" + hex.EncodeToString(hash.Sum(nil)[:8])

	ctx := context.Background()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }() // which also gives the lock back
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext('punchcard templates'))"); err != nil {
		return "", err
	}
	var there bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil || there {
		return name, err
	}
	making := name + "_making"
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+making+" WITH (FORCE)"); err != nil {
		return "", err
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+making+" TEMPLATE template0"); err != nil {
		return "", err
	}
	dsn, err := withDatabase(server, making)
	if err != nil {
		return "", err
	}
	if err := migrate(dsn); err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+making+" RENAME TO "+name)
	return name, err
})

func migrate(dsn string) error {
	ctx := context.Background()
	s, err := store.Open(ctx, dsn)
	if err != nil {
		return err
	}
	if err := s.Migrate(ctx); err != nil {
		_ = s.Close()
		return err
	}
	if err := s.UseCodeKeys(ctx, []string{CodeKey}); err != nil {
		_ = s.Close()
		return err
	}
	return s.Close()
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
