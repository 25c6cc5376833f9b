package main

import (
	"context"
	"fmt"
	"time"

	"punchcard"
	"punchcard/api"
	"punchcard/internal/store"
)

type grantsCmd struct {
	List   grantsListCmd   `cmd:"" help:"List a customer's rewards, newest first."`
	Show   grantsShowCmd   `cmd:"" help:"Show one, its uses, and who has read its code."`
	Reveal grantsRevealCmd `cmd:"" help:"Read one's whole code; who and why is recorded."`
}

type grantsListCmd struct {
	toolDatabase
	pageFlags

	Customer string `arg:"" help:"${customer}"`
}

// Run lists grants.
func (c grantsListCmd) Run(ctx context.Context) error {
	if err := c.check(punchcard.PrefixGrant); err != nil {
		return err
	}
	return withStore(ctx, c.Database, func(s *store.Store) error {
		customer, err := customerNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		found, err := s.View(ctx).Grants(customer.ID, c.Before, c.Limit)
		if err != nil {
			return err
		}
		rows := make([]api.GrantView, len(found))
		for i, g := range found {
			rows[i] = api.ViewGrant(g)
		}
		return sayList(c.JSON, rows, "ID\tREWARD\tSTATUS\tCODE\tCOST\tVALUE\tLEFT\tGIVEN\tEXPIRES\tENDED", func(g api.GrantView) []any {
			return []any{g.ID, g.Reward, g.Status, g.Code, g.Cost, g.Value, g.Left, g.CreatedAt.Format(time.DateTime), timeOrDash(g.ExpiresAt), timeOrDash(g.EndedAt)}
		})
	})
}

// grantID names a grant.
type grantID struct {
	ID string `arg:"" help:"The grant's id, as grants list shows it: grt_…"`
}

type grantsShowCmd struct {
	toolDatabase
	grantID
	jsonFlag
}

// Run shows a grant.
func (c grantsShowCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		view := s.View(ctx)
		g, err := view.Grant(c.ID)
		if err != nil {
			return err
		}
		if g == nil {
			return punchcard.Errorf(punchcard.CodeNotFound, "there is no grant with that id")
		}
		v, err := api.TellGrant(view, *g)
		if err != nil {
			return err
		}
		ended := timeOrDash(v.EndedAt)
		if v.Ended != "" {
			ended += ": " + v.Ended
		}
		fields := []field{
			{"grant", v.ID}, {"customer", v.CustomerID}, {"reward", v.Reward}, {"status", v.Status}, {"code", v.Code}, {"captured by", v.CapturedBy},
			{"points", v.Cost}, {"value", valueLeft(v.Value, v.Left)}, {"given", v.CreatedAt.Format(time.DateTime)}, {"expires", timeOrDash(v.ExpiresAt)},
			{"ended", ended}, {"run", v.RunID}, {"redemption", v.RedemptionID}, {"by", v.By}, {"reason", v.Reason},
		}
		for _, u := range v.Captures {
			what := fmt.Sprintf("%s: %v by %s, %v left", u.ID, u.Amount, u.What, u.Left)
			if u.Reverses != nil {
				what = fmt.Sprintf("%s: %s is taken back by %s: %s", u.ID, *u.Reverses, u.By, u.Reason)
			}
			fields = append(fields, field{u.At.Format(time.DateTime), what})
		}
		for _, r := range v.Revealed {
			fields = append(fields, field{r.At.Format(time.DateTime), fmt.Sprintf("its code was read by %s: %s", r.By, r.Reason)})
		}
		return sayOne(c.JSON, v, fields)
	})
}

type grantsRevealCmd struct {
	sealedDatabase
	grantID

	By     string `required:"" help:"Who reads it."`
	Reason string `required:"" help:"Why."`
}

// Run shows a whole code.
func (c grantsRevealCmd) Run(ctx context.Context) error {
	return c.withStore(ctx, func(s *store.Store) error {
		code, err := newToolDispatch(s).RevealCode(ctx, c.ID, c.By, c.Reason)
		if err == nil {
			fmt.Println(code)
		}
		return err
	})
}
