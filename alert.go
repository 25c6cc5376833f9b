package punchcard

import "time"

// Alert is something that a person is to look at. One is open for each kind and subject: raised again, it counts.
type Alert struct {
	ID       string `gorm:"primaryKey"`
	Kind     AlertKind
	Subject  string // what it is about: a template's name, an account; "" where the kind says all
	Severity Severity
	Detail   string // the latest code; it holds nothing of a customer
	Count    int64  // how often it was raised while open
	OpenedAt time.Time
	RaisedAt time.Time // the latest time
	ClosedAt *time.Time
	ClosedBy string
}

// AlertKind says what an alert is about. docs/operations.md says of each what to do.
type AlertKind string

// The alerts that sending raises.
const (
	AlertCircuit        AlertKind = "circuit_open"     // WhatsApp stopped the account: nothing is sent. The subject is CircuitAll or CircuitMarketing
	AlertTemplate       AlertKind = "template_refused" // WhatsApp refuses a template; the subject is its name
	AlertRequest        AlertKind = "request_refused"  // WhatsApp refuses what we ask as wrong; the subject is its code
	AlertUnknownSends   AlertKind = "unknown_sends"    // no status settled what became of messages
	AlertQuality        AlertKind = "number_quality"   // customers block or report the number
	AlertAccount        AlertKind = "account_notice"   // WhatsApp says something of the account that stops nothing; the subject is the event
	AlertHygiene        AlertKind = "hygiene"          // consents expired or were asked for anew; the detail is the latest day
	AlertPortfolioLimit AlertKind = "portfolio_limit"  // the day's customers are used up: messages wait
)

// The alerts that templates raise. The subject is the template's name at WhatsApp and its language.
const (
	AlertTemplateStopped  AlertKind = "template_stopped"  // WhatsApp has rejected, paused, disabled or deleted it: messages wait
	AlertTemplateCategory AlertKind = "template_category" // WhatsApp counts it as another category than the program, or is about to
)

// The alerts that hooks raise. The subject is the hook's id.
const (
	AlertHookDead     AlertKind = "hook_dead"     // an event could not be delivered, however often it was tried
	AlertHookDisabled AlertKind = "hook_disabled" // it is told nothing any more
)

// AlertCodesLow is that a reward's pool of codes runs low; the subject is the reward, the detail low or empty.
const AlertCodesLow AlertKind = "codes_low"

// AlertNoCode is that another system gives no codes for a reward; the subject is the reward, the detail why.
const AlertNoCode AlertKind = "no_code"

// AlertGuessing says that somebody tries out codes at a till or by the API. The subject is the API key and, if it says so, the device.
const AlertGuessing AlertKind = "code_guessing"

// Severity says how soon a person is to look at an alert.
type Severity string

// The severities.
const (
	SeverityWarning  Severity = "warning"  // today
	SeverityCritical Severity = "critical" // now: customers wait
)
