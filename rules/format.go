package rules

import (
	"errors"
	"path"
	"slices"
	"strings"
)

// Format writes a program's file as the reference writes it: keys in the order of the grammar, times of day in quotes, texts in
// double quotes unless they hold one. Comments and blank lines stay with what they stand before, and nothing else changes: what
// it answers loads to the same program, and formatting it again changes nothing. name is the file's path in the folder. The
// error is the Diagnostics of a file that is no YAML, or says that a program has no such file.
func Format(name, text string) (string, error) {
	grammar := fileGrammars[strings.TrimSuffix(path.Base(name), ".yaml")]
	if path.Dir(name) == "journeys" {
		grammar = journeyGrammar
	}
	if grammar == nil || path.Dir(name) != "." && path.Dir(name) != "journeys" {
		return "", errNoSuchFile
	}
	before, err := parseText(name, text)
	if err != nil {
		return "", err
	}
	for _, change := range []func(*formatter, *node){
		func(f *formatter, root *node) { f.quotes(root, aMapOf(grammar)) },
		func(f *formatter, root *node) { f.order(root, aMapOf(grammar), len(f.lines)) },
	} {
		root, err := parseText(name, text)
		if err != nil {
			return "", err
		}
		f := &formatter{}
		for _, line := range root.src.lines {
			f.lines = append(f.lines, []rune(line))
		}
		change(f, root)
		changed := f.text()
		// What would not be the same program is left as it was: YAML has more corners than a formatter should know.
		if after, err := parseText(name, changed); err == nil && sameTree(before, after) {
			text = changed
		}
	}
	return text, nil
}

var errNoSuchFile = errors.New("a program has no file of this name")

// parseText parses one file by itself.
func parseText(name, text string) (*node, error) {
	src := newSource(name, text)
	c := &checker{sources: map[string]*source{name: src}}
	if root := c.parseYAML(src, text); root != nil {
		return root, nil
	}
	return nil, c.found
}

// sameTree tells whether two trees hold the same, whatever the order of keys in a map and the quotes.
func sameTree(a, b *node) bool {
	if a.shape != b.shape || a.value != b.value || len(a.pairs) != len(b.pairs) || len(a.items) != len(b.items) {
		return false
	}
	for _, p := range a.pairs {
		if other := b.get(p.key.value); other == nil || !sameTree(p.value, other) {
			return false
		}
	}
	for i, item := range a.items {
		if !sameTree(item, b.items[i]) {
			return false
		}
	}
	return true
}

// formatter holds a file's lines while they are changed.
type formatter struct{ lines [][]rune }

func (f *formatter) text() string {
	lines := make([]string, len(f.lines))
	for i, line := range f.lines {
		lines[i] = string(line)
	}
	return strings.Join(lines, "\n")
}

// child is what may stand under a key, or as an item, of what a form describes.
func child(f form, n *node, key string) form {
	switch f.kind {
	case formObject:
		if k, ok := f.object.key(key); ok {
			return k.form
		}
	case formMap, formList:
		return *f.of
	case formSteps:
		if kind, ok := formOf(stepKind(n)); ok {
			return aMapOf(kind.object())
		}
	default:
	}
	return aWord
}

// settle chooses, of a form that may be several, the one that a node is.
func settle(f form, n *node) form {
	if f.kind != formEither {
		return f
	}
	for _, e := range f.either {
		if n.shape == mapping && e.kind == formObject && !slices.ContainsFunc(n.pairs, func(p pair) bool {
			_, known := e.object.key(p.key.value)
			return !known
		}) {
			return e
		}
		if n.shape == scalar && e.kind == formClock && timeOfDayRE.MatchString(n.value) {
			return e
		}
	}
	return aWord
}

// quotes changes the quotes of scalars, last ones first, so that the places of the others stay.
func (f *formatter) quotes(n *node, is form) {
	is = settle(is, n)
	for _, p := range slices.Backward(n.pairs) {
		f.quotes(p.value, child(is, p.value, p.key.value))
	}
	for _, item := range slices.Backward(n.items) {
		f.quotes(item, child(is, item, ""))
	}
	if n.shape != scalar || n.line < 1 || n.line > len(f.lines) || n.col > len(f.lines[n.line-1]) {
		return
	}
	line, from := f.lines[n.line-1], n.col-1
	var was, becomes string
	switch n.style {
	case singleQuoted:
		if was = "'" + strings.ReplaceAll(n.value, "'", "''") + "'"; !strings.ContainsAny(n.value, "\"\\\n") {
			becomes = `"` + n.value + `"`
		}
	case doubleQuoted:
		if was = `"` + strings.ReplaceAll(n.value, `"`, `\"`) + `"`; strings.Contains(n.value, `"`) && !strings.ContainsAny(n.value, "'\\\n") {
			becomes = "'" + n.value + "'"
		}
	case plain:
		if was = n.value; is.kind == formClock {
			becomes = `"` + n.value + `"`
		}
	default:
	}
	to := from + len([]rune(was))
	if becomes == "" || to > len(line) || string(line[from:to]) != was {
		return
	}
	f.lines[n.line-1] = slices.Concat(line[:from], []rune(becomes), line[to:])
}

