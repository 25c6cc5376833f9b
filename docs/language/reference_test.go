// Package language_test executes the reference: every example in these pages is loaded, and run where it says what happens.
//
// An example stands on the program in example/. What a heading has above it lies over that program; the next heading begins anew.
// The word after the fence's language says what a block is:
//
//	yaml program.yaml, yaml journeys/x.yaml …  a whole file
//	yaml program, rewards, templates, segments a fragment of that file: its keys are added, or take the place of those there are
//	yaml step                                  steps of a journey with the topic rewards, entered by order.placed
//	yaml step service, yaml step consent       the same with that purpose, entered by redemption.requested, consent.requested
//	yaml error …                               any of these; the next block, text, is what the check says. It lies over nothing after it
//	yaml warning …                             the same with warnings
//	text trace                                 what happens: after each line "> …" the lines that follow from it (see trace_test.go)
//	text trace new                             the same for a customer who has agreed to nothing
//	text trace versions                        the same, begun without the newest example: "> apply" publishes it
//	text diff                                  how program diff tells the newest example from what was there before it
//	text shares                                how a split divides a thousand customers
//	text expressions                           "expression → what it gives" for the facts of expressions.md
//	text refused                               "expression → why the check refuses it"
//	json                                       an editor's settings for the JSON Schemas
//	sh                                         commands, for people
//
// Any other block fails. go test -update writes what comes out into the text blocks and the generated tables: read the diff.
package language_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/rules"
)

var update = flag.Bool("update", false, "write what comes out into the pages")

// block is one fenced block of a page.
type block struct {
	line        int // of the opening fence, from 1
	first, last int // its lines, as indexes: last is the closing fence
	language    string
	words       []string
	text        string
}

func TestReference(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("*.md")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for _, page := range pages {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(page)
			require.NoError(t, err)
			p := &examples{t: t, page: page, lines: strings.Split(string(content), "\n"), written: map[int][]string{}}
			p.run()
			text := withTables(t, page, p.rewritten())
			if *update {
				require.NoError(t, os.WriteFile(page, []byte(text), 0o600))
			} else {
				require.Equal(t, text, string(content), "a generated table is not what the language has: go test ./docs/language -update")
			}
		})
	}
}

// examples are those of one page, on their way from top to bottom.
type examples struct {
	t     *testing.T
	page  string
	lines []string
	// files lie over the example program under the present heading; said are the diagnostics that the next block must show.
	files map[string]string
	said  *string
	// before are the files without the newest example.
	before map[string]string
	// written are the new lines of blocks, by the index of their opening fence.
	written map[int][]string
	ends    map[int]int
}

func (p *examples) run() {
	p.files, p.ends = example(p.t), map[int]int{}
	for i := 0; i < len(p.lines); i++ {
		line := p.lines[i]
		if strings.HasPrefix(line, "#") {
			p.files = example(p.t)
			require.Nil(p.t, p.said, "%s:%d: what the check says of the example above is missing", p.page, i+1)
		}
		info, opens := strings.CutPrefix(line, "```")
		if !opens {
			continue
		}
		b := block{line: i + 1, first: i + 1, last: i + 1}
		for b.last < len(p.lines) && p.lines[b.last] != "```" {
			b.last++
		}
		require.Less(p.t, b.last, len(p.lines), "%s:%d: the block is never closed", p.page, b.line)
		fields := strings.Fields(info)
		require.NotEmpty(p.t, fields, "%s:%d: the block does not say what it is", p.page, b.line)
		b.language, b.words, b.text = fields[0], fields[1:], strings.Join(p.lines[b.first:b.last], "\n")
		p.execute(b)
		i = b.last
	}
	require.Nil(p.t, p.said, "%s: what the check says of the last example is missing", p.page)
}

// execute does what a block says.
func (p *examples) execute(b block) {
	where := fmt.Sprintf("%s:%d", p.page, b.line)
	if p.said != nil {
		require.Equal(p.t, "text", b.language, "%s: what the check says of the example above stands here", where)
		require.Empty(p.t, b.words, where)
		p.expect(b, *p.said)
		p.said = nil
		return
	}
	what := b.language + " " + strings.Join(b.words[:min(1, len(b.words))], "")
	switch {
	case b.language == "yaml":
		p.yaml(b, where)
	case what == "text trace":
		p.expect(b, p.trace(b, where))
	case what == "text shares":
		p.expect(b, p.shares(where))
	case what == "text diff":
		p.expect(b, p.diff(where))
	case what == "text expressions":
		p.expect(b, p.expressions(b, where))
	case what == "text refused":
		p.expect(b, p.refused(b))
	case b.language == "json":
		p.settings(b, where)
	case b.language == "sh":
	default:
		p.t.Fatalf("%s: %q is an example that is not executed", where, strings.TrimSpace(what))
	}
}

