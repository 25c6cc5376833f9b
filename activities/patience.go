package activities

import (
	"time"

	"punchcard/rules"
)

// Patience is how long a message waits that may not go now, and what happens then.
type Patience struct {
	NotNow   rules.NotNow // "": it waits
	Deadline time.Time    // zero: it waits for ever
}

// patience is what a step says of a message that was tried first at a moment.
func patience(s *rules.Step, first time.Time) Patience {
	p := Patience{NotNow: s.NotNow}
	if s.Within > 0 {
		p.Deadline = first.Add(s.Within)
	}
	return p
}

// soon are the reasons that are over within seconds: the pace at which messages go out, whatever the step says.
var soon = map[string]bool{ReasonRate: true, ReasonPairRate: true}

// Of is what becomes of a verdict. A message whose next chance comes after its deadline is given up at once, and so is one that is
// asked about too late: what a journey had to say then is out of date.
func (p Patience) Of(v Verdict, now time.Time) Verdict {
	if v.Decision == Suppress {
		return v
	}
	over := !p.Deadline.IsZero() && now.After(p.Deadline)
	if v.Decision != Send && !soon[v.Reason] {
		switch p.NotNow {
		case rules.NotNowSkip:
			return Verdict{Suppress, v.Reason, time.Time{}}
		case rules.NotNowEnd:
			return Verdict{End, v.Reason, time.Time{}}
		case rules.NotNowWait:
		}
	}
	if over || v.Decision == Defer && !p.Deadline.IsZero() && v.Until.After(p.Deadline) {
		return Verdict{Suppress, ReasonDeadline, time.Time{}}
	}
	return v
}
