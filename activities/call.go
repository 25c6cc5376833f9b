package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.temporal.io/sdk/activity"

	"punchcard"
	"punchcard/internal/calls"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// callTries is how often another system is asked before the call has failed: about a minute with Temporal's backoff.
const callTries = 6

// errCallAgain is all that a history may learn of a call that is tried again.
var errCallAgain = errors.New("the other system did not answer; it is asked again")

// asksAgain tells whether another system that failed so is asked again, by Temporal.
func asksAgain(ctx context.Context, failed string) bool {
	return failed == calls.Unreachable && activity.IsActivity(ctx) && activity.GetInfo(ctx).Attempt < callTries
}

// Call asks another system, and binds its answer. The request bears an id made of the run and the step, so that one which is
// asked again can tell.
func (a *Activities) Call(ctx context.Context, in Input) (rules.Result, error) {
	var call *rules.Call
	var body []byte
	result, err := a.Fence.Do(ctx, in.Run, in.Effect, guarded(func(p *fence.Pass) (rules.Result, error) {
		values, code, err := values(p)
		if err != nil {
			return rules.Result{}, err
		}
		if code != "" {
			return because(done(rules.OutcomeFailed), code), nil
		}
		call = p.Program.Calls[p.Step.Call]
		body, err = json.Marshal(map[string]any{
			"type": call.Name, "timestamp": p.Tx.Now.Format(time.RFC3339), "data": values, "customer": p.Customer.ID,
		})
		return rules.Result{Reply: fence.ReplyBegun}, err
	}))
	if err != nil || result.Reply != fence.ReplyBegun {
		return a.settle(ctx, in, result, err)
	}
	answers, code := a.Caller.Ask(ctx, call, fmt.Sprintf("%s_%d", in.Run, in.Step), body)
	if asksAgain(ctx, code) {
		return rules.Result{}, errCallAgain
	}
	result, err = a.Fence.Finish(ctx, in.Run, in.Effect, func(p *fence.Pass) (rules.Result, error) {
		if code != "" {
			return because(done(rules.OutcomeFailed), code), nil
		}
		bind(p, punchcard.Ref{Kind: punchcard.RefAnswer, ID: strconv.Itoa(in.Step), Reward: call.Name})
		return done(rules.OutcomeNext), p.Tx.AddCallAnswer(&store.CallAnswer{RunID: in.Run, Step: in.Step, Call: call.Name, Answers: answers})
	})
	return a.settle(ctx, in, result, err)
}
