package rules

import (
	"fmt"
	"sort"
	"time"
)

// Cursor moves one run over its Plan. It is a pure state machine: it has no clock, does no I/O and starts no goroutine,
// so that two drivers, Temporal's workflow and the simulator in virtual time, move a run in the same way.
//
// A driver asks Next what there is to do and tells what came of it: Done after an effect, Elapsed after a wait's time, and
// Heard for every signal. What comes while an effect is under way is told after its Done, because it may have been issued for
// what that effect brought about: a wait that it armed, a hold that it met.
//
// An effect may be done and its Done never told: a driver that dies goes on from an earlier state, and by then it may have
// heard more. So a queued signal may be for a wait that the Cursor has yet to come to, and the number of a step that may have
// been used is not used for another effect.
//
//	          Next = Do(effect)                    Next = Wait
//	┌──────▶ at a node ────────Done────────▶ at a wait, armed ──Elapsed──▶ at the next node, tentatively:
//	│            │                                 │                        until its effect is done,
//	│            │ held, stuck, hear first         │ Heard(wake)            the wait is not over
//	│            ▼                                 ▼
//	└──Heard── paused                        at the branch's node                Heard(leave) ▶ ended
type Cursor struct {
	plan *Plan
	st   State
}

// State is a Cursor's state as JSON: what crosses continue-as-new.
type State struct {
	Node  string `json:"node"`
	Phase Phase  `json:"phase,omitempty"`
	// Step numbers the next effect. The run's id and this number are the key under which an effect happens once.
	Step int `json:"step"`
	// Heard is the highest signal heard without a gap.
	Heard int `json:"heard,omitempty"`
	// WaitNumber tells one wait from the next: a driver whose timer is for this number lets it run.
	WaitNumber int `json:"wait_number,omitempty"`
	// Wait is how long the present wait lasts from when it began, or from continue-as-new.
	Wait time.Duration `json:"wait,omitempty"`
	// From is the wait that has elapsed and whose end no effect has confirmed yet.
	From string `json:"from,omitempty"`
	// Count is the number that the last signal of a collect carried.
	Count int `json:"count,omitempty"`
	// Queue holds what was heard for a wait at which the run does not stand: it is in a branch that returns there, or has yet to
	// come there.
	Queue []Signal `json:"queue,omitempty"`
	// Early holds signals that came before their predecessors.
	Early   []Signal `json:"early,omitempty"`
	Outcome string   `json:"outcome,omitempty"`
}

// Phase says what a Cursor is waiting for, if anything.
type Phase string

// The phases. PhaseReady is at a node that has something to do.
const (
	PhaseReady    Phase = ""
	PhaseWaiting  Phase = "waiting"  // in an armed wait of the plan
	PhaseDeferred Phase = "deferred" // the effect said: ask again later
	PhaseHeld     Phase = "held"     // the journey is paused, or what it would send may not go
	PhaseStuck    Phase = "stuck"    // the effect cannot be done until somebody repairs something
	PhaseHearing  Phase = "hearing"  // a signal is on its way that must be heard first
	PhaseEnded    Phase = "ended"
)

// Signal is what dispatch tells a run. They are numbered from 1, and delivered at least once.
type Signal struct {
	N    int        `json:"n"`
	Kind SignalKind `json:"kind"`
	// Scope and Outcome say, for a wake, which wait heard what.
	Scope   string `json:"scope,omitempty"`
	Outcome string `json:"outcome,omitempty"` // for a leave: the run's outcome
	Count   int    `json:"count,omitempty"`   // for a collect: how many so far
}

// SignalKind names what a Signal asks for.
type SignalKind string

// The kinds of signal.
const (
	SignalWake   SignalKind = "wake"   // something the present wait listens for has come
	SignalLeave  SignalKind = "leave"  // the run is over: dispatch has closed it
	SignalResume SignalKind = "resume" // what held the run is over
	SignalRetry  SignalKind = "retry"  // whatever the run was stuck on may be mended
)

