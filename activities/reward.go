package activities

import (
	"context"
	"errors"
	"fmt"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// The codes with which a reward is refused, beside those of fence.RefusesReward. fence.Words has what the customer reads.
const (
	codeUnknownReward = "unknown_reward"
	codeNotForPoints  = "not_for_points"
)

// errRefused carries a refusal out of what rolls back nothing: it is a result, not a failure.
type errRefused struct{ code string }

func (e errRefused) Error() string { return "the reward is refused: " + e.code }

// Reward gives the customer a reward and binds the grant.
func (a *Activities) Reward(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		reward, name, err := wanted(p)
		if err != nil {
			return rules.Result{}, err
		}
		grant := punchcard.Grant{RunID: p.Run.ID, Status: punchcard.GrantGiven}
		err = give(p, reward, &grant)
		if refused, ok := errors.AsType[errRefused](err); ok {
			bind(p, punchcard.Ref{Kind: punchcard.RefRefusal, Reward: name, Reason: refused.code})
			return because(done(rules.OutcomeRefused), refused.code), nil
		}
		if err != nil {
			return rules.Result{}, err
		}
		bind(p, punchcard.Ref{Kind: punchcard.RefGrant, ID: grant.ID, Reward: name})
		return done(rules.OutcomeNext), nil
	})
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
		if redemption == nil || redemption.CustomerID != p.Customer.ID || redemption.EndedAt != nil ||
			redemption.RunID != "" && redemption.RunID != p.Run.ID {
			// The journey was started by something else than a redemption that is this customer's and open: the step makes its own.
			redemption = &punchcard.Redemption{ID: punchcard.NewID(punchcard.PrefixRedemption), CustomerID: p.Customer.ID, Reward: name}
			if err := p.Tx.AddRedemption(redemption); err != nil {
				return rules.Result{}, err
			}
		}
		redemption.RunID = p.Run.ID
		grant := punchcard.Grant{RunID: p.Run.ID, RedemptionID: redemption.ID, Status: punchcard.GrantHeld}
		if reward != nil {
			grant.Cost = reward.Cost
		}
		err = give(p, reward, &grant)
		if refused, ok := errors.AsType[errRefused](err); ok {
			bind(p, punchcard.Ref{Kind: punchcard.RefRefusal, Reward: name, Reason: refused.code})
			redemption.Status, redemption.Reason, redemption.EndedAt = punchcard.RedemptionRefused, refused.code, &p.Tx.Now
			return because(done(rules.OutcomeRefused), refused.code), p.Tx.SaveRedemption(redemption)
		}
		if err != nil {
			return rules.Result{}, err
		}
		bind(p, punchcard.Ref{Kind: punchcard.RefGrant, ID: grant.ID, Reward: name})
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
		captured, err := fence.Capture(p.Tx, grant, p.Run.Depth)
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

// give makes a grant of a reward, within its limits, with its points held and a code of its own. The error is errRefused where
// a rule says no, before anything is written, and CodeConflict with ReasonNotEnoughPoints where the balance does not reach.
func give(p *fence.Pass, reward *rules.Reward, grant *punchcard.Grant) error {
	if reward == nil {
		return errRefused{codeUnknownReward}
	}
	if grant.Status == punchcard.GrantHeld && reward.Cost <= 0 {
		return errRefused{codeNotForPoints}
	}
	if code, err := fence.RefusesReward(p.Tx, reward, p.Customer, true); err != nil || code != "" {
		if err != nil {
			return err
		}
		return errRefused{code}
	}
	if grant.Cost > 0 {
		points, err := p.Tx.PointsNow(p.Customer.ID)
		if err != nil {
			return err
		}
		if points.Available < grant.Cost {
			return errRefused{store.ReasonNotEnoughPoints}
		}
	}
	grant.ID, grant.CustomerID, grant.Reward = punchcard.NewID(punchcard.PrefixGrant), p.Customer.ID, reward.Name
	grant.Version, grant.CapturedBy, grant.Value = p.Run.Version, reward.CapturedBy, reward.Value
	if reward.ValidFor > 0 {
		expires := p.Tx.Now.Add(reward.ValidFor)
		grant.ExpiresAt = &expires
	}
	if reward.Kind == rules.RewardPoints {
		grant.Status, grant.EndedAt = punchcard.GrantCaptured, &p.Tx.Now
	}
	if err := p.Tx.AddGrant(grant); err != nil {
		return err
	}
	if grant.Cost > 0 {
		if err := p.Tx.Hold(grant, grant.Cost, p.Policy.Grace); err != nil {
			return err
		}
	}
	if err := attachCode(p.Tx, reward, grant); err != nil {
		return err
	}
	if reward.Kind != rules.RewardPoints {
		return nil
	}
	return fence.Watch(p.Tx, p.Policy.Program, p.Customer, p.Run.Depth, func() error {
		_, _, err := p.Tx.Earn(p.Customer.ID, reward.Points, "reward", grant.ID, "earn/"+grant.ID, p.Tx.Now, fence.PointsExpiry(p.Policy.Program, p.Tx.Now))
		return err
	})
}

// Where a reward's codes come from.
const (
	codesGenerated = "generated"
	codesPool      = "pool"
)

// attachCode gives a grant its code: one of the pool, or a new one.
func attachCode(tx *store.Tx, reward *rules.Reward, grant *punchcard.Grant) error {
	switch reward.Codes {
	case codesPool:
		code, err := tx.TakeCode(reward.Name, grant.ID)
		if err != nil {
			return err
		}
		if code == "" {
			// Others took the last ones since they were counted. What was written goes back, and the next try is refused.
			return fmt.Errorf("the last codes of %s were taken meanwhile: %w", reward.Name, store.ErrTryAgain)
		}
		return tx.SetGrantCode(grant, code)
	case codesGenerated:
		for {
			code, err := punchcard.NewCode("")
			if err != nil {
				return err
			}
			fresh, err := tx.AddCode(code, reward.Name, grant.ID)
			if err != nil {
				return err
			}
			if fresh {
				return tx.SetGrantCode(grant, code)
			}
		}
	default:
		return nil
	}
}
