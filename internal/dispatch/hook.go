package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"punchcard"
	"punchcard/internal/signed"
	"punchcard/internal/store"
)

// hookSender is what a dispatcher has to tell hooks with.
type hookSender struct {
	private bool
	client  *http.Client

	mu   sync.Mutex
	busy map[string]bool // by hook: one that is slow keeps no other waiting
}

// LetHooksBePrivate lets hooks be at addresses of this machine and of private networks, by http as well. It is called once, before
// anything else uses the dispatcher.
func (d *Dispatcher) LetHooksBePrivate() { d.hooks.private, d.hooks.client = true, signed.Client(true) }

const (
	// hookTimeout bounds a request to a hook. Standard Webhooks asks for 15 to 30 s; who needs longer queues and answers first.
	hookTimeout = 15 * time.Second
	// hookBatch is how many of a hook's deliveries are claimed at once, and hookWorkers how many requests it gets at once.
	hookBatch   = 16
	hookWorkers = 4
	// hookLease is longer than all of a batch may take.
	hookLease = hookBatch/hookWorkers*hookTimeout + time.Minute
	// hookGivenUp is for how long a hook may fail at everything before it is disabled.
	hookGivenUp = 5 * 24 * time.Hour
	// hookFormer is for how long a secret that was rotated out goes on signing.
	hookFormer = 24 * time.Hour
	// maxFormer is how many of those there are at most.
	maxFormer = 5
	// hookAnswer is how much of an answer is read, in bytes, so that who answers is not cut off in the middle. None of it is kept.
	hookAnswer = 64 << 10
)

// hookPauses are the pauses between tries, in machine time: about three days in all. Source: the schedule that the Standard Webhooks
// specification gives.
var hookPauses = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// Words for why a try failed.
const (
	hookErrorStatus      = "status"      // it answered, but not with 2xx: the code says with what
	hookErrorTimeout     = "timeout"     // it did not answer in time
	hookErrorUnreachable = "unreachable" // no connection came about, or it broke
	hookErrorPrivate     = "private"     // its address is not one that hooks may have
	hookErrorSecret      = "secret"      // its secret cannot sign
)

// runHooks tells hooks what is due. Each hook has a worker of its own while there is something for it.
func (d *Dispatcher) runHooks(ctx context.Context) error {
	var g errgroup.Group
	err := d.loop(ctx, "hooks", newBell(), func(ctx context.Context) (int, error) {
		due, err := d.store.View(ctx).DueHooks()
		if err != nil {
			return 0, err
		}
		for _, id := range due {
			if d.hooks.begin(id) {
				g.Go(func() error {
					defer d.hooks.end(id)
					if err := d.tellHook(ctx, id); err != nil && ctx.Err() == nil {
						d.log.WarnContext(ctx, "a hook cannot be told just now; this is tried again", "hook", id, "error", err)
					}
					return nil
				})
			}
		}
		return 0, nil
	})
	return errors.Join(err, g.Wait())
}

func (h *hookSender) begin(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy[id] {
		return false
	}
	if h.busy == nil {
		h.busy = map[string]bool{}
	}
	h.busy[id] = true
	return true
}

func (h *hookSender) end(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.busy, id)
}

// TellHooks tells all hooks what is due now, once, and answers how many requests that took. It is for whoever drives time itself.
func (d *Dispatcher) TellHooks(ctx context.Context) (int, error) {
	due, err := d.store.View(ctx).DueHooks()
	told := 0
	for _, id := range due {
		n, e := d.tellBatch(ctx, id)
		told, err = told+n, errors.Join(err, e)
	}
	return told, err
}

// tellHook tells one hook what is due, until nothing is.
func (d *Dispatcher) tellHook(ctx context.Context, id string) error {
	for {
		n, err := d.tellBatch(ctx, id)
		if err != nil || n == 0 {
			return err
		}
	}
}

