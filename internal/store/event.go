package store

import (
	"slices"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"punchcard"
)

// AddEvent stores an event to be routed, and puts its customer into the queue. It answers false when an event with that id
// is there already: then nothing but the queue is touched.
func (tx *Tx) AddEvent(e *punchcard.Event) (bool, error) {
	// The place in the queue comes first: it is locked until this transaction ends, so that a customer's events are
	// committed in the order of their seq and none overtakes another.
	if err := tx.queueCustomers(e.CustomerID); err != nil {
		return false, err
	}
	tx.fresh(e)
	r := tx.db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoNothing: true}).Create(e)
	if data := toldOf(e); data != nil && r.RowsAffected > 0 {
		tx.Tell(e.CustomerID, data)
	}
	return r.RowsAffected > 0, r.Error
}

// AddEvents stores events with new ids of ours, to be routed in this order, and puts their customers into the queue: two statements,
// however many they are. The customers are locked.
func (tx *Tx) AddEvents(events ...*punchcard.Event) error {
	if len(events) == 0 {
		return nil
	}
	var customers []string
	for _, e := range events {
		customers = append(customers, e.CustomerID)
		tx.fresh(e)
	}
	slices.Sort(customers) // whoever else queues several does so in this order, and nobody waits crosswise
	if err := tx.queueCustomers(slices.Compact(customers)...); err != nil {
		return err
	}
	if err := tx.db.CreateInBatches(&events, rowsAtOnce).Error; err != nil {
		return err
	}
	for _, e := range events {
		if data := toldOf(e); data != nil {
			tx.Tell(e.CustomerID, data)
		}
	}
	return nil
}

// fresh makes an event one that is to be routed.
func (tx *Tx) fresh(e *punchcard.Event) {
	e.Seq = 0 // of a try that was rolled back
	e.Status, e.ReceivedAt, e.OccurredAt = punchcard.EventPending, tx.Now, kept(e.OccurredAt)
	if e.Properties == nil {
		e.Properties = map[string]any{}
	}
}

// pendingCustomer is a place in the queue of customers with events to route.
type pendingCustomer struct {
	CustomerID string `gorm:"primaryKey"`
	DueAt      time.Time
	ClaimedBy  string
}

// queueCustomers makes customers due now. It takes a claim away from whoever has it: they may have looked before this
// transaction's event was there to be seen, and must not close the place. This transaction's own claim is kept: it looks again.
func (tx *Tx) queueCustomers(ids ...string) error {
	places := make([]pendingCustomer, len(ids))
	for i, id := range ids {
		places[i] = pendingCustomer{CustomerID: id, DueAt: machineNow()}
		if tx.claim != nil && tx.claim.customer == id {
			places[i].DueAt, places[i].ClaimedBy, tx.claim.more = machineNow().Add(tx.claim.lease), tx.claim.by, true
		}
	}
	return tx.db.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "customer_id"}}, DoUpdates: clause.AssignmentColumns([]string{"due_at", "claimed_by"}),
	}).CreateInBatches(&places, rowsAtOnce).Error
}

// claim is a claim on a customer that a transaction works on.
type claim struct {
	by, customer string
	lease        time.Duration
	more         bool // the transaction has added events of the customer
}

// Claimed says that the transaction works on that claim, for another span of lease if it adds events of the customer: who has
// the claim routes them next.
func (tx *Tx) Claimed(by, customer string, lease time.Duration) {
	tx.claim = &claim{by: by, customer: customer, lease: lease}
}

// machineNow is the time of claims and retries, which are about machines and not about the business.
func machineNow() time.Time { return punchcard.SystemClock{}.Now() }

// ClaimCustomers takes up to limit customers with events to route, for the span of lease: after it, others may take them.
func (tx *Tx) ClaimCustomers(by string, limit int, lease time.Duration) ([]string, error) {
	var rows []pendingCustomer
	now := machineNow()
	err := tx.db.Clauses(skipLocked).Where("due_at <= ?", now).Order("due_at").Limit(limit).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.CustomerID
	}
	return ids, tx.db.Model(&pendingCustomer{}).Where("customer_id IN ?", ids).
		Updates(map[string]any{"due_at": now.Add(lease), "claimed_by": by}).Error
}

// EndClaim gives the claim back that the transaction works on, unless it has added events of the customer. It answers whether
// there is nothing more to do.
func (tx *Tx) EndClaim() (ended bool, err error) {
	if tx.claim.more {
		return false, nil
	}
	return true, tx.FinishCustomer(tx.claim.by, tx.claim.customer)
}

// FinishCustomer gives a claim back when no event is pending any more; otherwise, or when an event came since, the customer
// stays in the queue and is due at once.
func (tx *Tx) FinishCustomer(by, id string) error {
	pending := tx.db.Model(&punchcard.Event{}).Select("1").Where("customer_id = ? AND status = 'pending'", id)
	r := tx.db.Where("customer_id = ? AND claimed_by = ? AND NOT EXISTS (?)", id, by, pending).Delete(&pendingCustomer{})
	if r.Error != nil || r.RowsAffected > 0 {
		return r.Error
	}
	return tx.db.Model(&pendingCustomer{}).Where("customer_id = ? AND claimed_by = ?", id, by).
		Updates(map[string]any{"due_at": machineNow(), "claimed_by": ""}).Error
}

