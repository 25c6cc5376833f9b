package rules

import (
	"sort"
	"strconv"
	"time"
)

// Interpreter is the version of the Cursor's rules of movement. It travels in a workflow's input, so that a run goes on by
// the rules it began with; a change of those rules is a new number and a branch on it, never an edit.
const Interpreter = 1

// Kind names what a node does. The kinds are those of the language's steps; the waits that `ask` and `approve` contain
// are nodes of their own (KindAnswer, KindDecision).
type Kind string

// The kinds of node. Effects act on the world through an activity, waits wait in the workflow, and KindAgain only leads on.
const (
	KindSend    Kind = "send"    // effect: a template message
	KindSay     Kind = "say"     // effect: free text, inside the service window
	KindAsk     Kind = "ask"     // effect: the question of an ask
	KindChoose  Kind = "choose"  // effect: which case holds
	KindReward  Kind = "reward"  // effect: a grant
	KindRedeem  Kind = "redeem"  // effect: points held, a code taken
	KindRelease Kind = "release" // effect: a hold given back
	KindConsent Kind = "consent" // effect: an entry in the consent log
	KindApprove Kind = "approve" // effect: a person is asked to decide
	KindEnd     Kind = "end"     // effect: the run is over
	KindSplit   Kind = "split"   // effect: which arm the customer belongs to
	KindCapture Kind = "capture" // effect: a grant is used
	KindPoints  Kind = "points"  // effect: points are given
	KindLabel   Kind = "label"   // effect: the customer gets a label
	KindUnlabel Kind = "unlabel" // effect: the customer loses a label
	KindSet     Kind = "set"     // effect: attributes of the customer
	KindRaise   Kind = "raise"   // effect: an event of the program's own
	KindHandoff Kind = "handoff" // effect: a person takes over, automation is muted meanwhile
	KindCall    Kind = "call"    // effect: another system is asked
	KindStart   Kind = "start"   // effect: another journey begins

	KindWait     Kind = "wait"     // wait: for a time
	KindAnswer   Kind = "answer"   // wait: for the answer to an ask
	KindDecision Kind = "decision" // wait: for the person asked by approve
	KindWaitFor  Kind = "wait_for" // wait: for an event
	KindCollect  Kind = "collect"  // wait: for several events
	// KindWaitUntil is a wait: for a time of day, a weekday or a date. Its Node.For is 0: how long it lasts is known when it is
	// armed, by UntilTime.Deadline.
	KindWaitUntil Kind = "wait_until"

	KindAgain Kind = "again" // no effect and no wait: leads back to the wait it stands in
)

// Outcomes that nodes have beside the answers ("answer:yes") and cases ("case:0") made by Answer and Case.
const (
	OutcomeNext      = "next"      // it was done; also what an outcome without an edge of its own follows
	OutcomeSkipped   = "skipped"   // its `if` did not hold
	OutcomeOtherwise = "otherwise" // choose: no case held
	OutcomeSent      = "sent"      // the message was accepted, or may have been
	OutcomeNotSent   = "not_sent"  // the message was suppressed or failed
	OutcomeNotNow    = "not_now"   // the message may not go now, and `not_now: end` says so; also the outcome with which that run ends
	OutcomeRefused   = "refused"   // reward, redeem: a rule says no
	OutcomeElapsed   = "elapsed"   // a wait's time is over
	OutcomeHeard     = "heard"     // wait_for: the event came
	OutcomeEach      = "each"      // collect: one more, not yet enough
	OutcomeFull      = "full"      // collect: enough
	OutcomeApproved  = "approved"
	OutcomeRejected  = "rejected"
	OutcomeHoldout   = "holdout" // split: the customer is kept out; also the outcome with which that run ends
	OutcomeFailed    = "failed"  // call: the other system refused, or did not answer in time
)

// Answer is the outcome of a KindAnswer node for a named answer: yes, no, other.
func Answer(name string) string { return "answer:" + name }