// expect compares what a block shows with what came out.
func (p *examples) expect(b block, got string) {
	got = strings.TrimRight(got, "\n")
	if *update {
		p.written[b.first], p.ends[b.first] = strings.Split(got, "\n"), b.last
		return
	}
	require.Equal(p.t, b.text, got, "%s:%d", p.page, b.line)
}

func (p *examples) rewritten() string {
	var out []string
	for i := 0; i < len(p.lines); i++ {
		if lines, ok := p.written[i]; ok {
			out = append(out, lines...)
			i = p.ends[i]
		}
		out = append(out, p.lines[i])
	}
	return strings.Join(out, "\n")
}

// yaml loads a block over what is there.
func (p *examples) yaml(b block, where string) {
	words, severity := b.words, ""
	if len(words) > 0 && (words[0] == "error" || words[0] == "warning") {
		severity, words = words[0], words[1:]
	}
	require.NotEmpty(p.t, words, "%s: an example in YAML says which file it is of", where)
	files := maps.Clone(p.files)
	file, whole := words[0], strings.HasSuffix(words[0], ".yaml")
	switch {
	case whole:
		files[file] = b.text + "\n"
	case file == "step":
		file = "journeys/example.yaml"
		files[file] = journeyOf(b.text, strings.Join(words[1:], " "))
		require.NotEmpty(p.t, files[file], "%s: there is no such kind of step example", where)
	default:
		file += ".yaml"
		base, ok := files[file]
		require.True(p.t, ok, "%s: there is no file %s to be a fragment of", where, file)
		files[file] = merged(base, b.text)
	}
	_, found := rules.LoadFiles(files)
	if severity == "" {
		if whole || file == "journeys/example.yaml" {
			formatted, err := rules.Format(file, files[file])
			require.NoError(p.t, err, where)
			require.Equal(p.t, formatted, files[file], "%s: it is not written as program fmt writes it", where)
		}
		require.Empty(p.t, found.Errors(), "%s\n%s", where, found.Errors().Error())
		p.before, p.files = p.files, files
		return
	}
	var said []string
	for _, d := range found {
		if d.File != file || d.Severity.String() != severity {
			require.NotEqual(p.t, rules.SeverityError, d.Severity, "%s: %s", where, d)
			continue
		}
		text := d.String()
		if !whole { // the reader does not see the rest of the file: only what is wrong, and the line
			text = strings.TrimPrefix(text, fmt.Sprintf("%s:%d:%d: ", d.File, d.Line, d.Column))
		}
		said = append(said, text)
	}
	require.NotEmpty(p.t, said, "%s: the check has nothing to say", where)
	all := strings.Join(said, "\n")
	p.said = &all
}

// journeyOf wraps steps in a journey.
func journeyOf(steps, purpose string) string {
	head := map[string]string{
		"":        "topic: rewards\nenter:\n  - on: order.placed\n",
		"service": "purpose: service\nenter:\n  - {on: redemption.requested, key: event.redemption_id}\n",
		"consent": "purpose: consent\nenter:\n  - on: consent.requested\n",
	}[purpose]
	if head == "" {
		return ""
	}
	return "journey: example\n" + head + "steps:\n  " + strings.ReplaceAll(steps, "\n", "\n  ") + "\n"
}

var keyRE = regexp.MustCompile(`^( *)"?([A-Za-z0-9_.-]+)"?:(.*)$`)

// merged is a file of block style with a fragment laid over it: its keys at the top, and those under them where both have
// some, are added or take the place of those there are.
func merged(base, fragment string) string {
	return join(lay(entries(base, 0), entries(fragment, 0), 0))
}

// entry is one key with all of its lines.
type entry struct {
	key  string
	text []string
}

// entries cuts a text at its keys of an indentation.
func entries(text string, indent int) []entry {
	var out []entry
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if m := keyRE.FindStringSubmatch(line); m != nil && len(m[1]) == indent {
			out = append(out, entry{key: m[2], text: []string{line}})
		} else if len(out) > 0 {
			out[len(out)-1].text = append(out[len(out)-1].text, line)
		}
	}
	return out
}

