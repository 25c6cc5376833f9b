package simulator

import "time"

// held is the status of a message that waits for the assessment of its template.
const held = "held"

// heldBack is why a message that waited is dropped.
var heldBack = messageFailed{
	Code: 132015, Title: "Template is Paused",
	Details: "The message was held for quality assessment, and dropped because of negative feedback on the template.",
}

// paces tells whether a message of a template is held. The first of a new marketing template go at once; Meta looks at what
// people make of them before it lets the others go. The caller holds mu.
func (s *Simulator) paces(t *storedTemplate) bool {
	return s.limits.PaceAfter > 0 && t.Category == "MARKETING" && !t.Standing.Assessed && t.Standing.Sent >= s.limits.PaceAfter
}

// counted notes that a template's message was accepted. The caller holds mu.
func (s *Simulator) counted(m *message) {
	t := s.templates[templateKey{m.Template, m.Language}]
	if t == nil || m.Direction != out || m.Status == failed {
		return
	}
	t.Standing.Sent++
	if m.Status == held {
		if t.Standing.PaceUntil.IsZero() {
			t.Standing.PaceUntil = m.HeldUntil
		}
		s.held[t.key()] = append(s.held[t.key()], m)
	}
}

// assess releases what is held of a template, or drops it and pauses the template until somebody unpauses it. The caller
// holds mu.
func (s *Simulator) assess(t *storedTemplate) fact {
	f := fact{Template: t}
	t.Standing.PaceUntil = time.Time{}
	bad := t.rating() == yellow || t.rating() == red || t.Status != approved
	for _, m := range s.held[t.key()] {
		if m.Status != held {
			continue
		}
		if bad {
			lost := *m
			lost.Problem = &heldBack
			f.Statuses = append(f.Statuses, statusFact{ID: m.ID, Status: failed, Problem: &heldBack})
			f.Hooks = append(f.Hooks, s.statusHook(len(f.Hooks), &lost, failed))
			continue
		}
		f.Statuses = append(f.Statuses, statusFact{ID: m.ID, Status: delivered})
		f.Hooks = append(f.Hooks, s.statusHook(len(f.Hooks), m, sent))
		f.Hooks = append(f.Hooks, s.statusHook(len(f.Hooks), m, delivered))
	}
	if !bad {
		t.Standing.Assessed = true
		return f
	}
	if t.Status == approved {
		t.Status, t.Standing.PausedUntil = paused, time.Time{}
		f.Hooks = append(f.Hooks, s.templateHook(len(f.Hooks), t, paused, object{
			"other_info": object{"title": "PACING_PAUSE", "description": "The template got negative feedback while it was paced. Unpause it to use it again."},
		}))
	}
	return f
}
