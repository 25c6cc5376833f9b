package fence

import (
	"encoding/json"
	"fmt"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Begin stores a run that starts now, arms the wait it starts with, and queues its start. It answers nil when a run of its
// journey, customer and key is live. The customer is locked.
func Begin(tx *store.Tx, p *rules.Program, j *rules.Journey, c *punchcard.Customer, r *punchcard.Run) (*punchcard.Run, error) {
	r.ID, r.Journey, r.CustomerID, r.Node = punchcard.NewID(punchcard.PrefixRun), j.Name, c.ID, j.Plan.Start
	ok, err := tx.AddRun(r)
	if err != nil || !ok {
		return nil, err
	}
	if err := tx.Queue(r.ID, 0, nil); err != nil {
		return nil, err
	}
	if !j.Plan.Nodes[j.Plan.Start].Kind.Waits() {
		return r, nil
	}
	if _, err := arm(tx, p, j, c, r, j.Plan.Start); err != nil {
		return nil, err
	}
	return r, tx.SaveRun(r)
}

// Properties of run.requested.
const (
	RequestedJourney    = "journey"
	RequestedEntry      = "entry"      // the event by which it is entered
	RequestedProperties = "properties" // those of that event, canonical
)

// Tell numbers a signal and queues it for the run's workflow. The caller saves the run.
func Tell(tx *store.Tx, r *punchcard.Run, s rules.Signal) error {
	r.Issued++
	s.N = r.Issued
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return tx.Queue(r.ID, s.N, body)
}

// Wake tells a run that its armed wait heard something. A wait whose branch does not come back to it is no longer armed.
// The caller saves the run.
func Wake(tx *store.Tx, j *rules.Journey, r *punchcard.Run, outcome string) error {
	l := r.Listener
	if l == nil {
		return fmt.Errorf("run %s listens for nothing", r.ID)
	}
	if _, returns := j.Plan.Nodes[l.Node].Returns[outcome]; returns {
		if l.Used == nil {
			l.Used = map[string]int{}
		}
		l.Used[outcome]++
	} else {
		r.Listener = nil
	}
	return Tell(tx, r, rules.Signal{Kind: rules.SignalWake, Scope: l.Scope, Outcome: outcome, Count: l.Count})
}

// Hears tells whether a run's armed wait still takes an outcome: it has one, and has not taken it as often as it may.
func Hears(j *rules.Journey, r *punchcard.Run, outcome string) bool {
	if r.Listener == nil {
		return false
	}
	n := j.Plan.Nodes[r.Listener.Node]
	if _, ok := n.Next[outcome]; !ok {
		return false
	}
	limit, returns := n.Returns[outcome]
	return !returns || limit == 0 || r.Listener.Used[outcome] < limit
}

// Ending is how a run ends.
type Ending struct {
	Outcome string
	Reason  string
	Goal    bool
	Value   float64
}

// Leave ends a run from outside and tells its workflow. The customer and the run are locked.
func Leave(tx *store.Tx, r *punchcard.Run, e Ending) error {
	if err := Tell(tx, r, rules.Signal{Kind: rules.SignalLeave, Outcome: e.Outcome}); err != nil {
		return err
	}
	return End(tx, r, e)
}

// End closes a run's row, and with it all that the run had open: holds are released, questions lapse, messages that wait are
// given up, and an entry that waited for this end is raised. The customer and the run are locked.
func End(tx *store.Tx, r *punchcard.Run, e Ending) error {
	grants, err := tx.HeldGrants(r.ID)
	if err != nil {
		return err
	}
	for i := range grants {
		if _, err := tx.GiveBack(&grants[i], e.Outcome); err != nil {
			return err
		}
	}
	if id, ok := r.Entry["redemption_id"].(string); ok && r.EntryEvent == punchcard.EventRedemptionRequested {
		if err := tx.EndRedemption(id, r.CustomerID, punchcard.RedemptionReleased, e.Outcome); err != nil {
			return err
		}
	}
	if err := tx.LapseApprovals(r.ID); err != nil {
		return err
	}
	if err := tx.SuppressDeferred(r.ID, 0, "run_ended"); err != nil {
		return err
	}
	r.Status, r.Outcome, r.Reason, r.EndedAt, r.Listener = punchcard.RunEnded, e.Outcome, e.Reason, &tx.Now, nil
	r.Goal, r.Value = e.Goal, e.Value
	if err := tx.SaveRun(r); err != nil {
		return err
	}
	waiting, err := tx.Waiting(r.Journey, r.CustomerID, r.Key)
	if err != nil || waiting == nil {
		return err
	}
	return Raise(tx, r.CustomerID, punchcard.EventRunEnded, map[string]any{"journey": r.Journey, "key": r.Key}, r.Depth)
}
