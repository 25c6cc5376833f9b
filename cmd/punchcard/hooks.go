package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
)

type hooksCmd struct {
	Add        hooksAddCmd        `cmd:"" help:"Have another system told; its secret is shown once."`
	List       hooksListCmd       `cmd:"" help:"List who is told, and how that goes."`
	Remove     hooksRemoveCmd     `cmd:"" help:"Have one told no more."`
	Rotate     hooksRotateCmd     `cmd:"" help:"Give one a new secret; the old one signs beside it for a day."`
	Enable     hooksEnableCmd     `cmd:"" help:"Have one told again that was disabled."`
	Test       hooksTestCmd       `cmd:"" help:"Send one a test, and say how it answered."`
	Replay     hooksReplayCmd     `cmd:"" help:"Tell one again."`
	Deliveries hooksDeliveriesCmd `cmd:"" help:"List what one was told, newest first."`
	Types      hooksTypesCmd      `cmd:"" help:"List what can be told."`
}

type hooksAddCmd struct {
	sealedDatabase

	URL     string   `arg:"" name:"url" help:"Its address: https, where anybody may reach it."`
	Types   []string `help:"What it wants to hear of, with commas between; without it, everything. See punchcard hooks types."`
	Note    string   `help:"Whose it is, for whoever looks."`
	Private bool     `help:"Take an http address: of a server that runs with --hook-private-hosts, or punchcard dev."`
}

// Run adds a hook.
func (c hooksAddCmd) Run(ctx context.Context) error {
	types := make([]punchcard.HookType, len(c.Types))
	for i, t := range c.Types {
		types[i] = punchcard.HookType(t)
	}
	return c.withStore(ctx, func(s *store.Store) error {
		d := newToolDispatch(s)
		if c.Private {
			d.LetHooksBePrivate()
		}
		h, err := d.AddHook(ctx, c.URL, types, c.Note)
		if err == nil {
			fmt.Printf("%s  %s\nKeep the secret: it is not shown again.\n", h.ID, h.Secret)
		}
		return err
	})
}

type hooksListCmd struct{ toolDatabase }

// Run lists the hooks.
func (c hooksListCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		view := s.View(ctx)
		hooks, err := view.Hooks()
		if err != nil {
			return err
		}
		counts, err := view.CountHookDeliveries()
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSTATE\tPENDING\tDEAD\tURL\tTYPES\tNOTE")
		for _, h := range hooks {
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%s\n", h.ID, hookState(h), counts[h.ID][punchcard.HookPending], counts[h.ID][punchcard.HookDead],
				h.URL, hookTypes(h), h.Note)
		}
		return w.Flush()
	})
}

func hookState(h punchcard.Hook) string {
	switch {
	case h.DisabledAt != nil:
		return "disabled: " + h.Disabled
	case h.FailingSince != nil:
		return "failing since " + h.FailingSince.Format(time.DateTime)
	default:
		return "well"
	}
}

func hookTypes(h punchcard.Hook) string {
	if len(h.Types) == 0 {
		return "all"
	}
	names := make([]string, len(h.Types))
	for i, t := range h.Types {
		names[i] = string(t)
	}
	return strings.Join(names, ",")
}

// hookID names a hook.
type hookID struct {
	ID string `arg:"" help:"The hook's id, as hooks list shows it."`
}

// hookFlags name a hook and the database.
type hookFlags struct {
	toolDatabase
	hookID
}

type hooksRemoveCmd struct{ hookFlags }

// Run removes a hook.
func (c hooksRemoveCmd) Run(ctx context.Context) error {
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error { return d.RemoveHook(ctx, c.ID) })
}

type hooksRotateCmd struct {
	sealedDatabase
	hookID
}

// Run gives a hook a new secret.
func (c hooksRotateCmd) Run(ctx context.Context) error {
	return c.withStore(ctx, func(s *store.Store) error {
		h, err := newToolDispatch(s).RotateHook(ctx, c.ID)
		if err == nil {
			fmt.Printf("%s\nKeep the secret: it is not shown again. The one until now signs beside it until %s.\n", h.Secret, h.FormerUntil.Format(time.DateTime))
		}
		return err
	})
}

type hooksEnableCmd struct{ hookFlags }

// Run enables a hook.
func (c hooksEnableCmd) Run(ctx context.Context) error {
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
		_, err := d.EnableHook(ctx, c.ID)
		return err
	})
}

type hooksTestCmd struct{ hookFlags }

// hookTestPatience is how long the answer to a test is waited for: the server must find it, and the hook has 15 s.
const hookTestPatience = 20 * time.Second

// Run sends a test by way of the server, and waits for what comes of it.
func (c hooksTestCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		d := newToolDispatch(s)
		sent, err := d.TestHook(ctx, c.ID)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, hookTestPatience)
		defer cancel()
		for {
			now, err := s.View(ctx).HookDelivery(sent.ID)
			switch {
			case ctx.Err() != nil:
				return fmt.Errorf("nobody has sent it yet: is punchcard serve at work on this database?")
			case err != nil:
				return err
			case now != nil && now.Status == punchcard.HookDelivered:
				fmt.Printf("It answered %d.\n", now.Code)
				return nil
			case now != nil && now.Attempts > 0 && now.Code > 0:
				return fmt.Errorf("it answered %d, and is asked again", now.Code)
			case now != nil && now.Attempts > 0:
				return fmt.Errorf("it did not answer (%s), and is asked again", now.Error)
			}
			select {
			case <-ctx.Done():
			case <-time.After(hookTestLook):
			}
		}
	})
}

// hookTestLook is how often it is looked whether a test was answered.
const hookTestLook = 200 * time.Millisecond

type hooksReplayCmd struct {
	hookFlags

	Event string    `xor:"what" required:"" help:"One event, by its id."`
	Dead  bool      `xor:"what" required:"" help:"All that was given up."`
	Since time.Time `xor:"what" required:"" help:"All that happened since a moment such as 2026-03-02T09:00:00Z, whether or not it was told."`
}

// Run replays.
func (c hooksReplayCmd) Run(ctx context.Context) error {
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
		n, err := d.ReplayHook(ctx, c.ID, dispatch.Replay{Event: c.Event, Dead: c.Dead, Since: c.Since})
		if err == nil {
			fmt.Printf("%d %s on the way again.\n", n, plural(n, "event"))
		}
		return err
	})
}

type hooksDeliveriesCmd struct {
	hookFlags

	Status string `help:"Of this status only: pending, delivered, dead."`
	Limit  int    `default:"20" help:"How many."`
}

// Run lists deliveries.
func (c hooksDeliveriesCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		view := s.View(ctx)
		if _, err := view.Hook(c.ID); err != nil {
			return err
		}
		rows, err := view.HookDeliveries(c.ID, punchcard.HookStatus(c.Status), 0, c.Limit)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "EVENT\tTYPE\tHAPPENED\tSTATUS\tTRIES\tANSWER")
		for _, r := range rows {
			said := r.Error
			if r.Code > 0 {
				said = fmt.Sprint(r.Code)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", r.Event.ID, r.Event.Type, r.Event.At.Format(time.DateTime), r.Status, r.Attempts, said)
		}
		return w.Flush()
	})
}

type hooksTypesCmd struct{}

// Run lists the types.
func (hooksTypesCmd) Run() error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, t := range punchcard.HookTypes() {
		fmt.Fprintf(w, "%s\t%s\n", t.Type, t.When)
	}
	return w.Flush()
}
