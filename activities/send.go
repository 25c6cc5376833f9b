package activities

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
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
	for name, ref := range p.Run.Bound {
		if ref.Kind != punchcard.RefGrant {
			continue
		}
		for _, param := range p.Step.With {
			if as(param.Name) && param.Value.Reads(name) {
				return ref.ID
			}
		}
	}
	return ""
}

// freeText drafts a step's own words. A built-in reply can offer a list to choose from.
func freeText(p *fence.Pass) (*draft, error) {
	d := &draft{record: punchcard.Message{Kind: "text"}}
	d.fill = func() (whatsapp.Message, error) {
		env, err := p.Env()
		if err != nil {
			return whatsapp.Message{}, err
		}
		text, err := p.Step.Say.Render(p.Customer.Language, env)
		if err != nil {
			return whatsapp.Message{}, unworded(err)
		}
		d.record.Language = p.Customer.Language
		d.record.Text = env.Shown(func(env *rules.Env) (string, error) { return p.Step.Say.Render(p.Customer.Language, env) })
		if menu := fence.MenuOf(p.Run.Entry); menu != nil {
			return wireMenu(text, menu), nil
		}
		return sayWire(p.Step, text, p.Customer.Language, env, p.Run.Bound)
	}
	return d, nil
}

// wireMenu is a menu as a list, or, where no button opens it, as buttons.
func wireMenu(text string, menu *fence.Menu) whatsapp.Message {
	if menu.Button == "" {
		b := &whatsapp.Buttons{Body: text}
		for _, r := range menu.Rows {
			b.Buttons = append(b.Buttons, whatsapp.Button{ID: r.ID, Title: r.Title})
		}
		return whatsapp.Message{Buttons: b}
	}
	l := &whatsapp.List{Body: text, Button: menu.Button, Sections: []whatsapp.Section{{}}}
	for _, r := range menu.Rows {
		l.Sections[0].Rows = append(l.Sections[0].Rows, whatsapp.Row{ID: r.ID, Title: r.Title, Description: r.Description})
	}
	return whatsapp.Message{List: l}
}
