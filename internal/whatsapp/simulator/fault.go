package simulator

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// What a fault does to a send.
const (
	timeoutBefore = "timeout_before" // the message is not taken, and no answer comes
	timeoutAfter  = "timeout_after"  // the message is taken, and no answer comes
	http500       = "http_500"       // the message is not taken, and the answer is a 500 without a code of use
	http500After  = "http_500_after" // the message is taken, and the answer is the same
	graphCode     = "error"          // the message is not taken, and the answer is an error of Code
	failedLater   = "failed"         // the message is taken, and a webhook says that it failed with Code
)

// What a fault does to a webhook. The ways are in webhook_fault.go.
const (
	dropped       = "drop"
	doubled       = "double"
	delayed       = "delay"
	reordered     = "reorder"
	batched       = "batch"
	skipDelivered = "skip_delivered"
	early         = "early"
	noPhone       = "no_phone"
)

// What a fault does to a person who writes.
const (
	newUserID = "new_user_id"
	newNumber = "new_number"
)

// longestHang is when a request that hangs is cut, if the caller does not. Real time.
const longestHang = time.Minute

// fault is something that goes wrong with what comes next: with a send, a webhook or a person, of which one is set. Faults are
// tried in the order in which they were set, and die with the process; what they did to a webhook is in the journal.
type fault struct {
	Send    string  `json:"send,omitempty"`
	Webhook string  `json:"webhook,omitempty"`
	Person  string  `json:"person,omitempty"`
	Code    *int    `json:"code,omitempty"`   // of error and failed
	About   string  `json:"about,omitempty"`  // only webhooks about this: sent, delivered, read, failed, message, other
	Delay   Span    `json:"delay,omitzero"`   // of delay; of batch, how long it gathers. Real time
	Size    int     `json:"size,omitempty"`   // of batch: how many updates a POST has at most
	Phone   string  `json:"phone,omitempty"`  // only of this person; empty is anybody
	Count   int     `json:"count,omitempty"`  // how many it hits yet; 1 when neither it nor chance is said, and no end when only chance is
	Chance  float64 `json:"chance,omitempty"` // how likely it hits each, from 0 to 1; 0 is always
	Seed    uint64  `json:"seed,omitempty"`   // of chance

	seen map[string]uint64 // how many it was tried on, by phone
}

// sendFaults, webhookFaults and personFaults are what there is.
var (
	sendFaults    = []string{timeoutBefore, timeoutAfter, http500, http500After, graphCode, failedLater}
	webhookFaults = []string{dropped, doubled, delayed, reordered, batched, skipDelivered, early, noPhone}
	personFaults  = []string{newUserID, newNumber}
	abouts        = []string{"", sent, delivered, read, failed, "message", "other"}
)

// maxBatch is how many updates a webhook of Meta's has at most. Source: Meta's page on webhooks.
const maxBatch = 1000

// check completes a fault, or says what is wrong with it.
func (f *fault) check() string {
	set := 0
	for _, x := range []struct {
		what    string
		allowed []string
	}{{f.Send, sendFaults}, {f.Webhook, webhookFaults}, {f.Person, personFaults}} {
		if x.what != "" {
			set++
			if !slices.Contains(x.allowed, x.what) {
				return fmt.Sprintf("%q must be one of %q", x.what, x.allowed)
			}
		}
	}
	coded := f.Send == graphCode || f.Send == failedLater
	switch {
	case set != 1:
		return "exactly one of send, webhook and person is needed"
	case coded == (f.Code == nil) || f.Code != nil && *f.Code < 0:
		return "code belongs to error and failed, and must not be negative"
	case f.About != "" && f.Webhook == "" || !slices.Contains(abouts, f.About):
		return fmt.Sprintf("about belongs to webhook, and must be one of %q", abouts[1:])
	case f.Delay != 0 && f.Webhook != delayed && f.Webhook != batched:
		return "delay belongs to delay and batch"
	case f.Webhook == delayed && f.Delay == 0:
		return "delay needs to know how long: delay, such as 2s"
	case f.Size != 0 && f.Webhook != batched, f.Size < 0 || f.Size > maxBatch:
		return "size belongs to batch, and must be from 1 to 1000"
	case f.Count < 0 || f.Count > 1_000_000:
		return "count must be from 1 to 1000000"
	case f.Chance < 0 || f.Chance > 1:
		return "chance must be from 0 to 1"
	case f.Seed != 0 && f.Chance == 0:
		return "seed belongs to chance"
	}
	if f.Phone != "" {
		phone, ok := parsePhone(f.Phone)
		if !ok {
			return "phone must be a phone number in E.164, such as +4520123456"
		}
		f.Phone = phone
	}
	if f.Count == 0 && f.Chance == 0 {
		f.Count = 1
	}
	if f.Webhook == batched && f.Size == 0 {
		f.Size = maxBatch
	}
	f.seen = map[string]uint64{}
	return ""
}

