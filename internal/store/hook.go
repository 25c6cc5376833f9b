package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"punchcard"
)

// hookList keeps which hooks there are for a moment, so that facts that no hook wants to hear of cost no statement.
type hookList struct {
	mu   sync.Mutex
	at   time.Time
	rows []punchcard.Hook
}

// hooksFor is how old that may be, in machine time: another process may have changed it. So long a new hook hears nothing yet.
const hooksFor = time.Second

// hooks are all that are not removed.
func (tx *Tx) hooks() ([]punchcard.Hook, error) {
	l := &tx.store.hooks
	l.mu.Lock()
	rows, fresh := l.rows, !l.at.IsZero() && time.Since(l.at) < hooksFor
	l.mu.Unlock()
	if fresh {
		return rows, nil
	}
	rows, err := tx.Hooks()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows, l.at = rows, time.Now()
	return rows, nil
}

func (s *Store) forgetHooks() {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	s.hooks.at = time.Time{}
}

// told is something that hooks are to be told of when the transaction is committed.
type told struct {
	customer string
	data     punchcard.HookData
}

// Tell has hooks told of something, if the transaction is committed: it is written as its last act. The customer is locked, so that
// the events of one are numbered in the order in which things happened.
func (tx *Tx) Tell(customer string, data punchcard.HookData) {
	tx.told = append(tx.told, told{customer, data})
}

