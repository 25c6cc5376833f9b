package simulator

import "time"

// window is how long after a person's last message free text may be sent. Source: Meta's page on sending messages.
const window = 24 * time.Hour

// Whoever comes by an ad and is answered within a day opens the free entry point: three days without charge. Free text still
// needs the service window. Source: Meta's page on pricing.
const (
	entryAnswer = 24 * time.Hour
	entryFree   = 72 * time.Hour
)

// outside is why free text fails outside the service window.
var outside = messageFailed{
	Code: 131047, Title: "Re-engagement message",
	Details: "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
}

// inWindow tells whether a person wrote less than 24 hours ago.
func (p *person) inWindow(now time.Time) bool { return within(now, p.wrote, window) }

// inEntry tells whether the free entry point is open, or an answer at now would open it.
func (p *person) inEntry(now time.Time) bool {
	return within(now, p.entered, entryFree) || within(now, p.arrived, entryAnswer)
}

// moved notes what a message does to the windows of a person. The caller holds mu.
func (s *Simulator) moved(who *person, m *message) {
	switch {
	case m.Direction == in:
		who.wrote = m.At
		if m.Referral != nil {
			who.arrived = m.At
		}
	case m.Status == failed:
	default:
		if within(m.At, who.arrived, entryAnswer) {
			who.entered, who.arrived = m.At, time.Time{}
		}
		if m.Outside {
			s.reach(who, m.At)
		}
	}
}
