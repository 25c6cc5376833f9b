package store

import (
	"gorm.io/gorm/clause"

	"punchcard"
)

// AddConsent appends to the consent log and moves the standing. Entries are added in the order in which they take effect: the
// customer is locked.
func (tx *Tx) AddConsent(e *punchcard.ConsentEntry) error {
	e.ID, e.At = 0, tx.Now
	if err := tx.db.Create(e).Error; err != nil {
		return err
	}
	return tx.db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&punchcard.ConsentState{
		CustomerID: e.CustomerID, Topic: e.Topic, Standing: e.Standing, At: e.At, EntryID: e.ID,
	}).Error
}

// Standings are a customer's present standings by topic. A topic that is not there is StandingNone.
func (tx *Tx) Standings(customer string) (map[string]punchcard.ConsentState, error) {
	rows, err := list[punchcard.ConsentState](tx.db.Where("customer_id = ?", customer))
	states := make(map[string]punchcard.ConsentState, len(rows))
	for _, r := range rows {
		states[r.Topic] = r
	}
	return states, err
}

// Consents lists a customer's consent log after an id, oldest first.
func (tx *Tx) Consents(customer string, after int64, limit int) ([]punchcard.ConsentEntry, error) {
	return list[punchcard.ConsentEntry](tx.db.Where("customer_id = ? AND id > ?", customer, after).Order("id").Limit(limit))
}
