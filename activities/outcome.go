package activities

import (
	"errors"
	"math/rand/v2"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// refused records what WhatsApp's answer makes of a message that it did not take.
func refused(p *fence.Pass, m *punchcard.Message, result rules.Result) error {
	seen := punchcard.DecisionFacts{Category: m.Category, Topic: m.Topic, Attempts: m.Attempts}
	switch {
	case m.Status == punchcard.MessageFailed:
		return decided(p, m, punchcard.VerdictFailed, m.Reason, time.Time{}, seen)
	case m.Status == punchcard.MessageSuppressed && result.Outcome == rules.OutcomeNotNow:
		return decided(p, m, punchcard.VerdictEnd, m.Reason, time.Time{}, seen)
	case m.Status == punchcard.MessageSuppressed:
		return decided(p, m, punchcard.VerdictSuppress, m.Reason, time.Time{}, seen)
	case m.Status == punchcard.MessageDeferred && m.RetryAt != nil:
		return decided(p, m, punchcard.VerdictDefer, m.Reason, *m.RetryAt, seen)
	case m.Status == punchcard.MessageDeferred:
		return decided(p, m, punchcard.VerdictHold, m.Reason, time.Time{}, seen)
	default:
		return nil
	}
}

// outcome writes WhatsApp's answer into the message, and says what it means to the run. A status webhook may have been faster.
func (a *Activities) outcome(p *fence.Pass, m *punchcard.Message, accepted whatsapp.Accepted, sendErr error) (rules.Result, error) {
	if sendErr == nil {
		if accepted.ID != "" && m.Wamid == nil {
			m.Wamid = &accepted.ID
		}
		if punchcard.MessageAccepted.Passes(m.Status) {
			m.Status, m.Reason = punchcard.MessageAccepted, ""
		}
		return done(rules.OutcomeSent), nil
	}
	if m.Status != punchcard.MessageSending {
		return done(rules.OutcomeSent), nil // a webhook has told us already what became of it
	}
	var e *whatsapp.Error
	var after time.Duration
	if errors.As(sendErr, &e) {
		after = e.RetryAfter
		if e.Code != whatsapp.CodeNone {
			m.ErrorCode = e.Code
		}
	}
	code := "whatsapp"
	if e != nil && e.Code != whatsapp.CodeNone {
		code = fence.WhatsAppCode(e.Code)
	}
	var err error
	switch class := whatsapp.ClassOf(sendErr); class {
	case whatsapp.Retry:
		pause := max(backoff(m.Attempts), after)
		if e != nil && e.Scope() == whatsapp.ScopePair {
			a.usedUp(p, pause)
			if err := p.Tx.SaveReach(p.Customer); err != nil {
				return rules.Result{}, err
			}
		}
		return a.again(p, m, code, pause), nil
	case whatsapp.Defer:
		if after <= 0 {
			after = time.Hour
		}
		if m.ErrorCode != fence.CodeMarketingCap {
			return a.again(p, m, code, after), nil
		}
		return a.notNow(p, m, code, max(after, fence.MarketingCapPause)), fence.CapMarketing(p.Tx, p.Customer.ID)
	case whatsapp.Ambiguous:
		m.Status, m.Reason = punchcard.MessageUnknown, code
		return because(done(rules.OutcomeSent), "unknown"), nil
	case whatsapp.Recipient, whatsapp.Unrelated:
		m.Status, m.Reason = punchcard.MessageFailed, code
		if m.ErrorCode == fence.CodeUndeliverable {
			err = p.Tx.CountUndelivered(p.Customer.ID)
		}
		return because(done(rules.OutcomeNotSent), code), err
	case whatsapp.OptOut:
		m.Status, m.Reason = punchcard.MessageFailed, code
		return because(done(rules.OutcomeNotSent), code), fence.RefuseMarketing(p.Tx, p.Policy.Program, p.Customer, m, p.Tx.Now)
	case whatsapp.Sender: // nothing is wrong with this message: it waits until the account may send again
		m.Status, m.Reason, m.HandedAt = punchcard.MessageDeferred, punchcard.ReasonCircuitOpen, nil
		p.Disarm()
		return rules.Result{Reply: rules.ReplyHeld, Code: punchcard.ReasonCircuitOpen}, p.Tx.OpenCircuit(punchcard.CircuitAll, code, nil)
	default: // Template, Bug: nothing is wrong with this customer; somebody mends it and asks again
		m.Status, m.Reason, m.HandedAt = punchcard.MessageDeferred, code, nil
		p.Disarm()
		if class == whatsapp.Template {
			return stuck(code), p.Tx.RaiseAlert(punchcard.AlertTemplate, m.Template, punchcard.SeverityWarning, code)
		}
		return stuck(code), p.Tx.RaiseAlert(punchcard.AlertRequest, code, punchcard.SeverityWarning, code)
	}
}

// again has a message that WhatsApp has not taken tried again after a pause, in real time: WhatsApp's times are the machine's. One
// whose deadline is over then is given up.
func (a *Activities) again(p *fence.Pass, m *punchcard.Message, code string, pause time.Duration) rules.Result {
	return a.waits(p, m, code, pause, Patience{Deadline: patience(p.Step, m.CreatedAt).Deadline})
}

// notNow does what the step says of a message that WhatsApp delivers this customer not now.
func (a *Activities) notNow(p *fence.Pass, m *punchcard.Message, code string, pause time.Duration) rules.Result {
	return a.waits(p, m, code, pause, patience(p.Step, m.CreatedAt))
}

func (a *Activities) waits(p *fence.Pass, m *punchcard.Message, code string, pause time.Duration, patience Patience) rules.Result {
	wait := a.Fence.Store.Clock().Business(pause)
	at := p.Tx.Now.Add(wait)
	v := patience.Of(Verdict{Defer, code, at}, p.Tx.Now)
	m.Reason, m.HandedAt = v.Reason, nil
	switch v.Decision {
	case Suppress:
		m.Status = punchcard.MessageSuppressed
		return because(done(rules.OutcomeNotSent), v.Reason)
	case End:
		m.Status = punchcard.MessageSuppressed
		return because(done(rules.OutcomeNotNow), v.Reason)
	default:
		m.Status, m.RetryAt = punchcard.MessageDeferred, &at
		p.Disarm()
		return rules.Result{Reply: rules.ReplyDeferred, Code: code, Wait: wait}
	}
}

// backoff is how long to wait, in real time, after a try that WhatsApp refused before processing it: five seconds, doubled for
// each try, at most five minutes, and up to a fifth more so that runs which failed together do not come back together.
func backoff(attempts int) time.Duration {
	pause := 5 * time.Second << min(max(attempts-1, 0), 6)
	pause = min(pause, 5*time.Minute)
	return pause + time.Duration(rand.Int64N(int64(pause)/5+1)) // spreading load needs no secrecy
}
