package store

import (
	"encoding/json"
	"time"

	"gorm.io/gorm/clause"

	"punchcard"
)

// AddRun stores a run that begins now. It answers false when one of its journey, customer and key is live.
func (tx *Tx) AddRun(r *punchcard.Run) (bool, error) {
	r.Status, r.StartedAt, r.UpdatedAt = punchcard.RunLive, tx.Now, tx.Now
	if r.Entry == nil {
		r.Entry = map[string]any{}
	}
	if r.Bound == nil {
		r.Bound = map[string]punchcard.Ref{}
	}
	res := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(r)
	return res.RowsAffected > 0, res.Error
}

// Run reads a run, or nil.
func (tx *Tx) Run(id string) (*punchcard.Run, error) {
	return one[punchcard.Run](tx.db.Where("id = ?", id))
}

// RunOfRequest reads the run that was asked for with that hash of an Idempotency-Key, or nil. An empty one is nobody's.
func (tx *Tx) RunOfRequest(request string) (*punchcard.Run, error) {
	if request == "" {
		return nil, nil
	}
	return one[punchcard.Run](tx.db.Where("request = ? AND request <> ''", request))
}

// LockRun reads a run and locks it; its customer is locked already. The error is CodeNotFound when there is none.
func (tx *Tx) LockRun(id string) (*punchcard.Run, error) {
	r, err := one[punchcard.Run](tx.db.Clauses(lock).Where("id = ?", id))
	return must(r, err, "run")
}

// SaveRun writes a run that is locked.
func (tx *Tx) SaveRun(r *punchcard.Run) error {
	r.UpdatedAt = tx.Now
	return tx.db.Save(r).Error
}

// OpenRuns reads and locks a customer's runs that have not ended, oldest first; the customer is locked already.
func (tx *Tx) OpenRuns(customer string) ([]*punchcard.Run, error) {
	return list[*punchcard.Run](tx.db.Clauses(lock).Where("customer_id = ? AND ended_at IS NULL", customer).Order("started_at, id"))
}

// QuietRuns lists runs that are open, not changed since a moment, and that Temporal is to be told nothing of, by id, after one.
func (tx *Tx) QuietRuns(after string, since time.Time, limit int) ([]punchcard.Run, error) {
	told := tx.db.Model(&Delivery{}).Select("1").Where("outbox.run_id = runs.id")
	return list[punchcard.Run](tx.db.Where("ended_at IS NULL AND id > ? AND updated_at < ? AND NOT EXISTS (?)", after, since, told).Order("id").Limit(limit))
}

// Undelivereds counts what Temporal is still to be told of a run.
func (tx *Tx) Undelivereds(run string) (int64, error) {
	return count[Delivery](tx.db.Where("run_id = ?", run))
}

// OpenVersions are the versions of the program that runs under way are pinned to.
func (tx *Tx) OpenVersions() ([]int, error) {
	var versions []int
	err := tx.db.Model(&punchcard.Run{}).Where("ended_at IS NULL").Distinct("version").Pluck("version", &versions).Error
	return versions, err
}

// LastEnd is when the customer's last run of a journey and key ended, nil when none did.
func (tx *Tx) LastEnd(journey, customer, key string) (*time.Time, error) {
	r, err := one[punchcard.Run](tx.db.Where("journey = ? AND customer_id = ? AND key = ? AND ended_at IS NOT NULL", journey, customer, key).
		Order("ended_at DESC").Limit(1))
	if err != nil || r == nil {
		return nil, err
	}
	return r.EndedAt, nil
}

// Runs lists a customer's runs, newest first, before the run with that id (empty: from the newest).
func (tx *Tx) Runs(customer, before string, limit int) ([]punchcard.Run, error) {
	q := tx.db.Where("customer_id = ?", customer)
	if before != "" {
		q = q.Where("id < ?", before)
	}
	return list[punchcard.Run](q.Order("id DESC").Limit(limit))
}

// HeldRuns lists the ids of a journey's runs that are held, with their customers.
func (tx *Tx) HeldRuns(journey string) ([]punchcard.Run, error) {
	return list[punchcard.Run](tx.db.Where("journey = ? AND status = 'held'", journey).Order("id"))
}

// RunsOf lists runs of a status, of a journey and with a reason (empty: any), newest first, before the run with that id.
func (tx *Tx) RunsOf(status punchcard.RunStatus, journey, reason, before string, limit int) ([]punchcard.Run, error) {
	q := tx.db
	for column, value := range map[string]string{"status": string(status), "journey": journey, "reason": reason} {
		if value != "" {
			q = q.Where(column+" = ?", value)
		}
	}
	if before != "" {
		q = q.Where("id < ?", before)
	}
	return list[punchcard.Run](q.Order("id DESC").Limit(limit))
}

