// Package calls asks other systems that a program declares: by a signed request, for the declared part of its answer.
package calls

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"punchcard/internal/signed"
	"punchcard/rules"
)

// Why there is no answer.
const (
	Unreachable   = "unreachable"    // it did not answer, or says to ask again: asking again may help
	Refused       = "refused"        // it answered with a 3xx or 4xx, which asking again will not change
	AnswerInvalid = "answer_invalid" // it answered, but not in the declared form
	Unsigned      = "no_secret"      // this process has no secret to sign with
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 10

// Caller asks other systems over HTTP.
type Caller struct {
	// Secret signs each request by the Standard Webhooks scheme; see signed.Key. Without one nobody is asked.
	Secret []byte
	// Private lets calls reach addresses of this machine and of private networks. A program's author could otherwise read
	// what only our own network may.
	Private bool
}

// Ask makes one request. It answers the declared part of the answer in its canonical form, or why there is none. id names what is asked,
// and is the same when it is asked again.
func (c Caller) Ask(ctx context.Context, call *rules.Call, id string, body []byte) (map[string]any, string) {
	if len(c.Secret) == 0 {
		return nil, Unsigned
	}
	ctx, cancel := context.WithTimeout(ctx, call.Timeout)
	defer cancel()
	req, err := signed.Post(ctx, call.URL, id, time.Now(), body, c.Secret)
	if err != nil {
		return nil, Refused
	}
	res, err := signed.Client(c.Private).Do(req)
	if err != nil {
		if errors.Is(err, signed.ErrPrivate) {
			return nil, Refused
		}
		return nil, Unreachable
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusRequestTimeout:
		return nil, Unreachable
	case res.StatusCode >= 300:
		return nil, Refused
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, Unreachable
	}
	return declared(call, raw)
}

// declared reads the declared fields of an answer; what else it has is dropped.
func declared(call *rules.Call, raw []byte) (map[string]any, string) {
	fields := call.Answers.Fields()
	if len(raw) > maxAnswer {
		return nil, AnswerInvalid
	}
	answer := map[string]any{}
	if len(fields) > 0 {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if d.Decode(&answer) != nil {
			return nil, AnswerInvalid
		}
	}
	kept := map[string]any{}
	for _, f := range fields {
		if v, ok := answer[f.Name]; ok && v != nil {
			kept[f.Name] = v
		}
	}
	canonical, err := call.Answers.Normalize(kept)
	if err != nil {
		return nil, AnswerInvalid
	}
	return canonical, ""
}
