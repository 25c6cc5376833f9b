package activities

import (
	"context"
	"fmt"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/rules"
)

// Reward gives the customer a reward and binds the grant.
func (a *Activities) Reward(ctx context.Context, in Input) (rules.Result, error) {
	return a.grant(ctx, in, func(p *fence.Pass) (*punchcard.Grant, string, error) {
		reward, name, err := wanted(p)
		if err != nil {
			return nil, "", err
		}
		grant := punchcard.Grant{}
		refused, err := give(p, reward, name, &grant, false)
		return &grant, refused, err
	})
}

// grant does a step that gives a reward. give makes the grant, or answers the code of the rule that says no. Where the code is another system's, that is
// asked once the grant is committed, and asked for the same grant again by whoever goes on where this one died.
func (a *Activities) grant(ctx context.Context, in Input, give func(*fence.Pass) (*punchcard.Grant, string, error)) (rules.Result, error) {
	var awaits *punchcard.Grant
	var program *rules.Program
	result, err := a.Fence.Do(ctx, in.Run, in.Effect, func(p *fence.Pass) (rules.Result, error) {
		awaits, program = nil, p.Program
		if p.Journey.Plan.Nodes[in.Node].Asks {
			begun, err := p.Tx.AwaitingGrant(p.Run.ID)
			if err != nil || begun != nil {
				awaits = begun // whatever the step's `if` says now: the grant is made
				return rules.Result{Reply: fence.ReplyAsking}, err
			}
		}
		return guarded(func(p *fence.Pass) (rules.Result, error) {
			grant, refused, err := give(p)
			switch {
			case err != nil:
				return rules.Result{}, err
			case refused != "":
				return because(done(rules.OutcomeRefused), refused), nil
			case grant.AwaitsCode:
				awaits = grant
				return rules.Result{Reply: fence.ReplyAsking}, nil
			default:
				bindGrant(p, grant)
				return done(rules.OutcomeNext), nil
			}
		})(p)
	})
	if err != nil || result.Reply != fence.ReplyAsking {
		return a.settle(ctx, in, result, err)
	}
	issued, failed, err := a.Caller.Code(ctx, program, program.Rewards[awaits.Reward], awaits)
	if err != nil {
		return a.settle(ctx, in, rules.Result{}, err)
	}
	if asksAgain(ctx, failed) {
		return rules.Result{}, errCallAgain
	}
	result, err = a.Fence.Finish(ctx, in.Run, in.Effect, func(p *fence.Pass) (rules.Result, error) {
		refused, err := fence.SettleCode(p.Tx, awaits, issued, failed)
		switch {
		case err != nil:
			return rules.Result{}, err
		case refused == "":
			bindGrant(p, awaits)
			return done(rules.OutcomeNext), nil
		case p.Run.Status == punchcard.RunEnded:
			return because(done(rules.OutcomeRefused), refused), nil // it was given back with all that the run held
		default:
			return because(done(rules.OutcomeRefused), refused), keep(p, actionOf(awaits.Cost > 0), awaits.Reward, refused)
		}
	})
	return a.settle(ctx, in, result, err)
}

func bindGrant(p *fence.Pass, g *punchcard.Grant) {
	bind(p, punchcard.Ref{Kind: punchcard.RefGrant, ID: g.ID, Reward: g.Reward})
}

// actionOf is what is refused: a gift, or what is asked for with points.
func actionOf(forPoints bool) punchcard.RefusedAction {
	if forPoints {
		return punchcard.RefusedRedeem
	}
	return punchcard.RefusedGive
}

// keep binds that a rule says no, and keeps it for review.
func keep(p *fence.Pass, action punchcard.RefusedAction, reward, code string) error {
	bind(p, punchcard.Ref{Kind: punchcard.RefRefusal, Reward: reward, Reason: code})
	return p.Tx.AddRefusal(punchcard.Refusal{CustomerID: p.Customer.ID, Reward: reward, Action: action, Reason: code})
}

