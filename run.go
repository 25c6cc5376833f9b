package punchcard

import "time"

// Run is one customer on one pinned plan: one Temporal workflow. Its row is where dispatch and the run's effects meet.
type Run struct {
	ID         string `gorm:"primaryKey"`
	Journey    string
	Version    int // of the program
	CustomerID string
	// Key tells apart runs of one journey that a customer may have at once: a cart, a milestone.
	Key     string
	Request string         // the hash of the Idempotency-Key with which it was asked for; "": none
	EventID string         // what started it; "" when it was started by request
	Entry   map[string]any `gorm:"serializer:json"` // the entry's properties, canonical
	// EntryEvent names the event whose schema Entry has.
	EntryEvent string
	Bound      map[string]Ref `gorm:"serializer:json"` // what `as` has bound
	// Listener is the wait that is armed now, or nil.
	Listener *Listener `gorm:"serializer:json"`
	Issued   int       // the number of the last signal that dispatch issued
	Step     int       // the number of the last effect that was done
	Node     string    // where that left the run
	Status   RunStatus
	Reason   string // why it is stuck, or how it came to end
	Outcome  string
	Goal     bool
	Value    float64
	// CausedBy is the depth of the event that started it, so that a circle through a run is counted.
	Depth     int
	StartedAt time.Time
	UpdatedAt time.Time `gorm:"autoUpdateTime:false"`
	EndedAt   *time.Time
}

// Ref points at what a step bound. It holds no code text: values are read when they are needed.
type Ref struct {
	Kind   RefKind `json:"kind"`
	ID     string  `json:"id,omitempty"`
	Reward string  `json:"reward,omitempty"` // the reward's name; for an answer, the call's
	Reason string  `json:"reason,omitempty"` // for a refusal
}

// RefKind says what a Ref points at.
type RefKind string

// The kinds of reference.
const (
	RefGrant   RefKind = "grant"
	RefRefusal RefKind = "refusal"
	RefMessage RefKind = "message"
	RefAnswer  RefKind = "answer" // of another system; the ID is the step's number, and the values are in the database
)

// Listener is an armed wait: what dispatch matches events against, and until when.
type Listener struct {
	Node     string    `json:"node"`
	Scope    string    `json:"scope"`
	Since    time.Time `json:"since"` // when the scope was opened; deadlines count from here
	Deadline time.Time `json:"deadline"`
	// Used counts, by outcome, how often a branch that returns to the wait was taken.
	Used map[string]int `json:"used,omitempty"`
	// Count is how many events a collect has counted.
	Count int `json:"count,omitempty"`
	// MessageID is our message that asks, for an ask: a reply that quotes it or presses its button is its answer.
	MessageID string `json:"message,omitempty"`
}

// Names under which a run keeps, beside what `as` has bound, the evidence of the last answer to an ask: our message that
// asked, and the customer's that answered. No `as` can have these names.
const (
	BoundQuestion = "?"
	BoundAnswer   = "!"
)

// RunStatus says how a run stands.
type RunStatus string

// The statuses of a run.
const (
	RunLive  RunStatus = "live"
	RunHeld  RunStatus = "held"  // its journey is paused, or what it would send may not go; it goes on when that ends. Reason says which
	RunStuck RunStatus = "stuck" // an effect cannot be done until something is repaired; Reason says what
	RunEnded RunStatus = "ended"
)

// Outcomes that Punchcard itself gives runs.
const (
	OutcomeOptedOut   = "opted_out"  // the customer said stop, or lost the journey's topic
	OutcomeRestarted  = "restarted"  // a new entry took its place
	OutcomeTerminated = "terminated" // its workflow was ended from outside
	OutcomeMerged     = "merged"     // its customer turned out to be another, who has an older run of the journey and key
	OutcomeStopped    = "stopped"    // an operator stopped its journey, or all runs of its version
)

// RunStep is one line of a run's story: an effect that was done, and the result to give if it is asked for again.
type RunStep struct {
	RunID   string `gorm:"primaryKey"`
	Step    int    `gorm:"primaryKey"`
	Node    string
	Label   string
	Outcome string
	Code    string
	Result  []byte // rules.Result as JSON
	At      time.Time
}

// WaitingEntry is an entry that starts a run when the live one of its key ends (if_running: after).
type WaitingEntry struct {
	Journey    string `gorm:"primaryKey"`
	CustomerID string `gorm:"primaryKey"`
	Key        string `gorm:"primaryKey"`
	EventID    string
	EntryEvent string
	Entry      map[string]any `gorm:"serializer:json"`
	At         time.Time
}

// BuiltinReply is the journey by which replies and confirmations that belong to no journey go.
const BuiltinReply = "reply"
