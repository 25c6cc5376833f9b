package dispatch

import (
	"context"
	"strconv"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// byWhatsApp is who closes what WhatsApp itself takes back, and byTime who closes what had an end.
const (
	byWhatsApp = "whatsapp"
	byTime     = "time"
)

// What WhatsApp writes of an account. Lists of values are Meta's and open. Source: Meta's reference of account_update,
// account_alerts, phone_number_quality_update and business_capability_update.
const (
	eventRestriction = "ACCOUNT_RESTRICTION"
	eventDisabled    = "DISABLED_UPDATE"
	eventDeleted     = "ACCOUNT_DELETED"
	eventOffboarded  = "ACCOUNT_OFFBOARDED"
	eventReconnected = "ACCOUNT_RECONNECTED"
	eventViolation   = "ACCOUNT_VIOLATION"

	banScheduled = "SCHEDULE_FOR_DISABLE"
	banDone      = "DISABLE"
	banReinstate = "REINSTATE"

	qualityRed    = "RED"
	qualityYellow = "YELLOW"

	severityCritical = "CRITICAL"
	severityInformed = "INFORMATIONAL"
)

// takeAccount takes over what WhatsApp says of the account: what stops it opens its circuit, what reinstates it closes that, and a
// limit is kept from then on. What stops nothing but is bad news is an alert.
//
// WhatsApp tells late and in any order: what is older than what was told of the same kind before changes nothing, and is logged. Its times are
// to the second. Of two things that were told in one second the one counts that sends less.
func (d *Dispatcher) takeAccount(ctx context.Context, u *whatsapp.AccountUpdate) error {
	var says accountUpdate
	err := d.store.Update(ctx, func(tx *store.Tx) error {
		says = accountUpdate{tx: tx, u: u, at: toldAt(u.At)}
		return says.take()
	})
	if err != nil {
		return err
	}
	for _, kind := range says.late {
		d.log.InfoContext(ctx, "what WhatsApp says of the account is older than what it has said, and changes nothing",
			"kind", kind, "field", u.Field, "event", word(u.Event), "told", says.at)
	}
	if len(says.closed) == 0 {
		return nil
	}
	_, err = d.release(ctx, says.closed...)
	return err
}

// accountUpdate is a webhook about the account on its way, in one transaction.
type accountUpdate struct {
	tx *store.Tx
	u  *whatsapp.AccountUpdate
	at *time.Time // when it was told; nil: it does not say, so that it counts as the latest

	late   []string // what of it was too late
	closed []string // the reasons for which runs are held no more
}

// toldAt is when WhatsApp told something, nil when it does not say. Nothing is told later than now.
func toldAt(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	if now := time.Now().UTC().Truncate(time.Second); at.After(now) {
		at = now
	}
	at = at.UTC()
	return &at
}

// before tells whether what is being told is older than another time.
func (s *accountUpdate) before(other *time.Time) bool {
	return s.at != nil && other != nil && s.at.Before(*other)
}

// tied tells whether it was told in the same second.
func (s *accountUpdate) tied(other *time.Time) bool {
	return s.at != nil && other != nil && s.at.Equal(*other)
}

// tell notes when it was told, if that is later than what is noted.
func (s *accountUpdate) tell(at **time.Time) {
	if s.at != nil && (*at == nil || (*at).Before(*s.at)) {
		*at = s.at
	}
}

func (s *accountUpdate) take() error {
	for _, p := range s.u.Problems {
		if class, _ := whatsapp.Classify(p.Code); class == whatsapp.Sender {
			if err := s.tx.OpenCircuit(punchcard.CircuitAll, fence.WhatsAppCode(p.Code), nil); err != nil {
				return err
			}
		}
	}
	if err := s.keep(); err != nil {
		return err
	}
	u, detail := s.u, word(s.u.Event)
	switch {
	case u.BanState == banReinstate || u.Event == eventReconnected || u.Event == eventRestriction && len(u.Restrictions) == 0:
		return s.lift()
	case u.Event == eventRestriction:
		return s.stops(s.restricted)
	case u.BanState == banDone, u.Event == eventDisabled && u.BanState == "", u.Event == eventDeleted, u.Event == eventOffboarded:
		return s.stops(func(a *punchcard.Account) error { return s.open(a, punchcard.CircuitAll, detail, nil) })
	case u.BanState == banScheduled, u.Event == eventViolation:
		return s.tx.RaiseAlert(punchcard.AlertAccount, detail, punchcard.SeverityCritical, detail)
	case u.Severity == severityCritical:
		return s.tx.RaiseAlert(punchcard.AlertAccount, detail, punchcard.SeverityCritical, detail)
	case u.Severity != "" && u.Severity != severityInformed:
		return s.tx.RaiseAlert(punchcard.AlertAccount, detail, punchcard.SeverityWarning, detail)
	default:
		return nil
	}
}

// stops does what stops the account, unless WhatsApp has taken it back since. In one second with that it stops: a person is told, and can
// close what was open for nothing.
func (s *accountUpdate) stops(do func(a *punchcard.Account) error) error {
	a, err := s.tx.LockWhatsAppAccount()
	if err != nil {
		return err
	}
	if s.before(a.LiftedToldAt) {
		s.late = append(s.late, "stop")
		return nil
	}
	return do(a)
}

// open opens the circuit of a scope. What has it open already, and was told later, keeps its reason.
func (s *accountUpdate) open(a *punchcard.Account, scope punchcard.CircuitScope, code string, until *time.Time) error {
	present, _, already := a.Opened(scope)
	sameEnd := already == nil && until == nil || already != nil && until != nil && already.Equal(*until)
	if present != "" && sameEnd && s.before(*a.Told(scope)) {
		s.late = append(s.late, "stop")
		return nil
	}
	s.tell(a.Told(scope))
	if err := s.tx.SaveWhatsAppAccount(a); err != nil {
		return err
	}
	if err := s.tx.OpenCircuit(scope, code, until); err != nil {
		return err
	}
	opened, err := s.tx.LockWhatsAppAccount()
	if err == nil {
		*a = *opened
	}
	return err
}

// lift closes what is open, but not what WhatsApp has told since, or in that second. The same one twice closes nothing that was opened between.
func (s *accountUpdate) lift() error {
	a, err := s.tx.LockWhatsAppAccount()
	if err != nil {
		return err
	}
	if s.before(a.LiftedToldAt) || s.tied(a.LiftedToldAt) {
		s.late = append(s.late, "lift")
		return nil
	}
	s.tell(&a.LiftedToldAt)
	if err := s.tx.SaveWhatsAppAccount(a); err != nil {
		return err
	}
	for _, scope := range []punchcard.CircuitScope{punchcard.CircuitAll, punchcard.CircuitMarketing} {
		if told := *a.Told(scope); s.before(told) || s.tied(told) {
			s.late = append(s.late, "lift "+string(scope))
			continue
		}
		if _, err := s.tx.CloseCircuit(scope, byWhatsApp); err != nil {
			return err
		}
		s.closed = append(s.closed, circuits[scope])
	}
	return nil
}

// keep writes a limit and the quality of the number down.
func (s *accountUpdate) keep() error {
	limit, limited := dailyLimit(s.u.Limit)
	if !limited && s.u.Quality == "" {
		return nil
	}
	a, err := s.tx.LockWhatsAppAccount()
	if err != nil {
		return err
	}
	if limited && (s.before(a.LimitToldAt) || s.tied(a.LimitToldAt) && a.DailyLimit != nil && larger(limit, *a.DailyLimit)) {
		s.late, limited = append(s.late, "limit"), false
	}
	if limited {
		a.DailyLimit = &limit
		s.tell(&a.LimitToldAt)
	}
	quality := strings.ToUpper(s.u.Quality)
	if quality != "" && (s.before(a.QualityToldAt) || s.tied(a.QualityToldAt) && badness[quality] < badness[a.Quality]) {
		s.late, quality = append(s.late, "quality"), ""
	}
	if quality != "" {
		a.Quality = strings.ToUpper(word(quality))
		s.tell(&a.QualityToldAt)
	}
	if err := s.tx.SaveWhatsAppAccount(a); err != nil {
		return err
	}
	switch quality {
	case qualityRed:
		return s.tx.RaiseAlert(punchcard.AlertQuality, "", punchcard.SeverityCritical, "red")
	case qualityYellow:
		return s.tx.RaiseAlert(punchcard.AlertQuality, "", punchcard.SeverityWarning, "yellow")
	case "":
		return nil
	default:
		return s.tx.SettleAlert(punchcard.AlertQuality, "", byWhatsApp)
	}
}

// badness orders the qualities of a number; what is none of these is good.
var badness = map[string]int{qualityYellow: 1, qualityRed: 2}

// larger tells whether a limit lets more pass than another; 0 is any number.
func larger(limit, than int64) bool { return than != 0 && (limit == 0 || limit > than) }

// dailyLimit reads a messaging limit: TIER_250, TIER_2K, TIER_UNLIMITED, or the number itself. 0 is any number.
func dailyLimit(s string) (int64, bool) {
	text := strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(s)), "TIER_")
	if text == "UNLIMITED" || text == "-1" {
		return 0, true
	}
	times := int64(1)
	if rest, ok := strings.CutSuffix(text, "K"); ok {
		text, times = rest, 1000
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > maxDailyLimit {
		return 0, false // TIER_NOT_SET, or a word of tomorrow's
	}
	return n * times, true
}

