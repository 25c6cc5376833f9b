package activities

import (
	"slices"
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// Facts are all that the gate decides by.
type Facts struct {
	Now  time.Time
	Zone *time.Location // the customer's

	FreeText    bool   // else a template
	Category    string // of the template: marketing, utility
	AsksConsent bool   // the template asks for consent
	Asked       bool   // another run has asked since consent was requested last
	Stopped     bool   // the template is switched off
	Held        string // why WhatsApp lets the template not go, one of the template_ reasons; "": it does

	Purpose   rules.Purpose
	Topic     string                        // of the journey; "" where its purpose is another
	Topics    []string                      // those that the program has now
	Standings map[string]punchcard.Standing // the customer's, by topic; what is not there is none

	MutedUntil *time.Time // a person has taken over until then; nil: nobody has
	Answers    bool       // it is a built-in answer to what the customer has just said, which a person's turn does not mute

	Reachable   bool       // the customer has a phone or a WhatsApp user id
	Undelivered int        // messages in a row that WhatsApp could not deliver
	GiveUpAfter int        // how many of them are too many; 0: none are
	Country     string     // of the customer; "" when unknown
	US          bool       // the number is one of the United States
	LastInbound *time.Time // when the customer last wrote; nil: never

	Countries []string // where marketing may go
	Quiet     *rules.QuietHours
	Caps      []rules.Cap
	// Handed lists the templates that went to this customer, oldest first, within the longest cap.
	Handed []store.Handed

	Circuit string // why WhatsApp's account lets no such message out: punchcard.ReasonCircuitOpen; "": it does
	// Limits are WhatsApp's own: for each that is used up, when it frees. One that does not concern the message is not there.
	Limits []Limit
}

// Limit is one of WhatsApp's limits that is used up.
type Limit struct {
	Reason string
	Frees  time.Time
}

// Verdict is the gate's answer.
type Verdict struct {
	Decision Decision
	Reason   string    // why it is not sent now: one of the Reason codes
	Until    time.Time // when to ask again, for Defer
}

// Decision says whether a message may go.
type Decision string

// The decisions.
const (
	Send     Decision = "send"
	Defer    Decision = "defer"
	Hold     Decision = "hold" // until somebody says that it may
	Suppress Decision = "suppress"
	End      Decision = "end" // it is not sent, and the run ends: see Patience
)

// The gate's reasons.
const (
	ReasonUnreachable     = "unreachable"         // no phone and no WhatsApp user id
	ReasonUndeliverable   = "undeliverable"       // WhatsApp could not deliver the last messages, and the customer has not written since
	ReasonTemplateStopped = "template_stopped"    // somebody switched the template off
	ReasonWindowClosed    = "window_closed"       // free text, and the customer has not written for a day
	ReasonNoConsent       = "no_consent"          // the topic is not granted
	ReasonNotRequested    = "not_requested"       // it asks for consent that nobody requested, or that was answered already
	ReasonAskedAlready    = "asked_already"       // it asks for consent that another run has asked for since it was requested
	ReasonTopicGone       = "topic_gone"          // the program has the topic no more
	ReasonMarketingHere   = "marketing_not_topic" // marketing in a journey without a topic
	ReasonUSMarketing     = "us_marketing"        // marketing to a number of the United States, which WhatsApp delivers nowhere
	ReasonCountry         = "country"             // marketing to a country that the program does not name
	ReasonCountryUnknown  = "country_unknown"     // marketing to a customer whose country is unknown
	ReasonQuietHours      = "quiet_hours"         // marketing in the customer's night
	ReasonHandedOff       = "handed_off"          // a person has taken over the conversation
	ReasonCap             = "cap"                 // enough of this category or topic for now
	ReasonDeadline        = "deadline"            // it waited as long as its step lets it
	ReasonMarketingCap    = "marketing_cap"       // WhatsApp delivers this customer no more marketing for now
	ReasonPortfolioLimit  = "portfolio_limit"     // WhatsApp's limit of customers a day is used up
	ReasonPairRate        = "pair_rate"           // too many messages to this customer within minutes
	ReasonRate            = "rate"                // the number sends as fast as it may
	ReasonParameterEmpty  = "parameter_empty"     // not the gate's: a value to be filled in is empty
	ReasonExpression      = "expression_failed"   // not the gate's: an expression in the text failed
	ReasonCodeForm        = "code_form"           // not the gate's: a code that a tap copies is too long, or has other characters
	ReasonOfferOver       = "offer_over"          // not the gate's: a limited-time offer has ended
	ReasonRunEnded        = "run_ended"           // not the gate's: the run was over before it could be sent
	ReasonOvertaken       = "overtaken"           // not the gate's: the run went another way while this waited
)

// ServiceWindow is how long after a customer's message free text may be sent to them. Source: WhatsApp's customer service window.
const ServiceWindow = 24 * time.Hour

const categoryMarketing = "marketing"

// Gate decides whether a message may go now. It is a pure function, called in the transaction that records the message. What
// can never be allowed is said before what only has to wait.
func Gate(f Facts) Verdict {
	if !f.Reachable {
		return Verdict{Suppress, ReasonUnreachable, time.Time{}}
	}
	if f.GiveUpAfter > 0 && f.Undelivered >= f.GiveUpAfter {
		return Verdict{Suppress, ReasonUndeliverable, time.Time{}}
	}
	if f.Stopped {
		return Verdict{Suppress, ReasonTemplateStopped, time.Time{}}
	}
	if f.FreeText && (f.LastInbound == nil || f.Now.Sub(*f.LastInbound) >= ServiceWindow) {
		return Verdict{Suppress, ReasonWindowClosed, time.Time{}}
	}
	if reason := consent(f); reason != "" {
		return Verdict{Suppress, reason, time.Time{}}
	}
	if f.Category == categoryMarketing {
		switch {
		case f.US:
			return Verdict{Suppress, ReasonUSMarketing, time.Time{}}
		case f.Country == "":
			return Verdict{Suppress, ReasonCountryUnknown, time.Time{}}
		case !slices.Contains(f.Countries, f.Country):
			return Verdict{Suppress, ReasonCountry, time.Time{}}
		}
	}
	if f.MutedUntil != nil && f.MutedUntil.After(f.Now) && !f.Answers {
		// Somebody may close the handoff sooner: it is asked again within the hour.
		until := f.Now.Add(time.Hour)
		if f.MutedUntil.Before(until) {
			until = *f.MutedUntil
		}
		return Verdict{Defer, ReasonHandedOff, until}
	}
	if f.Circuit != "" {
		return Verdict{Hold, f.Circuit, time.Time{}}
	}
	if f.Held != "" {
		return Verdict{Hold, f.Held, time.Time{}}
	}
	until, reason := time.Time{}, ""
	if _, free, _ := f.cap(); free.After(f.Now) {
		until, reason = free, ReasonCap
	}
	for _, l := range f.Limits {
		if l.Frees.After(f.Now) && l.Frees.After(until) {
			until, reason = l.Frees, l.Reason
		}
	}
	if f.Category == categoryMarketing && f.Quiet != nil {
		at := f.Now
		if until.After(at) {
			at = until // a cap or a limit can end in the night as well
		}
		if end := f.Quiet.End(at, f.Zone); end.After(at) {
			if reason == "" {
				reason = ReasonQuietHours
			}
			until = end
		}
	}
	if until.After(f.Now) {
		return Verdict{Defer, reason, until}
	}
	return Verdict{Send, "", time.Time{}}
}

// consent answers the reason for which the customer has not agreed to this message, or "".
func consent(f Facts) string {
	switch f.Purpose {
	case rules.PurposeService:
		if f.Category == categoryMarketing {
			return ReasonMarketingHere
		}
		return ""
	case rules.PurposeConsent:
		switch {
		case f.Category == categoryMarketing:
			return ReasonMarketingHere
		case f.AsksConsent && !has(f.Standings, punchcard.StandingRequested):
			return ReasonNotRequested
		case f.AsksConsent && f.Asked:
			return ReasonAskedAlready
		case !f.AsksConsent && !f.FreeText && !has(f.Standings, punchcard.StandingGranted):
			return ReasonNoConsent
		case f.FreeText && !has(f.Standings, punchcard.StandingRequested) && !has(f.Standings, punchcard.StandingGranted) &&
			!has(f.Standings, punchcard.StandingRefused):
			return ReasonNoConsent // after a stop the window is open, but nothing is asked any more
		default:
			return "" // free text inside the window answers what the customer has just said
		}
	default:
		switch {
		case !slices.Contains(f.Topics, f.Topic):
			return ReasonTopicGone
		case f.Standings[f.Topic] != punchcard.StandingGranted:
			return ReasonNoConsent
		default:
			return ""
		}
	}
}

func has(standings map[string]punchcard.Standing, s punchcard.Standing) bool {
	for _, have := range standings {
		if have == s {
			return true
		}
	}
	return false
}

// capped tells whether the caps hold for the message. What answers the customer (free text, a code, a receipt) passes them; marketing
// never does.
func (f Facts) capped() bool {
	return f.Category == categoryMarketing || !f.FreeText && f.Purpose != rules.PurposeService
}

// cap is the cap that keeps the message longest, when it frees, and how many messages count towards it; the time is not later than
// now when none keeps it.
func (f Facts) cap() (longest rules.Cap, free time.Time, counted int) {
	if !f.capped() {
		return longest, f.Now, 0
	}
	for _, c := range f.Caps {
		if !c.Counts(f.Category, f.Topic) {
			continue
		}
		var within []time.Time
		for _, h := range f.Handed {
			if c.Counts(h.Category, h.Topic) && f.Now.Sub(h.HandedAt) < c.Within {
				within = append(within, h.HandedAt)
			}
		}
		if len(within) < c.AtMost {
			continue
		}
		at := f.Now.Add(c.Within)
		if c.AtMost > 0 {
			at = within[len(within)-c.AtMost].Add(c.Within)
		}
		if at.After(free) {
			longest, free, counted = c, at, len(within)
		}
	}
	return longest, free, counted
}
