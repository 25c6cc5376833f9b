package simulator

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// account is what Meta thinks of the business's account and number. Each fact about it holds all of it.
type account struct {
	Quality      string          `json:"quality"` // of the number: GREEN, YELLOW, RED
	Restrictions []restriction   `json:"restrictions,omitempty"`
	Ban          string          `json:"ban,omitempty"`    // SCHEDULE_FOR_DISABLE or DISABLE; empty is none
	Banned       map[string]bool `json:"banned,omitempty"` // the phones that the business blocked
	Profile      profile         `json:"profile"`
}

// restriction is something that the account may not do for a while.
type restriction struct {
	Type  string    `json:"type"`
	Until time.Time `json:"until,omitzero"` // the zero time is for good
}

// The restrictions that stop messages. Source: Meta's page on policy enforcement.
const (
	noTemplates = "RESTRICTED_BIZ_INITIATED_MESSAGING"      // none may begin a conversation
	noReplies   = "RESTRICTED_CUSTOMER_INITIATED_MESSAGING" // none may answer one
	noNumbers   = "RESTRICTED_ADD_PHONE_NUMBER_ACTION"
)

// refuse is why the account may not send a message; nil when it may.
func (a *account) refuse(m *message) *graphError {
	if a.Ban == "DISABLE" {
		return &graphError{status: http.StatusForbidden, code: 131031, title: "Account has been locked", details: "Business Account locked."}
	}
	for _, r := range a.Restrictions {
		over := !r.Until.IsZero() && !m.At.Before(r.Until)
		if !over && (r.Type == noTemplates && m.Outside || r.Type == noReplies && !m.Outside) {
			return &graphError{status: http.StatusForbidden, code: 368, title: "Temporarily blocked for policies violations",
				details: "The account is restricted: " + r.Type + "."}
		}
	}
	return nil
}

// accountEvent is a body of POST /account: what Meta does to the account. Event says which of the rest it has.
type accountEvent struct {
	Event        string   `json:"event"`
	Restrictions []string `json:"restrictions"` // ACCOUNT_RESTRICTION: which; none lifts them
	For          Span     `json:"for"`          // ACCOUNT_RESTRICTION: how long, in the business's time; 0 is for good
	Violation    string   `json:"violation"`    // ACCOUNT_VIOLATION: of what, such as ADULT
	Ban          string   `json:"ban"`          // DISABLED_UPDATE: SCHEDULE_FOR_DISABLE, DISABLE or REINSTATE
	Quality      string   `json:"quality"`      // PHONE_QUALITY, TEMPLATE_QUALITY: GREEN, YELLOW or RED
	Tier         string   `json:"tier"`         // TIER: the new messaging limit
	Template     string   `json:"template"`     // TEMPLATE_*: its name
	Language     string   `json:"language"`     // TEMPLATE_*: empty is the first of this name
	Status       string   `json:"status"`       // TEMPLATE_STATUS: PAUSED, DISABLED, APPROVED, REJECTED, FLAGGED …
	Category     string   `json:"category"`     // TEMPLATE_CATEGORY: the new one
	Notice       Span     `json:"notice"`       // TEMPLATE_CATEGORY: how long before it is told of; 0 is not
}

func (s *Simulator) getAccount(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	writeJSON(w, http.StatusOK, object{"account": s.account, "tier": s.limits.Tier, "spent": s.spent()})
}

// postAccount is Meta doing something to the account, and telling of it.
func (s *Simulator) postAccount(w http.ResponseWriter, r *http.Request) {
	var e accountEvent
	if !readPerson(w, r, &e) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	f, why := s.happen(e)
	switch {
	case why != "":
		problem(w, http.StatusUnprocessableEntity, why)
	case s.commit(f) != nil:
		problem(w, http.StatusInternalServerError, "the journal cannot be written")
	default:
		writeJSON(w, http.StatusCreated, object{"account": s.account, "tier": s.limits.Tier})
	}
}

// happen is what an event does, and tells; or what is wrong with it. The caller holds mu.
func (s *Simulator) happen(e accountEvent) (fact, string) {
	a, now := s.account, s.now()
	update := func(value object) hook {
		value["event"] = e.Event
		return s.accountHook(0, "account_update", value)
	}
	switch e.Event {
	case "ACCOUNT_RESTRICTION":
		return s.restrict(a, e, now)
	case "ACCOUNT_VIOLATION":
		if e.Violation == "" {
			return fact{}, "violation must say of what, such as ADULT"
		}
		return fact{Hooks: []hook{update(object{"violation_info": object{"violation_type": e.Violation}})}}, ""
	case "DISABLED_UPDATE":
		if !slices.Contains([]string{"SCHEDULE_FOR_DISABLE", "DISABLE", "REINSTATE"}, e.Ban) {
			return fact{}, "ban must be SCHEDULE_FOR_DISABLE, DISABLE or REINSTATE"
		}
		if a.Ban = e.Ban; e.Ban == "REINSTATE" {
			a.Ban = ""
		}
		return fact{Account: &a, Hooks: []hook{update(object{
			"ban_info": object{"waba_ban_state": e.Ban, "waba_ban_date": now.Format("January 2, 2006")},
		})}}, ""
	case "PHONE_QUALITY":
		worse := slices.Index([]string{green, yellow, red}, e.Quality)
		if worse < 0 {
			return fact{}, "quality must be GREEN, YELLOW or RED"
		}
		event := "UNFLAGGED"
		if e.Quality == red {
			event = "FLAGGED"
		}
		a.Quality = e.Quality
		return fact{Account: &a, Hooks: []hook{s.numberHook(0, event, object{"current_quality_rating": e.Quality})}}, ""
	case "TIER":
		if _, ok := tiers[e.Tier]; !ok {
			return fact{}, "tier must be TIER_250, TIER_2K, TIER_10K, TIER_100K or TIER_UNLIMITED"
		}
		return s.promote(e.Tier), ""
	case "THROUGHPUT_UPGRADE":
		l := s.limits
		l.Throughput = 1000
		return fact{Limits: keepLimits(l), Hooks: []hook{s.numberHook(0, e.Event, nil)}}, ""
	case "TEMPLATE_STATUS", "TEMPLATE_QUALITY", "TEMPLATE_CATEGORY":
		return s.happenTo(e, now)
	}
	return fact{}, "event must be ACCOUNT_RESTRICTION, ACCOUNT_VIOLATION, DISABLED_UPDATE, PHONE_QUALITY, TIER, THROUGHPUT_UPGRADE, " +
		"TEMPLATE_STATUS, TEMPLATE_QUALITY or TEMPLATE_CATEGORY"
}

