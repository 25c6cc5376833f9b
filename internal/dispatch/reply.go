package dispatch

import (
	"strings"
	"time"

	"punchcard"
	"punchcard/rules"
)

const (
	// fallbackPause is how long the fallback is silent after it spoke: it must not answer an answering machine for ever.
	fallbackPause = time.Hour
	// awayPause is the same of the reply outside of opening hours: one for a night.
	awayPause = 12 * time.Hour
	// questionFor is how long a question waits for the team.
	questionFor = 30 * 24 * time.Hour
)

// fallback answers what nothing else does: with the greeting, if it is the customer's first message ever, with what is said while
// nobody is there, or with the program's `otherwise`. Where the program says that a person answers, the message waits for one.
func (r *routing) fallback(m *punchcard.Message) error {
	_, greets := r.policy.Replies[rules.ReplyGreeting]
	_, away := r.policy.Replies[rules.ReplyAway]
	_, otherwise := r.policy.Replies[rules.ReplyOtherwise]
	if away || otherwise {
		err := r.tx.OpenQuestion(&punchcard.Handoff{
			ID: punchcard.NewID(punchcard.PrefixHandoff), CustomerID: r.customer.ID, MessageID: m.ID, Note: "A message that nothing answered",
			Until: r.tx.Now.Add(questionFor),
		})
		if err != nil {
			return err
		}
	}
	if greets {
		n, err := r.tx.CountInbound(r.customer.ID, 2)
		if err != nil {
			return err
		}
		greets = n == 1
	}
	away = away && !r.policy.Open(r.tx.Now)
	switch {
	case greets && away:
		return r.both(rules.ReplyGreeting, rules.ReplyAway)
	case greets:
		return r.reply(rules.ReplyGreeting, nil)
	case away:
		return r.seldom(rules.ReplyAway, awayPause)
	default:
		return r.seldom(rules.ReplyOtherwise, fallbackPause)
	}
}

// both gives two replies as one message: as two they could arrive in any order. It counts as the second.
func (r *routing) both(first, second string) error {
	one, err := r.wording(first)
	if err != nil || one == "" {
		return err
	}
	other, err := r.wording(second)
	if err != nil || other == "" {
		return err
	}
	return r.tell(second, one+"\n\n"+other, nil)
}

// seldom gives a reply that was not given within a time.
func (r *routing) seldom(kind string, pause time.Duration) error {
	n, err := r.tx.CountReplies(r.customer.ID, kind, r.tx.Now.Add(-pause))
	if err != nil || n > 0 {
		return err
	}
	return r.reply(kind, nil)
}

// What tells another machine from a person. People seldom say the same five times in ten minutes, or get ten answers in one.
const (
	sameAtMost   = 5
	sameWithin   = 10 * time.Minute
	perMinute    = 10
	perHour      = 30
	recentlySaid = 20 // messages that are looked at
)

// listen looks at what was said last on both sides. It answers whether a message is word for word what we said last, and makes this
// routing silent for one that the customer sends again and again.
func (r *routing) listen(m *punchcard.Message) (echo bool, err error) {
	said := strings.TrimSpace(m.Text)
	if said == "" {
		return false, nil
	}
	recent, err := r.tx.Messages(r.customer.ID, "", recentlySaid)
	if err != nil {
		return false, err
	}
	same, ours := 0, false
	for _, other := range recent {
		alike := strings.EqualFold(strings.TrimSpace(other.Text), said)
		switch {
		case other.Direction == punchcard.Outbound && !ours && other.HandedAt != nil:
			ours, echo = true, alike
		case other.Direction == punchcard.Inbound && alike && r.tx.Now.Sub(other.CreatedAt) < sameWithin:
			same++
		}
	}
	r.silent = same >= sameAtMost
	return echo, nil
}

// confirms are the replies that a customer gets however much was said: what they stopped is stopped; and what they used, or gave up, cannot be
// used again, so that no machine comes round to it, and a customer has nothing else to show.
var confirms = map[string]bool{
	keywordStop: true, replyStopTopic: true, replyKeep: true, replyKept: true, replyUsed: true, replyCancelled: true,
}

// talks tells whether a reply may be given, or the customer was given so many that they may be a machine.
func (r *routing) talks(kind string) (bool, error) {
	if confirms[kind] {
		return true, nil
	}
	if r.silent {
		return false, nil
	}
	times, err := r.tx.RepliesSince(r.customer.ID, r.tx.Now.Add(-time.Hour), perHour)
	if err != nil || len(times) >= perHour {
		return false, err
	}
	lately := 0
	for _, at := range times {
		if r.tx.Now.Sub(at) < time.Minute {
			lately++
		}
	}
	return lately < perMinute, nil
}
