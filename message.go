package punchcard

import (
	"encoding/json"
	"time"
)

// Message is one WhatsApp message and its status.
type Message struct {
	ID         string `gorm:"primaryKey"`
	CustomerID string
	RunID      string // "" for an inbound one
	Step       int
	Direction  Direction
	Kind       string // template, text, list; an inbound one's type
	Template   string // the program's name for it
	Category   string // marketing, utility; "" for free text
	Language   string
	Topic      string
	Text       string  // as the customer sees it
	Version    string  // of the template's text: the name WhatsApp knows it by
	Wamid      *string // WhatsApp's id; nil until it is known
	ReplyTo    string  // the wamid this answers
	Status     MessageStatus
	Reason     string // why it was deferred, suppressed or failed: a code
	ErrorCode  int    // WhatsApp's, where it gave one
	Attempts   int    // how often it was handed to WhatsApp; a try that was refused before processing is followed by another
	GrantID    string // the grant whose code it carries
	CreatedAt  time.Time
	UpdatedAt  time.Time  `gorm:"autoUpdateTime:false"`
	RetryAt    *time.Time // when a deferred one is tried again
	HandedAt   *time.Time // when it passed the gate, on its way to WhatsApp: what caps count
	SaidAt     *time.Time // of an inbound one: when the customer said it, which may be long before it came

	// When WhatsApp says that each happened. One may be skipped: a message that is read at once may never be called delivered.
	SentAt, DeliveredAt, ReadAt, FailedAt *time.Time
	// What it costs, as WhatsApp says: "" and nil until it does.
	PriceCategory string // marketing, utility, service …
	PriceType     string // regular, free_customer_service, free_entry_point
	Billable      *bool

	// What came with an inbound message.
	FirstText *string    // what one that its writer changed said first
	EditedAt  *time.Time // when they changed it last
	RevokedAt *time.Time // when they took it back
	MediaID   string     // WhatsApp's, good for seven days
	MediaType string     // MIME
	Filename  string
	// Referral is the advertisement that the message came from, and Items what it orders, both as WhatsApp wrote them; nil: none.
	Referral   json.RawMessage `gorm:"serializer:json"`
	Items      json.RawMessage `gorm:"serializer:json"`
	ReportedAt *time.Time      // when an alert said that no status settles what became of it
}

// Direction is as the business sees it.
type Direction string

// The directions.
const (
	Inbound  Direction = "in"
	Outbound Direction = "out"
)

// MessageStatus says how far a message has come.
type MessageStatus string

// The statuses of a message.
const (
	MessageReceived   MessageStatus = "received"   // inbound
	MessageDeferred   MessageStatus = "deferred"   // the gate said: not now
	MessageSuppressed MessageStatus = "suppressed" // the gate said: not at all
	MessageSending    MessageStatus = "sending"    // committed, the call to WhatsApp is under way
	MessageUnknown    MessageStatus = "unknown"    // the call's answer never came: it may have been sent
	MessageAccepted   MessageStatus = "accepted"   // WhatsApp answered 200, which promises nothing yet
	MessageSent       MessageStatus = "sent"
	MessageDelivered  MessageStatus = "delivered"
	MessageRead       MessageStatus = "read"
	MessageFailed     MessageStatus = "failed"
)

// statusRank orders the statuses that a webhook or a call's answer may bring: a message moves only upwards. A failure is
// final against everything but proof that the message arrived.
var statusRank = map[MessageStatus]int{
	MessageDeferred: 0, MessageSending: 1, MessageUnknown: 2, MessageAccepted: 3, MessageSent: 4, MessageFailed: 5,
	MessageDelivered: 6, MessageRead: 7,
}

// Passes tells whether a message may move from its present status to s: webhooks come late, twice and out of order, and a
// message moves only forward.
func (s MessageStatus) Passes(present MessageStatus) bool {
	a, known := statusRank[s]
	b, moves := statusRank[present]
	return known && moves && a > b
}
