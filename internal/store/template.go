package store

import (
	"gorm.io/gorm/clause"

	"punchcard"
)

// settingTemplates is set from when on the templates at WhatsApp are mirrored here. Before, nothing is known of any, and
// WhatsApp alone judges what is sent.
const settingTemplates = "templates_mirrored"

// TemplatesMirrored tells whether what WhatsApp has of the program's templates is known here.
func (tx *Tx) TemplatesMirrored() (bool, error) {
	v, err := tx.Setting(settingTemplates)
	return v != "", err
}

// MirrorTemplates says that it is known from now on.
func (tx *Tx) MirrorTemplates() error { return tx.SetSetting(settingTemplates, "yes") }

// WhatsAppTemplate reads a template as WhatsApp has it, or nil.
func (tx *Tx) WhatsAppTemplate(name, language string) (*punchcard.WhatsAppTemplate, error) {
	return one[punchcard.WhatsAppTemplate](tx.db.Where("name = ? AND language = ?", name, language))
}

// TemplateToSend reads a template that is about to be sent; nil when templates are not mirrored here. One that may not be sent
// stays as it is until this transaction ends, so that whoever lets it be sent finds every message that this transaction holds for
// it. For that one that is not known yet is written down as missing.
func (tx *Tx) TemplateToSend(t punchcard.WhatsAppTemplate) (*punchcard.WhatsAppTemplate, error) {
	row, err := tx.WhatsAppTemplate(t.Name, t.Language)
	if err != nil || row != nil && row.Status.Holds() == "" {
		return row, err
	}
	if row == nil {
		if known, err := tx.TemplatesMirrored(); err != nil || !known {
			return nil, err
		}
		t.Status, t.Since, t.UpdatedAt = punchcard.TemplateMissing, tx.Now, tx.Now
		if err := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&t).Error; err != nil {
			return nil, err
		}
	}
	return one[punchcard.WhatsAppTemplate](tx.db.Clauses(clause.Locking{Strength: "SHARE"}).
		Where("name = ? AND language = ?", t.Name, t.Language))
}

// LockWhatsAppTemplate reads and locks a template as WhatsApp has it, or answers nil.
func (tx *Tx) LockWhatsAppTemplate(name, language string) (*punchcard.WhatsAppTemplate, error) {
	return one[punchcard.WhatsAppTemplate](tx.db.Clauses(lock).Where("name = ? AND language = ?", name, language))
}

// AddWhatsAppTemplate stores a template that is not known yet. The error wraps ErrTryAgain when somebody else just did.
func (tx *Tx) AddWhatsAppTemplate(t *punchcard.WhatsAppTemplate) error {
	t.UpdatedAt = tx.Now
	r := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(t)
	if r.Error == nil && r.RowsAffected == 0 {
		return ErrTryAgain
	}
	return r.Error
}

// SaveWhatsAppTemplate writes a template that is locked.
func (tx *Tx) SaveWhatsAppTemplate(t *punchcard.WhatsAppTemplate) error {
	t.UpdatedAt = tx.Now
	return tx.db.Save(t).Error
}

// ForgetWhatsAppTemplate removes a template that is no longer at WhatsApp and that no program sends.
func (tx *Tx) ForgetWhatsAppTemplate(name, language string) error {
	return tx.db.Where("name = ? AND language = ?", name, language).Delete(&punchcard.WhatsAppTemplate{}).Error
}

// WhatsAppTemplates lists what is known of the templates at WhatsApp.
func (tx *Tx) WhatsAppTemplates() ([]punchcard.WhatsAppTemplate, error) {
	return list[punchcard.WhatsAppTemplate](tx.db.Order("template, name, language"))
}

// EndedPauses lists the paused templates whose pause has ended by itself.
func (tx *Tx) EndedPauses(limit int) ([]punchcard.WhatsAppTemplate, error) {
	return list[punchcard.WhatsAppTemplate](tx.db.Where("paused_until IS NOT NULL AND paused_until <= ?", tx.Now).
		Order("paused_until").Limit(limit))
}

// WaitingForTemplate lists the runs that hold a message for a template, by the message's id after one (empty: from the first).
func (tx *Tx) WaitingForTemplate(name, language, after string, limit int) ([]punchcard.Message, error) {
	return list[punchcard.Message](tx.db.Select("id", "run_id").
		Where("version = ? AND language = ? AND id > ? AND status = 'deferred' AND version <> ''", name, language, after).
		Where("reason IN ('template_pending', 'template_rejected', 'template_paused', 'template_disabled')").
		Order("id").Limit(limit))
}

// TemplateAlert says that a person is to look at a template, or that it may be sent again.
func (tx *Tx) TemplateAlert(t *punchcard.WhatsAppTemplate) error {
	switch t.Status {
	case punchcard.TemplateRejected, punchcard.TemplateDisabled:
		return tx.RaiseAlert(punchcard.AlertTemplateStopped, t.Subject(), punchcard.SeverityCritical, string(t.Status))
	case punchcard.TemplatePaused:
		return tx.RaiseAlert(punchcard.AlertTemplateStopped, t.Subject(), punchcard.SeverityWarning, string(t.Status))
	case punchcard.TemplateMissing:
		if t.WhatsAppID != "" { // it was there
			return tx.RaiseAlert(punchcard.AlertTemplateStopped, t.Subject(), punchcard.SeverityCritical, string(t.Status))
		}
		return nil
	default:
		return tx.SettleAlert(punchcard.AlertTemplateStopped, t.Subject(), "whatsapp")
	}
}
