package dispatch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// The reasons for which a grant cannot be used, beside those of fence.RefusesCapture.
const (
	refusedUnknown  = "unknown_code"
	refusedGuessing = "code_guessing"
	refusedMismatch = "customer_mismatch"
	refusedCaptured = "already_captured"
	refusedReleased = "released"
	refusedNotTill  = "not_at_till"
	refusedNotTap   = "not_by_tap"
	refusedWhole    = "not_partial"
	refusedTooMuch  = "amount_too_large"
)

// Till is who asks for a code: the API key, and the device's own name if it says one; and whose code it says that it is.
type Till struct {
	Caller   string
	Device   string
	Customer string // our id; "": whoever's it is
}

func (t *Till) check() error {
	if len(t.Device) > maxName || !clean(t.Device) {
		return punchcard.Errorf(punchcard.CodeInvalid, "a device's name has at most %d bytes of text", maxName).In("device")
	}
	return nil
}

// keysTries is how many times as many unknown codes an API key may ask for as one of its devices.
const keysTries = 10

// locate finds the grant that a code went to. Who asks for unknown codes too often is told nothing any more until the window is over,
// also of codes that there are. Looking and counting is one transaction under the asker's lock, so that asking fast and from
// many places is counted exactly. A code of somebody else than the till says counts as an unknown one.
func (d *Dispatcher) locate(ctx context.Context, p *rules.Program, t Till, code string, action punchcard.RefusedAction) (*punchcard.Grant, error) {
	code = punchcard.NormalizeCode(code)
	if code == "" || len(code) > punchcard.MaxExternalID || !clean(code) {
		return nil, punchcard.Errorf(punchcard.CodeInvalid, "give the code").In("code")
	}
	rule := p.Fraud.Guesses
	window := d.store.Clock().Business(rule.Within)
	asker := "key/" + t.Caller
	device := "till/" + t.Caller + "/" + t.Device // sorts after the key: that is the order of their locks
	var found *punchcard.Grant
	var refused *punchcard.Error
	err := d.store.Update(ctx, func(tx *store.Tx) error {
		found, refused = nil, nil
		var guessers [2]*store.CodeGuesser
		for i, name := range []string{asker, device} {
			g, err := tx.LockGuesser(name, window)
			if err != nil {
				return err
			}
			most := int64(rule.AtMost)
			if name == asker {
				most *= keysTries
			}
			if g.Misses >= most {
				refused = guessing(d.store.Clock().Real(g.Since.Add(window).Sub(tx.Now)))
				return nil
			}
			guessers[i] = g
		}
		g, err := tx.GrantByCode(code)
		if err != nil {
			return err
		}
		miss := punchcard.Refusal{Action: action, Reason: refusedUnknown, Caller: t.Caller, Device: t.Device}
		switch {
		case g == nil:
			refused = unknownCode()
		case t.Customer != "" && g.CustomerID != t.Customer:
			refused = punchcard.Errorf(punchcard.CodeConflict, "that code is not this customer's").Because(refusedMismatch)
			miss.Reason, miss.CustomerID, miss.Reward, miss.GrantID = refusedMismatch, t.Customer, g.Reward, g.ID
		default:
			found = g
			return nil
		}
		stopped := false
		for i, g := range guessers {
			g.Misses++
			stopped = stopped || g.Misses == int64(rule.AtMost) && i == 1 || g.Misses == int64(rule.AtMost)*keysTries && i == 0
			if err := tx.SaveGuesser(g); err != nil {
				return err
			}
		}
		if err := tx.AddRefusal(miss); err != nil || !stopped {
			return err
		}
		miss.Reason, miss.CustomerID, miss.Reward, miss.GrantID = refusedGuessing, "", "", ""
		if err := tx.AddRefusal(miss); err != nil {
			return err
		}
		return tx.RaiseAlert(punchcard.AlertGuessing, strings.TrimSuffix(t.Caller+" "+t.Device, " "), punchcard.SeverityCritical, refusedGuessing)
	})
	if err != nil {
		return nil, err
	}
	if refused != nil {
		return nil, refused
	}
	return found, nil
}

func unknownCode() *punchcard.Error {
	return punchcard.Errorf(punchcard.CodeNotFound, "no reward has that code").Because(refusedUnknown)
}

func guessing(left time.Duration) *punchcard.Error {
	e := punchcard.Errorf(punchcard.CodeTooMany, "too many unknown codes were asked for; try again later").Because(refusedGuessing)
	e.RetryAfter = max(left, time.Second)
	return e
}

func keepRefusal(tx *store.Tx, g *punchcard.Grant, t Till, action punchcard.RefusedAction, reason string) error {
	return tx.AddRefusal(punchcard.Refusal{
		CustomerID: g.CustomerID, Reward: g.Reward, GrantID: g.ID, Action: action, Reason: reason, Caller: t.Caller, Device: t.Device,
	})
}

