package rules_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/programs"
	"punchcard/rules"
)

// TestLoad_hostile loads what no marketer wrote. Each must be refused soon, with few words.
func TestLoad_hostile(t *testing.T) {
	t.Parallel()
	const size = 250 << 10
	laughs := "a0: &a0 [ha, ha]\n"
	for i := 1; i < 30; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [*a%d, *a%d, *a%d]\n", i, i, i-1, i-1, i-1)
	}
	indented := ""
	for i := range 600 {
		indented += strings.Repeat(" ", i) + "a:\n"
	}
	for name, text := range map[string]string{
		"a million brackets":    strings.Repeat("[", 1e6),
		"brackets":              strings.Repeat("[", size),
		"brackets in lines":     strings.Repeat(strings.Repeat("[", 100)+"\n", size/101),
		"braces":                strings.Repeat("{a: ", size/4),
		"flow maps in lines":    strings.Repeat("{a:\n ", size/5),
		"dashes":                strings.Repeat("- ", size/2),
		"dashes in lines":       strings.Repeat("- - - - -\n", size/10),
		"questions":             strings.Repeat("? ", size/2),
		"questions in lines":    strings.Repeat("? a\n", size/4),
		"indented":              indented,
		"colons":                strings.Repeat("a: ", size/3),
		"billion laughs":        laughs,
		"10 MB":                 strings.Repeat("a: b\n", 2<<20),
		"many keys":             strings.Repeat("abcdefgh: b\n", size/12),
		"many different keys":   numbered("k%d: b\n", size/14),
		"many items":            "program:\n" + strings.Repeat("- b\n", size/4-10),
		"NUL":                   "program: a\x00b\n",
		"invalid UTF-8":         "program: a\xff\n",
		"an open quote":         "program: \"" + strings.Repeat("x\n", size/2-10),
		"tags":                  strings.Repeat("!a ", size/3),
		"anchors":               strings.Repeat("&a ", size/3),
		"documents":             strings.Repeat("---\n", size/4),
		"documents with values": strings.Repeat("---\na\n", size/6),
		"comments":              strings.Repeat("# a\n", size/4),
		"quotes":                strings.Repeat("'", size),
		"bars":                  strings.Repeat("|\n", size/2),
		"values":                "program: " + strings.Repeat("{{", 1900) + "\n",
		"text in text":          minimal + "replies: {otherwise: \"" + strings.Repeat("{{ 1 }}", 500) + strings.Repeat("}}", 5) + "\"}\n",
		"empty":                 "",
		"a byte order mark":     "\ufeffprogram: x\n",
		"a carriage return":     "program: x\rbusiness: y\r",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			started := time.Now()
			p, found := rules.LoadFiles(map[string]string{"program.yaml": text})
			require.Less(t, time.Since(started), 20*time.Second)
			runtime.ReadMemStats(&after)
			require.Nil(t, p)
			require.NotEmpty(t, found)
			require.Less(t, len(found.Error()), 200_000)
			t.Logf("%v, %d MB in all, %d found: %.100s", time.Since(started), (after.TotalAlloc-before.TotalAlloc)>>20, len(found), found[0].Message)
		})
	}
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestLoad_folder(t *testing.T) {
	t.Parallel()
	many := fstest.MapFS{}
	for i := range 300 {
		many[fmt.Sprintf("journeys/j%d.yaml", i)] = &fstest.MapFile{Data: []byte("journey: x\n")}
	}
	p, found := rules.Load(many)
	require.Nil(t, p)
	require.Equal(t, rules.Diagnostics{{File: ".", Message: "a program has at most 200 files"}}, found)

	p, found = rules.Load(fstest.MapFS{})
	require.Nil(t, p)
	require.EqualError(t, found, "program.yaml: the program has no such file")

	p, found = rules.Load(fstest.MapFS{
		"program.yaml":      {Data: []byte(minimal)},
		"README.md":         {Data: []byte("anything")},
		"tests/any.yaml":    {Data: []byte("}")},
		".git/config.yaml":  {Data: []byte("}")},
		"journeys/read.txt": {Data: []byte("}")},
	})
	require.Empty(t, found.Errors())
	require.Equal(t, map[string]string{"program.yaml": minimal}, p.Files)

	p, found = rules.Load(programs.Coffee())
	require.Empty(t, found.Errors())
	again, found := rules.LoadFiles(p.Files)
	require.Empty(t, found.Errors())
	require.Equal(t, p.Hash, again.Hash)
}

func FuzzLoad(f *testing.F) {
	files := folder(f, programs.Coffee())
	for _, text := range files {
		f.Add(text)
	}
	for _, seed := range []string{"", "a", "a: [", "- a", "a: &x b", "a: *x", "? a", "<<: {a: b}", "a: !t b", "a: |\n  b", "a: \"{{ x }}\"", "{{ }}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"program.yaml", "rewards.yaml", "templates.yaml", "segments.yaml", "journeys/fuzz.yaml"} {
			given := map[string]string{"program.yaml": files["program.yaml"]}
			given[name] = text
			p, found := rules.LoadFiles(given)
			require.Equal(t, p == nil, len(found.Errors()) > 0)
			if p == nil {
				_ = found.Error()
				continue
			}
			for _, j := range p.Journeys {
				require.NoError(t, j.Plan.Check())
			}
		}
	})
}
