package main

import (
	"context"
	"time"

	"punchcard"
	"punchcard/api"
	"punchcard/internal/store"
)

type refusalsCmd struct {
	toolDatabase
	pageFlags

	Reason   string `help:"Only those with this reason: unknown_code, velocity_device, …"`
	Customer string `help:"Only this customer's: cus_…, a phone number with its plus, or external:ID."`
}

// Run lists refusals.
func (c refusalsCmd) Run(ctx context.Context) error {
	if err := c.check(punchcard.PrefixRefusal); err != nil {
		return err
	}
	return withStore(ctx, c.Database, func(s *store.Store) error {
		customer, err := idNamed(ctx, s, c.Customer)
		if err != nil {
			return err
		}
		found, err := s.View(ctx).Refusals(c.Reason, customer, c.Before, c.Limit)
		if err != nil {
			return err
		}
		rows := make([]api.RefusalItem, len(found))
		for i, r := range found {
			rows[i] = api.ViewRefusal(r)
		}
		return sayList(c.JSON, rows, "ID\tAT\tWHAT\tREASON\tREWARD\tCUSTOMER\tGRANT\tKEY\tDEVICE", func(r api.RefusalItem) []any {
			return []any{r.ID, r.At.Format(time.DateTime), r.Action, r.Reason, dash(r.Reward), dash(r.CustomerID), dash(r.GrantID), dash(r.Key), dash(r.Device)}
		})
	})
}

// dash stands where a column has nothing.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
