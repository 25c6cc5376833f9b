package store

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"gorm.io/gorm/logger"
)

// statements counts what is sent to the database. gorm tells a logger of each statement; nothing is logged here, since a
// statement's values are a customer's.
type statements struct {
	n            atomic.Int64
	transactions atomic.Int64
	killed       atomic.Bool  // a test kills: what is written is counted too
	writes       atomic.Int64 // statements that changed a row
}

// LogMode is part of gorm's interface.
func (s *statements) LogMode(logger.LogLevel) logger.Interface { return s }

// Info is part of gorm's interface.
func (s *statements) Info(context.Context, string, ...any) {}

// Warn is part of gorm's interface.
func (s *statements) Warn(context.Context, string, ...any) {}

// Error is part of gorm's interface.
func (s *statements) Error(context.Context, string, ...any) {}

// Trace counts one statement.
func (s *statements) Trace(_ context.Context, _ time.Time, statement func() (string, int64), _ error) {
	s.n.Add(1)
	if !s.killed.Load() {
		return
	}
	if sql, rows := statement(); rows != 0 && !strings.HasPrefix(sql, "SELECT") {
		s.writes.Add(1)
	}
}

// Statements is how many statements this store has sent since it was opened. BEGIN and COMMIT are not among them.
func (s *Store) Statements() int64 { return s.statements.n.Load() }

// Transactions is how many transactions this store has begun since it was opened: by Update, each try of one.
func (s *Store) Transactions() int64 { return s.statements.transactions.Load() }
