package punchcard

import "time"

// MessageDecision is one change of what is decided of a message: that it goes, that it waits, or that it is not sent; with what was
// seen then.
type MessageDecision struct {
	ID         int64         `gorm:"primaryKey" json:"id"`
	CustomerID string        `json:"customer_id"`
	MessageID  string        `json:"message_id"`
	RunID      string        `json:"run_id"`
	Step       int           `json:"step"`
	Journey    string        `json:"journey"`
	Template   string        `json:"template"` // the program's name for it; "" for free text
	At         time.Time     `json:"at"`
	Verdict    Verdict       `json:"decision"`
	Reason     string        `json:"reason"` // a code; "" for VerdictSend
	Until      *time.Time    `json:"until"`  // for VerdictDefer: when it is asked again
	Facts      DecisionFacts `gorm:"serializer:json" json:"facts"`
}

// Verdict is what is decided of a message.
type Verdict string

// The verdicts.
const (
	VerdictSend     Verdict = "send"     // it goes to WhatsApp now
	VerdictDefer    Verdict = "defer"    // it waits, until a moment
	VerdictHold     Verdict = "hold"     // it waits, until somebody or WhatsApp says that it may go
	VerdictSuppress Verdict = "suppress" // it is not sent
	VerdictEnd      Verdict = "end"      // it is not sent, and its run ends: its step says not_now: end
	VerdictFailed   Verdict = "failed"   // WhatsApp refused it
)

// DecisionFacts are what the gate saw when it decided, as far as it bears on the reason. They hold no phone and no text.
type DecisionFacts struct {
	Zone        string              `json:"zone,omitempty"`  // the customer's
	Local       string              `json:"local,omitempty"` // what their clock showed: Mon 2026-11-23 22:00
	Category    string              `json:"category,omitempty"`
	Purpose     string              `json:"purpose,omitempty"`
	Topic       string              `json:"topic,omitempty"`
	Standing    Standing            `json:"standing,omitempty"`  // on the topic
	Standings   map[string]Standing `json:"standings,omitempty"` // of a journey without a topic: on each
	Country     string              `json:"country,omitempty"`
	Countries   []string            `json:"countries,omitempty"` // where marketing may go
	LastInbound *time.Time          `json:"last_inbound,omitempty"`
	Quiet       string              `json:"quiet_hours,omitempty"` // 21:00 to 09:00
	Cap         string              `json:"cap,omitempty"`         // marketing: at most 2 within 1d
	Counted     int                 `json:"counted,omitempty"`     // how many count towards it
	MutedUntil  *time.Time          `json:"muted_until,omitempty"`
	Undelivered int                 `json:"undelivered,omitempty"` // messages in a row that could not be delivered
	Deadline    *time.Time          `json:"deadline,omitempty"`
	Waits       string              `json:"waits_for,omitempty"` // what it waited for when its deadline passed: a reason
	Attempts    int                 `json:"attempts,omitempty"`
}
