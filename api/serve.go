package api

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"punchcard"
)

// requestTimeout bounds the work on one request: a database that is locked or away shows as 503 while the caller still waits.
const requestTimeout = 12 * time.Second

type contextKey int

const (
	requestIDKey contextKey = iota
	callerKey
	operationKey
)

// requestID is the id under which a request's log lines are found.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey).(string)
	return id
}

// caller is the name of the key that a request came with.
func caller(ctx context.Context) string {
	name, _ := ctx.Value(callerKey).(string)
	return name
}

// observe gives the request its id, and logs what became of it. The log has the route's pattern and never the path or the
// query, in which phones and tokens stand.
func (s *server) observe(c *gin.Context) {
	began := time.Now()
	id := punchcard.NewID("req")
	c.Header("X-Request-ID", id)
	c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), requestIDKey, id))
	c.Next()
	pattern := c.FullPath()
	if pattern == "" {
		pattern = "none"
	}
	level := slog.LevelInfo
	switch {
	case c.Writer.Status() >= http.StatusInternalServerError:
		level = slog.LevelWarn
	case pattern == pathHealth || pattern == pathReady:
		level = slog.LevelDebug
	}
	s.Log.LogAttrs(c.Request.Context(), level, "request",
		slog.String("method", method(c.Request.Method)), slog.String("route", pattern), slog.Int("status", c.Writer.Status()),
		slog.Duration("took", time.Since(began)), slog.String("key", caller(c.Request.Context())), slog.String("request_id", id))
}

// method is a request's method as a log may have it: callers can put anything there.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions:
		return m
	default:
		return "other"
	}
}

// rescue answers for a handler that panicked.
func (s *server) rescue(c *gin.Context) {
	ctx := c.Request.Context() // the one with the time limit is over by the time of the answer
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if err, ok := r.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(r) // the server's own way to drop a connection
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			// Whoever asked has gone, and huma panics when it cannot write to them.
			c.Abort()
			return
		}
		s.Log.ErrorContext(ctx, "a handler panicked", "panic", r, "route", c.FullPath(), "request_id", requestID(ctx), "stack", string(debug.Stack()))
		if !c.Writer.Written() {
			writeProblem(c, internalProblem(ctx))
		}
		c.Abort()
	}()
	c.Next()
}

// unescape reads path parameters as RFC 3986 writes them, and refuses what is no text in them or in the query: no database keeps it.
func unescape(c *gin.Context) {
	for name, values := range c.Request.URL.Query() {
		for _, v := range values {
			if !isText(v) {
				writeProblem(c, newProblem(punchcard.Errorf(punchcard.CodeInvalid, "that is no text").In(strings.ToValidUTF8(name, "�"))))
				return
			}
		}
	}
	for i, p := range c.Params {
		v := p.Value
		if c.Request.URL.RawPath != "" { // else net/http has read them already
			v, _ = url.PathUnescape(v) // net/http has refused what does not unescape
		}
		if !isText(v) { // nothing has such a name
			writeProblem(c, newProblem(errNoRoute))
			return
		}
		c.Params[i].Value = v
	}
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

var errNoRoute = punchcard.Errorf(punchcard.CodeNotFound, "there is nothing at this address; see /docs").Because("no_route")

// guard sets what every answer says about itself, and bounds the time of the work.
func (s *server) guard(table map[string]route) gin.HandlerFunc {
	return func(c *gin.Context) { guard(c, table[c.Request.Method+" "+c.FullPath()].long) }
}

// longTimeout bounds the work on a request that may take long.
const longTimeout = 30 * time.Minute

// The types of files of codes.
const (
	mediaCSV    = "text/csv"
	mediaNDJSON = "application/x-ndjson"
)

func guard(c *gin.Context, long bool) {
	h := c.Writer.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Cache-Control", "no-store")
	limit := requestTimeout
	if long {
		limit = longTimeout
		// A server that lets no deadline be moved keeps its own.
		_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(limit))
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), limit)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	if c.Request.Body != nil && c.Request.ContentLength != 0 {
		// Every body but a file of codes is JSON, whatever a caller's HTTP library calls it: `curl -d` says that it is a form.
		if media, _, _ := mime.ParseMediaType(c.Request.Header.Get("Content-Type")); media != mediaCSV && media != mediaNDJSON {
			c.Request.Header.Set("Content-Type", "application/json")
		}
	}
	c.Next()
}
