package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"punchcard"
	"punchcard/internal/store"
)

type keysCmd struct {
	Create keysCreateCmd `cmd:"" help:"Make a key; it is shown once."`
	List   keysListCmd   `cmd:"" help:"List the keys."`
	Revoke keysRevokeCmd `cmd:"" help:"End a key."`

	NewCodeKey keysNewCodeKeyCmd `cmd:"" name:"new-code-key" help:"Make a key that seals codes and hooks' secrets."`
	Reseal     keysResealCmd     `cmd:"" help:"Seal all codes and hooks' secrets with the newest key."`
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

type keysNewCodeKeyCmd struct {
	ID string `arg:"" optional:"" help:"What the key is called beside what it seals; otherwise today's date."`
}

// Run makes a key, and keeps nothing of it.
func (c keysNewCodeKeyCmd) Run() error {
	if c.ID == "" {
		c.ID = time.Now().Format(time.DateOnly)
	}
	key := store.NewCodeKey(c.ID)
	if err := store.CheckCodeKeys([]string{key}); err != nil {
		return fmt.Errorf("%q cannot be a key's id: write letters, digits, dots, hyphens", c.ID)
	}
	_, err := fmt.Println(key)
	return err
}

type keysResealCmd struct {
	databaseFlags
	codeFlags
}

// Run seals what other keys have sealed, in small transactions. It can be stopped and run again at any time.
func (c keysResealCmd) Run(ctx context.Context) error {
	return c.withStore(ctx, c.Database, func(s *store.Store) error {
		var after []byte
		total, said := 0, time.Now()
		for {
			next, sealed, err := s.Reseal(ctx, after)
			total += sealed
			if err != nil {
				return fmt.Errorf("after %d: %w", total, err)
			}
			if next == nil {
				break
			}
			if after = next; time.Since(said) > progressEvery {
				said = time.Now()
				fmt.Fprintf(os.Stderr, "%d sealed anew\n", total)
			}
		}
		used, err := s.View(ctx).CodeKeysInUse()
		if err != nil {
			return err
		}
		fmt.Printf("%d codes and secrets of hooks sealed anew.\n", total)
		for _, id := range slices.Sorted(maps.Keys(used)) {
			fmt.Printf("%-20s seals %d\n", id, used[id])
		}
		return nil
	})
}

// progressEvery is how often a long command says how far it has come.
const progressEvery = 2 * time.Second

type migrateCmd struct {
	databaseFlags

	CodeKeys []string `name:"code-keys" placeholder:"ID:BASE64" help:"Keys that seal codes and hooks' secrets: with them, what an earlier version kept in the clear is sealed now and not when serve starts."`
}

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
	if len(c.CodeKeys) > 0 {
		if err := s.UseCodeKeys(ctx, c.CodeKeys); err != nil {
			return err
		}
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
