package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"punchcard"
	"punchcard/internal/store"
)

type keysCmd struct {
	Create keysCreateCmd `cmd:"" help:"Make a key; it is shown once."`
	List   keysListCmd   `cmd:"" help:"List the keys."`
	Revoke keysRevokeCmd `cmd:"" help:"End a key."`
}

type keysCreateCmd struct {
	databaseFlags

	Name string `arg:"" help:"Who or what it is for."`
}

// Run makes a key and shows its secret, of which only a hash is kept.
func (c keysCreateCmd) Run(ctx context.Context) error {
	secret := "pk_" + rand.Text()
	sum := sha256.Sum256([]byte(secret))
	key := &store.APIKey{ID: punchcard.NewID(punchcard.PrefixKey), Name: c.Name, Hash: hex.EncodeToString(sum[:])}
	err := withStore(ctx, c.Database, func(s *store.Store) error {
		return s.Update(ctx, func(tx *store.Tx) error {
			key.CreatedAt = tx.Now
			return tx.AddAPIKey(key)
		})
	})
	if err == nil {
		fmt.Printf("%s  %s\nKeep it: it is not shown again.\n", key.ID, secret)
	}
	return err
}

type keysListCmd struct{ databaseFlags }

// Run lists the keys.
func (c keysListCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		keys, err := s.View(ctx).APIKeys()
		for _, k := range keys {
			state := "live"
			if k.RevokedAt != nil {
				state = "revoked " + k.RevokedAt.Format("2006-01-02")
			}
			fmt.Printf("%s  %s  %s  %s\n", k.ID, k.CreatedAt.Format("2006-01-02"), state, k.Name)
		}
		return err
	})
}

type keysRevokeCmd struct {
	databaseFlags

	ID string `arg:"" help:"The key's id, as keys list shows it."`
}

// Run ends a key.
func (c keysRevokeCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		return s.Update(ctx, func(tx *store.Tx) error { return tx.RevokeAPIKey(c.ID) })
	})
}

type migrateCmd struct{ databaseFlags }

// Run migrates.
func (c migrateCmd) Run(ctx context.Context) (err error) {
	s, err := store.Open(ctx, c.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	fmt.Println("The database's schema is up to date.")
	return nil
}

// withStore opens a database for one command.
func withStore(ctx context.Context, dsn string, fn func(*store.Store) error) (err error) {
	s, err := openStore(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return fn(s)
}
