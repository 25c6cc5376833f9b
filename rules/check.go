package rules

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checker reads one folder: it collects every mistake and fills the Program in.
type checker struct {
	sources map[string]*source
	found   Diagnostics
	prog    *Program
	publish bool // it is to be published: what LoadPublished lets pass is checked as well

	totals   map[string]map[string]bool // event → field: what total() reads
	asked    map[string]bool            // events that times(), total() and latest() ask about
	rewards  map[string]bool            // the names of the catalog, even of a reward that is otherwise wrong
	messages map[string]bool            // of the templates
	groups   map[string]bool            // the names of the segments
	journeys map[string]bool
	later    []func() // what can only be checked when every file has been read
	use      usage
}

var (
	fieldName   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,49}$`)
	plainName   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,49}$`)
	eventName   = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$`)
	durationRE  = regexp.MustCompile(`^([0-9]{1,9})([smhdw])$`)
	languageRE  = regexp.MustCompile(`^[a-z]{2,3}([_-][A-Z]{2})?$`)
	countryRE   = regexp.MustCompile(`^[A-Z]{2}$`)
	currencyRE  = regexp.MustCompile(`^[A-Z]{3}$`)
	timeOfDayRE = regexp.MustCompile(`^([01][0-9]|2[0-3]):([0-5][0-9])$`)
)

// operatorWords are part of how an expression is written: they cannot name anything.
var operatorWords = map[string]bool{
	"true": true, "false": true, "nil": true, "and": true, "or": true, "not": true, "in": true, "if": true, "else": true, "let": true,
	"matches": true, "contains": true,
}

// reservedWords cannot name a parameter or what `as` binds: they stand for something else already. Operator words beside.
var reservedWords = map[string]bool{
	"customer": true, "points": true, "program": true, "now": true, unsubscribeName: true, "entry": true, "event": true, "collected": true,
	"segment": true, "consent": true, "times": true, "total": true, "latest": true, "days": true, "first": true, "default": true,
	"anniversary": true, "years": true, "weekday": true,
}

func reserved(word string) bool { return operatorWords[word] || reservedWords[word] }

func (c *checker) at(n *node, format string, args ...any) {
	c.report(n.position(), "", format, args...)
}

func (c *checker) suggest(n *node, suggestion, format string, args ...any) {
	c.report(n.position(), suggestion, format, args...)
}

// is tells whether a node has a shape, and reports it if not. A nil node has none and is reported elsewhere.
func (c *checker) is(n *node, s shape) bool {
	if n == nil {
		return false
	}
	if n.shape != s {
		c.at(n, "%s is expected here, not %s", s, n.shape)
		return false
	}
	return true
}

// open checks that a node is a map with the keys of an object: no other, and all that it must have. One that is missing and one
// that is most likely it, misspelt, are one mistake.
func (c *checker) open(n *node, o *object) bool {
	if !c.is(n, mapping) {
		return false
	}
	names, meant := o.names(), map[string]bool{}
	for _, p := range n.pairs {
		if _, ok := o.key(p.key.value); ok || len(c.found) >= maxDiagnostics {
			continue
		}
		near := nearest(p.key.value, names)
		meant[near] = true
		c.suggest(p.key, near, "%q is not known", p.key.value)
	}
	for _, k := range o.keys {
		if k.need && n.get(k.name) == nil && !meant[k.name] {
			c.at(n, "%s is missing", k.name)
		}
	}
	return true
}

// need reports that a key is missing which must be there for a reason that the grammar does not know.
func (c *checker) need(n *node, key string) {
	if n.get(key) == nil {
		c.at(n, "%s is missing", key)
	}
}

// items are the values of a list; nil for anything else, which is reported.
func (c *checker) items(n *node) []*node {
	if !c.is(n, list) {
		return nil
	}
	return n.items
}

// str is a scalar's text. An empty one is reported.
func (c *checker) str(n *node) string {
	if !c.is(n, scalar) {
		return ""
	}
	if strings.TrimSpace(n.value) == "" {
		c.at(n, "a text is expected here")
	}
	return n.value
}

// name is a scalar that names something: lower-case letters, digits, _ and -.
func (c *checker) name(n *node) string {
	if !c.is(n, scalar) {
		return ""
	}
	if !plainName.MatchString(n.value) {
		c.at(n, "%q cannot be a name: use lower-case letters, digits, - and _, at most 50", n.value)
		return ""
	}
	return n.value
}

// oneOf is a scalar that is one of some words.
func (c *checker) oneOf(n *node, what string, words ...string) string {
	if !c.is(n, scalar) {
		return ""
	}
	if !slices.Contains(words, n.value) {
		c.suggest(n, nearest(n.value, words), "%s is %s, not %q", what, alternatives(words), n.value)
		return ""
	}
	return n.value
}

func alternatives(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

func (c *checker) boolean(n *node) bool {
	return n != nil && c.oneOf(n, "this", "true", "false") == "true"
}

// integer is a whole number of at least low.
func (c *checker) integer(n *node, low int64) int64 {
	if !c.is(n, scalar) {
		return 0
	}
	i, err := strconv.ParseInt(n.value, 10, 64)
	if err != nil || i < low || i > 1_000_000_000 {
		c.at(n, "a whole number of at least %d is expected, not %q", low, n.value)
		return low
	}
	return i
}

func (c *checker) amount(n *node) float64 {
	if !c.is(n, scalar) {
		return 0
	}
	f, err := strconv.ParseFloat(n.value, 64)
	if err != nil || !(f >= 0) || f > 1e12 {
		c.at(n, "an amount is expected, not %q", n.value)
		return 0
	}
	return f
}

const maxDuration = 10 * 365 * 24 * time.Hour

// duration reads 30s 10m 1h 2d 1w.
func (c *checker) duration(n *node) time.Duration {
	if !c.is(n, scalar) {
		return 0
	}
	d, ok := parseDuration(n.value)
	switch {
	case !ok:
		c.at(n, "%q is no duration: write 30s, 10m, 1h, 2d or 1w", n.value)
	case d <= 0:
		c.at(n, "a duration is longer than nothing")
	case d > maxDuration:
		c.at(n, "a duration is at most ten years")
	}
	return d
}

func parseDuration(s string) (time.Duration, bool) {
	m := durationRE.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	count, err := strconv.Atoi(m[1])
	if err != nil {
		return 0, false
	}
	unit := map[string]time.Duration{
		"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
	}[m[2]]
	if time.Duration(count) > maxDuration/unit+1 {
		return maxDuration + 1, true
	}
	return time.Duration(count) * unit, true
}

// FormatDuration is a duration as the language writes it: 1d.
func FormatDuration(d time.Duration) string { return formatDuration(d) }

// formatDuration writes a duration as parseDuration reads it.
func formatDuration(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{7 * 24 * time.Hour, "w"}, {24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= u.unit && d%u.unit == 0 && (u.name != "w" || d == u.unit) {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// known checks that a scalar names one of some things, and answers the name, or "" if it does not.
func (c *checker) known(n *node, what string, names []string) string {
	if !c.is(n, scalar) {
		return ""
	}
	if !slices.Contains(names, n.value) {
		c.suggest(n, nearest(n.value, names), "there is no %s %q", what, n.value)
		return ""
	}
	return n.value
}

// event is the name of an event that the program knows, with its schema.
func (c *checker) event(n *node) (string, Schema) {
	name := c.known(n, "event", c.prog.eventNames())
	s, _ := c.prog.Schema(name)
	return name, s
}

// topics is a list of declared topics.
func (c *checker) topics(n *node) []string {
	var names []string
	for _, item := range c.items(n) {
		name := c.known(item, "topic", c.topicNames())
		if name != "" && slices.Contains(names, name) {
			c.at(item, "the topic %q stands here twice", name)
		} else if name != "" {
			names = append(names, name)
		}
	}
	if n != nil && n.shape == list && len(n.items) == 0 {
		c.at(n, "at least one topic is expected")
	}
	return names
}

func (c *checker) topicNames() []string {
	names := make([]string, len(c.prog.Topics))
	for i, t := range c.prog.Topics {
		names[i] = t.Name
	}
	return names
}

func (c *checker) keywordNames() []string {
	names := make([]string, len(c.prog.Keywords))
	for i, k := range c.prog.Keywords {
		names[i] = k.Name
	}
	return names
}

func keysOf(m map[string]bool) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
