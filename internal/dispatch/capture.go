package dispatch

import (
	"context"
	"fmt"
	"math"
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

// Use is what a till wants of a code.
type Use struct {
	Till

	Code    string
	Amount  float64 // of the value; 0: all that is left
	Order   string  // what it is used for; "" when the till does not say
	Request string  // makes it happen once; "": it is done each time
}

// Captured is a use of a grant. The grant is as it is now.
type Captured struct {
	Grant   *punchcard.Grant
	Capture *punchcard.Capture
}

// Capture uses the grant that a code went to, the whole or an amount. The same request is answered as the first time. The errors are
// CodeInvalid for what is no code or no amount, CodeNotFound for a code that is none, CodeTooMany for who tries out codes, CodeGone for a code that is
// released or expired, and CodeConflict where a rule refuses: the reason says which. What is refused is kept for review.
func (d *Dispatcher) Capture(ctx context.Context, u Use) (*Captured, error) {
	amount, err := u.check()
	if err != nil {
		return nil, err
	}
	if done, err := d.capturedBefore(ctx, u.Request); err != nil || done != nil {
		return done, err
	}
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	found, err := d.locate(ctx, policy.Program, u.Till, u.Code, punchcard.RefusedCapture)
	if err != nil {
		return nil, err
	}
	var out *Captured
	var refused *punchcard.Error
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		out, refused = nil, nil
		if _, err := tx.LockCustomer(found.CustomerID); err != nil {
			return err
		}
		g, err := tx.Grant(found.ID)
		if err != nil {
			return err
		}
		// The customer is locked, so of two with one request the second finds what the first has done.
		if c, err := tx.CaptureOfRequest(u.Request); err != nil || c != nil {
			out = &Captured{g, c}
			return err
		}
		if refused, err = usable(tx, policy.Program, g, punchcard.CapturedByTill, u.Device, true); err != nil {
			return err
		}
		if refused == nil {
			refused = enough(g, amount)
		}
		if refused != nil {
			return keepRefusal(tx, g, u.Till, punchcard.RefusedCapture, refused.Reason)
		}
		out = &Captured{g, &punchcard.Capture{
			Amount: amount, By: punchcard.CapturedByTill, Device: u.Device, OrderRef: u.Order, Request: u.Request,
		}}
		_, err = fence.Capture(tx, g, out.Capture, -1)
		return err
	})
	if err != nil {
		return nil, err
	}
	if refused != nil {
		return nil, refused
	}
	d.events.ring()
	return out, nil
}

// check refuses what is no use of a code, and answers the amount; 0 for all that is left.
func (u *Use) check() (punchcard.Amount, error) {
	if err := u.Till.check(); err != nil {
		return 0, err
	}
	if len(u.Order) > maxName || !clean(u.Order) {
		return 0, punchcard.Errorf(punchcard.CodeInvalid, "what it is used for has at most %d bytes of text", maxName).In("order")
	}
	amount := punchcard.AmountOf(u.Amount)
	if u.Amount < 0 || u.Amount > 1e12 || math.IsNaN(u.Amount) || u.Amount > 0 && amount == 0 || math.Abs(amount.Float()-u.Amount) > 1e-6 {
		return 0, punchcard.Errorf(punchcard.CodeInvalid, "an amount is above 0 and has at most three decimals; leave it out for all that is left").In("amount")
	}
	return amount, nil
}

func (t *Till) check() error {
	if len(t.Device) > maxName || !clean(t.Device) {
		return punchcard.Errorf(punchcard.CodeInvalid, "a device's name has at most %d bytes of text", maxName).In("device")
	}
	return nil
}