// restrict restricts the account, or lifts what it was restricted by. The caller holds mu.
func (s *Simulator) restrict(a account, e accountEvent, now time.Time) (fact, string) {
	a.Restrictions = nil
	told := []object{}
	for _, kind := range e.Restrictions {
		if !slices.Contains([]string{noTemplates, noReplies, noNumbers}, kind) {
			return fact{}, "restrictions may be " + noTemplates + ", " + noReplies + " and " + noNumbers
		}
		r := restriction{Type: kind}
		info := object{"restriction_type": kind}
		if e.For > 0 {
			r.Until = now.Add(time.Duration(e.For))
			info["expiration"] = unix(r.Until)
		}
		a.Restrictions, told = append(a.Restrictions, r), append(told, info)
	}
	return fact{Account: &a, Hooks: []hook{s.accountHook(0, "account_update", object{"event": e.Event, "restriction_info": told})}}, ""
}

// promote gives the portfolio another messaging limit. The caller holds mu.
func (s *Simulator) promote(tier string) fact {
	l := s.limits
	event := "UPGRADE"
	if before, after := tiers[l.Tier], tiers[tier]; after != 0 && (before == 0 || after < before) {
		event = "DOWNGRADE"
	}
	l.Tier = tier
	return fact{Limits: keepLimits(l), Hooks: []hook{
		s.numberHook(0, event, object{"current_limit": tier, "max_daily_conversations_per_business": tier}),
		s.accountHook(1, "business_capability_update", object{"max_daily_conversations_per_business": tier, "max_phone_numbers_per_business": 25}),
	}}
}

// numberHook tells of the business's number. The caller holds mu.
func (s *Simulator) numberHook(n int, event string, more object) hook {
	value := object{
		"display_phone_number": digits(s.opt.BusinessPhone), "event": event, "current_limit": s.limits.Tier,
		"max_daily_conversations_per_business": s.limits.Tier,
	}
	maps.Copy(value, more)
	return s.accountHook(n, "phone_number_quality_update", value)
}

// templateStatuses are the events of a template that POST /account may raise, and the status that it has then; empty is the
// one it had.
var templateStatuses = map[string]string{
	approved: approved, pending: pending, rejected: rejected, paused: paused, disabled: disabled, "REINSTATED": approved,
	"FLAGGED": "", "IN_APPEAL": "", "PENDING_DELETION": "",
}

// happenTo is what an event does to a template. The caller holds mu.
func (s *Simulator) happenTo(e accountEvent, now time.Time) (fact, string) {
	at := slices.IndexFunc(s.listed, func(t *storedTemplate) bool {
		return t.Name == e.Template && (e.Language == "" || e.Language == t.Language)
	})
	if at < 0 {
		return fact{}, "template must be the name of a template, and language one that it has"
	}
	t := *s.listed[at]
	switch e.Event {
	case "TEMPLATE_STATUS":
		status, ok := templateStatuses[e.Status]
		if !ok {
			return fact{}, "status is none that a template can have"
		}
		if status != "" {
			t.Status, t.Standing.ReviewAt, t.Standing.PausedUntil = status, time.Time{}, time.Time{}
		}
		return fact{Template: &t, Hooks: []hook{s.templateHook(0, &t, e.Status, nil)}}, ""
	case "TEMPLATE_QUALITY":
		if !slices.Contains([]string{green, yellow, red}, e.Quality) {
			return fact{}, "quality must be GREEN, YELLOW or RED"
		}
		f := fact{Template: &t, Hooks: []hook{s.qualityHook(0, &t, e.Quality)}}
		if t.Standing.Quality = e.Quality; e.Quality == red && t.Status == approved {
			f = s.pause(f, now)
		}
		return f, ""
	}
	category := strings.ToUpper(e.Category)
	if !slices.Contains([]string{"MARKETING", "UTILITY", "AUTHENTICATION"}, category) || category == t.Category {
		return fact{}, "category must be another than the template's: MARKETING, UTILITY or AUTHENTICATION"
	}
	t.Standing.Category, t.Standing.CategoryAt = category, now.Add(time.Duration(e.Notice))
	f := fact{Template: &t}
	if e.Notice > 0 { // without, settle changes it at once
		value := t.named()
		value["new_category"], value["correct_category"] = t.Category, category
		value["category_update_timestamp"] = t.Standing.CategoryAt.Unix()
		f.Hooks = []hook{s.accountHook(0, "template_category_update", value)}
	}
	return f, ""
}
