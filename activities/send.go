package activities

import (
	"context"
	"errors"
	"slices"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// Send sends a template. It answers sent (accepted by WhatsApp, or perhaps sent), not_sent (suppressed or failed), or that it
// is deferred: then the run waits, and asks again with a fresh look at the gate and at what is filled in.
func (a *Activities) Send(ctx context.Context, in Input) (rules.Result, error) {
	return a.message(ctx, in, template)
}

// Ask sends the question of an ask.
func (a *Activities) Ask(ctx context.Context, in Input) (rules.Result, error) {
	return a.message(ctx, in, template)
}

// Say sends free text, inside the service window.
func (a *Activities) Say(ctx context.Context, in Input) (rules.Result, error) {
	return a.message(ctx, in, freeText)
}

// message sends one message under the key (run, step), once:
//
//  1. Its turn is booked, and waited for until there is just the time left for what goes before the call.
//  2. In the fence's transaction the gate decides, and the record is committed as `sending`.
//  3. WhatsApp is called at its turn, outside of any transaction.
//  4. In a second transaction the answer is recorded, and the effect is done.
//
// A crash after 2 leaves `sending`: whoever is asked next finds it, calls it unknown, and does not send again. Status
// webhooks, which carry the record's id, settle it.
func (a *Activities) message(ctx context.Context, in Input, compose func(*fence.Pass) (*draft, error)) (rules.Result, error) {
	turn, err := a.turn(ctx, in)
	if err != nil {
		return a.settle(ctx, in, rules.Result{}, err)
	}
	out, result, err := a.begin(ctx, in, compose, turn)
	if err != nil || result.Reply != fence.ReplyBegun {
		return a.settle(ctx, in, result, err)
	}
	if turn != nil {
		if ok, err := turn.Call(ctx); !ok || err != nil {
			return a.unsent(ctx, in, out.id, turn.Wait)
		}
	}
	sender := a.Sender
	if out.marketing && a.Marketing != nil {
		sender = a.Marketing
	}
	accepted, sendErr := sender.Send(ctx, out.wire)
	a.tellPacer(ctx, sendErr)
	return a.finish(ctx, in, out.id, func(p *fence.Pass, m *punchcard.Message) (rules.Result, error) {
		if result, refused, err := refusedTemplate(p, m, sendErr); refused || err != nil {
			return result, err
		}
		if sendErr == nil {
			if err := introduce(p, out, accepted); err != nil {
				return rules.Result{}, err
			}
		}
		return a.outcome(p, m, accepted, sendErr)
	})
}

// begin commits what the gate decides. Where the database goes while it commits, nobody can say whether it did: but we know that
// WhatsApp has not been called, so it holds out like finish, and goes on with a record that turns out to be its own.
func (a *Activities) begin(
	ctx context.Context, in Input, compose func(*fence.Pass) (*draft, error), turn *Turn,
) (out outgoing, result rules.Result, err error) {
	for {
		result, err = a.Fence.Do(ctx, in.Run, in.Effect, guarded(func(p *fence.Pass) (r rules.Result, err error) {
			r, out, err = a.prepare(p, compose, turn, out)
			return r, err
		}))
		if out.id == "" || !holdsOut(ctx, err) {
			return out, result, err
		}
	}
}

// holdsOut tells whether an outage is worth to be tried again here and now, after a pause.
func holdsOut(ctx context.Context, err error) bool {
	if !store.IsOutage(err) || errors.Is(err, store.ErrKilled) || ctx.Err() != nil {
		return false
	}
	select {
	case <-ctx.Done():
	case <-time.After(holdPause):
	}
	return true
}

// holdPause is how long, in real time, before the database is tried again.
const holdPause = 200 * time.Millisecond

// introduce keeps what WhatsApp's answer calls the customer, where that is not how we called them. Nearly always it is, and this
// reads and writes nothing.
func introduce(p *fence.Pass, out outgoing, accepted whatsapp.Accepted) error {
	known := func(kind punchcard.IdentityKind, value string) bool {
		return slices.ContainsFunc(out.names, func(n punchcard.Identity) bool { return n.Kind == kind && n.Value == value })
	}
	var n store.Names
	if phone, _, err := punchcard.ParsePhone(accepted.Phone); err == nil && !known(punchcard.IdentityPhone, phone) {
		n.Phone = phone
	}
	if !known(punchcard.IdentityUserID, accepted.UserID) {
		n.UserID = accepted.UserID
	}
	if n == (store.Names{}) {
		return nil
	}
	return p.Tx.Introduce(p.Customer.ID, out.wire.To, n)
}

// turn books the message's turn and waits for it, but for what goes before the call. It is nil where nobody paces.
func (a *Activities) turn(ctx context.Context, in Input) (*Turn, error) {
	if a.Pacer == nil {
		return nil, nil
	}
	program, step, err := a.Fence.Step(ctx, in.Run, in.Node)
	if err != nil || step == nil {
		return nil, err
	}
	t := program.Templates[step.Template]
	turn, err := a.Pacer.Turn(ctx, t != nil && t.Category == categoryMarketing)
	if err != nil || turn.Wait > 0 {
		return turn, err
	}
	return turn, turn.Prepare(ctx)
}

// unsent records that a message which was committed as `sending` was not sent after all: it lost its turn before the call.
func (a *Activities) unsent(ctx context.Context, in Input, id string, wait time.Duration) (rules.Result, error) {
	// That nothing was sent is known for certain only here, so it is written down even where the time is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unsentTimeout)
	defer cancel()
	return a.finish(ctx, in, id, func(p *fence.Pass, m *punchcard.Message) (rules.Result, error) {
		m.Attempts--
		return a.again(p, m, ReasonRate, max(wait, time.Second)), nil
	})
}

// unsentTimeout bounds, in real time, how long it is tried to write down that a message was not sent.
const unsentTimeout = 3 * time.Second

// tellPacer tells that WhatsApp said too many, so that others slow down as well.
func (a *Activities) tellPacer(ctx context.Context, sendErr error) {
	e, ok := errors.AsType[*whatsapp.Error](sendErr)
	if !ok || a.Pacer == nil || e.Scope() != whatsapp.ScopeNumber && e.Scope() != whatsapp.ScopeAccount {
		return
	}
	if err := a.Pacer.Refused(ctx, e); err != nil {
		a.Log.WarnContext(ctx, "the rate could not be slowed", "error", err)
	}
}

// outgoing is a message that is committed as `sending`.
type outgoing struct {
	id        string // "": there is none yet
	handedAt  time.Time
	wire      whatsapp.Message
	names     []punchcard.Identity // that the customer has
	marketing bool
}

// prepare lets the gate decide, and puts the message into words. before is what an earlier call of this very activity has prepared,
// and does not know to be committed.
func (a *Activities) prepare(
	p *fence.Pass, compose func(*fence.Pass) (*draft, error), turn *Turn, before outgoing,
) (rules.Result, outgoing, error) {
	m, err := p.Tx.MessageOfEffect(p.Run.ID, p.Effect.Step)
	if err != nil {
		return rules.Result{}, outgoing{}, err
	}
	if m != nil && m.Status == punchcard.MessageSending && m.ID == before.id && m.HandedAt.Equal(before.handedAt) {
		p.MessageID = m.ID
		return rules.Result{Reply: fence.ReplyBegun}, before, nil
	}
	if m != nil && m.Status != punchcard.MessageDeferred {
		r, err := a.found(p, m)
		return r, outgoing{}, err
	}
	if err := p.Tx.SuppressDeferred(p.Run.ID, p.Effect.Step, ReasonOvertaken); err != nil {
		return rules.Result{}, outgoing{}, err
	}
	d, err := compose(p)
	if err != nil {
		return rules.Result{}, outgoing{}, err
	}
	fresh := m == nil
	if fresh {
		m = &punchcard.Message{ID: punchcard.NewID(punchcard.PrefixMessage)}
	}
	record := d.record
	record.ID, record.CreatedAt, record.Attempts = m.ID, m.CreatedAt, m.Attempts
	record.CustomerID, record.RunID, record.Step, record.Direction = p.Customer.ID, p.Run.ID, p.Effect.Step, punchcard.Outbound
	record.Topic = p.Journey.Topic

	facts, to, err := gateFacts(p, d)
	if err != nil {
		return rules.Result{}, outgoing{}, err
	}
	reach, err := a.reach(p, &facts, turn)
	if err != nil {
		return rules.Result{}, outgoing{}, err
	}
	result := rules.Result{Reply: fence.ReplyBegun}
	out := outgoing{id: record.ID, marketing: record.Category == categoryMarketing}
	first := m.CreatedAt
	if fresh {
		first = p.Tx.Now
	}
	wait := patience(p.Step, first)
	asked := Gate(facts)
	v := wait.Of(asked, p.Tx.Now)
	switch v.Decision {
	case End:
		record.Status, record.Reason = punchcard.MessageSuppressed, v.Reason
		result = because(done(rules.OutcomeNotNow), v.Reason)
	case Suppress:
		record.Status, record.Reason = punchcard.MessageSuppressed, v.Reason
		result = because(done(rules.OutcomeNotSent), v.Reason)
	case Hold:
		record.Status, record.Reason = punchcard.MessageDeferred, v.Reason
		result = rules.Result{Reply: rules.ReplyHeld, Code: v.Reason}
	case Defer:
		record.Status, record.Reason, record.RetryAt = punchcard.MessageDeferred, v.Reason, &v.Until
		result = rules.Result{Reply: rules.ReplyDeferred, Code: v.Reason, Wait: v.Until.Sub(p.Tx.Now)}
	case Send:
		words, err := d.fill()
		var no *notSent
		switch {
		case errors.As(err, &no):
			record.Status, record.Reason = punchcard.MessageSuppressed, no.reason
			result = because(done(rules.OutcomeNotSent), no.reason)
			v = Verdict{Suppress, no.reason, time.Time{}}
		case err != nil:
			return rules.Result{}, outgoing{}, err
		default:
			record.Text, record.Language, record.Version = d.record.Text, d.record.Language, d.record.Version
			record.Status, record.Reason, record.RetryAt, record.HandedAt = punchcard.MessageSending, "", nil, &p.Tx.Now
			record.Attempts++
			p.MessageID = record.ID
			out.handedAt, out.wire = p.Tx.Now.Truncate(time.Microsecond), words // as the database keeps it
			out.names = to.names
			out.wire.To, out.wire.UserID, out.wire.CallbackData = to.phone, to.userID, record.ID
		}
	}
	if fresh {
		_, err = p.Tx.AddMessage(&record)
	} else {
		err = p.Tx.SaveMessage(&record)
	}
	if err == nil && record.Status == punchcard.MessageSending {
		err = reach.use(p)
	}
	if err == nil && (fresh || m.Status != record.Status || m.Reason != record.Reason) {
		seen := facts.seen(v.Reason)
		if v.Reason == ReasonDeadline {
			seen = facts.seen(asked.Reason)
			seen.Deadline, seen.Waits = &wait.Deadline, asked.Reason
		}
		err = decided(p, &record, punchcard.Verdict(v.Decision), v.Reason, v.Until, seen)
	}
	return result, out, err
}

// found answers for a message that an earlier try of this effect has left. None of these is sent again.
func (a *Activities) found(p *fence.Pass, m *punchcard.Message) (rules.Result, error) {
	p.MessageID = m.ID
	switch m.Status {
	case punchcard.MessageSending:
		m.Status, m.Reason = punchcard.MessageUnknown, "interrupted"
		return because(done(rules.OutcomeSent), "unknown"), p.Tx.SaveMessage(m)
	case punchcard.MessageSuppressed, punchcard.MessageFailed:
		return because(done(rules.OutcomeNotSent), m.Reason), nil
	default:
		return done(rules.OutcomeSent), nil
	}
}

// finish records what became of the call. It holds out through a short outage of the database, since it alone knows.
func (a *Activities) finish(ctx context.Context, in Input, id string, became func(*fence.Pass, *punchcard.Message) (rules.Result, error)) (rules.Result, error) {
	for {
		result, err := a.Fence.Finish(ctx, in.Run, in.Effect, func(p *fence.Pass) (rules.Result, error) {
			p.MessageID = id
			m, err := p.Tx.Message(id)
			if err != nil {
				return rules.Result{}, err
			}
			result, err := became(p, m)
			if err != nil {
				return rules.Result{}, err
			}
			if p.Run.Status == punchcard.RunEnded && m.Status == punchcard.MessageDeferred {
				m.Status, m.Reason, m.RetryAt = punchcard.MessageSuppressed, ReasonRunEnded, nil
			}
			if m.Status == punchcard.MessageFailed {
				p.Tx.TellFailed(m)
			}
			if err := p.Tx.SaveMessage(m); err != nil {
				return rules.Result{}, err
			}
			return result, refused(p, m, result)
		})
		if !holdsOut(ctx, err) {
			return a.settle(ctx, in, result, err)
		}
	}
}
