package punchcard

import "time"

// HygieneRound is one day's look through the list of customers, and what it came to.
type HygieneRound struct {
	Day           string `gorm:"primaryKey"` // 2006-01-02, in the program's zone
	StartedAt     time.Time
	EndedAt       *time.Time // nil: it is under way
	Cursor        string     // the last customer who was looked at
	LookedAt      int64      // customers whose consents are old enough to be looked at
	Undeliverable int64      // to whom nothing is sent, because WhatsApp could not deliver the last messages
	Unresponsive  int64      // of whom there was no sign for the program's unresponsive_after
	Asked         int64      // of these, whose consents expired and who were asked anew
	Expired       int64      // whose consents expired for good
}
