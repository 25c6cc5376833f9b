package store_test

import (
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/internal/store"
	"punchcard/internal/storetest"
	"punchcard/migrations"
)

func TestMigrationsHaveTheSameNumbers(t *testing.T) {
	t.Parallel()
	names := func(dialect store.Dialect) []string {
		files, err := fs.Glob(migrations.FS, string(dialect)+"/*.sql")
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for i, f := range files {
			files[i] = strings.TrimPrefix(f, string(dialect)+"/")
		}
		return files
	}
	require.Equal(t, names(store.Postgres), names(store.SQLite))
}

// column is what both dialects must agree on.
type column struct {
	Type     string // of the values, in the words of kinds
	Nullable bool
}

// kinds are the types' names in either dialect, in common words.
var kinds = map[string]string{
	"bigint": "integer", "integer": "integer", "double precision": "number", "real": "number", "boolean": "boolean",
	"timestamp with time zone": "time", "timestamp": "time", "jsonb": "text", "text": "text", "bytea": "bytes", "blob": "bytes",
}

// schema is a database's shape: columns by table.column, then indexes and foreign keys as lines.
type schema struct {
	columns map[string]column
	indexes []string
	foreign []string
}

var spaces = regexp.MustCompile(`\s+`)

// index is an index's definition without what the dialects write differently.
func index(sql string) string {
	sql = spaces.ReplaceAllString(strings.NewReplacer(`"`, "", "public.", "", " USING btree", "", "::text", "", "(", " ( ", ")", " ) ").Replace(sql), " ")
	on, where, partial := strings.Cut(sql, " WHERE ")
	if partial {
		on += " WHERE " + strings.NewReplacer("( ", "", ") ", "", " )", "").Replace(where)
	}
	return strings.TrimSpace(strings.ReplaceAll(on, ", ", " , "))
}

func readSchema(h *house) schema {
	s := schema{columns: map[string]column{}}
	write, _ := h.Pools(h.t)
	query := func(sql string, read func(scan func(...any) error) error) {
		rows, err := write.QueryContext(h.t.Context(), sql)
		require.NoError(h.t, err)
		defer func() { require.NoError(h.t, rows.Close()) }()
		for rows.Next() {
			require.NoError(h.t, read(rows.Scan))
		}
		require.NoError(h.t, rows.Err())
	}
	columns, indexes, foreign := `SELECT table_name, column_name, data_type, is_nullable = 'YES' FROM information_schema.columns WHERE table_schema = 'public'`,
		`SELECT indexdef FROM pg_indexes i WHERE schemaname = 'public' AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = i.indexname)`,
		`SELECT c.conrelid::regclass || '.' || a.attname || ' ' || c.confrelid::regclass FROM pg_constraint c
			JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE c.contype = 'f'`
	if h.Dialect() == store.SQLite {
		columns = `SELECT m.name, c.name, lower(c.type), c."notnull" = 0 AND lower(c.type || c.pk) <> 'integer1' FROM sqlite_master m, pragma_table_info(m.name) c
			WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`
		indexes = `SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL`
		foreign = `SELECT m.name || '.' || f."from" || ' ' || f."table" FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`
	}
	query(columns, func(scan func(...any) error) error {
		var table, name string
		var c column
		err := scan(&table, &name, &c.Type, &c.Nullable)
		if kind, known := kinds[c.Type]; known {
			c.Type = kind
		}
		if table != "goose_db_version" {
			s.columns[table+"."+name] = c
		}
		return err
	})
	lines := func(into *[]string) func(func(...any) error) error {
		return func(scan func(...any) error) error {
			var line string
			err := scan(&line)
			*into = append(*into, line)
			return err
		}
	}
	query(indexes, lines(&s.indexes))
	for i, line := range s.indexes {
		s.indexes[i] = index(line)
	}
	query(foreign, lines(&s.foreign))
	slices.Sort(s.indexes)
	slices.Sort(s.foreign)
	return s
}

func TestDialectsHaveTheSameSchema(t *testing.T) {
	t.Parallel()
	postgres := readSchema(newHouse(t, storetest.New(t, store.Postgres)))
	sqlite := readSchema(newHouse(t, storetest.New(t, store.SQLite)))
	require.NotEmpty(t, postgres.columns)
	require.Equal(t, slices.Sorted(maps.Keys(postgres.columns)), slices.Sorted(maps.Keys(sqlite.columns)))
	require.Equal(t, postgres.columns, sqlite.columns)
	require.NotEmpty(t, postgres.indexes)
	require.Equal(t, postgres.indexes, sqlite.indexes)
	require.NotEmpty(t, postgres.foreign)
	require.Equal(t, postgres.foreign, sqlite.foreign)
}

// onEmpty runs a test on every database, without a schema.
func onEmpty(t *testing.T, test func(t *testing.T, open func() *store.Store)) {
	t.Helper()
	for _, dialect := range storetest.Dialects {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			dsn := storetest.EmptyDSN(t, dialect)
			test(t, func() *store.Store { return storetest.Open(t, dsn) })
		})
	}
}

func TestMigrateUpDownUp(t *testing.T) {
	t.Parallel()
	onEmpty(t, func(t *testing.T, open func() *store.Store) {
		s := open()
		require.ErrorContains(t, s.CheckSchema(t.Context()), "punchcard migrate", "a schema that is not there")
		require.NoError(t, s.Migrate(t.Context()))
		require.NoError(t, s.CheckSchema(t.Context()))
		before := readSchema(newHouse(t, s))
		require.NoError(t, s.Migrate(t.Context()), "there is nothing to do")

		_, err := s.Provider(t).DownTo(t.Context(), 0)
		require.NoError(t, err)
		require.Empty(t, readSchema(newHouse(t, s)).columns)
		require.ErrorContains(t, s.CheckSchema(t.Context()), "punchcard migrate")
		require.NoError(t, s.Migrate(t.Context()))
		require.Equal(t, before, readSchema(newHouse(t, s)))
	})
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		require.NoError(h.t, h.exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, ?)", true))
		require.ErrorContains(h.t, h.Migrate(h.t.Context()), "newer than this program's")
		require.ErrorContains(h.t, h.CheckSchema(h.t.Context()), "newer than this program's")
	})
}

// Processes that start together migrate one after the other. (An SQLite file belongs to one process.)
func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	dsn := storetest.EmptyDSN(t, store.Postgres)
	stores := make([]*store.Store, 4)
	for i := range stores {
		stores[i] = storetest.Open(t, dsn)
	}
	noErrors(t, together(len(stores), func(i int) error { return stores[i].Migrate(t.Context()) }))
	require.NoError(t, stores[0].CheckSchema(t.Context()))
	h := newHouse(t, stores[0])
	require.EqualValues(t, 1, scalar[int64](h, "SELECT count(*) FROM goose_db_version WHERE version_id = 1"))
}
