package whatsapp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	phone  = "+4520123456"
	secret = "a word between us two"
)

func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return New(Config{BaseURL: s.URL + "/", PhoneNumberID: "1065", AccountID: "1022", Token: "tok", HTTP: s.Client()})
}

func hello() Message { return Message{To: phone, Text: &Text{Body: secret}} }

// The answers of Meta, of proxies and of broken machines, and what may be done after each.
func TestSendErrors(t *testing.T) {
	t.Parallel()
	graph := func(code int, extra string) string {
		raw, _ := json.Marshal(code)
		return `{"error":{"message":"(#x) about ` + phone + `","code":` + string(raw) + extra + `,"error_data":{"details":"` + secret + ` to ` + phone + `"}}}`
	}
	for name, c := range map[string]struct {
		status int
		header http.Header
		body   string
		want   Error
	}{
		"throughput":                          {400, nil, graph(130429, ""), Error{Code: 130429, Class: Retry}},
		"throughput, says when":               {429, http.Header{"Retry-After": {"7"}}, graph(130429, ""), Error{Code: 130429, Class: Retry, RetryAfter: 7 * time.Second}},
		"account rate, says when":             {400, http.Header{"X-Business-Use-Case-Usage": {`{"1":[{"estimated_time_to_regain_access":3}]}`}}, graph(80007, ""), Error{Code: 80007, Class: Retry, RetryAfter: 3 * time.Minute}},
		"pair rate":                           {400, nil, graph(131056, ""), Error{Code: 131056, Class: Retry, RetryAfter: 4 * time.Second}},
		"a rate in a 5xx proves nothing":      {503, nil, graph(130429, ""), Error{Code: 130429, Class: Ambiguous}},
		"a wait in a 5xx proves nothing":      {500, nil, graph(134101, ""), Error{Code: 134101, Class: Ambiguous, RetryAfter: 10 * time.Minute}},
		"a stop in a 5xx stays one":           {500, nil, graph(134102, ""), Error{Code: 134102, Class: Sender}},
		"unknown error of Meta's":             {400, nil, graph(131000, ""), Error{Code: 131000, Class: Ambiguous}},
		"per-user cap":                        {400, nil, graph(131049, ""), Error{Code: 131049, Class: Defer, RetryAfter: 24 * time.Hour}},
		"stopped":                             {400, nil, graph(131050, ""), Error{Code: 131050, Class: OptOut}},
		"outside the window":                  {400, nil, graph(131047, ""), Error{Code: 131047, Class: Recipient}},
		"parameters":                          {400, nil, graph(132000, ""), Error{Code: 132000, Class: Template}},
		"template subcode":                    {400, nil, graph(100, `,"error_subcode":2388299`), Error{Code: 100, Subcode: 2388299, Class: Template}},
		"token":                               {401, nil, graph(190, ""), Error{Code: 190, Class: Sender}},
		"code zero":                           {401, nil, graph(0, ""), Error{Code: 0, Class: Sender}},
		"new code":                            {400, nil, graph(199999, ""), Error{Code: 199999, Class: Bug}},
		"new code, transient":                 {400, nil, graph(199999, `,"is_transient":true`), Error{Code: 199999, Class: Ambiguous}},
		"new code in a 5xx":                   {500, nil, graph(199999, `,"is_transient":true`), Error{Code: 199999, Class: Ambiguous}},
		"5xx without a body":                  {502, nil, "", Error{Code: CodeNone, Class: Ambiguous}},
		"5xx of a proxy":                      {504, nil, "<html>" + secret, Error{Code: CodeNone, Class: Ambiguous}},
		"429 of a proxy":                      {429, nil, "slow", Error{Code: CodeNone, Class: Retry}},
		"403 of a proxy":                      {403, nil, "no", Error{Code: CodeNone, Class: Sender}},
		"404 of something else":               {404, nil, "not here", Error{Code: CodeNone, Class: Bug}},
		"redirect":                            {307, http.Header{"Location": {"/elsewhere"}}, "", Error{Code: CodeNone, Class: Bug}},
		"200 that is no JSON":                 {200, nil, "<html>", Error{Code: CodeNone, Class: Ambiguous}},
		"200 cut short":                       {200, nil, `{"messages":[{"id":"wam`, Error{Code: CodeNone, Class: Ambiguous}},
		"200 without an id":                   {200, nil, `{"messages":[]}`, Error{Code: CodeNone, Class: Ambiguous}},
		"200 with a number where the id goes": {200, nil, `{"messages":[{"id":4520123456}]}`, Error{Code: CodeNone, Class: Ambiguous}},
		"200 without end":                     {200, nil, `{"x":"` + strings.Repeat("x", maxAnswer) + `"}`, Error{Code: CodeNone, Class: Ambiguous}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					t.Error("the client followed a redirect")
				}
				maps.Copy(w.Header(), c.header)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			_, err := client.Send(t.Context(), hello())
			var got *Error
			require.ErrorAs(t, err, &got)
			require.Equal(t, c.want.Class, got.Class)
			require.Equal(t, c.want.Code, got.Code)
			require.Equal(t, c.want.Subcode, got.Subcode)
			require.Equal(t, c.want.RetryAfter, got.RetryAfter)
			require.Equal(t, c.status, got.HTTPStatus)
			quiet(t, err)
			if strings.Contains(c.body, "error_data") {
				require.Contains(t, got.Details, secret, "the database may know")
			}
		})
	}
}

