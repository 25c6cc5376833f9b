package workflows

import (
	"fmt"
	"strings"

	"punchcard/rules"
)

// storyLines is how many lines of a run's story are kept.
const storyLines = 40

// story is what a run has been through, a line a step, for whoever looks at it in Temporal's pages. It is made of labels, outcomes
// and codes, so it holds no personal data.
type story struct {
	lines []string
}

func (s *story) linef(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
	if over := len(s.lines) - storyLines; over > 0 {
		s.lines = append([]string(nil), s.lines[over:]...)
	}
}

// add tells what an effect came to.
func (s *story) add(label string, r rules.Result) {
	what := string(r.Reply)
	if r.Reply == rules.ReplyDone && r.Outcome != "" {
		what = r.Outcome
	}
	if r.Code != "" {
		what += " (" + r.Code + ")"
	}
	s.linef("**%s**: %s", label, what)
}

// elapsed tells that a wait's time is over.
func (s *story) elapsed(label string, phase rules.Phase) {
	if phase == rules.PhaseDeferred {
		return // the effect is asked for again, and that is told
	}
	s.linef("**%s**: time is over", label)
}

// heard tells of a signal, unless it was heard before.
func (s *story) heard(sig rules.Signal, upTo int) {
	if sig.N <= upTo {
		return
	}
	what := string(sig.Kind)
	if sig.Outcome != "" {
		what += ": " + sig.Outcome
	}
	if sig.Count > 0 {
		what += fmt.Sprintf(" (%d)", sig.Count)
	}
	s.linef("heard %d, %s", sig.N, what)
}

// markdown is the story and, after it, what the run is about now.
func (s *story) markdown(now string) string {
	var b strings.Builder
	for _, l := range s.lines {
		b.WriteString("- " + l + "\n")
	}
	b.WriteString("\n" + now + "\n")
	return b.String()
}

// label is what a person calls the node at which the run stands.
func (r *runner) label() string {
	if label := r.cursor.Node().Label; label != "" {
		return label
	}
	return r.cursor.State().Node
}

// now says in a sentence what the run is about.
func (r *runner) now(move rules.Move) string {
	label := r.label()
	switch move.Kind {
	case rules.MoveEnded:
		return fmt.Sprintf("Ended: **%s**.", move.Outcome)
	case rules.MoveDo:
		if r.tries > 0 {
			return fmt.Sprintf("Trying again: **%s**; our database did not answer.", label)
		}
		return fmt.Sprintf("Doing: **%s**.", label)
	case rules.MoveWait:
	}
	switch r.cursor.State().Phase {
	case rules.PhaseDeferred:
		return fmt.Sprintf("Waiting %s, then again: **%s**.", move.Wait, label)
	case rules.PhaseHeld:
		return fmt.Sprintf("Held before **%s**: the journey is paused, or what it would send may not go yet.", label)
	case rules.PhaseStuck:
		return fmt.Sprintf("Stuck at **%s**: mend it, then retry the run.", label)
	case rules.PhaseHearing:
		return fmt.Sprintf("At **%s**, and a signal is on its way that comes first.", label)
	default:
		return fmt.Sprintf("Waiting at **%s**, %s in all.", label, move.Wait)
	}
}
