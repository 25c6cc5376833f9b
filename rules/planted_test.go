package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/programs"
	"punchcard/rules"
)

// TestLoad_planted plants twenty mistakes in the coffee shop's program.
func TestLoad_planted(t *testing.T) {
	t.Parallel()
	plant(t, []mistake{
		{"program.yaml", "ask_again_after: 90d", "ask_again_after: 90 days", "90 days", `"90 days" is no duration`},
		{"program.yaml", "topics: [offers, reminders, rewards]}\n  - {on: keyword", "topics: [offers, reminder, rewards]}\n  - {on: keyword", "reminder,", `there is no topic "reminder"; did you mean "reminders"?`},
		{"program.yaml", "{category: marketing, at_most: 5", "{categry: marketing, at_most: 5", "categry", `"categry" is not known; did you mean "category"?`},
		{"program.yaml", "no:     [NO, NEJ, NEIN]", "no:     [NO, NEJ, YES]", "YES]", `"YES" stands for yes already`},
		{"program.yaml", "vip: bool", "vip: boolean", "boolean", `there is no type "boolean"`},
		{"program.yaml", `customer.tier == "gold" ? 2 : 1`, `customer.teir == "gold" ? 2 : 1`, "teir", `customer has no attribute "teir"; did you mean "tier"?`},
		{"program.yaml", "gold: 2000", "gold: 400", "400", "each level begins higher than the one before"},
		{"rewards.yaml", "    kind: gift_card\n", "    kind: gift_crad\n", "gift_crad", "the kind is discount_code"},
		{"rewards.yaml", "captured_by: delivery", "captured_by: delivrey", "delivrey", `captured_by is till, tap, delivery or an event, not "delivrey"; did you mean "delivery"?`},
		{"templates.yaml", "    category: marketing\n    body:\n      en: >-\n        Hi {{ customer.first_name | default(\"there\") }}, {{ item }}", "    category: marketing\n    body:\n      en: >-\n        Hi {{ customer.first_name }}, {{ item }}",
			"customer.first_name }}, {{ item", "this can be empty"},
		{"templates.yaml", `      - {reply: no, title: {en: "NO", da: "NEJ"}}
  opt_in_welcome:`, `      - {reply: noo, title: {en: "NO", da: "NEJ"}}
  opt_in_welcome:`, "noo", `there is no keyword "noo"; did you mean "no"?`},
		{"templates.yaml", "footer: {en: Reply STOP to end these messages, da: Svar STOP for at slippe for flere}\n    buttons", "footer: {en: Reply STOP to end these messages}\n    buttons", "{en: Reply STOP to end these messages}", "the text is missing in da, which the body has"},
		{"journeys/abandoned-cart.yaml", "- wait: 23h", "- wait: 23 h", "23 h", `"23 h" is no duration`},
		{"journeys/abandoned-cart.yaml", "restart_on:", "restart_no:", "restart_no", `"restart_no" is not known; did you mean "restart_on"?`},
		{"journeys/abandoned-cart.yaml", "where: event.total >= 20", "where: event.totl >= 20", "totl", `event has no property "totl"; did you mean "total"?`},
		{"journeys/birthday.yaml", "on_refused: [{end: refused}]", "on_refused: [{end: refused}, {end: twice}]", "{end: twice}", "this step is never reached"},
		{"journeys/opt-in.yaml", "  - ask: opt_in_request ", "  - ask: opt_in_reqest ", "opt_in_reqest", `there is no template "opt_in_reqest"; did you mean "opt_in_request"?`},
		{"journeys/redemption.yaml", "- approve:", "- aprove:", "aprove", `"aprove" is not known; did you mean "approve"?`},
		{"journeys/stamp-card.yaml", "topic: rewards", "purpose: marketing", "marketing", "the purpose is consent or service"},
		{"journeys/milestone.yaml", "- otherwise:", "- otherwize:", "otherwize", `"otherwize" is not known; did you mean "otherwise"?`},
	})
}

