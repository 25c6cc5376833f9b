package fence

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/store"
)

// Explained is a decision in words: the rule behind it, and what would have to change for the message to go.
type Explained struct {
	punchcard.MessageDecision

	Rule   string `json:"rule"`
	Change string `json:"change"` // "" where nothing has to
	// How the message stands now.
	Status       punchcard.MessageStatus `json:"status"`
	StatusReason string                  `json:"status_reason"`
}

// Explain lists what was decided of a customer's messages after an id, in the order of deciding, from one moment to before another (zero:
// no bound), in words.
func Explain(tx *store.Tx, customer string, after int64, from, to time.Time, limit int) ([]Explained, error) {
	decisions, err := tx.Decisions(customer, after, from, to, limit)
	if err != nil || len(decisions) == 0 {
		return nil, err
	}
	var ids []string
	for _, d := range decisions {
		ids = append(ids, d.MessageID)
	}
	slices.Sort(ids)
	messages, err := tx.MessagesByID(slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	byID := map[string]*punchcard.Message{}
	for _, m := range messages {
		byID[m.ID] = m
	}
	out := make([]Explained, len(decisions))
	for i, d := range decisions {
		out[i] = Explained{MessageDecision: d}
		out[i].Rule, out[i].Change = InWords(d)
		if m := byID[d.MessageID]; m != nil {
			out[i].Status, out[i].StatusReason = m.Status, m.Reason
		}
	}
	return out, nil
}

// reasonWords are, by reason, the rule in words and what would have to change. In braces stands what was seen. What is not here is
// WhatsApp's own code.
var reasonWords = map[string][2]string{
	"": {"Nothing stood in the way.", ""},

	"unreachable":      {"There is no phone and no WhatsApp user id to write to.", "Tell the customer's phone with an event."},
	"undeliverable":    {"WhatsApp could not deliver the last {undelivered} messages to the customer.", "Wait until they write, or have another number."},
	"template_stopped": {"Somebody switched the template off.", "Switch it on: punchcard allow template {template}."},
	"window_closed":    {"Free text goes only within 24 hours after the customer last wrote{last}.", "Use a template, or wait until the customer writes."},
	"topic_gone":       {"The program has the topic {topic} no more.", "Publish a program with the topic {topic}."},
	"no_consent":       {"The customer has not granted {topic}: it is {standing}.", "{consent}"},
	"not_requested":    {"The message asks for consent that nobody requested, or that was answered already.", "Have the customer ask to join: by a keyword, a link, or an event that opt_in names."},
	"asked_already":    {"Another run has asked since consent was requested last.", "Wait for the answer, or for a fresh request."},

	"marketing_not_topic": {"A journey without a topic may not send marketing.", "Give the journey a topic, or the template another category."},
	"us_marketing":        {"WhatsApp delivers no marketing to numbers of the United States.", "Nothing: a utility template may go."},
	"country":             {"The program sends no marketing to {country}: it names {countries}.", "Add {country} to marketing_countries."},
	"country_unknown":     {"The customer's country is unknown, so it is not one that marketing_countries names.", "Tell the customer's phone with an event."},

	"circuit_open":           {"WhatsApp has stopped the account: nothing is sent.", "Mend what WhatsApp says of the account, and close the circuit: punchcard circuit."},
	"marketing_circuit_open": {"WhatsApp has stopped the account's marketing.", "Wait until WhatsApp lets it go on, or close the circuit: punchcard circuit."},
	"template_pending":       {"WhatsApp has not approved the template yet.", "Wait for the approval: punchcard templates status."},
	"template_rejected":      {"WhatsApp has rejected the template.", "Change its text, and publish: punchcard templates status says why."},
	"template_paused":        {"WhatsApp has paused the template because of its quality.", "Wait until the pause is over, or change the text."},
	"template_disabled":      {"WhatsApp has disabled the template.", "Change its text, and publish."},
	"template_missing":       {"WhatsApp does not have the template.", "Submit it: punchcard templates push."},

	"handed_off":      {"A person has taken over the conversation.", "Close the handoff, or wait until its time is over."},
	"cap":             {"The customer has had enough: {cap}, and {counted} count.", "{until}, or raise the cap."},
	"quiet_hours":     {"It is night for the customer, {local}: quiet hours are {quiet}.", "{until}."},
	"marketing_cap":   {"WhatsApp delivers this customer no more marketing for now.", "{until}, or until they write."},
	"portfolio_limit": {"WhatsApp's customers of a day outside of their service window are used up.", "{until}, or have WhatsApp raise the limit."},
	"pair_rate":       {"So many messages within minutes may not go to one customer.", "{until}."},
	"rate":            {"The number sends as fast as it may.", "{until}."},
	"deadline":        {"It waited as long as its step lets it{waits}.", "Say a longer within, or remove what it waited for."},

	"parameter_empty":   {"A value to be filled in is empty.", "Tell it, or write a default into the text."},
	"expression_failed": {"An expression in the text failed.", "Mend the text: punchcard program check and the log say more."},
	"offer_over":        {"The limited-time offer had ended.", "Nothing: it is over."},
	"code_form":         {"A code that a tap copies is longer than 15 letters and digits, or has other characters.", "Give the reward codes that WhatsApp takes."},
	"overtaken":         {"The run went another way while the message waited.", ""},
	"run_ended":         {"The run ended while the message waited.", ""},
	"whatsapp":          {"WhatsApp could not be reached, or gave no clear answer.", "Nothing: it is tried again."},
	"whatsapp_131026":   {"WhatsApp could not deliver to the customer.", "Nothing: their number may have no WhatsApp, or an old one."},
	"whatsapp_131049":   {"WhatsApp delivers this customer no more marketing for now.", "{until}."},
	"whatsapp_131050":   {"The customer has told WhatsApp that they want no marketing from this business.", "Only the customer can begin again."},
	"whatsapp_131047":   {"More than 24 hours have passed since the customer last wrote.", "Use a template."},
}

// InWords is the rule behind a decision, and what would have to change.
func InWords(d punchcard.MessageDecision) (rule, change string) {
	words, ok := reasonWords[d.Reason]
	if !ok {
		words = [2]string{"WhatsApp refused it, or its template: " + d.Reason + ".", "docs/operations.md has what to do about each of WhatsApp's codes."}
	}
	f := d.Facts
	fill := strings.NewReplacer(
		"{undelivered}", fmt.Sprint(f.Undelivered), "{template}", d.Template, "{topic}", f.Topic, "{standing}", standingWords(f),
		"{consent}", consentWords(f), "{country}", f.Country, "{countries}", strings.Join(f.Countries, ", "), "{cap}", f.Cap,
		"{counted}", fmt.Sprint(f.Counted), "{local}", f.Local, "{quiet}", f.Quiet, "{until}", untilWords(d), "{last}", lastWords(f),
		"{waits}", waitsWords(f),
	)
	if d.Reason == "no_consent" && f.Topic == "" {
		words[0] = "The customer has granted no topic."
	}
	return fill.Replace(words[0]), fill.Replace(words[1])
}

func standingWords(f punchcard.DecisionFacts) string {
	if f.Standing == "" || f.Standing == punchcard.StandingNone {
		return "none, and unknown consent means no"
	}
	return string(f.Standing)
}

func consentWords(f punchcard.DecisionFacts) string {
	switch {
	case f.Topic == "":
		return "Have the customer ask to join and answer."
	case f.Standing == punchcard.StandingRevoked:
		return "Only the customer can begin again after a stop: with the keyword join."
	case f.Standing == punchcard.StandingRequested:
		return "Grant the topic " + f.Topic + ": the customer has been asked, and has yet to answer."
	default:
		return "Grant the topic " + f.Topic + ": have the customer ask to join and answer."
	}
}

func untilWords(d punchcard.MessageDecision) string {
	if d.Until == nil {
		return "Wait"
	}
	zone, err := time.LoadLocation(d.Facts.Zone)
	if err != nil || d.Facts.Zone == "" {
		zone = time.UTC
	}
	return "Wait until " + d.Until.In(zone).Format("Mon 2006-01-02 15:04") + " in " + zone.String()
}

func lastWords(f punchcard.DecisionFacts) string {
	if f.LastInbound == nil {
		return ", and they never have"
	}
	zone, err := time.LoadLocation(f.Zone)
	if err != nil {
		zone = time.UTC
	}
	return ", on " + f.LastInbound.In(zone).Format("Mon 2006-01-02 15:04")
}

func waitsWords(f punchcard.DecisionFacts) string {
	if f.Waits == "" {
		return ""
	}
	return ", for " + f.Waits
}
