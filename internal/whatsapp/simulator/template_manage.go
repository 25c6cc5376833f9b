package simulator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// applyTemplate keeps a template, new or changed. The caller holds mu.
func (s *Simulator) applyTemplate(t *storedTemplate) {
	if had := s.templates[t.key()]; had == nil {
		s.listed = append(s.listed, t)
		s.made = append(slices.DeleteFunc(s.made, func(at time.Time) bool { return !within(t.Standing.CreatedAt, at, time.Hour) }), t.Standing.CreatedAt)
	} else {
		s.listed[slices.Index(s.listed, had)] = t
	}
	s.templates[t.key()] = t
	if t.Standing.PaceUntil.IsZero() {
		delete(s.held, t.key())
	}
}

// readSpec reads and checks a template of the business's.
func readSpec(r *http.Request) (templateSpec, *graphError) {
	var spec templateSpec
	raw, refusal := readGraph(r)
	if refusal != nil {
		return spec, refusal
	}
	if json.Unmarshal(raw, &spec) != nil {
		return spec, invalid("the body is not a template")
	}
	return spec, nil
}

// postTemplate keeps a new template, and reviews it.
func (s *Simulator) postTemplate(w http.ResponseWriter, r *http.Request) *graphError {
	if id := r.PathValue("id"); id != s.opt.AccountID {
		return noObject(r.Method, id)
	}
	spec, refusal := readSpec(r)
	if refusal == nil {
		refusal = checkSpec(&spec)
	}
	if refusal != nil {
		return refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	thisHour := 0
	for _, at := range s.made { // one that was deleted counts
		if within(now, at, time.Hour) {
			thisHour++
		}
	}
	if refusal := s.checkSamples(spec.Components); refusal != nil {
		return refusal
	}
	switch {
	case s.templates[templateKey{spec.Name, spec.Language}] != nil:
		return refused(2388024, "Content in This Language Already Exists",
			"There is already %s content for this template. You can create a new template and try again.", spec.Language)
	case len(s.listed) >= s.limits.Templates:
		return refused(2388019, "Message Template Limit Exceeded", "The account may have %d templates. Delete one to make another.", s.limits.Templates)
	case s.limits.TemplatesPerHour > 0 && thisHour >= s.limits.TemplatesPerHour:
		return &graphError{status: http.StatusTooManyRequests, code: 80007, title: "Rate limit issues",
			details: fmt.Sprintf("The account may make %d templates in an hour.", s.limits.TemplatesPerHour)}
	}
	t := &storedTemplate{templateSpec: spec, ID: strconv.FormatInt(1_000_000_000_000_000+rand.Int64N(8_000_000_000_000_000), 10)}
	t.Standing.CreatedAt = now
	if s.commit(s.submit(t, now)) != nil {
		return unavailable
	}
	writeJSON(w, http.StatusOK, object{"id": t.ID, "status": pending, "category": spec.Category})
	return nil
}

// submit is a template that goes to review. Without a time to review, what follows is decided in the same fact. The caller
// holds mu.
func (s *Simulator) submit(t *storedTemplate, now time.Time) fact {
	t.Status, t.Standing.ReviewAt = pending, now.Add(time.Duration(s.limits.Review))
	if s.limits.Review == 0 {
		return s.review(t, now)
	}
	return fact{Template: t}
}

// byID finds a template. The caller holds mu.
func (s *Simulator) byID(id string) *storedTemplate {
	at := slices.IndexFunc(s.listed, func(t *storedTemplate) bool { return t.ID == id })
	if at < 0 {
		return nil
	}
	return s.listed[at]
}

// postObject edits a template: POST /{template id}.
func (s *Simulator) postObject(w http.ResponseWriter, r *http.Request) *graphError {
	spec, refusal := readSpec(r)
	if refusal != nil {
		return refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	had := s.byID(r.PathValue("id"))
	switch {
	case had == nil:
		return noObject(r.Method, r.PathValue("id"))
	case spec.Name != "" && spec.Name != had.Name || spec.Language != "" && spec.Language != had.Language:
		return invalid("The name and the language of a template cannot be changed.")
	case !slices.Contains([]string{approved, rejected, paused}, had.Status):
		return refused(2388039, "Message Template Status Can't Be Changed", "Only an APPROVED, REJECTED or PAUSED template can be edited.")
	case had.Status == approved && spec.Category != "" && !strings.EqualFold(spec.Category, had.Category):
		return invalid("The category of an APPROVED template cannot be changed.")
	}
	next := *had
	spec.Name, spec.Language = had.Name, had.Language
	if spec.Category == "" {
		spec.Category = had.Category
	}
	if spec.ParameterFormat == "" {
		spec.ParameterFormat = had.ParameterFormat
	}
	if spec.TTL == 0 {
		spec.TTL = had.TTL
	}
	if spec.Components == nil {
		spec.Components = had.Components
	}
	if refusal := first(checkSpec(&spec), s.checkSamples(spec.Components)); refusal != nil {
		return refusal
	}
	next.templateSpec = spec
	next.Standing.PausedUntil, next.Standing.Negatives = time.Time{}, 0
	if s.commit(s.submit(&next, s.now())) != nil {
		return unavailable
	}
	writeJSON(w, http.StatusOK, object{"success": true})
	return nil
}

// postUnpause ends the pause of a template that was paused by pacing. One that rests for its quality comes back by itself.
func (s *Simulator) postUnpause(w http.ResponseWriter, r *http.Request) *graphError {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	t := s.byID(r.PathValue("id"))
	switch {
	case t == nil:
		return noObject(r.Method, r.PathValue("id"))
	case t.Status != paused || !t.Standing.PausedUntil.IsZero():
		writeJSON(w, http.StatusOK, object{"success": false, "reason": "The template is not paused by pacing."})
		return nil
	}
	next := *t
	next.Status = approved
	next.Standing.Sent, next.Standing.Negatives, next.Standing.Quality = 0, 0, unknown
	if s.commit(fact{Template: &next, Hooks: []hook{s.templateHook(0, &next, approved, nil)}}) != nil {
		return unavailable
	}
	writeJSON(w, http.StatusOK, object{"success": true})
	return nil
}

// deleteTemplates deletes a template in all languages by its name, or in one by name and hsm_id.
func (s *Simulator) deleteTemplates(w http.ResponseWriter, r *http.Request) *graphError {
	if id := r.PathValue("id"); id != s.opt.AccountID {
		return noObject(r.Method, id)
	}
	name, id := r.URL.Query().Get("name"), r.URL.Query().Get("hsm_id")
	if name == "" {
		return missing("The parameter name is required.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for _, t := range slices.Clone(s.listed) {
		if t.Name != name || id != "" && id != t.ID {
			continue
		}
		found = true
		key := t.key()
		if s.commit(fact{Gone: &key, Hooks: []hook{s.templateHook(0, t, "DELETED", nil)}}) != nil {
			return unavailable
		}
	}
	if !found {
		return refused(2593002, "Message Template Not Found", "There is no such template to delete.")
	}
	writeJSON(w, http.StatusOK, object{"success": true})
	return nil
}

// view is a template as the Graph side shows it.
func (t *storedTemplate) view() object {
	v := object{
		"id": t.ID, "name": t.Name, "language": t.Language, "category": t.Category, "status": t.Status, "components": t.Components,
		"quality_score": object{"score": t.rating()},
	}
	if t.ParameterFormat != "" {
		v["parameter_format"] = t.ParameterFormat
	}
	if t.TTL != 0 {
		v["message_send_ttl_seconds"] = t.TTL
	}
	if t.RejectedReason != "" {
		v["rejected_reason"] = t.RejectedReason
	}
	return v
}

// getTemplates lists templates, by name, language, category and status where asked, in pages.
func (s *Simulator) getTemplates(w http.ResponseWriter, r *http.Request) *graphError {
	if id := r.PathValue("id"); id != s.opt.AccountID {
		return noObject(r.Method, id)
	}
	q := r.URL.Query()
	limit, from := 25, 0
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return invalid("Param limit must be a positive number.")
		}
		limit = min(n, 1000)
	}
	if v := q.Get("after"); v != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(v, "after-"))
		if err != nil || n < 0 {
			return &graphError{code: 131059, title: "Invalid pagination cursor"}
		}
		from = n
	}
	s.mu.Lock()
	s.settle()
	found := []object{}
	for _, t := range s.listed {
		if asked(q, "name", t.Name) && asked(q, "language", t.Language) && asked(q, "status", t.Status) && asked(q, "category", t.Category) &&
			asked(q, "quality_score", t.rating()) {
			found = append(found, t.view())
		}
	}
	s.mu.Unlock()
	from = min(from, len(found))
	end := min(from+limit, len(found))
	paging := object{"cursors": object{"before": "after-" + strconv.Itoa(from), "after": "after-" + strconv.Itoa(end)}}
	if end < len(found) {
		q.Set("after", "after-"+strconv.Itoa(end))
		next := url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawQuery: q.Encode()}
		paging["next"] = next.String()
	}
	writeJSON(w, http.StatusOK, object{"data": found[from:end], "paging": paging})
	return nil
}

// asked tells whether a filter of a list lets a value through: it names it, or a list with it, or nothing.
func asked(q url.Values, filter, value string) bool {
	want := q.Get(filter)
	if want == "" || want == value {
		return true
	}
	var many []string
	return json.Unmarshal([]byte(want), &many) == nil && slices.Contains(many, value)
}
