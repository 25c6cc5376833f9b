package rules

import (
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
)

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
	if t, ok := x.scope.vars[name]; ok {
		x.untyped = x.untyped || t.Kind == typeUnknown
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
	case "entry", "event", "original", "collected":
		x.fail(n.Location().From, "", "%s is not known here", name)
	default:
		x.fail(n.Location().From, nearest(name, x.scope.names()), "%q is not known here", name)
	}
}

func (x *exprCheck) member(n *ast.MemberNode, in *predicateScope) {
	base, _ := x.typeOf(n.Node, in)
	name, named := n.Property.(*ast.StringNode)
	at := n.Property.Location().From
	if id, ok := n.Node.(*ast.IdentifierNode); ok && named && id.Value == "segment" {
		x.segments[name.Value] = true
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
		pair, isPair := p.(*ast.PairNode)
		if !isPair {
			continue
		}
		key, isName := pair.Key.(*ast.StringNode)
		if !isName {
			continue // walk reports it
		}
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
		x.c.asked[event] = true
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
			x.fail(args[window].Location().From, "", "%q is no duration: write 2d, 30d or 1w", text)
		} else if d < 24*time.Hour {
			x.fail(args[window].Location().From, "", "%q is too short: counts are kept by day, so a window is 1d or more", text)
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
