package whatsapp

import (
	"encoding/json"
	"strings"
	"time"
)

// TemplateKind says what about a template changed.
type TemplateKind string

// The kinds of TemplateUpdate.
const (
	TemplateStatus   TemplateKind = "status"
	TemplateQuality  TemplateKind = "quality"
	TemplateCategory TemplateKind = "category"
)

// TemplateUpdate says that Meta changed, or is about to change, a template's standing. Lists of values are Meta's and open.
type TemplateUpdate struct {
	Kind     TemplateKind
	ID       string // Meta's number of the template, as text
	Name     string
	Language string
	Event    string    // status: APPROVED, PAUSED …; quality: the new score; category: the category it has now
	Previous string    // the score or category before; empty for a status and for an advance notice
	Correct  string    // the category that Meta holds to be right: not there yet, so of an advance notice only
	Due      time.Time // when Correct takes effect, or a disabled template is disabled; zero when Meta does not say
	Reason   string    // a word of Meta's for why, such as INVALID_FORMAT; empty for NONE
	Text     string    // Meta's sentences on why and what to do
	At       time.Time // when Meta told; zero when it does not say
	Raw      json.RawMessage
}

// AccountErrors is the Field of an AccountUpdate of errors that belong to no message.
const AccountErrors = "messages.errors"

// AccountUpdate says that something about the account, the portfolio or a number changed. Lists of values are Meta's and
// open; a field that an update does not have is empty.
type AccountUpdate struct {
	Field        string // the webhook's field: account_update, account_alerts, phone_number_quality_update …, or AccountErrors
	Event        string // ACCOUNT_RESTRICTION, DISABLED_UPDATE, THROUGHPUT_UPGRADE, PIN_CHANGED …; the decision of a review; the type of an alert
	Phone        string // the business's number it is about, E.164 with "+"
	Limit        string // the messaging limit: TIER_250 … TIER_UNLIMITED, or a count of older versions
	Quality      string // GREEN, YELLOW, RED
	Restrictions []Restriction
	BanState     string // SCHEDULE_FOR_DISABLE, DISABLE, REINSTATE
	Severity     string // of an alert: INFORMATIONAL, WARNING, CRITICAL
	Text         string // Meta's sentence or word on why
	Problems     []Problem
	At           time.Time // when Meta told; zero when it does not say
	Raw          json.RawMessage
}

// Restriction is something that the account may not do.
type Restriction struct {
	Type  string    // RESTRICTED_BIZ_INITIATED_MESSAGING, RESTRICTED_CUSTOMER_INITIATED_MESSAGING, RESTRICTED_ADD_PHONE_NUMBER_ACTION …
	Until time.Time // zero when it has no end
}

// fields are the members of an object whose shape is Meta's to change. Reading one never fails: what is absent or of
// another type than expected is empty, and Raw has it.
type fields map[string]json.RawMessage

func readFields(raw json.RawMessage) (fields, bool) {
	var f fields
	return f, json.Unmarshal(raw, &f) == nil && f != nil
}

// text is the first of the named members that has a text.
func (f fields) text(names ...string) string {
	for _, name := range names {
		var l loose
		if json.Unmarshal(f[name], &l) == nil && l != "" {
			return string(l)
		}
	}
	return ""
}

func (f fields) time(name string) time.Time {
	var s seconds
	_ = json.Unmarshal(f[name], &s)
	return time.Time(s)
}

func (f fields) object(name string) fields {
	inner, _ := readFields(f[name])
	return inner
}

// templateKinds tells by its members what a change says of a template. A sample of Meta's own carries the field of another.
func templateKind(field string, f fields) TemplateKind {
	switch {
	case f["message_template_id"] == nil && f["message_template_name"] == nil:
		return ""
	case f.text("new_quality_score") != "":
		return TemplateQuality
	case f.text("new_category", "correct_category") != "":
		return TemplateCategory
	case field == "message_template_status_update" && f.text("event") != "":
		return TemplateStatus
	}
	return ""
}

func readTemplate(kind TemplateKind, f fields) *TemplateUpdate {
	t := &TemplateUpdate{
		Kind: kind, ID: f.text("message_template_id"), Name: f.text("message_template_name"), Language: f.text("message_template_language"),
	}
	switch kind {
	case TemplateQuality:
		t.Event, t.Previous = f.text("new_quality_score"), f.text("previous_quality_score")
	case TemplateCategory:
		t.Event, t.Previous = f.text("new_category", "category"), f.text("previous_category")
		t.Correct, t.Due = f.text("correct_category"), f.time("category_update_timestamp")
	case TemplateStatus:
		rejection, other := f.object("rejection_info"), f.object("other_info")
		t.Event, t.Reason, t.Due = f.text("event"), f.text("reason"), f.object("disable_info").time("disable_date")
		if t.Reason == "NONE" {
			t.Reason = ""
		}
		t.Text = sentences(other.text("title"), other.text("description"), rejection.text("reason"), rejection.text("recommendation"))
	}
	return t
}

// readAccount reads a change of the account; nil when the field is none of the account's, or says nothing it is known to say.
func readAccount(field string, f fields) *AccountUpdate {
	a := &AccountUpdate{Field: field, Event: f.text("event", "decision"), Phone: business(f.text("display_phone_number", "phone_number"))}
	switch field {
	case "account_update":
		ban, violation := f.object("ban_info"), f.object("violation_info")
		a.BanState = ban.text("waba_ban_state")
		a.Text = sentences(violation.text("violation_type"), ban.text("waba_ban_date"))
		a.Restrictions = readRestrictions(f["restriction_info"])
	case "account_alerts":
		alert := f.object("alert_info")
		if alert == nil {
			alert = f // as it was before 2025
		}
		a.Event, a.Severity, a.Text = alert.text("alert_type"), alert.text("alert_severity"), alert.text("alert_description")
	case "business_capability_update", "phone_number_quality_update":
		// The name of the limit is another in each version, and the singular is a count rather than a tier.
		a.Limit = f.text("max_daily_conversations_per_business", "max_daily_conversation_per_business", "current_limit",
			"max_daily_conversations_per_phone", "max_daily_conversation_per_phone")
		a.Quality = f.text("current_quality_rating", "quality_rating")
	case "phone_number_name_update":
		a.Text = f.text("rejection_reason")
		if a.Text == "NONE" {
			a.Text = ""
		}
	case "account_review_update", "security":
	default:
		return nil
	}
	if a.Event == "" && a.Limit == "" && a.Quality == "" {
		return nil
	}
	return a
}

func readRestrictions(raw json.RawMessage) []Restriction {
	items, ok := list(raw)
	if !ok {
		items = []json.RawMessage{raw} // one instead of a list of one
	}
	var out []Restriction
	for _, item := range items {
		if f, ok := readFields(item); ok {
			out = append(out, Restriction{Type: f.text("restriction_type"), Until: f.time("expiration")})
		}
	}
	return out
}

// business is the business's own number in the one form this package gives phones; as it came where it is none.
func business(display string) string {
	digits := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(display)
	if m := phoneDigits.FindStringSubmatch(digits); m != nil {
		return "+" + m[1]
	}
	return display
}

// sentences joins what is there.
func sentences(parts ...string) string {
	var said []string
	for _, part := range parts {
		if part != "" {
			said = append(said, part)
		}
	}
	return strings.Join(said, " ")
}
