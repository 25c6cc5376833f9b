package dispatch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// statusBatch is how many statuses one transaction takes at most: enough that its commit costs little for each, few enough that
// whoever waits for the locks, or for SQLite's one writer, waits for tens of milliseconds.
const statusBatch = 300

// takeStatuses moves messages forward, many in one transaction. fail is told of each status that cannot be taken; its neighbours
// are. The error is an outage's: then any number of them were taken, and all may be taken again.
func (d *Dispatcher) takeStatuses(ctx context.Context, statuses []*whatsapp.Status, fail func(index int, err error)) error {
	for first := 0; first < len(statuses); first += statusBatch {
		last := min(first+statusBatch, len(statuses))
		if err := d.takeSome(ctx, statuses[first:last], first, fail); err != nil {
			return err
		}
	}
	return nil
}

// takeSome takes statuses in one transaction, or by halves when one of them cannot be taken.
func (d *Dispatcher) takeSome(ctx context.Context, statuses []*whatsapp.Status, first int, fail func(int, error)) error {
	policy, err := d.policyFor(ctx, statuses)
	if err != nil {
		return err
	}
	var whose []string
	err = d.store.Update(ctx, func(tx *store.Tx) (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("taking statuses panicked: %v", r)
			}
		}()
		whose, err = moveForward(tx, policy, statuses)
		return err
	})
	switch {
	case err == nil:
		return d.learn(ctx, statuses, whose, first, fail)
	case isOutage(err):
		return err
	case len(statuses) == 1:
		fail(first, err)
		return nil
	}
	half := len(statuses) / 2
	if err := d.takeSome(ctx, statuses[:half], first, fail); err != nil {
		return err
	}
	return d.takeSome(ctx, statuses[half:], first+half, fail)
}

// moveForward applies statuses, in any order and however often they come, to the messages they are about. It answers whose each message
// is, "" for one that is not ours. p may be nil where no status refuses marketing.
func moveForward(tx *store.Tx, p *rules.Program, statuses []*whatsapp.Status) (whose []string, err error) {
	messages, err := lockMessages(tx, statuses)
	if err != nil {
		return nil, err
	}
	whose = make([]string, len(statuses))
	var changed, moved, lost []*punchcard.Message
	var reached []string
	for i, s := range statuses {
		m := messages.of(s)
		if m == nil {
			continue // not ours, or not one that we sent
		}
		whose[i] = m.CustomerID
		wrote, forward := apply(m, s, tx.Now)
		if m.Wamid != nil {
			messages.byWamid[*m.Wamid] = m
		}
		if wrote && !slices.Contains(changed, m) {
			changed = append(changed, m)
		}
		switch {
		case forward && m.Status == punchcard.MessageFailed:
			lost = append(lost, m)
		case forward && (m.Status == punchcard.MessageDelivered || m.Status == punchcard.MessageRead):
			reached = append(reached, m.CustomerID)
		}
		if forward && m.GrantID != "" && !slices.Contains(moved, m) {
			moved = append(moved, m)
		}
	}
	for _, m := range moved {
		if err := delivered(tx, m); err != nil {
			return nil, err
		}
	}
	if len(changed) == 0 {
		return whose, nil
	}
	if err := tx.SaveStatuses(changed); err != nil {
		return nil, err
	}
	if len(reached) > 0 {
		if err := tx.Reached(reached...); err != nil {
			return nil, err
		}
	}
	return whose, failed(tx, p, lost)
}

// sent are messages of ours, by the names that statuses have for them.
type sent struct{ byID, byWamid map[string]*punchcard.Message }

// of is the message that a status is about, by our own id that it echoes or by WhatsApp's.
func (s sent) of(status *whatsapp.Status) *punchcard.Message {
	if m := s.byID[status.CallbackData]; m != nil {
		return m
	}
	return s.byWamid[status.ID]
}

