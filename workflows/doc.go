// Package workflows is the Temporal shell round a rules.Cursor: one workflow is one run of a journey. It waits and keeps
// order; what to do next is the Cursor's to say, and what is done is the activities'.
//
// # The state of a run
//
//	         ┌────────────── the Cursor says: do ──────────────┐
//	         ▼                                                 │
//	doing: an activity is under way          waiting: a timer and the signals, whichever is first
//	(signals are kept until it answers)               │
//	   │ answered          │ not answered             │ elapsed, heard            the Cursor says: ended
//	   │                   ▼                          ▼                                  │
//	   │        unanswered: 30 s, then     ──▶ drain signals, ask the Cursor ────────────┘
//	   │        the same effect again             ▲       │ history long and in a wait     ▼
//	   └──────────────────────────────────────────┘       └──▶ continue as new         completed
//
// The workflow's type is the journey's name and its id is <journey>/<run>, so Temporal's pages read like the program. Each
// activity and timer carries its step's label, and the workflow's current details tell the story so far. All of it is ids,
// labels and codes: a history is not a place for a customer's data.
//
// # When things fail
//
//   - Our database is away: local activities are retried every five seconds at most. After two minutes the workflow sleeps for
//     half a minute and tries the same effect again, for as long as it takes. It pauses because a local activity that goes on
//     writes three events every eight seconds, and cannot continue as new: within two days the history would
//     reach Temporal's limit of 51,200 events and the server would end the run.
//   - WhatsApp is away, or a messages worker is: the activity waits with the server and is retried for ever; it writes no events.
//   - An activity panics, or says ErrorBug: the run is stuck with code "bug". It is visible, and goes on at a SignalRetry.
//   - A worker is killed: another one takes the run over after five seconds; an effect that was under way is asked for again and
//     answered by the fence, which knows what was done already.
//   - Temporal is away: Engine returns an error and the outbox keeps the signal.
//   - A signal comes twice, late, or out of order: the Cursor sorts it out by its number. None is lost when a history is
//     continued: what has come is drained right before, and the server refuses the change if more has come since.
//   - Somebody cancels the workflow in Temporal's pages: nothing happens. A run ends by its plan or by dispatch, which also
//     closes its row; a workflow that stopped on its own would leave the row live for ever. Terminating still works.
//   - The program that reads a plan is older than the plan's interpreter: the workflow task fails, and with it nothing else,
//     until a newer worker takes it.
//   - A search attribute is not registered: the workflow task fails until it is. EnsureSearchAttributes registers them.
package workflows