// Move is what a Cursor wants next: exactly one of an effect, a wait, or the end.
type Move struct {
	Kind MoveKind
	Do   Effect // when MoveDo
	// Wait is how long to wait when MoveWait; 0 with Forever set means until something is heard.
	Wait       time.Duration
	Forever    bool
	WaitNumber int
	Outcome    string // when MoveEnded
}

// MoveKind tells the three moves apart.
type MoveKind int

// The moves.
const (
	MoveDo MoveKind = iota
	MoveWait
	MoveEnded
)

// Effect names one thing to be done, under the key (run, Step). At a waiting node it only arms the wait.
type Effect struct {
	Node    string `json:"node"`
	Step    int    `json:"step"`
	Heard   int    `json:"heard,omitempty"`
	Elapsed string `json:"elapsed,omitempty"` // the wait that this effect ends, if its time is what ended it
	Count   int    `json:"count,omitempty"`
}

// Reply is how an effect was answered.
type Reply string

// The replies. The first is success; left to not_due are the fence's; deferred and stuck are the effect's own.
const (
	ReplyDone      Reply = "done"       // it happened, now or at an earlier try
	ReplyLeft      Reply = "left"       // the run is over
	ReplyHeld      Reply = "held"       // the journey is paused, or what it would send may not go
	ReplyHearFirst Reply = "hear_first" // dispatch has issued a signal that the Cursor has not heard
	ReplyNotDue    Reply = "not_due"    // the deadline was moved; Wait is what is left
	ReplyDeferred  Reply = "deferred"   // not now; Wait says how long
	ReplyStuck     Reply = "stuck"      // it cannot be done as things are; Code says why
)

// Result is what an effect came to. It stands in the run's history, so it holds codes and never values.
type Result struct {
	Reply   Reply  `json:"reply"`
	Outcome string `json:"outcome,omitempty"` // which way on; for left, and after an end, the run's outcome
	Code    string `json:"code,omitempty"`    // why, in a word: quiet_hours, per_customer
	// Armed says that the wait to which this leads is armed, and Wait how long it lasts.
	Armed  bool          `json:"armed,omitempty"`
	Wait   time.Duration `json:"wait,omitempty"`
	Issued int           `json:"issued,omitempty"` // for hear_first: up to which signal
}

// NewCursor stands at the start of a plan. When the start is a wait that is armed already, first is how long it lasts.
func NewCursor(plan *Plan, armed bool, first time.Duration) *Cursor {
	c := &Cursor{plan: plan, st: State{Node: plan.Start, Step: 1}}
	if armed && plan.Nodes[plan.Start].Kind.Waits() {
		c.wait(PhaseWaiting, first)
	}
	return c
}

// ResumeCursor stands where State says.
func ResumeCursor(plan *Plan, st State) *Cursor {
	st.Queue, st.Early = append([]Signal(nil), st.Queue...), append([]Signal(nil), st.Early...)
	return &Cursor{plan: plan, st: st}
}

// State is a copy of where the Cursor stands. A driver that stops in the middle of a wait sets Wait to what is left of it.
func (c *Cursor) State() State {
	st := c.st
	st.Queue, st.Early = append([]Signal(nil), st.Queue...), append([]Signal(nil), st.Early...)
	return st
}

// Node is where the Cursor stands.
func (c *Cursor) Node() Node { return c.plan.Nodes[c.st.Node] }

// Next is what there is to do now. Asking twice changes nothing.
func (c *Cursor) Next() Move {
	switch c.st.Phase {
	case PhaseEnded:
		return Move{Kind: MoveEnded, Outcome: c.st.Outcome}
	case PhaseWaiting, PhaseDeferred:
		return Move{Kind: MoveWait, Wait: max(c.st.Wait, 0), WaitNumber: c.st.WaitNumber}
	case PhaseHeld, PhaseStuck, PhaseHearing:
		return Move{Kind: MoveWait, Forever: true, WaitNumber: c.st.WaitNumber}
	default:
		return Move{Kind: MoveDo, Do: Effect{
			Node: c.st.Node, Step: c.st.Step, Heard: c.st.Heard, Elapsed: c.st.From, Count: c.st.Count,
		}}
	}
}