// tell writes what hooks are to be told of. One that is disabled gets nothing now, and can have it replayed later.
func (tx *Tx) tell() error {
	if len(tx.told) == 0 {
		return nil
	}
	hooks, err := tx.hooks()
	if err != nil || len(hooks) == 0 {
		return err
	}
	var events []punchcard.HookEvent
	for _, t := range tx.told {
		kind := punchcard.TypeOf(t.data)
		if !slices.ContainsFunc(hooks, func(h punchcard.Hook) bool { return h.Wants(kind) }) {
			continue
		}
		e, err := tx.hookEvent(t.customer, t.data)
		if err != nil {
			return err
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil
	}
	if err := tx.db.CreateInBatches(&events, 100).Error; err != nil {
		return err
	}
	var deliveries []punchcard.HookDelivery
	for _, e := range events {
		for _, h := range hooks {
			if h.DisabledAt == nil && h.Wants(e.Type) {
				deliveries = append(deliveries, deliveryOf(e.Seq, h.ID))
			}
		}
	}
	if len(deliveries) == 0 {
		return nil
	}
	return tx.db.CreateInBatches(&deliveries, 100).Error
}

func (tx *Tx) hookEvent(customer string, data punchcard.HookData) (punchcard.HookEvent, error) {
	e := punchcard.HookEvent{ID: punchcard.NewID(punchcard.PrefixHookEvent), Type: punchcard.TypeOf(data), CustomerID: customer, At: tx.Now}
	raw, err := json.Marshal(data)
	if err == nil {
		err = json.Unmarshal(raw, &e.Data)
	}
	return e, err
}

func deliveryOf(event int64, hook string) punchcard.HookDelivery {
	return punchcard.HookDelivery{EventSeq: event, HookID: hook, Status: punchcard.HookPending, DueAt: machineNow()}
}

// toldOf are the events of ours that hooks are told of as they are.
func toldOf(e *punchcard.Event) punchcard.HookData {
	text := func(name string) string { s, _ := e.Properties[name].(string); return s }
	switch e.Name {
	case punchcard.EventTierChanged:
		return punchcard.TierTold{From: text("from"), To: text("to")}
	case punchcard.EventMilestoneReached:
		nth, _ := e.Properties["nth"].(int64)
		return punchcard.MilestoneTold{Milestone: text("milestone"), Nth: nth}
	case punchcard.EventCustomerMerged:
		return punchcard.MergeTold{Merged: text("merged"), Into: text("into")}
	case punchcard.EventReferralCompleted, punchcard.EventReferralReversed:
		if text("referral_id") == "" {
			return nil // a program's own event of that name
		}
		return punchcard.ReferralTold{
			Type: punchcard.HookType(e.Name), ReferralID: text("referral_id"), Role: text("role"), ReferrerID: text("referrer_id"), FriendID: text("friend_id"),
		}
	default:
		return nil
	}
}

// tellPoints has hooks told of what a book has moved.
func (b *book) tellPoints() {
	if len(b.entries) == 0 {
		return
	}
	data := punchcard.PointsTold{Balance: b.p.Available, Pending: b.p.Pending, Held: b.p.Held, Debt: b.p.Debt}
	for _, e := range b.entries {
		data.Changes = append(data.Changes, punchcard.PointsMoved{Kind: e.Kind, From: e.From, To: e.To, Points: e.Points, Ref: e.Ref})
	}
	b.tx.Tell(b.p.CustomerID, data)
}

// tellEnd has hooks told that a grant is over.
func (tx *Tx) tellEnd(g *punchcard.Grant) {
	data := punchcard.RedemptionTold{
		Type: punchcard.HookRedemptionReleased, RedemptionID: g.RedemptionID, GrantID: g.ID, Reward: g.Reward, Points: g.Cost, Value: g.Left().Float(),
	}
	if g.Expired(tx.Now) {
		data.Type = punchcard.HookRedemptionExpired
	}
	tx.Tell(g.CustomerID, data)
}

// tellUse has hooks told that a grant is used, the whole or a part.
func (tx *Tx) tellUse(g *punchcard.Grant, amount punchcard.Amount) {
	tx.Tell(g.CustomerID, punchcard.RedemptionTold{
		Type: punchcard.HookRedemptionCaptured, RedemptionID: g.RedemptionID, GrantID: g.ID, Reward: g.Reward, Points: g.Cost, Value: amount.Float(),
	})
}

// TellFailed has hooks told that a message has failed for good.
func (tx *Tx) TellFailed(m *punchcard.Message) {
	tx.Tell(m.CustomerID, punchcard.MessageTold{
		MessageID: m.ID, RunID: m.RunID, Template: m.Template, Reason: m.Reason, ErrorCode: m.ErrorCode,
	})
}

// MaxHooks is how many hooks there can be: each is worked on by itself.
const MaxHooks = 20

// AddHook stores a hook, and seals its secret. The error is CodeConflict when there are MaxHooks already.
func (tx *Tx) AddHook(h *punchcard.Hook) error {
	have, err := tx.Hooks()
	if err != nil {
		return err
	}
	if len(have) >= MaxHooks {
		return punchcard.Errorf(punchcard.CodeConflict, "there are %d hooks already, which is the most; remove one", MaxHooks).Because("too_many_hooks")
	}
	if h.Types == nil {
		h.Types = []punchcard.HookType{}
	}
	h.CreatedAt = tx.Now
	row := hookRow{Hook: *h}
	if err := row.seal(tx, h.Secret, ""); err != nil {
		return err
	}
	tx.store.forgetHooks()
	return tx.db.Create(&row).Error
}

// Hooks lists the hooks that are not removed, oldest first.
func (tx *Tx) Hooks() ([]punchcard.Hook, error) {
	return list[punchcard.Hook](tx.db.Where("removed_at IS NULL").Order("id"))
}

// Hook reads a hook. The error is CodeNotFound when there is none, or it is removed.
func (tx *Tx) Hook(id string) (*punchcard.Hook, error) {
	h, err := one[punchcard.Hook](tx.db.Where("id = ? AND removed_at IS NULL", id))
	return must(h, err, "hook")
}

// LockHook is Hook, and locks it.
func (tx *Tx) LockHook(id string) (*punchcard.Hook, error) {
	h, err := one[punchcard.Hook](tx.db.Clauses(lock).Where("id = ? AND removed_at IS NULL", id))
	return must(h, err, "hook")
}

// SaveHook writes a hook that is locked, but for its secrets.
func (tx *Tx) SaveHook(h *punchcard.Hook) error {
	tx.store.forgetHooks()
	return tx.db.Save(h).Error
}

// HookEvent reads an event by its number, or nil.
func (tx *Tx) HookEvent(seq int64) (*punchcard.HookEvent, error) {
	return one[punchcard.HookEvent](tx.db.Where("seq = ?", seq))
}

// TestHook has a hook told something that happened to nobody, and answers the delivery.
func (tx *Tx) TestHook(h *punchcard.Hook) (*punchcard.HookDelivery, error) {
	e, err := tx.hookEvent("", punchcard.TestTold{Hook: h.ID})
	if err != nil {
		return nil, err
	}
	if err := tx.db.Create(&e).Error; err != nil {
		return nil, err
	}
	d := deliveryOf(e.Seq, h.ID)
	return &d, tx.db.Create(&d).Error
}

// ToldHook is a delivery with what it tells.
type ToldHook struct {
	punchcard.HookDelivery

	Event punchcard.HookEvent `gorm:"foreignKey:EventSeq;references:Seq"`
}

// TableName is the table's.
func (ToldHook) TableName() string { return "hook_deliveries" }

// HookDeliveries lists a hook's deliveries of a status (empty: any), newest first, before an id (0: from the newest).
func (tx *Tx) HookDeliveries(hook string, status punchcard.HookStatus, before int64, limit int) ([]ToldHook, error) {
	q := tx.db.Preload("Event").Where("hook_id = ?", hook)
	if status != "" {
		q = q.Where("status = ?", status)
	}
	if before > 0 {
		q = q.Where("id < ?", before)
	}
	return list[ToldHook](q.Order("id DESC").Limit(limit))
}

// HookDelivery reads one delivery, or nil.
func (tx *Tx) HookDelivery(id int64) (*punchcard.HookDelivery, error) {
	return one[punchcard.HookDelivery](tx.db.Where("id = ?", id))
}

// CountHookDeliveries counts the deliveries of each hook by status.
func (tx *Tx) CountHookDeliveries() (map[string]map[punchcard.HookStatus]int64, error) {
	var rows []struct {
		HookID string
		Status punchcard.HookStatus
		N      int64
	}
	err := tx.db.Model(&punchcard.HookDelivery{}).Select("hook_id, status, COUNT(*) AS n").Group("hook_id, status").Scan(&rows).Error
	counts := map[string]map[punchcard.HookStatus]int64{}
	for _, r := range rows {
		if counts[r.HookID] == nil {
			counts[r.HookID] = map[punchcard.HookStatus]int64{}
		}
		counts[r.HookID][r.Status] = r.N
	}
	return counts, err
}

// liveHooks says of hook_deliveries that its hook is told.
const liveHooks = "EXISTS (SELECT 1 FROM hooks WHERE hooks.id = hook_deliveries.hook_id AND hooks.disabled_at IS NULL AND hooks.removed_at IS NULL)"

// DueHooks are the ids of hooks for which a delivery is due.
func (tx *Tx) DueHooks() ([]string, error) {
	var ids []string
	err := tx.db.Model(&punchcard.Hook{}).
		Where("disabled_at IS NULL AND removed_at IS NULL AND EXISTS (SELECT 1 FROM hook_deliveries d WHERE d.hook_id = hooks.id AND d.status = 'pending' AND d.due_at <= ?)", machineNow()).
		Order("id").Pluck("id", &ids).Error
	return ids, err
}

// ClaimHookDeliveries takes up to limit of a hook's deliveries that are due, the longest due first, for the span of lease.
func (tx *Tx) ClaimHookDeliveries(by, hook string, limit int, lease time.Duration) ([]punchcard.HookDelivery, error) {
	now := machineNow()
	rows, err := list[punchcard.HookDelivery](tx.db.Clauses(skipLocked).
		Where("hook_id = ? AND status = 'pending' AND due_at <= ? AND "+liveHooks, hook, now).Order("due_at, id").Limit(limit))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	ids := make([]int64, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	return rows, tx.db.Model(&punchcard.HookDelivery{}).Where("id IN ?", ids).Updates(map[string]any{"due_at": now.Add(lease), "claimed_by": by}).Error
}

// SaveHookDelivery writes how a try came out. One that another process has settled meanwhile stays as it is: it answers false.
func (tx *Tx) SaveHookDelivery(d *punchcard.HookDelivery) (bool, error) {
	r := tx.db.Model(&punchcard.HookDelivery{}).Where("id = ? AND status = 'pending'", d.ID).Updates(map[string]any{
		"status": d.Status, "attempts": d.Attempts, "due_at": d.DueAt, "claimed_by": "", "code": d.Code, "error": d.Error,
		"tried_at": d.TriedAt, "delivered_at": d.DeliveredAt,
	})
	return r.RowsAffected > 0, r.Error
}

// HookWorks notes that a hook answered as it should.
func (tx *Tx) HookWorks(id string) error {
	return tx.db.Model(&punchcard.Hook{}).Where("id = ? AND failing_since IS NOT NULL", id).Update("failing_since", nil).Error
}

// HookFails notes that a hook failed, and answers since when it does.
func (tx *Tx) HookFails(id string) (time.Time, error) {
	now := machineNow()
	err := tx.db.Model(&punchcard.Hook{}).Where("id = ? AND failing_since IS NULL", id).Update("failing_since", now).Error
	if err != nil {
		return now, err
	}
	h, err := one[punchcard.Hook](tx.db.Where("id = ?", id))
	if err != nil || h == nil || h.FailingSince == nil {
		return now, err
	}
	return *h.FailingSince, nil
}

// HurryHook makes all that a hook is to be told due now: what it waits for is known to be mended.
func (tx *Tx) HurryHook(id string) error {
	return tx.db.Model(&punchcard.HookDelivery{}).Where("hook_id = ? AND status = 'pending' AND claimed_by = ''", id).Update("due_at", machineNow()).Error
}

// DisableHook has a hook told nothing any more, and raises that. It answers false when it is disabled or removed already.
func (tx *Tx) DisableHook(id, why string) (bool, error) {
	r := tx.db.Model(&punchcard.Hook{}).Where("id = ? AND disabled_at IS NULL AND removed_at IS NULL", id).
		Updates(map[string]any{"disabled_at": machineNow(), "disabled": why})
	if r.Error != nil || r.RowsAffected == 0 {
		return false, r.Error
	}
	tx.store.forgetHooks()
	return true, tx.RaiseAlert(punchcard.AlertHookDisabled, id, punchcard.SeverityCritical, why)
}

// replayed is a delivery that begins again.
var replayed = map[string]any{
	"status": punchcard.HookPending, "attempts": 0, "claimed_by": "", "error": "", "code": 0, "delivered_at": nil,
}

func (tx *Tx) replay(q *gorm.DB) (int64, error) {
	again := map[string]any{"due_at": machineNow()}
	maps.Copy(again, replayed)
	r := q.Model(&punchcard.HookDelivery{}).Updates(again)
	return r.RowsAffected, r.Error
}

// ReplayHookEvent has a hook told one event again, whether or not it was delivered, and if it was never told of it. The error is
// CodeNotFound for an event that is not there.
func (tx *Tx) ReplayHookEvent(h *punchcard.Hook, event string) error {
	e, err := one[punchcard.HookEvent](tx.db.Where("id = ?", event))
	if e, err = must(e, err, "event of hooks"); err != nil {
		return err
	}
	return tx.replayEvents(h, []punchcard.HookEvent{*e})
}

func (tx *Tx) replayEvents(h *punchcard.Hook, events []punchcard.HookEvent) error {
	rows := make([]punchcard.HookDelivery, len(events))
	for i, e := range events {
		rows[i] = deliveryOf(e.Seq, h.ID)
	}
	return tx.db.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "event_seq"}, {Name: "hook_id"}},
		DoUpdates: clause.AssignmentColumns([]string{"status", "attempts", "claimed_by", "error", "code", "delivered_at", "due_at"}),
	}).CreateInBatches(&rows, 100).Error
}

