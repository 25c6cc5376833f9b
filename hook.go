package punchcard

import (
	"slices"
	"time"
)

// Hook is another system's address that is told of what happens, by signed requests: an outgoing webhook.
type Hook struct {
	ID    string `gorm:"primaryKey"`
	URL   string
	Types []HookType `gorm:"serializer:json"` // what it wants to hear of; none: everything
	Note  string     // whose it is, for people
	// Secret signs, in the form of Standard Webhooks: whsec_ and base64. It is here when it was just made and at no other time: the store
	// keeps it sealed, and its OpenHook opens it.
	Secret string `gorm:"-" json:"-"`
	// FormerUntil is until when the secret signs as well that was rotated out last: who receives has so long to change over.
	FormerUntil *time.Time
	CreatedAt   time.Time
	// FailingSince is when the first of a row of failures was that goes on; nil: the last answer was good. It is the machine's time,
	// as all of a delivery's is.
	FailingSince *time.Time
	DisabledAt   *time.Time // nil: it is told
	Disabled     string     // why it is not: a HookDisabled…
	RemovedAt    *time.Time // its deliveries stay for a while
}

// Wants tells whether a hook is to hear of a type.
func (h *Hook) Wants(t HookType) bool {
	if slices.Contains(h.Types, t) {
		return true
	}
	return len(h.Types) == 0
}

// Why a hook is disabled.
const (
	HookDisabledGone    = "gone"    // it answered 410
	HookDisabledFailing = "failing" // for days there was no good answer
)

// HookEvent is something that happened, as other systems are told of it. It is committed with the fact.
type HookEvent struct {
	// Seq grows with each event of a customer: of two, the one with the higher was later, in whatever order they arrive.
	Seq        int64 `gorm:"primaryKey"`
	ID         string
	Type       HookType
	CustomerID string         // "" for a test
	Data       map[string]any `gorm:"serializer:json"`
	At         time.Time
}

// HookDelivery is one event on its way to one hook.
type HookDelivery struct {
	ID          int64 `gorm:"primaryKey"`
	EventSeq    int64
	HookID      string
	Status      HookStatus
	Attempts    int
	DueAt       time.Time
	ClaimedBy   string
	Code        int    // the status of the last answer; 0: there was none
	Error       string // why the last try failed, as a word
	TriedAt     *time.Time
	DeliveredAt *time.Time
}

// HookStatus says how a delivery stands.
type HookStatus string

// The statuses of a delivery.
const (
	HookPending   HookStatus = "pending"
	HookDelivered HookStatus = "delivered"
	HookDead      HookStatus = "dead" // the last try failed; it can be replayed
)

// HookVersion is the version of what hooks are told. Fields may be added within one; what changes or goes makes a new one.
const HookVersion = 1

// HookMessage is what a hook gets as the body of a request.
type HookMessage struct {
	ID        string        `json:"id" doc:"The same at each try, and for each hook: what was seen before is to be answered with 200 and left alone. It is the header webhook-id as well"`
	Type      HookType      `json:"type"`
	Version   int           `json:"version" doc:"Of the form of data"`
	Seq       int64         `json:"seq" doc:"Of two events of a customer, the one with the higher number was later"`
	Timestamp time.Time     `json:"timestamp" doc:"When it happened, by the program's clock"`
	Customer  *HookCustomer `json:"customer,omitempty"`
	Data      any           `json:"data"`
}

// HookCustomer is who an event is about.
type HookCustomer struct {
	ID         string `json:"id" doc:"Ours: cus_…"`
	ExternalID string `json:"external_id,omitempty" doc:"The backend's own, where it is known when this is sent"`
}

// HookType names what a hook can hear of.
type HookType string

// The types.
const (
	HookRewardGranted       HookType = "reward.granted"
	HookRedemptionRequested HookType = "redemption.requested"
	HookRedemptionRefused   HookType = "redemption.refused"
	HookRedemptionCaptured  HookType = "redemption.captured"
	HookRedemptionReleased  HookType = "redemption.released"
	HookRedemptionExpired   HookType = "redemption.expired"
	HookPointsChanged       HookType = "points.changed"
	HookTierChanged         HookType = "tier.changed"
	HookMilestoneReached    HookType = "milestone.reached"
	HookConsentChanged      HookType = "consent.changed"
	HookMessageFailed       HookType = "message.failed"
	HookCustomerMerged      HookType = "customer.merged"
	HookReferralAttributed  HookType = "referral.attributed"
	HookReferralCompleted   HookType = "referral.completed"
	HookReferralReversed    HookType = "referral.reversed"
	HookTest                HookType = "hook.test"
)

// HookAbout is a type, what it says, and the form of its data.
type HookAbout struct {
	Type HookType
	When string
	Data HookData
}

// HookData is what an event of a type tells.
type HookData interface{ hook() HookType }

