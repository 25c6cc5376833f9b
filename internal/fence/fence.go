package fence

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Fence lets the effects of runs pass. It is safe for concurrent use.
type Fence struct {
	Store   *store.Store
	Catalog *Catalog
}

// New is a fence over a store.
func New(s *store.Store) *Fence { return &Fence{Store: s, Catalog: NewCatalog(s)} }

// Pass is an effect that has passed: what it may read and change, under the locks of its customer and its run.
type Pass struct {
	Tx       *store.Tx
	Run      *punchcard.Run
	Customer *punchcard.Customer
	Program  *rules.Program // the run's own
	Policy   Published      // today's
	Journey  *rules.Journey
	Step     *rules.Step
	Effect   rules.Effect
	// MessageID is set by an act that sends a message: where that leads to the wait for an answer, it is what asks.
	MessageID string

	env *rules.Env
}

// Env is what the step's expressions see, read when it is first asked for.
func (p *Pass) Env() (*rules.Env, error) {
	if p.env != nil {
		return p.env, nil
	}
	env, err := Scene{Tx: p.Tx, Program: p.Program, Customer: p.Customer, Run: p.Run, Count: p.Effect.Count}.Env()
	p.env = env
	return env, err
}

// Veiled is Env without what is the customer's alone: for what is written down where others may read it.
func (p *Pass) Veiled() (*rules.Env, error) {
	env, err := p.Env()
	if err != nil {
		return nil, err
	}
	return env.Veiled(), nil
}

// Holds evaluates the step's own `if`. One that fails does not hold.
func (p *Pass) Holds() (bool, error) {
	if p.Step.If == nil {
		return true, nil
	}
	env, err := p.Env()
	if err != nil {
		return false, err
	}
	ok, err := p.Step.If.Bool(env)
	return ok && err == nil, Cause(err)
}

// ReplyBegun is what an act answers that has committed its intent but is not done: a message that is now `sending`. The wait
// to which OutcomeSent leads is armed with it, so that an answer which is faster than the call's own return is heard.
const ReplyBegun rules.Reply = "begun"

// ReplyAsking is what an act answers that has committed what it is to ask another system for. No wait is armed before the answer is there.
const ReplyAsking rules.Reply = "asking"

// Act does an effect inside the fence's transaction. A Result with ReplyDone is recorded and never asked for again; one with
// ReplyDeferred, ReplyHeld or ReplyStuck commits what the act wrote, and is asked for again. An error rolls everything back. An act may
// run more than once, as store.Update says.
type Act func(*Pass) (rules.Result, error)

// Step looks at what an effect will do, outside of any transaction: the run's own program, and the step. Both are nil for a run
// that is not there. What is read so may be told of the world, and decides nothing.
func (f *Fence) Step(ctx context.Context, run, node string) (*rules.Program, *rules.Step, error) {
	row, err := f.Store.View(ctx).Run(run)
	if err != nil || row == nil {
		return nil, nil, err
	}
	program, journey, err := f.Catalog.Journey(ctx, row.Version, row.Journey)
	if err != nil {
		return nil, nil, err
	}
	return program, journey.Steps[node], nil
}

// Do lets an effect pass, and acts.
func (f *Fence) Do(ctx context.Context, run string, e rules.Effect, act Act) (rules.Result, error) {
	return f.do(ctx, run, e, act, true)
}

// Finish ends an effect that has begun: it is recorded whatever has happened to the run since.
func (f *Fence) Finish(ctx context.Context, run string, e rules.Effect, act Act) (rules.Result, error) {
	return f.do(ctx, run, e, act, false)
}

func (f *Fence) do(ctx context.Context, run string, e rules.Effect, act Act, ask bool) (rules.Result, error) {
	// What is needed from outside the transaction is read before it: no lock is held meanwhile.
	row, err := f.Store.View(ctx).Run(run)
	if err != nil {
		return rules.Result{}, err
	}
	if row == nil {
		// The row is committed before the start is queued, so this is a run of another database.
		return rules.Result{Reply: rules.ReplyLeft, Outcome: punchcard.OutcomeTerminated, Code: "no_such_run"}, nil
	}
	program, journey, err := f.Catalog.Journey(ctx, row.Version, row.Journey)
	if err != nil {
		return rules.Result{}, err
	}
	policy, err := f.Catalog.Current(ctx)
	if err != nil {
		return rules.Result{}, err
	}
	var result rules.Result
	err = f.Store.Update(ctx, func(tx *store.Tx) error {
		customer, err := tx.LockCustomer(row.CustomerID)
		if err != nil {
			return err
		}
		r, err := tx.LockRun(run)
		if err != nil {
			return err
		}
		p := &Pass{
			Tx: tx, Run: r, Customer: customer, Program: program, Policy: policy, Journey: journey,
			Step: journey.Steps[e.Node], Effect: e,
		}
		if p.Step == nil {
			return fmt.Errorf("journey %s has no step %q", journey.Name, e.Node)
		}
		if answered, err := f.answer(p, ask, &result); err != nil || answered {
			return err
		}
		ended := r.Status == punchcard.RunEnded // Finish comes also to a run that was left meanwhile
		if result, err = act(p); err != nil {
			return err
		}
		if ended {
			return f.recordLate(p, &result)
		}
		return f.record(p, &result)
	})
	return result, err
}