// lockMessages reads the messages that statuses are about, under the locks of their customers.
func lockMessages(tx *store.Tx, statuses []*whatsapp.Status) (sent, error) {
	none := sent{}
	var ids, wamids []string
	for _, s := range statuses {
		if punchcard.IsID(punchcard.PrefixMessage, s.CallbackData) {
			ids = append(ids, s.CallbackData)
		}
		if s.ID != "" {
			wamids = append(wamids, s.ID)
		}
	}
	slices.Sort(ids)
	slices.Sort(wamids)
	ids, wamids = slices.Compact(ids), slices.Compact(wamids)
	read, err := tx.MessagesNamed(ids, wamids)
	if err != nil || len(read) == 0 {
		return none, err
	}
	ids = ids[:0]
	var customers []string
	for _, m := range read {
		ids, customers = append(ids, m.ID), append(customers, m.CustomerID)
	}
	slices.Sort(ids)
	slices.Sort(customers)
	ids, customers = slices.Compact(ids), slices.Compact(customers)
	if err := tx.LockCustomers(customers); err != nil {
		return none, err
	}
	messages, err := tx.MessagesByID(ids)
	if err != nil {
		return none, err
	}
	found := sent{map[string]*punchcard.Message{}, map[string]*punchcard.Message{}}
	for _, m := range messages {
		if _, locked := slices.BinarySearch(customers, m.CustomerID); !locked {
			return none, fmt.Errorf("a customer was merged meanwhile: %w", store.ErrTryAgain)
		}
		found.byID[m.ID] = m
		if m.Wamid != nil {
			found.byWamid[*m.Wamid] = m
		}
	}
	return found, nil
}

// apply takes one status over into its message. It answers whether that changed anything, and whether the message moved forward.
func apply(m *punchcard.Message, s *whatsapp.Status, now time.Time) (changed, moved bool) {
	if m.Wamid == nil && s.ID != "" {
		m.Wamid, changed = &s.ID, true
	}
	status := punchcard.MessageStatus(s.Status)
	if s.Status == "played" { // a voice message was listened to
		status = punchcard.MessageRead
	}
	at := s.At.UTC()
	if at.IsZero() {
		at = now
	}
	// The time is kept also of a status that comes too late to move the message, and the first of several.
	if when := timeOf(m, status); when != nil && (*when == nil || at.Before(**when)) {
		*when, changed = &at, true
	}
	if p := s.Pricing; p != nil && status != punchcard.MessageFailed && m.PriceCategory == "" && p.Category != "" {
		billable := p.Billable
		m.PriceCategory, m.PriceType, m.Billable, changed = p.Category, p.Type, &billable, true
	}
	if status.Passes(m.Status) {
		m.Status, changed, moved = status, true, true
		if status == punchcard.MessageFailed && len(s.Errors) > 0 {
			m.ErrorCode, m.Reason = s.Errors[0].Code, fence.WhatsAppCode(s.Errors[0].Code)
		}
	}
	return changed, moved
}

// timeOf is where a message keeps when it reached a status; nil for a status that has no such time.
func timeOf(m *punchcard.Message, s punchcard.MessageStatus) **time.Time {
	switch s {
	case punchcard.MessageSent:
		return &m.SentAt
	case punchcard.MessageDelivered:
		return &m.DeliveredAt
	case punchcard.MessageRead:
		return &m.ReadAt
	case punchcard.MessageFailed:
		return &m.FailedAt
	default:
		return nil
	}
}

// delivered uses the grant that a message carried, where arriving is what uses it.
func delivered(tx *store.Tx, m *punchcard.Message) error {
	if m.GrantID == "" || m.Status != punchcard.MessageDelivered && m.Status != punchcard.MessageRead {
		return nil
	}
	g, err := tx.Grant(m.GrantID)
	if err != nil || g == nil || g.CapturedBy != punchcard.CapturedByDelivery {
		return err
	}
	_, err = fence.Capture(tx, g, &punchcard.Capture{By: punchcard.CapturedByDelivery, OrderRef: m.ID}, -1)
	return err
}
