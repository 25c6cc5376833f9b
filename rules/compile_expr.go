package rules

import (
	"errors"
	"reflect"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

// What an expression may be at most.
const (
	maxSource     = 2 << 10
	maxNodes      = 200
	maxNesting    = 24 // of brackets, counted before the recursive parser sees them
	maxPattern    = 100
	maxPredicates = 60 // nodes in a predicate: it runs for each value of a list
)

// want is what an expression's place expects of it.
type want int

const (
	wantBool want = iota
	wantNumber
	wantString
	wantText  // anything that can stand in a text
	wantValue // anything
)

// expr compiles a scalar that is an expression. It answers nil when it has reported why not.
func (c *checker) expr(n *node, sc scope, w want) *Expr {
	if !c.is(n, scalar) {
		return nil
	}
	if n.comment {
		c.at(n, "a comment follows an unquoted expression: put the expression in quotes, or two spaces before the # and one after")
		return nil
	}
	return c.compile(n, n.value, 0, sc, w)
}

// compile compiles the source that stands in a scalar's value from an offset, in characters.
func (c *checker) compile(n *node, source string, offset int, sc scope, w want) *Expr {
	x := &exprCheck{c: c, n: n, offset: offset, scope: sc, where: n.at(offset), names: map[string]bool{},
		attributes: map[string]bool{}, segments: map[string]bool{}}
	if !x.bounded(source) {
		return nil
	}
	config := conf.CreateNew()
	for _, option := range exprOptions() {
		option(config)
	}
	for name := range config.Disabled {
		delete(config.Builtins, name)
	}
	tree, err := parser.ParseWithConfig(source, config)
	if err != nil {
		x.refuse(err)
		return nil
	}
	if x.walk(tree.Node, nil); x.failed {
		return nil
	}
	env := types.Map{}
	for name, t := range sc.vars {
		env[name] = exprType(t)
	}
	for name := range x.params {
		env[name] = types.String
	}
	for name, t := range lookupTypes {
		env[name] = t
	}
	options := append(exprOptions(), expr.Env(env))
	switch w {
	case wantBool:
		options = append(options, expr.AsBool())
	case wantNumber:
		options = append(options, expr.AsFloat64())
	case wantString:
		options = append(options, expr.AsKind(reflect.String))
	default:
		options = append(options, expr.AsAny())
	}
	// The first pass checks every argument; the second knows the types of what our generic functions answer, and so may refuse
	// a result of which nothing is known.
	if _, err := expr.Compile(source, options...); err != nil {
		x.refuse(err)
		return nil
	}
	if w != wantText && w != wantValue {
		options = append(options, expr.WarnOnAny())
	}
	program, err := expr.Compile(source, append(options, expr.Patch(&typer{x: x}))...)
	if err != nil {
		x.refuse(err)
		return nil
	}
	result, isOptional := x.typeOf(tree.Node, nil)
	if result.Kind == typeUnknown && w == wantValue {
		result = libraryType(program)
	}
	c.use.expression(x)
	if w == wantBool && len(x.names) == 0 {
		c.constantCondition(x, program)
	}
	if w == wantText {
		kind := program.Node().Type().Kind()
		switch {
		case result.Kind == TypeList || result.Kind == TypeRecord || result.Kind == typeDuration,
			kind == reflect.Slice, kind == reflect.Map, kind == reflect.Func:
			x.fail(0, "", "only a text, a number, a date or true and false can be filled in, not %s", x.describe(result))
			return nil
		}
	}
	return &Expr{Where: x.where, source: source, program: program, result: result, optional: isOptional, names: x.names, segments: x.segments}
}

// constantCondition warns of a condition that is the same for everybody.
func (c *checker) constantCondition(x *exprCheck, program *vm.Program) {
	holds, err := (&Expr{program: program}).Bool(nil)
	switch {
	case err != nil:
	case holds:
		c.warn(x.where, "this holds always: it can be left out")
	default:
		c.warn(x.where, "this never holds")
	}
}

// libraryType is what the library alone knows of an expression's type.
func libraryType(program *vm.Program) FieldType {
	t := program.Node().Type()
	switch {
	case t == reflect.TypeFor[time.Time]():
		return FieldType{Kind: TypeTime}
	case t == reflect.TypeFor[time.Duration]():
		return FieldType{Kind: typeDuration}
	}
	switch t.Kind() {
	case reflect.String:
		return FieldType{Kind: TypeString}
	case reflect.Bool:
		return FieldType{Kind: TypeBool}
	case reflect.Int:
		return FieldType{Kind: TypeInteger}
	case reflect.Float64:
		return FieldType{Kind: TypeNumber}
	default:
		return FieldType{}
	}
}

// exprCheck checks one expression's tree before the library's own checks: that it holds only what the language allows, and
// that what it names exists.
type exprCheck struct {
	c      *checker
	n      *node
	offset int
	where  Position
	scope  scope
	names  map[string]bool
	params map[string]bool
	// untyped tells that it reads a field whose declared type is a mistake: what follows from that is none of its own.
	untyped bool
	// attributes and segments are which of them it reads.
	attributes, segments map[string]bool
	failed               bool
}

// fail reports the first mistake of the expression; further ones may follow from it.
func (x *exprCheck) fail(at int, suggestion, format string, args ...any) {
	if !x.failed {
		x.failed = true
		x.c.report(x.n.at(x.offset+at), suggestion, format, args...)
	}
}

// refuse reports an error of the library.
func (x *exprCheck) refuse(err error) {
	if x.untyped {
		x.failed = true
		return
	}
	var at *file.Error
	if errors.As(err, &at) {
		x.fail(at.From, "", "%s", exprWords(at.Message))
		return
	}
	x.fail(0, "", "%s", exprWords(strings.SplitN(err.Error(), "\n", 2)[0]))
}

var (
	expectedButGot = regexp.MustCompile(`^expected (.*), but got (.*)$`)
	tokenWords     = regexp.MustCompile(`(?:Operator|Bracket|Identifier|Number|String)\("((?:[^"\\]|\\.)*)"\)`)
	typeNames      = strings.NewReplacer("map[string]interface {}", "map", "[]interface {}", "list", "interface {}", "a value of unknown type",
		"float64", "number", "time.Time", "time", "time.Duration", "duration", "token EOF", "end")
)

// exprWords says in the language's words what the library says in Go's.
func exprWords(message string) string {
	if m := expectedButGot.FindStringSubmatch(message); m != nil {
		what := map[string]string{"bool": "a condition", "float64": "a number", "string": "a string"}[m[1]]
		if m[2] == "unknown" {
			return what + " is expected, and this may be anything"
		}
		return what + " is expected, not " + typeNames.Replace(m[2])
	}
	message = tokenWords.ReplaceAllString(message, "$1")
	return strings.TrimSpace(typeNames.Replace(message))
}

func (x *exprCheck) bounded(source string) bool {
	switch {
	case strings.TrimSpace(source) == "":
		x.fail(0, "", "an expression is expected here")
	case len(source) > maxSource:
		x.fail(0, "", "the expression is longer than %d KB", maxSource>>10)
	case !utf8.ValidString(source):
		x.fail(0, "", "the expression is not UTF-8 text")
	}
	depth, quote, i := 0, rune(0), -1
	escaped := false
	for _, r := range source {
		i++
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			x.fail(i, "", "the expression contains a control character")
		}
		switch {
		case quote != 0:
			if r == quote && !escaped {
				quote = 0
			}
			escaped = r == '\\' && !escaped && quote != '`'
		case r == '"' || r == '\'' || r == '`':
			quote = r
		case r == '(' || r == '[' || r == '{':
			if depth++; depth > maxNesting {
				x.fail(i, "", "the expression is nested more than %d deep", maxNesting)
			}
		case r == ')' || r == ']' || r == '}':
			depth--
		}
		if x.failed {
			return false
		}
	}
	return !x.failed
}

