package punchcard

import (
	"math"
	"time"
)

// Amount is money in thousandths of the program's currency: exact for every currency in use, none of which has more than three
// decimals (ISO 4217).
type Amount int64

// AmountOf is a value as an Amount, to the nearest thousandth.
func AmountOf(value float64) Amount { return Amount(math.Round(value * 1000)) }

// Float is the amount in the currency.
func (a Amount) Float() float64 { return float64(a) / 1000 }

// Capture is one use of a grant, the whole or a part of its value, or what takes one back. Captures are only ever added: what a grant
// has Used is their sum.
type Capture struct {
	ID       string `gorm:"primaryKey"`
	GrantID  string
	Reverses *string // the capture that this one takes back; nil: it is a use
	Amount   Amount  // of the value; 0 for a reward that has none
	LeftOver Amount  // what of the value was left after it
	By       string  // what used it: till, tap, delivery, step, or an event
	Device   string  // the till's own name for itself; "" when it has none
	OrderRef string  // what it was used for; "" when nobody said
	Author   string  // who takes it back; "" for a use
	Note     string  // why
	Request  string  // the hash of the Idempotency-Key with which it was asked for; "": none
	At       time.Time
}

// What uses a grant, beside an event that carries its code. A reward's captured_by names one.
const (
	CapturedByTill     = "till"
	CapturedByTap      = "tap"
	CapturedByDelivery = "delivery"
	CapturedByStep     = "step" // a capture step
)

// Refusal is one time at which a rule said no to a reward: kept for review. It holds no code.
type Refusal struct {
	ID         string `gorm:"primaryKey"`
	CustomerID string // "" when nobody knows whose it was
	Reward     string // "" when nobody knows what it was for
	GrantID    string
	Action     RefusedAction
	Reason     string // the rule's code
	Caller     string // the API key with which it was asked; "" when it was not asked by one
	Device     string
	At         time.Time
}

// RefusedAction says what was refused.
type RefusedAction string

// The actions that are refused.
const (
	RefusedGive    RefusedAction = "give"    // a reward step
	RefusedRedeem  RefusedAction = "redeem"  // a redeem step
	RefusedCapture RefusedAction = "capture" // the use of a code
	RefusedLookup  RefusedAction = "lookup"  // the look at a code
)
