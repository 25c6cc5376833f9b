package punchcard

import (
	"crypto/rand"
	"strings"
	"time"
)

// Referral is one customer bringing another, or the attempt.
type Referral struct {
	ID          string `gorm:"primaryKey"`
	Code        string // by which the friend came
	ReferrerID  *string
	FriendID    string
	Pair        string // both ids, the smaller first: two customers are a pair once
	Status      ReferralStatus
	Reason      string // why it was refused
	Source      string // how the friend came: an event's name, message, or api
	EventID     string // what made it count
	At          time.Time
	CompletedAt *time.Time
	EndedAt     *time.Time // when it was reversed, or refused after it was attributed
}

// ReferralStatus says how a referral stands.
type ReferralStatus string

// The statuses of a referral.
const (
	ReferralAttributed ReferralStatus = "attributed" // the friend came, and has not done yet what makes it count
	ReferralCompleted  ReferralStatus = "completed"  // it counts
	ReferralReversed   ReferralStatus = "reversed"   // it counted, and what made it was undone
	ReferralRefused    ReferralStatus = "refused"
)

// Why a referral is refused.
const (
	ReferralUnknownCode = "unknown_code"
	ReferralSelf        = "self"             // their own code
	ReferralSamePerson  = "same_person"      // both have had one phone or another name
	ReferralAlready     = "already_referred" // somebody else brought them first
	ReferralRing        = "ring"             // they brought, in one or several steps, who is to have brought them
	ReferralNotNew      = "not_new"          // they have done before what makes it count
	ReferralTooLate     = "too_late"         // they did it after the program's time
	ReferralLimit       = "limit_reached"    // enough friends of the same customer count
)

// The roles in a referral.
const (
	RoleReferrer = "referrer"
	RoleFriend   = "friend"
)

// PairOf is what is the same for two customers whichever brings the other.
func PairOf(a, b string) string { return min(a, b) + "/" + max(a, b) }

const (
	// referralLetters leaves out what looks alike: I, L, O, 0, 1.
	referralLetters = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
	referralLength  = 8
)

// NewReferralCode makes a code of 8 letters and digits.
func NewReferralCode() string {
	b := make([]byte, 0, referralLength)
	for buf := make([]byte, referralLength*2); len(b) < referralLength; {
		_, _ = rand.Read(buf) // it never fails
		for _, r := range buf {
			// What lies beyond the last whole multiple would make some letters likelier than others.
			if n := len(referralLetters); int(r) < 256/n*n && len(b) < referralLength {
				b = append(b, referralLetters[int(r)%n])
			}
		}
	}
	return string(b)
}

// IsReferralCode tells whether a text has the form of a code.
func IsReferralCode(s string) bool {
	return len(s) == referralLength && strings.Trim(s, referralLetters) == ""
}