// dueWithin is how much of a wait may be left, in real time, for it to count as over: clocks differ a little between machines.
const dueWithin = 50 * time.Millisecond

// answer is the fence itself: it fills result and answers true where an effect must not act.
func (f *Fence) answer(p *Pass, ask bool, result *rules.Result) (bool, error) {
	done, err := p.Tx.Step(p.Run.ID, p.Effect.Step)
	if err != nil {
		return false, err
	}
	if done != nil {
		if done.Node != p.Effect.Node {
			return false, fmt.Errorf("step %d of run %s was %s, and is asked for as %s", done.Step, p.Run.ID, done.Node, p.Effect.Node)
		}
		if err := json.Unmarshal(done.Result, result); err != nil {
			return false, err
		}
		if l := p.Run.Listener; result.Armed && l != nil {
			result.Wait = l.Deadline.Sub(p.Tx.Now) // time has passed since it was recorded
		}
		return true, nil
	}
	if !ask {
		return false, nil
	}
	if p.Run.Status == punchcard.RunEnded {
		*result = rules.Result{Reply: rules.ReplyLeft, Outcome: p.Run.Outcome}
		return true, nil
	}
	paused, err := p.Tx.Paused(p.Run.Journey)
	if err != nil {
		return false, err
	}
	if paused {
		*result = rules.Result{Reply: rules.ReplyHeld, Code: "paused"}
		p.Run.Status, p.Run.Reason = punchcard.RunHeld, "paused"
		return true, p.Tx.SaveRun(p.Run)
	}
	if p.Run.Issued > p.Effect.Heard {
		*result = rules.Result{Reply: rules.ReplyHearFirst, Issued: p.Run.Issued}
		return true, nil
	}
	if l := p.Run.Listener; p.Effect.Elapsed != "" && l != nil && l.Node == p.Effect.Elapsed {
		if left := l.Deadline.Sub(p.Tx.Now); f.Store.Clock().Real(left) > dueWithin {
			*result = rules.Result{Reply: rules.ReplyNotDue, Wait: left}
			return true, nil
		}
	}
	p.Run.Status, p.Run.Reason = punchcard.RunLive, ""
	return false, nil
}

// record writes down what an act came to, arms the wait to which it leads, and saves the run.
func (f *Fence) record(p *Pass, result *rules.Result) error {
	switch result.Reply {
	case rules.ReplyDone:
	case ReplyBegun:
		_, err := p.lead(rules.OutcomeSent)
		if err != nil {
			return err
		}
		return p.Tx.SaveRun(p.Run)
	case rules.ReplyStuck:
		p.Run.Status, p.Run.Reason = punchcard.RunStuck, result.Code
		return p.Tx.SaveRun(p.Run)
	case rules.ReplyHeld:
		p.Run.Status, p.Run.Reason = punchcard.RunHeld, result.Code
		return p.Tx.SaveRun(p.Run)
	case rules.ReplyDeferred, ReplyAsking:
		return p.Tx.SaveRun(p.Run)
	default:
		return fmt.Errorf("an act may not answer %q", result.Reply)
	}
	if p.Run.Status != punchcard.RunEnded {
		armed, err := p.lead(result.Outcome)
		if err != nil {
			return err
		}
		if armed != nil {
			result.Armed, result.Wait = true, *armed
		}
		p.Run.Node = p.Journey.Plan.Lands(p.Effect.Node, result.Outcome)
		if p.Step.Kind.Waits() {
			p.Run.Node = p.Effect.Node
		}
	}
	p.Run.Step = p.Effect.Step
	if err := p.note(*result); err != nil {
		return err
	}
	return p.Tx.SaveRun(p.Run)
}

// recordLate writes down what a begun effect came to in a run that was left meanwhile: the row stays closed.
func (f *Fence) recordLate(p *Pass, result *rules.Result) error {
	if result.Reply == rules.ReplyDone {
		if err := p.note(*result); err != nil {
			return err
		}
	}
	*result = rules.Result{Reply: rules.ReplyLeft, Outcome: p.Run.Outcome}
	return nil
}

// note adds the effect to the run's story, with the result to give if it is asked for again.
func (p *Pass) note(result rules.Result) error {
	stored, err := json.Marshal(result)
	if err != nil {
		return err
	}
	return p.Tx.AddStep(&punchcard.RunStep{
		RunID: p.Run.ID, Step: p.Effect.Step, Node: p.Effect.Node, Label: p.Journey.Plan.Nodes[p.Effect.Node].Label,
		Outcome: result.Outcome, Code: result.Code, Result: stored,
	})
}

