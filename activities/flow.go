package activities

import (
	"context"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/rules"
)

// Arm arms a wait that no effect precedes: dispatch matches it from here on.
func (a *Activities) Arm(ctx context.Context, in Input) (rules.Result, error) {
	// A wait has no `if` of its own: the language puts a choice before it.
	result, err := a.Fence.Do(ctx, in.Run, in.Effect, func(*fence.Pass) (rules.Result, error) {
		return done(""), nil
	})
	return a.settle(ctx, in, result, err)
}

// Choose finds the first case that holds. An expression that fails does not hold.
func (a *Activities) Choose(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		env, err := p.Env()
		if err != nil {
			return rules.Result{}, err
		}
		failed := ""
		for i, c := range p.Step.Cases {
			ok, err := c.Bool(env)
			if cause := fence.Cause(err); cause != nil {
				return rules.Result{}, cause
			}
			switch {
			case err != nil:
				failed = "expression_failed"
			case ok:
				return because(done(rules.Case(i)), failed), nil
			}
		}
		return because(done(rules.OutcomeOtherwise), failed), nil
	})
}

// Split finds the arm that the customer belongs to. Those who are held out end there.
func (a *Activities) Split(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		arm := p.Step.Split.Arm(p.Journey.Name, p.Customer.ID)
		if arm.Holdout {
			return done(rules.OutcomeHoldout), nil
		}
		return done(rules.Arm(arm.Name)), nil
	})
}

// End ends the run with the step's outcome.
func (a *Activities) End(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		return done(p.Step.Outcome), fence.End(p.Tx, p.Run, fence.Ending{Outcome: p.Step.Outcome})
	})
}

// Approve puts a question to a person; the run waits for their decision.
func (a *Activities) Approve(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		env, err := p.Veiled()
		if err != nil {
			return rules.Result{}, err
		}
		title, err := p.Step.Title.Render(p.Program.Language, env)
		if cause := fence.Cause(err); cause != nil {
			return rules.Result{}, cause
		}
		if err != nil {
			// A question with a hole in it is still a question; the run and its step say what it is about.
			title = p.Journey.Plan.Nodes[in.Node].Label
		}
		return done(rules.OutcomeNext), p.Tx.AddApproval(&punchcard.Approval{
			ID: punchcard.NewID(punchcard.PrefixApproval), RunID: p.Run.ID, Step: in.Step, CustomerID: p.Customer.ID, Title: title,
		})
	})
}

// Perform does the effect of a node of any kind: at a wait it arms it.
func (a *Activities) Perform(ctx context.Context, kind rules.Kind, in Input) (rules.Result, error) {
	switch kind {
	case rules.KindSend:
		return a.Send(ctx, in)
	case rules.KindSay:
		return a.Say(ctx, in)
	case rules.KindAsk:
		return a.Ask(ctx, in)
	case rules.KindChoose:
		return a.Choose(ctx, in)
	case rules.KindReward:
		return a.Reward(ctx, in)
	case rules.KindRedeem:
		return a.Redeem(ctx, in)
	case rules.KindRelease:
		return a.Release(ctx, in)
	case rules.KindConsent:
		return a.Consent(ctx, in)
	case rules.KindApprove:
		return a.Approve(ctx, in)
	case rules.KindEnd:
		return a.End(ctx, in)
	case rules.KindSplit:
		return a.Split(ctx, in)
	case rules.KindCapture:
		return a.Capture(ctx, in)
	case rules.KindPoints:
		return a.Points(ctx, in)
	case rules.KindLabel:
		return a.Label(ctx, in)
	case rules.KindUnlabel:
		return a.Unlabel(ctx, in)
	case rules.KindSet:
		return a.Set(ctx, in)
	case rules.KindRaise:
		return a.Raise(ctx, in)
	case rules.KindHandoff:
		return a.Handoff(ctx, in)
	case rules.KindCall:
		return a.Call(ctx, in)
	case rules.KindStart:
		return a.Start(ctx, in)
	case rules.KindWait, rules.KindWaitUntil, rules.KindAnswer, rules.KindDecision, rules.KindWaitFor, rules.KindCollect:
		return a.Arm(ctx, in)
	default:
		return stuck(CodeFault), nil
	}
}
