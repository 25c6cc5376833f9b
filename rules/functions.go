package rules

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/types"
)

var (
	timeExprType     = types.TypeOf(time.Time{})
	durationExprType = types.TypeOf(time.Duration(0))
)

// allowedBuiltins are the functions of the expression library that are part of the language. What can make a long text of a
// short one (repeat, replace, split), read a clock, or call itself is not among them.
var allowedBuiltins = map[string]bool{
	"len": true, "abs": true, "ceil": true, "floor": true, "round": true, "int": true, "float": true, "string": true,
	"trim": true, "upper": true, "lower": true, "join": true, "indexOf": true, "hasPrefix": true, "hasSuffix": true,
	"max": true, "min": true, "last": true,
}

// allowedPredicates take a condition for each value of a list. The parser knows them whatever is disabled.
var allowedPredicates = map[string]bool{
	"all": true, "any": true, "none": true, "one": true, "filter": true, "map": true, "count": true, "sum": true, "find": true,
}

// allowedInPredicates are the functions that a predicate may call: each is cheap and makes nothing longer.
var allowedInPredicates = map[string]bool{
	"len": true, "abs": true, "ceil": true, "floor": true, "round": true, "int": true, "float": true, "string": true,
	"trim": true, "upper": true, "lower": true, "hasPrefix": true, "hasSuffix": true, "default": true, "days": true,
	"anniversary": true, "years": true, "weekday": true,
}

// lookups are the functions that ask the Env, with how many arguments they take.
var lookups = map[string]struct{ low, high int }{
	"consent": {1, 1}, "times": {1, 2}, "total": {2, 3}, "latest": {1, 1},
}

// functions are our own that need no Env.
var functions = map[string]struct{ low, high int }{
	"first": {1, 2}, "default": {2, 2}, "days": {1, 1}, "anniversary": {2, 2}, "years": {2, 2}, "weekday": {1, 1},
}

func functionNames(sc scope) []string {
	var names []string
	for name := range allowedBuiltins {
		names = append(names, name)
	}
	for name := range allowedPredicates {
		names = append(names, name)
	}
	for name := range functions {
		names = append(names, name)
	}
	if sc.lookups {
		for name := range lookups {
			names = append(names, name)
		}
	}
	return names
}

// exprOptions are what every expression is compiled with.
func exprOptions() []expr.Option {
	options := []expr.Option{
		expr.MaxNodes(maxNodes),
		expr.DisableAllBuiltins(),
		expr.Function("first", first, new(func([]any) any), new(func([]any, any) any)),
		expr.Function("default", defaultTo, new(func(any, any) any)),
		expr.Function("anniversary", anniversary, new(func(any, any) bool)),
		expr.Function("years", years, new(func(any, any) int)),
		expr.Function("weekday", weekdayOf, new(func(any) string)),
		expr.Function("days", days, new(func(float64) time.Duration), new(func(int) time.Duration)),
	}
	for name := range allowedBuiltins {
		options = append(options, expr.EnableBuiltin(name))
	}
	return options
}

// first is a list's first value, or the default if it has none.
func first(args ...any) (any, error) {
	if v := reflect.ValueOf(args[0]); v.Kind() == reflect.Slice && v.Len() > 0 {
		return v.Index(0).Interface(), nil
	}
	if len(args) > 1 {
		return args[1], nil
	}
	return nil, nil
}

// defaultTo is a value, or the default if it is absent or the empty string.
func defaultTo(args ...any) (any, error) {
	if args[0] == nil || args[0] == "" {
		return args[1], nil
	}
	return args[0], nil
}

// days is a span of that many times 24 hours.
func days(args ...any) (any, error) {
	n, ok := number(args[0])
	if !ok || math.IsNaN(n) || math.Abs(n) > 36500 {
		return nil, fmt.Errorf("days: not a number of days")
	}
	return time.Duration(n * float64(24*time.Hour)), nil
}

// The types of the functions that ask the Env, as the library checks them.
var lookupTypes = map[string]types.Type{
	"consent": types.TypeOf(func(string) (string, error) { return "", nil }),
	"times":   types.TypeOf(func(string, ...string) (int, error) { return 0, nil }),
	"total":   types.TypeOf(func(string, string, ...string) (float64, error) { return 0, nil }),
	"latest":  types.TypeOf(func(string) (any, error) { return nil, nil }),

	segmentFunction: types.TypeOf(func(string) (bool, error) { return false, nil }),
}

// segmentFunction is what segment.lapsed becomes: a function that is asked only when it is needed. Its name is none that a
// source can write.
const segmentFunction = "segment "

// evaluation is one expression's run: it remembers why a lookup failed, which the library would turn into text.
type evaluation struct {
	env *Env
	err error
	// inner is how a segment's own condition failed, and segments those that are known to hold or not.
	inner    error
	segments map[string]bool
	all      map[string]any
}