func lay(base, over []entry, indent int) []entry {
	out := slices.Clone(base)
	for _, o := range over {
		i := slices.IndexFunc(out, func(e entry) bool { return e.key == o.key })
		if i < 0 {
			out = append(out, o)
			continue
		}
		was := entries(strings.Join(out[i].text[1:], "\n"), indent+2)
		now := entries(strings.Join(o.text[1:], "\n"), indent+2)
		if indent > 0 || len(was) == 0 || len(now) == 0 {
			out[i] = o
			continue
		}
		out[i] = entry{key: o.key, text: append([]string{o.text[0]}, strings.Split(strings.TrimRight(join(lay(was, now, indent+2)), "\n"), "\n")...)}
	}
	return out
}

func join(es []entry) string {
	var b strings.Builder
	for _, e := range es {
		b.WriteString(strings.Join(e.text, "\n") + "\n")
	}
	return b.String()
}

// example reads the program that the examples stand on.
func example(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	paths, err := filepath.Glob("example/*.yaml")
	require.NoError(t, err)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		files[filepath.Base(path)] = string(content)
	}
	return files
}

// shares divides a thousand customers by the split in the example above.
func (p *examples) shares(where string) string {
	program, found := rules.LoadFiles(p.files)
	require.Empty(p.t, found.Errors(), where)
	counts := map[string]int{}
	var names []string
	for _, j := range program.Journeys {
		for _, s := range j.Steps {
			if s.Split == nil {
				continue
			}
			for _, arm := range s.Split.Arms {
				names = append(names, arm.Name)
			}
			for i := range 1000 {
				counts[s.Split.Arm(j.Name, fmt.Sprintf("customer-%d", i)).Name]++
			}
		}
	}
	require.NotEmpty(p.t, names, "%s: there is no split above", where)
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = fmt.Sprintf("%s %d", name, counts[name])
	}
	return strings.Join(parts, ", ")
}

// settings checks an editor's settings: they name the schemas that are written, and only those.
func (p *examples) settings(b block, where string) {
	var all map[string]map[string]string
	require.NoError(p.t, json.Unmarshal([]byte(b.text), &all), where)
	var named, written []string
	for path := range all["yaml.schemas"] {
		named = append(named, strings.TrimSuffix(filepath.Base(path), ".schema.json"))
	}
	for name := range rules.JSONSchemas() {
		written = append(written, strings.TrimSuffix(name, ".yaml"))
	}
	require.ElementsMatch(p.t, written, named, where)
}

// diff says how the newest example differs from what was there before it.
func (p *examples) diff(where string) string {
	before, found := rules.LoadFiles(p.before)
	require.Empty(p.t, found.Errors(), where)
	now, found := rules.LoadFiles(p.files)
	require.Empty(p.t, found.Errors(), where)
	var out []string
	for _, c := range rules.Diff(before, now) {
		out = append(out, c.Where+": "+c.Text)
	}
	return strings.Join(out, "\n")
}

const arrow = "  →  "

// expressions works out each line of a block for the facts of expressions.md.
func (p *examples) expressions(b block, where string) string {
	var out []string
	for line := range strings.SplitSeq(b.text, "\n") {
		source := strings.TrimSpace(strings.Split(line, strings.TrimSpace(arrow))[0])
		text, found := compiled(p.files, source)
		require.Empty(p.t, found.Errors(), "%s: %s\n%s", where, source, found.Errors().Error())
		out = append(out, source+arrow+worked(p.t, text))
	}
	return align(out)
}

// refused says why the check refuses each line of a block.
func (p *examples) refused(b block) string {
	var out []string
	for line := range strings.SplitSeq(b.text, "\n") {
		source := strings.TrimSpace(strings.Split(line, strings.TrimSpace(arrow))[0])
		_, found := compiled(p.files, source)
		errs := found.Errors()
		require.Len(p.t, errs, 1, "%s:%d: %s", p.page, b.line, source)
		why := errs[0].Message
		if errs[0].Suggestion != "" {
			why += fmt.Sprintf("; did you mean %q?", errs[0].Suggestion)
		}
		out = append(out, source+arrow+why)
	}
	return align(out)
}

// align puts the arrows of lines below one another.
func align(lines []string) string {
	width := 0
	for _, line := range lines {
		width = max(width, len([]rune(strings.Split(line, arrow)[0])))
	}
	for i, line := range lines {
		source, result, _ := strings.Cut(line, arrow)
		lines[i] = source + strings.Repeat(" ", width-len([]rune(source))) + arrow + result
	}
	return strings.Join(lines, "\n")
}

