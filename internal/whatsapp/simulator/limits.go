package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"punchcard"
)

// Limits are Meta's rules as numbers. docs/simulator.md says where each comes from. They are Options.Limits at the start, and
// POST /limits changes them at work; what was changed so is in the journal, and goes before Options.Limits at the next start.
//
// Throughput, the pair rate and calls an hour are about machines, so they count in real time. All else counts in the business's time.
type Limits struct {
	Throughput int  `json:"throughput"` // messages a second, of the number; 0 is no limit
	PairEvery  Span `json:"pair_every"` // one message to a person in so long; 0 is no limit
	PairBurst  int  `json:"pair_burst"` // how many may go at once, borrowed from later

	CallsPerHour int `json:"calls_per_hour"` // calls that manage templates, the number, the profile; real time; 0 is no limit

	Tier            string `json:"tier"`              // TIER_250 … TIER_UNLIMITED: people in 24 h whom templates reach outside the service window
	TierUpgrade     Span   `json:"tier_upgrade"`      // how long after half of the tier was used in 7 days the next one comes, when the quality is GREEN; 0 is never
	MarketingPerDay int    `json:"marketing_per_day"` // marketing templates to a person in 24 h, outside the service window; 0 is no limit
	USMarketing     bool   `json:"us_marketing"`      // whether numbers of the United States get marketing; since April 2025 they do not

	Review           Span   `json:"review"`             // how long a template is PENDING
	RejectContaining string `json:"reject_containing"`  // templates with this word, in their name or their texts, are REJECTED; empty is none
	Templates        int    `json:"templates"`          // how many the account may have
	TemplatesPerHour int    `json:"templates_per_hour"` // how many may be made in an hour; 0 is no limit
	MarketingSync    Span   `json:"marketing_sync"`     // after its approval a template is not yet there for POST /marketing_messages
	PaceAfter        int    `json:"pace_after"`         // a new marketing template's messages after so many are held until PaceHold is over; 0 holds none
	PaceHold         Span   `json:"pace_hold"`          // when it is over they are released, or dropped if the quality is not GREEN
	YellowAt         int    `json:"yellow_at"`          // people who block or report after a template, until its quality is YELLOW; 0 is never
	RedAt            int    `json:"red_at"`             // until it is RED, and the template is paused: 3 h, 6 h, then disabled; 0 is never
	Prices           Prices `json:"prices"`             // what messages cost
}

// Prices are what a message costs, in millionths of Currency, by the country calling code ("+45"; "*" is any other) and the
// category in the pricing of its status. What is not named costs nothing.
type Prices struct {
	Currency string                      `json:"currency"`
	Rates    map[string]map[string]int64 `json:"rates"`
}

// DefaultLimits are Meta's published protocol rates, and no rule that would get in the way of trying a program out: templates
// are approved at once, nothing is paced, and no person's or portfolio's limit is reached.
func DefaultLimits() Limits {
	return Limits{
		Throughput: 80, PairEvery: Span(6 * time.Second), PairBurst: 45, CallsPerHour: 5000, Tier: tierUnlimited,
		TierUpgrade: Span(6 * time.Hour), Templates: 6000, TemplatesPerHour: 100,
		MarketingSync: Span(10 * time.Minute), PaceHold: Span(30 * time.Minute), YellowAt: 3, RedAt: 5, Prices: Prices{Currency: "EUR"},
	}
}

// Span is a time.Duration that JSON writes as "1h30m0s".
type Span time.Duration

// MarshalText writes a span as time.Duration does.
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalText reads what time.ParseDuration reads. A span is never negative.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("a span is written as 10m or 1h30m, not %q", text)
	}
	*s = Span(d)
	return nil
}

const tierUnlimited = "TIER_UNLIMITED"

// tiers are the messaging limits: how many people in 24 h. Source: Meta's page on messaging limits.
var tiers = map[string]int{"TIER_250": 250, "TIER_2K": 2000, "TIER_10K": 10_000, "TIER_100K": 100_000, tierUnlimited: 0}

// check says what is wrong with limits; empty is nothing.
func (l *Limits) check() string {
	if _, ok := tiers[l.Tier]; !ok {
		return "tier must be TIER_250, TIER_2K, TIER_10K, TIER_100K or TIER_UNLIMITED"
	}
	for _, n := range []int{l.Throughput, l.PairBurst, l.CallsPerHour, l.MarketingPerDay, l.Templates, l.TemplatesPerHour, l.PaceAfter, l.YellowAt, l.RedAt} {
		if n < 0 {
			return "no limit may be below 0"
		}
	}
	switch {
	case l.PairEvery > 0 && l.PairBurst < 1:
		return "pair_burst must be at least 1"
	case l.Templates < 1:
		return "templates must be at least 1"
	}
	for code := range l.Prices.Rates {
		if code != "*" && !strings.HasPrefix(code, "+") {
			return `prices.rates are by calling code, such as "+45", or "*" for any other`
		}
	}
	return ""
}

// ParseLimits reads limits in JSON, as POST /limits does: what is not named is as in DefaultLimits.
func ParseLimits(raw []byte) (*Limits, error) {
	l := DefaultLimits()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return nil, fmt.Errorf("limits cannot be read: %w", err)
	}
	if why := l.check(); why != "" {
		return nil, errors.New("limits: " + why)
	}
	return &l, nil
}

// keptLimits are limits in the journal. One that was written before a limit existed has the default of it, not none.
type keptLimits Limits

// UnmarshalJSON reads what is there over the defaults.
func (k *keptLimits) UnmarshalJSON(raw []byte) error {
	l := DefaultLimits()
	err := json.Unmarshal(raw, &l)
	*k = keptLimits(l)
	return err
}

