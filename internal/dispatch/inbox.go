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
	for _, item := range items {
		if err := d.readItem(ctx, item); err != nil {
			return len(items), err
		}
	}
	return len(items), nil
}

// readItem takes over each update of a webhook in a transaction of its own. One that cannot be taken over does not stop its
// neighbours: it is tried again with the whole webhook, whose other updates are duplicates then, and parked at last.
func (d *Dispatcher) readItem(ctx context.Context, item store.InboxItem) error {
	updates, err := whatsapp.Parse(item.Body)
	var failed error
	if err != nil {
		failed = err
	}
	for _, u := range updates {
		err := d.takeUpdate(ctx, u)
		if store.IsOutage(err) || punchcard.CodeOf(err) == punchcard.CodeUnavailable {
			return err
		}
		if err != nil {
			failed = err
		}
	}
	if failed == nil {
		return d.store.Update(ctx, func(tx *store.Tx) error { return tx.InboxDone(item.ID) })
	}
	d.log.ErrorContext(ctx, "a webhook could not be taken over whole", "inbox", item.ID, "attempts", item.Attempts+1, "error", failed)
	return d.store.Update(ctx, func(tx *store.Tx) error {
		return tx.InboxFailed(item, failed.Error(), retryPause*time.Duration(item.Attempts+1), maxAttempts)
	})
}

func (d *Dispatcher) takeUpdate(ctx context.Context, u whatsapp.Update) error {
	switch {
	case u.Inbound != nil:
		return d.takeInbound(ctx, u.Inbound)
	case u.Status != nil:
		return d.takeStatus(ctx, u.Status)
	case u.Preference != nil:
		return d.takePreference(ctx, u.Preference)
	case u.Broken != nil:
		return fmt.Errorf("an update under %q cannot be read: %s", u.Broken.Field, u.Broken.Err)
	default:
		return nil // kept in the inbox; the product has no use for it yet
	}
}
