// Package activities is what a run may do to the world. Each activity is idempotent by the run and the step's number, passes
// the fence before it does anything, and answers with codes, never with a customer's data: its input and result stand in the
// workflow's history.
//
// An activity fails with an error only where trying again may help: the database is out of reach. What no trying mends makes
// the run stuck: visible, repairable, and asked for again on request.
package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"punchcard/internal/calls"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// Input names one effect of one run.
type Input struct {
	Run string `json:"run"`
	rules.Effect
}

// Sender sends a message by WhatsApp. An answer without an error means that it was accepted, not that it was sent.
type Sender interface {
	Send(ctx context.Context, m whatsapp.Message) (whatsapp.Accepted, error)
}

// Activities are the effects of runs. They are safe for concurrent use.
type Activities struct {
	Fence  *fence.Fence
	Sender Sender
	// Marketing sends templates of the marketing category; nil: Sender does.
	Marketing Sender
	// Pacer gives each message its turn; nil: none waits for one, as in virtual time.
	Pacer Pacer
	// Limits are WhatsApp's other limits; the zero value has none.
	Limits Limits
	Caller calls.Caller
	// Workflows tells whether runs' workflows are there; nil: nobody asks.
	Workflows Workflows
	Log       *slog.Logger

	listening listening
}

// errDatabase is all that a history may learn of a database's trouble: its own words can quote what it was given.
var errDatabase = errors.New("the database cannot be used just now; this is tried again")

// The codes with which a run is stuck through no rule of the program.
const (
	CodeFault  = "fault"  // something unforeseen went wrong; the log of that time has it
	CodePanics = "panics" // the activity's code panicked; the log has the place
)

// local does an effect that only touches our database.
func (a *Activities) local(ctx context.Context, in Input, act fence.Act) (rules.Result, error) {
	result, err := a.Fence.Do(ctx, in.Run, in.Effect, guarded(act))
	return a.settle(ctx, in, result, err)
}

// settle turns what came of an effect into what a workflow may see. An outage is an error, to be tried again; any other error
// makes the run stuck.
func (a *Activities) settle(ctx context.Context, in Input, result rules.Result, err error) (rules.Result, error) {
	log := a.Log.With("run", in.Run, "node", in.Node, "step", in.Step)
	if err == nil {
		if result.Reply == rules.ReplyStuck {
			log.WarnContext(ctx, "a run is stuck: mend what the code says, and have it retried", "code", result.Code)
		}
		return result, nil
	}
	if store.IsOutage(err) {
		log.WarnContext(ctx, "the database cannot be used; the effect is tried again", "error", err)
		return rules.Result{}, errDatabase
	}
	code := CodeFault
	if errors.Is(err, errPanicked) {
		code = CodePanics
	}
	log.ErrorContext(ctx, "an effect failed, its run is stuck", "error", err)
	if err := a.Fence.Stick(ctx, in.Run, code); err != nil {
		log.WarnContext(ctx, "the run could not be marked as stuck; the effect is tried again", "error", err)
		return rules.Result{}, errDatabase
	}
	return rules.Result{Reply: rules.ReplyStuck, Code: code}, nil
}

var errPanicked = errors.New("the activity panicked")

// guarded does an act only where its step's `if` holds, and turns a panic into an error, so that the transaction rolls back.
func guarded(act fence.Act) fence.Act {
	return func(p *fence.Pass) (result rules.Result, err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("%w at step %s of %s: %v", errPanicked, p.Effect.Node, p.Journey.Name, r)
			}
		}()
		ok, err := p.Holds()
		if err != nil {
			return rules.Result{}, err
		}
		if !ok {
			return done(rules.OutcomeSkipped), nil
		}
		return act(p)
	}
}

// done is the result of an effect that happened.
func done(outcome string) rules.Result {
	return rules.Result{Reply: rules.ReplyDone, Outcome: outcome}
}

// because gives a result its code.
func because(r rules.Result, code string) rules.Result {
	r.Code = code
	return r
}

// stuck is the result of an effect that cannot be done as things are.
func stuck(code string) rules.Result { return rules.Result{Reply: rules.ReplyStuck, Code: code} }