// Redeem holds the points of the reward that the run's redemption asks for, takes a code, and binds the grant. Whatever ends
// the run ends the hold.
func (a *Activities) Redeem(ctx context.Context, in Input) (rules.Result, error) {
	return a.grant(ctx, in, func(p *fence.Pass) (*punchcard.Grant, string, error) {
		reward, name, err := wanted(p)
		if err != nil {
			return nil, "", err
		}
		id, _ := p.Run.Entry["redemption_id"].(string)
		redemption, err := p.Tx.Redemption(id)
		if err != nil {
			return nil, "", err
		}
		if redemption != nil && redemption.CustomerID == p.Customer.ID && redemption.Status == punchcard.RedemptionReleased &&
			p.Run.EntryEvent == punchcard.EventRedemptionRequested {
			return nil, punchcard.ReasonCancelled, keep(p, punchcard.RefusedRedeem, name, punchcard.ReasonCancelled) // it was given up before it began
		}
		if redemption == nil || redemption.CustomerID != p.Customer.ID || redemption.EndedAt != nil ||
			redemption.RunID != "" && redemption.RunID != p.Run.ID {
			// The journey was started by something else than a redemption that is this customer's and open: the step makes its own.
			redemption = &punchcard.Redemption{ID: punchcard.NewID(punchcard.PrefixRedemption), CustomerID: p.Customer.ID, Reward: name}
			if err := p.Tx.AddRedemption(redemption); err != nil {
				return nil, "", err
			}
		}
		redemption.RunID = p.Run.ID
		grant := punchcard.Grant{RedemptionID: redemption.ID}
		refused, err := give(p, reward, name, &grant, true)
		if err != nil {
			return nil, "", err
		}
		if refused != "" {
			return nil, refused, p.Tx.RefuseRedemption(redemption, refused)
		}
		redemption.Status, redemption.GrantID = punchcard.RedemptionHeld, grant.ID
		return &grant, "", p.Tx.SaveRedemption(redemption)
	})
}

// Release gives a grant back: the points held for it are the customer's again, and its code is void.
func (a *Activities) Release(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		ref := p.Run.Bound[p.Step.Grant]
		if ref.Kind != punchcard.RefGrant {
			return because(done(rules.OutcomeNext), "nothing_held"), nil
		}
		grant, err := p.Tx.Grant(ref.ID)
		if err != nil {
			return rules.Result{}, err
		}
		if grant == nil {
			return rules.Result{}, fmt.Errorf("grant %s of run %s is gone", ref.ID, p.Run.ID)
		}
		released, err := p.Tx.ReleaseGrant(grant)
		if err != nil {
			return rules.Result{}, err
		}
		if !released {
			return because(done(rules.OutcomeNext), "already_"+string(grant.Status)), nil
		}
		return done(rules.OutcomeNext), nil
	})
}

// Capture uses a grant: the points held for it are spent.
func (a *Activities) Capture(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		ref := p.Run.Bound[p.Step.Grant]
		if ref.Kind != punchcard.RefGrant {
			return because(done(rules.OutcomeRefused), "nothing_held"), nil
		}
		grant, err := p.Tx.Grant(ref.ID)
		if err != nil {
			return rules.Result{}, err
		}
		if grant == nil {
			return rules.Result{}, fmt.Errorf("grant %s of run %s is gone", ref.ID, p.Run.ID)
		}
		captured, err := fence.Capture(p.Tx, grant, &punchcard.Capture{By: punchcard.CapturedByStep, OrderRef: p.Run.ID}, p.Run.Depth)
		if err != nil {
			return rules.Result{}, err
		}
		if !captured {
			return because(done(rules.OutcomeRefused), "already_"+string(grant.Status)), nil
		}
		return done(rules.OutcomeNext), nil
	})
}

// bind keeps a reference under the step's `as`.
func bind(p *fence.Pass, ref punchcard.Ref) {
	if p.Step.As != "" {
		p.Run.Bound[p.Step.As] = ref
	}
}

// wanted is the reward that a step names, from the run's own catalog; nil when that has none of the name.
func wanted(p *fence.Pass) (*rules.Reward, string, error) {
	env, err := p.Env()
	if err != nil {
		return nil, "", err
	}
	name, err := p.Step.Reward.Render(p.Program.Language, env)
	if err != nil {
		return nil, "", fmt.Errorf("the reward of step %s: %w", p.Step.Node, err)
	}
	return p.Program.Rewards[name], name, nil
}

// give makes a grant for a run, or binds the refusal. It answers the code of the rule that says no, or "".
func give(p *fence.Pass, reward *rules.Reward, name string, grant *punchcard.Grant, forPoints bool) (string, error) {
	grant.RunID = p.Run.ID
	refused, err := fence.Give(fence.Gift{
		Wish:  fence.Wish{Tx: p.Tx, Reward: reward, Customer: p.Customer, Env: p.Env},
		Grant: grant, Version: p.Run.Version, ForPoints: forPoints, Policy: p.Policy.Program, Depth: p.Run.Depth,
	})
	if err == nil && refused != "" {
		err = keep(p, actionOf(forPoints), name, refused)
	}
	return refused, err
}
