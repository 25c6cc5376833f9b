package punchcard

import "time"

// Account is what WhatsApp says of the account that messages go out by. There is one.
type Account struct {
	ID int `gorm:"primaryKey"`
	// Circuit is why nothing is sent: a code; "" when it is. Marketing is the same of marketing alone.
	Circuit        string
	CircuitAt      *time.Time
	CircuitUntil   *time.Time // when it closes by itself; nil: somebody closes it
	Marketing      string
	MarketingAt    *time.Time
	MarketingUntil *time.Time
	// DailyLimit is how many customers a day may be written to outside of their service window; 0: any number; nil: WhatsApp has
	// not said.
	DailyLimit *int64
	Quality    string // of the number: GREEN, YELLOW, RED; "" while WhatsApp has not said
	// When WhatsApp told, by its own clock, what has each circuit open, what takes such things back, the limit, and the quality: the latest of
	// each. nil: it did not. What was told before then comes late, and changes nothing.
	CircuitToldAt, MarketingToldAt, LiftedToldAt, LimitToldAt, QualityToldAt *time.Time
}

// TableName is the table's.
func (*Account) TableName() string { return "account" }

// CircuitScope says what a circuit lets through.
type CircuitScope string

// The circuits of an account.
const (
	CircuitAll       CircuitScope = "all"       // every message
	CircuitMarketing CircuitScope = "marketing" // templates of the marketing category
)

// Why runs are held by a circuit, and their messages wait.
const (
	ReasonCircuitOpen   = "circuit_open"
	ReasonMarketingOpen = "marketing_circuit_open"
)

// Opened answers why the circuit of a scope is open, "" when it is closed; and until when, nil for until somebody closes it.
func (a *Account) Opened(scope CircuitScope) (reason string, since, until *time.Time) {
	if scope == CircuitMarketing {
		return a.Marketing, a.MarketingAt, a.MarketingUntil
	}
	return a.Circuit, a.CircuitAt, a.CircuitUntil
}

// Told is where it stands when WhatsApp told what has the circuit of a scope open.
func (a *Account) Told(scope CircuitScope) **time.Time {
	if scope == CircuitMarketing {
		return &a.MarketingToldAt
	}
	return &a.CircuitToldAt
}

// Set opens the circuit of a scope, or closes it where the reason is empty.
func (a *Account) Set(scope CircuitScope, reason string, since, until *time.Time) {
	if reason == "" {
		*a.Told(scope) = nil
	}
	if scope == CircuitMarketing {
		a.Marketing, a.MarketingAt, a.MarketingUntil = reason, since, until
		return
	}
	a.Circuit, a.CircuitAt, a.CircuitUntil = reason, since, until
}

// RestrictedTemplates is the reason of a circuit that lets free text pass: WhatsApp restricts what the business begins, and not its
// answers.
const RestrictedTemplates = "restricted_biz_initiated_messaging"

// Holds answers why a message may not go out now, and "" when it may.
func (a *Account) Holds(marketing, freeText bool, now time.Time) string {
	open := func(reason string, until *time.Time) bool { return reason != "" && (until == nil || until.After(now)) }
	switch {
	case open(a.Circuit, a.CircuitUntil) && (!freeText || a.Circuit != RestrictedTemplates):
		return ReasonCircuitOpen
	case marketing && open(a.Marketing, a.MarketingUntil):
		return ReasonMarketingOpen
	default:
		return ""
	}
}
