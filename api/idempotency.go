package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"punchcard"
	"punchcard/internal/store"
)

// inFlight are the keys of requests that are being worked on in this process.
type inFlight struct {
	mu   sync.Mutex
	keys map[string]bool
}

func (f *inFlight) begin(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys[key] {
		return false
	}
	if f.keys == nil {
		f.keys = map[string]bool{}
	}
	f.keys[key] = true
	return true
}

func (f *inFlight) end(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, key)
}

// maxIdempotencyKey bounds an Idempotency-Key, in bytes.
const maxIdempotencyKey = 200

// headerIdempotency is the request's header, and headerReplayed says that an answer was given before.
const (
	headerIdempotency = "Idempotency-Key"
	headerReplayed    = "Idempotency-Replayed"
)

// once gives the same answer again to a request that bears the Idempotency-Key of an earlier one, where the route's line says
// so. Keys are the caller's own: another API key's are others.
//
// What is promised: once an answer was given, the same key and body get that answer, and the same key with another body gets
// 422. Only what did nothing is not kept, and judged anew: a failure of ours, and a request that was not of the form. A second
// request while the first is worked on by this process gets 409.
//
// The answer is stored just after what it answers, so a crash between the two, or two processes that get the same key at the
// same moment, ask for the operation again. That is safe: a run, a redemption and a capture bear the hash of the key and body they were
// asked for with, and are found by it (see requestKey); an approval that was decided refuses to be decided again.
func (s *server) once(table map[string]route) gin.HandlerFunc {
	return func(c *gin.Context) {
		key := c.GetHeader(headerIdempotency)
		r := table[c.Request.Method+" "+c.FullPath()]
		if key == "" || !r.idempotent {
			return
		}
		if len(key) > maxIdempotencyKey || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			s.refuse(c, punchcard.Errorf(punchcard.CodeInvalid, "at most %d visible ASCII characters", maxIdempotencyKey).In(headerIdempotency))
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, r.bodyLimit()))
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			s.refuse(c, punchcard.Errorf(punchcard.CodeTooLarge, "the body is too large"))
			return
		}
		if err != nil {
			s.refuse(c, malformed("the body could not be read"))
			return
		}
		c.Request.Body = io.NopCloser(bytes.NewReader(body))
		ctx := c.Request.Context()
		sum := sha256.Sum256(body)
		hash, name := hex.EncodeToString(sum[:]), caller(ctx)+" "+c.Request.Method+" "+c.Request.URL.EscapedPath()

		if !s.inFlight.begin(name + "\n" + key) {
			s.refuse(c, punchcard.Errorf(punchcard.CodeConflict, "a request with this key is being worked on; ask again for its answer").
				In(headerIdempotency).Because("in_progress"))
			return
		}
		defer s.inFlight.end(name + "\n" + key)
		before, err := s.Store.View(ctx).IdempotentAnswer(key, name)
		switch {
		case err != nil:
			s.refuse(c, err)
			return
		case before != nil && before.RequestHash != hash:
			s.refuse(c, punchcard.Errorf(punchcard.CodeInvalid, "this key came before with another body").In(headerIdempotency).Because("key_reused"))
			return
		case before != nil:
			contentType := "application/json"
			if before.Status >= http.StatusBadRequest {
				contentType = problemType
			}
			c.Header(headerReplayed, "true")
			c.Data(before.Status, contentType, []byte(before.Body))
			c.Abort()
			return
		}
		c.Request = c.Request.WithContext(withRequestKey(ctx, name+"\n"+key+"\n"+hash))
		held := &heldAnswer{ResponseWriter: c.Writer}
		c.Writer = held
		func() {
			defer func() { c.Writer = held.ResponseWriter }() // also for whoever answers after a panic
			c.Next()
		}()
		status := c.Writer.Status()
		if isDecision(status) {
			// Kept before it is given: an answer that the caller has seen is always given again.
			err := s.Store.Update(ctx, func(tx *store.Tx) error {
				_, err := tx.KeepAnswer(&store.IdempotencyKey{Key: key, Route: name, RequestHash: hash, Status: status, Body: held.body.String()})
				return err
			})
			if err != nil {
				s.Log.WarnContext(ctx, "an answer could not be kept for its Idempotency-Key", "error", err, "request_id", requestID(ctx))
			}
		}
		_, _ = c.Writer.Write(held.body.Bytes()) // whoever asked may have gone
	}
}

// withRequestKey keeps a hash of all that makes two requests the same for the operation.
func withRequestKey(ctx context.Context, identity string) context.Context {
	sum := sha256.Sum256([]byte(identity))
	return context.WithValue(ctx, operationKey, hex.EncodeToString(sum[:]))
}

// requestKey is the name under which an operation is done once; "" when the request bore no Idempotency-Key.
func requestKey(ctx context.Context) string {
	key, _ := ctx.Value(operationKey).(string)
	return key
}

// isDecision tells whether an answer is given again: it says what was done, or that it was decided not to.
func isDecision(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return false
	default:
		return status < http.StatusInternalServerError
	}
}

// heldAnswer keeps an answer's body back.
type heldAnswer struct {
	gin.ResponseWriter
	body bytes.Buffer
}

func (w *heldAnswer) Write(b []byte) (int, error)       { return w.body.Write(b) }
func (w *heldAnswer) WriteString(s string) (int, error) { return w.body.WriteString(s) }
func (w *heldAnswer) WriteHeaderNow()                   {}
func (w *heldAnswer) Flush()                            {}
func (w *heldAnswer) Written() bool                     { return w.body.Len() > 0 }
