package store

import (
	"slices"

	"gorm.io/gorm/clause"

	"punchcard"
)

// ErrStoppedSince refuses a grant of something that the customer has stopped since, or that answers a question from before their
// stop.
var ErrStoppedSince = punchcard.Errorf(punchcard.CodeConflict, "the customer has said stop since").Because("stopped_since")

// AddConsent appends to the consent log and keeps the standing in step with it. OccurredAt is when it happened: what happened
// earlier than what the log has already is history, and moves the standing only as far as DeriveConsent says. Zero, or later
// than now, is now. The error is ErrStoppedSince for a grant that a stop outweighs; nothing is recorded then. The customer is
// locked.
func (tx *Tx) AddConsent(e *punchcard.ConsentEntry) error {
	e.ID, e.At = 0, tx.Now
	if e.OccurredAt = kept(e.OccurredAt); e.OccurredAt.Year() < 1970 || e.OccurredAt.After(tx.Now) {
		e.OccurredAt = tx.Now
	}
	log, err := tx.topicLog(e)
	if err != nil {
		return err
	}
	if e.Standing == punchcard.StandingGranted && outweighed(log, *e) {
		return ErrStoppedSince
	}
	if err := tx.db.Create(e).Error; err != nil {
		return err
	}
	log = slices.DeleteFunc(log, func(other punchcard.ConsentEntry) bool { return other.Topic != e.Topic })
	before := punchcard.DeriveConsent(log)
	state := punchcard.DeriveConsent(append(log, *e))
	if state.Standing != before.Standing {
		tx.Tell(e.CustomerID, punchcard.ConsentTold{
			Topic: e.Topic, From: before.Standing, To: state.Standing, Source: e.Source, Channel: e.Channel, OccurredAt: e.OccurredAt,
		})
	}
	if state.EntryID == 0 {
		return nil
	}
	state.CustomerID = e.CustomerID // the entry that decides may be of one who was merged into them
	return tx.db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&state).Error
}

// topicLog reads what the standing on an entry's topic depends on: the topic's log, and what the customer said of everything.
func (tx *Tx) topicLog(e *punchcard.ConsentEntry) ([]punchcard.ConsentEntry, error) {
	kin, err := tx.kin(e.CustomerID)
	if err != nil {
		return nil, err
	}
	return list[punchcard.ConsentEntry](tx.db.Where("customer_id IN ? AND (topic = ? OR everything)", kin, e.Topic))
}

// ConsentLog reads the log of one topic, of a customer and of those who were merged into them.
func (tx *Tx) ConsentLog(customer, topic string) ([]punchcard.ConsentEntry, error) {
	kin, err := tx.kin(customer)
	if err != nil {
		return nil, err
	}
	return list[punchcard.ConsentEntry](tx.db.Where("customer_id IN ? AND topic = ?", kin, topic))
}

// outweighed tells whether a grant is older than a stop of its topic or of everything, or answers a question from before one.
func outweighed(log []punchcard.ConsentEntry, grant punchcard.ConsentEntry) bool {
	var topic []punchcard.ConsentEntry
	for _, e := range log {
		if e.Standing == punchcard.StandingRevoked && !e.OccurredAt.Before(grant.OccurredAt) {
			// In the same moment the order of recording tells a stop from one that a fresh request has overcome.
			if e.OccurredAt.After(grant.OccurredAt) || grant.MessageID == "" {
				return true
			}
		}
		if e.Topic == grant.Topic && !e.OccurredAt.After(grant.OccurredAt) {
			topic = append(topic, e)
		}
	}
	grant.ID = maxEntry
	return punchcard.DeriveConsent(append(topic, grant)).EntryID != maxEntry
}

// maxEntry stands for the id that an entry will get: it is recorded after all others.
const maxEntry = 1<<63 - 1

// Standings are a customer's present standings by topic. A topic that is not there is StandingNone.
func (tx *Tx) Standings(customer string) (map[string]punchcard.ConsentState, error) {
	rows, err := list[punchcard.ConsentState](tx.db.Where("customer_id = ?", customer))
	states := make(map[string]punchcard.ConsentState, len(rows))
	for _, r := range rows {
		states[r.Topic] = r
	}
	return states, err
}

// Consents lists a customer's consent log after an id, in the order of recording, with those of customers who were merged into them.
func (tx *Tx) Consents(customer string, after int64, limit int) ([]punchcard.ConsentEntry, error) {
	kin, err := tx.kin(customer)
	if err != nil {
		return nil, err
	}
	return list[punchcard.ConsentEntry](tx.db.Where("customer_id IN ? AND id > ?", kin, after).Order("id").Limit(limit))
}

// AllConsents lists everyone's consent log after an id, in the order of recording.
func (tx *Tx) AllConsents(after int64, limit int) ([]punchcard.ConsentEntry, error) {
	return list[punchcard.ConsentEntry](tx.db.Where("id > ?", after).Order("id").Limit(limit))
}

// ConsentImported tells whether a line of an import was taken before, under one of the keys that it may have.
func (tx *Tx) ConsentImported(keys ...string) (bool, error) {
	n, err := count[punchcard.ConsentEntry](tx.db.Where("import_key IN ?", keys))
	return n > 0, err
}
