package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"punchcard"
	"punchcard/internal/dispatch"
)

const csvType = "text/csv; charset=utf-8"

type consentItem struct {
	ID              int64                    `json:"id"`
	Topic           string                   `json:"topic"`
	Standing        punchcard.Standing       `json:"standing" enum:"requested,granted,refused,revoked,expired"`
	OccurredAt      time.Time                `json:"occurred_at" doc:"When it happened: what the standing goes by"`
	At              time.Time                `json:"at" doc:"When it was recorded"`
	Source          string                   `json:"source" doc:"What brought it about: the name of an event, reply, stop"`
	Channel         punchcard.ConsentChannel `json:"channel" doc:"whatsapp, web, api, import, store, phone, rule"`
	Everything      bool                     `json:"everything" doc:"The customer stopped all there is, of which this is one topic's line"`
	Wording         string                   `json:"wording" doc:"What the customer was shown"`
	WordingLanguage string                   `json:"wording_language"`
	WordingVersion  string                   `json:"wording_version"`
	MessageID       string                   `json:"message_id" doc:"Our message that showed it"`
	ReplyID         string                   `json:"reply_id" doc:"The wamid of the customer's answer"`
	EventID         string                   `json:"event_id"`
	RunID           string                   `json:"run_id"`
	RecordedBy      string                   `json:"recorded_by" doc:"The key or the person that imported or ordered it"`
	Reference       string                   `json:"reference" doc:"Where further evidence is kept"`
	ErasedAt        *time.Time               `json:"erased_at" doc:"When what named the customer was blanked"`
}

func consentOf(e punchcard.ConsentEntry) consentItem {
	return consentItem{
		ID: e.ID, Topic: e.Topic, Standing: e.Standing, OccurredAt: e.OccurredAt, At: e.At, Source: e.Source, Channel: e.Channel,
		Everything: e.Everything, Wording: e.Wording, WordingLanguage: e.WordingLanguage, WordingVersion: e.WordingVersion, MessageID: e.MessageID,
		ReplyID: e.ReplyID, EventID: e.EventID, RunID: e.RunID, RecordedBy: e.RecordedBy, Reference: e.Reference, ErasedAt: e.ErasedAt,
	}
}

var aboutConsents = options{
	answers: typeOf[list[consentItem]](),
	about: "As JSON, a page at a time. `format=csv` is the whole log for a spreadsheet; `format=text` and `format=html` tell it as a story for " +
		"people: what was shown, what was answered, when, by which message.",
}

type consentsInput struct {
	CustomerPath
	Paging
	Format string `query:"format" enum:"json,csv,text,html" default:"json" doc:"How it is told"`
}

func (s *server) customerConsents(ctx context.Context, in *consentsInput) (*huma.StreamResponse, error) {
	c, err := s.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	switch in.Format {
	case "csv":
		return s.stream(csvType, func(ctx context.Context, w io.Writer) error { return s.Dispatch.ExportConsents(ctx, c.ID, w) }), nil
	case "text", "html":
		story, err := s.Dispatch.ConsentStory(ctx, c.ID)
		if err != nil {
			return nil, err
		}
		if in.Format == "html" {
			return s.stream(htmlType, func(_ context.Context, w io.Writer) error { return story.HTML(w) }), nil
		}
		return s.stream("text/plain; charset=utf-8", func(_ context.Context, w io.Writer) error { return story.Text(w) }), nil
	}
	after, err := in.afterNumber()
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.View(ctx).Consents(c.ID, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	page := paged(rows, in.Limit, func(e punchcard.ConsentEntry) string { return strconv.FormatInt(e.ID, 10) }, consentOf)
	return s.stream("application/json", func(_ context.Context, w io.Writer) error { return json.NewEncoder(w).Encode(page) }), nil
}

// stylePolicy lets a page bring its own style, and nothing else.
const stylePolicy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// stream answers with what write writes. An answer that breaks off half-way breaks its connection off: it must not look whole.
func (s *server) stream(contentType string, write func(ctx context.Context, w io.Writer) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		if contentType == htmlType {
			contentType += "; charset=utf-8"
			hc.SetHeader("Content-Security-Policy", stylePolicy)
		}
		hc.SetHeader("Content-Type", contentType)
		if err := write(hc.Context(), hc.BodyWriter()); err != nil {
			s.Log.ErrorContext(hc.Context(), "an answer broke off", "error", err, "request_id", requestID(hc.Context()))
			panic(http.ErrAbortHandler)
		}
	}}
}

var aboutExport = options{
	media: []string{"text/csv"}, long: true,
	about: "Everyone's log, in the order of recording, with the evidence and the customers' names. An answer that breaks off is not whole.",
}

func (s *server) exportConsents(context.Context, *struct{}) (*huma.StreamResponse, error) {
	return s.stream(csvType, func(ctx context.Context, w io.Writer) error { return s.Dispatch.ExportConsents(ctx, "", w) }), nil
}

