package activities

import (
	"errors"
	"maps"
	"slices"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// draft is a message to be: its record, what the gate wants to know of it, and how to fill it in.
type draft struct {
	record      punchcard.Message
	asksConsent bool
	stopped     bool
	held        string // why the message waits for its template; "": it may go
	// fill writes the words into the record and answers what goes over the wire. The error is a *notSent where a rule says no.
	fill func() (whatsapp.Message, error)
}

// notSent is why a message that passed the gate cannot be put into words.
type notSent struct{ reason string }

func (e *notSent) Error() string { return "not sent: " + e.reason }

// unworded is why a text could not be filled in: a rule's no, which a run goes on from.
func unworded(err error) error {
	if cause := fence.Cause(err); cause != nil {
		return cause
	}
	if errors.Is(err, rules.ErrEmpty) {
		return &notSent{ReasonParameterEmpty}
	}
	if errors.Is(err, rules.ErrCodeForm) {
		return &notSent{ReasonCodeForm}
	}
	if errors.Is(err, rules.ErrOfferOver) {
		return &notSent{ReasonOfferOver}
	}
	return &notSent{ReasonExpression}
}

// carried is the grant whose values the step hands to its template, "" for none.
func carried(p *fence.Pass) string { return handed(p, func(string) bool { return true }) }

// handed is the grant whose values the step hands to its template as one of some parameters, "" for none.
func handed(p *fence.Pass, as func(param string) bool) string {
	for _, param := range p.Step.With {
		if !as(param.Name) {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(p.Run.Bound)) {
			if ref := p.Run.Bound[name]; ref.Kind == punchcard.RefGrant && param.Value.Reads(name) {
				return ref.ID
			}
		}
	}
	return ""
}
