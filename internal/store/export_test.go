package store

import (
	"database/sql"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
)

// Query is a statement that the store gave to its database.
type Query struct {
	SQL  string
	Vars []any
}

// Record collects the statements that the store makes from now on.
func (s *Store) Record(t *testing.T) func() []Query {
	t.Helper()
	var mu sync.Mutex
	var queries []Query
	record := func(db *gorm.DB) {
		mu.Lock()
		defer mu.Unlock()
		queries = append(queries, Query{SQL: db.Statement.SQL.String(), Vars: db.Statement.Vars})
	}
	for _, g := range []*gorm.DB{s.write, s.read} {
		c := g.Callback()
		require.NoError(t, c.Query().After("gorm:query").Register("record", record))
		require.NoError(t, c.Row().After("gorm:row").Register("record", record))
		require.NoError(t, c.Create().After("gorm:create").Register("record", record))
		require.NoError(t, c.Update().After("gorm:update").Register("record", record))
		require.NoError(t, c.Delete().After("gorm:delete").Register("record", record))
		if s.read == s.write {
			break
		}
	}
	return func() []Query {
		mu.Lock()
		defer mu.Unlock()
		return queries
	}
}

// Pools are the pools of connections for writing and for reading.
func (s *Store) Pools(t *testing.T) (write, read *sql.DB) {
	t.Helper()
	write, err := s.write.DB()
	require.NoError(t, err)
	read, err = s.read.DB()
	require.NoError(t, err)
	return write, read
}

// IsDuplicate is isDuplicate.
var IsDuplicate = isDuplicate
