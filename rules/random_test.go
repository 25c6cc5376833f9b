package rules_test

import (
	"flag"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"punchcard/programs"
	"punchcard/rules"
)

// mutate changes a file as people and editors do: lines moved, doubled and dropped, words and characters exchanged.
func mutate(rt *rapid.T, text string) string {
	return mutated(rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)), text, rapid.IntRange(1, 6).Draw(rt, "changes"))
}

func mutated(r *rand.Rand, text string, changes int) string {
	words := []string{"{{", "}}", "'", `"`, "[", "]", "{", "}", "# x", "- ", ": ", "\n", "0", "-1", "1000000000000", "null", "!x", "&x", "*x", "|", ">-",
		"event", "entry.total", "customer.tier", "segment.x", "1h", "yes", "again: 1", "end: x", "if: true", "wait_until: \"10:00\"", "é", "\t", "\u202e"}
	lines := strings.Split(text, "\n")
	for range changes {
		i, j := r.IntN(len(lines)), r.IntN(len(lines))
		switch r.IntN(7) {
		case 0:
			lines[i], lines[j] = lines[j], lines[i]
		case 1:
			lines = slices.Insert(lines, i, lines[j])
		case 2:
			if len(lines) > 2 {
				lines = slices.Delete(lines, i, i+1)
			}
		case 3:
			runes := []rune(lines[i])
			at := r.IntN(len(runes) + 1)
			lines[i] = string(runes[:at]) + words[r.IntN(len(words))] + string(runes[at:])
		case 4:
			if runes := []rune(lines[i]); len(runes) > 0 {
				at := r.IntN(len(runes))
				lines[i] = string(slices.Delete(runes, at, at+1))
			}
		case 5:
			a, b := strings.Fields(lines[i]), strings.Fields(lines[j])
			if len(a) > 0 && len(b) > 0 {
				lines[i] = strings.Replace(lines[i], a[r.IntN(len(a))], b[r.IntN(len(b))], 1)
			}
		default:
			lines[i] = strings.Repeat(" ", r.IntN(4)) + lines[i]
		}
	}
	return strings.Join(lines, "\n")
}

// Ten thousand take some minutes: go test ./rules -run TestLoad_random -programs 10000.
var randomPrograms = flag.Int("programs", 400, "how many random programs are loaded")

// TestLoad_random loads programs that are near to real ones. Each compiles to plans that can be driven, or is
// refused with reasons; none panics, and none takes long.
func TestLoad_random(t *testing.T) {
	t.Parallel()
	var bases []map[string]string
	all := programs.All()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		bases = append(bases, folder(t, all[name]))
	}
	bases = append(bases, folder(t, os.DirFS("testdata/design")))
	r := rand.New(rand.NewPCG(1, 2))
	compiled := 0
	for range *randomPrograms {
		// One file of the whole beside the program's own: most of what is random is then in what is read.
		base := bases[r.IntN(len(bases))]
		paths := slices.Sorted(maps.Keys(base))
		path := paths[r.IntN(len(paths))]
		files := map[string]string{}
		for name, text := range base {
			if name == path || !strings.HasPrefix(name, "journeys/") {
				files[name] = text
			}
		}
		files[path] = mutated(r, files[path], 1+r.IntN(4))
		started := time.Now()
		p, found := rules.LoadFiles(files)
		require.Less(t, time.Since(started), 5*time.Second)
		require.Equal(t, p == nil, len(found.Errors()) > 0)
		if p == nil {
			continue
		}
		compiled++
		for _, j := range p.Journeys {
			require.NoError(t, j.Plan.Check())
		}
	}
	t.Logf("%d of %d compile", compiled, *randomPrograms)
	require.Greater(t, compiled, *randomPrograms/20)
	require.Less(t, compiled, *randomPrograms*19/20)
}