// capturedBefore answers what a request has done already, nil when it has done nothing.
func (d *Dispatcher) capturedBefore(ctx context.Context, request string) (*Captured, error) {
	view := d.store.View(ctx)
	c, err := view.CaptureOfRequest(request)
	if err != nil || c == nil {
		return nil, err
	}
	g, err := view.Grant(c.GrantID)
	return &Captured{g, c}, err
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

// enough refuses an amount that a grant does not have, or not in parts.
func enough(g *punchcard.Grant, amount punchcard.Amount) *punchcard.Error {
	left := g.Left()
	switch {
	case amount == 0 || amount == left:
		return nil
	case amount > left:
		return punchcard.Errorf(punchcard.CodeConflict, "there is %v left on it, and %v are asked for", left.Float(), amount.Float()).In("amount").Because(refusedTooMuch)
	case !g.Partial:
		return punchcard.Errorf(punchcard.CodeConflict, "it is used whole: leave the amount out").In("amount").Because(refusedWhole)
	default:
		return nil
	}
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

// ReverseCapture takes a use back: what it used can be used again. The points that were spent stay spent, and what the use has set going
// goes on. The same request is answered as the first time. The errors are CodeInvalid without an author or a reason, CodeNotFound for a capture that is
// not there, CodeGone when it is too late, and CodeConflict for one that is reversed, or is none of a till or a tap.
func (d *Dispatcher) ReverseCapture(ctx context.Context, id, by, reason, request string) (*Captured, error) {
	by, reason, err := byHand(by, reason)
	if err != nil {
		return nil, err
	}
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	view := d.store.View(ctx)
	c, err := view.Capture(id)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, punchcard.Errorf(punchcard.CodeNotFound, "there is no capture with that id")
	}
	found, err := view.Grant(c.GrantID)
	if err != nil {
		return nil, err
	}
	var out *Captured
	err = d.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(found.CustomerID); err != nil {
			return err
		}
		g, err := tx.Grant(found.ID)
		if err != nil {
			return err
		}
		back, err := tx.ReversalOf(c.ID)
		if err != nil {
			return err
		}
		switch {
		case back != nil && request != "" && back.Request == request:
			out = &Captured{g, back}
			return nil
		case back != nil:
			return punchcard.Errorf(punchcard.CodeConflict, "it is taken back already").Because("already_reversed")
		case c.Reverses != nil || c.By != punchcard.CapturedByTill && c.By != punchcard.CapturedByTap:
			return punchcard.Errorf(punchcard.CodeConflict, "only a use at the till or by a tap is taken back").Because("not_reversible")
		case g.Status == punchcard.GrantReleased || g.Expired(tx.Now):
			return punchcard.Errorf(punchcard.CodeGone, "the reward's time is over: it could not be used again").Because(punchcard.ReasonExpired)
		case !c.At.Add(policy.Fraud.ReverseWithin).After(tx.Now):
			return punchcard.Errorf(punchcard.CodeGone, "a use is taken back within %s", policy.Fraud.ReverseWithin).Because("too_late")
		}
		out = &Captured{g, &punchcard.Capture{Author: by, Note: reason, Request: request}}
		return tx.ReverseCapture(g, c, out.Capture)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// tapConfirmed and tapKept end the payload of the buttons under the question whether to use a reward now.
const (
	tapConfirmed = "/yes"
	tapKept      = "/no"
)

// tapsCapture hears a tap that uses a grant: it asks first, and uses it when that is confirmed.
func (r *routing) tapsCapture(payload string) error {
	id, confirmed := strings.CutSuffix(payload, tapConfirmed)
	id, kept := strings.CutSuffix(id, tapKept)
	g, err := r.tx.Grant(id)
	if err != nil {
		return err
	}
	say := func(reason string) error {
		return r.reply(replyCannotUse, nil, "{reason}", fence.Words(reason, r.customer.Language, r.policy.Language))
	}
	if g == nil || g.CustomerID != r.customer.ID {
		return say(refusedUnknown)
	}
	title, err := r.titleOf(g.Reward, g.Version)
	if err != nil {
		return err
	}
	if kept {
		return r.reply(replyNotUsed, nil, "{reward}", title)
	}
	refused, err := usable(r.tx, r.policy.Program, g, punchcard.CapturedByTap, "", confirmed)
	if err != nil {
		return err
	}
	if refused != nil {
		if err := keepRefusal(r.tx, g, Till{}, punchcard.RefusedCapture, refused.Reason); err != nil {
			return err
		}
		return say(refused.Reason)
	}
	if !confirmed {
		return r.reply(replyConfirm, &fence.Menu{Rows: []fence.MenuRow{
			{ID: rules.PayloadCapture + g.ID + tapConfirmed, Title: inLanguage(useButton, r.customer.Language, r.policy.Language)},
			{ID: rules.PayloadCapture + g.ID + tapKept, Title: inLanguage(keepButton, r.customer.Language, r.policy.Language)},
		}}, "{reward}", title)
	}
	how := &punchcard.Capture{By: punchcard.CapturedByTap, OrderRef: r.event.ID}
	if _, err := fence.Capture(r.tx, g, how, r.event.Depth); err != nil {
		return err
	}
	at := r.tx.Now.In(fence.Zone(r.policy.Program, r.customer)).Format("2006-01-02 15:04")
	return r.reply(replyUsed, nil, "{reward}", title, "{time}", at)
}
