package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// What a folder may hold. A program is text that a person wrote: whatever is larger is a mistake or an attack.
const (
	maxFileBytes = 256 << 10
	maxFiles     = 200
	maxDepth     = 32    // of nested maps and lists
	maxLine      = 4000  // characters
	maxTokens    = 30000 // of YAML, in a file
)

// source is one file as it was read.
type source struct {
	name  string
	lines []string
}

func newSource(name, text string) *source {
	return &source{name: name, lines: strings.Split(unixLines(text), "\n")}
}

// unixLines is a text without what Windows puts before it and at the end of its lines.
func unixLines(text string) string {
	return strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
}

func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
}

// node is a value in a file, with its place. A scalar keeps the text that stands in the file: the language has no use for
// YAML's own idea of what is a number or a boolean.
type node struct {
	src       *source
	shape     shape
	style     style
	value     string // of a scalar
	line, col int
	comment   bool // a scalar that a comment follows so closely that it may have been meant as part of it
	flow      bool // a map in braces
	pairs     []pair
	items     []*node
}

type pair struct{ key, value *node }

type shape int

const (
	scalar shape = iota
	mapping
	list
)

func (s shape) String() string { return [...]string{"a text", "a map", "a list"}[s] }

type style int

const (
	plain style = iota
	singleQuoted
	doubleQuoted
	block // | and >
)

func (n *node) position() Position { return Position{File: n.src.name, Line: n.line, Column: n.col} }

// get is the value of a key, or nil.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, p := range n.pairs {
		if p.key.value == key {
			return p.value
		}
	}
	return nil
}

// key is the node of a key itself.
func (n *node) key(key string) *node {
	for _, p := range n.pairs {
		if p.key.value == key {
			return p.key
		}
	}
	return n
}

// at is where in the file the character with this index in a scalar's value stands. Folding and escapes change only white
// space and single characters, so the count of characters that are not white space finds the place.
func (n *node) at(offset int) Position {
	pos := n.position()
	runes := []rune(n.value)
	offset = min(max(offset, 0), len(runes))
	if n.style == plain && !strings.Contains(n.value, "\n") && strings.Contains(n.src.line(n.line), n.value) {
		pos.Column += offset
		return pos
	}
	before := 0
	for _, r := range runes[:offset] {
		if !unicode.IsSpace(r) {
			before++
		}
	}
	line, col := n.line, n.col-1
	switch n.style {
	case singleQuoted, doubleQuoted:
		col++
	case block:
		line, col = line+1, 0
	default:
	}
	for ; line <= len(n.src.lines); line, col = line+1, 0 {
		raw := []rune(n.src.line(line))
		for col < len(raw) {
			width, counts := 1, !unicode.IsSpace(raw[col])
			switch {
			case n.style == singleQuoted && raw[col] == '\'':
				width = 2
			case n.style == doubleQuoted && raw[col] == '\\':
				width, counts = escape(raw[col:])
			default:
			}
			if counts {
				if before == 0 {
					return Position{File: pos.File, Line: line, Column: col + 1}
				}
				before--
			}
			col += width
		}
	}
	return pos
}

// escape is how many characters an escape in double quotes takes, and whether it stands for one that is not white space.
func escape(raw []rune) (width int, counts bool) {
	if len(raw) < 2 {
		return 1, false
	}
	switch raw[1] {
	case 'x':
		return 4, true
	case 'u':
		return 6, true
	case 'U':
		return 10, true
	case 'n', 't', 'r', ' ', '\t', '_', 'N', 'L', 'P', 'v', 'f':
		return 2, false
	default:
		return 2, true
	}
}

// yamlWords says what to do where the library says only that something is not allowed: nearly always the indentation is wrong.
func yamlWords(message string) string {
	if strings.HasPrefix(message, "value is not allowed in this context") {
		return "this does not line up with what stands above: indent it like its neighbours"
	}
	return message
}

