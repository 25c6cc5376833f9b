package whatsapp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// DefaultVersion is the version of the Graph API that Config uses when it names none. Published 2026-07-29.
const DefaultVersion = "v26.0"

// DefaultBaseURL is Meta's own address.
const DefaultBaseURL = "https://graph.facebook.com"

// maxAnswer is how much of an answer is read, in bytes. A page of templates is the largest, far below this.
const maxAnswer = 8 << 20

// mediaTimeout is the least time for a file to go or come whole, in real time: 100 MB at about 7 Mbit/s. Ours.
const mediaTimeout = 2 * time.Minute

// Config is what a Client needs to know.
type Config struct {
	BaseURL       string       // scheme and host, without a version; empty is DefaultBaseURL
	Version       string       // of the Graph API, such as v26.0; empty is DefaultVersion
	PhoneNumberID string       // the id of the business's number, opaque
	AccountID     string       // the id of the WhatsApp Business Account, opaque
	AppID         string       // the id of the Meta app that the token is of; only UploadSample needs it
	Token         string       // the bearer token
	HTTP          *http.Client // nil is a client with a timeout of 10 s, in real time
}

// Client calls the Cloud API for one number. Any number of goroutines may use it.
type Client struct {
	cfg   Config
	http  *http.Client
	media *http.Client // with the time that files of many megabytes need
}

// New makes a Client. It calls nobody.
func New(cfg Config) *Client {
	if cfg.BaseURL == "" {
		cfg.BaseURL = DefaultBaseURL
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	if cfg.Version == "" {
		cfg.Version = DefaultVersion
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	h := *cfg.HTTP
	// A redirect is never followed: it would replay a send, or carry the token elsewhere.
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	files := h
	if files.Timeout > 0 {
		files.Timeout = max(files.Timeout, mediaTimeout)
	}
	return &Client{cfg: cfg, http: &h, media: &files}
}

// call makes one request with a JSON body, or none, and decodes its answer into out. It never retries: whether that is safe
// is the caller's to say.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return refuse("the request cannot be written as JSON")
		}
		body = bytes.NewReader(raw)
	}
	req, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.exchange(c.http, req, out)
}

// confirmed is a call whose answer says no more than whether it was done.
func (c *Client) confirmed(ctx context.Context, method, path string, query url.Values, in any) error {
	var answer struct {
		Success bool `json:"success"`
	}
	if err := c.call(ctx, method, path, query, in, &answer); err != nil {
		return err
	}
	if !answer.Success {
		return &Error{Code: CodeNone, HTTPStatus: http.StatusOK, Class: Ambiguous, what: "the answer does not say that it was done"}
	}
	return nil
}

