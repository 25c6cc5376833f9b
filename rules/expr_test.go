package rules_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/programs"
	"punchcard/rules"
)

// compile makes an expression by way of a program that has it as a journey's where.
func compile(t testing.TB, source string) (*rules.Program, *rules.Expr) {
	t.Helper()
	p, found := withWhere(t, source)
	require.Empty(t, found.Errors(), "%v", found)
	return p, p.Journeys["test"].Enter[0].Where
}

func withWhere(t testing.TB, source string) (*rules.Program, rules.Diagnostics) {
	t.Helper()
	quoted := "'" + strings.ReplaceAll(source, "'", "''") + "'"
	return rules.LoadFiles(map[string]string{
		"program.yaml": minimal + `topics: {offers: Offers}
attributes: {first_name: string, vip: bool, birthday: date}
events:
  order.placed: {order_id: string, cart_id: string?, total: money, items: [{name: string, price: money}], at: time?}
`,
		"journeys/test.yaml": "journey: test\ntopic: offers\nenter:\n  - on: order.placed\n    where: " + quoted + "\nsteps: [{say: hi}]\n",
	})
}

var errDown = errors.New("the database is down: postgres://secret")

func env(p *rules.Program) *rules.Env {
	return &rules.Env{
		Program: p, Now: time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC), Zone: time.FixedZone("CET", 3600),
		Customer: rules.CustomerFacts{
			ID: "cus_1", Tier: "gold", Labels: []string{"a", "b"}, AgeDays: 5, Attributes: map[string]any{"first_name": "Ada"},
		},
		Points:  rules.PointsFacts{Balance: 120},
		Consent: func(string) (string, error) { return "granted", nil },
		Times: func(event string, window time.Duration) (int, error) {
			return int(window / (24 * time.Hour)), nil
		},
		Total:  func(string, string, time.Duration) (float64, error) { return 0, errDown },
		Latest: func(string) (map[string]any, error) { return nil, nil },
		Event: map[string]any{
			"order_id": "secret-id", "cart_id": nil, "total": 40.5,
			"items": []any{map[string]any{"name": "cup", "price": 3.0}, map[string]any{"name": "tin", "price": 9.0}}, "at": nil,
		},
	}
}

