package simulator

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The statuses of a template.
const (
	pending  = "PENDING"
	approved = "APPROVED"
	rejected = "REJECTED"
	paused   = "PAUSED"
	disabled = "DISABLED"
)

// The ratings of quality.
const (
	unknown = "UNKNOWN" // too young for a rating
	green   = "GREEN"
	yellow  = "YELLOW"
	red     = "RED"
)

// pauses are how long a template rests each time that its quality is RED; the next time it is disabled. Source: Meta's page on
// template pausing.
var pauses = []time.Duration{3 * time.Hour, 6 * time.Hour}

// standing is what Meta thinks of a template. The zero time is none.
type standing struct {
	CreatedAt   time.Time `json:"created_at,omitzero"`
	ReviewAt    time.Time `json:"review_at,omitzero"`   // a PENDING one is decided then
	ApprovedAt  time.Time `json:"approved_at,omitzero"` // the first time
	PausedUntil time.Time `json:"paused_until,omitzero"`
	Pauses      int       `json:"pauses,omitempty"`
	Quality     string    `json:"quality,omitempty"`
	Negatives   int       `json:"negatives,omitempty"` // people who blocked or reported after it, since the last pause
	Sent        int       `json:"sent,omitempty"`      // messages that were accepted since its approval
	PaceUntil   time.Time `json:"pace_until,omitzero"` // what is held is released or dropped then
	Assessed    bool      `json:"assessed,omitempty"`  // pacing is over
	Category    string    `json:"category,omitempty"`  // that it will have
	CategoryAt  time.Time `json:"category_at,omitzero"`
}

// rating is the quality of a template, UNKNOWN when it has none.
func (t *storedTemplate) rating() string {
	if t.Standing.Quality == "" {
		return unknown
	}
	return t.Standing.Quality
}

// feedback counts a person who blocked or reported the business against the template that they saw last. The caller holds mu.
func (s *Simulator) feedback(f personFact) {
	if !f.Reported && (f.Blocked == nil || !*f.Blocked) {
		return
	}
	for _, m := range slices.Backward(s.person(f.Phone).chat) {
		if m.Direction == out && m.Type == "template" && (m.Status == delivered || m.Status == read) {
			if t := s.templates[templateKey{m.Template, m.Language}]; t != nil {
				t.Standing.Negatives++
			}
			return
		}
	}
}

// settle does what the business's time, and what people did, have made due. The caller holds mu.
func (s *Simulator) settle() {
	if s.settling {
		return // commit calls it, and it calls commit
	}
	s.settling = true
	defer func() { s.settling = false }()
	now := s.now()
	if f, due := s.grown(now); due && s.commit(f) != nil {
		return
	}
	for _, t := range slices.Clone(s.listed) {
		for range 4 { // one thing leads to the next: a rating to a pause
			f, due := s.dueOf(s.templates[t.key()], now)
			if !due {
				break
			}
			if s.commit(f) != nil {
				return
			}
		}
	}
}

// dueOf is the next thing that happens to a template. The caller holds mu.
func (s *Simulator) dueOf(t *storedTemplate, now time.Time) (fact, bool) {
	if t == nil {
		return fact{}, false
	}
	next := *t
	st := &next.Standing
	passed := func(at time.Time) bool { return !at.IsZero() && !now.Before(at) }
	switch {
	case t.Status == pending && passed(st.ReviewAt):
		return s.review(&next, now), true
	case t.Status == paused && passed(st.PausedUntil):
		next.Status, st.PausedUntil, st.Quality, st.Negatives = approved, time.Time{}, "", 0
		return fact{Template: &next, Hooks: []hook{s.templateHook(0, &next, approved, nil)}}, true
	case t.Status == approved && s.limits.RedAt > 0 && st.Negatives >= s.limits.RedAt && t.rating() != red:
		st.Quality = red
		f := fact{Template: &next, Hooks: []hook{s.qualityHook(0, t, red)}}
		return s.pause(f, now), true
	case t.Status == approved && s.limits.YellowAt > 0 && st.Negatives >= s.limits.YellowAt && t.rating() != yellow && t.rating() != red:
		st.Quality = yellow
		return fact{Template: &next, Hooks: []hook{s.qualityHook(0, t, yellow)}}, true
	case passed(st.PaceUntil):
		return s.assess(&next), true
	case passed(st.CategoryAt):
		was := next.Category
		next.Category, st.Category, st.CategoryAt = st.Category, "", time.Time{}
		value := next.named()
		value["previous_category"], value["new_category"] = was, next.Category
		return fact{Template: &next, Hooks: []hook{s.accountHook(0, "template_category_update", value)}}, true
	}
	return fact{}, false
}