// order puts the keys of the grammar's maps in its order, inner maps first. end is the index of the line after the node's last.
// Everything keeps its length, so the places of what is outside stay right.
func (f *formatter) order(n *node, is form, end int) {
	is = settle(is, n)
	starts := f.starts(n)
	for i, p := range n.pairs {
		f.order(p.value, child(is, p.value, p.key.value), after(starts, i, end))
	}
	itemStarts := make([]int, len(n.items))
	for i, item := range n.items {
		itemStarts[i] = f.above(item.line-1, item.col-1)
	}
	for i, item := range n.items {
		f.order(item, child(is, item, ""), after(itemStarts, i, end))
	}
	if is.kind != formObject || n.shape != mapping {
		return
	}
	to := make([]int, len(n.pairs)) // the pairs in the grammar's order
	names := is.object.names()
	for i, p := range n.pairs {
		to[i] = i
		if !slices.Contains(names, p.key.value) {
			return // it is no key of the language: its place may matter to whoever wrote it
		}
	}
	slices.SortStableFunc(to, func(a, b int) int {
		return slices.Index(names, n.pairs[a].key.value) - slices.Index(names, n.pairs[b].key.value)
	})
	switch {
	case slices.IsSorted(to):
	case n.flow:
		f.orderFlow(n, to)
	default:
		f.orderLines(n, to, starts, end)
	}
}

// starts are the indexes of the lines at which a map's pairs begin, with the comments above them. Comments above the first belong
// to whatever holds the map.
func (f *formatter) starts(n *node) []int {
	starts := make([]int, len(n.pairs))
	for i, p := range n.pairs {
		starts[i] = p.key.line - 1
		if i > 0 {
			starts[i] = max(f.above(p.key.line-1, p.key.col-1), n.pairs[i-1].key.line)
		}
	}
	return starts
}

// above is the index of the first of the comments and blank lines directly above a line. A comment that is indented more
// belongs to what stands before it.
func (f *formatter) above(line, indent int) int {
	for line > 0 {
		text := string(f.lines[line-1])
		trimmed := strings.TrimLeft(text, " ")
		if trimmed != "" && (trimmed[0] != '#' || indent > 0 && len(text)-len(trimmed) > indent) {
			break
		}
		line--
	}
	return line
}

// after is where the i-th of some things ends.
func after(starts []int, i, end int) int {
	if i+1 < len(starts) {
		return starts[i+1]
	}
	return end
}

// orderLines moves the pairs of a map that stands in lines of its own.
func (f *formatter) orderLines(n *node, to, starts []int, end int) {
	for end > 0 && strings.TrimSpace(string(f.lines[end-1])) == "" {
		end-- // blank lines at the end of the file stay there
	}
	for i := 1; i < len(starts); i++ {
		if starts[i] <= starts[i-1] || starts[i] >= end {
			return // two keys in a line, or lines that are not as they seem
		}
	}
	first := n.pairs[0].key
	width := first.col - 1
	prefix := slices.Clone(f.lines[first.line-1][:width])
	copy(f.lines[first.line-1][:width], []rune(strings.Repeat(" ", width)))
	var moved [][]rune
	var keyLine int
	for i, from := range to {
		if i == 0 {
			keyLine = len(moved) + n.pairs[from].key.line - 1 - starts[from]
		}
		moved = append(moved, f.lines[starts[from]:after(starts, from, end)]...)
	}
	copy(moved[keyLine][:width], prefix)
	copy(f.lines[starts[0]:end], moved)
}

// orderFlow moves the pairs of a map in braces that stands in one line.
func (f *formatter) orderFlow(n *node, to []int) {
	line := f.lines[n.line-1]
	type span struct{ from, to int }
	spans := make([]span, len(n.pairs))
	for i, p := range n.pairs {
		if p.key.line != n.line {
			return
		}
		spans[i] = span{p.key.col - 1, pairEnd(line, p.key.col-1)}
		if spans[i].to < 0 || i > 0 && spans[i].from < spans[i-1].to {
			return
		}
	}
	out := slices.Clone(line[:spans[0].from])
	for i, from := range to {
		out = append(out, line[spans[from].from:spans[from].to]...)
		between := spans[len(spans)-1].to
		if i+1 < len(spans) {
			out = append(out, line[spans[i].to:spans[i+1].from]...)
			continue
		}
		out = append(out, line[between:]...)
	}
	f.lines[n.line-1] = out
}

// pairEnd is where a pair of a map in braces ends: at the comma or the brace that closes it; -1 if not in this line.
func pairEnd(line []rune, from int) int {
	depth, last := 0, rune('{')
	for i := from; i < len(line); i++ {
		r := line[i]
		switch {
		case (r == '"' || r == '\'') && strings.ContainsRune("{[,:", last):
			if i = quoteEnd(line, i); i < 0 {
				return -1
			}
		case r == '{' || r == '[':
			depth++
		case depth == 0 && (r == ',' || r == '}' || r == ']'):
			for i > from && line[i-1] == ' ' {
				i--
			}
			return i
		case r == '}' || r == ']':
			depth--
		case r == '#' && i > 0 && line[i-1] == ' ':
			return -1
		}
		if r != ' ' {
			last = r
		}
	}
	return -1
}

// quoteEnd is where the text in quotes that begins at from closes; -1 if not in this line.
func quoteEnd(line []rune, from int) int {
	quote := line[from]
	for i := from + 1; i < len(line); i++ {
		switch {
		case line[i] == '\\' && quote == '"':
			i++
		case line[i] == quote && quote == '\'' && i+1 < len(line) && line[i+1] == quote:
			i++
		case line[i] == quote:
			return i
		}
	}
	return -1
}
