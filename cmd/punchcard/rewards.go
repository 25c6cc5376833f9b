package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

type rewardsCmd struct {
	List  rewardsListCmd  `cmd:"" help:"List the catalog, and how much of it is given."`
	Grant rewardsGrantCmd `cmd:"" help:"Give a customer a reward by hand."`
	Codes rewardsCodesCmd `cmd:"" help:"Fill the pools of codes."`
}

// sealedDatabase is toolDatabase with the keys to codes; those of the development server are beside its database.
type sealedDatabase struct {
	toolDatabase

	CodeKeys []string `name:"code-keys" placeholder:"ID:BASE64" help:"Keys that seal codes, the newest first; without it, the development server's."`
}

func (c sealedDatabase) withStore(ctx context.Context, fn func(*store.Store) error) error {
	if len(c.CodeKeys) == 0 {
		key, err := os.ReadFile(filepath.Join(filepath.Dir(c.Database), fileCodeKey))
		if err != nil {
			return errors.New("codes are sealed: set --code-keys")
		}
		c.CodeKeys = []string{string(key)}
	}
	return codeFlags{CodeKeys: c.CodeKeys}.withStore(ctx, c.Database, fn)
}

type rewardsListCmd struct{ toolDatabase }

// Run shows the table.
func (c rewardsListCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		policy, err := fence.NewCatalog(s).Current(ctx)
		if err != nil {
			return err
		}
		uses, err := s.View(ctx).RewardUses()
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "REWARD\tKIND\tCOST\tHELD\tGIVEN\tCAPTURED\tRELEASED\tFREE CODES")
		for _, name := range slices.Sorted(maps.Keys(policy.Rewards)) {
			r := policy.Rewards[name]
			n := map[punchcard.GrantStatus]int64{}
			for _, u := range uses {
				if u.Reward == name {
					n[u.Status] = u.Grants
				}
			}
			free := "-"
			if r.Codes == rules.CodesPool {
				count, err := s.View(ctx).FreeCodes(name)
				if err != nil {
					return err
				}
				free = fmt.Sprint(count)
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n", name, r.Kind, r.Cost, n[punchcard.GrantHeld], n[punchcard.GrantGiven],
				n[punchcard.GrantCaptured], n[punchcard.GrantReleased], free)
		}
		return w.Flush()
	})
}

type rewardsGrantCmd struct {
	sealedDatabase

	Customer string `arg:"" help:"cus_…, external:ID or phone:+NUMBER."`
	Reward   string `arg:"" help:"Its name in the catalog."`
	By       string `required:"" help:"Who gives it."`
	Reason   string `required:"" help:"Why."`
}

// Run gives the reward and says what is known of the grant.
func (c rewardsGrantCmd) Run(ctx context.Context) error {
	return c.withStore(ctx, func(s *store.Store) error {
		d := dispatch.New(fence.New(s), nil, slog.New(slog.DiscardHandler))
		ref := dispatch.Reference{ID: c.Customer}
		if id, ok := strings.CutPrefix(c.Customer, "external:"); ok {
			ref = dispatch.Reference{ExternalID: id}
		} else if phone, ok := strings.CutPrefix(c.Customer, "phone:"); ok {
			ref = dispatch.Reference{Phone: phone}
		}
		customer, err := d.Resolve(ctx, ref)
		if err != nil {
			return err
		}
		g, err := d.GiveReward(ctx, dispatch.Given{Customer: customer.ID, Reward: c.Reward, By: c.By, Note: c.Reason})
		if err != nil {
			return err
		}
		fmt.Printf("%s  %s  %s  %s\n", g.ID, g.Reward, g.Status, g.Code)
		return nil
	})
}

type rewardsCodesCmd struct {
	Upload codesUploadCmd `cmd:"" help:"Add a file of codes to a reward's pool."`
}

type codesUploadCmd struct {
	sealedDatabase

	Reward string `arg:"" help:"Its name in the catalog."`
	File   string `arg:"" type:"existingfile" help:"CSV, with the code in the first column; or NDJSON, where the name ends in .ndjson or .jsonl."`
}

// Run adds the codes, and says how far it is. The upload is named after the file's content: run again, it goes on where it broke off.
func (c codesUploadCmd) Run(ctx context.Context) (err error) {
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	id := "file_" + c.Reward + "_" + hex.EncodeToString(sum.Sum(nil)[:16])
	return c.withStore(ctx, func(s *store.Store) error {
		policy, err := fence.NewCatalog(s).Current(ctx)
		if err != nil {
			return err
		}
		if r := policy.Rewards[c.Reward]; r == nil || r.Codes != rules.CodesPool {
			return fmt.Errorf("the program has no reward %q whose codes are a pool", c.Reward)
		}
		ext := filepath.Ext(c.File)
		said := time.Now()
		u, err := s.UploadCodes(ctx, id, c.Reward, punchcard.NewCodeFile(file, ext == ".ndjson" || ext == ".jsonl"), func(u store.CodeUpload) {
			if time.Since(said) > progressEvery {
				said = time.Now()
				fmt.Fprintf(os.Stderr, "%d lines, %d added\n", u.Lines, u.Added)
			}
		})
		if err != nil {
			if u != nil {
				err = fmt.Errorf("%w; %d lines are done with, and the same command goes on from there", err, u.Lines)
			}
			return err
		}
		for _, p := range u.Problems {
			fmt.Printf("line %d: %s\n", p.Line, p.Reason)
		}
		if more := u.Duplicates + u.Invalid - int64(len(u.Problems)); more > 0 {
			fmt.Printf("and %d more\n", more)
		}
		free, err := s.View(ctx).FreeCodes(c.Reward)
		if err == nil {
			fmt.Printf("%d lines: %d added, %d duplicates, %d invalid. %d codes of %s are free.\n", u.Lines, u.Added, u.Duplicates, u.Invalid, free, c.Reward)
		}
		return err
	})
}
