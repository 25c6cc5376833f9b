package dispatch

import (
	"context"
	"math"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
)

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