// parseYAML reads one file. It answers nil when it has reported why not.
func (c *checker) parseYAML(src *source, text string) (root *node) {
	whole := &node{src: src, line: 1, col: 1}
	if !c.readable(whole, text) {
		return nil
	}
	defer func() {
		if recover() != nil { // the YAML library has panicked on hostile input before
			c.report(whole.position(), "", "it cannot be read as YAML")
			root = nil
		}
	}()
	tokens := lexer.Tokenize(unixLines(text))
	if !c.shallow(src, tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, parser.ParseComments)
	if err != nil {
		pos, message := whole.position(), err.Error()
		if syntax, ok := errors.AsType[yaml.Error](err); ok {
			message = syntax.GetMessage()
			if tk := syntax.GetToken(); tk != nil && tk.Position != nil {
				pos = tokenPosition(src, tk)
			}
		}
		c.report(pos, "", "%s", yamlWords(strings.TrimSpace(strings.SplitN(message, "\n", 2)[0])))
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			c.report(tokenPosition(src, doc.Body.GetToken()), "", "a file holds one document; put the second into a file of its own")
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		c.report(whole.position(), "", "the file is empty")
		return nil
	}
	before := len(c.found)
	root = c.convert(src, body, 0)
	if len(c.found) > before {
		return nil // what is built on a tree with holes would be reported twice
	}
	return root
}

func (c *checker) readable(whole *node, text string) bool {
	switch {
	case len(text) > maxFileBytes:
		c.report(Position{File: whole.src.name}, "", "the file is larger than %d KB", maxFileBytes>>10)
	case !utf8.ValidString(text):
		c.report(Position{File: whole.src.name}, "", "the file is not UTF-8 text")
	case strings.ContainsRune(text, 0):
		c.report(Position{File: whole.src.name}, "", "the file contains a NUL character")
	default:
		for i, line := range whole.src.lines {
			if utf8.RuneCountInString(line) > maxLine {
				c.report(Position{File: whole.src.name, Line: i + 1, Column: 1}, "", "the line is longer than %d characters", maxLine)
				return false
			}
			if indent := len(line) - len(strings.TrimLeft(line, " ")); indent < len(line) && line[indent] == '\t' {
				c.report(Position{File: whole.src.name, Line: i + 1, Column: indent + 1}, "", "indent with spaces: a tab is not allowed here")
				return false
			}
		}
		return true
	}
	return false
}

// shallow refuses what the parser, which is recursive, should not be given.
func (c *checker) shallow(src *source, tokens token.Tokens) bool {
	if len(tokens) > maxTokens {
		c.report(Position{File: src.name}, "", "the file has too many parts")
		return false
	}
	flow, inLine, line, deepest := 0, 0, 0, map[int]bool{}
	for _, tk := range tokens {
		if tk.Position.Line != line {
			line, inLine = tk.Position.Line, 0
		}
		switch tk.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType:
			inLine++
		case token.MappingValueType:
			deepest[tk.Position.IndentNum] = true
		default:
		}
		if flow > maxDepth || inLine > maxDepth || len(deepest) > 4*maxDepth {
			c.report(tokenPosition(src, tk), "", "this is nested more than %d deep", maxDepth)
			return false
		}
	}
	return true
}

func tokenPosition(src *source, tk *token.Token) Position {
	return Position{File: src.name, Line: max(tk.Position.Line, 1), Column: max(tk.Position.Column, 1)}
}

// convert makes a node of the library's, and reports the traps of YAML on the way.
func (c *checker) convert(src *source, from ast.Node, depth int) *node {
	pos := tokenPosition(src, from.GetToken())
	n := &node{src: src, line: pos.Line, col: pos.Column}
	if depth > maxDepth {
		c.report(pos, "", "this is nested more than %d deep", maxDepth)
		return n
	}
	switch from := from.(type) {
	case *ast.MappingNode:
		n.shape, n.flow = mapping, from.IsFlowStyle
		for _, v := range from.Values {
			c.convertPair(n, v, depth)
		}
		if len(from.Values) > 0 && !from.IsFlowStyle {
			n.line, n.col = n.pairs[0].key.line, n.pairs[0].key.col
		}
	case *ast.MappingValueNode:
		n.shape = mapping
		c.convertPair(n, from, depth)
		n.line, n.col = n.pairs[0].key.line, n.pairs[0].key.col
	case *ast.SequenceNode:
		n.shape = list
		for _, v := range from.Values {
			n.items = append(n.items, c.convert(src, v, depth+1))
		}
	case *ast.LiteralNode:
		n.style = block
		n.value = from.Value.Value
	case *ast.NullNode:
		c.report(pos, "", "the value is missing; for an empty text write \"\"")
	case *ast.TagNode:
		c.report(pos, "", "a value that begins with ! is a YAML tag: put it in quotes")
	case *ast.AnchorNode:
		c.report(pos, "", "a value that begins with & is a YAML anchor: put it in quotes")
	case *ast.AliasNode:
		c.report(pos, "", "a value that begins with * is a YAML alias: put it in quotes")
	case ast.ScalarNode:
		c.convertScalar(n, from)
	default:
		c.report(pos, "", "this YAML is not part of the language: %s", strings.ToLower(from.Type().String()))
	}
	return n
}

