package dispatch

import (
	"context"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// pauseTitles are the titles of the webhooks that say how often a template was paused, and so for how long.
var pauseTitles = map[string]int{"FIRST_PAUSE": 1, "SECOND_PAUSE": 2}

// takeTemplate takes over what WhatsApp says of a template. One of which nothing is known here is none of ours.
func (d *Dispatcher) takeTemplate(ctx context.Context, u *whatsapp.TemplateUpdate) error {
	name, language := u.Name, strings.ReplaceAll(u.Language, "-", "_")
	free := false
	err := d.store.Update(ctx, func(tx *store.Tx) error {
		free = false
		t, err := tx.LockWhatsAppTemplate(name, language)
		if err != nil || t == nil {
			return err
		}
		if t.WhatsAppID == "" {
			t.WhatsAppID = u.ID
		}
		var alert func() error
		switch u.Kind {
		case whatsapp.TemplateStatus:
			told := toldAt(u.At)
			if t.ToldAt != nil && told != nil && told.Before(*t.ToldAt) {
				return nil // what is newer was told already
			}
			if !setStatus(tx, t, u.Event, u.Reason) {
				d.log.WarnContext(ctx, "a template has a status that is not known here", "template", name, "status", u.Event)
				return nil
			}
			if told != nil {
				t.ToldAt = told
			}
			d.pause(t, u.Text)
			alert = func() error { return tx.TemplateAlert(t) }
		case whatsapp.TemplateQuality:
			t.Quality = readQuality(u.Event)
		case whatsapp.TemplateCategory:
			if u.Event != "" {
				t.Category = strings.ToLower(u.Event)
			}
			alert = func() error { return categoryAlert(tx, t, strings.ToLower(u.Correct)) }
		}
		free = t.Status.Holds() == ""
		if err := tx.SaveWhatsAppTemplate(t); err != nil || alert == nil {
			return err
		}
		return alert()
	})
	if err != nil || !free || u.Kind == whatsapp.TemplateQuality {
		return err
	}
	return d.wakeForTemplate(ctx, name, language)
}

// setStatus gives a template the status that a word of WhatsApp's means. It answers false for a word that we do not know.
func setStatus(tx *store.Tx, t *punchcard.WhatsAppTemplate, word, reason string) bool {
	status, ok := punchcard.ReadTemplateStatus(word)
	if !ok {
		return false
	}
	if reason == "" && !strings.EqualFold(word, string(status)) && !strings.EqualFold(word, "REINSTATED") {
		reason = word
	}
	if t.Status != status {
		t.Status, t.Since = status, tx.Now
	}
	t.Reason = strings.ToLower(reason)
	if status != punchcard.TemplatePaused {
		t.PausedUntil = nil
	}
	return true
}

// pause says when a pause ends, where WhatsApp says which pause it is. Its hours are the machine's.
func (d *Dispatcher) pause(t *punchcard.WhatsAppTemplate, text string) {
	title, _, _ := strings.Cut(text, " ")
	n := pauseTitles[title]
	if t.Status != punchcard.TemplatePaused || n == 0 {
		return
	}
	t.Pauses, t.Reason = n, strings.ToLower(title)
	end := t.Since.Add(d.store.Clock().Business(punchcard.QualityPause(n)))
	t.PausedUntil = &end
}

// readQuality is WhatsApp's word for a quality as we write it; "" for one that is unknown.
func readQuality(word string) string {
	if word = strings.ToLower(word); word == "unknown" {
		return ""
	}
	return word
}

// categoryAlert says that WhatsApp counts a template as more than the program says, or is about to.
func categoryAlert(tx *store.Tx, t *punchcard.WhatsAppTemplate, soon string) error {
	switch {
	case soon != "" && soon != t.Declared:
		return tx.RaiseAlert(punchcard.AlertTemplateCategory, t.Subject(), punchcard.SeverityWarning, "soon_"+soon)
	case t.Category != "" && t.Category != t.Declared:
		return tx.RaiseAlert(punchcard.AlertTemplateCategory, t.Subject(), punchcard.SeverityWarning, "now_"+t.Category)
	default:
		return tx.SettleAlert(punchcard.AlertTemplateCategory, t.Subject(), "whatsapp")
	}
}

// wakeForTemplate lets the runs go on that hold a message for a template.
func (d *Dispatcher) wakeForTemplate(ctx context.Context, name, language string) error {
	after := ""
	for {
		waiting, err := d.store.View(ctx).WaitingForTemplate(name, language, after, batch)
		if err != nil || len(waiting) == 0 {
			return err
		}
		for _, m := range waiting {
			after = m.ID
			if _, err := d.wakeFrom(ctx, m.RunID, punchcard.RunHeld, rules.SignalResume); err != nil {
				return err
			}
		}
	}
}

// pausesEvery is how long passes, in machine time, between two looks for pauses that have ended by themselves. WhatsApp tells of
// the end as well; this is for a webhook that is lost.
const pausesEvery = 10 * time.Second

// endPauses lets what waits for a paused template go on when the pause has ended by itself. If WhatsApp sees it otherwise, it
// refuses the first message, and the template is paused again.
func (d *Dispatcher) endPauses(ctx context.Context) error {
	ended, err := d.store.View(ctx).EndedPauses(batch)
	if err != nil {
		return err
	}
	for _, e := range ended {
		// What waits goes on first: whoever asks finds the pause over, and if we die here, the template is found again.
		if err := d.wakeForTemplate(ctx, e.Name, e.Language); err != nil {
			return err
		}
		err := d.store.Update(ctx, func(tx *store.Tx) error {
			t, err := tx.LockWhatsAppTemplate(e.Name, e.Language)
			if err != nil || t == nil || !t.PauseOver(tx.Now) {
				return err
			}
			t.Status, t.Since, t.PausedUntil, t.Reason = punchcard.TemplateApproved, tx.Now, nil, "pause_over"
			if err := tx.SaveWhatsAppTemplate(t); err != nil {
				return err
			}
			return tx.TemplateAlert(t)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
