package punchcard

import "time"

// Grant is a reward given to a customer.
type Grant struct {
	ID           string `gorm:"primaryKey"`
	CustomerID   string
	Reward       string
	Version      int    // of the program whose catalog it was given from
	RunID        string // "" when it was not given by a run
	RedemptionID string // "" when it was not asked for with points
	Code         string // its end, as MaskCode shows it; "" when it has none. The store's CodeOf reads the whole
	CapturedBy   string
	Status       GrantStatus
	Cost         int64   // points held for it
	Value        float64 // in the program's currency
	CreatedAt    time.Time
	ExpiresAt    *time.Time
	EndedAt      *time.Time // when it was captured, released or expired
	Reason       string     // why it was released: expired, cancelled, how its run ended; "" when nobody said
	Partial      bool       // it may be used in parts
	Used         Amount     // what of the value is used, as its captures sum up to

	// AwaitsCode is that another system is still being asked for its code: it can be given back, and nothing else.
	AwaitsCode bool

	Author  string // who gave it by hand; "" when nobody did
	Note    string // why they did
	Request string // the hash of the Idempotency-Key with which it was given by hand; "": none
}

// Left is what of the value is not used yet.
func (g *Grant) Left() Amount { return AmountOf(g.Value) - g.Used }

// Expired tells whether a grant's time is over at a moment.
func (g *Grant) Expired(at time.Time) bool { return g.ExpiresAt != nil && !g.ExpiresAt.After(at) }

// ReasonExpired is why a grant ended whose time was over.
const ReasonExpired = "expired"

// ReasonCancelled is why one ended that the customer, or somebody in their name, gave up.
const ReasonCancelled = "cancelled"

// ReasonNoJourney is why a wish is refused that no run takes up.
const ReasonNoJourney = "no_journey"

// GrantStatus says how a grant stands.
type GrantStatus string

// The statuses of a grant. It is captured or released once.
const (
	GrantHeld     GrantStatus = "held"     // asked for with points, which are held; not used yet
	GrantGiven    GrantStatus = "given"    // the customer's, not used yet
	GrantCaptured GrantStatus = "captured" // used
	GrantReleased GrantStatus = "released" // given back: the points are the customer's again and the code is void
)

// Redemption is the use of a reward with points, from the wish to the till.
type Redemption struct {
	ID         string `gorm:"primaryKey"`
	CustomerID string
	Reward     string
	Request    string // the hash of the Idempotency-Key with which it was asked for; "": none
	RunID      string
	GrantID    string
	Status     RedemptionStatus
	Reason     string // why it was refused or released
	CreatedAt  time.Time
	EndedAt    *time.Time
}

// RedemptionStatus says how a redemption stands.
type RedemptionStatus string

// The statuses of a redemption.
const (
	RedemptionRequested RedemptionStatus = "requested"
	RedemptionHeld      RedemptionStatus = "held"
	RedemptionRefused   RedemptionStatus = "refused"
	RedemptionCaptured  RedemptionStatus = "captured"
	RedemptionReleased  RedemptionStatus = "released"
)

// Approval is a question to a person: may this go on?
type Approval struct {
	ID         string `gorm:"primaryKey"`
	RunID      string
	Step       int
	CustomerID string
	Title      string
	Status     ApprovalStatus
	By         string
	Note       string
	CreatedAt  time.Time
	DecidedAt  *time.Time
}

// ApprovalStatus says how an approval stands.
type ApprovalStatus string

// The statuses of an approval.
const (
	ApprovalPending  ApprovalStatus = "pending"
	ApprovalApproved ApprovalStatus = "approved"
	ApprovalRejected ApprovalStatus = "rejected"
	ApprovalLapsed   ApprovalStatus = "lapsed" // the run went on without it
)