// ReplayDeadHooks has a hook told all again that could not be delivered, and answers how many they are.
func (tx *Tx) ReplayDeadHooks(h *punchcard.Hook) (int64, error) {
	return tx.replay(tx.db.Where("hook_id = ? AND status = 'dead'", h.ID))
}

// ReplayHookSince has a hook told again what happened since a moment and that it wants, after an event's number: also what it was never
// told because it was disabled, or not there. It answers the last one's number, 0 when there are no more, and how many they were.
func (tx *Tx) ReplayHookSince(h *punchcard.Hook, since time.Time, after int64, limit int) (last int64, n int, err error) {
	q := tx.db.Where("at >= ? AND seq > ? AND type <> ?", since.UTC(), after, punchcard.HookTest)
	if len(h.Types) > 0 {
		q = q.Where("type IN ?", h.Types)
	}
	events, err := list[punchcard.HookEvent](q.Order("seq").Limit(limit))
	if err != nil || len(events) == 0 {
		return 0, 0, err
	}
	return events[len(events)-1].Seq, len(events), tx.replayEvents(h, events)
}

// PruneHooks removes up to limit events from before a moment, of which nothing is on its way, with their deliveries. It answers how many.
func (tx *Tx) PruneHooks(before time.Time, limit int) (int64, error) {
	r := tx.db.Exec(fmt.Sprintf(`DELETE FROM hook_events WHERE seq IN (SELECT seq FROM hook_events WHERE at < ?
		AND NOT EXISTS (SELECT 1 FROM hook_deliveries WHERE hook_deliveries.event_seq = hook_events.seq AND hook_deliveries.status = 'pending' AND %s)
		ORDER BY seq LIMIT %d)`, liveHooks, limit), before)
	return r.RowsAffected, r.Error
}