// walk checks a tree. in is the predicate that it stands in, if any.
func (x *exprCheck) walk(n ast.Node, in *predicateScope) {
	at := n.Location().From
	switch n := n.(type) {
	case *ast.NilNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode, *ast.ConstantNode:
	case *ast.IdentifierNode:
		x.identifier(n)
	case *ast.UnaryNode:
		x.walk(n.Node, in)
	case *ast.BinaryNode:
		if n.Operator == ".." {
			x.fail(at, "", "ranges are not part of the language")
			return
		}
		if n.Operator == "matches" && !x.pattern(n.Right) {
			return
		}
		x.walk(n.Left, in)
		x.walk(n.Right, in)
	case *ast.ChainNode:
		x.walk(n.Node, in)
	case *ast.MemberNode:
		x.walk(n.Node, in)
		if _, name := n.Property.(*ast.StringNode); !name {
			x.walk(n.Property, in)
		}
		if !x.failed {
			x.member(n, in)
		}
	case *ast.SliceNode:
		for _, part := range []ast.Node{n.Node, n.From, n.To} {
			if part != nil {
				x.walk(part, in)
			}
		}
	case *ast.CallNode:
		x.call(n, in)
	case *ast.BuiltinNode:
		x.builtin(n, in)
	case *ast.PredicateNode:
		x.walk(n.Node, in)
	case *ast.PointerNode:
		if in == nil || n.Name != "" && n.Name != "index" {
			x.fail(at, "", "# stands only in the condition of a list's function")
		}
	case *ast.ConditionalNode:
		x.walk(n.Cond, in)
		x.walk(n.Exp1, in)
		x.walk(n.Exp2, in)
	case *ast.ArrayNode:
		for _, item := range n.Nodes {
			x.walk(item, in)
		}
	case *ast.MapNode:
		for _, p := range n.Pairs {
			x.walk(p, in)
		}
	case *ast.PairNode:
		if _, constant := n.Key.(*ast.StringNode); !constant {
			x.fail(n.Key.Location().From, "", "a key is a text in quotes")
			return
		}
		x.walk(n.Value, in)
	case *ast.VariableDeclaratorNode, *ast.SequenceNode:
		x.fail(at, "", "an expression is one value: `let` and ; are not part of the language")
	default:
		x.fail(at, "", "this is not part of the language")
	}
}

