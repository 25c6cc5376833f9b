package main

import (
	"context"
	"fmt"
	"os/user"
	"time"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
)

type circuitCmd struct {
	Show  circuitShowCmd  `cmd:"" default:"withargs" help:"Say whether messages go out, and what WhatsApp says of the account."`
	Close circuitCloseCmd `cmd:"" help:"Let sends go on that WhatsApp had stopped: what it stopped them for is mended."`
}

type circuitShowCmd struct{ toolDatabase }

// Run says how the account stands.
func (c circuitShowCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		view := s.View(ctx)
		a, err := view.WhatsAppAccount()
		if err != nil {
			return err
		}
		for _, one := range []struct {
			scope        punchcard.CircuitScope
			what, reason string
		}{
			{punchcard.CircuitAll, "Messages", punchcard.ReasonCircuitOpen},
			{punchcard.CircuitMarketing, "Marketing", punchcard.ReasonMarketingOpen},
		} {
			held, err := view.CountHeld(one.reason)
			if err != nil {
				return err
			}
			why, since, until := a.Opened(one.scope)
			if why == "" {
				fmt.Printf("%s: the circuit is closed: they go out.\n", one.what)
				continue
			}
			end := "until punchcard circuit close --scope=" + string(one.scope) + ", or until WhatsApp reinstates the account"
			if until != nil {
				end = "until " + until.Format(time.RFC3339)
			}
			fmt.Printf("%s: the circuit is open since %s, %s: %s. It holds %d %s.\n", one.what, since.Format(time.RFC3339), end, why, held, plural(held, "run"))
		}
		limit := "WhatsApp has not said; they are counted where a worker has --daily-limit"
		if a.DailyLimit != nil {
			limit = "any number; they are not counted"
			if *a.DailyLimit > 0 {
				limit = fmt.Sprint(*a.DailyLimit)
			}
		}
		used, _, err := view.Contacts()
		if err != nil {
			return err
		}
		if used > 0 {
			limit += fmt.Sprintf("; %d of the last day", used)
		}
		fmt.Printf("Customers a day outside of their service window: %s.\n", limit)
		if a.Quality != "" {
			fmt.Printf("Quality of the number: %s.\n", a.Quality)
		}
		return nil
	})
}

type circuitCloseCmd struct {
	toolDatabase

	Scope string `enum:"all,marketing" default:"all" help:"Which one: all or marketing."`
	By    string `help:"Who closes it; the name of this machine's user when absent."`
}

// Run closes a circuit.
func (c circuitCloseCmd) Run(ctx context.Context) error {
	if c.By == "" {
		c.By = "operator"
		if u, err := user.Current(); err == nil && u.Username != "" {
			c.By = u.Username
		}
	}
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
		n, err := d.CloseCircuit(ctx, punchcard.CircuitScope(c.Scope), c.By)
		if err == nil {
			fmt.Printf("The circuit is closed, and %d held %s on. It opens again when WhatsApp refuses the next message.\n", n, goes(n))
		}
		return err
	})
}

func goes(n int) string {
	if n == 1 {
		return "run goes"
	}
	return "runs go"
}
