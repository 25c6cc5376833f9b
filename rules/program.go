package rules

import (
	"fmt"
	"slices"
	"time"
)

// Program is one business's rewards program, parsed, checked and compiled. It is immutable and safe to share.
type Program struct {
	Name       string // "Bean & Bloom Rewards"
	Business   string // named in every opt-in request
	PrivacyURL string
	Language   string         // when the customer's own is not offered
	Zone       *time.Location // when the customer's own is unknown
	Currency   string         // what money properties are in (ISO 4217)

	MarketingCountries []string    // ISO 3166 alpha-2, upper case; empty: no marketing anywhere
	Quiet              *QuietHours // nil: none
	Topics             []Topic     // in the order of the file
	OptIns             []OptIn
	Links              []Link    // in the order of the file
	Referral           *Referral // nil: none
	OnStop             OnStop
	AskAgainAfter      time.Duration // how long after silence or refusal the business may ask again
	Caps               []Cap
	Keywords           []Keyword
	Replies            map[string]Text // by keyword, and ReplyGreeting, ReplyAway and ReplyOtherwise
	Opening            []Opening       // when somebody is there to answer; empty: always
	Hygiene            Hygiene

	Attributes Schema
	Events     map[string]Schema // the program's own; BuiltinEvents are beside them
	Earn       []Earn
	Reverse    []Reverse
	Expire     time.Duration // how long a lot of points lives; 0: for ever
	Grace      time.Duration // how long points live that a hold gives back after their time
	Tiers      *Tiers        // nil: none
	Milestones []Milestone
	Fraud      Fraud

	Rewards   map[string]*Reward
	Templates map[string]*Template
	Segments  map[string]*Segment
	Calls     map[string]*Call
	Journeys  map[string]*Journey

	// Totals names, by event, the numeric properties that total() reads: dispatch keeps sums of these.
	Totals map[string][]string
	// Hash is the content hash of Files: 64 hexadecimal characters.
	Hash string
	// Files are the sources by their path in the folder, as they were read.
	Files map[string]string

	asked map[string]bool // events that times(), total() and latest() ask about
}

// QuietHours is the part of the customer's day in which marketing waits. From may be later than To: then it spans midnight.
type QuietHours struct{ From, To TimeOfDay }

// TimeOfDay is a wall-clock time in minutes after midnight.
type TimeOfDay int

// String is the time as the language writes it: 09:00.
func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", int(t)/60, int(t)%60) }

// Topic is something a customer can agree to hear about.
type Topic struct {
	Name  string
	Title Text
}

// OnStop says what a STOP is answered with. Everything is stopped all the same.
type OnStop string

// The choices of on_stop.
const (
	OnStopConfirm     OnStop = "confirm"      // in words
	OnStopOfferTopics OnStop = "offer_topics" // and with the list of what was granted, to choose what to keep
)

// OptIn is an event that counts as asking to join.
type OptIn struct {
	On     string
	Where  *Expr
	Topics []string
}

// Cap bounds how many templates of a category or a topic a customer gets within a span, whichever journeys send them.
type Cap struct {
	Category string // marketing or utility; "": any
	Topic    string // "": any
	AtMost   int
	Within   time.Duration
}

// Counts tells whether a template of that category and topic counts towards the cap.
func (c Cap) Counts(category, topic string) bool {
	return (c.Category == "" || c.Category == category) && (c.Topic == "" || c.Topic == topic)
}

// Hygiene says when a customer is no longer written to, or asked anew. A sign of a customer is a message they wrote or read, a
// consent they gave, or an event that a backend reported.
type Hygiene struct {
	Undeliverable int           // how many messages in a row cannot be delivered before no more are sent
	Unresponsive  time.Duration // without a sign for so long, they count as unresponsive; 0: never
	AskAgain      bool          // then what they agreed to expires and is asked for again
	Expire        time.Duration // without a sign for so long, what they agreed to expires; 0: never
}

// DefaultUndeliverable is how many messages in a row cannot be delivered before no more are sent, where the program does not say.
const DefaultUndeliverable = 5