// TestLoad_plantedRewards plants mistakes in what rewards and the rules against their misuse may say.
func TestLoad_plantedRewards(t *testing.T) {
	t.Parallel()
	plant(t, []mistake{
		{"program.yaml", "{of: redemptions, by: customer,", "{of: redemption, by: customer,", "redemption, by", `of is redemptions or captures, not "redemption"; did you mean "redemptions"?`},
		{"program.yaml", "by: device, at_most: 60", "by: devise, at_most: 60", "devise", `by is customer, device or program, not "devise"`},
		{"program.yaml", "guesses: {at_most: 10, within: 10m}", "guesses: {at_most: 10, within: 10min}", "10min", `"10min" is no duration`},
		{"program.yaml", "{word: FRIEND, on: order.placed", "{word: STOP, on: order.placed", "STOP, on: order.placed", `"STOP" stands for stop already`},
		{"program.yaml", "where: event.total >= 10, timeout", "where: event.totla >= 10, timeout", "totla", `event has no property "totla"`},
		{"program.yaml", "timeout: 60d, at_most: 10, within: 30d}", "tiemout: 60d, at_most: 10, within: 30d}", "tiemout", `"tiemout" is not known; did you mean "timeout"?`},
		{"program.yaml", "points: 200, at_most: 10, within: 30d", "points: 200, at_most: none, within: 30d", "none", "a whole number of at least 1 is expected"},
		{"rewards.yaml", "per_customer: 1,", "per_customer: once,", "once", "a whole number of at least 1 is expected"},
		{"rewards.yaml", "per_customer: {at_most: 2, within: 365d}", "per_customer: {at_most: 2, within: a year}", "a year", `"a year" is no duration`},
		{"rewards.yaml", "budget: {amount: 5000, within: 30d}", "budget: {amount: 4.49, within: 30d}", "{amount: 4.49", "the budget does not reach for one"},
		{"rewards.yaml", "low_stock: 50", "low_stock: few", "few", "a whole number of at least 1 is expected"},
		{"rewards.yaml", "stock: 200", "stock: 0", "0, valid_for: 90d", "a whole number of at least 1 is expected"},
		{"rewards.yaml", "valid_for: 2d, at_most: 1000, within: 30d", "valid_for: 2d, at_most: 1000", "at_most: 1000", "at_most needs within"},
		{"rewards.yaml", "format: TASTE-????-????", "format: TASTE-???", "TASTE-???", "a format has at least 8 question marks"},
		{"rewards.yaml", "{kind: points, title: {en: 100 points, da: 100 point}, points: 100}", "{kind: points, title: {en: 100 points, da: 100 point}, points: 100, partial: true}", "partial: true}\n  tasting", "only a gift_card with a value, captured_by till, is used in parts"},
		{"rewards.yaml", "{kind: content, title:", "{kind: content, min_age: 1d, title:", "min_age", "min_age is for a reward with a cost"},
		{"journeys/redemption.yaml", "on_rejected: [{release: held}", "on_rejected: [{release: hold}", "hold}", `no earlier step binds "hold" by ` + "`as`"},
		{"journeys/opt-in.yaml", "- reward: welcome-10", "- reward: welcome-01", "welcome-01", `there is no reward "welcome-01"`},
	})
}

// mistake is a text for another, where it stands then, and what is said of it.
type mistake struct{ file, from, to, at, message string }

// plant puts mistakes into the coffee shop's program. Each is reported once, where it stands, and nothing else is.
func plant(t *testing.T, mistakes []mistake) {
	t.Helper()
	files := folder(t, programs.Coffee())
	want := map[string]string{}
	for _, m := range mistakes {
		require.Equal(t, 1, strings.Count(files[m.file], m.from), "%s: %s", m.file, m.from)
		files[m.file] = strings.Replace(files[m.file], m.from, m.to, 1)
		want[m.file+"\x00"+m.at] = m.message
	}
	expected := map[string]string{}
	for key, message := range want {
		file, at, _ := strings.Cut(key, "\x00")
		require.Equal(t, 1, strings.Count(files[file], at), "%s: %s", file, at)
		before, _, _ := strings.Cut(files[file], at)
		line := strings.Count(before, "\n") + 1
		column := len([]rune(before[strings.LastIndex(before, "\n")+1:])) + 1
		expected[fmt.Sprintf("%s:%d:%d", file, line, column)] = message
	}
	require.Len(t, expected, len(mistakes))

	started := time.Now()
	p, found := rules.LoadFiles(files)
	took := time.Since(started)
	require.Nil(t, p)
	require.Less(t, took, time.Second)
	for _, d := range found {
		at := fmt.Sprintf("%s:%d:%d", d.File, d.Line, d.Column)
		require.Contains(t, expected, at, "%s", d)
		require.Contains(t, d.String(), expected[at])
		require.Contains(t, d.String(), "^")
		delete(expected, at)
	}
	require.Empty(t, expected)
}
