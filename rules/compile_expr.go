package rules

import (
	"errors"
	"maps"
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/expr-lang/expr"
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
		segments: map[string]bool{}}
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
	maps.Copy(env, lookupTypes)
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
	untyped  bool
	segments map[string]bool // those that it asks about
	failed   bool
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
	if at, ok := errors.AsType[*file.Error](err); ok {
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
	if message == "unexpected token =" {
		return "a single = says nothing here: write == to compare"
	}
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