// maxDailyLimit bounds what is believed of a limit; WhatsApp's largest that is a number is 100,000.
const maxDailyLimit = 1_000_000_000

// What WhatsApp restricts. One that is none of these restricts no message. Source: Meta's page on policy enforcement; marketing alone has no
// type there yet, and is known by its name.
const (
	restrictsTemplates = "RESTRICTED_BIZ_INITIATED_MESSAGING"
	restrictsAnswers   = "RESTRICTED_CUSTOMER_INITIATED_MESSAGING"
	restrictsMarketing = "MARKETING"
)

// restricted opens what an ACCOUNT_RESTRICTION names.
func (s *accountUpdate) restricted(a *punchcard.Account) (err error) {
	answers := false
	for _, r := range s.u.Restrictions {
		answers = answers || r.Type == restrictsAnswers
	}
	for _, r := range s.u.Restrictions {
		until, over := ends(s.tx, r.Until)
		code := word(r.Type)
		if answers && r.Type == restrictsTemplates {
			code = word(restrictsAnswers) // the one lets answers pass, and the other does not
		}
		switch {
		case over:
		case strings.Contains(r.Type, restrictsMarketing):
			err = s.open(a, punchcard.CircuitMarketing, code, until)
		case r.Type == restrictsTemplates || r.Type == restrictsAnswers:
			err = s.open(a, punchcard.CircuitAll, code, until)
		default: // RESTRICTED_ADD_PHONE_NUMBER_ACTION and its like: a person is to know, and messages go on
			err = s.tx.RaiseAlert(punchcard.AlertAccount, code, punchcard.SeverityWarning, code)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ends is when a restriction is over by the business's clock, nil for one without an end. WhatsApp's times are the machine's.
func ends(tx *store.Tx, until time.Time) (end *time.Time, over bool) {
	if until.IsZero() {
		return nil, false
	}
	left := time.Until(until)
	if left <= 0 {
		return nil, true
	}
	at := tx.Business(left)
	return &at, false
}

// word makes a word of WhatsApp's fit for a code: it is short, and has nothing but letters, digits and underscores.
func word(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, s)
	if clean == "" {
		return "unnamed"
	}
	return strings.ToLower(clean[:min(len(clean), maxWord)])
}

// maxWord is how much of a word of WhatsApp's is kept, in bytes.
const maxWord = 80

// circuits are an account's, with the reason for which each holds runs.
var circuits = map[punchcard.CircuitScope]string{
	punchcard.CircuitAll: punchcard.ReasonCircuitOpen, punchcard.CircuitMarketing: punchcard.ReasonMarketingOpen,
}

// CloseCircuit lets sends of a scope go on that were held, and has the runs that it held ask again. It answers how many went on. The
// errors are CodeInvalid for another scope and for a name that says nothing, and CodeConflict when the circuit is not open.
func (d *Dispatcher) CloseCircuit(ctx context.Context, scope punchcard.CircuitScope, by string) (resumed int, err error) {
	reason, known := circuits[scope]
	if !known {
		return 0, punchcard.Errorf(punchcard.CodeInvalid, "the circuits are all and marketing").In("scope")
	}
	if err := checkBy(by); err != nil {
		return 0, err
	}
	closed := false
	err = d.store.Update(ctx, func(tx *store.Tx) (err error) {
		closed, err = tx.CloseCircuit(scope, by)
		return err
	})
	if err != nil {
		return 0, err
	}
	if !closed {
		return 0, punchcard.Errorf(punchcard.CodeConflict, "the circuit is not open").Because("not_open")
	}
	return d.release(ctx, reason)
}

// release has the runs ask again that circuits hold, by the reasons for which they do.
func (d *Dispatcher) release(ctx context.Context, reasons ...string) (resumed int, err error) {
	after := ""
	for {
		held, err := d.store.View(ctx).HeldFor(reasons, after, batch)
		if err != nil || len(held) == 0 {
			return resumed, err
		}
		for _, id := range held {
			after = id
			ok, err := d.wakeFrom(ctx, id, punchcard.RunHeld, rules.SignalResume)
			if err != nil {
				return resumed, err
			}
			if ok {
				resumed++
			}
		}
	}
}

// watchCircuits closes circuits whose time is over, and releases what closed ones still hold: a run that was held while one closed,
// or that a dispatcher which died had not come to.
func (d *Dispatcher) watchCircuits(ctx context.Context) error {
	a, err := d.store.View(ctx).WhatsAppAccount()
	if err != nil {
		return err
	}
	var closed []string
	for scope, holds := range circuits {
		reason, _, until := a.Opened(scope)
		switch {
		case reason == "":
			closed = append(closed, holds)
		case until != nil && !until.After(d.store.Clock().Now()):
			// Another dispatcher may have been faster.
			if _, err := d.CloseCircuit(ctx, scope, byTime); err != nil && punchcard.CodeOf(err) != punchcard.CodeConflict {
				return err
			}
		}
	}
	_, err = d.release(ctx, closed...)
	return err
}