// Case is the outcome of a KindChoose node whose i-th case holds, counted from 0.
func Case(i int) string { return "case:" + strconv.Itoa(i) }

// Arm is the outcome of a KindSplit node for the arm of that name.
func Arm(name string) string { return "arm:" + name }

// Waits tells whether nodes of this kind wait.
func (k Kind) Waits() bool {
	switch k {
	case KindWait, KindWaitUntil, KindAnswer, KindDecision, KindWaitFor, KindCollect:
		return true
	default:
		return false
	}
}

// Remote tells whether nodes of this kind always call other people's systems: see Node.Remote.
func (k Kind) Remote() bool {
	return k == KindSend || k == KindSay || k == KindAsk || k == KindCall
}

// Plan is a journey compiled to a graph. It holds no expressions and no text: with the ids and the interpreter's version
// it is the whole input of a workflow.
type Plan struct {
	Start string          `json:"start"`
	Nodes map[string]Node `json:"nodes"`
}

// Node is one place in a Plan. Its id is the path of its step in the journey ("2", "2/yes/1"), so that it means something in
// a log and in the Temporal UI.
type Node struct {
	Kind  Kind   `json:"kind"`
	Label string `json:"label,omitempty"` // what a person calls it: "send cart_reminder". Names only, never text
	// Next leads from each outcome to a node. An outcome that is not listed follows OutcomeNext.
	Next map[string]string `json:"next,omitempty"`
	// For is how long a wait lasts, counted from when its scope was opened; 0 for any other node, and for KindWaitUntil.
	For time.Duration `json:"for,omitempty"`
	// Scope is the id of the step whose wait this is. Waits of one scope share the moment from which For counts: an ask waits
	// once before its reminder and once after, and both count from the question.
	Scope string `json:"scope,omitempty"`
	// Returns lists the outcomes of a wait whose branches come back to it, with how often they may be taken (0: without
	// limit). The wait stays armed meanwhile, and what comes is queued.
	Returns map[string]int `json:"returns,omitempty"`
	// Asks marks a reward or redeem whose code another system may be asked for.
	Asks bool `json:"asks,omitempty"`
}

// Remote tells whether the node calls other people's systems. It runs as a regular activity, the rest as local ones.
func (n Node) Remote() bool { return n.Asks || n.Kind.Remote() }

// Follow is the node that an outcome of a node leads to.
func (p *Plan) Follow(node, outcome string) string {
	next := p.Nodes[node].Next
	if to, ok := next[outcome]; ok {
		return to
	}
	return next[OutcomeNext]
}

// Lands is where an outcome of a node leads once every `again` on the way is followed.
func (p *Plan) Lands(node, outcome string) string {
	to := p.Follow(node, outcome)
	for p.Nodes[to].Kind == KindAgain {
		to = p.Nodes[to].Next[OutcomeNext]
	}
	return to
}

// IDs lists the nodes' ids in the order of reading: 1, 2, 2/yes/1, 10.
func (p *Plan) IDs() []string {
	ids := make([]string, 0, len(p.Nodes))
	for id := range p.Nodes {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return naturalLess(ids[i], ids[j]) })
	return ids
}

// naturalLess compares ids so that 2 comes before 10.
func naturalLess(a, b string) bool {
	for a != "" && b != "" {
		x, restA := leadingNumber(a)
		y, restB := leadingNumber(b)
		if restA != a && restB != b {
			if x != y {
				return x < y
			}
			a, b = restA, restB
			continue
		}
		if a[0] != b[0] {
			return a[0] < b[0]
		}
		a, b = a[1:], b[1:]
	}
	return a == "" && b != ""
}

func leadingNumber(s string) (n int, rest string) {
	rest = s
	for rest != "" && rest[0] >= '0' && rest[0] <= '9' && n < 1<<40 {
		n = n*10 + int(rest[0]-'0')
		rest = rest[1:]
	}
	return n, rest
}