func TestExpr_Bool(t *testing.T) {
	t.Parallel()
	tests := []struct {
		source string
		want   bool
		err    string // the kind
	}{
		{source: `event.total >= 20 and customer.tier == "gold"`, want: true},
		{source: `"a" in customer.labels and len(customer.labels) == 2`, want: true},
		{source: `customer.age_days < 7 and points.balance == 120`, want: true},
		{source: `times("order.placed") == 0 and times("order.placed", "30d") == 30`, want: true},
		{source: `consent("offers") == "granted"`, want: true},
		{source: `event.cart_id == nil and customer.vip == nil`, want: true},
		{source: `default(event.cart_id, "none") == "none"`, want: true},
		{source: `default(customer.vip, false)`, want: false},
		{source: `(customer.first_name | default("there")) == "Ada"`, want: true},
		{source: `first(event.items).price == 3 and first(event.items, {"name": "x"}).name == "cup"`, want: true},
		{source: `last(event.items).price == 9`, want: true},
		{source: `sum(event.items, .price) == 12 and count(event.items, .price > 5) == 1`, want: true},
		{source: `all(event.items, .price > 1) and join(map(event.items, .name), ", ") == "cup, tin"`, want: true},
		{source: `max(1, event.total) == 40.5 and floor(event.total) == 40 and round(1.5) == 2`, want: true},
		{source: `now - days(1) < now and now > now - days(0.5)`, want: true},
		{source: `latest("order.placed") == nil`, want: true},
		{source: `(latest("order.placed")?.total ?? 0) == 0`, want: true},
		{source: `customer.first_name matches "^A.a$" and upper(customer.first_name) == "ADA"`, want: true},
		{source: `string(points.balance) == "120" and int("5") == 5`, want: true},
		{source: `customer.tier == "gold" ? event.total > 1 : false`, want: true},
		{source: `program.business == "Minimal" and program.currency == "EUR"`, want: true},
		{source: `event.items[0].name contains "u" and event.order_id startsWith "secret"`, want: true},

		{source: `customer.vip`, want: false}, // what is absent is not true
		{source: `not customer.vip or customer.vip and true`, want: true},
		{source: `latest("order.placed").total > 3`, err: "a value is missing"},
		{source: `event.items[7].price > 3`, err: "the list is too short"},
		{source: `int(event.order_id) > 3`, err: "the values do not fit together"},
		{source: `total("order.placed", "total", "30d") > 3`, err: "a lookup failed"},
	}
	for _, test := range tests {
		t.Run(test.source, func(t *testing.T) {
			t.Parallel()
			p, e := compile(t, test.source)
			require.Equal(t, test.source, e.Source())
			got, err := e.Bool(env(p))
			if test.err != "" {
				require.EqualError(t, err, "journeys/test.yaml:5:13: "+test.err)
				require.NotContains(t, err.Error(), "secret")
				require.Equal(t, test.err == "a lookup failed", errors.Is(err, errDown))
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

// TestExpr_Bool_nothing evaluates over an Env that has nothing at all.
func TestExpr_Bool_nothing(t *testing.T) {
	t.Parallel()
	var none *rules.Expr
	holds, err := none.Bool(nil)
	require.NoError(t, err)
	require.True(t, holds)
	require.Empty(t, none.Source())
	for _, source := range []string{
		`event.total > 1`, `times("order.placed") > 1`, `latest("order.placed").total > 1`, `first(event.items).price > 1`,
	} {
		_, e := compile(t, source)
		for _, env := range []*rules.Env{nil, {}} {
			_, err := e.Bool(env)
			require.Error(t, err, source)
		}
	}
}

func TestExpr_Number(t *testing.T) {
	t.Parallel()
	p, found := rules.Load(programs.Coffee())
	require.Empty(t, found.Errors())
	points := p.Earn[0].Points
	for tier, want := range map[string]float64{"gold": 80, "silver": 40} {
		e := env(p)
		e.Customer.Tier = tier
		got, err := points.Number(e)
		require.NoError(t, err)
		require.InDelta(t, want, got, 0)
	}
	_, err := points.Number(&rules.Env{Program: p})
	require.Error(t, err)

	p, found = rules.LoadFiles(map[string]string{"program.yaml": minimal + `
events: {order.placed: {total: money}}
points: {earn: [{on: order.placed, points: 100 / event.total}]}
milestones: [{name: spent, of: 'total("order.placed", "total", "90d") + times("order.placed")', at: 3}]
`})
	require.Empty(t, found.Errors())
	require.Equal(t, map[string][]string{"order.placed": {"total"}}, p.Totals)
	_, err = p.Earn[0].Points.Number(&rules.Env{Program: p, Event: map[string]any{"total": 0.0}})
	require.ErrorContains(t, err, "the number is not finite")
}

func TestExpr_String(t *testing.T) {
	t.Parallel()
	p, found := rules.Load(programs.Coffee())
	require.Empty(t, found.Errors())
	key := p.Journeys["milestone"].Enter[0].Key
	got, err := key.String(&rules.Env{Program: p, Event: map[string]any{"milestone": "fifth-coffee", "nth": 3}})
	require.NoError(t, err)
	require.Equal(t, "fifth-coffee-3", got)
	_, err = key.String(&rules.Env{Program: p})
	require.Error(t, err)
}

// TestExpr_bounded refuses what would cost the machine more than an expression may.
func TestExpr_bounded(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"a million brackets": strings.Repeat("(", 1e6),
		"many brackets":      strings.Repeat("(", 25) + "1" + strings.Repeat(")", 25) + " > 0",
		"long":               "event.total > 1" + strings.Repeat(" ", 2048),
		"many nodes":         "1" + strings.Repeat("+1", 300) + " > 0",
		"nots":               strings.Repeat("!", 2000) + "true",
		"reduce":             `len(reduce(event.items, #acc + #acc, "a")) > 1`,
		"nested":             `all(event.items, all(event.items, all(event.items, true)))`,
		"a map in a map":     `len(map(event.items, map(event.items, 1))) > 1`,
		"range":              `len(1..1000000) > 1`,
		"repeat":             `repeat("a", 1000000) == ""`,
		"replace":            `replace(event.order_id, "", event.order_id) == ""`,
		"join in a map":      `len(map(event.items, join(customer.labels, event.order_id))) > 0`,
		"env":                `$env["event"] == nil`,
		"env by get":         `get($env, "event") == nil`,
		"control":            "event.total > 1\x01",
		"method":             `now.Unix() > 1`,
		"method in a chain":  `event.at?.Unix() > 1`,
		"method by brackets": `now["Unix"]() > 1`,
		"own now":            `now() > now`,
		"date":               `date("2026-01-01") > now`,
		"regular expression": `event.order_id matches "("`,
		"computed topic":     `consent(event.order_id) == ""`,
		"any":                `find(event.items, true)`,
		"function as value":  `first == nil`,
		"wrong condition":    `filter(event.items, 1) == nil`,
		"pointer":            `# > 1`,
		"assignment":         `event.total = 1`,
		"pipe to nothing":    `event.total |`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, found := withWhere(t, source)
			require.Nil(t, p)
			require.Len(t, found, 1, "%v", found)
			require.Less(t, len(found.Error()), 1000)
		})
	}
}

func FuzzExpr(f *testing.F) {
	for _, source := range []string{
		`event.total >= 20`, `any(event.items, .price > 2)`, `first(event.items, {"name": "x"}).name == "x"`, `((((`, `"\u00e9"`, `1..2`,
		`customer.first_name | default("x") | upper()`, `event?.items?[0]?.name ?? "x"`, `times("order.placed", "1d") > 1`, "`", `a ? b : c`,
		`{"a": {"b": 1}}`, `latest("order.placed").total`, `#`, `not not not true`, `-1e309 < 1`, `if true { true } else { false }`,
	} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if strings.ContainsAny(source, "\n\r") {
			return // it would be another YAML
		}
		p, found := withWhere(t, source)
		if len(found.Errors()) > 0 {
			require.Nil(t, p)
			return
		}
		_, _ = p.Journeys["test"].Enter[0].Where.Bool(env(p)) // it answers: that is all that is promised
		_, _ = p.Journeys["test"].Enter[0].Where.Bool(nil)
	})
}
