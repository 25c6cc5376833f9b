package fence

import (
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// The codes with which a rule against misuse refuses.
const (
	RefusedNewCustomer      = "new_customer"      // not known for long enough
	RefusedVelocityCustomer = "velocity_customer" // the customer uses too much too fast
	RefusedVelocityDevice   = "velocity_device"   // the till does
	RefusedVelocityProgram  = "velocity_program"  // all do together
)

var velocity = map[rules.LimitBy]string{
	rules.LimitByCustomer: RefusedVelocityCustomer, rules.LimitByDevice: RefusedVelocityDevice, rules.LimitByProgram: RefusedVelocityProgram,
}

// RefusesRedemption answers the code of the rule against misuse by which a customer cannot redeem a reward now, or "". With claim
// it is to be taken, and what is counted over all customers is locked.
func RefusesRedemption(tx *store.Tx, p *rules.Program, reward *rules.Reward, c *punchcard.Customer, claim bool) (string, error) {
	age := reward.MinAge
	if age == 0 {
		age = p.Fraud.MinAge
	}
	if c.Since.Add(age).After(tx.Now) {
		return RefusedNewCustomer, nil
	}
	return tooFast(tx, p, rules.LimitRedemptions, claim, func(by rules.LimitBy, since time.Time) (int64, bool, error) {
		who := ""
		if by == rules.LimitByCustomer {
			who = c.ID
		}
		n, err := tx.CountRedeemed(who, since)
		return n, true, err
	})
}

// RefusesCapture answers the code of the rule against misuse by which a grant cannot be used now by a device ("" for none), or "".
func RefusesCapture(tx *store.Tx, p *rules.Program, g *punchcard.Grant, device string, claim bool) (string, error) {
	return tooFast(tx, p, rules.LimitCaptures, claim, func(by rules.LimitBy, since time.Time) (int64, bool, error) {
		var n int64
		var err error
		switch {
		case by == rules.LimitByCustomer:
			n, err = tx.CountCaptures(g.CustomerID, "", since)
		case by == rules.LimitByProgram:
			n, err = tx.CountCaptures("", "", since)
		case device == "":
			return 0, false, nil
		default:
			n, err = tx.CountCaptures("", device, since)
		}
		return n, true, err
	})
}

// tooFast answers the code of the first limit that is reached. What is counted over several customers is counted under one lock, whatever
// rule it is for, so that two rules never wait for each other.
func tooFast(tx *store.Tx, p *rules.Program, of rules.LimitOf, claim bool, count func(by rules.LimitBy, since time.Time) (n int64, applies bool, err error)) (string, error) {
	locked := !claim
	for _, l := range p.Fraud.Limits {
		if l.Of != of {
			continue
		}
		if l.By != rules.LimitByCustomer && !locked {
			if err := tx.LockLimit(string(of)); err != nil {
				return "", err
			}
			locked = true
		}
		n, applies, err := count(l.By, tx.Now.Add(-l.Within))
		if err != nil {
			return "", err
		}
		if applies && n >= int64(l.AtMost) {
			return velocity[l.By], nil
		}
	}
	return "", nil
}
