package dispatch

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/signed"
	"punchcard/internal/store"
)

// maxHookURL bounds a hook's address, in bytes.
const maxHookURL = 2000

// AddHook begins to tell another system of what happens. types are what it wants to hear of; none: everything. The hook that is answered
// has its secret. The error is CodeInvalid for an address or a type that is none.
func (d *Dispatcher) AddHook(ctx context.Context, address string, types []punchcard.HookType, note string) (*punchcard.Hook, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || len(address) > maxHookURL || u.Fragment != "" || !clean(address):
		return nil, punchcard.Errorf(punchcard.CodeInvalid, "write a hook's address like https://example.com/punchcard, without a name or password in it").In("url")
	case u.Scheme != "https" && (u.Scheme != "http" || !d.hooks.private):
		return nil, punchcard.Errorf(punchcard.CodeInvalid, "a hook's address begins with https://; http is taken where serve has --hook-private-hosts, and by `hooks add --private`").In("url")
	}
	for i, t := range types {
		if !isHookType(t) {
			return nil, punchcard.Errorf(punchcard.CodeInvalid, "there is no type %q; the types are %s", short(string(t)), hookTypes()).In(fmt.Sprintf("types[%d]", i))
		}
	}
	if len(note) > maxName || !clean(note) {
		return nil, punchcard.Errorf(punchcard.CodeInvalid, "a note is at most %d bytes of text", maxName).In("note")
	}
	h := &punchcard.Hook{ID: punchcard.NewID(punchcard.PrefixHook), URL: address, Types: types, Note: note, Secret: signed.NewSecret()}
	return h, d.store.Update(ctx, func(tx *store.Tx) error { return tx.AddHook(h) })
}

func isHookType(t punchcard.HookType) bool {
	for _, known := range punchcard.HookTypes() {
		if known.Type == t {
			return true
		}
	}
	return false
}

func hookTypes() string {
	var names []string
	for _, t := range punchcard.HookTypes() {
		names = append(names, string(t.Type))
	}
	return strings.Join(names, ", ")
}

// RemoveHook ends a hook. What it was still to be told is not delivered. The error is CodeNotFound for one that is not there, as of all
// the following.
func (d *Dispatcher) RemoveHook(ctx context.Context, id string) error {
	_, err := d.changeHook(ctx, id, func(tx *store.Tx, h *punchcard.Hook) error {
		h.RemovedAt = &tx.Now
		return tx.SetHookSecrets(h.ID, "", "")
	})
	return err
}

// RotateHook gives a hook a new secret. The one until now goes on signing beside it for a day, and so do those that were rotated out on
// the day before: whoever lost an answer and asks again has not lost the secret that the receiver knows.
func (d *Dispatcher) RotateHook(ctx context.Context, id string) (*punchcard.Hook, error) {
	return d.changeHook(ctx, id, func(tx *store.Tx, h *punchcard.Hook) error {
		now := time.Now().UTC().Truncate(time.Microsecond)
		_, secret, former, err := tx.OpenHook(h.ID)
		if err != nil {
			return err
		}
		before := []string{secret}
		if h.FormerUntil != nil && now.Before(*h.FormerUntil) {
			before = append(before, strings.Fields(former)...)
		}
		until := now.Add(hookFormer)
		h.FormerUntil, h.Secret = &until, signed.NewSecret()
		return tx.SetHookSecrets(h.ID, h.Secret, strings.Join(before[:min(len(before), maxFormer)], " "))
	})
}

// EnableHook has a hook told again that was disabled, and what waits for its next try at once. What happened since it was disabled can
// be replayed.
func (d *Dispatcher) EnableHook(ctx context.Context, id string) (*punchcard.Hook, error) {
	return d.changeHook(ctx, id, func(tx *store.Tx, h *punchcard.Hook) error {
		h.DisabledAt, h.Disabled, h.FailingSince = nil, "", nil
		if err := tx.HurryHook(id); err != nil {
			return err
		}
		return tx.SettleAlert(punchcard.AlertHookDisabled, id, "enabled")
	})
}

func (d *Dispatcher) changeHook(ctx context.Context, id string, change func(*store.Tx, *punchcard.Hook) error) (*punchcard.Hook, error) {
	var hook *punchcard.Hook
	err := d.store.Update(ctx, func(tx *store.Tx) error {
		h, err := tx.LockHook(id)
		if err != nil {
			return err
		}
		if err := change(tx, h); err != nil {
			return err
		}
		hook = h
		return tx.SaveHook(h)
	})
	return hook, err
}

// TestHook has a hook told something that happened to nobody, and answers the delivery. The error is CodeConflict for one that is disabled.
func (d *Dispatcher) TestHook(ctx context.Context, id string) (*punchcard.HookDelivery, error) {
	var delivery *punchcard.HookDelivery
	err := d.store.Update(ctx, func(tx *store.Tx) error {
		h, err := enabledHook(tx, id)
		if err != nil {
			return err
		}
		delivery, err = tx.TestHook(h)
		return err
	})
	return delivery, err
}

func enabledHook(tx *store.Tx, id string) (*punchcard.Hook, error) {
	h, err := tx.Hook(id)
	if err == nil && h.DisabledAt != nil {
		err = punchcard.Errorf(punchcard.CodeConflict, "the hook is disabled (%s): enable it first", h.Disabled).Because("disabled")
	}
	return h, err
}

// Replay says what a hook is to be told again: one event, all that could not be delivered, or all since a moment.
type Replay struct {
	Event string
	Dead  bool
	Since time.Time
}

// replayBatch is how many events one transaction replays.
const replayBatch = 500

// ReplayHook has a hook told again, and answers how much. Each event keeps its id, so that who has seen it can tell. The errors are
// CodeNotFound for an event that is not there, CodeInvalid for a Replay that does not say one thing, and CodeConflict for a hook that is
// disabled.
func (d *Dispatcher) ReplayHook(ctx context.Context, id string, what Replay) (int64, error) {
	said := 0
	for _, is := range []bool{what.Event != "", what.Dead, !what.Since.IsZero()} {
		if is {
			said++
		}
	}
	if said != 1 {
		return 0, punchcard.Errorf(punchcard.CodeInvalid, "say one of: event, dead, since")
	}
	var total, after int64
	for {
		var n, last int64
		err := d.store.Update(ctx, func(tx *store.Tx) error {
			h, err := enabledHook(tx, id)
			if err != nil {
				return err
			}
			switch {
			case what.Event != "":
				n, err = 1, tx.ReplayHookEvent(h, what.Event)
			case what.Dead:
				if n, err = tx.ReplayDeadHooks(h); err == nil {
					err = tx.SettleAlert(punchcard.AlertHookDead, id, "replayed")
				}
			default:
				var batch int
				last, batch, err = tx.ReplayHookSince(h, what.Since, after, replayBatch)
				n = int64(batch)
			}
			return err
		})
		if err != nil {
			return total, err
		}
		if total += n; last == 0 || n < replayBatch {
			return total, nil
		}
		after = last
	}
}