// quiet checks that neither the error, nor a cause of it, nor its JSON tells who or what.
func quiet(t *testing.T, err error) {
	t.Helper()
	raw, _ := json.Marshal(err)
	told := string(raw)
	for ; err != nil; err = errors.Unwrap(err) {
		told += err.Error()
	}
	for _, word := range []string{phone, phone[1:], secret, "about"} {
		require.NotContains(t, told, word)
	}
}

func TestSendUnanswered(t *testing.T) {
	t.Parallel()

	t.Run("refused connection", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		address := "http://" + l.Addr().String()
		require.NoError(t, l.Close())
		_, err = New(Config{BaseURL: address}).Send(t.Context(), hello())
		require.Equal(t, Retry, ClassOf(err))
		require.ErrorContains(t, err, "not reached at "+l.Addr().String())
		quiet(t, err)
	})
	t.Run("no such host", func(t *testing.T) {
		t.Parallel()
		dial := func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "graph.example", IsNotFound: true}}
		}
		client := New(Config{BaseURL: "http://graph.example", HTTP: &http.Client{Transport: &http.Transport{DialContext: dial}}})
		_, err := client.Send(t.Context(), hello())
		require.Equal(t, Retry, ClassOf(err))
		require.ErrorContains(t, err, "no address is known of graph.example")
	})
	t.Run("closed without an answer", func(t *testing.T) {
		t.Parallel()
		client := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		})
		_, err := client.Send(t.Context(), hello())
		require.Equal(t, Ambiguous, ClassOf(err))
		quiet(t, err)
	})
	t.Run("reset after the request", func(t *testing.T) {
		t.Parallel()
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				err = errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.Close()) // a reset, not an end
			}
			if err != nil {
				t.Error("reset the connection:", err)
			}
		})
		_, err := client.Send(t.Context(), hello())
		require.Equal(t, Ambiguous, ClassOf(err))
		quiet(t, err)
	})
	t.Run("closed in the answer", func(t *testing.T) {
		t.Parallel()
		client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"messages":[{"id":"wamid.A"}]}`)
			panic(http.ErrAbortHandler)
		})
		_, err := client.Send(t.Context(), hello())
		require.Equal(t, Ambiguous, ClassOf(err))
	})
	t.Run("the caller gives up", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		client := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			cancel()
			<-release
		})
		_, err := client.Send(ctx, hello())
		close(release)
		require.Equal(t, Ambiguous, ClassOf(err))
		require.ErrorIs(t, err, context.Canceled)
		quiet(t, err)
	})
}