// pattern checks what `matches` compares with: it is known, and small, since each character of a text may try all of it.
func (x *exprCheck) pattern(n ast.Node) bool {
	text, constant := n.(*ast.StringNode)
	if !constant {
		x.fail(n.Location().From, "", "what `matches` compares with is a text in quotes")
		return false
	}
	parsed, err := syntax.Parse(text.Value, syntax.Perl)
	if err == nil {
		var program *syntax.Prog
		if program, err = syntax.Compile(parsed.Simplify()); err == nil && len(program.Inst) > maxPattern {
			x.fail(n.Location().From, "", "the pattern of `matches` is too long")
			return false
		}
	}
	if err != nil {
		x.fail(n.Location().From, "", "%q is no pattern", text.Value)
		return false
	}
	return true
}

func (x *exprCheck) identifier(n *ast.IdentifierNode) {
	name := n.Value
	if _, ok := x.scope.vars[name]; ok {
		x.names[name] = true
		return
	}
	if x.scope.param != nil && fieldName.MatchString(name) && !reserved(name) && x.scope.param(name) {
		if x.params == nil {
			x.params = map[string]bool{}
		}
		x.params[name], x.names[name] = true, true
		return
	}
	if _, ok := functions[name]; ok || lookups[name].low > 0 || allowedBuiltins[name] {
		x.fail(n.Location().From, "", "%s is a function: it needs its brackets", name)
		return
	}
	switch name {
	case "entry", "event", "collected":
		x.fail(n.Location().From, "", "%s is not known here", name)
	default:
		x.fail(n.Location().From, nearest(name, x.scope.names()), "%q is not known here", name)
	}
}