// Done tells what the effect that Next named came to. A reply that this Cursor does not know makes the run stuck.
func (c *Cursor) Done(r Result) {
	if c.st.Phase != PhaseReady {
		return // a leave was heard while the effect was under way
	}
	switch r.Reply {
	case ReplyDone:
		c.done(r)
	case ReplyLeft:
		c.end(r.Outcome)
	case ReplyHeld:
		c.wait(PhaseHeld, 0)
	case ReplyHearFirst:
		if r.Issued > c.st.Heard {
			c.wait(PhaseHearing, 0)
		}
	case ReplyNotDue:
		if c.st.From == "" {
			c.wait(PhaseDeferred, r.Wait)
			return
		}
		c.st.Node, c.st.From = c.st.From, ""
		c.st.Step++ // the number may stand on a message that was deferred; what comes next is another effect
		c.wait(PhaseWaiting, r.Wait)
	case ReplyDeferred:
		c.wait(PhaseDeferred, r.Wait)
	default:
		c.wait(PhaseStuck, 0)
	}
}

func (c *Cursor) done(r Result) {
	c.st.Step++
	c.st.From = ""
	node := c.Node()
	switch {
	case node.Kind == KindEnd:
		c.end(r.Outcome)
	case node.Kind.Waits():
		c.arrive(true, r.Wait)
	default:
		c.st.Node = c.plan.Lands(c.st.Node, r.Outcome)
		c.arrive(r.Armed, r.Wait)
	}
}

// arrive settles at the present node: at a wait it takes what is queued for it, or waits if the wait is armed. What is queued for
// other waits stays: dispatch only matches a wait that is armed, so the run is within that one or on its way to it.
func (c *Cursor) arrive(armed bool, wait time.Duration) {
	node := c.Node()
	if !node.Kind.Waits() {
		return
	}
	for i, s := range c.st.Queue {
		if s.Scope == node.Scope {
			c.st.Queue = append(c.st.Queue[:i:i], c.st.Queue[i+1:]...)
			if !armed {
				c.st.Step++ // the wait may have been armed under this number, by a try whose answer was lost
			}
			c.branch(s)
			return
		}
	}
	if armed {
		c.wait(PhaseWaiting, wait)
	}
}

// Under tells whether node is a step inside the step of that scope, by their paths.
func Under(node, scope string) bool {
	return len(node) > len(scope) && node[:len(scope)] == scope && node[len(scope)] == '/'
}

// Elapsed tells that the wait that Next named is over.
func (c *Cursor) Elapsed() {
	switch c.st.Phase {
	case PhaseDeferred:
		c.st.Phase, c.st.Wait = PhaseReady, 0
		c.take()
	case PhaseWaiting:
		c.st.From = c.st.Node
		c.st.Phase, c.st.Wait = PhaseReady, 0
		c.st.Node = c.plan.Lands(c.st.Node, OutcomeElapsed)
	default:
	}
}

// Heard tells of a signal. One that was heard before is nothing; one that comes too early is kept until its turn.
func (c *Cursor) Heard(s Signal) {
	if s.N <= c.st.Heard {
		return
	}
	if s.N > c.st.Heard+1 {
		for _, e := range c.st.Early {
			if e.N == s.N {
				return
			}
		}
		c.st.Early = append(c.st.Early, s)
		sort.Slice(c.st.Early, func(i, j int) bool { return c.st.Early[i].N < c.st.Early[j].N })
		return
	}
	c.hear(s)
	for len(c.st.Early) > 0 && c.st.Early[0].N == c.st.Heard+1 {
		s, c.st.Early = c.st.Early[0], c.st.Early[1:]
		c.hear(s)
	}
}

