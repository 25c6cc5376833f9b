package rules_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/rules"
)

// What a customer's account says is read for an expression that names what it is part of, and for no other.
func TestAccountIsReadWhereItIsNamed(t *testing.T) {
	t.Parallel()
	for source, reads := range map[string]bool{
		"points.balance == 120":          true,
		`customer.tier == "gold"`:        true,
		"segment.rich":                   true,
		`program.currency == "EUR"`:      false,
		`consent("offers") == "granted"`: false,
		`times("order.placed") == 1`:     false,
	} {
		p, found := rules.LoadFiles(map[string]string{
			"program.yaml":       minimal + "topics: {offers: Offers}\nevents: {order.placed: {order_id: string}}\n",
			"segments.yaml":      "segments:\n  rich: {where: points.balance > 100}\n",
			"journeys/test.yaml": "journey: test\ntopic: offers\nenter: [{on: order.placed, where: '" + source + "'}]\nsteps: [{say: hi}]\n",
		})
		require.Empty(t, found.Errors(), "%v", found)
		asked := 0
		e := env(p)
		e.Customer.Tier, e.Points = "", rules.PointsFacts{}
		e.Times = func(string, time.Duration) (int, error) { return 1, nil }
		e.Account = func() (string, rules.PointsFacts, error) {
			asked++
			return "gold", rules.PointsFacts{Balance: 120}, nil
		}
		where := p.Journeys["test"].Enter[0].Where
		ok, err := where.Bool(e)
		require.NoError(t, err, source)
		require.True(t, ok, source)
		require.Equal(t, reads, asked > 0, source)

		gone := errors.New("the database is gone")
		e.Account = func() (string, rules.PointsFacts, error) { return "", rules.PointsFacts{}, gone }
		if _, err = where.Bool(e); reads {
			require.ErrorIs(t, err, gone, source)
		} else {
			require.NoError(t, err, source)
		}
	}
}
