package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

type pointsCmd struct {
	Adjust    pointsAdjustCmd    `cmd:"" help:"Give a customer points, or take them, with who and why."`
	Statement pointsStatementCmd `cmd:"" help:"Show what happened to a customer's points."`
}

type pointsAdjustCmd struct {
	toolDatabase

	Customer string `arg:"" help:"${customer}"`
	Points   int64  `arg:"" help:"How many; with a minus to take them, after --: points adjust CUSTOMER -- -50."`
	Reason   string `required:"" help:"Why."`
	By       string `required:"" help:"Who does it."`
	Debt     bool   `help:"More may be taken than there is: the rest is owed."`
	Once     string `placeholder:"KEY" help:"Do it once for this key, however often the command is given."`
}

// Run adjusts a customer's points.
func (c pointsAdjustCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		customer, err := customerNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		a := dispatch.Adjustment{Points: c.Points, By: c.By, Reason: c.Reason, Debt: c.Debt}
		if c.Once != "" {
			a.Key = "cli/" + customer.ID + "/" + c.Once
		}
		done, err := dispatch.New(fence.New(s), nil, newLog(slog.LevelWarn)).Adjust(ctx, customer.ID, a)
		if err != nil {
			return err
		}
		p, err := s.View(ctx).PointsNow(customer.ID)
		if err != nil {
			return err
		}
		if !done {
			fmt.Print("That was done before. ")
		}
		fmt.Printf("The balance is %d %s", p.Available, plural(p.Available, "point"))
		if p.Debt > 0 {
			fmt.Printf(", and %d are owed", p.Debt)
		}
		fmt.Println(".")
		return nil
	})
}

type pointsStatementCmd struct {
	toolDatabase
	spanFlags

	Customer string `arg:"" help:"${customer}"`
}

// statementPage is how many lines are read at a time.
const statementPage = 500

// Run shows a statement.
func (c pointsStatementCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		view := s.View(ctx)
		customer, err := customerNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		policy, err := fence.New(s).Catalog.Current(ctx)
		if err != nil {
			return err
		}
		zone := fence.Zone(policy.Program, customer)
		from, until, err := c.span(zone)
		if err != nil {
			return err
		}
		if until.IsZero() {
			until = view.Now.Add(time.Microsecond)
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		var after store.Place
		for first := true; ; first = false {
			st, err := fence.NewStatement(view, policy.Program, customer, from.UTC(), until.UTC(), after, statementPage)
			if err != nil {
				return err
			}
			if first {
				fmt.Fprintf(w, "\t\t%d\t  before\n", st.Opening.Available)
			}
			for _, l := range st.Lines {
				change := ""
				if l.Points != 0 {
					change = fmt.Sprintf("%+d", l.Points)
				}
				var extra strings.Builder
				for _, e := range []struct {
					n    int64
					what string
				}{{l.Pending, "pending"}, {l.Held, "held"}, {l.Debt, "owed"}} {
					if e.n != 0 {
						fmt.Fprintf(&extra, " (%+d %s)", e.n, e.what)
					}
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t  %s%s\n", l.At.In(zone).Format("2006-01-02 15:04"), change, l.Balance, l.Text, extra.String())
				after = l.Place
			}
			if st.More {
				continue
			}
			fmt.Fprintf(w, "\t\t%d\t  balance; %d pending, %d held, %d owed\n", st.Closing.Available, st.Closing.Pending, st.Closing.Held, st.Closing.Debt)
			return w.Flush()
		}
	})
}