func (c *Cursor) hear(s Signal) {
	c.st.Heard = s.N
	if c.st.Phase == PhaseEnded {
		return
	}
	if c.st.Phase == PhaseHearing {
		c.st.Phase = PhaseReady
	}
	switch s.Kind {
	case SignalLeave:
		c.end(s.Outcome)
	case SignalResume:
		if c.st.Phase == PhaseHeld {
			c.st.Phase = PhaseReady
		}
	case SignalRetry:
		if c.st.Phase == PhaseStuck {
			c.st.Phase = PhaseReady
		}
	case SignalWake:
		c.wake(s)
	}
	c.take()
}

func (c *Cursor) wake(s Signal) {
	switch {
	case c.st.Phase == PhaseWaiting && c.Node().Scope == s.Scope:
		c.branch(s)
	case c.st.From != "" && c.plan.Nodes[c.st.From].Scope == s.Scope:
		// The wait's time was over, but dispatch matched before any effect confirmed that: what was heard wins.
		c.st.Node = c.st.From
		c.st.Step++
		c.branch(s)
	default:
		c.st.Queue = append(c.st.Queue, s)
	}
}

// take takes what was queued for a wait that is about to be armed. A wait to which the time of another has led is not
// left before its arming has confirmed that the time was over.
func (c *Cursor) take() {
	if c.st.Phase == PhaseReady && c.st.From == "" && c.Node().Kind.Waits() {
		c.arrive(false, 0)
	}
}

// branch leaves the present wait by what was heard.
func (c *Cursor) branch(s Signal) {
	c.st.Phase, c.st.Wait, c.st.From = PhaseReady, 0, ""
	if c.Node().Kind == KindCollect {
		c.st.Count = s.Count
	}
	c.st.Node = c.plan.Lands(c.st.Node, s.Outcome)
	c.arrive(false, 0)
}

func (c *Cursor) wait(p Phase, d time.Duration) {
	c.st.Phase, c.st.Wait = p, d
	c.st.WaitNumber++
}

func (c *Cursor) end(outcome string) {
	c.st.Phase, c.st.Outcome, c.st.Wait = PhaseEnded, outcome, 0
	c.st.Queue, c.st.Early, c.st.From = nil, nil, ""
}

// Check tells what makes a plan unfit to be followed: an edge to nowhere, an `again` that goes back to no wait, a wait without a
// scope or a way on. What Compile makes passes; a plan that came from elsewhere is checked before it is driven.
func (p *Plan) Check() error {
	if _, ok := p.Nodes[p.Start]; !ok {
		return fmt.Errorf("plan: it starts at %q, which it does not have", p.Start)
	}
	for _, id := range p.IDs() {
		n := p.Nodes[id]
		if n.Kind == KindEnd {
			continue
		}
		if len(n.Next) == 0 {
			return fmt.Errorf("plan: node %s (%s) leads nowhere", id, n.Kind)
		}
		for outcome, to := range n.Next {
			if _, ok := p.Nodes[to]; !ok {
				return fmt.Errorf("plan: node %s leads to %q on %s, which it does not have", id, to, outcome)
			}
		}
		if n.Kind == KindAgain && !p.Nodes[n.Next[OutcomeNext]].Kind.Waits() && p.Nodes[n.Next[OutcomeNext]].Kind != KindAsk {
			return fmt.Errorf("plan: node %s goes back to %s, which is no wait", id, n.Next[OutcomeNext])
		}
		if n.Kind.Waits() && n.Scope == "" {
			return fmt.Errorf("plan: wait %s has no scope", id)
		}
		if _, ok := n.Next[OutcomeElapsed]; n.Kind.Waits() && !ok {
			return fmt.Errorf("plan: wait %s has no way on when its time is over", id)
		}
	}
	return nil
}