// usable answers why a grant cannot be used now in a way, nil if it can. claim is as for fence.RefusesRedemption.
func usable(tx *store.Tx, p *rules.Program, g *punchcard.Grant, by, device string, claim bool) (*punchcard.Error, error) {
	const minute = "2006-01-02 15:04 MST"
	switch {
	case g.Status == punchcard.GrantCaptured && g.Reason != punchcard.ReasonExpired:
		return punchcard.Errorf(punchcard.CodeConflict, "that code was used at %s", g.EndedAt.Format(minute)).Because(refusedCaptured), nil
	case g.Status == punchcard.GrantReleased && g.Reason != punchcard.ReasonExpired:
		return punchcard.Errorf(punchcard.CodeGone, "that code is void: its reward was given back").Because(refusedReleased), nil
	case g.EndedAt != nil || g.Expired(tx.Now): // a card that was used in part expires as captured
		return punchcard.Errorf(punchcard.CodeGone, "that code expired at %s", g.ExpiresAt.Format(minute)).Because(punchcard.ReasonExpired), nil
	case g.AwaitsCode:
		return punchcard.Errorf(punchcard.CodeConflict, "its code is not there yet").Because(fence.RefusedNoCode), nil
	case by == punchcard.CapturedByTill && g.CapturedBy != "" && g.CapturedBy != by:
		return punchcard.Errorf(punchcard.CodeConflict, "that code is not used at the till but by %s", g.CapturedBy).Because(refusedNotTill), nil
	case by == punchcard.CapturedByTap && g.CapturedBy != by:
		return punchcard.Errorf(punchcard.CodeConflict, "that is not used by a tap").Because(refusedNotTap), nil
	}
	code, err := fence.RefusesCapture(tx, p, g, device, claim)
	if err != nil || code == "" {
		return nil, err
	}
	return punchcard.Errorf(punchcard.CodeConflict, "a rule of the program refuses this: too much in too short a time").Because(code), nil
}

// endedAs is the reason for which a released grant cannot be used.
func endedAs(g *punchcard.Grant) string {
	if g.Reason == punchcard.ReasonExpired {
		return punchcard.ReasonExpired
	}
	return refusedReleased
}

// Found is what a till is told of a grant.
type Found struct {
	Grant    *punchcard.Grant
	Customer *punchcard.Customer
	Title    string           // as the customer calls it
	Refused  *punchcard.Error // why it cannot be used at the till now; nil if it can
}

// LookUp tells what a code is and whether it can be used at the till now. The errors are those of Capture for a code that is not found.
func (d *Dispatcher) LookUp(ctx context.Context, t Till, code string) (*Found, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	g, err := d.locate(ctx, policy.Program, t, code, punchcard.RefusedLookup)
	if err != nil {
		return nil, err
	}
	return d.found(ctx, policy.Program, g, t.Device)
}

// maxUsable is how many rewards of one customer a till is shown.
const maxUsable = 50

// Usable tells what a customer has that is not used or over, the ones that expire soonest first.
func (d *Dispatcher) Usable(ctx context.Context, customer, device string) ([]Found, error) {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	grants, err := d.store.View(ctx).UsableGrants(customer, maxUsable)
	if err != nil {
		return nil, err
	}
	found := make([]Found, 0, len(grants))
	for i := range grants {
		f, err := d.found(ctx, policy.Program, &grants[i], device)
		if err != nil {
			return nil, err
		}
		found = append(found, *f)
	}
	return found, nil
}

func (d *Dispatcher) found(ctx context.Context, p *rules.Program, g *punchcard.Grant, device string) (*Found, error) {
	view := d.store.View(ctx)
	c, err := view.Customer(g.CustomerID)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, fmt.Errorf("customer %s of grant %s is gone", g.CustomerID, g.ID)
	}
	f := &Found{Grant: g, Customer: c, Title: g.Reward}
	if f.Refused, err = usable(view, p, g, punchcard.CapturedByTill, device, false); err != nil {
		return nil, err
	}
	if p.Rewards[g.Reward] == nil {
		// The catalog has it no more: it is called what it was called when it was given.
		if p, err = d.fence.Catalog.Program(ctx, g.Version); err != nil {
			return nil, err
		}
	}
	if reward := p.Rewards[g.Reward]; reward != nil {
		env, err := fence.Scene{Tx: view, Program: p, Customer: c}.Env()
		if err != nil {
			return nil, err
		}
		if title, err := reward.Title.Render(p.Language, env); err == nil {
			f.Title = title
		} else if cause := fence.Cause(err); cause != nil {
			return nil, cause
		}
	}
	return f, nil
}