// compiled is a program with a step that says an expression, and what the check says of it.
func compiled(files map[string]string, source string) (*rules.Program, rules.Diagnostics) {
	files = maps.Clone(files)
	files["journeys/example.yaml"] = "journey: example\ntopic: rewards\nenter:\n  - on: cart.updated\nsteps:\n  - wait_until: \"12:00\"\n  - choose:\n      - if: '" +
		"(" + strings.ReplaceAll(source, "'", "''") + ") == nil'\n        do: [{end: done}]\n"
	if p, found := rules.LoadFiles(files); p == nil {
		return p, found
	}
	files["journeys/example.yaml"] = "journey: example\ntopic: rewards\nenter:\n  - on: cart.updated\nsteps:\n  - say: '{{ " + strings.ReplaceAll(source, "'", "''") + " }}'\n"
	return rules.LoadFiles(files)
}

// worked is what an expression gives, as it stands in a text.
func worked(t *testing.T, p *rules.Program) string {
	t.Helper()
	text, err := p.Journeys["example"].Steps["1"].Say.Render("", facts(p))
	switch {
	case err == nil:
		return text
	case strings.Contains(err.Error(), rules.ErrEmpty.Error()):
		return "nothing"
	default:
		_, why, _ := strings.Cut(err.Error(), ": ")
		return "fails: " + why
	}
}

// facts are those that expressions.md states.
func facts(p *rules.Program) *rules.Env {
	return &rules.Env{
		Program: p, Now: monday, Language: "en",
		Customer: rules.CustomerFacts{
			ID: "cus_1", Tier: "gold", Language: "en", Country: "DK", Labels: []string{"champion"}, AgeDays: 40,
			Attributes: p.Attributes.Decode(map[string]any{
				"first_name": "Anna", "birthday": "1990-11-23", "renews_on": "2026-12-01",
				"children": []any{map[string]any{"name": "Bo", "born": "2020-02-29"}, map[string]any{"name": "Ida", "born": "2023-05-01"}},
			}),
		},
		Points:  rules.PointsFacts{Balance: 240, Earned: 640, Pending: 20, Expiring: 40},
		Consent: func(topic string) (string, error) { return map[string]string{"offers": "granted"}[topic], nil },
		Times: func(event string, window time.Duration) (int, error) {
			if window > 0 {
				return 2, nil
			}
			return 7, nil
		},
		Total: func(string, string, time.Duration) (float64, error) { return 93.5, nil },
		Latest: func(event string) (map[string]any, error) {
			if event != "order.placed" {
				return nil, nil
			}
			s, _ := p.Schema(event)
			return s.Decode(map[string]any{"order_id": "o7", "total": 12.5}), nil
		},
		Entry: p.Journeys["example"].Entry().Decode(map[string]any{
			"cart_id": "c1", "total": 42.5, "items": []any{
				map[string]any{"name": "Yirgacheffe", "price": 12.5}, map[string]any{"name": "Grinder", "price": 30.0},
			},
		}),
	}
}

// TestExample checks that the program of the examples is written as program fmt writes it.
func TestExample(t *testing.T) {
	t.Parallel()
	for name, text := range example(t) {
		formatted, err := rules.Format(name, text)
		require.NoError(t, err)
		require.Equal(t, formatted, text)
	}
}

// TestMerged lays a fragment over a file.
func TestMerged(t *testing.T) {
	t.Parallel()
	base := "a: 1\nb:\n  x: 1\n  y:\n    z: 2\nc: [1]\n"
	require.Equal(t, "a: 1\nb:\n  x: 1\n  y: 3\n  w: 4\nc: [2]\nd: 5\n", merged(base, "# why\nb:\n  y: 3\n  w: 4\nc: [2]\nd: 5"))
}

var linkRE = regexp.MustCompile(`\]\(([a-z./]*)(#[a-z0-9_-]+)?\)`)

// TestLinks follows the links between the pages, to the heading.
func TestLinks(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("*.md")
	require.NoError(t, err)
	for _, page := range pages {
		content, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range linkRE.FindAllStringSubmatch(string(content), -1) {
			target := m[1]
			if target == "" {
				target = page
			}
			_, err := os.Stat(target)
			require.NoError(t, err, "%s links to %s", page, m[0])
			if m[2] == "" {
				continue
			}
			there, err := os.ReadFile(target)
			require.NoError(t, err)
			require.Contains(t, anchors(string(there)), strings.TrimPrefix(m[2], "#"), "%s links to %s", page, m[0])
		}
	}
}

// anchors are the headings of a page as links name them.
func anchors(text string) []string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			title = strings.ToLower(strings.NewReplacer("`", "", ",", "", ".", "").Replace(title))
			out = append(out, strings.ReplaceAll(title, " ", "-"))
		}
	}
	return out
}
