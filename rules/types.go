package rules

import "github.com/expr-lang/expr/ast"

// predicateScope is what # is in the condition of a list's function.
type predicateScope struct{ item FieldType }

// typeOf is what is known of an expression's type beyond what the library knows: which declared fields it reads, and whether
// they may be absent. Kind is typeUnknown where nothing is known.
func (x *exprCheck) typeOf(n ast.Node, in *predicateScope) (t FieldType, isOptional bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if x.params[n.Value] {
			return FieldType{Kind: TypeString}, false
		}
		return x.scope.vars[n.Value], false
	case *ast.StringNode:
		return FieldType{Kind: TypeString}, false
	case *ast.IntegerNode:
		return FieldType{Kind: TypeInteger}, false
	case *ast.FloatNode:
		return FieldType{Kind: TypeNumber}, false
	case *ast.BoolNode:
		return FieldType{Kind: TypeBool}, false
	case *ast.ChainNode:
		t, _ = x.typeOf(n.Node, in)
		return t, true
	case *ast.PointerNode:
		switch {
		case n.Name == "index":
			return FieldType{Kind: TypeInteger}, false
		case in != nil:
			return in.item, false
		}
	case *ast.MemberNode:
		return x.typeOfMember(n, in)
	case *ast.UnaryNode:
		if n.Operator == "-" || n.Operator == "+" {
			return x.typeOf(n.Node, in)
		}
		return FieldType{Kind: TypeBool}, false
	case *ast.BinaryNode:
		return x.typeOfBinary(n, in)
	case *ast.ConditionalNode:
		a, aOptional := x.typeOf(n.Exp1, in)
		b, bOptional := x.typeOf(n.Exp2, in)
		return same(a, b), aOptional || bOptional
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
			return x.typeOfCall(callee.Value, n.Arguments, in)
		}
	case *ast.BuiltinNode:
		return x.typeOfBuiltin(n, in)
	}
	return FieldType{}, false
}

func (x *exprCheck) typeOfMember(n *ast.MemberNode, in *predicateScope) (FieldType, bool) {
	base, isOptional := x.typeOf(n.Node, in)
	switch base.Kind { //nolint:exhaustive // nothing else has members
	case TypeRecord:
		if name, ok := n.Property.(*ast.StringNode); ok {
			f, _ := base.field(name.Value)
			return f.Type, f.Optional || isOptional
		}
	case TypeList:
		return *base.Of, isOptional
	}
	return FieldType{}, false
}

func (x *exprCheck) typeOfBinary(n *ast.BinaryNode, in *predicateScope) (FieldType, bool) {
	a, _ := x.typeOf(n.Left, in)
	b, bOptional := x.typeOf(n.Right, in)
	switch n.Operator {
	case "??":
		return same(a, b), bOptional
	case "+", "-", "*":
		switch {
		case a.Kind == TypeMoney && b.numeric(), b.Kind == TypeMoney && a.numeric():
			return FieldType{Kind: TypeMoney}, false
		case a.Kind == TypeInteger && b.Kind == TypeInteger:
			return FieldType{Kind: TypeInteger}, false
		case a.numeric() && b.numeric():
			return FieldType{Kind: TypeNumber}, false
		case a.text() && b.text():
			return FieldType{Kind: TypeString}, false
		case isTime(a) && isTime(b):
			return FieldType{Kind: typeDuration}, false
		case isTime(a) && b.Kind == typeDuration:
			return a, false
		case isTime(b) && a.Kind == typeDuration:
			return b, false
		}
	case "/":
		if a.Kind == TypeMoney && b.numeric() && b.Kind != TypeMoney {
			return FieldType{Kind: TypeMoney}, false
		}
		return FieldType{Kind: TypeNumber}, false
	case "%":
		return FieldType{Kind: TypeInteger}, false
	case "**", "^":
		return FieldType{Kind: TypeNumber}, false
	default:
		return FieldType{Kind: TypeBool}, false
	}
	return FieldType{}, false
}

func isTime(t FieldType) bool { return t.Kind == TypeTime || t.Kind == TypeDate }

// same is the type that two values have in common; unknown if they have none.
func same(a, b FieldType) FieldType {
	switch {
	case a.String() == b.String() && a.Kind != typeUnknown:
		return a
	case a.text() && b.text():
		return FieldType{Kind: TypeString}
	case a.Kind == TypeMoney && b.numeric():
		return a
	case b.Kind == TypeMoney && a.numeric():
		return b
	case a.numeric() && b.numeric():
		return FieldType{Kind: TypeNumber}
	default:
		return FieldType{}
	}
}

