package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// routing is one event on its way, in one transaction under its customer's lock.
type routing struct {
	d        *Dispatcher
	ctx      context.Context //nolint:containedctx // it lives as long as the transaction
	tx       *store.Tx
	policy   fence.Published
	customer *punchcard.Customer
	event    *punchcard.Event
	served   bool // a run takes the event up: it began by it, waits to begin, or was woken
	silent   bool // the customer says the same again and again, and gets no replies: see listen

	// known is what was read of the customer after the event was accounted for, by the program that reads it.
	known map[*rules.Program]*rules.Env
}

func (r *routing) route() error {
	if r.event.Depth > punchcard.MaxEventDepth {
		return fmt.Errorf("%w: it is the end of a chain of %d events that caused one another; look for journeys or rules that start each other in a circle",
			errHopeless, r.event.Depth)
	}
	if err := r.profile(); err != nil {
		return err
	}
	if err := r.tx.MarkRouted(r.event); err != nil {
		return err
	}
	switch r.event.Name {
	case punchcard.EventMessageReceived:
		return r.message()
	case punchcard.EventMessageRefused:
		return r.d.fence.EndStopped(r.ctx, r.tx, r.policy.Program, r.customer, fence.SourceMarketingOff)
	case punchcard.EventRunEnded:
		return r.successor()
	case punchcard.EventRunRequested:
		return r.requested()
	}
	if slot := r.event.ID[:strings.LastIndex(r.event.ID, "/")+1]; r.event.Name == punchcard.EventScheduleDue && slot != "" {
		// The schedule may have come round for two customers who are one now.
		if twice, err := r.tx.RoutedLike(r.event, slot); err != nil || twice {
			return err
		}
	}
	if err := r.attribute(); err != nil {
		return err
	}
	if err := r.merged(); err != nil {
		return err
	}
	if err := r.account(); err != nil {
		return err
	}
	if err := r.count(); err != nil {
		return err
	}
	if err := r.useCodes(); err != nil {
		return err
	}
	if err := r.optIn(); err != nil {
		return err
	}
	if over, err := r.wishOver(); err != nil || over {
		return err
	}
	return r.match()
}

// profile takes over what the event says about the customer.
func (r *routing) profile() error {
	c, p := r.customer, r.event.Profile
	before := *c
	attributes := maps.Clone(c.Attributes)
	if p.Name != "" {
		c.Name = p.Name
	}
	if p.Language != "" {
		c.Language = p.Language
	}
	if p.Timezone != "" {
		c.Timezone, c.Zone = p.Timezone, p.Timezone
	}
	maps.Copy(c.Attributes, p.Attributes)
	if r.event.OccurredAt.Before(c.Since) {
		c.Since = r.event.OccurredAt
	}
	same := before.Name == c.Name && before.Language == c.Language && before.Timezone == c.Timezone && before.Zone == c.Zone && before.Since.Equal(c.Since) &&
		maps.EqualFunc(attributes, c.Attributes, func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) })
	if same {
		return nil
	}
	return r.tx.SaveCustomer(c)
}

// account counts the event and gives the points that it earns, and raises what that makes the customer reach.
func (r *routing) account() error {
	watch := fence.WatchFacts
	if !r.policy.Moves(r.event.Name) {
		watch = func(_ *store.Tx, _ *rules.Program, _ *punchcard.Customer, _ int, fn func(*rules.Env) error) (*rules.Env, error) {
			return nil, fn(nil)
		}
	}
	after, err := watch(r.tx, r.policy.Program, r.customer, r.event.Depth, func(before *rules.Env) error {
		r.knows(before)
		sums := map[string]float64{}
		for _, field := range r.policy.Totals[r.event.Name] {
			if v, ok := number(r.event.Properties[field]); ok {
				sums[field] = v
			}
		}
		if err := r.tx.Count(r.event, sums); err != nil {
			return err
		}
		index := 0
		for _, rule := range r.policy.Earn {
			if rule.On != r.event.Name {
				continue
			}
			if err := r.earn(index, rule); err != nil {
				return err
			}
			index++
		}
		if err := r.origin(sums); err != nil {
			return err
		}
		return r.reverse()
	})
	r.knows(after) // the event has changed what was known
	return err
}

// knows says what is known of the customer by today's program, and that nothing else is; nil: nothing.
func (r *routing) knows(facts *rules.Env) {
	r.known = nil
	if facts != nil {
		r.known = map[*rules.Program]*rules.Env{r.policy.Program: facts}
	}
}

