package activities

import (
	"math/rand/v2"
	"time"

	"punchcard"
	"punchcard/internal/fence"
)

// Limits are those of WhatsApp's that the pace of the number does not keep.
type Limits struct {
	// Pair has messages to one customer keep to the rate of a pair.
	Pair bool
	// Daily is how many customers a day may be written to outside of their service window, until WhatsApp itself says; 0: any number.
	Daily int64
}

// A number may send one customer a message each pairSpacing, and pairBurst in advance. Source: WhatsApp's pair rate limit.
const (
	pairSpacing = 6 * time.Second
	pairBurst   = 45
)

// reach is what a message that goes out uses up of WhatsApp's limits to its customer.
type reach struct {
	pair    bool
	contact bool // it counts among the customers of a day
}

// use counts a message that goes out now.
func (r reach) use(p *fence.Pass) error {
	if !r.pair && !r.contact {
		return nil
	}
	if r.pair {
		from := time.Now().UTC()
		if until := p.Customer.PairUntil; until != nil && until.After(from) {
			from = *until
		}
		from = from.Add(pairSpacing).Truncate(time.Microsecond)
		p.Customer.PairUntil = &from
	}
	if r.contact {
		if err := p.Tx.Contacted(p.Customer); err != nil {
			return err
		}
	}
	return p.Tx.SaveReach(p.Customer)
}

// usedUp marks a pair's rate as used up for a pause: WhatsApp said so.
func (a *Activities) usedUp(p *fence.Pass, pause time.Duration) {
	until := time.Now().UTC().Add((pairBurst-1)*pairSpacing + pause).Truncate(time.Microsecond)
	p.Customer.PairUntil = &until
}

// reach adds to the gate's facts what of WhatsApp's limits is used up, and answers what the message will use. turn is nil where
// nobody paces.
func (a *Activities) reach(p *fence.Pass, f *Facts, turn *Turn) (reach, error) {
	var r reach
	marketing := f.Category == categoryMarketing
	account, err := p.Tx.WhatsAppAccount()
	if err != nil {
		return r, err
	}
	f.Circuit = account.Holds(marketing, f.FreeText, f.Now)
	business := a.Fence.Store.Clock().Business
	if turn != nil && turn.Wait > 0 {
		f.Limits = append(f.Limits, Limit{ReasonRate, f.Now.Add(business(turn.Wait))})
	}
	if a.Limits.Pair {
		r.pair = true
	}
	if until := p.Customer.PairUntil; until != nil {
		if wait := time.Until(*until) - (pairBurst-1)*pairSpacing; wait > 0 {
			f.Limits = append(f.Limits, Limit{ReasonPairRate, f.Now.Add(business(wait))})
		}
	}
	if f.FreeText {
		return r, nil
	}
	limit := a.Limits.Daily
	if account.DailyLimit != nil {
		limit = *account.DailyLimit
	}
	capped := marketing && p.Customer.MarketingAfter != nil && p.Customer.MarketingAfter.After(f.Now)
	if limit == 0 && !capped {
		return r, nil
	}
	// Inside of the service window neither counts.
	last, err := p.Tx.LastInbound(p.Customer.ID)
	if err != nil || last != nil && f.Now.Sub(*last) < ServiceWindow {
		return r, err
	}
	if capped {
		f.Limits = append(f.Limits, Limit{ReasonMarketingCap, *p.Customer.MarketingAfter})
	}
	if limit == 0 {
		return r, nil
	}
	r.contact = true
	if c := p.Customer.ContactedAt; c != nil && f.Now.Sub(*c) < 24*time.Hour {
		return r, nil // they are counted already
	}
	used, frees, err := p.Tx.Contacts()
	if err != nil || used < limit {
		return r, err
	}
	// Those who wait come back within an hour of one another, so that they do not come all at once.
	frees = frees.Add(time.Duration(rand.Int64N(int64(time.Hour))))
	f.Limits = append(f.Limits, Limit{ReasonPortfolioLimit, frees})
	return r, p.Tx.RaiseAlert(punchcard.AlertPortfolioLimit, "", punchcard.SeverityWarning, "used_up")
}
