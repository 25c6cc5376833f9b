package rules

import "time"

// Step is what a node does, in full: its words and expressions. Which fields count depends on Kind.
type Step struct {
	Node  string
	Kind  Kind
	Where Position
	If    *Expr  // nil: always
	As    string // reward, redeem, call: the name under which later steps see the result; "" for none

	NotNow NotNow        // send, say, ask
	Within time.Duration // send, say, ask: how long the message waits at most, from when it was tried first

	Template string   // send, ask
	With     []Param  // send, ask
	Say      Text     // say: the text, or the caption of what Media shows
	Media    *Media   // say: nil for text alone
	Buttons  []Choice // say: at most three, to answer by
	List     *Menu    // say: nil for none

	Consent string   // consent: granted or refused or revoked, as a standing
	Topics  []string // consent

	Cases  []*Expr // choose: outcome Case(i) for the first that holds
	Split  *Split  // split: outcome Arm(name), or OutcomeHoldout
	Reward Text    // reward, redeem: the catalog name once rendered
	Grant  string  // release, capture: the name bound by `as`
	Title  Text    // approve, handoff: what the person sees

	Points  *Expr         // points: a number; the floor of it is given, nothing if it is not positive
	Pending time.Duration // points: how long they wait before they can be spent
	Label   string        // label, unlabel

	// Properties are what set, raise, start and call hand over: attributes, an event's properties, a call's fields. See Evaluate.
	Properties   []Assignment
	Raise        string        // raise: the event
	StartJourney string        // start: the journey
	Entry        string        // start: the event by which the journey is entered; its properties are Properties
	Call         string        // call: the name in Program.Calls
	MuteFor      time.Duration // handoff: how long automation is muted, unless a person ends it sooner

	On            string       // wait_for, collect: the event
	Filter        *Expr        // wait_for, collect: its where
	Until         *Expr        // collect
	CountingEntry bool         // collect
	RestartOn     *RestartOn   // wait
	UntilTime     *UntilTime   // wait_until
	Answers       []AnswerRule // answer: in the order of the text, "other" last

	Outcome string // end

	target Schema // of Properties
}

// NotNow says what happens to a message that may not go now.
type NotNow string

// The choices of not_now.
const (
	NotNowWait NotNow = "wait" // for as long as Step.Within; then it is not sent
	NotNowSkip NotNow = "skip" // it is not sent
	NotNowEnd  NotNow = "end"  // it is not sent, and the run ends as OutcomeNotNow
)

// DefaultWithin is how long a message waits at most, where its step does not say. What a marketer had to say a week ago is seldom
// what they would say today.
const DefaultWithin = 7 * 24 * time.Hour

// Param is one value that a step hands to its template.
type Param struct {
	Name  string
	Value Text
}

// RestartOn moves a wait's deadline when an event comes.
type RestartOn struct {
	On          string
	Where       *Expr
	UpdateEntry bool // the event's properties become the run's entry
}

// AnswerRule is one answer an ask listens for: the name of a keyword, or "other".
type AnswerRule struct{ Name string }

// Assignment is one value that a step writes under a name. Exactly one of Value, Text and Constant counts.
type Assignment struct {
	Name     string
	Value    *Expr // "{{ expression }}" and nothing else: the value as it is
	Text     Text  // a text in which something is filled in
	Constant any   // anything else, in the canonical form of its type

	target FieldType // of what is written to
}

// Media is what a message shows beside its text: exactly one of the three.
type Media struct {
	Image    Text // the address of a picture
	Video    Text // the address of a film; only a template shows one
	Document *Document
	Location *Location
}

// Document is a file that a message carries.
type Document struct {
	URL      Text
	Filename Text
}

// Location is a place on the map.
type Location struct {
	Latitude, Longitude float64
	Name, Address       Text
}

// Choice is a button under a message: who taps it says the keyword, asks for a reward, or uses one.
type Choice struct {
	Reply   string // the keyword, or PayloadRedeem and a reward; "" for one that uses a grant
	Capture string // the `as` of the grant that a tap uses; "" for any other
	Title   Text
}

// Menu is a list from which the customer picks one row.
type Menu struct {
	Button Text // what opens it
	Rows   []MenuRow
}

// MenuRow is one row of a Menu. One whose ID is a keyword's name says that keyword when it is picked.
type MenuRow struct {
	ID          string
	Title       Text
	Description Text
}
