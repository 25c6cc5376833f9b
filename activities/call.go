package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.temporal.io/sdk/activity"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/signed"
	"punchcard/internal/store"
	"punchcard/rules"
)

// The codes of a call that failed.
const (
	codeUnreachable   = "unreachable"    // it did not answer, however often it was asked
	codeRefused       = "refused"        // it answered with a 4xx, which asking again will not change
	codeAnswerInvalid = "answer_invalid" // it answered, but not in the declared form
	codeUnsigned      = "no_secret"      // this deployment has no secret to sign with
)

const (
	// callTries is how often another system is asked before the call has failed: about a minute with Temporal's backoff.
	callTries = 6
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 64 << 10
)

// Caller asks other systems over HTTP.
type Caller struct {
	// Secret signs each request by the Standard Webhooks scheme; see signed.Key.
	Secret []byte
	// Private lets calls reach addresses of this machine and of private networks. A program's author could otherwise read
	// what only our own network may.
	Private bool
}

// errCallAgain is all that a history may learn of a call that is tried again.
var errCallAgain = errors.New("the other system did not answer; it is asked again")

// Call asks another system, and binds its answer. The request bears an id made of the run and the step, so that one which is
// asked again can tell.
func (a *Activities) Call(ctx context.Context, in Input) (rules.Result, error) {
	var call *rules.Call
	var body []byte
	result, err := a.Fence.Do(ctx, in.Run, in.Effect, guarded(func(p *fence.Pass) (rules.Result, error) {
		values, code, err := values(p)
		if err != nil {
			return rules.Result{}, err
		}
		if code != "" {
			return because(done(rules.OutcomeFailed), code), nil
		}
		call = p.Program.Calls[p.Step.Call]
		body, err = json.Marshal(map[string]any{
			"type": call.Name, "timestamp": p.Tx.Now.Format(time.RFC3339), "data": values, "customer": p.Customer.ID,
		})
		return rules.Result{Reply: fence.ReplyBegun}, err
	}))
	if err != nil || result.Reply != fence.ReplyBegun {
		return a.settle(ctx, in, result, err)
	}
	answers, code := map[string]any(nil), codeUnsigned
	if len(a.Caller.Secret) > 0 {
		answers, code = a.Caller.ask(ctx, call, in, body)
	}
	if code == codeUnreachable && activity.IsActivity(ctx) && activity.GetInfo(ctx).Attempt < callTries {
		return rules.Result{}, errCallAgain
	}
	result, err = a.Fence.Finish(ctx, in.Run, in.Effect, func(p *fence.Pass) (rules.Result, error) {
		if code != "" {
			return because(done(rules.OutcomeFailed), code), nil
		}
		bind(p, punchcard.Ref{Kind: punchcard.RefAnswer, ID: strconv.Itoa(in.Step), Reward: call.Name})
		return done(rules.OutcomeNext), p.Tx.AddCallAnswer(&store.CallAnswer{RunID: in.Run, Step: in.Step, Call: call.Name, Answers: answers})
	})
	return a.settle(ctx, in, result, err)
}

// ask makes one request. It answers the declared part of the answer, or why there is none.
func (c Caller) ask(ctx context.Context, call *rules.Call, in Input, body []byte) (map[string]any, string) {
	ctx, cancel := context.WithTimeout(ctx, call.Timeout)
	defer cancel()
	req, err := signed.Post(ctx, call.URL, fmt.Sprintf("%s_%d", in.Run, in.Step), time.Now(), body, c.Secret)
	if err != nil {
		return nil, codeRefused
	}
	res, err := signed.Client(c.Private).Do(req)
	if err != nil {
		if errors.Is(err, signed.ErrPrivate) {
			return nil, codeRefused
		}
		return nil, codeUnreachable
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusRequestTimeout:
		return nil, codeUnreachable
	case res.StatusCode >= 300:
		return nil, codeRefused
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, codeUnreachable
	}
	return declared(call, raw)
}

// declared reads the declared fields of an answer; what else it has is dropped.
func declared(call *rules.Call, raw []byte) (map[string]any, string) {
	fields := call.Answers.Fields()
	if len(raw) > maxAnswer {
		return nil, codeAnswerInvalid
	}
	answer := map[string]any{}
	if len(fields) > 0 {
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if d.Decode(&answer) != nil {
			return nil, codeAnswerInvalid
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
		return nil, codeAnswerInvalid
	}
	return canonical, ""
}
