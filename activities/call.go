package activities

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"go.temporal.io/sdk/activity"

	"punchcard"
	"punchcard/internal/fence"
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
	// Secret signs each request by the Standard Webhooks scheme (https://www.standardwebhooks.com): the header
	// webhook-signature is "v1," and the base64 HMAC-SHA256 of "<webhook-id>.<webhook-timestamp>.<body>".
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
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, call.URL, bytes.NewReader(body))
	if err != nil {
		return nil, codeRefused
	}
	id, now := fmt.Sprintf("%s_%d", in.Run, in.Step), strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Punchcard")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", now)
	req.Header.Set("Webhook-Signature", "v1,"+c.sign(id, now, body))
	res, err := c.client().Do(req)
	if err != nil {
		if errors.Is(err, errPrivate) {
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

func (c Caller) sign(id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, c.Secret)
	_, _ = mac.Write([]byte(id + "." + timestamp + ".")) // a hash never fails
	_, _ = mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// errPrivate refuses an address that a program may not reach.
var errPrivate = errors.New("the address is private")

// reserved are address blocks that no public service lives in, beside those that netip knows by name: this network, carriers'
// and cloud providers' own, benchmarks, the future, and the IPv6 forms that embed an IPv4 address. Source: the IANA registries of
// special-purpose addresses; 168.63.129.16 is Azure's.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2002::/16"),
}

// public tells whether an address is one that anybody may reach.
func public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() || !ip.IsGlobalUnicast() {
		return false
	}
	for _, p := range reserved {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// client connects to what the Caller may reach, and follows no redirect: where an answer comes from is what the program says.
func (c Caller) client() *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if !c.Private {
		// The address is judged once it is known, so that no name can be pointed elsewhere in between.
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			host, _, err := net.SplitHostPort(address)
			ip, parseErr := netip.ParseAddr(host)
			if err != nil || parseErr != nil || !public(ip) {
				return errPrivate
			}
			return nil
		}
	}
	return &http.Client{
		Transport:     &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