func (r *routing) earn(index int, rule rules.Earn) error {
	env, err := r.env()
	if err != nil {
		return err
	}
	if _, _, err := env.Own(); err != nil { // each rule sees the points that there were before any of them earned
		return err
	}
	ok, err := rule.Where.Bool(env)
	if err != nil || !ok {
		return r.failed(err, "earn")
	}
	value, err := rule.Points.Number(env)
	points := int64(math.Floor(min(value, fence.MaxEarned)))
	if err != nil || points <= 0 {
		return r.failed(err, "earn")
	}
	// A rule is known by its event and its place among that event's rules: what is published of other events gives nobody their turns back.
	name := fmt.Sprintf("%s#%d", rule.On, index)
	if rule.AtMost > 0 {
		n, err := r.tx.Earnings(r.customer.ID, name, r.tx.Now.Add(-rule.Within))
		if err != nil || n >= int64(rule.AtMost) {
			return err
		}
		if err := r.tx.AddEarning(r.customer.ID, name, r.event.ID); err != nil {
			return err
		}
	}
	_, _, err = r.tx.Earn(r.customer.ID, points, rule.On, r.event.ID, fmt.Sprintf("earn/%d/%d", r.event.Seq, index),
		r.tx.Now.Add(rule.Pending), fence.PointsExpiry(r.policy.Program, r.tx.Now))
	return err
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	default:
		return 0, false
	}
}

// useCodes captures the grants whose codes the event carries, where the event is what captures them.
func (r *routing) useCodes() error {
	schema, ok := r.policy.Schema(r.event.Name)
	if !ok {
		return nil
	}
	for _, field := range schema.CodeFields() {
		code, _ := r.event.Properties[field].(string)
		if code == "" {
			continue
		}
		grant, err := r.tx.GrantByCode(punchcard.NormalizeCode(code))
		if err != nil {
			return err
		}
		if grant == nil || grant.CapturedBy != r.event.Name {
			continue // it is somebody else's code, or used elsewhere
		}
		reason := ""
		switch {
		case grant.CustomerID != r.customer.ID:
			reason = refusedMismatch
		case grant.Status == punchcard.GrantCaptured && grant.Reason != punchcard.ReasonExpired:
			reason = refusedCaptured
		case grant.EndedAt != nil:
			reason = endedAs(grant)
		case grant.Expired(r.event.OccurredAt):
			reason = punchcard.ReasonExpired
		}
		if reason != "" {
			err = r.tx.AddRefusal(punchcard.Refusal{
				CustomerID: r.customer.ID, Reward: grant.Reward, GrantID: grant.ID, Action: punchcard.RefusedCapture, Reason: reason,
			})
		} else {
			_, err = fence.Capture(r.tx, grant, &punchcard.Capture{By: r.event.Name, OrderRef: r.event.ID}, r.event.Depth)
			r.knows(nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// env is what today's expressions see of this event.
func (r *routing) env() (*rules.Env, error) { return r.seen(r.policy.Program, nil) }

// see is seen for some expressions: nil where none of them was written.
func (r *routing) see(p *rules.Program, run *punchcard.Run, who ...*rules.Expr) (*rules.Env, error) {
	if !slices.ContainsFunc(who, func(e *rules.Expr) bool { return e != nil }) {
		return nil, nil
	}
	return r.seen(p, run)
}

// seen is what a program's expressions see of this event and of a run, nil outside of one. What is known of the customer is read
// once for an event.
func (r *routing) seen(p *rules.Program, run *punchcard.Run) (*rules.Env, error) {
	scene := fence.Scene{Tx: r.tx, Program: p, Customer: r.customer, Run: run, Event: r.event, Facts: r.known[p]}
	env, err := scene.Env()
	if err == nil && r.known[p] == nil {
		if r.known == nil {
			r.known = map[*rules.Program]*rules.Env{}
		}
		r.known[p] = env
	}
	return env, err
}

// failed notes that an expression failed: it counts as false. The error is that of a query, if that is why.
func (r *routing) failed(err error, where string) error {
	if cause := fence.Cause(err); cause != nil {
		return cause
	}
	level := slog.LevelWarn
	var e *rules.EvalError
	if errors.As(err, &e) && e.Absent() {
		level = slog.LevelDebug
	}
	if err != nil {
		r.d.log.Log(r.ctx, level, "an expression failed and counts as false", "where", where, "event", r.event.Name, "seq", r.event.Seq, "error", err)
	}
	return nil
}
