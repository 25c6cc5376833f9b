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
func (d *Dispatcher) takeAccount(ctx context.Context, u *whatsapp.AccountUpdate) error {
	reinstated := false
	err := d.store.Update(ctx, func(tx *store.Tx) (err error) {
		reinstated, err = accountSays(tx, u)
		return err
	})
	if err == nil && reinstated {
		for _, scope := range []punchcard.CircuitScope{punchcard.CircuitAll, punchcard.CircuitMarketing} {
			if _, err = d.CloseCircuit(ctx, scope, byWhatsApp); err != nil {
				return err
			}
		}
	}
	return err
}

func accountSays(tx *store.Tx, u *whatsapp.AccountUpdate) (reinstated bool, err error) {
	for _, p := range u.Problems {
		if class, _ := whatsapp.Classify(p.Code); class == whatsapp.Sender {
			if err := tx.OpenCircuit(punchcard.CircuitAll, fence.WhatsAppCode(p.Code), nil); err != nil {
				return false, err
			}
		}
	}
	if err := accountKeeps(tx, u); err != nil {
		return false, err
	}
	detail := word(u.Event)
	switch {
	case u.BanState == banReinstate || u.Event == eventReconnected:
		return true, nil
	case u.Event == eventRestriction:
		return restricted(tx, u)
	case u.BanState == banDone, u.Event == eventDisabled && u.BanState == "", u.Event == eventDeleted, u.Event == eventOffboarded:
		return false, tx.OpenCircuit(punchcard.CircuitAll, detail, nil)
	case u.BanState == banScheduled, u.Event == eventViolation:
		return false, tx.RaiseAlert(punchcard.AlertAccount, detail, punchcard.SeverityCritical, detail)
	case u.Severity == severityCritical:
		return false, tx.RaiseAlert(punchcard.AlertAccount, detail, punchcard.SeverityCritical, detail)
	case u.Severity != "" && u.Severity != severityInformed:
		return false, tx.RaiseAlert(punchcard.AlertAccount, detail, punchcard.SeverityWarning, detail)
	default:
		return false, nil
	}
}

// accountKeeps writes a limit and the quality of the number down.
func accountKeeps(tx *store.Tx, u *whatsapp.AccountUpdate) error {
	limit, known := dailyLimit(u.Limit)
	if !known && u.Quality == "" {
		return nil
	}
	a, err := tx.LockWhatsAppAccount()
	if err != nil {
		return err
	}
	if known {
		a.DailyLimit = &limit
	}
	if u.Quality != "" {
		a.Quality = strings.ToUpper(word(u.Quality))
	}
	if err := tx.SaveWhatsAppAccount(a); err != nil {
		return err
	}
	switch strings.ToUpper(u.Quality) {
	case qualityRed:
		return tx.RaiseAlert(punchcard.AlertQuality, "", punchcard.SeverityCritical, "red")
	case qualityYellow:
		return tx.RaiseAlert(punchcard.AlertQuality, "", punchcard.SeverityWarning, "yellow")
	case "":
		return nil
	default:
		return tx.SettleAlert(punchcard.AlertQuality, "", byWhatsApp)
	}
}

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

// restricted opens what an ACCOUNT_RESTRICTION names. One that names nothing takes the earlier ones back.
func restricted(tx *store.Tx, u *whatsapp.AccountUpdate) (lifted bool, err error) {
	answers := false
	for _, r := range u.Restrictions {
		answers = answers || r.Type == restrictsAnswers
	}
	for _, r := range u.Restrictions {
		until, over := ends(tx, r.Until)
		code := word(r.Type)
		if answers && r.Type == restrictsTemplates {
			code = word(restrictsAnswers) // the one lets answers pass, and the other does not
		}
		switch {
		case over:
		case strings.Contains(r.Type, restrictsMarketing):
			err = tx.OpenCircuit(punchcard.CircuitMarketing, code, until)
		case r.Type == restrictsTemplates || r.Type == restrictsAnswers:
			err = tx.OpenCircuit(punchcard.CircuitAll, code, until)
		default: // RESTRICTED_ADD_PHONE_NUMBER_ACTION and its like: a person is to know, and messages go on
			err = tx.RaiseAlert(punchcard.AlertAccount, code, punchcard.SeverityWarning, code)
		}
		if err != nil {
			return false, err
		}
	}
	return len(u.Restrictions) == 0, nil
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
	if !closed && by != byWhatsApp {
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
