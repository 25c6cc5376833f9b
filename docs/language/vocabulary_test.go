package language_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/rules"
)

// note is what people read of a function: how it is written, an example and what it is for.
type note struct{ usage, example, does string }

var notes = map[string]note{
	"abs":         {"abs(x)", `abs(-3)`, "the number without its sign"},
	"all":         {"all(list, condition)", `all(entry.items, .price < 40)`, "whether the condition holds for every value"},
	"anniversary": {"anniversary(date, day)", `anniversary(customer.birthday, now)`, "whether the day is an anniversary of the date; 29 February has it on the 28th in other years"},
	"any":         {"any(list, condition)", `any(entry.items, .price > 20)`, "whether the condition holds for some value"},
	"ceil":        {"ceil(x)", `ceil(12.1)`, "rounded up"},
	"consent":     {"consent(topic)", `consent("offers")`, "the customer's standing: none, requested, granted, refused, revoked or expired"},
	"count":       {"count(list, condition)", `count(entry.items, .price > 20)`, "for how many values the condition holds"},
	"days":        {"days(n)", `now + days(3)`, "a span of n times 24 hours, to add to a date or take from it"},
	"default":     {"default(x, y)", `customer.vip | default(false)`, "x, or y if x is absent or an empty text"},
	"filter":      {"filter(list, condition)", `len(filter(entry.items, .price > 20))`, "the values for which the condition holds"},
	"find":        {"find(list, condition)", `find(entry.items, .price > 20).name`, "the first value for which the condition holds"},
	"first":       {"first(list), first(list, y)", `first(entry.items, {"name": "your coffee"}).name`, "the first value, or y if there is none"},
	"float":       {"float(x)", `float("4.5") * 2`, "the number in a text"},
	"floor":       {"floor(x)", `floor(entry.total)`, "rounded down"},
	"hasPrefix":   {"hasPrefix(text, start)", `hasPrefix(entry.cart_id, "c")`, "whether a text begins so"},
	"hasSuffix":   {"hasSuffix(text, end)", `hasSuffix(entry.cart_id, "9")`, "whether a text ends so"},
	"indexOf":     {"indexOf(text, part)", `indexOf("coffee", "f")`, "where a part begins, counted from 0; -1 if nowhere"},
	"int":         {"int(x)", `int("42")`, "the whole number in a text, or a number without its fraction"},
	"join":        {"join(list, between)", `join(map(entry.items, .name), ", ")`, "one text of several"},
	"last":        {"last(list)", `last(entry.items).name`, "the last value"},
	"latest":      {"latest(event)", `latest("order.placed")?.order_id`, "the properties of the customer's newest such event; absent if there is none"},
	"len":         {"len(x)", `len(entry.items)`, "how many values a list has, or characters a text"},
	"lower":       {"lower(text)", `lower("YES")`, "in small letters"},
	"map":         {"map(list, value)", `join(map(entry.items, upper(.name)), " ")`, "the list with each value made another"},
	"max":         {"max(x, y, …)", `max(entry.total, 50)`, "the largest"},
	"min":         {"min(x, y, …)", `min(entry.total, 50)`, "the smallest"},
	"none":        {"none(list, condition)", `none(entry.items, .price > 100)`, "whether the condition holds for no value"},
	"one":         {"one(list, condition)", `one(entry.items, .price > 20)`, "whether it holds for exactly one"},
	"round":       {"round(x)", `round(12.5)`, "rounded to the nearest whole number"},
	"string":      {"string(x)", `"no " + string(points.balance)`, "as a text"},
	"sum":         {"sum(list), sum(list, value)", `sum(entry.items, .price)`, "the sum"},
	"times":       {"times(event), times(event, window)", `times("order.placed", "30d")`, "how often the customer had the event, ever or within the window"},
	"total":       {"total(event, property), total(event, property, window)", `total("order.placed", "total", "90d")`, "the sum of a number over those events"},
	"trim":        {"trim(text)", `trim("  a ")`, "without white space round it"},
	"upper":       {"upper(text)", `upper("yes")`, "in capitals"},
	"weekday":     {"weekday(date)", `weekday(now)`, "the day's name: monday … sunday"},
	"years":       {"years(date, day)", `years(customer.birthday, now)`, "how many anniversaries of the date have come by the day"},
}