// HookTypes lists what a hook can ask for, in the order of the documentation. HookTest is not among them: it goes to the hook that is
// tested.
func HookTypes() []HookAbout {
	return []HookAbout{
		{HookRewardGranted, "a reward is given to a customer", GrantTold{}},
		{HookRedemptionRequested, "a customer asks for a reward with points", RedemptionTold{}},
		{HookRedemptionRefused, "that is refused", RedemptionTold{}},
		{HookRedemptionCaptured, "a reward is used: at the till, by an event that carries its code, or by arriving", RedemptionTold{}},
		{HookRedemptionReleased, "a reward is given back unused, and its points with it", RedemptionTold{}},
		{HookRedemptionExpired, "the same, because its time was over", RedemptionTold{}},
		{HookPointsChanged, "points are earned, mature, are held, spent, given back, taken back, expire or are adjusted", PointsTold{}},
		{HookTierChanged, "a customer rises to a tier, or falls", TierTold{}},
		{HookMilestoneReached, "a milestone is reached", MilestoneTold{}},
		{HookConsentChanged, "the standing of a topic changes", ConsentTold{}},
		{HookMessageFailed, "a message fails for good", MessageTold{}},
		{HookCustomerMerged, "two customers prove to be one person", MergeTold{}},
		{HookReferralAttributed, "a friend came by a customer's code; the event is about the friend", ReferralTold{}},
		{HookReferralCompleted, "the friend did what makes it count: two events, one about each", ReferralTold{}},
		{HookReferralReversed, "that was undone: two events, one about each", ReferralTold{}},
	}
}

// TypeOf is the type that data is of.
func TypeOf(d HookData) HookType { return d.hook() }

// GrantTold is the data of reward.granted. A code is not told: it is the customer's secret.
type GrantTold struct {
	GrantID   string     `json:"grant_id"`
	Reward    string     `json:"reward" doc:"Its name in the program"`
	Value     float64    `json:"value" doc:"In the program's currency"`
	RunID     string     `json:"run_id,omitempty" doc:"The run that gave it"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

func (GrantTold) hook() HookType { return HookRewardGranted }

// RedemptionTold is the data of redemption.requested, refused, captured, released and expired.
type RedemptionTold struct {
	Type         HookType `json:"-"`
	RedemptionID string   `json:"redemption_id,omitempty" doc:"Not there for a reward that was given and not asked for with points"`
	GrantID      string   `json:"grant_id,omitempty" doc:"Not there where nothing is held yet"`
	Reward       string   `json:"reward"`
	Points       int64    `json:"points,omitempty" doc:"What was held for it: spent when it is captured, the customer's again otherwise"`
	Value        float64  `json:"value,omitempty" doc:"In the program's currency"`
	Reason       string   `json:"reason,omitempty" doc:"Why it was refused, or the outcome of the run that ended before it held anything"`
}

func (d RedemptionTold) hook() HookType { return d.Type }

// PointsTold is the data of points.changed: one for all that one transaction moved.
type PointsTold struct {
	Balance int64         `json:"balance" doc:"What can be spent"`
	Pending int64         `json:"pending" doc:"Earned, not to be spent yet"`
	Held    int64         `json:"held" doc:"Set aside for redemptions"`
	Debt    int64         `json:"debt" doc:"Taken back after it was spent: earnings pay it first"`
	Changes []PointsMoved `json:"changes" nullable:"false"`
}

func (PointsTold) hook() HookType { return HookPointsChanged }

// PointsMoved is one movement of points.
type PointsMoved struct {
	Kind   LedgerKind    `json:"kind"`
	From   PointsAccount `json:"from"`
	To     PointsAccount `json:"to"`
	Points int64         `json:"points"`
	Ref    string        `json:"ref,omitempty" doc:"What it was for: the id of an event, as the backend gave it, or of a grant"`
}

// TierTold is the data of tier.changed.
type TierTold struct {
	From string `json:"from"`
	To   string `json:"to"`
}

func (TierTold) hook() HookType { return HookTierChanged }

// MilestoneTold is the data of milestone.reached.
type MilestoneTold struct {
	Milestone string `json:"milestone"`
	Nth       int64  `json:"nth" doc:"How often it has been reached"`
}

func (MilestoneTold) hook() HookType { return HookMilestoneReached }

// ConsentTold is the data of consent.changed.
type ConsentTold struct {
	Topic      string         `json:"topic"`
	From       Standing       `json:"from"`
	To         Standing       `json:"to"`
	Source     string         `json:"source" doc:"What brought it about"`
	Channel    ConsentChannel `json:"channel"`
	OccurredAt time.Time      `json:"occurred_at"`
}

func (ConsentTold) hook() HookType { return HookConsentChanged }

// MessageTold is the data of message.failed. What the message said is not told.
type MessageTold struct {
	MessageID string `json:"message_id"`
	RunID     string `json:"run_id,omitempty"`
	Template  string `json:"template,omitempty" doc:"Its name in the program"`
	Reason    string `json:"reason"`
	ErrorCode int    `json:"error_code,omitempty" doc:"WhatsApp's"`
}

func (MessageTold) hook() HookType { return HookMessageFailed }

// MergeTold is the data of customer.merged.
type MergeTold struct {
	Merged string `json:"merged" doc:"Our id of the customer who was another: it leads to the one who stays"`
	Into   string `json:"into" doc:"Our id of the one who stays"`
}

func (MergeTold) hook() HookType { return HookCustomerMerged }

// ReferralTold is the data of referral.attributed, completed and reversed.
type ReferralTold struct {
	Type       HookType `json:"-"`
	ReferralID string   `json:"referral_id"`
	Role       string   `json:"role" enum:"referrer,friend" doc:"Of the customer whom this event is about"`
	ReferrerID string   `json:"referrer_id" doc:"Our id"`
	FriendID   string   `json:"friend_id" doc:"Our id"`
}

func (d ReferralTold) hook() HookType { return d.Type }

// TestTold is the data of hook.test.
type TestTold struct {
	Hook string `json:"hook" doc:"The hook that is tested"`
}

func (TestTold) hook() HookType { return HookTest }
