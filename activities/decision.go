package activities

import (
	"fmt"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/rules"
)

// decided records what is decided of a message, in the transaction that does it.
func decided(p *fence.Pass, m *punchcard.Message, verdict punchcard.Verdict, reason string, until time.Time, seen punchcard.DecisionFacts) error {
	d := &punchcard.MessageDecision{
		CustomerID: m.CustomerID, MessageID: m.ID, RunID: m.RunID, Step: m.Step, Journey: p.Run.Journey, Template: m.Template,
		Verdict: verdict, Reason: reason, Facts: seen,
	}
	if !until.IsZero() {
		d.Until = &until
	}
	return p.Tx.AddDecision(d)
}

// seen are the facts as they are recorded: those that bear on every decision, and those that bear on this reason.
func (f Facts) seen(reason string) punchcard.DecisionFacts {
	s := punchcard.DecisionFacts{
		Zone: f.Zone.String(), Local: f.Now.In(f.Zone).Format("Mon 2006-01-02 15:04"), Category: f.Category, Purpose: string(f.Purpose),
		Topic: f.Topic, Standing: f.Standings[f.Topic], Country: f.Country, LastInbound: f.LastInbound, Undelivered: f.Undelivered,
	}
	if f.Topic != "" && s.Standing == "" {
		s.Standing = punchcard.StandingNone
	}
	if f.Topic == "" && f.Purpose == rules.PurposeConsent {
		s.Standings = f.Standings
	}
	switch reason {
	case ReasonCountry, ReasonCountryUnknown, ReasonUSMarketing:
		s.Countries = f.Countries
	case ReasonQuietHours:
		s.Quiet = quietWords(f.Quiet)
	case ReasonHandedOff:
		s.MutedUntil = f.MutedUntil
	case ReasonCap:
		limit, _, counted := f.cap()
		s.Cap, s.Counted = capWords(limit), counted
		if f.Category == categoryMarketing {
			s.Quiet = quietWords(f.Quiet)
		}
	}
	return s
}

func quietWords(q *rules.QuietHours) string {
	if q == nil {
		return ""
	}
	return q.From.String() + " to " + q.To.String()
}

// capWords is a cap as a person says it: marketing of offers: at most 2 within 1d.
func capWords(c rules.Cap) string {
	what := c.Category
	switch {
	case c.Topic != "" && what != "":
		what += " of " + c.Topic
	case c.Topic != "":
		what = c.Topic
	}
	return fmt.Sprintf("%s: at most %d within %s", what, c.AtMost, rules.FormatDuration(c.Within))
}