var aboutRevoke = options{
	idempotent: true, example: `{"topics": ["offers"], "source": "support call", "reference": "ticket 4711"}`,
	about: "Takes effect at once: runs that write by what is revoked end as `opted_out`, and queued messages are not sent. Without topics " +
		"everything is revoked. Only the customer can begin again.",
}

type revokeInput struct {
	CustomerPath
	Body struct {
		Topics     []string  `json:"topics,omitempty" maxItems:"100" doc:"What is revoked; everything when absent"`
		Source     string    `json:"source,omitempty" maxLength:"200" doc:"What brought it about; api when absent"`
		OccurredAt time.Time `json:"occurred_at,omitzero" required:"false" doc:"When the customer said it; now when absent"`
		Wording    string    `json:"wording,omitempty" maxLength:"4000" doc:"What the customer was shown, or said"`
		Reference  string    `json:"reference,omitempty" maxLength:"4000" doc:"Where the evidence is kept"`
	}
}

type revoked struct {
	Changed  bool                          `json:"changed" doc:"Whether anything was not revoked before"`
	Consents map[string]punchcard.Standing `json:"consents" doc:"The standing on each topic that the log has"`
}

func (s *server) revokeConsents(ctx context.Context, in *revokeInput) (*output[revoked], error) {
	c, err := s.resolve(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	states, changed, err := s.Dispatch.Revoke(ctx, dispatch.Revocation{
		Customer: c.ID, Topics: in.Body.Topics, Source: in.Body.Source, Channel: punchcard.ChannelAPI, OccurredAt: in.Body.OccurredAt,
		Wording: in.Body.Wording, Reference: in.Body.Reference, By: caller(ctx),
	})
	if err != nil {
		return nil, err
	}
	body := revoked{Changed: changed, Consents: map[string]punchcard.Standing{}}
	for topic, state := range states {
		body.Consents[topic] = state.Standing
	}
	return answer(body), nil
}

var aboutImport = options{
	long: true, answers: typeOf[importReport](), consumes: []string{"text/csv"},
	about: "Takes over consents that were given elsewhere, from CSV whose first line names its columns: phone or external_id, topic, standing " +
		"(granted, refused, revoked, expired), occurred_at, source, and channel, wording, language, wording_version, reference. A grant needs wording, " +
		"language and reference. Each line is judged by itself and reported; the same line is taken once, so that a file can be sent again. A grant " +
		"that is older than a stop is refused. The body is read as it comes, whatever its size.",
}

type importInput struct {
	DryRun bool `query:"dry_run" doc:"Judge every line, and keep nothing"`
	body   io.Reader
}

// Resolve keeps the body, to be read as it comes.
func (in *importInput) Resolve(hc huma.Context) []error {
	in.body = hc.BodyReader()
	return nil
}

// importLine is what the answer says of one line.
type importLine struct {
	Line   int                   `json:"line"`
	Status dispatch.ImportStatus `json:"status"`
	Error  string                `json:"error,omitempty"`
	Reason string                `json:"reason,omitempty"`
	Field  string                `json:"field,omitempty"`
}

// importReport is what importConsents writes piece by piece.
type importReport struct {
	DryRun   bool         `json:"dry_run"`
	Recorded int          `json:"recorded"`
	Repeated int          `json:"repeated" doc:"Lines that were taken before"`
	Refused  int          `json:"refused"`
	Lines    []importLine `json:"lines" nullable:"false" doc:"Every line of the body, in its order"`
}

// importConsents answers when the whole body has been read: HTTP lets many callers not read and write at once. What it says of the
// lines waits in a file meanwhile.
func (s *server) importConsents(ctx context.Context, in *importInput) (*huma.StreamResponse, error) {
	file, err := os.CreateTemp("", "punchcard-import-*")
	if err != nil {
		return nil, fmt.Errorf("keep the report: %w", err)
	}
	drop := func() { _ = file.Close(); _ = os.Remove(file.Name()) }
	lines := bufio.NewWriter(file)
	separator := "\n"
	totals, err := s.Dispatch.ImportConsents(ctx, in.body, caller(ctx), in.DryRun, func(l dispatch.ImportLine) error {
		item := importLine{Line: l.Line, Status: l.Status}
		if l.Err != nil {
			item.Error, item.Reason, item.Field = sentence(l.Err), l.Err.Reason, l.Err.Field
		}
		text, err := json.Marshal(item)
		if err == nil {
			_, err = lines.WriteString(separator + string(text))
		}
		separator = ",\n"
		return err
	})
	if err == nil {
		err = lines.Flush()
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		drop()
		return nil, err
	}
	return s.stream("application/json", func(_ context.Context, w io.Writer) error {
		defer drop()
		if _, err := fmt.Fprintf(w, `{"dry_run": %t, "recorded": %d, "repeated": %d, "refused": %d, "lines": [`,
			in.DryRun, totals.Recorded, totals.Repeated, totals.Refused); err != nil {
			return err
		}
		if _, err := io.Copy(w, file); err != nil {
			return err
		}
		_, err := io.WriteString(w, "\n]}\n")
		return err
	}), nil
}
