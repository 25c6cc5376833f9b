package rules_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/rules"
)

var update = flag.Bool("update", false, "write what came out into the golden files")

// TestGolden compiles each testdata/golden/*.txt: files to lay over testdata/base, each under a line "-- path --", and under
// "-- want --" what comes of them: the plans of the journeys given, or the diagnostics.
func TestGolden(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/golden/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			sections := split(string(content))
			files := folder(t, os.DirFS("testdata/base"))
			for name, text := range sections {
				if name != "want" {
					files[name] = text
				}
			}
			got := outcome(t, files, sections)
			if *update {
				input, _, _ := strings.Cut(string(content), "-- want --\n")
				require.NoError(t, os.WriteFile(path, []byte(input+"-- want --\n"+got), 0o600))
				return
			}
			require.Equal(t, sections["want"], got)
		})
	}
}

// split cuts a golden file at its lines "-- name --".
func split(content string) map[string]string {
	sections, name := map[string]string{}, ""
	for _, line := range strings.SplitAfter(content, "\n") {
		if title, ok := strings.CutPrefix(strings.TrimSpace(line), "-- "); ok && strings.HasSuffix(title, " --") {
			name = strings.TrimSuffix(title, " --")
			sections[name] = ""
			continue
		}
		if name != "" {
			sections[name] += line
		}
	}
	return sections
}

// folder reads a folder of YAML.
func folder(t testing.TB, fsys fs.FS) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(fsys, name)
		files[name] = string(content)
		return err
	}))
	return files
}

func outcome(t *testing.T, files, given map[string]string) string {
	t.Helper()
	p, found := rules.LoadFiles(files)
	if errs := found.Errors(); len(errs) > 0 {
		require.Nil(t, p)
		return errs.Error() + "\n"
	}
	checkPlans(t, p)
	var b strings.Builder
	// What the base has and a case does not use says nothing about the case.
	for _, d := range found.Warnings() {
		if _, ok := given[d.File]; ok {
			b.WriteString(d.String() + "\n")
		}
	}
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range p.Journeys {
			if !yield(name) {
				return
			}
		}
	}) {
		if _, ok := given["journeys/"+name+".yaml"]; ok {
			fmt.Fprintf(&b, "%s\n%s", name, describe(p.Journeys[name].Plan))
		}
	}
	if _, ok := given["templates.yaml"]; ok {
		for _, name := range slices.Sorted(maps.Keys(p.Templates)) {
			template := p.Templates[name]
			for _, lang := range template.Languages() {
				wire, err := json.MarshalIndent(template.Wire(lang), "", "  ")
				require.NoError(t, err)
				b.Write(append(wire, '\n'))
			}
		}
	}
	return b.String()
}

// describe writes a plan as a table.
func describe(p *rules.Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  start %s\n", p.Start)
	for _, id := range p.IDs() {
		n := p.Nodes[id]
		fmt.Fprintf(&b, "  %-22s %-8s %q", id, n.Kind, n.Label)
		if n.Kind.Waits() {
			fmt.Fprintf(&b, " for %s in %s", n.For, n.Scope)
		}
		if n.Asks {
			b.WriteString(" asks")
		}
		var outcomes []string
		for outcome, to := range n.Next {
			if times, ok := n.Returns[outcome]; ok {
				outcome += fmt.Sprintf("(returns %d)", times)
			}
			outcomes = append(outcomes, outcome+" → "+to)
		}
		slices.Sort(outcomes)
		if len(outcomes) > 0 {
			b.WriteString("  " + strings.Join(outcomes, ", "))
		}
		b.WriteString("\n")
	}
	return b.String()
}
