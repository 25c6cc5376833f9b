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
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		reward, name, err := wanted(p)
		if err != nil {
			return rules.Result{}, err
		}
		refused, err := give(p, reward, name, &punchcard.Grant{}, false)
		if err != nil || refused != "" {
			return because(done(rules.OutcomeRefused), refused), err
		}
		return done(rules.OutcomeNext), nil
	})
}

// keep binds that a rule says no, and keeps it for review.
func keep(p *fence.Pass, action punchcard.RefusedAction, reward, code string) error {
	bind(p, punchcard.Ref{Kind: punchcard.RefRefusal, Reward: reward, Reason: code})
	return p.Tx.AddRefusal(punchcard.Refusal{CustomerID: p.Customer.ID, Reward: reward, Action: action, Reason: code})
}

// Redeem holds the points of the reward that the run's redemption asks for, takes a code, and binds the grant. Whatever ends
// the run ends the hold.
func (a *Activities) Redeem(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		reward, name, err := wanted(p)
		if err != nil {
			return rules.Result{}, err
		}
		id, _ := p.Run.Entry["redemption_id"].(string)
		redemption, err := p.Tx.Redemption(id)
		if err != nil {
			return rules.Result{}, err
		}
		if redemption != nil && redemption.CustomerID == p.Customer.ID && redemption.Status == punchcard.RedemptionReleased &&
			p.Run.EntryEvent == punchcard.EventRedemptionRequested {
			return because(done(rules.OutcomeRefused), punchcard.ReasonCancelled), keep(p, punchcard.RefusedRedeem, name, punchcard.ReasonCancelled) // it was given up before it began
		}
		if redemption == nil || redemption.CustomerID != p.Customer.ID || redemption.EndedAt != nil ||
			redemption.RunID != "" && redemption.RunID != p.Run.ID {
			// The journey was started by something else than a redemption that is this customer's and open: the step makes its own.
			redemption = &punchcard.Redemption{ID: punchcard.NewID(punchcard.PrefixRedemption), CustomerID: p.Customer.ID, Reward: name}
			if err := p.Tx.AddRedemption(redemption); err != nil {
				return rules.Result{}, err
			}
		}
		redemption.RunID = p.Run.ID
		grant := punchcard.Grant{RedemptionID: redemption.ID}
		refused, err := give(p, reward, name, &grant, true)
		if err != nil {
			return rules.Result{}, err
		}
		if refused != "" {
			redemption.Status, redemption.Reason, redemption.EndedAt = punchcard.RedemptionRefused, refused, &p.Tx.Now
			return because(done(rules.OutcomeRefused), refused), p.Tx.SaveRedemption(redemption)
		}
		redemption.Status, redemption.GrantID = punchcard.RedemptionHeld, grant.ID
		return done(rules.OutcomeNext), p.Tx.SaveRedemption(redemption)
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

// give makes a grant for a run, and binds it or the refusal. It answers the code of the rule that says no, or "".
func give(p *fence.Pass, reward *rules.Reward, name string, grant *punchcard.Grant, forPoints bool) (string, error) {
	grant.RunID = p.Run.ID
	refused, err := fence.Give(fence.Gift{
		Wish:  fence.Wish{Tx: p.Tx, Reward: reward, Customer: p.Customer, Env: p.Env},
		Grant: grant, Version: p.Run.Version, ForPoints: forPoints, Policy: p.Policy.Program, Depth: p.Run.Depth,
	})
	switch {
	case err != nil:
		return "", err
	case refused != "":
		action := punchcard.RefusedGive
		if forPoints {
			action = punchcard.RefusedRedeem
		}
		return refused, keep(p, action, name, refused)
	default:
		bind(p, punchcard.Ref{Kind: punchcard.RefGrant, ID: grant.ID, Reward: name})
	}
	return refused, nil
}