// review decides on a template.
func (s *Simulator) review(t *storedTemplate, now time.Time) fact {
	t.Standing.ReviewAt = time.Time{}
	if word := s.limits.RejectContaining; word != "" && t.contains(word) {
		t.Status, t.RejectedReason = rejected, "INVALID_FORMAT"
		return fact{Template: t, Hooks: []hook{s.templateHook(0, t, rejected, object{
			"reason": "INVALID_FORMAT",
			"rejection_info": object{
				"reason": "The template has a word that the simulator was told to reject.", "recommendation": "Write it without that word.",
			},
		})}}
	}
	t.Status, t.Standing.Quality, t.RejectedReason = approved, unknown, ""
	if t.Standing.ApprovedAt.IsZero() {
		t.Standing.ApprovedAt = now
	}
	return fact{Template: t, Hooks: []hook{s.templateHook(0, t, approved, nil)}}
}

// contains tells whether a word is in a template's name or in its texts.
func (t *storedTemplate) contains(word string) bool {
	if strings.Contains(t.Name, word) {
		return true
	}
	return slices.ContainsFunc(t.Components, func(c templateComponent) bool { return strings.Contains(c.Text, word) })
}

// pause rests the template of a fact for its quality, or disables it when it rested twice.
func (s *Simulator) pause(f fact, now time.Time) fact {
	t := f.Template
	st := &t.Standing
	if st.Pauses == len(pauses) {
		t.Status = disabled
		f.Hooks = append(f.Hooks, s.templateHook(len(f.Hooks), t, disabled, object{
			"disable_info": object{"disable_date": unix(now)},
			"other_info":   object{"title": "DISABLED", "description": "The template was paused twice for low quality, and has low quality again."},
		}))
		return f
	}
	t.Status, st.PausedUntil = paused, now.Add(pauses[st.Pauses])
	title := []string{"FIRST_PAUSE", "SECOND_PAUSE"}[st.Pauses]
	st.Pauses++
	f.Hooks = append(f.Hooks, s.templateHook(len(f.Hooks), t, paused, object{
		"other_info": object{"title": title, "description": "The template has low quality. It can be sent again in " + pauses[st.Pauses-1].String() + "."},
	}))
	return f
}

// templateHook tells of a template's status. The caller holds mu.
func (s *Simulator) templateHook(n int, t *storedTemplate, event string, more object) hook {
	value := t.named()
	value["event"], value["message_template_category"], value["reason"] = event, t.Category, "NONE"
	maps.Copy(value, more)
	return s.accountHook(n, "message_template_status_update", value)
}

// qualityHook tells of a template's new rating. The caller holds mu.
func (s *Simulator) qualityHook(n int, t *storedTemplate, rating string) hook {
	value := t.named()
	value["previous_quality_score"], value["new_quality_score"] = t.rating(), rating
	return s.accountHook(n, "message_template_quality_update", value)
}

// named says which template a webhook is about. Its id is a number here, and nowhere else.
func (t *storedTemplate) named() object {
	id, _ := strconv.ParseInt(t.ID, 10, 64) // we made it
	return object{"message_template_id": id, "message_template_name": t.Name, "message_template_language": t.Language}
}
