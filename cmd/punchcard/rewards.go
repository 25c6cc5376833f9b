package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"punchcard"
	"punchcard/api"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

type rewardsCmd struct {
	List  rewardsListCmd  `cmd:"" help:"List the catalog, and how much of it is given and left."`
	Show  rewardsShowCmd  `cmd:"" help:"Show one reward: what it is, who can have it, how much is given and left."`
	Grant rewardsGrantCmd `cmd:"" help:"Give a customer a reward by hand."`
	Codes rewardsCodesCmd `cmd:"" help:"Fill the pools of codes."`
}

// sealedDatabase is toolDatabase with the keys to codes; those of the development server are beside its database.
type sealedDatabase struct {
	toolDatabase

	CodeKeys []string `name:"code-keys" placeholder:"ID:BASE64" help:"Keys that seal codes and hooks' secrets, the newest first; without it, the development server's."`
}

func (c sealedDatabase) withStore(ctx context.Context, fn func(*store.Store) error) error {
	if len(c.CodeKeys) == 0 {
		key, err := os.ReadFile(filepath.Join(filepath.Dir(c.Database), fileCodeKey))
		if err != nil {
			return errors.New("codes and hooks' secrets are sealed: set --code-keys")
		}
		c.CodeKeys = []string{string(key)}
	}
	return codeFlags{CodeKeys: c.CodeKeys}.withStore(ctx, c.Database, fn)
}

type rewardsListCmd struct {
	toolDatabase
	jsonFlag
}

// Run shows the table.
func (c rewardsListCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		policy, err := fence.NewCatalog(s).Current(ctx)
		if err != nil {
			return err
		}
		view := s.View(ctx)
		uses, err := view.RewardUses()
		if err != nil {
			return err
		}
		var rows []api.RewardView
		for _, name := range slices.Sorted(maps.Keys(policy.Rewards)) {
			v, err := api.ViewReward(view, policy.Rewards[name], uses)
			if err != nil {
				return err
			}
			rows = append(rows, v)
		}
		return sayList(c.JSON, rows, "REWARD\tKIND\tCOST\tHELD\tGIVEN\tCAPTURED\tRELEASED\tFREE CODES\tSTOCK LEFT\tBUDGET USED", func(v api.RewardView) []any {
			name := v.Name
			if v.Stopped {
				name += " (stopped)"
			}
			return []any{name, v.Kind, v.Cost, v.Held, v.Given, v.Captured, v.Released, numberOrDash(v.FreeCodes), numberOrDash(v.Stock), budget(v)}
		})
	})
}

func numberOrDash(n *int64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

func budget(v api.RewardView) string {
	if v.Budget == nil {
		return "-"
	}
	return fmt.Sprintf("%v of %v", *v.BudgetUsed, *v.Budget)
}

type rewardsShowCmd struct {
	toolDatabase
	jsonFlag

	Reward string `arg:"" help:"Its name in the catalog."`
}

// Run shows a reward.
func (c rewardsShowCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		policy, err := fence.NewCatalog(s).Current(ctx)
		if err != nil {
			return err
		}
		r := policy.Rewards[c.Reward]
		if r == nil {
			return punchcard.Errorf(punchcard.CodeNotFound, "the program has no such reward: punchcard rewards list has their names")
		}
		view := s.View(ctx)
		uses, err := view.RewardUses()
		if err != nil {
			return err
		}
		v, err := api.ViewReward(view, r, uses)
		if err != nil {
			return err
		}
		stopped := ""
		if v.Stopped {
			stopped = "yes: punchcard allow reward " + v.Name + " takes that back"
		}
		fields := []field{{"reward", v.Name}, {"kind", v.Kind}}
		for _, words := range []struct {
			name string
			by   map[string]string
		}{{"title", v.Title}, {"description", v.Description}, {"terms", v.Terms}} {
			for _, language := range slices.Sorted(maps.Keys(words.by)) {
				fields = append(fields, field{words.name + " " + language, words.by[language]})
			}
		}
		return sayOne(c.JSON, v, append(fields, field{"cost", v.Cost}, field{"value", v.Value}, field{"codes", v.Codes}, field{"captured by", v.CapturedBy},
			field{"eligible", v.Eligible}, field{"from", timeOrDash(v.From)}, field{"until", timeOrDash(v.Until)}, field{"stopped", stopped},
			field{"held", v.Held}, field{"given", v.Given}, field{"captured", v.Captured}, field{"released", v.Released},
			field{"free codes", numberOrDash(v.FreeCodes)}, field{"stock left", numberOrDash(v.Stock)}, field{"budget used", budget(v)}))
	})
}

type rewardsGrantCmd struct {
	sealedDatabase
	callFlags

	Customer string `arg:"" help:"${customer}"`
	Reward   string `arg:"" help:"Its name in the catalog."`
	By       string `required:"" help:"Who gives it."`
	Reason   string `required:"" help:"Why."`
	Once     string `placeholder:"KEY" help:"Do it once for this key, however often the command is given."`
}

// Run gives the reward and says what is known of the grant.
func (c rewardsGrantCmd) Run(ctx context.Context) error {
	caller, err := c.caller()
	if err != nil {
		return err
	}
	return c.withStore(ctx, func(s *store.Store) error {
		customer, err := customerNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		key := onceKey("", c.Once)
		before, err := s.View(ctx).GrantOfRequest(key)
		if err != nil {
			return err
		}
		if before != nil && (before.CustomerID != customer.ID || before.Reward != c.Reward) {
			return fmt.Errorf("nothing was done: the key of --once has given another before (%s); give each gift a key of its own", before.ID)
		}
		d := newToolDispatch(s)
		d.Caller = caller
		g, err := d.GiveReward(ctx, dispatch.Given{Customer: customer.ID, Reward: c.Reward, By: c.By, Note: c.Reason, Request: key})
		if err != nil {
			return err
		}
		if before != nil && !before.AwaitsCode {
			fmt.Print("That was done before. ")
		}
		fmt.Printf("%s  %s  %s  %s\n", g.ID, g.Reward, g.Status, g.Code)
		return nil
	})
}

type rewardsCodesCmd struct {
	Upload codesUploadCmd `cmd:"" help:"Add a file of codes to a reward's pool."`
	Show   codesShowCmd   `cmd:"" help:"Show how far an upload is."`
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
		fmt.Fprintf(os.Stderr, "upload %s\n", id)
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

type codesShowCmd struct {
	toolDatabase
	jsonFlag

	Upload string `arg:"" help:"The upload's name, as rewards codes upload says it, or as the API was given it."`
}

// Run shows how far the upload is.
func (c codesShowCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		view := s.View(ctx)
		u, err := view.CodeUpload(c.Upload)
		if err != nil {
			return err
		}
		if u == nil {
			return punchcard.Errorf(punchcard.CodeNotFound, "there is no upload of that name")
		}
		v, err := api.ViewUpload(view, u)
		if err != nil {
			return err
		}
		fields := []field{
			{"upload", v.Upload}, {"reward", u.Reward}, {"status", v.Status}, {"lines", v.Lines}, {"added", v.Added}, {"duplicates", v.Duplicates},
			{"invalid", v.Invalid}, {"free codes", v.Free}, {"begun", u.CreatedAt.Format(time.DateTime)}, {"went on", u.UpdatedAt.Format(time.DateTime)},
		}
		for _, p := range v.Problems {
			fields = append(fields, field{fmt.Sprintf("line %d", p.Line), p.Reason})
		}
		return sayOne(c.JSON, v, fields)
	})
}
