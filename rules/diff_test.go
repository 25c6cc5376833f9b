package rules_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/programs"
	"punchcard/rules"
)

// TestDiff changes the coffee shop's program as a marketer would, and tells what it says of each.
func TestDiff(t *testing.T) {
	t.Parallel()
	coffee := folder(t, programs.Coffee())
	old, found := rules.LoadFiles(coffee)
	require.Empty(t, found.Errors())
	require.Empty(t, rules.Diff(old, old))
	const cart, optIn = "journeys/abandoned-cart.yaml", "journeys/opt-in.yaml"
	for _, test := range []struct {
		name, file, from, to string
		want                 []string
	}{
		{"a comment and quotes", cart, "topic: reminders                       #", "topic: \"reminders\"  # another comment, and", nil},
		{"a wait", cart, "- wait: 1h", "- wait: 2h", []string{"abandoned-cart: the first wait goes from 1h to 2h"}},
		{"another wait", cart, "- wait: 2d", "- wait: 3d", []string{"abandoned-cart: the third wait goes from 2d to 3d"}},
		{"an option", cart, ", update: entry", "", []string{"abandoned-cart: the first wait: restart on: update is removed; it was entry"}},
		{"a step added", cart, "  - wait: 2d\n", "  - wait: 2d\n  - say: Still there?\n", []string{"abandoned-cart: say Still there? is added after the third wait"}},
		{"a step added in front", cart, "steps:\n", "steps:\n  - label: shopper\n", []string{"abandoned-cart: label shopper is added at the beginning"}},
		{"a step removed", cart, "  - wait: 23h\n", "", []string{"abandoned-cart: the second wait is removed"}},
		{"steps in another order", cart, "  - wait: 2d\n  - end: lost\n", "  - end: lost\n", []string{"abandoned-cart: the third wait is removed"}},
		{"another template", cart, "send: cart_reminder", "send: milestone_thanks", []string{"abandoned-cart: send cart_reminder becomes send milestone_thanks"}},
		{"an outcome", cart, "end: lost", "end: gone", []string{"abandoned-cart: end lost becomes end gone"}},
		{"a case", cart, "entry.total >= 100 and", "entry.total >= 80 and", []string{
			`abandoned-cart: the choose: the first case: if goes from entry.total >= 100 and customer.tier == "gold" to entry.total >= 80 and customer.tier == "gold"`,
		}},
		{"inside a case", cart, "reward: free-shipping", "reward: welcome-10", []string{"abandoned-cart: the choose: the first case: reward free-shipping becomes reward welcome-10"}},
		{"who enters", cart, "event.total >= 20", "event.total >= 30", []string{"abandoned-cart: enter: the only one: where goes from event.total >= 20 to event.total >= 30"}},
		{"who leaves", cart, "  - on: cart.emptied\n    where: event.cart_id == entry.cart_id\n    end: emptied\n", "", []string{
			"abandoned-cart: leave: {on: cart.emptied, where: event.cart_id == entry.cart_id, end: emptied} is removed",
		}},
		{"the topic", cart, "topic: reminders", "topic: offers", []string{"abandoned-cart: topic goes from reminders to offers"}},
		{"a reminder", optIn, "after: 1d", "after: 12h", []string{"opt-in: ask opt_in_request: remind: after goes from 1d to 12h"}},
		{"an answer", optIn, "        - reward: welcome-10\n          as: welcome\n", "        - reward: welcome-10\n          as: welcome\n          if: customer.vip\n", []string{
			"opt-in: ask opt_in_request: answers: yes: reward welcome-10: if is added: customer.vip",
		}},
		{"in one language", optIn, "Svar venligst JA", "Svar JA", []string{"opt-in: ask opt_in_request: answers: other: the third say is reworded in da: “Svar venligst JA eller NEJ.” becomes “Svar JA eller NEJ.”"}},
		{"a reward", "rewards.yaml", "cost: 250", "cost: 300", []string{"rewards: free-coffee: cost goes from 250 to 300"}},
		{"a new reward", "rewards.yaml", "rewards:\n", "rewards:\n  more: {kind: points, title: More, points: 3}\n", []string{"rewards: more is added: {kind: points, title: More, points: 3}"}},
		{"a template", "templates.yaml", "Your cart is still here, and", "Your cart is here, and", []string{
			"templates: cart_offer: body is reworded in en: “Your cart is still here, and so is …” becomes “Your cart is here, and so is …”",
		}},
		{"quiet hours", "program.yaml", `from: "21:00"`, `from: "20:00"`, []string{"program: quiet hours: from goes from 21:00 to 20:00"}},
		{"a cap", "program.yaml", "at_most: 5, within: 7d", "at_most: 4, within: 7d", []string{"program: caps: the second one: at most goes from 5 to 4"}},
		{"countries", "program.yaml", "[DK, DE, GB, NL]", "[DK, DE, SE]", []string{"program: marketing countries: GB is removed", "program: marketing countries: NL is removed", "program: marketing countries: SE is added"}},
		{"the order of words", "program.yaml", "join:   [JOIN, START]", "join:   [START, JOIN]", []string{"program: keywords: join: the order changes, to [START, JOIN]"}},
		{"a topic", "program.yaml", "  offers:    {en:", "  news: {en: News, da: Nyt}\n  offers:    {en:", []string{"program: topics: news is added: {en: News, da: Nyt}"}},
		{"an attribute", "program.yaml", "vip: bool", "vip: bool, city: string", []string{"program: attributes: city is added: string"}},
		{"a property", "program.yaml", "cart.emptied:       {cart_id: string}", "cart.emptied:       {cart_id: string, why: string?}", []string{"program: events: cart.emptied: why is added: string?"}},
		{"earning", "program.yaml", "pending: 14d", "pending: 7d", []string{"program: points: earn: the first one: pending goes from 14d to 7d"}},
		{"a tier", "program.yaml", "gold: 2000", "gold: 1500", []string{"program: tiers: levels: gold goes from 2000 to 1500"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := maps.Clone(coffee)
			require.Contains(t, files[test.file], test.from)
			files[test.file] = strings.Replace(files[test.file], test.from, test.to, 1)
			changed, found := rules.LoadFiles(files)
			if changed == nil {
				// What a change does elsewhere is not the matter: it is told all the same.
				require.NotEmpty(t, found.Errors())
				copied := *old
				copied.Files = files
				changed = &copied
			}
			var got []string
			for _, c := range rules.Diff(old, changed) {
				got = append(got, c.Where+": "+c.Text)
			}
			require.Equal(t, test.want, got)
		})
	}
}

