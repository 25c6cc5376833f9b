package activities

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/rules"
)

// The codes of steps whose values cannot be had. The run goes on without them.
const (
	codeValueInvalid = "value_invalid" // what an expression gave does not fit the declared type
	codeNothing      = "nothing"       // there was nothing to do: no points, a label that is there already
)

// Label gives the customer a label.
func (a *Activities) Label(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		if slices.Contains(p.Customer.Labels, p.Step.Label) {
			return because(done(rules.OutcomeNext), codeNothing), nil
		}
		p.Customer.Labels = append(p.Customer.Labels, p.Step.Label)
		slices.Sort(p.Customer.Labels)
		return done(rules.OutcomeNext), p.Tx.SaveCustomer(p.Customer)
	})
}

// Unlabel takes a label from the customer.
func (a *Activities) Unlabel(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		if !slices.Contains(p.Customer.Labels, p.Step.Label) {
			return because(done(rules.OutcomeNext), codeNothing), nil
		}
		p.Customer.Labels = slices.DeleteFunc(p.Customer.Labels, func(l string) bool { return l == p.Step.Label })
		return done(rules.OutcomeNext), p.Tx.SaveCustomer(p.Customer)
	})
}

// Set writes attributes of the customer; one whose value is absent is forgotten.
func (a *Activities) Set(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		values, code, err := veiledValues(p)
		if err != nil || code != "" {
			return because(done(rules.OutcomeNext), code), err
		}
		return done(rules.OutcomeNext), fence.Watch(p.Tx, p.Policy.Program, p.Customer, p.Run.Depth, func() error {
			for name, v := range values {
				if v == nil {
					delete(p.Customer.Attributes, name)
				} else {
					p.Customer.Attributes[name] = v
				}
			}
			return p.Tx.SaveCustomer(p.Customer)
		})
	})
}

// Points gives the customer points.
func (a *Activities) Points(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		env, err := p.Env()
		if err != nil {
			return rules.Result{}, err
		}
		value, err := p.Step.Points.Number(env)
		if cause := fence.Cause(err); cause != nil {
			return rules.Result{}, cause
		}
		if err != nil {
			return because(done(rules.OutcomeNext), ReasonExpression), nil //nolint:nilerr // an expression that fails is recorded, and gives nothing
		}
		points := int64(math.Floor(min(value, fence.MaxEarned)))
		if points <= 0 {
			return because(done(rules.OutcomeNext), codeNothing), nil
		}
		return done(rules.OutcomeNext), fence.Watch(p.Tx, p.Policy.Program, p.Customer, p.Run.Depth, func() error {
			_, _, err := p.Tx.Earn(p.Customer.ID, points, p.Run.Journey, p.Run.ID, fmt.Sprintf("earn/%s/%d", p.Run.ID, in.Step),
				p.Tx.Now.Add(p.Step.Pending), fence.PointsExpiry(p.Policy.Program, p.Tx.Now))
			return err
		})
	})
}

// Raise raises an event of the program's own, to be routed in its own time.
func (a *Activities) Raise(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		values, code, err := veiledValues(p)
		if err != nil || code != "" {
			return because(done(rules.OutcomeNext), code), err
		}
		return done(rules.OutcomeNext), fence.Raise(p.Tx, p.Customer.ID, p.Step.Raise, values, p.Run.Depth)
	})
}

// Start asks for a run of another journey. One that is live on its key goes on alone.
func (a *Activities) Start(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		values, code, err := veiledValues(p)
		if err != nil || code != "" {
			return because(done(rules.OutcomeNext), code), err
		}
		return done(rules.OutcomeNext), fence.Raise(p.Tx, p.Customer.ID, punchcard.EventRunRequested, map[string]any{
			fence.RequestedJourney: p.Step.StartJourney, fence.RequestedEntry: p.Step.Entry, fence.RequestedProperties: values,
		}, p.Run.Depth)
	})
}

// Handoff gives the conversation to a person, and mutes automation to the customer meanwhile.
func (a *Activities) Handoff(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		env, err := p.Veiled()
		if err != nil {
			return rules.Result{}, err
		}
		note, err := p.Step.Title.Render(p.Program.Language, env)
		if cause := fence.Cause(err); cause != nil {
			return rules.Result{}, cause
		}
		if err != nil {
			note = p.Journey.Plan.Nodes[in.Node].Label // a note with a hole in it still calls somebody
		}
		return done(rules.OutcomeNext), p.Tx.OpenHandoff(&punchcard.Handoff{
			ID: punchcard.NewID(punchcard.PrefixHandoff), CustomerID: p.Customer.ID, RunID: p.Run.ID, Step: in.Step, Note: note,
			Until: p.Tx.Now.Add(p.Step.MuteFor),
		}, p.Customer)
	})
}

// values are what a step hands over to another system, canonical, or the code of why they cannot be had.
func values(p *fence.Pass) (map[string]any, string, error) {
	env, err := p.Env()
	if err != nil {
		return nil, "", err
	}
	return valuesIn(p, env)
}

// veiledValues are what a step writes down here, where others may read it: codes are hidden.
func veiledValues(p *fence.Pass) (map[string]any, string, error) {
	env, err := p.Veiled()
	if err != nil {
		return nil, "", err
	}
	return valuesIn(p, env)
}

func valuesIn(p *fence.Pass, env *rules.Env) (map[string]any, string, error) {
	values, err := p.Step.Evaluate(env)
	if cause := fence.Cause(err); cause != nil {
		return nil, "", cause
	}
	var failed *rules.EvalError
	switch {
	case err == nil:
		return values, "", nil
	case errors.As(err, &failed):
		return nil, ReasonExpression, nil
	case errors.Is(err, rules.ErrEmpty):
		return nil, ReasonParameterEmpty, nil
	default:
		return nil, codeValueInvalid, nil
	}
}