var means = map[string]string{
	"customer.id": "ours, opaque", "customer.tier": "by the program's tiers", "customer.language": "as the backend gave it",
	"customer.country": "of the phone number: DK", "customer.labels": "given by label", "customer.age_days": "how many days we have known them",
	"points.balance": "what can be spent now", "points.earned": "all that was ever earned, spent or not, less what was taken back",
	"points.pending": "earned, and not to be spent yet", "points.expiring": "of the balance, what expires within 30 days",
	"program.name": "program", "program.business": "business", "program.privacy_url": "privacy_url", "program.currency": "currency", "program.language": "language",
	"now": "the moment, in the customer's time zone", "unsubscribe_url": "the page on which the customer can stop; nothing without --public-url", "segment.lapsed": "one for each segment: whether the customer is in it",
	"customer.first_name": "and every other declared attribute",
}

var markRE = regexp.MustCompile(`(?s)(<!-- generated: ([a-z ._\[\]<>-]+) -->\n).*?(<!-- end -->)`)

// withTables is a page with its generated tables as they must be. A mark names one: names, bound, events, functions; "step send"
// for a kind of step; "keys program caps" for the keys of a file, or those of them that begin so.
func withTables(t *testing.T, page, text string) string {
	t.Helper()
	return markRE.ReplaceAllStringFunc(text, func(found string) string {
		m := markRE.FindStringSubmatch(found)
		return m[1] + table(t, page, m[2]) + m[3]
	})
}

func table(t *testing.T, page, name string) string {
	t.Helper()
	files := example(t)
	program, found := rules.LoadFiles(files)
	require.Empty(t, found.Errors())
	v := program.Vocabulary()
	words := strings.Fields(name)
	switch words[0] {
	case "names":
		return names(t, v)
	case "bound":
		return fields(v.Granted)
	case "events":
		return events(v)
	case "functions":
		return functions(t, v, files)
	case "step":
		for _, k := range rules.StepKinds() {
			if string(k.Kind) == words[1] {
				return keys(k.Keys)
			}
		}
	case "keys":
		var some []rules.Key
		for _, k := range rules.FileKeys()[words[1]] {
			if begins(k.Path, words[2:]) {
				some = append(some, k)
			}
		}
		if len(some) > 0 {
			return keys(some)
		}
	}
	require.Fail(t, "there is no such table", "%s: %s", page, name)
	return ""
}