func keepLimits(l Limits) *keptLimits { k := keptLimits(l); return &k }

func (s *Simulator) getLimits(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	l := s.limits
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, l)
}

// postLimits changes those limits that the body names.
func (s *Simulator) postLimits(w http.ResponseWriter, r *http.Request) {
	var change json.RawMessage
	if !readPerson(w, r, &change) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.limits
	l.Prices.Rates = nil
	d := json.NewDecoder(bytes.NewReader(change))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		problem(w, http.StatusUnprocessableEntity, "limits cannot be read: "+strings.TrimPrefix(err.Error(), "json: "))
		return
	}
	if l.Prices.Rates == nil {
		l.Prices.Rates = s.limits.Prices.Rates
	}
	if why := l.check(); why != "" {
		problem(w, http.StatusUnprocessableEntity, why)
		return
	}
	if s.commit(fact{Limits: keepLimits(l)}) != nil {
		problem(w, http.StatusInternalServerError, "the journal cannot be written")
		return
	}
	writeJSON(w, http.StatusOK, l)
}

// rates are what counts messages in real time. They are not in the journal: a new process begins with a clean slate.
type rates struct {
	number bucket
	pairs  map[string]*bucket // by phone
	calls  []time.Time        // that managed, of the last hour
}

// bucket is a leaky bucket as a single moment: when the next message would be due if none had gone early (GCRA).
type bucket struct{ due time.Time }

// free tells whether a message may go at now, when one may go each every and burst at once.
func (b *bucket) free(now time.Time, every time.Duration, burst int) bool {
	return b.due.Sub(now) <= time.Duration(burst-1)*every
}

func (b *bucket) take(now time.Time, every time.Duration) {
	if b.due.Before(now) {
		b.due = now
	}
	b.due = b.due.Add(every)
}

// throttle refuses a message that comes too soon after others, and counts it when it does not. now is real time. The caller
// holds mu.
func (s *Simulator) throttle(phone string, now time.Time) *graphError {
	l := s.limits
	second := time.Second / time.Duration(max(1, l.Throughput))
	if l.Throughput > 0 && !s.rates.number.free(now, second, l.Throughput) {
		return &graphError{
			status: http.StatusTooManyRequests, code: 130429, title: "Rate limit hit",
			details: "Message failed to send because there were too many messages sent from this phone number in a short period of time.",
		}
	}
	pair := s.rates.pairs[phone]
	if pair == nil {
		pair = &bucket{}
		s.rates.pairs[phone] = pair
	}
	if l.PairEvery > 0 && !pair.free(now, time.Duration(l.PairEvery), l.PairBurst) {
		return &graphError{
			status: http.StatusTooManyRequests, code: 131056, title: "(Business Account, Consumer Account) pair rate limit hit",
			details: "Message failed to send because there were too many messages sent from this phone number to the same phone number in a short period of time.",
		}
	}
	s.rates.number.take(now, second)
	pair.take(now, time.Duration(l.PairEvery))
	return nil
}

// Why a message fails by the rules about time, after it was accepted.
var (
	overLimit = messageFailed{
		Code: 131048, Title: "Spam rate limit hit",
		Details: "Message failed to send because there are restrictions on how many messages can be sent from this phone number: the messaging limit is reached.",
	}
	overCap = messageFailed{
		Code: 131049, Title: "This message was not delivered to maintain healthy ecosystem engagement.",
		Details: "In order to maintain a healthy ecosystem engagement, the message failed to be delivered.",
	}
	stopped = messageFailed{
		Code: 131050, Title: "User has stopped marketing messages from this business",
		Details: "Unable to deliver the message. This recipient has chosen to stop receiving marketing messages on WhatsApp from your business.",
	}
	blocked = messageFailed{
		Code: 131026, Title: "Message undeliverable", Details: "Message undeliverable.",
	}
)

// overTier tells whether a message outside the window would reach one person too many. The caller holds mu.
func (s *Simulator) overTier(who *person, now time.Time) bool {
	most := tiers[s.limits.Tier]
	if most == 0 || within(now, who.opened, 24*time.Hour) {
		return false // whoever was reached today counts already
	}
	return s.reachedWithin(now, 24*time.Hour) >= most
}

// openedAt is a template that reached a person outside the service window.
type openedAt struct {
	who *person
	at  time.Time
}

// overMarketing tells whether a person has had today's share of marketing. Trying again within a day of a refusal is refused
// too, and begins the day anew. The caller holds mu.
func (s *Simulator) overMarketing(who *person, now time.Time) bool {
	if s.limits.MarketingPerDay == 0 {
		return false
	}
	had := 0
	for _, m := range slices.Backward(who.chat) {
		if !within(now, m.At, 24*time.Hour) {
			break
		}
		if m.Direction != out || m.Category != "marketing" || !m.Outside {
			continue
		}
		switch {
		case m.Problem != nil && m.Problem.Code == overCap.Code:
			return true
		case m.Status != failed:
			had++
		}
	}
	return had >= s.limits.MarketingPerDay
}

// unitedStates tells whether a phone is of the United States: other countries share their code, and have area codes of their own.
func unitedStates(phone string) bool {
	if !strings.HasPrefix(phone, "+1") {
		return false
	}
	_, region, err := punchcard.ParsePhone(phone)
	return err != nil || region == "US" || region == "" || region == "ZZ"
}

// within tells whether at is less than span before now. The zero time is never.
func within(now, at time.Time, span time.Duration) bool { return !at.IsZero() && now.Sub(at) < span }