func (d *Dispatcher) tellBatch(ctx context.Context, id string) (int, error) {
	// Read before anything is claimed: a process that lacks the keys leaves it to one that has them.
	hook, secrets, err := d.openHook(ctx, id)
	if err != nil || hook == nil {
		return 0, err
	}
	var due []punchcard.HookDelivery
	err = d.store.Update(ctx, func(tx *store.Tx) (err error) {
		due, err = tx.ClaimHookDeliveries(d.name, id, hookBatch, hookLease)
		return err
	})
	if err != nil || len(due) == 0 {
		return 0, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(hookWorkers)
	for i := range due {
		g.Go(func() error { return d.tellOne(ctx, hook, secrets, &due[i]) })
	}
	return len(due), g.Wait()
}

// openHook reads a hook and what it signs with now, none when it was removed meanwhile.
func (d *Dispatcher) openHook(ctx context.Context, id string) (*punchcard.Hook, []string, error) {
	hook, secret, former, err := d.store.View(ctx).OpenHook(id)
	if err != nil {
		if punchcard.CodeOf(err) == punchcard.CodeNotFound {
			return nil, nil, nil
		}
		return nil, nil, err
	}
	secrets := []string{secret}
	if former != "" && hook.FormerUntil != nil && time.Now().Before(*hook.FormerUntil) {
		secrets = append(secrets, strings.Fields(former)...)
	}
	return hook, secrets, nil
}

// tellOne makes one try at one delivery.
func (d *Dispatcher) tellOne(ctx context.Context, hook *punchcard.Hook, secrets []string, delivery *punchcard.HookDelivery) error {
	id, body, err := d.hookMessage(ctx, delivery.EventSeq)
	if err != nil {
		return err
	}
	now := time.Now()
	delivery.Code, delivery.Error = d.hooks.post(ctx, hook.URL, secrets, id, now, body)
	if ctx.Err() != nil {
		return ctx.Err() // we are stopping: nothing is known of it, and its claim runs out
	}
	tried := now.UTC().Truncate(time.Microsecond)
	delivery.TriedAt = &tried
	delivery.Attempts++
	if delivery.Error != "" {
		d.log.InfoContext(ctx, "a hook was not told", "hook", hook.ID, "event", id, "attempt", delivery.Attempts, "code", delivery.Code, "error", delivery.Error)
	}
	return d.store.Update(ctx, func(tx *store.Tx) error { return settleHook(tx, *delivery, tried) })
}

// settleHook writes how a try came out, and what that means for its hook.
func settleHook(tx *store.Tx, delivery punchcard.HookDelivery, now time.Time) error {
	gone := delivery.Code == http.StatusGone
	switch {
	case delivery.Error == "":
		delivery.Status, delivery.DeliveredAt = punchcard.HookDelivered, &now
	case gone || delivery.Attempts > len(hookPauses):
		delivery.Status = punchcard.HookDead
	default:
		delivery.DueAt = now.Add(jittered(hookPauses[delivery.Attempts-1]))
	}
	if wrote, err := tx.SaveHookDelivery(&delivery); err != nil || !wrote {
		return err
	}
	if delivery.Status == punchcard.HookDelivered {
		return tx.HookWorks(delivery.HookID)
	}
	since, err := tx.HookFails(delivery.HookID)
	if err != nil {
		return err
	}
	if gone {
		_, err = tx.DisableHook(delivery.HookID, punchcard.HookDisabledGone)
		return err
	}
	if delivery.Status == punchcard.HookDead {
		if err := tx.RaiseAlert(punchcard.AlertHookDead, delivery.HookID, punchcard.SeverityWarning, delivery.Error); err != nil {
			return err
		}
	}
	if now.Sub(since) < hookGivenUp {
		return nil
	}
	_, err = tx.DisableHook(delivery.HookID, punchcard.HookDisabledFailing)
	return err
}

// jittered is a pause and up to a fifth more, so that what failed together does not come back together.
func jittered(pause time.Duration) time.Duration {
	return pause + time.Duration(rand.Int64N(int64(pause)/5+1)) // spreading load needs no secrecy
}

// hookMessage is what a hook is told of an event, and its id. Who the customer is to the backend is looked up now.
func (d *Dispatcher) hookMessage(ctx context.Context, seq int64) (id string, body []byte, err error) {
	view := d.store.View(ctx)
	e, err := view.HookEvent(seq)
	if err != nil {
		return "", nil, err
	}
	if e == nil {
		return "", nil, fmt.Errorf("event %d of a delivery is gone", seq)
	}
	m := punchcard.HookMessage{ID: e.ID, Type: e.Type, Version: punchcard.HookVersion, Seq: e.Seq, Timestamp: e.At.UTC(), Data: e.Data}
	if e.CustomerID != "" {
		m.Customer = &punchcard.HookCustomer{ID: e.CustomerID}
		c, err := view.Customer(e.CustomerID)
		if err != nil {
			return "", nil, err
		}
		if c != nil {
			m.Customer.ID = c.ID
			names, err := view.Identities(c.ID)
			if err != nil {
				return "", nil, err
			}
			for _, n := range names {
				if n.Kind == punchcard.IdentityExternal {
					m.Customer.ExternalID = n.Value
				}
			}
		}
	}
	body, err = json.Marshal(m)
	return e.ID, body, err
}

// post makes one request. It answers the status that came back, 0 for none, and why the hook does not know now, "" if it does.
func (h *hookSender) post(ctx context.Context, address string, secrets []string, id string, now time.Time, body []byte) (code int, failed string) {
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	keys := make([][]byte, len(secrets))
	for i, s := range secrets {
		key, err := signed.Key(s)
		if err != nil {
			return 0, hookErrorSecret
		}
		keys[i] = key
	}
	req, err := signed.Post(ctx, address, id, now, body, keys...)
	if err != nil {
		return 0, hookErrorUnreachable
	}
	client := h.client
	if client == nil {
		client = signed.Client(false)
	}
	res, err := client.Do(req)
	switch {
	case errors.Is(err, signed.ErrPrivate):
		return 0, hookErrorPrivate
	case err != nil && ctx.Err() != nil:
		return 0, hookErrorTimeout
	case err != nil:
		return 0, hookErrorUnreachable
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, hookAnswer)) // the status says all
	_ = res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return res.StatusCode, hookErrorStatus
	}
	return res.StatusCode, ""
}