// begins tells whether a key is one of some, or under one; every key is where none are named.
func begins(path string, some []string) bool {
	return len(some) == 0 || slices.ContainsFunc(some, func(key string) bool {
		rest, ok := strings.CutPrefix(path, key)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

func keys(ks []rules.Key) string {
	var b strings.Builder
	b.WriteString("| key | takes | |\n|---|---|---|\n")
	for _, k := range ks {
		takes := k.Takes
		switch {
		case k.Form:
			takes = strings.TrimSpace(takes + " (one form)")
		case !k.Need:
			takes = strings.TrimSpace(takes + " (optional)")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Path, takes, k.Doc)
	}
	return b.String()
}

// TestWhole finds every key of every file and every kind of step in some table, and with an example.
func TestWhole(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("*.md")
	require.NoError(t, err)
	shown := map[string]bool{}
	all := ""
	for _, page := range pages {
		content, err := os.ReadFile(page)
		require.NoError(t, err)
		all += string(content)
		for _, m := range markRE.FindAllStringSubmatch(string(content), -1) {
			words := strings.Fields(m[2])
			shown[m[2]] = true
			if words[0] != "keys" {
				continue
			}
			for _, k := range rules.FileKeys()[words[1]] {
				if begins(k.Path, words[2:]) {
					shown[words[1]+" "+k.Path] = true
				}
			}
		}
	}
	for _, name := range []string{"names", "bound", "events", "functions"} {
		require.True(t, shown[name], "no page has the table %s", name)
	}
	for _, k := range rules.StepKinds() {
		require.True(t, shown["step "+string(k.Kind)], "no page has the options of %s", k.Kind)
		require.Contains(t, all, "\n## "+string(k.Kind)+"\n", "steps.md has no part on %s", k.Kind)
	}
	for file, keys := range rules.FileKeys() {
		for _, k := range keys {
			require.True(t, shown[file+" "+k.Path], "no page has the key %s of %s", k.Path, file)
		}
	}
}

// names lists what every expression sees.
func names(t *testing.T, v rules.Vocabulary) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| name | type | is |\n|---|---|---|\n")
	told := map[string]bool{}
	row := func(name string, f rules.Field) {
		declared := strings.HasPrefix(name, "customer.") && means[name] == ""
		if declared {
			return // of the example program; the first stands for all
		}
		require.NotEmpty(t, means[name], "nobody says what %s is", name)
		told[name] = true
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, typeOf(f), means[name])
	}
	for _, f := range v.Everywhere {
		if f.Type.Kind != rules.TypeRecord {
			row(f.Name, f)
			continue
		}
		for _, part := range f.Type.Fields {
			row(f.Name+"."+part.Name, part)
		}
	}
	require.Len(t, told, len(means), "means says what there is not")
	return b.String()
}

func typeOf(f rules.Field) string {
	if f.Optional {
		return f.Type.String() + "?"
	}
	return f.Type.String()
}

func fields(fs []rules.Field) string {
	var b strings.Builder
	b.WriteString("| field | type |\n|---|---|\n")
	for _, f := range fs {
		fmt.Fprintf(&b, "| `%s` | %s |\n", f.Name, typeOf(f))
	}
	return b.String()
}

func events(v rules.Vocabulary) string {
	var b strings.Builder
	b.WriteString("| event | properties |\n|---|---|\n")
	var names []string
	for name := range v.Events {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		var parts []string
		for _, f := range v.Events[name].Fields() {
			parts = append(parts, fmt.Sprintf("`%s` %s", f.Name, typeOf(f)))
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, strings.Join(parts, ", "))
	}
	return b.String()
}

// functions lists every function with an example and what that gives.
func functions(t *testing.T, v rules.Vocabulary, files map[string]string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| write | is | for example | gives | |\n|---|---|---|---|---|\n")
	escape := strings.NewReplacer("|", "\\|")
	for _, f := range v.Functions {
		n, ok := notes[f.Name]
		require.True(t, ok, "nobody says what the function %s does", f.Name)
		require.Contains(t, n.example, f.Name, "the example of %s does not use it", f.Name)
		if f.High > 0 {
			forms := strings.Count(n.usage, "(")
			require.Equal(t, f.High-f.Low+1, forms, "%s takes %d to %d values, and the reference shows %d forms", f.Name, f.Low, f.High, forms)
		}
		require.Equal(t, f.Condition, f.Name == "map" || strings.Contains(n.usage, "condition") || f.Name == "sum", f.Name)
		program, found := compiled(files, n.example)
		require.Empty(t, found.Errors(), "%s\n%s", n.example, found.Errors().Error())
		var marks []string
		if f.Asks {
			marks = append(marks, "asks")
		}
		if f.Inside {
			marks = append(marks, "#")
		}
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s |\n", n.usage, n.does, escape.Replace(n.example), worked(t, program), strings.Join(marks, " "))
	}
	require.Len(t, v.Functions, len(notes), "the reference has a function that the language has not")
	return b.String()
}
