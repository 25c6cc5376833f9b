package store

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"punchcard"
)

// mergedTables says, of every table that names customers, what a merge does with the rows of the one who was another.
var mergedTables = map[string]string{
	"identities": "moved", "events": "moved", "runs": "moved", "approvals": "moved", "grants": "moved", "redemptions": "moved", "refusals": "moved",
	"messages": "moved", "handoffs": "moved", "message_decisions": "moved",
	"event_totals": "added", "event_days": "added", "milestones_reached": "united", "earnings": "united",
	"waiting_entries": "the later of two for one place", "consent_states": "derived", "pending_customers": "stays: see Forward",
	"points_origins": "MergePoints", "points_reversals": "MergePoints", "points": "MergePoints", "points_lots": "MergePoints", "points_holds": "MergePoints",
	"hook_events": "stays: it says who it was then", "referral_codes": "moved",
	"ledger_entries": "stays: never changed, read with the survivor's", "consent_entries": "stays: never changed, read with the survivor's",
}

// mergedFields says, of every field of a customer, whose word a merge takes; see unite. ADR 12 says why.
var mergedFields = map[string]string{
	"ID": "the survivor's", "CreatedAt": "the survivor's", "MergedInto": "none: they are not merged", "MergedAt": "none: they are not merged",
	"Name": "the older's, else the younger's", "Language": "the older's, else the younger's", "Timezone": "the older's, else the younger's",
	"Attributes": "each the older's, else the younger's", "Labels": "united", "Since": "the earlier",
	"Country": "that of the live number", "Zone": "the time zone that was told, else that of the live number", "Undelivered": "that of the live number",
	"MutedUntil": "the later", "PairUntil": "the later", "ContactedAt": "the later", "MarketingAfter": "the later",
}

// kin are the ids of a customer and of all who were merged into them.
func (tx *Tx) kin(customer string) ([]string, error) {
	ids := []string{customer}
	for last := ids; ; {
		var more []string
		err := tx.db.Model(&punchcard.Customer{}).Where("merged_into IN ?", last).Order("id").Pluck("id", &more).Error
		if err != nil || len(more) == 0 {
			return ids, err
		}
		ids, last = append(ids, more...), more
	}
}

// LockToMerge locks two customers in the order of their ids, and answers the older first: the one who stays, if it is not said
// otherwise. The error is ErrTryAgain when one of them was merged since the ids were read.
func (tx *Tx) LockToMerge(a, b string) (older, younger *punchcard.Customer, err error) {
	if err := tx.LockCustomers([]string{a, b}); err != nil {
		return nil, nil, err
	}
	rows, err := list[*punchcard.Customer](tx.db.Where("id IN ?", []string{a, b}).Order("created_at, id"))
	if err != nil {
		return nil, nil, err
	}
	if len(rows) != 2 {
		return nil, nil, punchcard.Errorf(punchcard.CodeNotFound, "there is no customer with that id")
	}
	for _, c := range rows {
		if c.MergedInto != nil {
			return nil, nil, fmt.Errorf("a customer was merged meanwhile: %w", ErrTryAgain)
		}
	}
	return rows[0], rows[1], nil
}

// Merge makes one customer of two: everything that is from's is into's from here on, and from's row only leads there. Both are
// locked by LockToMerge, and no two runs of theirs are live for one journey and key.
//
// What the older of the two says of themself stands, and what it leaves open is filled from the other. No consent is made: each
// topic's standing is what the log of both comes to, and where one of them said no, the answer is no.
func (tx *Tx) Merge(into, from *punchcard.Customer) error {
	before := [2]map[string]punchcard.ConsentState{}
	for i, c := range []*punchcard.Customer{into, from} {
		var err error
		if before[i], err = tx.Standings(c.ID); err != nil {
			return err
		}
	}
	older, younger := into, from
	if from.CreatedAt.Before(into.CreatedAt) || from.CreatedAt.Equal(into.CreatedAt) && from.ID < into.ID {
		older, younger = from, into
	}
	reached, err := tx.reachedAs(older, younger)
	if err != nil {
		return err
	}
	united := unite(older, younger, reached)
	united.ID, united.CreatedAt, united.MergedInto, united.MergedAt = into.ID, into.CreatedAt, nil, nil
	*into = united
	if err := tx.SaveCustomer(into); err != nil {
		return err
	}
	*from = punchcard.Customer{
		ID: from.ID, Attributes: map[string]any{}, Labels: []string{}, Since: from.Since, CreatedAt: from.CreatedAt,
		MergedInto: &into.ID, MergedAt: &tx.Now,
	}
	if err := tx.SaveCustomer(from); err != nil {
		return err
	}
	for _, step := range []func(into, from string) error{tx.mergeNames, tx.mergeCounts, tx.mergeRows, tx.mergeWaiting, tx.mergeReferrals} {
		if err := step(into.ID, from.ID); err != nil {
			return err
		}
	}
	if err := tx.MergePoints(from.ID, into.ID); err != nil {
		return err
	}
	return tx.mergeStandings(into.ID, from.ID, before)
}