func (c *checker) convertScalar(n *node, from ast.ScalarNode) {
	tk := from.GetToken()
	n.value = tk.Value
	switch tk.Type {
	case token.SingleQuoteType:
		n.style = singleQuoted
	case token.DoubleQuoteType:
		n.style = doubleQuoted
	case token.MergeKeyType:
		c.report(n.position(), "", "<< merges maps by alias, which is not part of the language")
	default:
		n.comment = tightComment(n.src, from.GetComment())
	}
}

// tightComment tells whether the comment after an unquoted value may be a part of it that YAML cut off: one on a line of its
// own, or set apart by two spaces and with one after its #, is a comment.
func tightComment(src *source, comment *ast.CommentGroupNode) bool {
	if comment == nil || len(comment.Comments) == 0 {
		return false
	}
	pos := tokenPosition(src, comment.Comments[0].GetToken())
	line := []rune(src.line(pos.Line))
	if pos.Column > len(line) {
		return false
	}
	before, after := string(line[:pos.Column-1]), string(line[pos.Column-1:])
	if strings.TrimSpace(before) == "" {
		return false
	}
	return !strings.HasSuffix(before, "  ") || !strings.HasPrefix(after, "# ")
}

func (c *checker) convertPair(n *node, from *ast.MappingValueNode, depth int) {
	key := &node{src: n.src, line: n.line, col: n.col}
	switch k := from.Key.(type) {
	case ast.ScalarNode:
		pos := tokenPosition(n.src, k.GetToken())
		key.line, key.col = pos.Line, pos.Column
		c.convertScalar(key, k)
	default:
		c.report(tokenPosition(n.src, from.Key.GetToken()), "", "a key is a plain word")
	}
	if _, missing := from.Value.(*ast.NullNode); missing && strings.ContainsAny(key.value, "()\"") && key.value != "" {
		// {where: f(a, b)}: YAML has cut the value in two.
		c.report(key.position(), "", "inside { } a comma ends the value: put the whole of it in quotes")
		n.pairs = append(n.pairs, pair{key: key, value: key})
		return
	}
	value := c.convert(n.src, from.Value, depth+1)
	if _, ok := from.Value.(*ast.NullNode); ok {
		value.line, value.col = key.line, key.col
	}
	n.pairs = append(n.pairs, pair{key: key, value: value})
}

// report adds a mistake, once.
func (c *checker) report(pos Position, suggestion, format string, args ...any) {
	c.diagnose(SeverityError, pos, suggestion, format, args...)
}

// warn adds a warning, once.
func (c *checker) warn(pos Position, format string, args ...any) {
	c.diagnose(SeverityWarning, pos, "", format, args...)
}

func (c *checker) diagnose(severity Severity, pos Position, suggestion, format string, args ...any) {
	d := Diagnostic{
		Severity: severity, File: pos.File, Line: pos.Line, Column: pos.Column, Message: fmt.Sprintf(format, args...), Suggestion: suggestion,
	}
	if src := c.sources[pos.File]; src != nil {
		d.Source = src.line(pos.Line)
	}
	if slices.Contains(c.found, d) {
		return
	}
	if len(c.found) < maxDiagnostics {
		c.found = append(c.found, d)
	}
}

// maxDiagnostics bounds what one Load reports: nobody reads more.
const maxDiagnostics = 200
