package activities

import (
	"context"
	"errors"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// The codes of consent.
const (
	codeNoEvidence   = "no_evidence"   // nothing that the customer said stands behind the grant
	codeStoppedSince = "stopped_since" // the customer said stop after the answer that is cited
)

// Consent appends to the consent log what the customer answered, and cites it: the wording that they were shown, our message,
// and their reply. A grant loses to any later stop, whichever is recorded first.
func (a *Activities) Consent(ctx context.Context, in Input) (rules.Result, error) {
	return a.local(ctx, in, func(p *fence.Pass) (rules.Result, error) {
		entry := punchcard.ConsentEntry{
			CustomerID: p.Customer.ID, Standing: punchcard.Standing(p.Step.Consent), Source: "reply", Channel: punchcard.ChannelRule, RunID: p.Run.ID,
			EventID: p.Run.EventID,
		}
		question, answer, err := evidence(p)
		if err != nil {
			return rules.Result{}, err
		}
		if answer == nil && entry.Standing == punchcard.StandingGranted {
			return stuck(codeNoEvidence), nil
		}
		if question != nil {
			entry.Wording, entry.WordingLanguage, entry.WordingVersion = question.Text, question.Language, question.Version
			entry.MessageID = question.ID
		}
		if answer != nil {
			entry.Channel, entry.OccurredAt = punchcard.ChannelWhatsApp, answered(question, answer)
			if answer.Wamid != nil {
				entry.ReplyID = *answer.Wamid
			}
		}
		standings, err := p.Tx.Standings(p.Customer.ID)
		if err != nil {
			return rules.Result{}, err
		}
		code := ""
		for _, topic := range p.Step.Topics {
			if standings[topic].Standing == entry.Standing {
				continue // nothing changes, and the log is for changes
			}
			line := entry
			line.Topic = topic
			err := p.Tx.AddConsent(&line)
			if errors.Is(err, store.ErrStoppedSince) {
				code = codeStoppedSince
				continue
			}
			if err != nil {
				return rules.Result{}, err
			}
		}
		return because(done(rules.OutcomeNext), code), nil
	})
}

// answered is when the customer gave an answer, which is not before they were asked: WhatsApp's clock and ours differ a little.
func answered(question, answer *punchcard.Message) time.Time {
	at := answer.CreatedAt
	if answer.SaidAt != nil {
		at = *answer.SaidAt
	}
	if question != nil && question.HandedAt != nil && at.Before(*question.HandedAt) {
		return *question.HandedAt
	}
	return at
}

// evidence reads our message that asked last and the customer's that answered it; either may be nil.
func evidence(p *fence.Pass) (question, answer *punchcard.Message, err error) {
	if ref, ok := p.Run.Bound[punchcard.BoundQuestion]; ok {
		if question, err = p.Tx.Message(ref.ID); err != nil {
			return nil, nil, err
		}
	}
	if ref, ok := p.Run.Bound[punchcard.BoundAnswer]; ok {
		if answer, err = p.Tx.Message(ref.ID); err != nil {
			return nil, nil, err
		}
	}
	return question, answer, nil
}
