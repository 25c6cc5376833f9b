package api

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"punchcard"
	"punchcard/internal/store"
)

// Problem is how every failure is told (RFC 9457). Code is stable, and so is Reason; Detail is for people.
type Problem struct {
	Type      string         `json:"type" doc:"Always about:blank: code and reason tell problems apart" example:"about:blank"`
	Title     string         `json:"title" doc:"The status in words" example:"Unprocessable Entity"`
	Status    int            `json:"status" doc:"The HTTP status" example:"422"`
	Detail    string         `json:"detail" doc:"What is wrong and what to do, for a person" example:"properties.total: a number is expected, not a string"`
	Code      punchcard.Code `json:"code" doc:"What a program may branch on" example:"invalid"`
	Reason    string         `json:"reason,omitempty" doc:"A finer word where a code has several" example:"live_run"`
	Field     string         `json:"field,omitempty" doc:"The part of the request that is meant, as a path" example:"properties.total"`
	RequestID string         `json:"request_id,omitempty" doc:"Under which our log has more"`

	RunID       string `json:"run_id,omitempty" doc:"With reason live_run: the run that is live"`
	WorkflowID  string `json:"workflow_id,omitempty" doc:"With reason live_run: its workflow"`
	TemporalURL string `json:"temporal_url,omitempty" doc:"With reason live_run: where to see it"`

	retryAfter time.Duration // with a status that says to come again
}

// Error is the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is that of problem documents.
func (p *Problem) ContentType(string) string { return problemType }

// GetHeaders are the headers that belong to the status.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	switch p.Status {
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", retryAfter)
	case http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.FormatInt(int64(math.Ceil(p.retryAfter.Seconds())), 10))
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	}
	return h
}

const (
	problemType = "application/problem+json"
	// retryAfter is how many seconds a caller should wait when a part that is needed is not up.
	retryAfter = "5"
)

// statusOf is the one map from codes to HTTP.
var statusOf = map[punchcard.Code]int{
	punchcard.CodeInvalid:      http.StatusUnprocessableEntity,
	punchcard.CodeUnauthorized: http.StatusUnauthorized,
	punchcard.CodeForbidden:    http.StatusForbidden,
	punchcard.CodeNotFound:     http.StatusNotFound,
	punchcard.CodeConflict:     http.StatusConflict,
	punchcard.CodeGone:         http.StatusGone,
	punchcard.CodeTooLarge:     http.StatusRequestEntityTooLarge,
	punchcard.CodeTooMany:      http.StatusTooManyRequests,
	punchcard.CodeUnavailable:  http.StatusServiceUnavailable,
	punchcard.CodeUpstream:     http.StatusBadGateway,
	punchcard.CodeInternal:     http.StatusInternalServerError,
}

// newProblem is the problem that an error for the caller becomes.
func newProblem(e *punchcard.Error) *Problem {
	status, ok := statusOf[e.Code]
	if !ok {
		status = http.StatusInternalServerError
	}
	return &Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: sentence(e), Code: e.Code, Reason: e.Reason, Field: e.Field,
		retryAfter: e.RetryAfter,
	}
}

// sentence is an error's message with the field in front, unless it speaks of it already.
func sentence(e *punchcard.Error) string {
	if e.Field == "" || strings.HasPrefix(e.Message, e.Field) {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// malformed is a body that cannot be read at all: 400, where a body that is read and wrong is 422.
func malformed(format string, args ...any) *Problem {
	p := newProblem(punchcard.Errorf(punchcard.CodeInvalid, format, args...).Because("malformed"))
	p.Status, p.Title = http.StatusBadRequest, http.StatusText(http.StatusBadRequest)
	return p
}

// notJSON begins what is said of a body that is no JSON.
const notJSON = "the body is not JSON: "

func internalProblem(ctx context.Context) *Problem {
	p := newProblem(punchcard.Errorf(punchcard.CodeInternal, "something went wrong on our side; our log has it under this request's id"))
	p.RequestID = requestID(ctx)
	return p
}

// problem is what the caller is told of an error. What is not meant for them is logged and not shown.
func (s *server) problem(ctx context.Context, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var e *punchcard.Error
	if errors.As(err, &e) && e.Code != punchcard.CodeInternal {
		return newProblem(e)
	}
	if store.IsOutage(err) {
		if !errors.Is(ctx.Err(), context.Canceled) {
			s.Log.WarnContext(ctx, "the database is not to be had just now", "error", err, "request_id", requestID(ctx))
		}
		p = newProblem(punchcard.Errorf(punchcard.CodeUnavailable, "the database is not to be had just now; try again"))
		p.RequestID = requestID(ctx)
		return p
	}
	s.Log.ErrorContext(ctx, "a request failed", "error", err, "request_id", requestID(ctx))
	return internalProblem(ctx)
}

// refuse ends a request with an error.
func (s *server) refuse(c *gin.Context, err error) {
	writeProblem(c, s.problem(c.Request.Context(), err))
}

func writeProblem(c *gin.Context, p *Problem) {
	maps.Copy(c.Writer.Header(), p.GetHeaders())
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // it is made of strings and numbers
	}
	c.Data(p.Status, problemType, append(body, '\n'))
	c.Abort()
}

// ownProblems is a huma.Transformer that turns what huma itself refuses into our form of problem. The values that huma adds
// are left out: they would say a customer's phone back to whoever logs answers.
func (s *server) ownProblems(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	if m.Status >= http.StatusInternalServerError {
		s.Log.ErrorContext(ctx.Context(), "a request could not be read or answered", "error", m.Detail, "request_id", requestID(ctx.Context()))
		return internalProblem(ctx.Context()), nil
	}
	e := punchcard.Errorf(punchcard.CodeInvalid, "%s", m.Detail)
	if len(m.Errors) > 0 {
		e.Message = m.Errors[0].Message
		_, e.Field, _ = strings.Cut(m.Errors[0].Location, ".") // of body.codes[0], query.limit
	}
	switch m.Status {
	case http.StatusBadRequest:
		e = e.Because("malformed")
		if e.Field == "" && len(m.Errors) > 0 && e.Message != errNotUTF8.Error() {
			e.Message = notJSON + e.Message
		}
	case http.StatusRequestEntityTooLarge:
		e.Code, e.Message = punchcard.CodeTooLarge, "the body is too large"
	}
	p := newProblem(e)
	p.Status, p.Title = m.Status, http.StatusText(m.Status)
	return p, nil
}
