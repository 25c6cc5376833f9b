package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	temporallog "go.temporal.io/sdk/log"
	"google.golang.org/protobuf/encoding/protojson"

	"punchcard/workflows"
)

// pages is Temporal as an engineer sees it.
type pages struct {
	client client.Client
}

func openPages(t *testing.T, port int) *pages {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: loopback(port), Logger: temporallog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return &pages{c}
}

// workflows lists the workflows of runs that a query finds; "" finds all.
func (p *pages) workflows(t require.TestingT, query string) []*workflowpb.WorkflowExecutionInfo {
	return slices.DeleteFunc(p.find(t, query), isJob)
}

// jobs lists the workflows of the jobs that come round.
func (p *pages) jobs(t require.TestingT) []*workflowpb.WorkflowExecutionInfo {
	return p.find(t, "WorkflowType = 'job'")
}

func isJob(w *workflowpb.WorkflowExecutionInfo) bool { return w.GetType().GetName() == "job" }

// find lists what a query finds.
func (p *pages) find(t require.TestingT, query string) []*workflowpb.WorkflowExecutionInfo {
	var all []*workflowpb.WorkflowExecutionInfo
	for request := (&workflowservice.ListWorkflowExecutionsRequest{Query: query}); ; {
		page, err := p.client.ListWorkflow(background, request)
		require.NoError(t, err)
		all = append(all, page.GetExecutions()...)
		if len(page.GetNextPageToken()) == 0 {
			return all
		}
		request.NextPageToken = page.GetNextPageToken()
	}
}

func (p *pages) history(t require.TestingT, id, run string) *historypb.History {
	h := &historypb.History{}
	for events := p.client.GetWorkflowHistory(background, id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		e, err := events.Next()
		require.NoError(t, err)
		h.Events = append(h.Events, e)
	}
	return h
}

// story is what a workflow's page tells.
func (p *pages) story(t require.TestingT, id string) string {
	value, err := p.client.QueryWorkflow(background, id, "", "__temporal_workflow_metadata")
	require.NoError(t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(t, value.Get(&metadata))
	return metadata.GetCurrentDetails()
}

// attribute is a workflow's search attribute, nil when it has none.
func attribute(t require.TestingT, w *workflowpb.WorkflowExecutionInfo, name string) any {
	payload := w.GetSearchAttributes().GetIndexedFields()[name]
	if payload == nil {
		return nil
	}
	var v any
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(payload, &v))
	return v
}

// agree waits until Temporal and the API say the same of every run: a workflow for each and no other, live ones running, ended
// ones completed with their outcome. No workflow failed, and no run is stuck. It holds after every trouble.
func agree(t *testing.T, s *shop, p *pages) {
	t.Helper()
	until(t, soon, func(c *assert.CollectT) {
		want := map[string]string{}
		for _, customer := range list[customerView](c, s, "/v1/customers") {
			for _, r := range list[runView](c, s, "/v1/customers/"+customer.ID+"/runs") {
				want[r.WorkflowID] = fmt.Sprintf("%s of %s: %s %s", r.Journey, customer.ID, r.Status, r.Outcome)
			}
		}
		have := map[string]string{}
		for _, w := range p.workflows(c, "ExecutionStatus != 'ContinuedAsNew'") {
			status, outcome := "ended", attribute(c, w, "Outcome")
			switch w.GetStatus() {
			case enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
				status, outcome = "live", ""
			case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
			default:
				status = w.GetStatus().String()
			}
			id := w.GetExecution().GetWorkflowId()
			require.NotContains(c, have, id, "a run has two workflows")
			have[id] = fmt.Sprintf("%s of %s: %s %v", w.GetType().GetName(), attribute(c, w, "Customer"), status, outcome)
		}
		require.Equal(c, want, have)
	})
	for _, w := range p.jobs(t) {
		require.Contains(t, []enumspb.WorkflowExecutionStatus{
			enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, enumspb.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW,
		}, w.GetStatus(), w.GetExecution().GetWorkflowId())
	}
	for _, w := range p.find(t, "") {
		for _, e := range p.history(t, w.GetExecution().GetWorkflowId(), w.GetExecution().GetRunId()).GetEvents() {
			if failed := e.GetWorkflowTaskFailedEventAttributes(); failed != nil {
				// A signal that comes while a task is worked on makes the server ask for that task again.
				require.Equal(t, enumspb.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND, failed.GetCause(), failed.String())
			}
		}
	}
	require.Empty(t, list[object](t, s, "/v1/events/parked"))
}

// secret is what must not stand in Temporal, by what it is.
type secret map[string]string

// add notes a secret. Short ones would be found by chance.
func (s secret) add(t *testing.T, what, value string) {
	t.Helper()
	require.GreaterOrEqual(t, len(value), 8, "%s is too short to look for: %q", what, value)
	s[what+" "+value] = value
}

// keepsSecrets reads the whole of every workflow's history, its listing and its page, and demands that no secret stands there, in
// any case of letters, plain or encoded.
func keepsSecrets(t *testing.T, p *pages, secrets secret) {
	t.Helper()
	require.NotEmpty(t, p.workflows(t, ""))
	for _, w := range p.find(t, "") {
		id, run := w.GetExecution().GetWorkflowId(), w.GetExecution().GetRunId()
		history, err := protojson.Marshal(p.history(t, id, run))
		require.NoError(t, err)
		listing, err := protojson.Marshal(w)
		require.NoError(t, err)
		text := strings.ToLower(plain(t, history) + plain(t, listing) + p.story(t, id))
		if !isJob(w) { // what is meant to stand there is found, so what is not would be
			require.Contains(t, text, strings.ToLower(fmt.Sprint(attribute(t, w, "Customer"))), id)
			require.Contains(t, text, `"plan"`, id)
		}
		for _, what := range slices.Sorted(maps.Keys(secrets)) {
			require.NotContains(t, text, strings.ToLower(secrets[what]), "%s stands in %s", what, id)
		}
	}
}

// plain is a JSON text and, after it, all that its strings say when they are decoded: as base64, and as JSON again.
func plain(t *testing.T, text []byte) string {
	t.Helper()
	var b strings.Builder
	b.Write(text)
	var value any
	if json.Unmarshal(text, &value) != nil {
		return b.String()
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, member := range v {
				walk(member)
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		case string:
			b.WriteString("\n" + v) // without JSON's escapes
			for _, coding := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
				if decoded, err := coding.DecodeString(v); err == nil && len(decoded) > 3 {
					b.WriteString("\n" + plain(t, decoded))
				}
			}
		}
	}
	walk(value)
	return b.String()
}

// cost is what a history costs: its events, and its actions as Temporal Cloud bills them.
func cost(h *historypb.History) (events, actions int) {
	marked := map[int64]bool{} // workflow tasks that recorded markers, which local activities leave
	for _, e := range h.GetEvents() {
		switch e.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, enumspb.EVENT_TYPE_TIMER_STARTED, enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
			enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, enumspb.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
			actions++
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED:
			actions += int(e.GetActivityTaskStartedEventAttributes().GetAttempt()) - 1
		case enumspb.EVENT_TYPE_MARKER_RECORDED:
			if task := e.GetMarkerRecordedEventAttributes().GetWorkflowTaskCompletedEventId(); !marked[task] {
				marked[task] = true
				actions++
			}
		default:
		}
	}
	return len(h.GetEvents()), actions
}

// workflowOf is the id of a run's workflow, which the API names too.
func workflowOf(t require.TestingT, r runView) string {
	require.Equal(t, workflows.WorkflowID(r.Journey, r.ID), r.WorkflowID)
	return r.WorkflowID
}