// Keyword is a set of whole messages with a meaning: stop, join, yes, no, redeem, points, or one of the program's own.
type Keyword struct {
	Name  string
	Words []string // as written; the first is what a button shows
}

// Earn is a rule by which an event earns points.
type Earn struct {
	On      string
	Where   *Expr
	Points  *Expr         // a number; the floor of it is earned, nothing if it is not positive
	Pending time.Duration // how long the points wait before they can be spent
	AtMost  int           // how often within Within; 0: no limit
	Within  time.Duration
}

// Reverse is a rule by which an event undoes another: a refund its order. What the other earned is taken back, and times() and
// total() count it no more.
type Reverse struct {
	On    string // what undoes
	Of    string // what is undone
	Match string // the property that both have, by which the one names the other
	Share *Expr  // a number from 0 to 1: how much of it is undone; nil: the whole
}

// DefaultGrace is how long points live that a hold gives back after their time, where the program does not say.
const DefaultGrace = 24 * time.Hour

// Tiers are levels by points earned within a window.
type Tiers struct {
	Within   time.Duration
	Levels   []Level       // ascending; the first is at 0
	Grace    time.Duration // how long a tier is kept that the points no longer reach
	OneLevel bool          // then it goes down one level, and has its grace again; else to the tier that the points reach
}

// Rank is a tier's place among the levels, -1 for none of them.
func (t *Tiers) Rank(tier string) int {
	return slices.IndexFunc(t.Levels, func(l Level) bool { return l.Name == tier })
}

// Level is one tier and the points from which it is held.
type Level struct {
	Name string
	From int64
}

// Milestone raises milestone.reached when the value of an expression crosses At, or each multiple of Every.
type Milestone struct {
	Name  string
	Of    *Expr // a number
	At    int64
	Every int64 // one of At and Every is positive, the other 0
	// Within bounds what Of counts, where it names no window of its own, and lets it be reached again after that time; 0: for
	// life, and once.
	Within time.Duration
}

// In is what Of sees: within a window, times() and total() count what came in it, and points.earned is what was earned in it.
// earned reads the latter.
func (m Milestone) In(env *Env, earned func(within time.Duration) (int64, error)) (*Env, error) {
	if m.Within <= 0 {
		return env, nil
	}
	in := *env
	in.Times = func(event string, window time.Duration) (int, error) {
		if window <= 0 {
			window = m.Within
		}
		return env.Times(event, window)
	}
	in.Total = func(event, field string, window time.Duration) (float64, error) {
		if window <= 0 {
			window = m.Within
		}
		return env.Total(event, field, window)
	}
	if m.Of != nil && m.Of.names["points"] {
		own, err := env.filled()
		if err != nil {
			return nil, err
		}
		in.Customer.Tier, in.Points, in.Account = own.Customer.Tier, own.Points, nil
		if in.Points.Earned, err = earned(m.Within); err != nil {
			return nil, err
		}
	}
	return &in, nil
}

// mostReached bounds a number that is watched to what can be counted.
const mostReached = 9e18

// Nth is how often the milestone has been reached at a value.
func (m Milestone) Nth(value float64) int64 {
	switch {
	case m.Every > 0:
		return int64(max(0, min(value, mostReached))) / m.Every
	case value >= float64(m.At):
		return 1
	default:
		return 0
	}
}

// RewardKind says what a reward is.
type RewardKind string

// The kinds of reward.
const (
	RewardDiscountCode RewardKind = "discount_code"
	RewardGiftCard     RewardKind = "gift_card"
	RewardOffer        RewardKind = "offer"
	RewardContent      RewardKind = "content"
	RewardPoints       RewardKind = "points"
)

