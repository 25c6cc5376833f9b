package store

import (
	"database/sql"
	"sync"
	"testing"

	"github.com/pressly/goose/v3"
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

// Provider is the store's migrations.
func (s *Store) Provider(t *testing.T) *goose.Provider {
	t.Helper()
	p, err := s.provider()
	require.NoError(t, err)
	return p
}

// Settle writes what time has done to a customer's points.
func (tx *Tx) Settle(customer string) error {
	b, err := tx.book(customer)
	if err != nil {
		return err
	}
	err = b.close()
	return err
}

// ReadAccounts reads what PassTime reads of accounts.
func (tx *Tx) ReadAccounts(customers ...string) error {
	_, err := tx.books(customers)
	return err
}

// Unannounced is unannounced.
func (tx *Tx) Unannounced(customers ...string) error {
	_, err := tx.unannounced(customers)
	return err
}

// IsDuplicate is isDuplicate.
var IsDuplicate = isDuplicate

// HidePassword is hidePassword.
var HidePassword = hidePassword

// MergedTables says what a merge does with the rows of every table that names customers.
var MergedTables = mergedTables

// MergedFields says whose word a merge takes for every field of a customer.
var MergedFields = mergedFields