// Disarm takes back the wait that was armed when this effect began: it did not happen after all, and will be tried again.
func (p *Pass) Disarm() {
	l := p.Run.Listener
	if l == nil || rules.Under(p.Effect.Node, l.Scope) {
		return
	}
	if p.Journey.Plan.Nodes[l.Node].Kind == rules.KindCollect {
		return // what it has counted is told already: armed afresh, it would count and tell it twice
	}
	p.Run.Listener = nil
}

// lead arms the wait to which an outcome leads, and answers how long it lasts; nil when it leads to no wait. The wait that
// this effect ends is disarmed; one to which its branch comes back stays armed.
func (p *Pass) lead(outcome string) (*time.Duration, error) {
	plan := p.Journey.Plan
	to := plan.Lands(p.Effect.Node, outcome)
	if p.Step.Kind.Waits() {
		to = p.Effect.Node // an effect at a wait arms that wait
	}
	if plan.Nodes[to].Kind.Waits() {
		if p.Run.Issued > p.Effect.Heard && !p.listensFor(plan.Nodes[to].Scope) {
			// What the wait was armed for when this effect began has come already: the signal is on its way.
			left := plan.Nodes[to].For
			return &left, nil
		}
		left, err := arm(p.Tx, p.Program, p.Journey, p.Customer, p.Run, to)
		if err == nil && p.MessageID != "" && p.Run.Listener != nil {
			p.Run.Listener.MessageID = p.MessageID
		}
		return left, err
	}
	if l := p.Run.Listener; l != nil && (p.Effect.Elapsed != "" || !rules.Under(p.Effect.Node, l.Scope)) {
		p.Run.Listener = nil
	}
	return nil, nil
}

func (p *Pass) listensFor(scope string) bool {
	return p.Run.Listener != nil && p.Run.Listener.Scope == scope
}

// arm makes a wait of the run listen, and answers how long it lasts from now. Waits of one scope count from the same moment;
// one that is armed already keeps its deadline.
func arm(tx *store.Tx, p *rules.Program, j *rules.Journey, c *punchcard.Customer, r *punchcard.Run, node string) (*time.Duration, error) {
	n := j.Plan.Nodes[node]
	l := r.Listener
	fresh := l == nil || l.Scope != n.Scope
	if fresh {
		l = &punchcard.Listener{Scope: n.Scope, Since: tx.Now}
		r.Listener = l
	}
	if l.Node != node {
		l.Node, l.Deadline = node, l.Since.Add(n.For)
		if n.Kind == rules.KindWaitUntil {
			var err error
			if l.Deadline, err = until(tx, p, j, c, r, node); err != nil {
				return nil, err
			}
		}
	}
	left := l.Deadline.Sub(tx.Now)
	if step := j.Steps[node]; fresh && n.Kind == rules.KindCollect && step.CountingEntry {
		if err := Counted(tx, p, j, c, r); err != nil {
			return nil, err
		}
	}
	return &left, nil
}

// until is when a wait for a moment is over. One whose expression fails is over at once: an expression that fails holds nobody.
func until(tx *store.Tx, p *rules.Program, j *rules.Journey, c *punchcard.Customer, r *punchcard.Run, node string) (time.Time, error) {
	env, err := Scene{Tx: tx, Program: p, Customer: c, Run: r}.Env()
	if err != nil {
		return time.Time{}, err
	}
	deadline, err := j.Steps[node].UntilTime.Deadline(tx.Now, Zone(p, c), env)
	if err != nil {
		return tx.Now, Cause(err)
	}
	return deadline, nil
}

// Counted counts one more event of a run's collect, and wakes the run if that is enough, or if it has something to do for
// each. The caller saves the run.
func Counted(tx *store.Tx, p *rules.Program, j *rules.Journey, c *punchcard.Customer, r *punchcard.Run) error {
	step := j.Steps[r.Listener.Node]
	r.Listener.Count++
	env, err := Scene{Tx: tx, Program: p, Customer: c, Run: r, Count: r.Listener.Count}.Env()
	if err != nil {
		return err
	}
	enough, err := step.Until.Bool(env)
	if cause := Cause(err); cause != nil {
		return cause
	}
	switch {
	case err == nil && enough:
		return Wake(tx, j, r, rules.OutcomeFull)
	case Hears(j, r, rules.OutcomeEach):
		return Wake(tx, j, r, rules.OutcomeEach)
	default:
		return nil
	}
}

// Stick marks a run as stuck from outside of an act: the act failed in a way that trying again will not mend.
func (f *Fence) Stick(ctx context.Context, run, code string) error {
	row, err := f.Store.View(ctx).Run(run)
	if err != nil || row == nil {
		return err
	}
	return f.Store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(row.CustomerID); err != nil {
			return err
		}
		r, err := tx.LockRun(run)
		if err != nil || r.Status == punchcard.RunEnded {
			return err
		}
		r.Status, r.Reason = punchcard.RunStuck, code
		return tx.SaveRun(r)
	})
}
