package main

import (
	"context"
	"fmt"
	"time"

	"punchcard"
	"punchcard/api"
	"punchcard/internal/store"
)

type referralsCmd struct {
	List referralsListCmd `cmd:"" help:"List referrals, newest first."`
	Show referralsShowCmd `cmd:"" help:"Show a customer's code and link, who brought them, and how their friends stand."`
}

type referralsListCmd struct {
	toolDatabase
	pageFlags

	Status   string `enum:",attributed,completed,reversed,refused" default:"" help:"Of this status only: attributed, completed, reversed, refused."`
	Customer string `help:"Only this customer's, whom they brought and who brought them: cus_…, a phone number with its plus, or external:ID."`
}

// Run lists referrals.
func (c referralsListCmd) Run(ctx context.Context) error {
	if err := c.check(punchcard.PrefixReferral); err != nil {
		return err
	}
	return withStore(ctx, c.Database, func(s *store.Store) error {
		customer, err := idNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		found, err := s.View(ctx).Referrals(punchcard.ReferralStatus(c.Status), customer, c.Before, c.Limit)
		if err != nil {
			return err
		}
		rows := make([]api.ReferralItem, len(found))
		for i, r := range found {
			rows[i] = api.ViewReferral(r)
		}
		return sayList(c.JSON, rows, "ID\tCAME\tSTATUS\tREASON\tFRIEND\tREFERRER\tSOURCE\tCOUNTED\tENDED", func(r api.ReferralItem) []any {
			referrer := "-"
			if r.ReferrerID != nil {
				referrer = *r.ReferrerID
			}
			return []any{r.ID, r.At.Format(time.DateTime), r.Status, dash(r.Reason), r.FriendID, referrer, r.Source, timeOrDash(r.CompletedAt), timeOrDash(r.EndedAt)}
		})
	})
}

type referralsShowCmd struct {
	toolDatabase
	jsonFlag

	Customer string `arg:"" help:"${customer}"`
}

// Run shows a customer's part in referrals.
func (c referralsShowCmd) Run(ctx context.Context) error {
	return withStore(ctx, c.Database, func(s *store.Store) error {
		customer, err := customerNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		own, err := newToolDispatch(s).OwnReferral(ctx, customer.ID)
		if err != nil {
			return err
		}
		v := api.ViewOwnReferral(own)
		by := "nobody"
		if v.By != nil && v.By.ReferrerID != nil {
			by = fmt.Sprintf("%s (%s, %s)", *v.By.ReferrerID, v.By.ID, v.By.Status)
		}
		f := v.Friends
		return sayOne(c.JSON, v, []field{
			{"customer", customer.ID}, {"code", v.Code}, {"link", v.Link}, {"brought by", by},
			{"friends", fmt.Sprintf("%d came, %d count, %d reversed, %d refused", f.Attributed, f.Completed, f.Reversed, f.Refused)},
		})
	})
}
