package punchcard

import "time"

// Standing is a customer's standing on a topic.
type Standing string

// The standings. StandingNone is that of a topic on which the log says nothing; unknown consent means no.
const (
	StandingNone      Standing = "none"
	StandingRequested Standing = "requested"
	StandingGranted   Standing = "granted"
	StandingRefused   Standing = "refused"
	StandingRevoked   Standing = "revoked"
	StandingExpired   Standing = "expired"
)

// ConsentEntry is one line of the consent log: what changed a standing, with its evidence. Entries are never changed.
type ConsentEntry struct {
	ID         int64 `gorm:"primaryKey"`
	CustomerID string
	Topic      string
	Standing   Standing
	At         time.Time
	// Source is what brought it about: the name of an event, reply, stop, api.
	Source string
	// Wording is what the customer was shown, with its language and the version of its text; empty where nothing was shown.
	Wording         string
	WordingLanguage string
	WordingVersion  string
	MessageID       string // our message that showed the wording
	ReplyID         string // the wamid of the customer's answer
	EventID         string // the backend's event
	RunID           string
}

// ConsentState is a customer's present standing on a topic, derived from the log and kept in step with it.
type ConsentState struct {
	CustomerID string `gorm:"primaryKey"`
	Topic      string `gorm:"primaryKey"`
	Standing   Standing
	At         time.Time
	EntryID    int64
}
