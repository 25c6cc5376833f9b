package workflows

import (
	"net/url"

	"go.temporal.io/sdk/temporal"
)

// Task queues. "calls" is kept free for activities that call other systems than WhatsApp.
const (
	QueueJourneys = "journeys" // workflows and their local activities
	QueueMessages = "messages" // send, say and ask, which call WhatsApp
	QueueCalls    = "calls"    // call, which asks other systems: a slow one keeps no message waiting
)

// SignalName is the one signal that a run listens to; its payload is a rules.Signal.
const SignalName = "signal"

// ActivityArm is the activity that arms a wait. Every other activity is named as the kind of node it serves.
const ActivityArm = "arm"

// Error types that an activity returns for an error that trying again cannot mend: the run is stuck until somebody retries it.
const (
	ErrorBug   = "bug"        // an application error of ours
	errorPanic = "PanicError" // what the SDK calls a panic
)

// CodeBug is the code of a run that is stuck on an error that trying again cannot mend.
const CodeBug = "bug"

// Search attributes, by which Temporal's pages find runs. Ids and names only: they are never encrypted.
var (
	AttributeCustomer = temporal.NewSearchAttributeKeyKeyword("Customer") // our id of the customer
	AttributeJourney  = temporal.NewSearchAttributeKeyKeyword("Journey")  // the journey's name
	AttributeVersion  = temporal.NewSearchAttributeKeyInt64("Version")    // the version of the program the run is pinned to
	AttributeOutcome  = temporal.NewSearchAttributeKeyKeyword("Outcome")  // how the run ended; absent while it is live
)

// attributes are all search attributes of a run.
var attributes = []temporal.SearchAttributeKey{AttributeCustomer, AttributeJourney, AttributeVersion, AttributeOutcome}

// WorkflowID is the id of a run's workflow: <journey>/<run>.
func WorkflowID(journey, run string) string { return journey + "/" + run }

// UIPath is where Temporal's pages show a workflow, as a path below their address.
func UIPath(namespace, workflowID string) string {
	return "/namespaces/" + url.PathEscape(namespace) + "/workflows/" + url.PathEscape(workflowID)
}
