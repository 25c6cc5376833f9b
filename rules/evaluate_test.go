package rules_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/rules"
)

// evaluated compiles one step and evaluates what it hands over.
func evaluated(t *testing.T, step string, change func(*rules.Env)) (map[string]any, error) {
	t.Helper()
	p, found := rules.LoadFiles(map[string]string{
		"program.yaml": minimal + `topics: {offers: Offers}
attributes: {name: string, vip: bool, visits: integer, rate: number, renews_on: date, seen_at: time, tags: [string], parts: [{name: string, on: date?}]}
events: {order.placed: {id: string, total: money, at: time, on: date, tags: [string], parts: [{name: string, on: date?, more: string?}]}}
`,
		"journeys/j.yaml": "journey: j\ntopic: offers\nenter: [{on: order.placed}]\nsteps:\n  - " + step + "\n    if: customer.vip\n",
	})
	require.Empty(t, found.Errors(), "%v", found)
	e := &rules.Env{
		Program: p, Now: time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC), Zone: zone(t, "Europe/Copenhagen"),
		Customer: rules.CustomerFacts{ID: "cus_1", Attributes: map[string]any{"visits": 4}},
		Entry: p.Journeys["j"].Entry().Decode(map[string]any{
			"id": "o-1", "total": 40.5, "at": "2026-11-22T23:15:00Z", "on": "2026-12-01", "tags": []any{"a", "b"},
			"parts": []any{map[string]any{"name": "x", "on": "2026-12-02", "more": "dropped"}},
		}),
	}
	if change != nil {
		change(e)
	}
	return p.Journeys["j"].Steps["1"].Evaluate(e)
}

func TestStep_Evaluate(t *testing.T) {
	t.Parallel()
	for step, want := range map[string]map[string]any{
		`set: {name: "Order {{ entry.id }}"}`:                   {"name": "Order o-1"},
		`set: {name: "{{ entry.id }}"}`:                         {"name": "o-1"},
		`set: {name: plain}`:                                    {"name": "plain"},
		`set: {vip: true, visits: 3, rate: 0.5}`:                {"vip": true, "visits": int64(3), "rate": 0.5},
		`set: {visits: "{{ customer.visits + 1 }}"}`:            {"visits": int64(5)},
		`set: {rate: "{{ entry.total / 2 }}"}`:                  {"rate": 20.25},
		`set: {renews_on: "{{ entry.on + days(30) }}"}`:         {"renews_on": "2026-12-31"},
		`set: {renews_on: "{{ now }}"}`:                         {"renews_on": "2026-11-23"}, // the customer's day
		`set: {renews_on: "{{ entry.at }}"}`:                    {"renews_on": "2026-11-23"},
		`set: {renews_on: 2027-01-01}`:                          {"renews_on": "2027-01-01"},
		`set: {seen_at: "{{ now }}"}`:                           {"seen_at": "2026-11-22T23:30:00Z"},
		`set: {seen_at: "2026-11-22T10:00:00+01:00"}`:           {"seen_at": "2026-11-22T09:00:00Z"},
		`set: {tags: "{{ entry.tags }}"}`:                       {"tags": []any{"a", "b"}},
		`set: {tags: [x, y]}`:                                   {"tags": []any{"x", "y"}},
		`set: {parts: "{{ entry.parts }}"}`:                     {"parts": []any{map[string]any{"name": "x", "on": "2026-12-02"}}},
		`set: {parts: [{name: x, on: 2026-12-03}]}`:             {"parts": []any{map[string]any{"name": "x", "on": "2026-12-03"}}},
		`set: {name: "{{ customer.name }}"}`:                    {"name": nil}, // what is absent is forgotten
		`set: {name: "{{ default(customer.name, \"none\") }}"}`: {"name": "none"},
	} {
		got, err := evaluated(t, step, nil)
		require.NoError(t, err, step)
		require.Equal(t, want, got, step)
	}
	_, err := evaluated(t, `set: {name: "Order {{ customer.name }}"}`, nil)
	require.ErrorIs(t, err, rules.ErrEmpty)
	_, err = evaluated(t, `set: {name: "{{ entry.parts[7].name }}"}`, nil)
	var failed *rules.EvalError
	require.ErrorAs(t, err, &failed)
	_, err = evaluated(t, `set: {rate: "{{ 1 / (customer.visits - 4) }}"}`, nil)
	require.ErrorAs(t, err, &failed)
}

