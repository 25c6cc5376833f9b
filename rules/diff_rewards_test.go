package rules_test

import (
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/programs"
	"punchcard/rules"
)

// TestDiff_rewards changes rules against misuse, referrals and the forms of rewards.
func TestDiff_rewards(t *testing.T) {
	t.Parallel()
	base := folder(t, programs.Coffee())
	plain := maps.Clone(base)
	itsFraud := regexp.MustCompile(`(?m)^fraud:.*\n(?:  .*\n)+`)
	plain["program.yaml"] = itsFraud.ReplaceAllString(base["program.yaml"], "")
	base["program.yaml"] = itsFraud.ReplaceAllString(base["program.yaml"], `fraud:
  min_age: 7d
  limits:
    - {of: redemptions, by: customer, at_most: 3, within: 1d}
    - {of: captures, by: device, at_most: 60, within: 1h}
    - {of: captures, by: program, at_most: 500, within: 1h}
  guesses: {at_most: 10, within: 10m}
  reverse_within: 2d
`)
	base["rewards.yaml"] += `
  card:
    kind: gift_card
    title: A card
    value: 20
    cost: 500
    min_age: 1d
    codes: generated
    valid_for: 30d
    partial: true
    captured_by: till
  cake: {kind: offer, title: A cake, value: 3, valid_for: 30d, captured_by: tap}
`
	old, found := rules.LoadFiles(base)
	require.Empty(t, found.Errors())
	for _, test := range []struct {
		name, file, from, to string
		want                 []string
	}{
		{"how new", "program.yaml", "min_age: 7d", "min_age: 2d", []string{"program: fraud: min age goes from 7d to 2d"}},
		{"nobody is too new", "program.yaml", "  min_age: 7d\n", "", []string{"program: fraud: min age is removed; it was 7d"}},
		{"a limit", "program.yaml", "at_most: 60, within: 1h", "at_most: 80, within: 2h", []string{
			"program: fraud: limits: the second one: at most goes from 60 to 80", "program: fraud: limits: the second one: within goes from 1h to 2h",
		}},
		{"a limit less", "program.yaml", "    - {of: redemptions, by: customer, at_most: 3, within: 1d}\n", "", []string{
			"program: fraud: limits: {of: redemptions, by: customer, at_most: 3, within: 1d} is removed",
		}},
		{"a limit more", "program.yaml", "  guesses:", "    - {of: captures, by: customer, at_most: 5, within: 1d}\n  guesses:", []string{
			"program: fraud: limits: {of: captures, by: customer, at_most: 5, within: 1d} is added",
		}},
		{"one limit less and another changed", "program.yaml", `    - {of: redemptions, by: customer, at_most: 3, within: 1d}
    - {of: captures, by: device, at_most: 60, within: 1h}
`, "    - {of: captures, by: device, at_most: 80, within: 1h}\n", []string{
			"program: fraud: limits: the first one: at most goes from 60 to 80",
			"program: fraud: limits: {of: redemptions, by: customer, at_most: 3, within: 1d} is removed",
		}},
		{"whose limit", "program.yaml", "by: device, at_most: 60", "by: customer, at_most: 60", []string{
			"program: fraud: limits: {of: captures, by: device, at_most: 60, within: 1h} is removed",
			"program: fraud: limits: {of: captures, by: customer, at_most: 60, within: 1h} is added",
		}},
		{"limits in another order", "program.yaml", `    - {of: captures, by: device, at_most: 60, within: 1h}
    - {of: captures, by: program, at_most: 500, within: 1h}
`, `    - {of: captures, by: program, at_most: 500, within: 1h}
    - {of: captures, by: device, at_most: 60, within: 1h}
`, []string{
			"program: fraud: limits: the order changes, to [{of: redemptions, by: customer, at_most: 3, within: 1d}, {of: captures, by: program, at_most: 500, within: 1h}, {of: c…",
		}},
		{"guesses", "program.yaml", "guesses: {at_most: 10, within: 10m}", "guesses: {at_most: 5, within: 10m}", []string{"program: fraud: guesses: at most goes from 10 to 5"}},
		{"guesses as ever", "program.yaml", "  guesses: {at_most: 10, within: 10m}\n", "", []string{"program: fraud: guesses is removed; it was {at_most: 10, within: 10m}"}},
		{"taking back", "program.yaml", "reverse_within: 2d", "reverse_within: 1h", []string{"program: fraud: reverse within goes from 2d to 1h"}},
		{"the word", "program.yaml", "{word: FRIEND, on", "{word: PAL, on", []string{"program: referral: word goes from FRIEND to PAL"}},
		{"what counts", "program.yaml", "where: event.total >= 10, timeout: 60d", "where: event.total >= 20, timeout: 30d", []string{
			"program: referral: where goes from event.total >= 10 to event.total >= 20", "program: referral: timeout goes from 60d to 30d",
		}},
		{"any number of friends", "program.yaml", "timeout: 60d, at_most: 10, within: 30d}", "timeout: 60d}", []string{
			"program: referral: at most is removed; it was 10", "program: referral: within is removed; it was 30d",
		}},
		{"not in parts", "rewards.yaml", "    partial: true\n", "    partial: false\n", []string{"rewards: card: partial goes from true to false"}},
		{"how new for one", "rewards.yaml", "    min_age: 1d\n", "", []string{"rewards: card: min age is removed; it was 1d"}},
		{"by a tap", "rewards.yaml", "value: 3, valid_for: 30d, captured_by: tap}", "value: 3, valid_for: 30d, codes: generated, captured_by: till}", []string{
			"rewards: cake: codes is added: generated", "rewards: cake: captured by goes from tap to till",
		}},
		{"once", "rewards.yaml", "per_customer: 1,", "per_customer: 2,", []string{"rewards: welcome-10: per customer goes from 1 to 2"}},
		{"once in a time", "rewards.yaml", "per_customer: 1,", "per_customer: {at_most: 1, within: 365d},", []string{
			"rewards: welcome-10: per customer goes from 1 to {at_most: 1, within: 365d}",
		}},
		{"twice in another time", "rewards.yaml", "per_customer: {at_most: 2, within: 365d}", "per_customer: {at_most: 2, within: 30d}", []string{
			"rewards: tasting: per customer: within goes from 365d to 30d",
		}},
		{"a budget", "rewards.yaml", "budget: {amount: 5000, within: 30d}", "budget: {amount: 6000}", []string{
			"rewards: free-coffee: budget: amount goes from 5000 to 6000", "rewards: free-coffee: budget: within is removed; it was 30d",
		}},
		{"no budget", "rewards.yaml", "    budget: {amount: 5000, within: 30d}\n", "", []string{"rewards: free-coffee: budget is removed; it was {amount: 5000, within: 30d}"}},
		{"stock", "rewards.yaml", "stock: 200", "stock: 100", []string{"rewards: barista-course: stock goes from 200 to 100"}},
		{"who", "rewards.yaml", `eligible: customer.tier == "gold"`, `eligible: customer.tier != "bronze"`, []string{
			`rewards: tasting: eligible goes from customer.tier == "gold" to customer.tier != "bronze"`,
		}},
		{"until when", "rewards.yaml", "stock: 200", "stock: 200, until: 2026-12-31", []string{"rewards: barista-course: until is added: 2026-12-31"}},
		{"what applies", "rewards.yaml", "One cup for each code. Not for cash.", "One cup for each code.", []string{
			"rewards: free-coffee: terms is reworded in en: “One cup for each code. Not for cash.” becomes “One cup for each code.”",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := maps.Clone(base)
			require.Equal(t, 1, strings.Count(files[test.file], test.from))
			files[test.file] = strings.Replace(files[test.file], test.from, test.to, 1)
			changed, found := rules.LoadFiles(files)
			require.Empty(t, found.Errors())
			var got []string
			for _, c := range rules.Diff(old, changed) {
				got = append(got, c.Where+": "+c.Text)
			}
			require.Equal(t, test.want, got)
		})
	}
	without, found := rules.LoadFiles(plain)
	require.Empty(t, found.Errors())
	var got []string
	for _, c := range rules.Diff(without, old) {
		got = append(got, c.Where+": "+c.Text)
	}
	require.Equal(t, []string{
		"program: fraud is added: {min_age: 7d, limits: [{of: redemptions, by: customer, at_most: 3, within: 1d}, {of: captures, by: device, at_most: 60,…",
		"rewards: card is added: {kind: gift_card, title: A card, value: 20, cost: 500, min_age: 1d, codes: generated, valid_for: 30d, partial: true, ca…",
		"rewards: cake is added: {kind: offer, title: A cake, value: 3, valid_for: 30d, captured_by: tap}",
	}, got)
}