func (x *exprCheck) member(n *ast.MemberNode, in *predicateScope) {
	base, _ := x.typeOf(n.Node, in)
	name, named := n.Property.(*ast.StringNode)
	at := n.Property.Location().From
	if id, ok := n.Node.(*ast.IdentifierNode); ok && named {
		switch id.Value {
		case "customer":
			x.attributes[name.Value] = true
		case "segment":
			x.segments[name.Value] = true
		}
	}
	switch {
	case n.Method:
		x.fail(at, "", "methods are not part of the language")
	case base.Kind == typeUnknown:
	case base.Kind == TypeRecord && named:
		if f, ok := base.field(name.Value); ok {
			x.untyped = x.untyped || f.Type.Kind == typeUnknown
		} else {
			if fieldWord(n.Node) == "member" {
				x.fail(at, nearest(name.Value, base.names()), "there is no segment %q", name.Value)
				return
			}
			x.fail(at, nearest(name.Value, base.names()), "%s has no %s %q", x.subject(n.Node), fieldWord(n.Node), name.Value)
		}
	case base.Kind == TypeRecord:
		x.fail(at, "", "a field is named by a word, not computed")
	case base.Kind == TypeList && named:
		x.fail(at, "", "%s is a list: take one of it by first(…) or [0]", x.subject(n.Node))
	case base.Kind == TypeList:
	default:
		x.fail(at, "", "%s is %s and has no fields", x.subject(n.Node), x.describe(base))
	}
}

// subject names what a member is read of, as it was written where that is short.
func (x *exprCheck) subject(n ast.Node) string {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return n.Value
	case *ast.MemberNode:
		if s := n.String(); len(s) < 40 {
			return s
		}
	}
	return "it"
}

// fieldWord is what people call a field of a value.
func fieldWord(base ast.Node) string {
	if id, ok := base.(*ast.IdentifierNode); ok {
		switch id.Value {
		case "customer":
			return "attribute"
		case "event", "entry":
			return "property"
		case "segment":
			return "member"
		}
	}
	return "field"
}

func (x *exprCheck) describe(t FieldType) string {
	if t.Kind == typeUnknown {
		return "this"
	}
	return article(t.Kind)
}

func (x *exprCheck) call(n *ast.CallNode, in *predicateScope) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		x.fail(n.Callee.Location().From, "", "methods are not part of the language")
		return
	}
	at, name := callee.Location().From, callee.Value
	arity, own := functions[name]
	if l, ok := lookups[name]; ok && x.scope.lookups {
		arity, own = l, true
	}
	switch {
	case allowedBuiltins[name]:
	case !own && name == "now":
		x.fail(at, "", "now is a value: write it without brackets")
		return
	case !own:
		x.fail(at, nearest(name, functionNames(x.scope)), "there is no function %q here", name)
		return
	case len(n.Arguments) < arity.low || len(n.Arguments) > arity.high:
		x.fail(at, "", "%s takes %s", name, argumentCount(arity.low, arity.high))
		return
	}
	if in != nil && !allowedInPredicates[name] {
		x.fail(at, "", "%s cannot stand in the condition of a list's function", name)
		return
	}
	x.names[name+"()"] = true
	for _, a := range n.Arguments {
		x.walk(a, in)
	}
	if x.failed {
		return
	}
	x.lookup(name, n.Arguments)
	if name == "first" && len(n.Arguments) == 2 {
		x.firstDefault(n.Arguments, in)
	}
}

// firstDefault checks that the default of first(list, {…}) has fields that the list's values have.
func (x *exprCheck) firstDefault(args []ast.Node, in *predicateScope) {
	of, _ := x.typeOf(args[0], in)
	literal, ok := args[1].(*ast.MapNode)
	if !ok || of.Kind != TypeList || of.Of.Kind != TypeRecord {
		return
	}
	for _, p := range literal.Pairs {
		key := p.(*ast.PairNode).Key.(*ast.StringNode) // walk has checked that it is
		if _, ok := of.Of.field(key.Value); !ok {
			x.fail(key.Location().From, nearest(key.Value, of.Of.names()), "%s has no field %q", x.subject(args[0]), key.Value)
		}
	}
}

