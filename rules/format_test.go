package rules_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punchcard/programs"
	"punchcard/rules"
)

func TestFormat(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, file, in, want string }{
		{"keys of a file, with their comments", "journeys/a.yaml", `# about this file
steps:
  # first of all
  - if: customer.vip   # only some
    send: news

  - wait: 1h
# why
topic: offers

journey: a
enter: [{where: "event.total > 3", on: order.placed}]
`, `# about this file

journey: a
# why
topic: offers
enter: [{on: order.placed, where: "event.total > 3"}]
steps:
  # first of all
  - send: news
    if: customer.vip   # only some

  - wait: 1h
`},
		{"quotes", "program.yaml", `program: 'Base'
business: 'It''s "Base"'
quiet_hours: {to: 09:00, from: '21:00'}
replies:
  otherwise: "Say \"hello\""
  yes: 'Fine'
`, `program: "Base"
business: 'It''s "Base"'
quiet_hours: {from: "21:00", to: "09:00"}
replies:
  otherwise: 'Say "hello"'
  yes: "Fine"
`},
		{"nested steps", "journeys/a.yaml", `journey: a
steps:
  - answers:
      yes:
        - topics: [offers]
          consent: grant
      other: [{again: 1}]
    timeout: 1d
    ask: question
  - choose:
      - do: [{with: {b: x, a: y}, send: news}]
        if: '{"a": 1}.a == 1'
`, `journey: a
steps:
  - ask: question
    timeout: 1d
    answers:
      yes:
        - consent: grant
          topics: [offers]
      other: [{again: 1}]
  - choose:
      - if: '{"a": 1}.a == 1'
        do: [{send: news, with: {b: x, a: y}}]
`},
		{"what is no key stays", "rewards.yaml", "rewards:\n  a: {titel: A, kind: offer}\n", "rewards:\n  a: {titel: A, kind: offer}\n"},
		{"a block scalar with what looks like a comment", "templates.yaml", "templates:\n  a:\n    body: >-\n      Text\n      # no comment\n\n    category: utility\n",
			"templates:\n  a:\n\n    category: utility\n    body: >-\n      Text\n      # no comment\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := rules.Format(test.file, test.in)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
			again, err := rules.Format(test.file, got)
			require.NoError(t, err)
			require.Equal(t, got, again)
		})
	}
	_, err := rules.Format("program.yaml", "a: [")
	require.EqualError(t, err, "program.yaml:1:4: sequence end token ']' not found\n  a: [\n     ^")
	_, err = rules.Format("README.md", "a: b")
	require.Error(t, err)
	_, err = rules.Format("journeys/x/program.yaml", "a: b")
	require.Error(t, err)
}

// allPrograms are the programs at hand, by name: those that are shipped, the design's and the goldens'.
func allPrograms(t testing.TB) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{"design": folder(t, os.DirFS("testdata/design"))}
	for name, fsys := range programs.All() {
		all[name] = folder(t, fsys)
	}
	paths, err := filepath.Glob("testdata/golden/*.txt")
	require.NoError(t, err)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		files := folder(t, os.DirFS("testdata/base"))
		for name, text := range split(string(content)) {
			if name != "want" {
				files[name] = text
			}
		}
		all[filepath.Base(path)] = files
	}
	return all
}

// TestFormat_programs formats every program: twice is as good as once, and what comes out is the same program.
func TestFormat_programs(t *testing.T) {
	t.Parallel()
	for name, files := range allPrograms(t) {
		formatted := map[string]string{}
		for path, text := range files {
			got, err := rules.Format(path, text)
			if err != nil {
				formatted[path] = text
				continue
			}
			again, err := rules.Format(path, got)
			require.NoError(t, err, "%s/%s", name, path)
			require.Equal(t, got, again, "%s/%s", name, path)
			formatted[path] = got
		}
		same(t, name, files, formatted)
	}
}

// TestFormat_shipped tells that the shipped programs are written as the reference writes.
func TestFormat_shipped(t *testing.T) {
	t.Parallel()
	for name, fsys := range programs.All() {
		require.NoError(t, fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := fs.ReadFile(fsys, path)
			require.NoError(t, err)
			got, err := rules.Format(path, string(text))
			if err == nil && *update {
				return os.WriteFile(filepath.Join("..", "programs", name, filepath.FromSlash(path)), []byte(got), 0o600)
			}
			if err == nil {
				require.Equal(t, string(text), got, "%s/%s", name, path)
			}
			return nil
		}))
	}
}

// same requires that two folders are the same program, but for the places of things and their hash.
func same(t testing.TB, name string, a, b map[string]string) {
	t.Helper()
	p, found := rules.LoadFiles(a)
	q, others := rules.LoadFiles(b)
	require.Len(t, others, len(found), "%s: %v\n%v", name, found, others)
	if p == nil {
		return
	}
	require.NotNil(t, q, name)
	require.Equal(t, slices.Sorted(maps.Keys(p.Journeys)), slices.Sorted(maps.Keys(q.Journeys)))
	for journey, j := range p.Journeys {
		require.Equal(t, j.Plan, q.Journeys[journey].Plan, name)
		for id, s := range j.Steps {
			require.Equal(t, s.If.Source(), q.Journeys[journey].Steps[id].If.Source(), name)
			require.Len(t, q.Journeys[journey].Steps[id].With, len(s.With), name)
		}
	}
	for template, had := range p.Templates {
		require.Equal(t, had.WireName(), q.Templates[template].WireName(), name)
	}
	require.Empty(t, rules.Diff(p, q), name)
}

// TestFormat_lines shuffles the lines of maps, drops quotes and adds comments: whatever comes of it is the same program.
func TestFormat_lines(t *testing.T) {
	t.Parallel()
	files := folder(t, programs.Coffee())
	paths := slices.Sorted(maps.Keys(files))
	rapid.Check(t, func(rt *rapid.T) {
		path := rapid.SampledFrom(paths).Draw(rt, "path")
		text := mutate(rt, files[path])
		got, err := rules.Format(path, text)
		if err != nil {
			return
		}
		again, err := rules.Format(path, got)
		require.NoError(rt, err)
		require.Equal(rt, got, again)
		before, after := maps.Clone(files), maps.Clone(files)
		before[path], after[path] = text, got
		p, _ := rules.LoadFiles(before)
		q, _ := rules.LoadFiles(after)
		require.Equal(rt, p == nil, q == nil)
		if p != nil {
			require.Empty(rt, rules.Diff(p, q))
		}
	})
}

func FuzzFormat(f *testing.F) {
	for _, text := range folder(f, programs.Coffee()) {
		f.Add(text)
	}
	for _, seed := range []string{"steps: [{if: a, say: b}]", "steps:\n- if: a\n  say: b", "steps:\n  - - if: a\n      say: b\n", "journey: 'a'\n# b\n", "{topic: a, journey: b}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"program.yaml", "rewards.yaml", "templates.yaml", "segments.yaml", "journeys/fuzz.yaml"} {
			got, err := rules.Format(name, text)
			if err != nil {
				continue
			}
			again, err := rules.Format(name, got)
			require.NoError(t, err)
			require.Equal(t, got, again)
		}
	})
}
