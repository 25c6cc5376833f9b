package rules

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Load reads, checks and compiles a program's folder: program.yaml, rewards.yaml, templates.yaml, segments.yaml and
// journeys/*.yaml. It reports every mistake and every warning at once; the Program is nil when there is a mistake. What the folder has beside YAML, and its tests/, is
// not read.
func Load(fsys fs.FS) (*Program, Diagnostics) {
	files := map[string]string{}
	var found Diagnostics
	entries := 0
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entries++; entries > 20*maxFiles {
			return errTooMany
		}
		if d.IsDir() {
			if name == "tests" || name != "." && strings.HasPrefix(path.Base(name), ".") {
				return fs.SkipDir
			}
			return nil
		}
		if !isYAML(name) || strings.HasPrefix(path.Base(name), ".") {
			return nil
		}
		if len(files) == maxFiles {
			return errTooMany
		}
		text, err := readFile(fsys, name)
		if err != nil {
			found = append(found, Diagnostic{File: name, Message: "the file cannot be read"})
			return nil //nolint:nilerr // it is reported beside whatever the other files show
		}
		files[name] = text
		return nil
	})
	switch {
	case errors.Is(err, errTooMany):
		return nil, Diagnostics{{File: ".", Message: errTooMany.Error()}}
	case err != nil:
		return nil, Diagnostics{{File: ".", Message: "the folder cannot be read"}}
	case len(found) > 0:
		return nil, found
	}
	return LoadFiles(files)
}

var errTooMany = fmt.Errorf("a program has at most %d files", maxFiles)

// readFile reads a file, at most one byte more than is allowed.
func readFile(fsys fs.FS, name string) (string, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fs.ErrInvalid // a pipe would be waited for
	}
	f, err := fsys.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	return string(content), err
}

func isYAML(name string) bool { return path.Ext(name) == ".yaml" || path.Ext(name) == ".yml" }

// LoadFiles is Load for files by their path in the folder, as Program.Files keeps them.
func LoadFiles(files map[string]string) (*Program, Diagnostics) { return load(files, true) }

// LoadPublished is LoadFiles for a program that was published. It leaves out the checks that only say whether a program should be
// published: they grow with us, and a version that passed them as they were stays readable.
func LoadPublished(files map[string]string) (*Program, Diagnostics) { return load(files, false) }

func load(files map[string]string, publish bool) (*Program, Diagnostics) {
	c := &checker{
		sources: map[string]*source{}, publish: publish,
		prog: &Program{
			Files: map[string]string{}, Replies: map[string]Text{}, Events: map[string]Schema{}, Rewards: map[string]*Reward{},
			Templates: map[string]*Template{}, Journeys: map[string]*Journey{}, Totals: map[string][]string{},
			Segments: map[string]*Segment{}, Calls: map[string]*Call{},
		},
		totals: map[string]map[string]bool{}, asked: map[string]bool{}, rewards: map[string]bool{}, messages: map[string]bool{},
		groups: map[string]bool{}, journeys: map[string]bool{}, use: newUsage(),
	}
	if len(files) > maxFiles {
		return nil, Diagnostics{{File: ".", Message: errTooMany.Error()}}
	}
	roots := c.roots(files)
	if root := roots["program.yaml"]; root != nil {
		c.catalogNames(roots)
		c.program(root)
		c.segmentsFile(roots["segments.yaml"])
		c.rewardsFile(roots["rewards.yaml"])
		c.templatesFile(roots["templates.yaml"])
		for _, name := range slices.Sorted(maps.Keys(roots)) {
			if path.Dir(name) == "journeys" {
				c.journey(roots[name])
			}
		}
		for _, check := range c.later {
			check()
		}
		if publish {
			c.publishable(roots)
		}
	} else if _, ok := files["program.yaml"]; !ok {
		c.report(Position{File: "program.yaml"}, "", "the program has no such file")
	}
	slices.SortStableFunc(c.found, func(a, b Diagnostic) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column)
	})
	if len(c.found.Errors()) > 0 {
		return nil, c.found
	}
	c.prog.asked = c.asked
	for event, fields := range c.totals {
		c.prog.Totals[event] = keysOf(fields)
	}
	c.prog.Hash = contentHash(c.prog.Files)
	return c.prog, c.found
}

// roots parses every file that belongs to a program, and reports those that do not.
func (c *checker) roots(files map[string]string) map[string]*node {
	roots := map[string]*node{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		switch {
		case strings.HasPrefix(name, "tests/"), !isYAML(name):
			continue
		case name == "program.yaml", name == "rewards.yaml", name == "templates.yaml", name == "segments.yaml":
		case path.Dir(name) == "journeys" && path.Ext(name) == ".yaml":
		default:
			c.report(Position{File: name}, nearest(name, []string{"program.yaml", "rewards.yaml", "templates.yaml", "segments.yaml", "journeys/" + path.Base(name)}),
				"a program has no file of this name")
			continue
		}
		src := newSource(name, files[name])
		c.sources[name] = src
		c.prog.Files[name] = files[name]
		if root := c.parseYAML(src, files[name]); root != nil {
			roots[name] = root
		}
	}
	return roots
}

// catalogNames notes what rewards and templates there are, so that a mistake in one is not reported again at each use.
func (c *checker) catalogNames(roots map[string]*node) {
	note := func(n *node, into map[string]bool) {
		if n != nil && n.shape == mapping {
			for _, p := range n.pairs {
				into[p.key.value] = true
			}
		}
	}
	note(roots["rewards.yaml"].get("rewards"), c.rewards)
	note(roots["templates.yaml"].get("templates"), c.messages)
	note(roots["segments.yaml"].get("segments"), c.groups)
	for name, root := range roots {
		if j := root.get("journey"); path.Dir(name) == "journeys" && j != nil {
			c.journeys[j.value] = true
		}
	}
}

// contentHash is the SHA-256 of the files, each with its path and length.
func contentHash(files map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		_, _ = fmt.Fprintf(h, "%d:%s%d:%s", len(name), name, len(files[name]), files[name]) // a hash never fails to take bytes
	}
	return hex.EncodeToString(h.Sum(nil))
}
