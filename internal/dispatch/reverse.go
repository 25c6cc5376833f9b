package dispatch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"

	"punchcard"
	"punchcard/rules"
)

// origin keeps the event where a rule says that it can be undone, and lets what has come to undo it before it do so.
func (r *routing) origin(sums map[string]float64) error {
	kept := map[string]bool{}
	for _, rule := range r.policy.Reverse {
		value, ok := r.names(rule.Of, rule.Match)
		if !ok || kept[rule.Match] {
			continue
		}
		kept[rule.Match] = true
		err := r.tx.AddOrigin(&punchcard.PointsOrigin{
			EventID: r.event.ID, Property: rule.Match, CustomerID: r.customer.ID, Event: r.event.Name, Value: value, Seq: r.event.Seq,
			OccurredAt: r.event.OccurredAt, Sums: sums,
		})
		if err != nil {
			return err
		}
		waiting, err := r.tx.WaitingReversals(r.customer.ID, rule.Of, rule.Match, value)
		if err != nil {
			return err
		}
		if err := r.undoWaiting(waiting); err != nil {
			return err
		}
	}
	return nil
}

// undoWaiting has reversals do what they waited to do.
func (r *routing) undoWaiting(waiting []punchcard.PointsReversal) error {
	for i := range waiting {
		undoing, err := r.tx.Event(waiting[i].EventID)
		if err != nil {
			return err
		}
		if undoing == nil {
			continue
		}
		for _, rule := range r.policy.Reverse {
			if rule.On != undoing.Name || rule.Of != waiting[i].Event || rule.Match != waiting[i].Property {
				continue
			}
			if err := r.undo(rule, undoing, &waiting[i]); err != nil {
				return err
			}
			if err := r.tx.SaveReversal(&waiting[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// merged undoes what one of two customers did and the other undid, now that they are one.
func (r *routing) merged() error {
	if r.event.Name != punchcard.EventCustomerMerged {
		return nil
	}
	waiting, err := r.tx.MetReversals(r.customer.ID)
	if err != nil {
		return err
	}
	return r.undoWaiting(waiting)
}

// reverse undoes what the event undoes. What has not come yet is undone when it comes.
func (r *routing) reverse() error {
	for _, rule := range r.policy.Reverse {
		value, ok := r.names(rule.On, rule.Match)
		if !ok {
			continue
		}
		reversal := &punchcard.PointsReversal{
			EventID: r.event.ID, Event: rule.Of, Property: rule.Match, CustomerID: r.customer.ID, Value: value,
		}
		fresh, err := r.tx.AddReversal(reversal)
		if err != nil || !fresh {
			return err
		}
		if err := r.undo(rule, r.event, reversal); err != nil {
			return err
		}
		if err := r.tx.SaveReversal(reversal); err != nil {
			return err
		}
	}
	return nil
}

// maxMatch is how long a value may be, in bytes, by which events find each other, to be kept as it is; of a longer one its hash is. PostgreSQL indexes
// less than 2,704 bytes, and a string of an event may have 4,096.
const maxMatch = 1024

// names is the value of the property by which the event is known, or names another, where it is of that name.
func (r *routing) names(event, property string) (string, bool) {
	if r.event.Name != event {
		return "", false
	}
	switch v := r.event.Properties[property].(type) {
	case string:
		if len(v) > maxMatch {
			sum := sha256.Sum256([]byte(v))
			v = "sha256:" + hex.EncodeToString(sum[:])
		}
		return v, v != ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	default:
		return "", false
	}
}

// undo takes back the share of an event that another undoes: of what it earned, of the sums that it counts in, and, once all of it
// is undone, its place among those that times() and the limit of an earn rule count. An event that came more than once under other ids is as many: the first
// that is not undone whole is meant. Where none has come, the reversal stays without an origin.
func (r *routing) undo(rule rules.Reverse, undoing *punchcard.Event, reversal *punchcard.PointsReversal) error {
	origins, err := r.tx.Origins(r.customer.ID, rule.Of, rule.Match, reversal.Value)
	if err != nil || len(origins) == 0 {
		return err
	}
	o := &origins[len(origins)-1]
	for i := range origins {
		if origins[i].Reversed < punchcard.WholeShare {
			o = &origins[i]
			break
		}
	}
	reversal.OriginID = o.EventID
	share, err := r.share(rule, undoing, o.EventID)
	if err != nil {
		return err
	}
	from := o.Reversed
	o.Reversed = min(from+share, punchcard.WholeShare)
	if punchcard.WholeShare-o.Reversed < nearlyWhole {
		o.Reversed = punchcard.WholeShare
	}
	if o.Reversed == from {
		return nil
	}
	reversal.Share = o.Reversed - from
	if err := r.tx.SaveOrigin(o); err != nil {
		return err
	}
	taken, err := r.tx.TakeBack(r.customer.ID, o.EventID, o.Reversed, undoing.ID, fmt.Sprintf("reverse/%d/%s/%s", undoing.Seq, rule.Of, rule.Match))
	if err != nil {
		return err
	}
	reversal.Points, reversal.Debt = taken.Points, taken.Debt
	if o.Reversed == punchcard.WholeShare {
		if err := r.uncount(o.EventID); err != nil {
			return err
		}
		if err := r.tx.ForgetEarnings(r.customer.ID, o.EventID); err != nil {
			return err
		}
	}
	return r.tx.Uncount(o, from, o.Reversed)
}

// nearlyWhole is what may be missing for a whole that is made of parts: each is rounded to a part of punchcard.WholeShare.
const nearlyWhole = 1_000

// share is how much of an event another undoes, in parts of punchcard.WholeShare. An expression that fails undoes nothing.
func (r *routing) share(rule rules.Reverse, undoing *punchcard.Event, origin string) (int64, error) {
	if rule.Share == nil {
		return punchcard.WholeShare, nil
	}
	original, err := r.tx.Event(origin)
	if err != nil {
		return 0, err
	}
	known, err := r.env()
	if err != nil {
		return 0, err
	}
	env := *known
	env.Event, env.Original = r.decoded(undoing), map[string]any{}
	if original != nil {
		env.Original = r.decoded(original)
	}
	share, err := rule.Share.Number(&env)
	if err != nil {
		return 0, r.failed(err, "reverse")
	}
	return int64(math.Round(max(0, min(share, 1)) * punchcard.WholeShare)), nil
}

// decoded is an event's properties as expressions see them.
func (r *routing) decoded(e *punchcard.Event) map[string]any {
	if schema, ok := r.policy.Schema(e.Name); ok {
		return schema.Decode(e.Properties)
	}
	return e.Properties
}
