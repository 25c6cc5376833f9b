package simulator

import (
	"net/http"
	"time"
)

// waiting is the status of a message to a phone that is off: Meta says sent, and tries until its time is over.
const waiting = "waiting"

// How long a message is tried when its template does not say: Meta's defaults. Source: Meta's page on time-to-live.
const (
	defaultLife        = 30 * 24 * time.Hour
	authenticationLife = 10 * time.Minute
)

// lifetime is how long a message is tried. t is its template, nil without one.
func lifetime(t *storedTemplate) time.Duration {
	switch {
	case t != nil && t.TTL > 0:
		return time.Duration(t.TTL) * time.Second
	case t != nil && t.Category == "AUTHENTICATION" && t.TTL == 0:
		return authenticationLife
	}
	return defaultLife
}

// arrive delivers what waited for a phone that is on again. What was tried for too long is gone, and no webhook says so. The
// caller holds mu.
func (s *Simulator) arrive(who *person, f *fact) {
	now := s.now()
	for _, m := range who.chat {
		if m.Status == waiting && now.Before(m.TryUntil) {
			f.Statuses = append(f.Statuses, statusFact{ID: m.ID, Status: delivered})
			f.Hooks = append(f.Hooks, s.statusHook(len(f.Hooks), m, delivered))
		}
	}
}

// postOff is a person who switches their phone off, or on again.
func (s *Simulator) postOff(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Off *bool `json:"off"`
	}
	who, ok := s.aPerson(w, r, &body)
	if !ok {
		return
	}
	defer s.mu.Unlock()
	switch {
	case body.Off == nil:
		problem(w, http.StatusBadRequest, "off must be true or false")
		return
	case *body.Off == who.Off:
		writeJSON(w, http.StatusOK, viewPerson(who))
		return
	}
	f := fact{Person: &personFact{Phone: who.Phone, Off: body.Off}}
	if !*body.Off {
		s.arrive(who, &f)
	}
	s.done(w, who, f)
}