// CountReplies counts the built-in replies of one kind that a customer was given since a moment.
func (tx *Tx) CountReplies(customer, kind string, since time.Time) (int64, error) {
	return count[punchcard.Run](tx.db.Where("customer_id = ? AND journey = ? AND entry_event = ? AND started_at > ?",
		customer, punchcard.BuiltinReply, kind, since))
}

// RepliesSince lists when a customer was given built-in replies since a moment, newest first.
func (tx *Tx) RepliesSince(customer string, since time.Time, limit int) ([]time.Time, error) {
	var times []time.Time
	err := tx.db.Model(&punchcard.Run{}).Where("customer_id = ? AND journey = ? AND started_at > ?", customer, punchcard.BuiltinReply, kept(since)).
		Order("started_at DESC").Limit(limit).Pluck("started_at", &times).Error
	return times, err
}

// Step reads the record of a run's effect, or nil when it was not done.
func (tx *Tx) Step(run string, step int) (*punchcard.RunStep, error) {
	return one[punchcard.RunStep](tx.db.Where("run_id = ? AND step = ?", run, step))
}

// AddStep records an effect of a run.
func (tx *Tx) AddStep(s *punchcard.RunStep) error {
	s.At = tx.Now
	return tx.db.Create(s).Error
}

// Story lists a run's effects in the order in which they were done.
func (tx *Tx) Story(run string) ([]punchcard.RunStep, error) {
	return list[punchcard.RunStep](tx.db.Where("run_id = ?", run).Order("step"))
}

// KeepWaiting stores an entry that starts when the live run of its key ends. A later one takes the place of an earlier.
func (tx *Tx) KeepWaiting(e *punchcard.WaitingEntry) error {
	earlier, err := tx.Waiting(e.Journey, e.CustomerID, e.Key)
	if err != nil {
		return err
	}
	if earlier != nil {
		if err := tx.NotServed(e.CustomerID, earlier.EntryEvent, earlier.Entry); err != nil {
			return err
		}
	}
	e.At = tx.Now
	return tx.db.Clauses(clause.OnConflict{UpdateAll: true}).Create(e).Error
}

// Waiting reads the entry that waits for a run's end, or nil.
func (tx *Tx) Waiting(journey, customer, key string) (*punchcard.WaitingEntry, error) {
	return one[punchcard.WaitingEntry](tx.db.Where("journey = ? AND customer_id = ? AND key = ?", journey, customer, key))
}

// TakeWaiting removes the entry that waited.
func (tx *Tx) TakeWaiting(e *punchcard.WaitingEntry) error { return tx.db.Delete(e).Error }

// DropWaiting removes an entry that waited in vain, of who is that customer now.
func (tx *Tx) DropWaiting(e *punchcard.WaitingEntry, customer string) error {
	if err := tx.TakeWaiting(e); err != nil {
		return err
	}
	return tx.NotServed(customer, e.EntryEvent, e.Entry)
}

// NotServed refuses the wish that an event asks for and that no run takes up: no way in held, the journey takes no runs, or one is live in
// its place. The customer is locked.
func (tx *Tx) NotServed(customer, event string, properties map[string]any) error {
	if event != punchcard.EventRedemptionRequested {
		return nil
	}
	id, _ := properties["redemption_id"].(string)
	wish, err := tx.Redemption(id)
	if err != nil || wish == nil || wish.EndedAt != nil {
		return err
	}
	if err := tx.EndRedemption(wish.ID, customer, punchcard.RedemptionRefused, punchcard.ReasonNoJourney); err != nil {
		return err
	}
	return tx.AddRefusal(punchcard.Refusal{
		CustomerID: customer, Reward: wish.Reward, Action: punchcard.RefusedRedeem, Reason: punchcard.ReasonNoJourney,
	})
}

// Delivery is something Temporal is still to be told: a run's start, or a signal.
type Delivery struct {
	Seq       int64 `gorm:"primaryKey"`
	RunID     string
	Number    int             // 0: the start; else the signal's
	Signal    json.RawMessage `gorm:"serializer:json"`
	DueAt     time.Time
	ClaimedBy string
	Attempts  int
	Error     string
}

// TableName is the table's.
func (Delivery) TableName() string { return "outbox" }

// Queue adds to the outbox. signal is nil for a start.
func (tx *Tx) Queue(run string, number int, signal json.RawMessage) error {
	d := map[string]any{
		"run_id": run, "number": number, "due_at": machineNow(), "claimed_by": "", "attempts": 0, "error": "", "signal": nil,
	}
	if signal != nil {
		d["signal"] = string(signal)
	}
	return tx.db.Table("outbox").Create(d).Error
}

