package rules

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Change is one difference between two versions of a program, in plain words.
type Change struct {
	Where string // a journey's name, or program, rewards, templates or segments
	Text  string // "the first wait goes from 1h to 2h"
}

// Diff tells what is different now, in the order of its files: first the program, its rewards, templates and segments, then
// the journeys by name. The order of keys, quotes, comments and the names of files are no differences. Either may be nil: a
// program that is not there yet.
func Diff(before, now *Program) []Change {
	a, b := documentsOf(before), documentsOf(now)
	d := &differ{}
	for _, name := range []string{"program", "rewards", "templates", "segments"} {
		d.where = name
		grammar := fileGrammars[name]
		if name != "program" {
			// The one key of these files is their name.
			d.value("", grammar.keys[0].form, a.files[name].get(name), b.files[name].get(name))
			continue
		}
		d.value("", aMapOf(grammar), a.files[name], b.files[name])
	}
	journeys := map[string]bool{}
	for name := range a.journeys {
		journeys[name] = true
	}
	for name := range b.journeys {
		journeys[name] = true
	}
	for _, name := range keysOf(journeys) {
		d.where = name
		was, is := a.journeys[name], b.journeys[name]
		switch {
		case was == nil:
			d.say("the journey is added")
		case is == nil:
			d.say("the journey is removed")
		default:
			d.ordinals = map[*node]string{}
			nameSteps(was.get("steps"), d.ordinals)
			nameSteps(is.get("steps"), d.ordinals)
			d.value("", aMapOf(journeyGrammar), was, is)
		}
	}
	return d.out
}

// documents are a program's files as trees.
type documents struct{ files, journeys map[string]*node }

func documentsOf(p *Program) documents {
	d := documents{files: map[string]*node{}, journeys: map[string]*node{}}
	if p == nil {
		return d
	}
	for _, name := range slices.Sorted(maps.Keys(p.Files)) {
		root, err := parseText(name, p.Files[name])
		if err != nil {
			continue // a program that was loaded has no such file
		}
		if j := root.get("journey"); path.Dir(name) == "journeys" && j != nil {
			d.journeys[j.value] = root
			continue
		}
		d.files[strings.TrimSuffix(name, ".yaml")] = root
	}
	return d
}

// differ collects changes.
type differ struct {
	where    string
	ordinals map[*node]string // what a step is called: "the first wait"
	out      []Change
}

func (d *differ) say(format string, args ...any) {
	d.out = append(d.out, Change{Where: d.where, Text: fmt.Sprintf(format, args...)})
}

// under is the label of what stands under another.
func under(label, name string) string {
	name = strings.ReplaceAll(name, "_", " ")
	if label == "" {
		return name
	}
	return label + ": " + name
}

// value tells the differences between two values of a form, either of which may be absent.
func (d *differ) value(label string, f form, a, b *node) {
	switch {
	case a == nil && b == nil, a != nil && b != nil && sameTree(a, b):
		return
	case label == "" && a == nil:
		a = &node{shape: b.shape}
	case label == "" && b == nil:
		b = &node{shape: a.shape}
	case a == nil:
		d.say("%s is added: %s", label, brief(b))
		return
	case b == nil:
		d.say("%s is removed; it was %s", label, brief(a))
		return
	}
	f = settle(f, b)
	switch {
	case a.shape != b.shape && f.kind != formText:
		d.say("%s goes from %s to %s", label, brief(a), brief(b))
	case f.kind == formText:
		d.words(label, a, b)
	case f.kind == formSteps:
		d.steps(label, a.items, b.items)
	case f.kind == formObject && a.shape == mapping:
		for _, k := range f.object.keys {
			if was, is := a.get(k.name), b.get(k.name); label == "" && k.form.kind == formSteps && was != nil && is != nil {
				d.steps("", was.items, is.items)
				continue
			}
			d.value(under(label, k.name), k.form, a.get(k.name), b.get(k.name))
		}
	case (f.kind == formMap || f.kind == formType || f.kind == formValue) && a.shape == mapping:
		d.maps(label, f, a, b)
	case a.shape == list:
		d.lists(label, f, a.items, b.items)
	default:
		d.say("%s goes from %s to %s", label, brief(a), brief(b))
	}
}

// words tells how a text is reworded, in each language that changes.
func (d *differ) words(label string, a, b *node) {
	if a.shape == scalar && b.shape == scalar {
		was, is := contrast(a.value, b.value)
		d.say("%s is reworded: “%s” becomes “%s”", label, was, is)
		return
	}
	for _, language := range keysUnion(a, b) {
		was, is := a.get(language), b.get(language)
		switch {
		case was == nil:
			d.say("%s is worded in %s: “%s”", label, language, clip(is.value))
		case is == nil:
			d.say("%s is worded in %s no more", label, language)
		case was.value != is.value:
			had, has := contrast(was.value, is.value)
			d.say("%s is reworded in %s: “%s” becomes “%s”", label, language, had, has)
		}
	}
	if a.shape != b.shape && (a.shape == scalar || b.shape == scalar) && a.shape != list && b.shape != list {
		one := a
		if b.shape == scalar {
			one = b
		}
		d.say("%s was or is “%s” in every language", label, clip(one.value))
	}
}

