package simulator

import (
	"net/http"
	"slices"
	"time"
)

// manage is graph for calls that manage the account, of which Meta takes so many an hour: Limits.CallsPerHour.
func (s *Simulator) manage(next func(http.ResponseWriter, *http.Request) *graphError) http.HandlerFunc {
	return s.graph(func(w http.ResponseWriter, r *http.Request) *graphError {
		if refusal := s.callTooMany(w); refusal != nil {
			return refusal
		}
		return next(w, r)
	})
}

// callTooMany counts a call that manages, or refuses one too many and says in how many minutes there is room. Machines make calls, so
// it is real time.
func (s *Simulator) callTooMany(w http.ResponseWriter) *graphError {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	calls := s.rates.calls
	if old := slices.IndexFunc(calls, func(at time.Time) bool { return within(now, at, time.Hour) }); old >= 0 {
		calls = calls[old:]
	} else {
		calls = nil
	}
	if s.rates.calls = calls; s.limits.CallsPerHour == 0 || len(calls) < s.limits.CallsPerHour {
		s.rates.calls = append(s.rates.calls, now)
		return nil
	}
	minutes := int(time.Hour-now.Sub(calls[len(calls)-s.limits.CallsPerHour]))/int(time.Minute) + 1
	w.Header().Set("X-Business-Use-Case-Usage", string(encode(map[string][]object{s.opt.AccountID: {{
		"type": "whatsapp", "call_count": 100, "total_cputime": 0, "total_time": 0, "estimated_time_to_regain_access": minutes,
	}}})))
	return &graphError{status: http.StatusTooManyRequests, code: 80007, title: "Rate limit issues",
		details: "The WhatsApp Business Account has reached its rate limit of calls that manage it."}
}