// ClaimDeliveries takes up to limit deliveries that are due, none before an earlier one of its run, for the span of lease. Those
// that have waited longest come first, so that some which fail again and again do not keep the others waiting.
//
// What failed and waits for its next try is not read, nor is what comes after the limit. What stands behind an earlier one of its
// run is: see dispatch for how often that is done while nothing can be delivered.
func (tx *Tx) ClaimDeliveries(by string, limit int, lease time.Duration) ([]Delivery, error) {
	now := machineNow()
	rows, err := list[Delivery](tx.db.Clauses(skipLocked).
		Where("due_at <= ? AND NOT EXISTS (SELECT 1 FROM outbox earlier WHERE earlier.run_id = outbox.run_id AND earlier.number < outbox.number)", now).
		Order("due_at, seq").Limit(limit))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	seqs := make([]int64, len(rows))
	for i, r := range rows {
		seqs[i] = r.Seq
	}
	return rows, tx.db.Model(&Delivery{}).Where("seq IN ?", seqs).Updates(map[string]any{"due_at": now.Add(lease), "claimed_by": by}).Error
}

// Delivered takes a delivery off the outbox.
func (tx *Tx) Delivered(seq int64) error {
	return tx.db.Where("seq = ?", seq).Delete(&Delivery{}).Error
}

// Undelivered keeps a delivery for another try after a pause.
func (tx *Tx) Undelivered(seq int64, message string, pause time.Duration) error {
	return tx.db.Model(&Delivery{}).Where("seq = ?", seq).Updates(map[string]any{
		"due_at": machineNow().Add(pause), "claimed_by": "", "error": failure(message), "attempts": plusOne,
	}).Error
}

// DropDeliveries takes all that a run was still to be told off the outbox: its workflow is gone.
func (tx *Tx) DropDeliveries(run string) error {
	return tx.db.Where("run_id = ?", run).Delete(&Delivery{}).Error
}

// OutboxDepth is how many deliveries wait.
func (tx *Tx) OutboxDepth() (int64, error) { return count[Delivery](tx.db) }

// AddApproval stores a question to a person.
func (tx *Tx) AddApproval(a *punchcard.Approval) error {
	a.Status, a.CreatedAt = punchcard.ApprovalPending, tx.Now
	return tx.db.Create(a).Error
}

// Approval reads an approval, or nil.
func (tx *Tx) Approval(id string) (*punchcard.Approval, error) {
	return one[punchcard.Approval](tx.db.Where("id = ?", id))
}

// SaveApproval writes an approval whose run is locked.
func (tx *Tx) SaveApproval(a *punchcard.Approval) error { return tx.db.Save(a).Error }

// Approvals lists approvals of a status (empty: any) after an id, oldest first.
func (tx *Tx) Approvals(status punchcard.ApprovalStatus, after string, limit int) ([]punchcard.Approval, error) {
	q := tx.db.Where("id > ?", after)
	if status != "" {
		q = q.Where("status = ?", status)
	}
	return list[punchcard.Approval](q.Order("id").Limit(limit))
}

// LapseApprovals ends the questions that a run leaves unanswered.
func (tx *Tx) LapseApprovals(run string) error {
	return tx.db.Model(&punchcard.Approval{}).Where("run_id = ? AND status = ?", run, punchcard.ApprovalPending).
		Updates(map[string]any{"status": punchcard.ApprovalLapsed, "decided_at": tx.Now}).Error
}

// HurryDeliveries makes all deliveries due now: what they waited for is known to be back.
func (tx *Tx) HurryDeliveries() error {
	return tx.db.Model(&Delivery{}).Where("claimed_by = ''").Update("due_at", machineNow()).Error
}

// OpenRunsOf lists the ids of runs that have not ended, of a journey (empty: any) and of versions up to one (0: any), after an
// id, with their customers.
func (tx *Tx) OpenRunsOf(journey string, version int, after string, limit int) ([]punchcard.Run, error) {
	q := tx.db.Where("ended_at IS NULL AND id > ?", after)
	if journey != "" {
		q = q.Where("journey = ?", journey)
	}
	if version > 0 {
		q = q.Where("version <= ? AND version > 0", version)
	}
	return list[punchcard.Run](q.Order("id").Limit(limit))
}

// CountOpen counts the runs that have not ended, by journey and version.
func (tx *Tx) CountOpen() (map[string]map[int]int64, error) {
	var rows []struct {
		Journey string
		Version int
		N       int64
	}
	err := tx.db.Model(&punchcard.Run{}).Select("journey, version, COUNT(*) AS n").Where("ended_at IS NULL AND version > 0").
		Group("journey, version").Scan(&rows).Error
	counts := map[string]map[int]int64{}
	for _, r := range rows {
		if counts[r.Journey] == nil {
			counts[r.Journey] = map[int]int64{}
		}
		counts[r.Journey][r.Version] = r.N
	}
	return counts, err
}
