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
	PointsDebt      PointsAccount = "debt"      // what points go out of when they are taken back and are not there; points pay into it
)

// LedgerKind says why points moved.
type LedgerKind string

// The kinds of ledger entry, each with its own ways.
const (
	LedgerEarn    LedgerKind = "earn"    // outside → pending, or outside → available
	LedgerMature  LedgerKind = "mature"  // pending → available
	LedgerHold    LedgerKind = "hold"    // available → held
	LedgerCapture LedgerKind = "capture" // held → outside
	LedgerRelease LedgerKind = "release" // held → available
	LedgerExpire  LedgerKind = "expire"  // available → outside
	LedgerReverse LedgerKind = "reverse" // pending, available or debt → outside: what earned them was undone
	LedgerRepay   LedgerKind = "repay"   // available → debt
	LedgerAdjust  LedgerKind = "adjust"  // outside → available, available → outside, debt → outside: a person said so
	LedgerMerge   LedgerKind = "merge"   // any account → outside for one customer, and back for the other: they are one person
)

// LedgerEntry is one movement of points. Entries are never changed.
type LedgerEntry struct {
	ID         int64 `gorm:"primaryKey"`
	CustomerID string
	Kind       LedgerKind
	From       PointsAccount `gorm:"column:from_account"`
	To         PointsAccount `gorm:"column:to_account"`
	Points     int64         // positive
	LotID      *int64        // whose points moved; for a debt, what was taken back. nil: no lot of theirs
	Ref        string        // what it was for: an event, a grant
	// Key makes the movement happen once: a second entry with the same key is refused by the database.
	Key    string
	Author string // of an adjustment: who says so
	Note   string // of an adjustment: why
	At     time.Time
}

// Moves is by how much the entry changes an account: the points that went in, or what went out as a negative number.
func (e LedgerEntry) Moves(a PointsAccount) int64 {
	switch a {
	case e.From:
		return -e.Points
	case e.To:
		return e.Points
	default:
		return 0
	}
}

// LotAdjusted is the Source of points that a person gave by an adjustment. They were not earned: tiers and milestones do not
// count them.
const LotAdjusted = "by hand"

// PointsLot is points that were earned together and expire together.
type PointsLot struct {
	ID         int64 `gorm:"primaryKey"`
	CustomerID string
	Points     int64 // when earned
	Remaining  int64 // neither spent, held, expired nor taken back
	Expired    int64 // how many of them expired
	Forgiven   int64 // of the expired ones, those that were taken back as well: nobody owes what nobody had the use of
	Reversed   int64 // how many of them the customer should never have had: what earned them was undone
	Matured    bool
	Warned     bool   // that the rest expires soon was said, or need not be
	Graced     bool   // its expiry was put off once, when a hold gave points back after their time
	Source     string // the event's name, the journey's, reward, or LotAdjusted
	Ref        string // what earned it: an event's id, a run's, a grant's
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
	// Grace is how long points whose lot expired meanwhile live on when the hold gives them back.
	Grace time.Duration
}

// HoldPart is what a hold took from one lot.
type HoldPart struct {
	Lot    int64 `json:"lot"`
	Points int64 `json:"points"`
}

// Points is a customer's account: sums of the ledger, kept in step with it, and the customer's tier.
type Points struct {
	CustomerID string `gorm:"primaryKey"`
	Available  int64
	Pending    int64
	Held       int64
	Debt       int64 // what is owed; while there is any, Available is 0
	Earned     int64 // all that was ever earned, less what was taken back

	Tier      string     // as it was last reckoned; "": never
	TierUntil *time.Time // until when a tier is kept that the points no longer reach; nil: they reach it
	TierDueAt *time.Time // when time may next change the tier

	DueAt     *time.Time // when time next does something to the account; nil: never
	Announced int64      // the ledger's last entry about which events were raised
}

// PointsOrigin is an event that can be undone: an order that may be refunded.
type PointsOrigin struct {
	EventID    string `gorm:"primaryKey"`
	Property   string `gorm:"primaryKey"` // by which what undoes it names it
	CustomerID string
	Event      string // its name
	Value      string // of the property
	Seq        int64  // the event's
	OccurredAt time.Time
	// Sums are the numbers of it that total() counts.
	Sums map[string]float64 `gorm:"serializer:json"`
	// Reversed is how much of it was undone, in parts of WholeShare.
	Reversed int64
}

// WholeShare is the whole of an event, in the unit of shares that are kept.
const WholeShare = 1_000_000_000

// PointsReversal is an event that undid another, or will when that comes.
type PointsReversal struct {
	EventID    string `gorm:"primaryKey"` // of what undoes
	Event      string `gorm:"primaryKey"` // the name of what is undone
	Property   string `gorm:"primaryKey"`
	CustomerID string
	Value      string
	OriginID   string // the event that was undone; "": it has not come yet
	Share      int64  // how much of it this one undid, in parts of WholeShare
	Points     int64  // what was taken back, the debt included
	Debt       int64
	At         time.Time
}
