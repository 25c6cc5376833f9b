package simulator

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// maxGraphBody bounds a request to the Graph side, in bytes. The longest message is far below.
const maxGraphBody = 256 << 10

// graphError is a refusal in Meta's form.
type graphError struct {
	status    int // HTTP; 0 is 400
	code      int
	subcode   int
	title     string
	details   string
	userTitle string
	userMsg   string
}

// write answers with the error.
func (e *graphError) write(w http.ResponseWriter) {
	status := e.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	var trace [16]byte
	_, _ = rand.Read(trace[:]) // never fails
	body := object{
		"message": fmt.Sprintf("(#%d) %s", e.code, e.title), "type": "OAuthException", "code": e.code,
		"fbtrace_id": "A" + base64.RawURLEncoding.EncodeToString(trace[:]),
	}
	if e.details != "" {
		body["error_data"] = object{"messaging_product": "whatsapp", "details": e.details}
	}
	if e.subcode != 0 {
		body["error_subcode"], body["is_transient"] = e.subcode, false
		body["error_user_title"], body["error_user_msg"] = e.userTitle, e.userMsg
	}
	writeJSON(w, status, object{"error": body})
}

// The refusals that have fixed words.
func invalid(details string, args ...any) *graphError {
	return &graphError{code: 100, title: "Invalid parameter", details: fmt.Sprintf(details, args...)}
}

func missing(details string, args ...any) *graphError {
	return &graphError{code: 131008, title: "Required parameter is missing", details: fmt.Sprintf(details, args...)}
}

func badValue(details string, args ...any) *graphError {
	return &graphError{code: 131009, title: "Parameter value is not valid", details: fmt.Sprintf(details, args...)}
}

var (
	versionForm = regexp.MustCompile(`^v\d{1,3}\.\d$`)
	wrongToken  = &graphError{status: http.StatusUnauthorized, code: 190, title: "Error validating access token: the token is not the simulator's"}
	unavailable = &graphError{status: http.StatusInternalServerError, code: 131000, title: "Something went wrong", details: "the simulator cannot write its journal"}
)

// noObject is Meta's answer for any id that is not there or not the caller's.
func noObject(method, id string) *graphError {
	return &graphError{
		code: 100, subcode: 33, userTitle: "Unsupported request", userMsg: "The object does not exist.",
		title: fmt.Sprintf("Unsupported %s request. Object with ID '%s' does not exist, cannot be loaded due to missing permissions, or does not support this operation.",
			strings.ToLower(method), id),
	}
}

// graph is what every request to the Graph side passes: the form of the version, and the token.
func (s *Simulator) graph(next func(http.ResponseWriter, *http.Request) *graphError) http.HandlerFunc {
	return s.graphUpTo(maxGraphBody, next)
}

// authorized tells whether a request has the Graph token.
func (s *Simulator) authorized(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(token), []byte(s.opt.Token)) == 1
}

// graphUpTo is graph for bodies of other lengths.
func (s *Simulator) graphUpTo(longest int64, next func(http.ResponseWriter, *http.Request) *graphError) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !versionForm.MatchString(r.PathValue("version")) {
			http.NotFound(w, r)
			return
		}
		if !s.authorized(r) {
			wrongToken.write(w)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, longest)
		if err := next(w, r); err != nil {
			err.write(w)
		}
	}
}

// readGraph reads a body, all of it: only then does the server notice a caller that hangs up.
func readGraph(r *http.Request) ([]byte, *graphError) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, &graphError{status: http.StatusRequestEntityTooLarge, code: 100, title: "Invalid parameter", details: "the body is too long or broke off"}
	}
	return raw, nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(encode(v), '\n')) // a caller that hung up gets no answer
}

// encode writes what this package made: strings, numbers, times, and structs, maps and lists of them.
func encode(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}