// request is a request to the Graph API, with the token.
func (c *Client) request(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	if err := ctx.Err(); err != nil {
		return nil, &Error{Code: CodeNone, Class: Retry, what: "cancelled before the call", cause: contextCause(err)}
	}
	address := c.cfg.BaseURL + "/" + c.cfg.Version + "/" + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, refuse("the base URL is not a URL")
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// partial is an answer that may come with a refusal: some of it was done.
type partial interface{ takeRefusal(raw []byte) }

// exchange sends a request and decodes its answer into out.
func (c *Client) exchange(by *http.Client, req *http.Request, out any) error {
	res, err := by.Do(req)
	if err != nil {
		return unanswered(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil && len(raw) > maxAnswer {
		err = errors.New("too long")
	}
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		if err != nil || json.Unmarshal(raw, out) != nil {
			return &Error{Code: CodeNone, HTTPStatus: res.StatusCode, Class: Ambiguous, what: "the answer cannot be read", cause: contextCause(err)}
		}
		return nil
	}
	if p, ok := out.(partial); ok {
		p.takeRefusal(raw)
	}
	return refused(res, raw, time.Now())
}

// maxPages bounds a list. An account holds at most 6,000 templates, a block list 64,000 people.
const maxPages = 1000

// pages is every item of a list, page by page.
func pages[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	var all []T
	for range maxPages {
		var page struct {
			Data   []T `json:"data"`
			Paging struct {
				Cursors struct {
					After string `json:"after"`
				} `json:"cursors"`
				Next string `json:"next"`
			} `json:"paging"`
		}
		if err := c.call(ctx, http.MethodGet, path, query, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		after := page.Paging.Cursors.After
		// The last page has a cursor too; only next says that more follows. Its address is not called: it is an answer's
		// word on where to send the token.
		if page.Paging.Next == "" || after == "" || after == query.Get("after") {
			return all, nil
		}
		query.Set("after", after)
	}
	return nil, refuse("the list does not end")
}

// unanswered is the error of a call that no answer came to.
func unanswered(err error) *Error {
	e := &Error{Code: CodeNone, Class: Ambiguous, what: "no answer", cause: contextCause(err)}
	var dns *net.DNSError
	var op *net.OpError
	// A connection that was never made has carried nothing. Every other failure may have come after the message.
	switch {
	case errors.As(err, &dns):
		e.Class, e.what = Retry, "not reached: no address is known of "+dns.Name
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect"):
		e.Class, e.what = Retry, "not reached"
		if op.Addr != nil {
			e.what += " at " + op.Addr.String()
		}
	}
	return e
}

// refused is the error of an answer that is not a 2xx.
func refused(res *http.Response, raw []byte, now time.Time) *Error {
	var answer struct {
		Error *struct {
			Code      int    `json:"code"`
			Subcode   int    `json:"error_subcode"`
			Message   string `json:"message"`
			UserMsg   string `json:"error_user_msg"`
			Transient bool   `json:"is_transient"`
			Data      struct {
				Details string `json:"details"`
			} `json:"error_data"`
		} `json:"error"`
	}
	e := &Error{Code: CodeNone, HTTPStatus: res.StatusCode, RetryAfter: retryAfter(res.Header, now)}
	if json.Unmarshal(raw, &answer) == nil && answer.Error != nil {
		a := answer.Error
		e.Code, e.Subcode = a.Code, a.Subcode
		e.Details = firstOf(a.Data.Details, a.UserMsg, a.Message)
		h, known := lookUp(a.Code)
		e.Class = h.class
		if e.RetryAfter == 0 {
			e.RetryAfter = h.after
		}
		if a.Code == 100 && a.Subcode/1000 == 2388 {
			e.Class, e.what = Template, describe(a.Subcode)
		}
		if !known && a.Transient {
			e.Class = Ambiguous
		}
	} else {
		e.Class, e.what = statusClass(res.StatusCode), "an answer without an error code"
	}
	// A 5xx does not say how far the request got, whatever its code says. Classes that never send again may stay.
	if res.StatusCode >= 500 && (e.Class == Retry || e.Class == Defer || e.Code == CodeNone) {
		e.Class = Ambiguous
	}
	return e
}

// statusClass is the class of an answer that is no JSON of Meta's: a proxy's, most likely.
func statusClass(status int) Class {
	switch {
	case status >= 500 || status == http.StatusRequestTimeout:
		return Ambiguous
	case status == http.StatusTooManyRequests:
		return Retry
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return Sender
	}
	return Bug
}

// retryAfter reads the wait an answer asks for: Retry-After in seconds or as a date, else the longest
// estimated_time_to_regain_access, in minutes, of X-Business-Use-Case-Usage.
func retryAfter(h http.Header, now time.Time) time.Duration {
	const most = 72 * time.Hour // beyond any that Meta states; a larger one is a mistake
	if v := h.Get("Retry-After"); v != "" {
		if s, err := strconv.Atoi(v); err == nil && s > 0 {
			return min(time.Duration(min(s, int(most/time.Second)))*time.Second, most)
		}
		if at, err := http.ParseTime(v); err == nil && at.After(now) {
			return min(at.Sub(now), most)
		}
	}
	var usage map[string][]struct {
		Minutes int `json:"estimated_time_to_regain_access"`
	}
	if json.Unmarshal([]byte(h.Get("X-Business-Use-Case-Usage")), &usage) != nil {
		return 0
	}
	var wait time.Duration
	for _, list := range usage {
		for _, u := range list {
			wait = max(wait, time.Duration(min(u.Minutes, int(most/time.Minute)))*time.Minute)
		}
	}
	return wait
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