// reachedAs is the one of two customers by whose name messages go to both: who has the number that they are written to, or else the
// user id; nil when neither has any.
func (tx *Tx) reachedAs(a, b *punchcard.Customer) (*punchcard.Customer, error) {
	for _, kind := range []punchcard.IdentityKind{punchcard.IdentityPhone, punchcard.IdentityUserID} {
		name, err := one[punchcard.Identity](tx.db.Where("customer_id IN ? AND kind = ? AND retired_at IS NULL", []string{a.ID, b.ID}, kind).
			Order("created_at DESC, value DESC").Limit(1))
		switch {
		case err != nil:
			return nil, err
		case name == nil:
		case name.CustomerID == a.ID:
			return a, nil
		default:
			return b, nil
		}
	}
	return nil, nil
}

// unite is what two customers say of one person: the older's word, and where it says nothing the younger's. What comes of the name by
// which they are written to is that of whom it is reached by, nil for nobody. ADR 12 has the table of all of it.
func unite(older, younger, reached *punchcard.Customer) punchcard.Customer {
	c := *older
	for _, text := range []struct {
		to   *string
		from string
	}{
		{&c.Name, younger.Name}, {&c.Language, younger.Language}, {&c.Timezone, younger.Timezone}, {&c.Country, younger.Country},
		{&c.Zone, younger.Zone},
	} {
		if *text.to == "" {
			*text.to = text.from
		}
	}
	if reached != nil {
		c.Undelivered = reached.Undelivered
		if reached.Country != "" {
			c.Country, c.Zone = reached.Country, reached.Zone
		}
	}
	if c.Timezone != "" {
		c.Zone = c.Timezone
	}
	c.Attributes = maps.Clone(younger.Attributes)
	if c.Attributes == nil {
		c.Attributes = map[string]any{}
	}
	for name, value := range older.Attributes {
		if value != nil && value != "" {
			c.Attributes[name] = value
		}
	}
	c.Labels = slices.Clone(older.Labels)
	for _, l := range younger.Labels {
		if !slices.Contains(c.Labels, l) {
			c.Labels = append(c.Labels, l)
		}
	}
	if younger.Since.Before(c.Since) {
		c.Since = younger.Since
	}
	// What keeps somebody from being written to holds as long as the longer of the two, and so does what is used up of WhatsApp's
	// limits. One who was counted twice among a day's contacts stays so until that day is over.
	for _, until := range []struct{ to, from **time.Time }{
		{&c.MutedUntil, &younger.MutedUntil}, {&c.PairUntil, &younger.PairUntil}, {&c.ContactedAt, &younger.ContactedAt},
		{&c.MarketingAfter, &younger.MarketingAfter},
	} {
		if *until.to == nil || *until.from != nil && (*until.from).After(**until.to) {
			*until.to = *until.from
		}
	}
	return c
}

// mergeNames moves names. Where both have had one, it is kept once: as theirs now, if one of them has it.
func (tx *Tx) mergeNames(into, from string) error {
	err := tx.db.Exec(`DELETE FROM identities WHERE customer_id = ? AND retired_at IS NOT NULL AND EXISTS (SELECT 1 FROM identities other
		WHERE other.customer_id = ? AND other.kind = identities.kind AND other.value = identities.value)`, from, into).Error
	if err != nil {
		return err
	}
	err = tx.db.Exec(`DELETE FROM identities WHERE customer_id = ? AND retired_at IS NOT NULL AND EXISTS (SELECT 1 FROM identities other
		WHERE other.customer_id = ? AND other.kind = identities.kind AND other.value = identities.value)`, into, from).Error
	if err != nil {
		return err
	}
	return tx.db.Exec("UPDATE identities SET customer_id = ? WHERE customer_id = ?", into, from).Error
}

// mergeCounts adds up what is counted, and unites what was reached.
func (tx *Tx) mergeCounts(into, from string) error {
	for _, statement := range []string{
		`INSERT INTO event_totals (customer_id, event, field, amount, last_seq)
			SELECT CAST(@into AS text), event, field, amount, last_seq FROM event_totals WHERE customer_id = @from
			ON CONFLICT (customer_id, event, field) DO UPDATE SET amount = event_totals.amount + excluded.amount,
				last_seq = CASE WHEN excluded.last_seq > event_totals.last_seq THEN excluded.last_seq ELSE event_totals.last_seq END`,
		`INSERT INTO event_days (customer_id, event, field, day, amount)
			SELECT CAST(@into AS text), event, field, day, amount FROM event_days WHERE customer_id = @from
			ON CONFLICT (customer_id, event, field, day) DO UPDATE SET amount = event_days.amount + excluded.amount`,
		`INSERT INTO milestones_reached (customer_id, milestone, nth, at)
			SELECT CAST(@into AS text), milestone, nth, at FROM milestones_reached WHERE customer_id = @from
			ON CONFLICT (customer_id, milestone, nth) DO UPDATE SET
				at = CASE WHEN excluded.at < milestones_reached.at THEN excluded.at ELSE milestones_reached.at END`,
		`INSERT INTO earnings (customer_id, rule, event_id, at)
			SELECT CAST(@into AS text), rule, event_id, at FROM earnings WHERE customer_id = @from ON CONFLICT DO NOTHING`,
		`DELETE FROM event_totals WHERE customer_id = @from`,
		`DELETE FROM event_days WHERE customer_id = @from`,
		`DELETE FROM milestones_reached WHERE customer_id = @from`,
		`DELETE FROM earnings WHERE customer_id = @from`,
	} {
		if err := tx.db.Exec(statement, map[string]any{"into": into, "from": from}).Error; err != nil {
			return err
		}
	}
	return nil
}

