package store

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	gooselock "github.com/pressly/goose/v3/lock"

	"punchcard/migrations"
)

func (s *Store) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations.FS, string(s.dialect))
	if err != nil {
		return nil, err
	}
	db, err := s.write.DB()
	if err != nil {
		return nil, err
	}
	dialect := goose.DialectPostgres
	if s.dialect == SQLite {
		dialect = goose.DialectSQLite3
	}
	var options []goose.ProviderOption
	if s.dialect == Postgres {
		// Processes that start together wait for the one that migrates.
		locker, err := gooselock.NewPostgresSessionLocker(gooselock.WithLockTimeout(1, 300)) // each second, for five minutes
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(dialect, db, files, options...)
}

// Migrate brings the schema up to this program's.
func (s *Store) Migrate(ctx context.Context) error {
	p, err := s.provider()
	if err != nil {
		return err
	}
	if err := s.refuseNewer(ctx, p); err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// CheckSchema refuses a schema that is older or newer than this program's, with what to do.
func (s *Store) CheckSchema(ctx context.Context) error {
	p, err := s.provider()
	if err != nil {
		return err
	}
	if err := s.refuseNewer(ctx, p); err != nil {
		return err
	}
	pending, err := p.HasPending(ctx)
	if err != nil {
		return fmt.Errorf("read the database's schema version: %w", err)
	}
	if pending {
		return fmt.Errorf("the database's schema is older than this program: run `punchcard migrate` first")
	}
	return nil
}

func (s *Store) refuseNewer(ctx context.Context, p *goose.Provider) error {
	have, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the database's schema version: %w", err)
	}
	if have > target {
		return fmt.Errorf("the database's schema (%d) is newer than this program's (%d): use the program that wrote it, or a later one", have, target)
	}
	return nil
}