// keysUnion lists the keys of two maps: those of the newer in its order, then those that are no more.
func keysUnion(a, b *node) []string {
	var names []string
	for _, p := range b.pairs {
		names = append(names, p.key.value)
	}
	for _, p := range a.pairs {
		if b.get(p.key.value) == nil {
			names = append(names, p.key.value)
		}
	}
	return names
}

// maps tells the differences between maps whose keys are names of the program's own.
func (d *differ) maps(label string, f form, a, b *node) {
	of := f
	if f.kind == formMap {
		of = *f.of
	}
	for _, name := range keysUnion(a, b) {
		inner := name
		if label != "" {
			inner = label + ": " + name
		}
		d.value(inner, of, a.get(name), b.get(name))
	}
}

// lists tells the differences between lists of words or of maps.
func (d *differ) lists(label string, f form, a, b []*node) {
	was, is := slices.Clone(a), slices.Clone(b)
	drop := func(i, j int) { was[i], is[j] = nil, nil }
	pairUp(was, is, sameTree, drop)
	gone := func(n *node) bool { return n == nil }
	left, came := slices.DeleteFunc(slices.Clone(was), gone), slices.DeleteFunc(slices.Clone(is), gone)
	if len(left) == 0 && len(came) == 0 {
		d.say("%s: the order changes, to %s", label, brief(&node{shape: list, items: b}))
		return
	}
	if f.kind == formList {
		of := *f.of
		pairUp(was, is, alike, func(i, j int) {
			d.value(label+": "+place(j, len(b)), of, was[i], is[j])
			drop(i, j)
		})
	}
	for _, n := range was {
		if n != nil {
			d.say("%s: %s is removed", label, brief(n))
		}
	}
	for _, n := range is {
		if n != nil {
			d.say("%s: %s is added", label, brief(n))
		}
	}
}

// pairUp finds, for each of some nodes in turn, the first of some others that fits it.
func pairUp(a, b []*node, fits func(a, b *node) bool, found func(i, j int)) {
	for i := range a {
		for j := range b {
			if a[i] != nil && b[j] != nil && fits(a[i], b[j]) {
				found(i, j)
				break
			}
		}
	}
}

// alike tells whether two maps of a list are most likely the same one, changed: they share the value that names them.
func alike(a, b *node) bool {
	if a.shape != mapping || b.shape != mapping {
		return false
	}
	for _, key := range []string{"name", "id", "on", "every", "category", "reply", "copy_code"} {
		if x, y := a.get(key), b.get(key); x != nil || y != nil {
			return x != nil && y != nil && sameTree(x, y)
		}
	}
	// A limit of fraud is named by what it counts, and whose.
	for _, key := range []string{"of", "by"} {
		if x, y := a.get(key), b.get(key); (x != nil || y != nil) && (x == nil || y == nil || !sameTree(x, y)) {
			return false
		}
	}
	return true
}

// place is which of several something is, in words; nothing of the only one.
func place(i, of int) string {
	if of == 1 {
		return "the only one"
	}
	return "the " + nth(i) + " one"
}

func nth(i int) string {
	words := []string{"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"}
	if i < len(words) {
		return words[i]
	}
	return fmt.Sprintf("%dth", i+1)
}

// brief is a value in one short line.
func brief(n *node) string { return clip(flow(n)) }

func flow(n *node) string {
	switch n.shape {
	case mapping:
		parts := make([]string, len(n.pairs))
		for i, p := range n.pairs {
			parts[i] = p.key.value + ": " + flow(p.value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case list:
		parts := make([]string, len(n.items))
		for i, item := range n.items {
			parts[i] = flow(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return n.value
	}
}

// maxBrief is how much of a value a change shows.
const maxBrief = 120

// contrast is the parts of two texts round where they differ, when the whole is too long to show.
func contrast(a, b string) (string, string) {
	x, y := strings.Fields(a), strings.Fields(b)
	if len([]rune(a)) <= maxBrief && len([]rune(b)) <= maxBrief {
		return strings.Join(x, " "), strings.Join(y, " ")
	}
	const round = 4 // words
	from := 0
	for from < len(x) && from < len(y) && x[from] == y[from] {
		from++
	}
	tail := 0
	for tail < len(x)-from && tail < len(y)-from && x[len(x)-1-tail] == y[len(y)-1-tail] {
		tail++
	}
	part := func(words []string) string {
		begin, end := max(from-round, 0), min(len(words)-tail+round, len(words))
		s := strings.Join(words[begin:end], " ")
		if begin > 0 {
			s = "… " + s
		}
		if end < len(words) {
			s += " …"
		}
		return clip(s)
	}
	return part(x), part(y)
}

func clip(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxBrief {
		return string(runes[:maxBrief-1]) + "…"
	}
	return s
}