func (x *exprCheck) typeOfCall(name string, args []ast.Node, in *predicateScope) (FieldType, bool) {
	switch name {
	case "first":
		if len(args) > 0 {
			if l, _ := x.typeOf(args[0], in); l.Kind == TypeList {
				return *l.Of, len(args) < 2
			}
		}
	case "default":
		if len(args) == 2 {
			a, _ := x.typeOf(args[0], in)
			b, bOptional := x.typeOf(args[1], in)
			return same(a, b), bOptional
		}
	case "days":
		return FieldType{Kind: typeDuration}, false
	case "times", "years":
		return FieldType{Kind: TypeInteger}, false
	case "anniversary", segmentFunction:
		return FieldType{Kind: TypeBool}, false
	case "weekday":
		return FieldType{Kind: TypeString}, false
	case "consent":
		return FieldType{Kind: TypeString}, false
	case "total":
		if event, field := stringAt(args, 0), stringAt(args, 1); event != "" {
			schema, _ := x.c.prog.Schema(event)
			f, _ := schema.record().field(field)
			if f.Type.Kind == TypeMoney {
				return f.Type, false
			}
		}
		return FieldType{Kind: TypeNumber}, false
	case "latest":
		if schema, ok := x.c.prog.Schema(stringAt(args, 0)); ok {
			return schema.record(), true
		}
	}
	return FieldType{}, false
}

func stringAt(args []ast.Node, i int) string {
	if i < len(args) {
		if s, ok := args[i].(*ast.StringNode); ok {
			return s.Value
		}
	}
	return ""
}

func (x *exprCheck) typeOfBuiltin(n *ast.BuiltinNode, in *predicateScope) (FieldType, bool) {
	var of FieldType
	if len(n.Arguments) > 0 {
		of, _ = x.typeOf(n.Arguments[0], in)
	}
	switch n.Name {
	case "string", "trim", "upper", "lower", "join":
		return FieldType{Kind: TypeString}, false
	case "len", "int", "indexOf", "count":
		return FieldType{Kind: TypeInteger}, false
	case "float":
		return FieldType{Kind: TypeNumber}, false
	case "abs", "ceil", "floor", "round":
		if of.numeric() {
			return of, false
		}
	case "max", "min":
		for _, a := range n.Arguments[1:] {
			t, _ := x.typeOf(a, in)
			of = same(of, t)
		}
		if of.numeric() {
			return of, false
		}
	case "all", "any", "none", "one", "hasPrefix", "hasSuffix":
		return FieldType{Kind: TypeBool}, false
	case "filter":
		return of, false
	case "find", "last":
		if of.Kind == TypeList {
			return *of.Of, true
		}
	case "map", "sum":
		if len(n.Arguments) < 2 {
			if of.Kind == TypeList && of.Of.numeric() {
				return *of.Of, false
			}
			break
		}
		p, ok := n.Arguments[1].(*ast.PredicateNode)
		if !ok || of.Kind != TypeList {
			break
		}
		item, _ := x.typeOf(p.Node, &predicateScope{item: *of.Of})
		if n.Name == "map" && item.Kind != typeUnknown {
			return FieldType{Kind: TypeList, Of: &item}, false
		}
		if n.Name == "sum" && item.numeric() {
			return item, false
		}
	}
	return FieldType{}, false
}

// typer tells the library's checker the types of what first, default and latest answer: a call whose type is set keeps it.
// And it lets `not`, `and`, `or` and `?:` take what is absent for false, as a condition by itself does, and makes segment.lapsed a question that is
// asked only when its answer is needed.
type typer struct{ x *exprCheck }

// orFalse makes a condition that may be absent false where it is.
func (t *typer) orFalse(n *ast.Node) {
	if operand, isOptional := t.x.typeOf(*n, nil); operand.Kind == TypeBool && isOptional {
		ast.Patch(n, &ast.BinaryNode{Operator: "??", Left: *n, Right: &ast.BoolNode{}})
	}
}

// Visit is called for every node of the tree.
func (t *typer) Visit(n *ast.Node) {
	switch node := (*n).(type) {
	case *ast.MemberNode:
		base, ok := node.Node.(*ast.IdentifierNode)
		if name, constant := node.Property.(*ast.StringNode); ok && constant && base.Value == "segment" {
			ast.Patch(n, &ast.CallNode{Callee: &ast.IdentifierNode{Value: segmentFunction}, Arguments: []ast.Node{&ast.StringNode{Value: name.Value}}})
		}
	case *ast.UnaryNode:
		if node.Operator == "not" || node.Operator == "!" {
			t.orFalse(&node.Node)
		}
	case *ast.BinaryNode:
		switch node.Operator {
		case "and", "&&", "or", "||":
			t.orFalse(&node.Left)
			t.orFalse(&node.Right)
		}
	case *ast.ConditionalNode:
		t.orFalse(&node.Cond)
	case *ast.CallNode:
		callee, ok := node.Callee.(*ast.IdentifierNode)
		if !ok {
			return
		}
		switch callee.Value {
		case "first", "default", "latest":
			if result, _ := t.x.typeOfCall(callee.Value, node.Arguments, nil); result.Kind != typeUnknown {
				node.SetNature(exprType(result).Nature())
			}
		}
	}
}
