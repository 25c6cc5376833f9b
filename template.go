package punchcard

import (
	"strings"
	"time"
)

// WhatsAppTemplate is one wording of one of the program's templates as WhatsApp has it.
type WhatsAppTemplate struct {
	Name     string `gorm:"primaryKey"` // at WhatsApp: the program's name for it, and a hash of its words
	Language string `gorm:"primaryKey"`
	Template string // the program's name for it; "" for one that no version of the program knows
	// WhatsAppID is Meta's number of it; "" before it is known.
	WhatsAppID  string `gorm:"column:whatsapp_id"`
	Status      TemplateStatus
	Declared    string     // the category that the program says: marketing, utility, authentication
	Category    string     // the one that WhatsApp counts it as; "" while it has not said
	Quality     string     // green, yellow, red; "" while it is unknown
	Reason      string     // WhatsApp's word for why it has its status; "" where there is nothing to say
	Since       time.Time  // when it came to its status
	PausedUntil *time.Time // when a pause ends by itself; nil: WhatsApp will say
	Pauses      int        // how often its quality has paused it
	ToldAt      *time.Time // when WhatsApp told its status, by its own clock; nil: it did not say
	UpdatedAt   time.Time  `gorm:"autoUpdateTime:false"`
}

// TableName is the table's.
func (*WhatsAppTemplate) TableName() string { return "whatsapp_templates" }

// TemplateStatus says whether WhatsApp lets a template be sent.
type TemplateStatus string

// The statuses of a template.
const (
	TemplateMissing  TemplateStatus = "missing"  // it is not at WhatsApp: not submitted, or deleted there
	TemplatePending  TemplateStatus = "pending"  // WhatsApp reviews it
	TemplateApproved TemplateStatus = "approved" // it may be sent
	TemplateRejected TemplateStatus = "rejected" // WhatsApp does not take it; other words make another template
	TemplatePaused   TemplateStatus = "paused"   // too many customers blocked or reported it; it comes back
	TemplateDisabled TemplateStatus = "disabled" // and this one does not, unless WhatsApp thinks again
)

// templateStatuses are WhatsApp's words for the statuses. The list is theirs, and open.
var templateStatuses = map[string]TemplateStatus{
	"APPROVED": TemplateApproved, "REINSTATED": TemplateApproved, "UNARCHIVED": TemplateApproved, "FLAGGED": TemplateApproved,
	"PENDING": TemplatePending, "IN_APPEAL": TemplatePending, "REJECTED": TemplateRejected, "PAUSED": TemplatePaused,
	"DISABLED": TemplateDisabled, "LOCKED": TemplateDisabled, "ARCHIVED": TemplateDisabled, "LIMIT_EXCEEDED": TemplateDisabled,
	"DELETED": TemplateMissing, "PENDING_DELETION": TemplateMissing,
}

// ReadTemplateStatus is what a word of WhatsApp's means; false for one that we do not know.
func ReadTemplateStatus(word string) (TemplateStatus, bool) {
	s, ok := templateStatuses[strings.ToUpper(word)]
	return s, ok
}

// The reasons for which a message waits for its template.
const (
	ReasonTemplatePending  = "template_pending"  // WhatsApp has not approved it yet, or was not asked yet
	ReasonTemplateRejected = "template_rejected" // WhatsApp does not take it
	ReasonTemplatePaused   = "template_paused"   // WhatsApp has paused it for its quality
	ReasonTemplateDisabled = "template_disabled" // WhatsApp has disabled it for its quality
)

// Holds is why a template of this status may not be sent now; "" where it may.
func (s TemplateStatus) Holds() string {
	switch s {
	case TemplateApproved:
		return ""
	case TemplateRejected:
		return ReasonTemplateRejected
	case TemplatePaused:
		return ReasonTemplatePaused
	case TemplateDisabled:
		return ReasonTemplateDisabled
	default:
		return ReasonTemplatePending
	}
}

// qualityPauses are how long WhatsApp pauses a template whose quality is low, the first and the second time, by its own clock. The
// third time it disables it. Source: Meta's page on template pausing.
var qualityPauses = [...]time.Duration{3 * time.Hour, 6 * time.Hour}

// QualityPause is how long the nth pause for low quality lasts, counted from 1; 0 for one that WhatsApp does not end by itself.
func QualityPause(n int) time.Duration {
	if n < 1 || n > len(qualityPauses) {
		return 0
	}
	return qualityPauses[n-1]
}

// Counts is the category by which a message with this template is judged: marketing if either the program or WhatsApp says so,
// else WhatsApp's.
func (t *WhatsAppTemplate) Counts(declared string) string {
	if t.Category == "" || declared == CategoryMarketing {
		return declared
	}
	return t.Category
}

// CategoryMarketing is the category of everything that advertises.
const CategoryMarketing = "marketing"

// PauseOver tells whether a pause has ended by itself. WhatsApp may see it otherwise, and then refuses what is sent.
func (t *WhatsAppTemplate) PauseOver(now time.Time) bool {
	return t.Status == TemplatePaused && t.PausedUntil != nil && !t.PausedUntil.After(now)
}

// Subject is what an alert calls the template.
func (t *WhatsAppTemplate) Subject() string { return t.Name + " " + t.Language }
