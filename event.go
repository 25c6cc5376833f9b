package punchcard

import "time"

// Event is a fact about a customer. It is committed before it is acknowledged and routed once, in the order of Seq for its
// customer.
type Event struct {
	Seq        int64  `gorm:"primaryKey"`
	ID         string // the backend's, or ours for what we raise; unique
	CustomerID string
	Name       string
	Properties map[string]any `gorm:"serializer:json"`
	// Profile is what the backend said about the customer with the event; it is applied when the event is routed.
	Profile Profile `gorm:"serializer:json"`
	// Target narrows an event of ours to one way into one journey ("win-back/0"); "": all of them.
	Target     string
	OccurredAt time.Time
	ReceivedAt time.Time
	Depth      int // how many events stand between this one and a fact from outside
	Status     EventStatus
	Attempts   int
	Error      string
	RoutedAt   *time.Time
}

// Profile is what is known of a customer; empty fields say nothing.
type Profile struct {
	Name       string         `json:"name,omitempty"`
	Language   string         `json:"language,omitempty"`
	Timezone   string         `json:"timezone,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

// EventStatus says how far an event has come.
type EventStatus string

// The statuses of an event.
const (
	EventPending EventStatus = "pending"
	EventRouted  EventStatus = "routed"
	EventParked  EventStatus = "parked" // it could not be routed; Error says why. The customer's next ones went on
)

// MaxEventDepth is how many events may be raised in a chain before the next is parked: a circle of rules ends here.
const MaxEventDepth = 8

// Names of the events that Punchcard raises. A backend may not send these.
const (
	EventConsentRequested    = "consent.requested"    // topics, source
	EventMilestoneReached    = "milestone.reached"    // milestone, nth
	EventTierChanged         = "tier.changed"         // from, to
	EventPointsMatured       = "points.matured"       // points, balance
	EventPointsExpiring      = "points.expiring"      // points, expires_on, balance: they expire soon
	EventPointsExpired       = "points.expired"       // points, balance
	EventCustomerMerged      = "customer.merged"      // merged, into: ids of ours
	EventRedemptionRequested = "redemption.requested" // redemption_id, reward
	EventRedemptionCaptured  = "redemption.captured"  // redemption_id, reward, value
	EventReferralCompleted   = "referral.completed"   // referral_id, role, referrer_id, friend_id: of programs with `referral`; of others, a name like any other
	EventReferralReversed    = "referral.reversed"    // the same
	EventRewardExpired       = "reward.expired"       // grant_id, reward, redemption_id, value: it was not used in its time
	EventKeywordPrefix       = "keyword."             // keyword.<name>: text
	EventScheduleDue         = "schedule.due"         // date: a schedule has come round for the customer
	EventAdClicked           = "ad.clicked"           // source_id, source_type, source_url, headline, ctwa_clid: a first message that came from an ad

	EventMessageRefused  = "message.refused"  // the customer has told WhatsApp that they want no marketing; not visible to the language
	EventMessageReceived = "message.received" // an inbound message; not visible to the language
	EventRunEnded        = "run.ended"        // a run ended while an entry waited for that; not visible to the language
	EventRunRequested    = "run.requested"    // a run asked for another journey; not visible to the language
)
