package rules

import (
	"maps"
	"slices"
	"strings"
)

// segmentsFile reads segments.yaml, which a program need not have.
func (c *checker) segmentsFile(n *node) {
	if n == nil || !c.open(n, segmentsGrammar) {
		return
	}
	all := n.get("segments")
	if !c.is(all, mapping) {
		return
	}
	at := map[string]*node{}
	for _, p := range all.pairs {
		if !fieldName.MatchString(p.key.value) || reserved(p.key.value) {
			c.at(p.key, "%q cannot be the name of a segment: use lower-case letters, digits and _, and begin with a letter", p.key.value)
			continue
		}
		s := &Segment{Name: p.key.value}
		c.prog.Segments[s.Name], at[s.Name] = s, p.key
		if c.open(p.value, segmentGrammar) {
			s.Title, s.Where = c.plainText(p.value.get("title")), c.expr(p.value.get("where"), c.scope(), wantBool)
		}
	}
	done := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(at)) {
		c.segmentCircle(name, nil, at, done)
	}
}

// segmentCircle reports a segment that is defined by itself, by way of others, once.
func (c *checker) segmentCircle(name string, path []string, at map[string]*node, done map[string]bool) {
	if i := slices.Index(path, name); i >= 0 {
		circle := append(slices.Clone(path[i:]), name)
		c.at(at[path[i]], "the segment is defined by itself: %s", strings.Join(circle, " → "))
		return
	}
	s := c.prog.Segments[name]
	if done[name] || s == nil || s.Where == nil {
		return
	}
	for _, next := range keysOf(s.Where.segments) {
		if at[next] != nil {
			c.segmentCircle(next, append(path, name), at, done)
		}
	}
	done[name] = true
}