// PostponeCustomer keeps a customer in the queue and makes them due after a pause.
func (tx *Tx) PostponeCustomer(by, id string, pause time.Duration) error {
	return tx.db.Model(&pendingCustomer{}).Where("customer_id = ? AND claimed_by = ?", id, by).
		Updates(map[string]any{"due_at": machineNow().Add(pause), "claimed_by": ""}).Error
}

// ReleaseClaims gives all claims back: on customers, deliveries and webhooks. It is for a process that knows it is alone on
// its database, when it starts: claims of one that was killed would otherwise stand until they run out.
func (tx *Tx) ReleaseClaims() error {
	now := machineNow()
	if err := tx.db.Model(&pendingCustomer{}).Where("claimed_by <> ''").Updates(map[string]any{"due_at": now, "claimed_by": ""}).Error; err != nil {
		return err
	}
	if err := tx.db.Model(&Delivery{}).Where("claimed_by <> ''").Updates(map[string]any{"due_at": now, "claimed_by": ""}).Error; err != nil {
		return err
	}
	if err := tx.db.Model(&punchcard.HookDelivery{}).Where("claimed_by <> ''").Updates(map[string]any{"due_at": now, "claimed_by": ""}).Error; err != nil {
		return err
	}
	return tx.db.Model(&InboxItem{}).Where("status = 'pending'").Update("due_at", now).Error
}

// NextEvent reads the customer's oldest event that is to be routed, or nil. last tells that there is no other.
func (tx *Tx) NextEvent(customer string) (e *punchcard.Event, last bool, err error) {
	events, err := list[*punchcard.Event](tx.db.Where("customer_id = ? AND status = 'pending'", customer).Order("seq").Limit(2))
	if err != nil || len(events) == 0 {
		return nil, true, err
	}
	return events[0], len(events) == 1, nil
}

// MarkRouted ends an event's way.
func (tx *Tx) MarkRouted(e *punchcard.Event) error {
	e.Status, e.RoutedAt = punchcard.EventRouted, &tx.Now
	return tx.db.Model(e).Updates(map[string]any{"status": e.Status, "routed_at": tx.Now}).Error
}

// MarkFailed counts a failed try to route an event, and parks it with its error when that was the last. An event that is not
// pending any more stays as it is.
func (tx *Tx) MarkFailed(seq int64, message string, maxAttempts int) (parked bool, err error) {
	e, err := one[punchcard.Event](tx.db.Where("seq = ? AND status = ?", seq, punchcard.EventPending))
	if err != nil || e == nil {
		return false, err
	}
	parked = e.Attempts+1 >= maxAttempts
	updates := map[string]any{"attempts": e.Attempts + 1, "error": failure(message)}
	if parked {
		updates["status"] = punchcard.EventParked
	}
	return parked, tx.db.Model(e).Updates(updates).Error
}

// Unpark gives a parked event its tries again. The error is CodeNotFound when it is not parked.
func (tx *Tx) Unpark(id string) error {
	e, err := one[punchcard.Event](tx.db.Where("id = ? AND status = ?", id, punchcard.EventParked))
	if e, err = must(e, err, "parked event"); err != nil {
		return err
	}
	if err := tx.db.Model(e).Updates(map[string]any{"status": punchcard.EventPending, "attempts": 0, "error": ""}).Error; err != nil {
		return err
	}
	return tx.queueCustomers(e.CustomerID)
}

// Event reads an event by its id, or nil.
func (tx *Tx) Event(id string) (*punchcard.Event, error) {
	return one[punchcard.Event](tx.db.Where("id = ?", id))
}

// ParkedEvents lists parked events after a seq, oldest first.
func (tx *Tx) ParkedEvents(after int64, limit int) ([]punchcard.Event, error) {
	return list[punchcard.Event](tx.db.Where("status = 'parked' AND seq > ?", after).Order("seq").Limit(limit))
}

// LatestEvent reads the newest routed event of a name, or nil.
func (tx *Tx) LatestEvent(customer, name string) (*punchcard.Event, error) {
	return one[punchcard.Event](tx.db.Where("customer_id = ? AND name = ? AND status = ?", customer, name, punchcard.EventRouted).
		Order("seq DESC").Limit(1))
}

// RoutedLike tells whether another event of the customer, whose id begins so, was routed.
func (tx *Tx) RoutedLike(e *punchcard.Event, prefix string) (bool, error) {
	n, err := count[punchcard.Event](tx.db.Where("customer_id = ? AND name = ? AND seq <> ? AND status = 'routed' AND substr(id, 1, ?) = ?",
		e.CustomerID, e.Name, e.Seq, utf8.RuneCountInString(prefix), prefix))
	return n > 0, err
}

