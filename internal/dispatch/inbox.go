package dispatch

import (
	"context"
	"fmt"
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

// Receive stores a verified webhook's raw body; it is committed when Receive returns, and may be acknowledged.
func (d *Dispatcher) Receive(ctx context.Context, body []byte) error {
	err := d.store.Update(ctx, func(tx *store.Tx) error { return tx.AddInbox(body) })
	if err == nil {
		d.inbox.ring()
	}
	return err
}

// updatesAtOnce is how many updates of webhooks are read before those webhooks are done with: what one that died had not done
// with is done again.
const updatesAtOnce = 2000

// webhook is one that is being worked on.
type webhook struct {
	item    store.InboxItem
	updates []whatsapp.Update
	failed  error // why it could not be taken over whole
}

// readInbox works through webhooks that came.
func (d *Dispatcher) readInbox(ctx context.Context) (int, error) {
	var items []store.InboxItem
	err := d.store.Update(ctx, func(tx *store.Tx) error {
		var err error
		items, err = tx.ClaimInbox(batch, lease)
		return err
	})
	if err != nil {
		return 0, err
	}
	claimed := time.Now()
	for done := 0; done < len(items); {
		if time.Since(claimed) > lease/2 {
			// The rest would outlast the claim, and be taken by another as well.
			rest := items[done:]
			return done, d.store.Update(ctx, func(tx *store.Tx) error { return tx.GiveBackInbox(rest) })
		}
		var some []*webhook
		for n := 0; done < len(items) && n < updatesAtOnce; done++ {
			w := &webhook{item: items[done]}
			w.updates, w.failed = whatsapp.Parse(w.item.Body)
			n += len(w.updates)
			some = append(some, w)
		}
		if err := d.readSome(ctx, some); err != nil {
			return done, err
		}
	}
	return len(items), nil
}

// readSome takes over what webhooks say: their statuses together, everything else in a transaction of its own. One that cannot be
// taken over does not stop its neighbours: it is tried again with the whole webhook, whose other updates are duplicates then,
// and parked at last.
func (d *Dispatcher) readSome(ctx context.Context, some []*webhook) error {
	var statuses []*whatsapp.Status
	var from []*webhook
	for _, w := range some {
		for _, u := range w.updates {
			if u.Status != nil {
				statuses, from = append(statuses, u.Status), append(from, w)
				continue
			}
			if err := d.takeUpdate(ctx, u); isOutage(err) {
				return err
			} else if err != nil {
				w.failed = err
			}
		}
	}
	err := d.takeStatuses(ctx, statuses, func(i int, err error) { from[i].failed = err })
	if err != nil {
		return err
	}
	unknown := map[string]int{}
	for _, w := range some {
		if w.failed == nil {
			for _, u := range w.updates {
				if u.Other != nil {
					unknown[u.Other.Field]++
				}
			}
		} else {
			d.log.ErrorContext(ctx, "a webhook could not be taken over whole", "inbox", w.item.ID, "attempts", w.item.Attempts+1, "error", w.failed)
		}
	}
	return d.store.Update(ctx, func(tx *store.Tx) error {
		var done []int64
		for _, w := range some {
			if w.failed == nil {
				done = append(done, w.item.ID)
				continue
			}
			if err := tx.InboxFailed(w.item, w.failed.Error(), retryPause*time.Duration(w.item.Attempts+1), maxAttempts); err != nil {
				return err
			}
		}
		if err := tx.CountUnknown(unknown); err != nil {
			return err
		}
		return tx.InboxDone(done)
	})
}

// isOutage tells whether an error is nothing that the work at hand can be blamed for: it is tried again and not counted.
func isOutage(err error) bool {
	return store.IsOutage(err) || punchcard.CodeOf(err) == punchcard.CodeUnavailable
}

// takeUpdate takes over one thing that a webhook said, other than a status: those go many at once.
func (d *Dispatcher) takeUpdate(ctx context.Context, u whatsapp.Update) error {
	switch {
	case u.Inbound != nil:
		return d.takeInbound(ctx, u.Inbound)
	case u.Preference != nil:
		return d.takePreference(ctx, u.Preference)
	case u.Template != nil:
		return d.takeTemplate(ctx, u.Template)
	case u.Account != nil:
		return d.takeAccount(ctx, u.Account)
	case u.Broken != nil:
		return fmt.Errorf("an update under %q cannot be read: %s", u.Broken.Field, u.Broken.Err)
	default:
		return nil // one that this version has no use for is counted, and kept in the inbox
	}
}