// Reward is an item of the catalog.
type Reward struct {
	Name        string
	Kind        RewardKind
	Title       Text
	Cost        int64   // in points; 0: it cannot be asked for with points
	Value       float64 // in the program's currency
	Points      int64   // for RewardPoints
	URL         string  // for RewardContent
	Description Text
	Terms       Text
	Image       string // an address; "": none
	Codes       CodesFrom
	Call        *Call     // for CodesCall: who is asked for a code
	Format      string    // for CodesGenerated: see punchcard.CheckCodeFormat; "" is the default
	LowStock    int       // for CodesPool: an alert is raised at so many free codes; 0: at none
	Eligible    *Expr     // who can have it; nil: everybody
	From        time.Time // when it is first given; zero: always was
	Until       time.Time // when it is given no more; zero: never
	ValidFor    time.Duration
	PerCustomer int // 0: no limit
	// PerCustomerWithin is the time in which PerCustomer counts; 0: for good.
	PerCustomerWithin time.Duration
	AtMost            int // grants within Within, over all customers; 0: no limit
	Within            time.Duration
	Stock             int     // grants over all customers, for good; 0: no limit
	Budget            float64 // what the grants within BudgetWithin (0: for good) may be worth; 0: no limit
	BudgetWithin      time.Duration
	MinAge            time.Duration // how long a customer must be known before they can redeem it; 0: what Fraud says
	Partial           bool          // its value may be used in parts
	// CapturedBy is what uses the grant: "till" (the API's capture), "tap" (the customer's, on a button), "delivery" (the message that
	// carries it is delivered), or the name of an event that carries its code in a property of type code.
	CapturedBy string
}

// CodesFrom says where a reward's codes come from.
type CodesFrom string

// The sources of codes; "" is that there are none.
const (
	CodesGenerated CodesFrom = "generated" // made when they are given
	CodesPool      CodesFrom = "pool"      // uploaded before
	CodesCall      CodesFrom = "call"      // another system's, asked for when they are given: see Reward.Call
)

// Purpose says why a journey may write without a topic.
type Purpose string

// The purposes. A journey with a topic has none.
const (
	PurposeTopic   Purpose = ""
	PurposeConsent Purpose = "consent" // asks for consent: may write to those whose consent is requested
	PurposeService Purpose = "service" // answers something the customer did; may not carry marketing
)

// IfRunning says what an entry does while a run of its key is live.
type IfRunning string

// The choices of if_running.
const (
	RunningIgnore  IfRunning = "ignore"
	RunningRestart IfRunning = "restart"
	RunningAfter   IfRunning = "after" // it starts when the live one ends
)

// Journey is a marketer's text, compiled. Its Plan is what a workflow gets; its Steps are what activities read.
type Journey struct {
	Name       string
	Title      Text
	Purpose    Purpose
	Topic      string
	Enter      []Enter
	IfRunning  IfRunning
	AgainAfter time.Duration // counts from the end of the customer's last run of this journey and key; 0: at once
	Leave      []Leave
	Plan       *Plan
	Steps      map[string]*Step // by node id: every effect and every wait has one

	entry Schema // of what `entry` is: see Entry
	where Position
}

// Enter is a way into a journey: an event, or a schedule.
type Enter struct {
	On    string // the event; punchcard.EventScheduleDue for a schedule
	Where *Expr
	Key   *Expr // a string, at most 200 bytes; nil: one live run per customer

	// Every is the period of a schedule: day, week, month or year; "" for an entry by an event. See Slot.
	Every   string
	At      TimeOfDay    // in the customer's zone
	Weekday time.Weekday // week
	Month   time.Month   // year
	Day     int          // month, year: 1 to 31; in a shorter month, its last day
}

// Segment is a group of customers: those for whom its condition holds at the moment.
type Segment struct {
	Name  string
	Title Text
	Where *Expr
}

// Call is another system that a program may ask, by a signed request.
type Call struct {
	Name    string // crm.profile
	URL     string // https, or http to localhost
	With    Schema // what a step hands over
	Answers Schema // what is read of the answer; the rest of it is dropped
	Timeout time.Duration
}

// Leave is a way out of a journey at any moment.
type Leave struct {
	On    string
	Where *Expr
	End   string // the outcome
	Goal  bool
	Value *Expr // a number: what it was worth
}

// Position is a place in a program's folder. Line and Column count from 1.
type Position struct {
	File         string
	Line, Column int
}