func TestDiff_journeys(t *testing.T) {
	t.Parallel()
	coffee := folder(t, programs.Coffee())
	old, _ := rules.LoadFiles(coffee)
	less := maps.Clone(coffee)
	delete(less, "journeys/milestone.yaml")
	without, found := rules.LoadFiles(less)
	require.Empty(t, found.Errors())
	require.Equal(t, []rules.Change{{Where: "milestone", Text: "the journey is removed"}}, rules.Diff(old, without))
	require.Equal(t, []rules.Change{{Where: "milestone", Text: "the journey is added"}}, rules.Diff(without, old))
	require.Len(t, rules.Diff(nil, old), len(rules.Diff(old, nil)))

	// A file's name is nothing; an order is.
	renamed := maps.Clone(coffee)
	renamed["journeys/z.yaml"] = renamed["journeys/milestone.yaml"]
	delete(renamed, "journeys/milestone.yaml")
	same, _ := rules.LoadFiles(renamed)
	require.Empty(t, rules.Diff(old, same))
	base := folder(t, programs.All()["membership"])
	moved := maps.Clone(base)
	moved["journeys/renewal.yaml"] = strings.Replace(strings.Replace(base["journeys/renewal.yaml"], "  - unlabel: lapsed\n", "", 1),
		"  - label: lapsed\n", "  - label: lapsed\n  - unlabel: lapsed\n", 1)
	before, _ := rules.LoadFiles(base)
	after, _ := rules.LoadFiles(moved)
	require.Equal(t, []rules.Change{{Where: "renewal", Text: "unlabel lapsed moves after label lapsed"}}, rules.Diff(before, after))
}

func TestDiff_codes(t *testing.T) {
	t.Parallel()
	files := folder(t, programs.Coffee())
	files["program.yaml"] += "\ncalls: {cinema.code: {url: https://cinema.example/codes, answers: {code: string}}, other.code: {url: https://other.example, answers: {code: code}}}\n"
	with := func(codes string) *rules.Program {
		changed := maps.Clone(files)
		changed["rewards.yaml"] += "\n  film: {kind: gift_card, title: A film, codes: " + codes + ", captured_by: till}\n"
		p, found := rules.LoadFiles(changed)
		require.Empty(t, found.Errors())
		return p
	}
	for _, c := range []struct{ before, now, want string }{
		{"pool", "{call: cinema.code}", "film: codes goes from pool to {call: cinema.code}"},
		{"{call: cinema.code}", "generated", "film: codes goes from {call: cinema.code} to generated"},
		{"{call: cinema.code}", "{call: other.code}", "film: codes: call goes from cinema.code to other.code"},
	} {
		require.Equal(t, []rules.Change{{Where: "rewards", Text: c.want}}, rules.Diff(with(c.before), with(c.now)))
	}
}
