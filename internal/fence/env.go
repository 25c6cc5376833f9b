package fence

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Scene is what an Env is made of.
type Scene struct {
	Tx       *store.Tx
	Program  *rules.Program
	Customer *punchcard.Customer
	Run      *punchcard.Run   // nil outside of a run
	Event    *punchcard.Event // nil where none has just happened
	Count    int              // what a collect has counted; 0 outside of one
	// Facts is what was read already of the same customer and program in this transaction; nil: they are read now.
	Facts *rules.Env
}

// Env is what expressions see, as it is now.
func (s Scene) Env() (*rules.Env, error) {
	facts := s.Facts
	if facts == nil {
		facts = s.facts()
	}
	env := *facts
	if s.Event != nil {
		env.Event = decode(s.Program, s.Event.Name, s.Event.Properties)
	}
	if s.Run == nil {
		return &env, nil
	}
	env.Entry = s.Run.Entry
	if j := s.Program.Journeys[s.Run.Journey]; j != nil {
		env.Entry = j.Entry().Decode(s.Run.Entry)
	}
	env.Collected = map[string]any{"count": s.Count}
	var err error
	env.Bound, env.Secrets, err = s.bound(&env)
	return &env, err
}

// facts is what is known of the customer, whatever the run and the event. It is read when an expression first asks for it, and then once,
// but for times(), total() and latest(), which are read each time.
func (s Scene) facts() *rules.Env {
	tx, p, c := s.Tx, s.Program, s.Customer
	account := sync.OnceValues(func() (store.PointsNow, error) {
		points, err := tx.PointsNow(c.ID)
		if err == nil {
			points.Tier, err = tierOf(tx, p, &points.Points)
		}
		return points, err
	})
	standings := sync.OnceValues(func() (map[string]punchcard.ConsentState, error) { return tx.Standings(c.ID) })
	return &rules.Env{
		Program: p, Now: tx.Now, Language: c.Language, Zone: Zone(p, c),
		Customer: rules.CustomerFacts{
			ID: c.ID, Language: c.Language, Country: c.Country, Labels: c.Labels,
			AgeDays: int(tx.Now.Sub(c.Since) / (24 * time.Hour)), Attributes: p.Attributes.Decode(c.Attributes),
		},
		Account: func() (string, rules.PointsFacts, error) {
			a, err := account()
			return a.Tier, rules.PointsFacts{Balance: a.Available, Earned: a.Earned, Pending: a.Pending, Expiring: a.Expiring}, err
		},
		Consent: func(topic string) (string, error) {
			known, err := standings()
			return string(standingOf(known, topic)), err
		},
		Times: func(event string, window time.Duration) (int, error) {
			n, err := tx.Total(c.ID, event, "", window)
			return int(n), err
		},
		Total: func(event, field string, window time.Duration) (float64, error) {
			return tx.Total(c.ID, event, field, window)
		},
		Latest: func(event string) (map[string]any, error) {
			e, err := tx.LatestEvent(c.ID, event)
			if err != nil || e == nil {
				return nil, err
			}
			return decode(p, event, e.Properties), nil
		},
		Referral:    func() (string, string, error) { return Referral(tx, p, c.ID) },
		Unsubscribe: func() (string, error) { return UnsubscribeURL(tx, c.ID) },
	}
}

// decode gives properties as expressions see them; those of an event that the program does not declare stay as they are.
func decode(p *rules.Program, event string, properties map[string]any) map[string]any {
	if schema, ok := p.Schema(event); ok {
		return schema.Decode(properties)
	}
	return properties
}

// bound reads what `as` has bound: the grants as they are now, with their codes, which are secrets.
func (s Scene) bound(env *rules.Env) (values map[string]map[string]any, secrets map[string]string, err error) {
	values, secrets = map[string]map[string]any{}, map[string]string{}
	for name, ref := range s.Run.Bound {
		v := map[string]any{}
		for _, f := range rules.BoundFields() {
			v[f.Name] = nil
		}
		v["reward"] = ref.Reward
		if r := s.Program.Rewards[ref.Reward]; r != nil {
			title, err := r.Title.Render(s.Customer.Language, env)
			if err != nil {
				return nil, nil, fmt.Errorf("the title of reward %s: %w", r.Name, err)
			}
			v["title"], v["url"], v["value"], v["points"] = title, r.URL, r.Value, int(r.Points)
			if err := rewardWords(r, s.Customer.Language, env, v); err != nil {
				return nil, nil, err
			}
		}
		switch ref.Kind {
		case punchcard.RefGrant:
			if err := s.granted(ref.ID, v, secrets); err != nil {
				return nil, nil, err
			}
			if r := s.Program.Rewards[ref.Reward]; r != nil && r.Kind == rules.RewardContent {
				link, err := ContentURL(s.Tx, ref.ID, r.URL)
				if err != nil {
					return nil, nil, err
				}
				v["url"] = link
				if link != r.URL {
					secrets[link] = veiledLink
				}
			}
		case punchcard.RefRefusal:
			v["reason"] = Words(ref.Reason, s.Customer.Language, s.Program.Language)
		case punchcard.RefAnswer:
			answer, err := s.answerOf(ref)
			if err != nil {
				return nil, nil, err
			}
			values[name] = answer
			continue
		case punchcard.RefMessage:
			continue
		}
		values[name] = v
	}
	return values, secrets, nil
}

