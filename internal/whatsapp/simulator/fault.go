package simulator

import (
	"net/http"
	"slices"
	"time"
)

// What a fault does to a send.
const (
	timeoutBefore = "timeout_before" // the message is not taken, and no answer comes
	timeoutAfter  = "timeout_after"  // the message is taken, and no answer comes
	http500       = "http_500"       // the message is not taken, and the answer is a 500 without a code
	graphCode     = "error"          // the message is not taken, and the answer is an error of this code
)

// longestHang is when a request that hangs is cut, if the caller does not. Real time.
const longestHang = time.Minute

// fault is what happens to the next sends. Faults are spent in the order in which they were set, and die with the process.
type fault struct {
	Send  string `json:"send"`
	Code  int    `json:"code,omitempty"` // of an error
	Count int    `json:"count"`          // how many sends it hits; 1 when not said
}

// throttles are the codes that come with a 429.
var throttles = []int{4, 17, 80007, 130429, 131056}

func (s *Simulator) getFaults(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	items := append([]fault{}, s.faults...)
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"items": items})
}

func (s *Simulator) postFault(w http.ResponseWriter, r *http.Request) {
	var f fault
	if !readPerson(w, r, &f) {
		return
	}
	if f.Count == 0 {
		f.Count = 1
	}
	switch {
	case !slices.Contains([]string{timeoutBefore, timeoutAfter, http500, graphCode}, f.Send):
		problem(w, http.StatusUnprocessableEntity, "send must be timeout_before, timeout_after, http_500 or error")
	case f.Send == graphCode && f.Code <= 0, f.Send != graphCode && f.Code != 0:
		problem(w, http.StatusUnprocessableEntity, "code belongs to error, and must be positive")
	case f.Count < 0 || f.Count > 1_000_000:
		problem(w, http.StatusUnprocessableEntity, "count must be from 1 to 1000000")
	default:
		s.mu.Lock()
		s.faults = append(s.faults, f)
		s.mu.Unlock()
		writeJSON(w, http.StatusCreated, f)
	}
}

func (s *Simulator) deleteFaults(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.faults = nil
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// takeFault spends one.
func (s *Simulator) takeFault() (fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == 0 {
		return fault{}, false
	}
	f := s.faults[0]
	if s.faults[0].Count--; s.faults[0].Count == 0 {
		s.faults = s.faults[1:]
	}
	return f, true
}

// fail is what a fault answers.
func (s *Simulator) fail(r *http.Request, f fault) *graphError {
	switch f.Send {
	case graphCode:
		e := &graphError{code: f.Code, title: "An error that was asked for", details: "POST /faults asked for it"}
		if slices.Contains(throttles, f.Code) {
			e.status = http.StatusTooManyRequests
		}
		return e
	case http500:
		return &graphError{status: http.StatusInternalServerError, code: 1, title: "An unknown error occurred"}
	}
	select {
	case <-r.Context().Done():
	case <-s.closed:
	case <-time.After(longestHang):
	}
	panic(http.ErrAbortHandler) // cuts the connection without an answer
}
