package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

// toolDatabase is the database that a command works on: a deployment's, or the development server's on this machine.
type toolDatabase struct {
	Database string `default:".punchcard/punchcard.db" placeholder:"URL" help:"postgres://user:password@host/database, or the path of an SQLite file."`
}

// withDispatch runs one operation. What it tells runs waits in the outbox for the server to deliver.
func (f toolDatabase) withDispatch(ctx context.Context, fn func(*dispatch.Dispatcher) error) error {
	return withStore(ctx, f.Database, func(s *store.Store) error { return fn(newToolDispatch(s)) })
}

func newToolDispatch(s *store.Store) *dispatch.Dispatcher {
	return dispatch.New(fence.New(s), nil, newLog(slog.LevelWarn))
}

// customerNamed finds the customer that a word on the command line names.
func customerNamed(ctx context.Context, s *store.Store, word string) (*punchcard.Customer, error) {
	ref, err := dispatch.ParseReference(word)
	if err != nil {
		return nil, err
	}
	return newToolDispatch(s).Resolve(ctx, ref)
}

// idNamed is customerNamed's id, and "" for no word: a list of all.
func idNamed(ctx context.Context, s *store.Store, word string) (string, error) {
	if word == "" {
		return "", nil
	}
	c, err := customerNamed(ctx, s, word)
	if err != nil {
		return "", err
	}
	return c.ID, nil
}

type pauseCmd struct {
	toolDatabase

	Journey string `arg:"" help:"The journey."`
	Reason  string `help:"Why, for whoever looks."`
}

// Run pauses a journey.
func (c pauseCmd) Run(ctx context.Context) error {
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
		if err := d.Pause(ctx, c.Journey, c.Reason); err != nil {
			return err
		}
		fmt.Printf("%s is paused: its runs are held before their next effect. punchcard resume %s lets them go on.\n", c.Journey, c.Journey)
		return nil
	})
}

type resumeCmd struct {
	toolDatabase

	Journey string `arg:"" help:"The journey."`
}

// Run resumes a journey.
func (c resumeCmd) Run(ctx context.Context) error {
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
		n, err := d.Resume(ctx, c.Journey)
		if err == nil {
			fmt.Printf("%s goes on, with %d held %s.\n", c.Journey, n, plural(int64(n), "run"))
		}
		return err
	})
}

type stopCmd struct {
	toolDatabase

	Kind   string `arg:"" enum:"template,reward,journey" help:"What to stop: template, reward or journey."`
	Name   string `arg:"" help:"Its name."`
	Reason string `help:"Why, for whoever looks."`
}

// Run stops something at once, for runs of every version.
func (c stopCmd) Run(ctx context.Context) error {
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
		ended, err := d.Stop(ctx, c.Kind, c.Name, c.Reason)
		if err != nil {
			return err
		}
		what := map[string]string{
			"template": "it is not sent any more", "reward": "it is refused from now on",
			"journey": fmt.Sprintf("it takes no new runs, and %d %s ended", ended, plural(int64(ended), "run")),
		}[c.Kind]
		fmt.Printf("%s %s is stopped: %s. punchcard allow %s %s takes that back.\n", c.Kind, c.Name, what, c.Kind, c.Name)
		return nil
	})
}

type allowCmd struct {
	toolDatabase

	Kind string `arg:"" enum:"template,reward,journey" help:"What to allow again: template, reward or journey."`
	Name string `arg:"" help:"Its name."`
}

// Run takes a stop back.
func (c allowCmd) Run(ctx context.Context) error {
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
		if err := d.Allow(ctx, c.Kind, c.Name); err != nil {
			return err
		}
		fmt.Printf("%s %s is allowed again.\n", c.Kind, c.Name)
		return nil
	})
}

type endRunsCmd struct {
	toolDatabase

	Version string `required:"" placeholder:"<=N" help:"Up to which version of the program, as in --version '<=3'."`
}

// Run ends every live run of the versions up to one.
func (c endRunsCmd) Run(ctx context.Context) error {
	var version int
	number := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(c.Version), "<="))
	if _, err := fmt.Sscanf(number, "%d", &version); err != nil || fmt.Sprint(version) != number {
		return fmt.Errorf("--version is a number, as in --version '<=3'")
	}
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
		n, err := d.EndRuns(ctx, version)
		fmt.Printf("%d %s of the versions up to %d ended.\n", n, plural(int64(n), "run"), version)
		return err
	})
}