// rewardWords reads what else customers are told of a reward.
func rewardWords(r *rules.Reward, language string, env *rules.Env, v map[string]any) error {
	for name, text := range map[string]rules.Text{"description": r.Description, "terms": r.Terms} {
		if text.IsZero() {
			continue
		}
		words, err := text.Render(language, env)
		if err != nil {
			return fmt.Errorf("the %s of reward %s: %w", name, r.Name, err)
		}
		v[name] = words
	}
	if r.Image != "" {
		v["image"] = r.Image
	}
	return nil
}

// granted reads what expressions see of a grant.
func (s Scene) granted(id string, v map[string]any, secrets map[string]string) error {
	g, err := s.Tx.Grant(id)
	if err != nil || g == nil {
		return err
	}
	v["code"], v["value"] = g.Code, g.Value
	if g.ExpiresAt != nil {
		v["expires"] = *g.ExpiresAt
	}
	if g.Code != "" {
		code, err := s.Tx.CodeOf(g.ID)
		if err != nil {
			return err
		}
		v["code"], secrets[code] = code, g.Code
	}
	return nil
}

// answerOf reads what another system answered, as expressions see it; all of it is absent when it did not.
func (s Scene) answerOf(ref punchcard.Ref) (map[string]any, error) {
	step, err := strconv.Atoi(ref.ID)
	if err != nil {
		return nil, fmt.Errorf("a call's answer is bound as %q, which is no step", ref.ID)
	}
	row, err := s.Tx.CallAnswer(s.Run.ID, step)
	if err != nil {
		return nil, err
	}
	var answers map[string]any
	name := ref.Reward
	if row != nil {
		answers, name = row.Answers, row.Call
	}
	call := s.Program.Calls[name]
	if call == nil {
		return answers, nil
	}
	return call.Answers.Decode(answers), nil
}

// Zone is a customer's time zone: their own setting, else that of their phone's region, else the program's.
func Zone(p *rules.Program, c *punchcard.Customer) *time.Location { return ZoneNamed(p, c.Zone) }

// ZoneNamed is the zone of a name, and the program's for one that is empty or not known on this machine.
func ZoneNamed(p *rules.Program, name string) *time.Location {
	if name == "" {
		return p.Zone
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return p.Zone
	}
	return zone
}

func standingOf(states map[string]punchcard.ConsentState, topic string) punchcard.Standing {
	if s, ok := states[topic]; ok {
		return s.Standing
	}
	return punchcard.StandingNone
}

// Cause is what made an expression fail other than itself: the error of a query that one of its functions made. It is nil for
// an expression that failed by its own fault, which counts as false.
func Cause(err error) error {
	if e, ok := errors.AsType[*rules.EvalError](err); ok {
		return e.Unwrap()
	}
	return nil
}

// Raise adds an event of ours, to be routed later in a transaction of its own. depth is that of what raised it.
func Raise(tx *store.Tx, customer, name string, properties map[string]any, depth int) error {
	return tx.AddEvents(raised(tx, customer, name, properties, depth))
}

func raised(tx *store.Tx, customer, name string, properties map[string]any, depth int) *punchcard.Event {
	return &punchcard.Event{
		ID: punchcard.NewID(punchcard.PrefixEvent), CustomerID: customer, Name: name, Properties: properties,
		OccurredAt: tx.Now, Depth: depth + 1,
	}
}

// PointsExpiry is when points that are earned now expire, nil for never.
func PointsExpiry(p *rules.Program, now time.Time) *time.Time {
	if p.Expire <= 0 {
		return nil
	}
	at := now.Add(p.Expire)
	return &at
}

// MaxEarned bounds what one event can earn, so that no sum of points overflows.
const MaxEarned = 1e9
