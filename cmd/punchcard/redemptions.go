package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"punchcard"
	"punchcard/api"
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
			customer, err := customerNamed(ctx, s, c.Customer)
			if err != nil {
				return err
			}
			use.Customer = customer.ID
		}
		use.Request = onceKey("", c.Once)
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

// onceKey is what a request is kept by that is done once for a key: it holds nothing of it. what tells kinds of request apart that are
// kept in one place.
func onceKey(what, key string) string {
	if key == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(what + key))
	return commandCaller + "/" + hex.EncodeToString(sum[:])
}

type redemptionsCmd struct {
	Lookup  redemptionsLookupCmd  `cmd:"" help:"Look at a code, as a till does: what it is, and whether it can be used now."`
	Usable  redemptionsUsableCmd  `cmd:"" help:"List what a customer at the till can use, what expires soonest first."`
	Request redemptionsRequestCmd `cmd:"" help:"Ask for a reward with a customer's points; the program's journey decides."`
	List    redemptionsListCmd    `cmd:"" help:"List redemptions, newest first."`
	Show    redemptionsShowCmd    `cmd:"" help:"Show what became of one."`
	Cancel  redemptionsCancelCmd  `cmd:"" help:"Give one up: its run ends, its points are the customer's again, its code is void."`
	Reverse redemptionsReverseCmd `cmd:"" help:"Take a use back: what it used can be used again."`
}

type redemptionsLookupCmd struct {
	sealedDatabase
	jsonFlag

	Code     string `arg:"" help:"As the customer shows it; case, spaces and hyphens do not matter."`
	Device   string `help:"The till's own name for itself: unknown codes are counted for each."`
	Customer string `help:"Who shows it, if that is known (cus_…, a phone number with its plus, or external:ID): another's code is refused."`
}

// Run looks the code up.
func (c redemptionsLookupCmd) Run(ctx context.Context) error {
	return c.withStore(ctx, func(s *store.Store) error {
		customer, err := idNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		found, err := newToolDispatch(s).LookUp(ctx, dispatch.Till{Caller: commandCaller, Device: c.Device, Customer: customer}, c.Code)
		if err != nil {
			return err
		}
		v, err := api.ViewFound(s.View(ctx), found)
		if err != nil {
			return err
		}
		usable := "yes"
		if !v.Usable {
			usable = "no (" + v.Reason + "): " + v.Detail
		}
		return sayOne(c.JSON, v, []field{
			{"code", v.Code}, {"usable", usable}, {"reward", v.Reward}, {"title", v.Title}, {"grant", v.GrantID}, {"status", v.Status},
			{"value", valueLeft(v.Value, v.Left)}, {"expires", timeOrDash(v.ExpiresAt)}, {"customer", v.CustomerID + "  " + v.Customer},
		})
	})
}

// valueLeft says what a reward is worth, and what of it is not used.
func valueLeft(value, left float64) string { return fmt.Sprintf("%v, %v left", value, left) }

type redemptionsUsableCmd struct {
	toolDatabase
	jsonFlag

	Customer string `arg:"" help:"${customer}"`
	Device   string `help:"The till's own name for itself: it may have a limit of its own."`
}

// Run lists what the customer can use.
func (c redemptionsUsableCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		customer, err := customerNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		found, err := newToolDispatch(s).Usable(ctx, customer.ID, c.Device)
		if err != nil {
			return err
		}
		rows := make([]api.FoundReward, len(found))
		for i := range found {
			if rows[i], err = api.ViewFound(s.View(ctx), &found[i]); err != nil {
				return err
			}
		}
		return sayList(c.JSON, rows, "GRANT\tREWARD\tTITLE\tCODE\tSTATUS\tLEFT\tEXPIRES\tAT THE TILL", func(v api.FoundReward) []any {
			usable := "usable"
			if !v.Usable {
				usable = v.Reason
			}
			return []any{v.GrantID, v.Reward, v.Title, v.Code, v.Status, v.Left, timeOrDash(v.ExpiresAt), usable}
		})
	})
}

