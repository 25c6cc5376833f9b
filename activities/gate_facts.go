package activities

import (
	"slices"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/rules"
)

type address struct {
	phone, userID string
	names         []punchcard.Identity // all that the customer has
}

// gateFacts reads what the gate decides by, and where the message would go.
func gateFacts(p *fence.Pass, d *draft) (Facts, address, error) {
	var to address
	names, err := p.Tx.Identities(p.Customer.ID)
	if err != nil {
		return Facts{}, to, err
	}
	to.names = names
	for _, n := range names {
		switch n.Kind {
		case punchcard.IdentityPhone:
			to.phone = n.Value
		case punchcard.IdentityUserID:
			to.userID = n.Value
		case punchcard.IdentityParentUserID, punchcard.IdentityExternal: // no message goes to these
		}
	}
	policy := p.Policy
	f := Facts{
		Now: p.Tx.Now, Zone: fence.Zone(policy.Program, p.Customer),
		FreeText: d.record.Template == "", Category: d.record.Category, AsksConsent: d.asksConsent, Stopped: d.stopped,
		Held: d.held, Undelivered: p.Customer.Undelivered, GiveUpAfter: policy.Hygiene.Undeliverable,
		Purpose: p.Journey.Purpose, Topic: p.Journey.Topic, Standings: map[string]punchcard.Standing{},
		MutedUntil: p.Customer.MutedUntil, Answers: p.Journey.Name == punchcard.BuiltinReply,
		Reachable: to.phone != "" || to.userID != "", Country: p.Customer.Country,
		Countries: policy.MarketingCountries, Quiet: policy.Quiet, Caps: policy.Caps,
	}
	if _, region, err := punchcard.ParsePhone(to.phone); err == nil {
		f.US = region == regionUS
	} else {
		f.US = strings.HasPrefix(to.userID, regionUS+".") // a user id begins with the country of the number that is not told
	}
	for _, t := range policy.Topics {
		f.Topics = append(f.Topics, t.Name)
	}
	standings, err := p.Tx.Standings(p.Customer.ID)
	if err != nil {
		return Facts{}, to, err
	}
	for topic, s := range standings {
		f.Standings[topic] = s.Standing
	}
	if f.FreeText {
		f.LastInbound, err = p.Tx.LastInbound(p.Customer.ID)
		return f, to, err
	}
	var longest time.Duration
	for _, c := range policy.Caps {
		if f.capped() && c.Counts(f.Category, f.Topic) {
			longest = max(longest, c.Within)
		}
	}
	if longest > 0 {
		if f.Handed, err = p.Tx.Handed(p.Customer.ID, p.Tx.Now.Add(-longest)); err != nil {
			return f, to, err
		}
	}
	if f.AsksConsent {
		f.Asked, err = askedAbout(p, standings)
	}
	return f, to, err
}

// regionUS is the region of numbers that WhatsApp delivers no marketing to. Source: Meta's page on per-user marketing limits.
const regionUS = "US"

// askedAbout tells whether another run has asked for consent since it was requested last: one request is asked about once.
func askedAbout(p *fence.Pass, standings map[string]punchcard.ConsentState) (bool, error) {
	var requested time.Time
	for _, s := range standings {
		if s.Standing == punchcard.StandingRequested && s.At.After(requested) {
			requested = s.At
		}
	}
	var templates []string
	for _, program := range []*rules.Program{p.Program, p.Policy.Program} {
		for name, t := range program.Templates {
			if t.AsksConsent && !slices.Contains(templates, name) {
				templates = append(templates, name)
			}
		}
	}
	if p.Run.EntryEvent != punchcard.EventConsentRequested {
		requested = requested.Add(-time.Microsecond) // asked in the very moment of the request counts, but for the run that it began
	}
	return p.Tx.AskedSince(p.Customer.ID, p.Run.ID, templates, requested)
}
