package punchcard

import "time"

// PointsAccount is where points stand. They move between the accounts of one customer, and to and from outside; the balance
// is what stands in PointsAvailable.
type PointsAccount string

// The accounts.
const (
	PointsOutside   PointsAccount = "outside"   // where points come from and go to
	PointsPending   PointsAccount = "pending"   // earned, not yet to be spent
	PointsAvailable PointsAccount = "available" // the balance
	PointsHeld      PointsAccount = "held"      // set aside for a redemption
)

// LedgerKind says why points moved.
type LedgerKind string

// The kinds of ledger entry, each with its own way.
const (
	LedgerEarn    LedgerKind = "earn"    // outside → pending, or outside → available
	LedgerMature  LedgerKind = "mature"  // pending → available
	LedgerHold    LedgerKind = "hold"    // available → held
	LedgerCapture LedgerKind = "capture" // held → outside
	LedgerRelease LedgerKind = "release" // held → available
	LedgerExpire  LedgerKind = "expire"  // available → outside
)

// LedgerEntry is one movement of points. Entries are never changed.
type LedgerEntry struct {
	ID         int64 `gorm:"primaryKey"`
	CustomerID string
	Kind       LedgerKind
	From       PointsAccount `gorm:"column:from_account"`
	To         PointsAccount `gorm:"column:to_account"`
	Points     int64         // positive
	LotID      int64
	Ref        string // what it was for: an event, a grant
	// Key makes the movement happen once: a second entry with the same key is refused by the database.
	Key string
	At  time.Time
}

// PointsLot is points that were earned together and expire together.
type PointsLot struct {
	ID         int64 `gorm:"primaryKey"`
	CustomerID string
	Points     int64 // when earned
	Remaining  int64 // neither spent, held nor expired
	Matured    bool
	Source     string // the event's name, or reward
	EarnedAt   time.Time
	MaturesAt  time.Time
	ExpiresAt  *time.Time
}

// PointsHold sets points aside for a grant, whose id it bears. It is captured or released once.
type PointsHold struct {
	GrantID    string `gorm:"primaryKey"`
	CustomerID string
	Points     int64
	Parts      []HoldPart `gorm:"serializer:json"`
	Status     GrantStatus
	CreatedAt  time.Time
}

// HoldPart is what a hold took from one lot.
type HoldPart struct {
	Lot    int64 `json:"lot"`
	Points int64 `json:"points"`
}

// Points is a customer's account: sums of the ledger, kept in step with it.
type Points struct {
	CustomerID string `gorm:"primaryKey"`
	Available  int64
	Pending    int64
	Held       int64
	Earned     int64 // all that was ever earned
}