type redemptionsRequestCmd struct {
	toolDatabase

	Customer string `arg:"" help:"${customer}"`
	Reward   string `arg:"" help:"Its name in the catalog."`
	Once     string `placeholder:"KEY" help:"Do it once for this key, however often the command is given."`
}

// Run stores the wish.
func (c redemptionsRequestCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		customer, err := customerNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		key := onceKey("", c.Once)
		before, err := s.View(ctx).RedemptionOfRequest(key)
		if err != nil {
			return err
		}
		if before != nil && (before.CustomerID != customer.ID || before.Reward != c.Reward) {
			return fmt.Errorf("nothing was done: the key of --once has asked for another before (%s); give each wish a key of its own", before.ID)
		}
		r, err := newToolDispatch(s).RequestRedemption(ctx, customer.ID, c.Reward, key)
		if err != nil {
			return err
		}
		if before != nil {
			fmt.Print("That was done before. ")
		}
		fmt.Printf("%s  %s  %s\n", r.ID, r.Reward, r.Status)
		return nil
	})
}

type redemptionsListCmd struct {
	toolDatabase
	pageFlags

	Status   string `enum:",requested,held,refused,captured,released" default:"" help:"Of this status only: requested, held, refused, captured, released."`
	Customer string `help:"Only this customer's: cus_…, a phone number with its plus, or external:ID."`
}

// Run lists redemptions.
func (c redemptionsListCmd) Run(ctx context.Context) error {
	if err := c.check(punchcard.PrefixRedemption); err != nil {
		return err
	}
	return withStore(ctx, c.Database, func(s *store.Store) error {
		customer, err := idNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		view := s.View(ctx)
		found, err := view.Redemptions(punchcard.RedemptionStatus(c.Status), customer, c.Before, c.Limit)
		if err != nil {
			return err
		}
		rows := make([]api.RedemptionView, len(found))
		for i := range found {
			if rows[i], err = api.ViewRedemption(view, &found[i]); err != nil {
				return err
			}
		}
		return sayList(c.JSON, rows, "ID\tREWARD\tSTATUS\tREASON\tCUSTOMER\tASKED FOR\tENDED", func(r api.RedemptionView) []any {
			return []any{r.ID, r.Reward, r.Status, r.Reason, r.CustomerID, r.CreatedAt.Format(time.DateTime), timeOrDash(r.EndedAt)}
		})
	})
}

// redemptionFlags name a redemption.
type redemptionFlags struct {
	toolDatabase

	ID string `arg:"" help:"The redemption's id, as redemptions list shows it: rdm_…"`
}

type redemptionsShowCmd struct {
	redemptionFlags
	jsonFlag
}

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
		v, err := api.ViewRedemption(view, r)
		if err != nil {
			return err
		}
		fields := []field{
			{"redemption", v.ID}, {"customer", v.CustomerID}, {"reward", v.Reward}, {"status", v.Status}, {"reason", v.Reason},
			{"asked for", v.CreatedAt.Format(time.DateTime)}, {"ended", timeOrDash(v.EndedAt)}, {"run", v.RunID}, {"grant", v.GrantID},
		}
		if v.GrantID != "" {
			fields = append(fields, field{"code", v.Code}, field{"points", v.Cost}, field{"value", valueLeft(v.Value, v.Left)}, field{"expires", timeOrDash(v.ExpiresAt)})
		}
		return sayOne(c.JSON, v, fields)
	})
}

type redemptionsReverseCmd struct {
	toolDatabase

	Capture string `arg:"" help:"The capture's id, as capture and grants show tell it: cap_…"`
	By      string `required:"" help:"Who takes it back."`
	Reason  string `required:"" help:"Why."`
}

// Run takes a use back.
func (c redemptionsReverseCmd) Run(ctx context.Context) error {
	return c.withDispatch(ctx, func(d *dispatch.Dispatcher) error {
		back, err := d.ReverseCapture(ctx, c.Capture, c.By, c.Reason, "")
		if err == nil {
			fmt.Printf("%s  %s  %s  %v used, %v left\n", back.Capture.ID, back.Grant.Reward, back.Grant.Code, back.Grant.Used.Float(), back.Grant.Left().Float())
		}
		return err
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