func (s *Simulator) getFaults(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	items := make([]fault, 0, len(s.faults))
	for _, f := range s.faults {
		items = append(items, *f)
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"items": items})
}

func (s *Simulator) postFault(w http.ResponseWriter, r *http.Request) {
	var f fault
	if !readPerson(w, r, &f) {
		return
	}
	if why := f.check(); why != "" {
		problem(w, http.StatusUnprocessableEntity, why)
		return
	}
	s.mu.Lock()
	s.faults = append(s.faults, &f)
	answer := f
	s.mu.Unlock()
	writeJSON(w, http.StatusCreated, answer)
}

func (s *Simulator) deleteFaults(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.faults = nil
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// strike tells whether a fault hits a person's next thing, and spends it. It depends on the seed, the person and how many of
// theirs there were, and so not on what happens to others meanwhile. The caller holds mu.
func (s *Simulator) strike(f *fault, phone string) bool {
	if f.Phone != "" && f.Phone != phone {
		return false
	}
	if f.Chance > 0 {
		nth := f.seen[phone]
		if f.Webhook != noPhone { // which is so of a person, or is not
			f.seen[phone]++
		}
		if draw(f.Seed, phone, nth) >= f.Chance {
			return false
		}
	}
	if f.Count > 0 {
		if f.Count--; f.Count == 0 {
			s.faults = slices.DeleteFunc(slices.Clone(s.faults), func(x *fault) bool { return x == f })
		}
	}
	return true
}

// draw is a number from 0 to 1 that looks like chance, and is the same each time.
func draw(seed uint64, phone string, nth uint64) float64 {
	sum := sha256.Sum256([]byte(strconv.FormatUint(seed, 10) + "/" + phone + "/" + strconv.FormatUint(nth, 10)))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}

// sendFault is what goes wrong with a send of this body; Send is empty when nothing does.
func (s *Simulator) sendFault(raw []byte) fault {
	var to struct {
		To        string `json:"to"`
		Recipient string `json:"recipient"`
	}
	_ = json.Unmarshal(raw, &to) // what cannot be read is refused later, and until then is for nobody
	s.mu.Lock()
	defer s.mu.Unlock()
	phone, ok := parsePhone(to.To)
	if !ok {
		phone = ""
		if who := s.userIDs[to.Recipient]; who != nil {
			phone = who.Phone
		}
	}
	for _, f := range s.faults {
		if f.Send != "" && s.strike(f, phone) {
			return *f
		}
	}
	return fault{}
}

// asked is how a message fails because a fault says so; nil when it does not.
func (f *fault) asked() *messageFailed {
	if f.Send != failedLater {
		return nil
	}
	return &messageFailed{Code: *f.Code, Title: "An error that was asked for", Details: "POST /faults asked for it."}
}

// takes tells whether the message is taken before the fault strikes.
func (f *fault) takes() bool {
	return f.Send == "" || f.Send == timeoutAfter || f.Send == http500After || f.Send == failedLater
}

// statusOf is the HTTP status that Meta gives a code.
func statusOf(code int) int {
	switch {
	case slices.Contains([]int{4, 17, 80007, 130429, 131056}, code):
		return http.StatusTooManyRequests
	case code == 0 || code == 190:
		return http.StatusUnauthorized
	case code == 3 || code == 10 || code >= 200 && code <= 299 || code == 368 || code == 130403 || code == 131005 || code == 131031:
		return http.StatusForbidden
	case slices.Contains([]int{1, 131000, 134102}, code):
		return http.StatusInternalServerError
	case slices.Contains([]int{2, 131016, 133004}, code):
		return http.StatusServiceUnavailable
	case code == 132001:
		return http.StatusNotFound
	}
	return http.StatusBadRequest
}

// fail is what a fault answers.
func (s *Simulator) fail(r *http.Request, f fault) *graphError {
	switch f.Send {
	case graphCode:
		return &graphError{status: statusOf(*f.Code), code: *f.Code, title: "An error that was asked for", details: "POST /faults asked for it"}
	case http500, http500After:
		return &graphError{status: http.StatusInternalServerError, code: 1, title: "An unknown error occurred"}
	}
	select {
	case <-r.Context().Done():
	case <-s.closed:
	case <-time.After(longestHang):
	}
	panic(http.ErrAbortHandler) // cuts the connection without an answer
}