// eventTotal is how many events of a name a customer has, or the sum of one of their fields.
type eventTotal struct {
	CustomerID string
	Event      string
	Field      string
	Amount     int64
	LastSeq    int64
}

type eventDay struct {
	CustomerID string
	Event      string
	Field      string
	Day        string
	Amount     int64
}

const dayFormat = "2006-01-02"

// sumScale is how many parts a unit has in a kept sum.
const sumScale = 10_000

// Count adds an event to its customer's totals: one to their number, and its numbers to the sums of those fields.
func (tx *Tx) Count(e *punchcard.Event, sums map[string]float64) error {
	amounts := map[string]int64{"": 1}
	for field, v := range sums {
		amounts[field] = scaled(v)
	}
	day := e.OccurredAt.UTC().Format(dayFormat)
	var totals []eventTotal
	var days []eventDay
	for field, amount := range amounts {
		totals = append(totals, eventTotal{CustomerID: e.CustomerID, Event: e.Name, Field: field, Amount: amount, LastSeq: e.Seq})
		days = append(days, eventDay{CustomerID: e.CustomerID, Event: e.Name, Field: field, Day: day, Amount: amount})
	}
	err := tx.db.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "customer_id"}, {Name: "event"}, {Name: "field"}},
		DoUpdates: clause.Assignments(map[string]any{"amount": gorm.Expr("event_totals.amount + excluded.amount"), "last_seq": e.Seq}),
	}).Create(&totals).Error
	if err != nil {
		return err
	}
	return tx.db.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "customer_id"}, {Name: "event"}, {Name: "field"}, {Name: "day"}},
		DoUpdates: clause.Assignments(map[string]any{"amount": gorm.Expr("event_days.amount + excluded.amount")}),
	}).Create(&days).Error
}

// scaled is a number in the unit of kept sums, rounded to the nearest.
func scaled(v float64) int64 {
	if v < 0 {
		return -scaled(-v)
	}
	return int64(v*sumScale + 0.5)
}

// Total is the number of a customer's events of a name (field empty), or the sum of a numeric field of them. A window counts
// whole days (UTC), the present one and those that the window reaches into; 0 is for life.
func (tx *Tx) Total(customer, event, field string, window time.Duration) (float64, error) {
	var amount int64
	var err error
	if window <= 0 {
		err = tx.db.Model(&eventTotal{}).Select("COALESCE(SUM(amount), 0)").
			Where("customer_id = ? AND event = ? AND field = ?", customer, event, field).Scan(&amount).Error
	} else {
		from := tx.Now.Add(-window).UTC().Format(dayFormat)
		err = tx.db.Model(&eventDay{}).Select("COALESCE(SUM(amount), 0)").
			Where("customer_id = ? AND event = ? AND field = ? AND day >= ?", customer, event, field, from).Scan(&amount).Error
	}
	if field == "" {
		return float64(amount), err
	}
	return float64(amount) / sumScale, err
}

type milestoneReached struct {
	CustomerID string
	Milestone  string
	Nth        int64
	At         time.Time
}

// TableName is the table's.
func (milestoneReached) TableName() string { return "milestones_reached" }

// ReachMilestone records that a customer reached a milestone for the nth time, and answers false if they had before.
func (tx *Tx) ReachMilestone(customer, milestone string, nth int64) (bool, error) {
	r := tx.db.Clauses(clause.OnConflict{DoNothing: true}).
		Create(&milestoneReached{CustomerID: customer, Milestone: milestone, Nth: nth, At: tx.Now})
	return r.RowsAffected > 0, r.Error
}

// LastReached is how often a customer has reached a milestone, and when last; nil when never.
func (tx *Tx) LastReached(customer, milestone string) (nth int64, at *time.Time, err error) {
	r, err := one[milestoneReached](tx.db.Where("customer_id = ? AND milestone = ?", customer, milestone).Order("nth DESC").Limit(1))
	if err != nil || r == nil {
		return 0, nil, err
	}
	return r.Nth, &r.At, nil
}

type earning struct {
	CustomerID string
	Rule       string
	EventID    string
	At         time.Time
}

// Earnings counts how often a rule has earned for a customer since a moment.
func (tx *Tx) Earnings(customer, rule string, since time.Time) (int64, error) {
	return count[earning](tx.db.Where("customer_id = ? AND rule = ? AND at > ?", customer, rule, since))
}

// ForgetEarnings gives an event's place under a rule's limit back: it was undone as a whole.
func (tx *Tx) ForgetEarnings(customer, event string) error {
	return tx.db.Where("customer_id = ? AND event_id = ?", customer, event).Delete(&earning{}).Error
}

// AddEarning records that a rule with a limit has earned.
func (tx *Tx) AddEarning(customer, rule, event string) error {
	return tx.db.Create(&earning{CustomerID: customer, Rule: rule, EventID: event, At: tx.Now}).Error
}