// mergeRows moves what is one's own and bears no name that the other may have too.
func (tx *Tx) mergeRows(into, from string) error {
	// Of two questions that wait for a person one is left: the survivor's.
	err := tx.db.Exec(`UPDATE handoffs SET closed_at = ?, closed_by = 'merge' WHERE customer_id = ? AND run_id = '' AND closed_at IS NULL
		AND EXISTS (SELECT 1 FROM handoffs h WHERE h.customer_id = ? AND h.run_id = '' AND h.closed_at IS NULL)`, tx.Now, from, into).Error
	if err != nil {
		return err
	}
	for _, table := range slices.Sorted(maps.Keys(mergedTables)) {
		if mergedTables[table] != "moved" || table == "identities" {
			continue
		}
		if err := tx.db.Exec("UPDATE "+table+" SET customer_id = ? WHERE customer_id = ?", into, from).Error; err != nil {
			return err
		}
	}
	pending, err := count[punchcard.Event](tx.db.Where("customer_id = ? AND status = 'pending'", into))
	if err != nil || pending == 0 {
		return err
	}
	return tx.queueCustomers(into)
}

// mergeWaiting moves the entries that wait for a run's end. Of two for one place the later stays, as ever.
func (tx *Tx) mergeWaiting(into, from string) error {
	waiting, err := list[punchcard.WaitingEntry](tx.db.Where("customer_id = ?", from))
	if err != nil {
		return err
	}
	for _, w := range waiting {
		have, err := tx.Waiting(w.Journey, into, w.Key)
		if err != nil {
			return err
		}
		if have != nil && !w.At.After(have.At) {
			if err := tx.DropWaiting(&w, into); err != nil {
				return err
			}
			continue
		}
		if have != nil {
			if err := tx.DropWaiting(have, into); err != nil {
				return err
			}
		}
		if err := tx.TakeWaiting(&w); err != nil {
			return err
		}
		w.CustomerID = into
		if err := tx.db.Create(&w).Error; err != nil {
			return err
		}
	}
	return nil
}

// SourceMerge is the source of an entry in the consent log that carries a no over to the customer whom its log joined.
const SourceMerge = "merge"

// noes orders what is no consent, by how much it takes to begin again.
var noes = map[punchcard.Standing]int{punchcard.StandingExpired: 1, punchcard.StandingRefused: 2, punchcard.StandingRevoked: 3}

// mergeStandings derives the standings from the log of both. Where one of them stood at no, and the other's log would outweigh it,
// the no is said again: a yes of one was not given in knowledge of the other's no.
func (tx *Tx) mergeStandings(into, from string, before [2]map[string]punchcard.ConsentState) error {
	if err := tx.db.Where("customer_id IN ?", []string{into, from}).Delete(&punchcard.ConsentState{}).Error; err != nil {
		return err
	}
	topics := map[string]punchcard.Standing{} // and the sterner no of the two, if there is one
	for _, states := range before {
		for topic, s := range states {
			if _, known := topics[topic]; !known || noes[s.Standing] > noes[topics[topic]] {
				topics[topic] = s.Standing
			}
		}
	}
	kin, err := tx.kin(into)
	if err != nil {
		return err
	}
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		log, err := list[punchcard.ConsentEntry](tx.db.Where("customer_id IN ? AND topic = ?", kin, topic))
		if err != nil {
			return err
		}
		state := punchcard.DeriveConsent(log)
		state.CustomerID = into
		if state.EntryID != 0 {
			if err := tx.db.Create(&state).Error; err != nil {
				return err
			}
		}
		if no := topics[topic]; noes[no] > noes[state.Standing] {
			err := tx.AddConsent(&punchcard.ConsentEntry{
				CustomerID: into, Topic: topic, Standing: no, Source: SourceMerge, Channel: punchcard.ChannelRule,
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Forward gives a customer the events that came for one who was merged into them, of whoever had looked before the merge. It
// answers how many they were.
func (tx *Tx) Forward(from, into string) (int64, error) {
	r := tx.db.Model(&punchcard.Event{}).Where("customer_id = ?", from).Update("customer_id", into)
	if r.Error != nil || r.RowsAffected == 0 {
		return 0, r.Error
	}
	return r.RowsAffected, tx.queueCustomers(into)
}