func argumentCount(low, high int) string {
	words := []string{"no values", "one value", "two values", "three values"}
	if low == high {
		return words[low]
	}
	return words[low][:strings.IndexByte(words[low], ' ')] + " or " + words[high]
}

// lookup checks what the functions of the Env are asked: it is known when the program is read.
func (x *exprCheck) lookup(name string, args []ast.Node) {
	constant := func(i int, what string) (string, bool) {
		if s, ok := args[i].(*ast.StringNode); ok {
			return s.Value, true
		}
		x.fail(args[i].Location().From, "", "%s of %s is a text in quotes", what, name)
		return "", false
	}
	window := 1
	switch name {
	case "consent":
		if topic, ok := constant(0, "the topic"); ok && !slices.Contains(x.c.topicNames(), topic) {
			x.fail(args[0].Location().From, nearest(topic, x.c.topicNames()), "there is no topic %q", topic)
		}
		return
	case "times", "total", "latest":
		event, ok := constant(0, "the event")
		if !ok {
			return
		}
		schema, known := x.c.prog.Schema(event)
		if !known {
			x.fail(args[0].Location().From, nearest(event, x.c.prog.eventNames()), "there is no event %q", event)
			return
		}
		if name == "latest" {
			return
		}
		if name == "total" {
			window = 2
			field, ok := constant(1, "the property")
			if !ok {
				return
			}
			if _, ok := schema.record().field(field); !ok {
				x.fail(args[1].Location().From, nearest(field, schema.record().names()), "%s has no property %q", event, field)
				return
			}
			if !schema.Numeric(field) {
				x.fail(args[1].Location().From, "", "%s of %s is no number", field, event)
				return
			}
			if x.c.totals[event] == nil {
				x.c.totals[event] = map[string]bool{}
			}
			x.c.totals[event][field] = true
		}
	default:
		return
	}
	if len(args) > window {
		text, ok := constant(window, "the window")
		if !ok {
			return
		}
		if d, ok := parseDuration(text); !ok || d <= 0 || d > maxDuration {
			x.fail(args[window].Location().From, "", "%q is no duration: write 30s, 10m, 1h, 2d or 1w", text)
		}
	}
}

func (x *exprCheck) builtin(n *ast.BuiltinNode, in *predicateScope) {
	at := n.Location().From
	predicate := len(n.Arguments) > 0 && hasPredicate(n.Arguments)
	switch {
	case allowedPredicates[n.Name]:
	case !allowedBuiltins[n.Name]:
		x.fail(at, nearest(n.Name, functionNames(x.scope)), "there is no function %q here", n.Name)
		return
	}
	if in != nil && (predicate || !allowedInPredicates[n.Name]) {
		x.fail(at, "", "%s cannot stand in the condition of a list's function", n.Name)
		return
	}
	x.names[n.Name+"()"] = true
	var over *predicateScope
	for i, a := range n.Arguments {
		p, ok := a.(*ast.PredicateNode)
		if !ok {
			x.walk(a, in)
			continue
		}
		if over == nil && i > 0 && !x.failed {
			of, _ := x.typeOf(n.Arguments[0], in)
			over = &predicateScope{}
			if of.Kind == TypeList {
				over.item = *of.Of
			}
		}
		if countNodes(p) > maxPredicates {
			x.fail(p.Location().From, "", "the condition of %s is too long", n.Name)
			return
		}
		x.walk(p, over)
	}
}

func hasPredicate(args []ast.Node) bool {
	return slices.ContainsFunc(args, func(a ast.Node) bool { _, ok := a.(*ast.PredicateNode); return ok })
}

type nodeCounter struct{ n int }

func (c *nodeCounter) Visit(*ast.Node) { c.n++ }

func countNodes(n ast.Node) int {
	var c nodeCounter
	ast.Walk(&n, &c)
	return c.n
}
