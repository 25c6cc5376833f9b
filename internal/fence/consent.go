package fence

import (
	"context"
	"slices"
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Stopping is how a customer said stop, or the business in their place. Its evidence goes into every line of the log that comes
// of it: Topic, Standing and Everything are filled in.
type Stopping struct {
	punchcard.ConsentEntry

	// Topics are what is stopped; nil: everything.
	Topics []string
}

// ImportKeyOf is the key of what a line of an import says of everything, for one topic: it becomes a line for each.
func ImportKeyOf(line, topic string) string { return line + "/" + topic }

// StopMarketing is how WhatsApp tells that a customer wants no more marketing of the business: the topics by which the program
// sends any or may, all of them where none does.
func StopMarketing(p *rules.Program, source string, occurred time.Time) Stopping {
	return Stopping{
		ConsentEntry: punchcard.ConsentEntry{Source: source, Channel: punchcard.ChannelWhatsApp, OccurredAt: occurred},
		Topics:       p.MarketingTopics(),
	}
}

// Stop revokes consent and ends, in this transaction, every run that writes by a topic that is revoked now; with the last topic
// also every request for consent. It answers whether that was news: false when all of it was revoked before, or when the
// customer has begun again since they said it. The customer is locked.
func (f *Fence) Stop(ctx context.Context, tx *store.Tx, p *rules.Program, c *punchcard.Customer, s Stopping) (bool, error) {
	changed, standings, err := revoke(tx, p, c, s)
	if err != nil {
		return false, err
	}
	return changed, f.endStopped(ctx, tx, p, c, standings, s.Source)
}

// EndStopped ends the runs that write by what is revoked, in this transaction. source is what revoked it. The customer is locked.
func (f *Fence) EndStopped(ctx context.Context, tx *store.Tx, p *rules.Program, c *punchcard.Customer, source string) error {
	standings, err := tx.Standings(c.ID)
	if err != nil {
		return err
	}
	return f.endStopped(ctx, tx, p, c, standings, source)
}

// revoke writes a stop into the consent log. It answers whether that was news, and the standings after it.
func revoke(tx *store.Tx, p *rules.Program, c *punchcard.Customer, s Stopping) (changed bool, after map[string]punchcard.ConsentState, err error) {
	before, err := tx.Standings(c.ID)
	if err != nil {
		return false, nil, err
	}
	topics, everything := s.Topics, len(s.Topics) == 0
	if everything {
		topics = nil
		for _, t := range p.Topics {
			topics = append(topics, t.Name)
		}
		for topic := range before { // also one that the program has no more, and may have again
			if !slices.Contains(topics, topic) {
				topics = append(topics, topic)
			}
		}
		slices.Sort(topics)
	}
	for _, topic := range topics {
		entry := s.ConsentEntry
		entry.CustomerID, entry.Topic, entry.Standing, entry.Everything = c.ID, topic, punchcard.StandingRevoked, everything
		if everything && s.ImportKey != nil {
			key := ImportKeyOf(*s.ImportKey, topic)
			entry.ImportKey = &key
		}
		if err := tx.AddConsent(&entry); err != nil {
			return false, nil, err
		}
	}
	if after, err = tx.Standings(c.ID); err != nil {
		return false, nil, err
	}
	for _, topic := range topics {
		was, is := before[topic].Standing, after[topic].Standing
		changed = changed || is == punchcard.StandingRevoked && was != punchcard.StandingRevoked
	}
	return changed, after, nil
}

// endStopped ends the runs of topics that are revoked or have expired. A run that asks for consent ends when nothing is left to ask about. One
// that answers something the customer did goes on, and says what came of it.
func (f *Fence) endStopped(ctx context.Context, tx *store.Tx, p *rules.Program, c *punchcard.Customer, standings map[string]punchcard.ConsentState, source string) error {
	runs, err := tx.OpenRuns(c.ID)
	if err != nil {
		return err
	}
	open := slices.ContainsFunc(p.Topics, func(t rules.Topic) bool {
		s := standings[t.Name].Standing
		return s == punchcard.StandingRequested || s == punchcard.StandingGranted
	})
	for _, run := range runs {
		_, j, err := f.Catalog.Journey(ctx, run.Version, run.Journey)
		if err != nil {
			return err
		}
		standing := standings[j.Topic].Standing
		stopped := standing == punchcard.StandingRevoked || standing == punchcard.StandingExpired
		if j.Topic == "" {
			stopped = j.Purpose == rules.PurposeConsent && !open
		}
		if !stopped {
			continue
		}
		if err := Leave(tx, run, Ending{Outcome: punchcard.OutcomeOptedOut, Reason: source}); err != nil {
			return err
		}
	}
	return nil
}
