package dispatch

import (
	"slices"
	"strings"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/rules"
)

// optIn records that the event asks to join topics, and raises consent.requested for those that may be asked about.
func (r *routing) optIn() error {
	asked := map[string]bool{}
	var topics []string
	for _, o := range r.policy.OptIns {
		if o.On != r.event.Name {
			continue
		}
		if o.Where != nil {
			env, err := r.env()
			if err != nil {
				return err
			}
			ok, err := o.Where.Bool(env)
			if err != nil || !ok {
				if err := r.failed(err, "opt_in"); err != nil {
					return err
				}
				continue
			}
		}
		for _, t := range o.Topics {
			if !asked[t] {
				asked[t] = true
				topics = append(topics, t)
			}
		}
	}
	if len(topics) == 0 {
		return nil
	}
	standings, err := r.tx.Standings(r.customer.ID)
	if err != nil {
		return err
	}
	own := strings.HasPrefix(r.event.Name, punchcard.EventKeywordPrefix)
	if !own && r.stopped(standings) {
		return nil // also for a topic that the program got since
	}
	topics = slices.DeleteFunc(topics, func(t string) bool { return !r.mayAsk(standings[t], own) })
	for _, t := range topics {
		err := r.tx.AddConsent(&punchcard.ConsentEntry{
			CustomerID: r.customer.ID, Topic: t, Standing: punchcard.StandingRequested, Source: r.event.Name, EventID: r.event.ID,
		})
		if err != nil {
			return err
		}
	}
	if len(topics) == 0 {
		return nil
	}
	return fence.Raise(r.tx, r.customer.ID, punchcard.EventConsentRequested, map[string]any{"topics": topics, "source": r.event.Name}, r.event.Depth)
}

// stopped tells whether the customer has said stop, and has not begun again since: the business may not ask them anything.
func (r *routing) stopped(standings map[string]punchcard.ConsentState) bool {
	revoked := false
	for _, s := range standings {
		switch s.Standing {
		case punchcard.StandingRevoked:
			revoked = true
		case punchcard.StandingGranted, punchcard.StandingRequested:
			return false
		default:
		}
	}
	return revoked
}

// mayAsk tells whether the customer may be asked about a topic now. own says that it is their own act. After silence or a
// refusal the business waits for ask_again_after; after a stop only the customer can begin again.
func (r *routing) mayAsk(s punchcard.ConsentState, own bool) bool {
	switch s.Standing {
	case "", punchcard.StandingNone, punchcard.StandingExpired:
		return true
	case punchcard.StandingGranted:
		return false
	case punchcard.StandingRevoked:
		return own
	case punchcard.StandingRequested, punchcard.StandingRefused:
		return own || r.policy.AskAgainAfter > 0 && r.tx.Now.Sub(s.At) >= r.policy.AskAgainAfter
	default:
		return false
	}
}

// stop revokes the customer's consent on every topic, and ends every run that writes by one, and every request for consent.
// It answers false when all was revoked before, even if a run has begun since and ends now: that run could say nothing, so its
// end is no news to the customer. The customer is locked.
func (r *routing) stop(source string, reply *punchcard.Message) (bool, error) {
	standings, err := r.tx.Standings(r.customer.ID)
	if err != nil {
		return false, err
	}
	changed := false
	for _, t := range r.policy.Topics {
		if standings[t.Name].Standing == punchcard.StandingRevoked {
			continue
		}
		changed = true
		entry := punchcard.ConsentEntry{CustomerID: r.customer.ID, Topic: t.Name, Standing: punchcard.StandingRevoked, Source: source}
		if reply != nil && reply.Wamid != nil {
			entry.ReplyID = *reply.Wamid
		}
		if err := r.tx.AddConsent(&entry); err != nil {
			return false, err
		}
	}
	runs, err := r.tx.OpenRuns(r.customer.ID)
	if err != nil {
		return false, err
	}
	for _, run := range runs {
		_, j, err := r.d.fence.Catalog.Journey(r.ctx, run.Version, run.Journey)
		if err != nil {
			return false, err
		}
		if j.Topic == "" && j.Purpose != rules.PurposeConsent {
			continue // it answers something the customer did, and says what came of it
		}
		if err := fence.Leave(r.tx, run, fence.Ending{Outcome: punchcard.OutcomeOptedOut, Reason: source}); err != nil {
			return false, err
		}
	}
	return changed, nil
}