func TestSegments(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"program.yaml": minimal + "topics: {offers: Offers}\nattributes: {renews_on: date}\nevents: {order.placed: {total: money}}\n",
		"segments.yaml": `segments:
  lapsed: {where: 'times("order.placed", "60d") == 0'}
  gold: {where: customer.tier == "gold" and not segment.lapsed}
  broken: {where: latest("order.placed").total > 3}
  leaving: {where: customer.renews_on < now + days(7)}
`,
		"journeys/j.yaml": `journey: j
topic: offers
enter:
  - {on: order.placed, where: segment.gold}
  - {on: order.placed, where: 'customer.tier == "none" and segment.lapsed'}
  - {on: order.placed, where: not segment.broken}
  - {on: order.placed, where: segment.gold and segment.lapsed or segment.gold}
  - {on: order.placed, where: segment.leaving}
steps: [{say: "{{ segment.gold ? \"Gold\" : \"Welcome\" }} you"}]
`,
	}
	p, found := rules.LoadFiles(files)
	require.Empty(t, found.Errors(), "%v", found)
	asked := 0
	e := &rules.Env{
		Program: p, Customer: rules.CustomerFacts{Tier: "gold"},
		Times:  func(string, time.Duration) (int, error) { asked++; return 1, nil },
		Latest: func(string) (map[string]any, error) { return nil, nil },
	}
	enters := p.Journeys["j"].Enter
	holds, err := enters[0].Where.Bool(e)
	require.NoError(t, err)
	require.True(t, holds)
	require.Equal(t, 1, asked)

	// A segment is asked only when it matters, and once.
	holds, err = enters[1].Where.Bool(e)
	require.NoError(t, err)
	require.False(t, holds)
	require.Equal(t, 1, asked)
	_, err = enters[3].Where.Bool(e)
	require.NoError(t, err)
	require.Equal(t, 2, asked)

	// One that fails makes what asks for it fail, and says where: it is not simply false.
	_, err = enters[2].Where.Bool(e)
	require.EqualError(t, err, "segments.yaml:4:19: a value is missing")
	var failed *rules.EvalError
	require.ErrorAs(t, err, &failed)
	require.NoError(t, failed.Unwrap())

	text, err := p.Journeys["j"].Steps["1"].Say.Render("en", e)
	require.NoError(t, err)
	require.Equal(t, "Gold you", text)

	// The database's trouble is no failure of the segment's.
	e.Times = func(string, time.Duration) (int, error) { return 0, errDown }
	_, err = enters[0].Where.Bool(e)
	require.ErrorIs(t, err, errDown)
	_, err = enters[0].Where.Bool(&rules.Env{})
	require.Error(t, err)
	require.NotErrorIs(t, err, errDown)
}

func TestCalendar(t *testing.T) {
	t.Parallel()
	p, found := rules.LoadFiles(map[string]string{
		"program.yaml": minimal + "topics: {offers: Offers}\nattributes: {born: date}\nevents: {order.placed: {}}\n",
		"journeys/j.yaml": `journey: j
topic: offers
enter:
  - {every: day, at: "10:00", where: 'anniversary(customer.born, event.date)'}
  - {every: day, at: "10:00", where: 'years(customer.born, event.date) == 26 and weekday(event.date) == "sunday"'}
steps: [{say: Hi}]
`,
	})
	require.Empty(t, found.Errors(), "%v", found)
	date := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		require.NoError(t, err)
		return d
	}
	holds := func(i int, born any, on string) bool {
		e := &rules.Env{Program: p, Event: map[string]any{"date": date(on)}, Customer: rules.CustomerFacts{Attributes: map[string]any{"born": born}}}
		got, err := p.Journeys["j"].Enter[i].Where.Bool(e)
		require.NoError(t, err)
		return got
	}
	require.True(t, holds(0, date("2000-11-22"), "2026-11-22"))
	require.False(t, holds(0, date("2000-11-22"), "2026-11-23"))
	require.False(t, holds(0, date("2026-11-22"), "2026-11-22"), "the day itself is no anniversary")
	require.True(t, holds(0, date("2000-02-29"), "2027-02-28"))
	require.False(t, holds(0, date("2000-02-29"), "2028-02-28"))
	require.True(t, holds(0, date("2000-02-29"), "2028-02-29"))
	require.False(t, holds(0, nil, "2026-11-22"))
	require.True(t, holds(1, date("2000-11-22"), "2026-11-22"))
	require.False(t, holds(1, date("2000-11-23"), "2026-11-22"))
	require.False(t, holds(1, nil, "2026-11-22"))
}

// TestExpr_Bool_bounded evaluates the dearest expressions that pass over the largest values there are: the sizes of sources, trees,
// lists and texts bound the time, since the library itself does not.
func TestExpr_Bool_bounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 4096)
	items := make([]any, 200)
	for i := range items {
		items[i] = map[string]any{"name": long, "price": float64(i)}
	}
	for _, source := range []string{
		`count(event.items, ` + strings.TrimSuffix(strings.Repeat(`.name contains "xy" or `, 8), " or ") + `) == 0`,
		`count(event.items, .name matches "^(x+x+)+y$") == 0`,
		`count(event.items, .name matches "(x|xx|xxx|xxxx)*y") == 0`,
		`len(join(map(filter(event.items, .price >= 0), upper(.name) + lower(.name)), ",")) > 0`,
		`all(map(filter(map(filter(event.items, .price >= 0), .name), len(#) > 3), # + #), len(#) > 8000)`,
		`len(` + strings.TrimSuffix(strings.Repeat(`join(map(event.items, .name), "") + `, 9), " + ") + `) > 0`,
		`count(event.items, .name matches "x{0,20}x{0,20}y") == 0`,
	} {
		p, e := compile(t, source)
		scene := env(p)
		scene.Event["items"] = items
		started := time.Now()
		_, err := e.Bool(scene)
		took := time.Since(started)
		var failed *rules.EvalError
		require.True(t, err == nil || errors.As(err, &failed), "%v", err)
		require.Less(t, took, 5*time.Second, source)
		t.Logf("%v %v: %s", took, err, source)
	}
}
