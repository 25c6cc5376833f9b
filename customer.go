package punchcard

import (
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"
)

// Customer is a person in the program: a loyalty member, an employee, a learner.
type Customer struct {
	ID       string `gorm:"primaryKey"`
	Name     string
	Language string // BCP 47, as the backend gave it; "" when unknown
	Timezone string // IANA; "" when unknown
	Country  string // ISO 3166 alpha-2 of the phone's region; "" when unknown
	// Attributes are the declared ones, in the canonical form that rules.Schema stores.
	Attributes map[string]any `gorm:"serializer:json"`
	Labels     []string       `gorm:"serializer:json"`
	// Since is the earliest moment the program knows of the customer: the occurred_at of their first fact.
	Since     time.Time
	CreatedAt time.Time
	// Zone is the time zone by which schedules find the customer: their own, else that of their phone's region; "" for the
	// program's.
	Zone string
	// MutedUntil is until when automation is silent, because a person has taken over; nil: it is not.
	MutedUntil *time.Time
	// Undelivered counts the messages in a row that WhatsApp could not deliver, since the customer was last known to be reached.
	Undelivered int
	// MergedInto is who the customer turned out to be, nil for one of their own. Such a row only leads there: everything that was
	// the customer's is the other's.
	MergedInto *string
	MergedAt   *time.Time
	// PairUntil is up to when the rate of messages to this customer is used, in machine time.
	PairUntil *time.Time
	// ContactedAt is when they were last written to outside of their service window.
	ContactedAt *time.Time
	// MarketingAfter is before when WhatsApp delivers them no marketing; nil: it has not said so.
	MarketingAfter *time.Time
}

// Handoff is a person's turn: automation to the customer is muted until it is closed, or until its time is over. One that no run
// opened is a question of the customer's that nothing answered: it mutes nothing, and waits for somebody to answer.
type Handoff struct {
	ID         string `gorm:"primaryKey"`
	CustomerID string
	RunID      string
	Step       int
	Note       string
	Mutes      bool
	MessageID  string // of a question: the customer's message
	OpenedAt   time.Time
	Until      time.Time
	ClosedAt   *time.Time
	ClosedBy   string
}

// IdentityKind says what sort of name an identity is.
type IdentityKind string

// The kinds of identity.
const (
	IdentityPhone        IdentityKind = "phone"          // E.164, with the plus
	IdentityUserID       IdentityKind = "user_id"        // WhatsApp's business-scoped user id (BSUID), its own word for who somebody is
	IdentityParentUserID IdentityKind = "parent_user_id" // the same for several portfolios of one business
	IdentityExternal     IdentityKind = "external"       // the backend's own id
)

// Identity is a name a customer is known by. One customer has many; the phone may be absent. A name is one customer's at a time,
// and stays theirs in the history when they have given it up.
type Identity struct {
	Kind       IdentityKind `gorm:"primaryKey"`
	Value      string       `gorm:"primaryKey"`
	CustomerID string       `gorm:"primaryKey"`
	CreatedAt  time.Time
	RetiredAt  *time.Time // when the name was given up; it still tells whom a late webhook is about, and is never written to
}

// MaxExternalID bounds a backend's id of a customer or event, in bytes.
const MaxExternalID = 200

// ParsePhone reads a number in international form ("+45 20 12 34 56") and gives it as E.164 with its region.
// It refuses what no phone in that country can be.
func ParsePhone(s string) (e164, region string, err error) {
	s = strings.TrimSpace(s)
	if len(s) > 32 {
		return "", "", Errorf(CodeInvalid, "a phone number has at most 15 digits")
	}
	if !strings.HasPrefix(s, "+") {
		return "", "", Errorf(CodeInvalid, "a phone number starts with + and the country code, like +4520123456")
	}
	n, err := phonenumbers.Parse(s, "")
	if err == nil && n.GetCountryCode() == mexico && n.GetNationalNumber()/mexicanDigits == 1 {
		// WhatsApp names Mexican mobiles by the 1 that was dialed until 2019.
		*n.NationalNumber %= mexicanDigits
	}
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return "", "", Errorf(CodeInvalid, "that is not a phone number; write it like +4520123456")
	}
	region = phonenumbers.GetRegionCodeForNumber(n)
	if region == "ZZ" || region == "001" {
		region = ""
	}
	return phonenumbers.Format(n, phonenumbers.E164), region, nil
}

// OneNumber tells whether two numbers, both as ParsePhone gives them, may be forms of one: they are in one country, end in the same
// six digits, and one is longer than the other. WhatsApp has some in another form than they are dialed: without the 9 of Brazil, or with
// that of Argentina.
func OneNumber(a, b string) bool {
	if len(a) < numberEnd || len(b) < numberEnd || a[len(a)-numberEnd:] != b[len(b)-numberEnd:] || a != b && len(a) == len(b) {
		return false
	}
	x, err := phonenumbers.Parse(a, "")
	if err != nil {
		return false
	}
	y, err := phonenumbers.Parse(b, "")
	return err == nil && x.GetCountryCode() == y.GetCountryCode()
}

// numberEnd is how many digits at the end are a subscriber's in every form of their number: area codes of Argentina leave that many.
const numberEnd = 6

// Mexican numbers have ten digits after their country code.
const (
	mexico        = 52
	mexicanDigits = 1e10
)

// PhoneZone is the time zone of a phone's region when the region has one only, and "" otherwise: a country with several
// zones says nothing about the customer's evening.
func PhoneZone(e164 string) string {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return ""
	}
	zones, err := phonenumbers.GetTimezonesForNumber(n)
	if err != nil || len(zones) != 1 || strings.HasPrefix(zones[0], "Etc/") {
		return ""
	}
	return zones[0]
}