// vars are the names and functions that an expression finds.
func (ev *evaluation) vars() map[string]any {
	env := ev.env
	p := env.Program
	if p == nil {
		p = &Program{}
	}
	labels := make([]any, len(env.Customer.Labels))
	for i, l := range env.Customer.Labels {
		labels[i] = l
	}
	customer := make(map[string]any, len(env.Customer.Attributes)+6)
	maps.Copy(customer, env.Customer.Attributes)
	customer["id"], customer["tier"] = env.Customer.ID, env.Customer.Tier
	customer["language"], customer["country"] = env.Customer.Language, env.Customer.Country
	customer["labels"], customer["age_days"] = labels, env.Customer.AgeDays
	vars := make(map[string]any, 16+len(env.With)+len(env.Bound))
	maps.Copy(vars, env.With)
	for name, value := range env.Bound {
		vars[name] = value
	}
	vars["customer"] = customer
	vars["points"] = map[string]any{
		"balance": int(env.Points.Balance), "earned": int(env.Points.Earned), "pending": int(env.Points.Pending),
		"expiring": int(env.Points.Expiring),
	}
	vars["program"] = map[string]any{
		"name": p.Name, "business": p.Business, "privacy_url": p.PrivacyURL, "currency": p.Currency, "language": p.Language,
	}
	vars["now"] = env.Now.In(env.zone())
	vars[unsubscribeName] = ""
	if _, taken := vars[referralName]; !taken {
		vars[referralName] = map[string]any{"code": "", "link": ""}
	}
	vars["entry"], vars["event"], vars["collected"] = env.Entry, env.Event, env.Collected
	if env.Original != nil { // elsewhere a parameter, or what as bound, may have this name
		vars["original"] = env.Original
	}
	vars[segmentFunction] = ev.segment
	vars["consent"], vars["times"], vars["total"], vars["latest"] = ev.consent, ev.times, ev.total, ev.latest
	return vars
}

// unsubscribeName is the address at which the customer can stop everything. It is made only for an expression that names it.
const unsubscribeName = "unsubscribe_url"

// unsubscribe is that address; "" where the deployment has no address of its own.
func (ev *evaluation) unsubscribe() (string, error) {
	if ev.env.Unsubscribe == nil {
		return "", nil
	}
	return ev.env.Unsubscribe()
}

// referral fills in the customer's own code and link, where the program has them and the name stands for nothing else.
func (ev *evaluation) referral() error {
	_, given := ev.env.With[referralName]
	_, bound := ev.env.Bound[referralName]
	if given || bound || ev.env.Referral == nil || ev.env.Program == nil || ev.env.Program.Referral == nil {
		return nil
	}
	code, link, err := ev.env.Referral()
	ev.all[referralName] = map[string]any{"code": code, "link": link}
	return err
}

var errNoLookup = fmt.Errorf("this place has no such facts")

func (ev *evaluation) fail(err error) error {
	if ev.err == nil {
		ev.err = err
	}
	return err
}

func (ev *evaluation) consent(topic string) (string, error) {
	if ev.env.Consent == nil {
		return "none", nil
	}
	standing, err := ev.env.Consent(topic)
	if err != nil {
		return "", ev.fail(err)
	}
	return standing, nil
}

func (ev *evaluation) times(event string, window ...string) (int, error) {
	if ev.env.Times == nil {
		return 0, ev.fail(errNoLookup)
	}
	n, err := ev.env.Times(event, span(window))
	if err != nil {
		return 0, ev.fail(err)
	}
	return n, nil
}

func (ev *evaluation) total(event, field string, window ...string) (float64, error) {
	if ev.env.Total == nil {
		return 0, ev.fail(errNoLookup)
	}
	f, err := ev.env.Total(event, field, span(window))
	if err != nil {
		return 0, ev.fail(err)
	}
	return f, nil
}

func (ev *evaluation) latest(event string) (any, error) {
	if ev.env.Latest == nil {
		return nil, ev.fail(errNoLookup)
	}
	m, err := ev.env.Latest(event)
	if err != nil {
		return nil, ev.fail(err)
	}
	if m == nil {
		return nil, nil // and not a nil map, which would have fields
	}
	return m, nil
}

// segment tells whether the customer is in a segment of the program. Each is reckoned once in an evaluation, whoever asks.
func (ev *evaluation) segment(name string) (bool, error) {
	if holds, ok := ev.segments[name]; ok {
		return holds, nil
	}
	var where *Expr
	if ev.env.Program != nil && ev.env.Program.Segments[name] != nil {
		where = ev.env.Program.Segments[name].Where
	}
	if where == nil {
		return false, ev.fail(errNoLookup)
	}
	v, err := expr.Run(where.program, ev.all)
	holds, ok := v.(bool)
	if err != nil || !ok {
		if ev.inner == nil {
			kind := "the result is not true or false"
			if err != nil {
				kind = failureKind(err)
			}
			ev.inner = &EvalError{Where: where.Where, Kind: kind}
		}
		return false, ev.inner
	}
	if ev.segments == nil {
		ev.segments = map[string]bool{}
	}
	ev.segments[name] = holds
	return holds, nil
}

// span is the window that was checked when the program was read; none is the whole life.
func span(window []string) time.Duration {
	if len(window) == 0 {
		return 0
	}
	d, _ := parseDuration(window[0])
	return d
}
