package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
)

// commandCaller is whom refusals and the count of unknown codes name for what is asked for by a command.
const commandCaller = "cli"

type captureCmd struct {
	sealedDatabase

	Code     string   `arg:"" help:"As the customer shows it; case, spaces and hyphens do not matter."`
	Amount   *float64 `placeholder:"4.50" help:"How much of a value that may be used in parts; without it, all that is left."`
	Device   string   `help:"The till's own name for itself: limits, and unknown codes, are counted for each."`
	Order    string   `help:"What it is used for: a receipt's number."`
	Customer string   `help:"Who uses it, if that is known (cus_…, a phone number with its plus, or external:ID): another's code is refused."`
	Once     string   `placeholder:"KEY" help:"Do it once for this key, however often the command is given."`
}

// Run uses the code, and says what is left on it.
func (c captureCmd) Run(ctx context.Context) error {
	return c.withStore(ctx, func(s *store.Store) error {
		use := dispatch.Use{Till: dispatch.Till{Caller: commandCaller, Device: c.Device}, Code: c.Code, Order: c.Order}
		if c.Amount != nil {
			if use.Amount = *c.Amount; use.Amount == 0 {
				return errors.New("--amount is above 0; leave it out to use all that is left")
			}
		}
		if c.Customer != "" {
			customer, err := customerNamed(s.View(ctx), c.Customer)
			if err != nil {
				return err
			}
			use.Customer = customer.ID
		}
		if c.Once != "" {
			sum := sha256.Sum256([]byte(c.Once))
			use.Request = commandCaller + "/" + hex.EncodeToString(sum[:])
		}
		before, err := s.View(ctx).CaptureOfRequest(use.Request)
		if err != nil {
			return err
		}
		done, err := newToolDispatch(s).Capture(ctx, use)
		if err != nil {
			return err
		}
		g, used := done.Grant, done.Capture
		if before != nil {
			// A key is answered with what it did, whatever is asked for now.
			if g.Code != punchcard.MaskCode(punchcard.NormalizeCode(c.Code)) || c.Amount != nil && used.Amount != punchcard.AmountOf(use.Amount) {
				return fmt.Errorf("nothing was done: the key of --once has used %v of %s before (%s); give each use a key of its own",
					used.Amount.Float(), g.Code, used.ID)
			}
			fmt.Print("That was done before. ")
		}
		fmt.Printf("%s  %s  %s  %v used, %v left\n", used.ID, g.Reward, g.Code, used.Amount.Float(), used.LeftOver.Float())
		return nil
	})
}

type redemptionsCmd struct {
	List   redemptionsListCmd   `cmd:"" help:"List redemptions, newest first."`
	Show   redemptionsShowCmd   `cmd:"" help:"Show what became of one."`
	Cancel redemptionsCancelCmd `cmd:"" help:"Give one up: its run ends, its points are the customer's again, its code is void."`
}

type redemptionsListCmd struct {
	toolDatabase

	Status   string `enum:",requested,held,refused,captured,released" default:"" help:"Of this status only: requested, held, refused, captured, released."`
	Customer string `help:"Only this customer's: cus_…, a phone number with its plus, or external:ID."`
	Before   string `placeholder:"ID" help:"Go on after this one: the last that was listed."`
	Limit    int    `default:"20" help:"How many, 1 to 1000."`
}

// Run lists redemptions.
func (c redemptionsListCmd) Run(ctx context.Context) error {
	if c.Limit < 1 || c.Limit > 1000 {
		return errors.New("--limit is from 1 to 1000")
	}
	if c.Before != "" && !punchcard.IsID(punchcard.PrefixRedemption, c.Before) {
		return errors.New("--before is a redemption's id: rdm_…")
	}
	return withStore(ctx, c.Database, func(s *store.Store) error {
		view := s.View(ctx)
		customer := ""
		if c.Customer != "" {
			found, err := customerNamed(view, c.Customer)
			if err != nil {
				return err
			}
			customer = found.ID
		}
		rows, err := view.Redemptions(punchcard.RedemptionStatus(c.Status), customer, c.Before, c.Limit)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tREWARD\tSTATUS\tREASON\tCUSTOMER\tASKED FOR\tENDED")
		for _, r := range rows {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.Reward, r.Status, r.Reason, r.CustomerID, r.CreatedAt.Format(time.DateTime), timeOrDash(r.EndedAt))
		}
		return w.Flush()
	})
}

// redemptionFlags name a redemption.
type redemptionFlags struct {
	toolDatabase

	ID string `arg:"" help:"The redemption's id, as redemptions list shows it: rdm_…"`
}

type redemptionsShowCmd struct{ redemptionFlags }

// Run shows one redemption, and what is held for it.
func (c redemptionsShowCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		view := s.View(ctx)
		r, err := view.Redemption(c.ID)
		if err != nil {
			return err
		}
		if r == nil {
			return punchcard.Errorf(punchcard.CodeNotFound, "there is no redemption with that id")
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		line := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
		line("redemption", r.ID)
		line("customer", r.CustomerID)
		line("reward", r.Reward)
		line("status", r.Status)
		if r.Reason != "" {
			line("reason", r.Reason)
		}
		line("asked for", r.CreatedAt.Format(time.DateTime))
		line("ended", timeOrDash(r.EndedAt))
		if r.RunID != "" {
			line("run", r.RunID)
		}
		if r.GrantID == "" {
			return w.Flush()
		}
		g, err := view.Grant(r.GrantID)
		if err != nil {
			return err
		}
		line("grant", r.GrantID)
		if g != nil {
			line("code", g.Code)
			line("points", g.Cost)
			line("value", fmt.Sprintf("%v, %v left", g.Value, g.Left().Float()))
			line("expires", timeOrDash(g.ExpiresAt))
		}
		return w.Flush()
	})
}

type redemptionsCancelCmd struct{ redemptionFlags }

// Run cancels a redemption.
func (c redemptionsCancelCmd) Run(ctx context.Context) error {
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
		r, err := d.CancelRedemption(ctx, c.ID)
		if err == nil {
			fmt.Printf("%s  %s  %s: %s\n", r.ID, r.Reward, r.Status, r.Reason)
		}
		return err
	})
}

func timeOrDash(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(time.DateTime)
}
