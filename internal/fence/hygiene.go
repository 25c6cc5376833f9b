package fence

import (
	"context"
	"maps"
	"slices"
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Sources of an entry in the consent log that the list's hygiene makes.
const (
	SourceHygiene      = "hygiene"                    // they are asked once more
	SourceUnresponsive = "hygiene.unresponsive_after" // what they agreed to expires, to be asked for anew
	SourceExpired      = "hygiene.expire_after"       // what they agreed to, or were asked, expires
)

// Tidy does what the program's hygiene says of a customer, and answers what that was: at most one of Unresponsive, of whom Asked
// are asked anew, and Expired. Done twice it does nothing more. The customer is locked.
func (f *Fence) Tidy(ctx context.Context, tx *store.Tx, p *rules.Program, c *punchcard.Customer) (done punchcard.HygieneRound, err error) {
	h := p.Hygiene
	standings, err := tx.Standings(c.ID)
	if err != nil {
		return done, err
	}
	oldest := tx.Now
	for _, s := range standings {
		if s.Standing == punchcard.StandingGranted && s.At.Before(oldest) {
			oldest = s.At
		}
	}
	sign, err := tx.LastSign(c.ID, oldest, slices.Sorted(maps.Keys(rules.BuiltinEvents)))
	if err != nil {
		return done, err
	}
	var expired, unresponsive []string
	for _, topic := range slices.Sorted(maps.Keys(standings)) {
		s := standings[topic]
		since := s.At
		switch s.Standing {
		case punchcard.StandingGranted:
			if sign.After(since) {
				since = sign
			}
		case punchcard.StandingRequested:
		default:
			continue
		}
		age := tx.Now.Sub(since)
		switch {
		case h.Expire > 0 && age >= h.Expire:
			expired = append(expired, topic)
		case h.Unresponsive > 0 && age >= h.Unresponsive && s.Standing == punchcard.StandingGranted:
			unresponsive = append(unresponsive, topic)
		}
	}
	// One who cannot be reached is not asked: nobody would hear it.
	ask := h.AskAgain && len(unresponsive) > 0 && c.Undelivered < h.Undeliverable
	if len(unresponsive) > 0 {
		done.Unresponsive = 1
	}
	if len(expired) > 0 {
		done.Expired = 1
		if err := expire(tx, c, expired, SourceExpired, punchcard.StandingExpired); err != nil {
			return done, err
		}
	}
	if ask {
		done.Asked = 1
		if err := expire(tx, c, unresponsive, SourceUnresponsive, punchcard.StandingExpired); err != nil {
			return done, err
		}
	}
	if len(expired) == 0 && !ask {
		return done, nil
	}
	after, err := tx.Standings(c.ID)
	if err != nil {
		return done, err
	}
	if err := f.endStopped(ctx, tx, p, c, after, SourceHygiene); err != nil || !ask {
		return done, err
	}
	if err := expire(tx, c, unresponsive, SourceHygiene, punchcard.StandingRequested); err != nil {
		return done, err
	}
	return done, Raise(tx, c.ID, punchcard.EventConsentRequested, map[string]any{"topics": unresponsive, "source": SourceHygiene}, -1)
}

// expire writes into the consent log what a rule makes of topics.
func expire(tx *store.Tx, c *punchcard.Customer, topics []string, source string, standing punchcard.Standing) error {
	for _, topic := range topics {
		err := tx.AddConsent(&punchcard.ConsentEntry{
			CustomerID: c.ID, Topic: topic, Standing: standing, Source: source, Channel: punchcard.ChannelRule,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// TidyFrom is the age from which consents are looked at; 0: nothing is.
func TidyFrom(h rules.Hygiene) time.Duration {
	if h.Unresponsive > 0 && (h.Expire == 0 || h.Unresponsive < h.Expire) {
		return h.Unresponsive
	}
	return h.Expire
}
