package activities

import (
	"errors"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// template drafts a step's template. What WhatsApp says of the template today counts: whether it may be sent, and as what.
func template(p *fence.Pass) (*draft, error) {
	t := p.Program.Templates[p.Step.Template]
	off, err := p.Tx.Off(store.SwitchTemplate, t.Name)
	if err != nil {
		return nil, err
	}
	d := &draft{asksConsent: t.AsksConsent, stopped: off}
	d.record = punchcard.Message{
		Kind: "template", Template: t.Name, Category: t.Category, GrantID: carried(p), Version: t.WireName(),
		Language: t.Pick(p.Customer.Language),
	}
	known, err := p.Tx.TemplateToSend(punchcard.WhatsAppTemplate{
		Name: d.record.Version, Language: d.record.Language, Template: t.Name, Declared: t.Category,
	})
	if err != nil {
		return nil, err
	}
	if known != nil {
		d.record.Category = known.Counts(t.Category)
		if !known.PauseOver(p.Tx.Now) {
			d.held = known.Status.Holds()
		}
	}
	d.fill = func() (whatsapp.Message, error) {
		env, err := p.Env()
		if err != nil {
			return whatsapp.Message{}, err
		}
		language := p.Customer.Language
		render := func(env *rules.Env) (rules.Rendered, error) {
			filled, err := t.With(language, p.Step.With, env)
			if err != nil {
				return rules.Rendered{}, err
			}
			return t.Render(language, filled)
		}
		r, err := render(env)
		if err != nil {
			return whatsapp.Message{}, unworded(err)
		}
		if err := nameGrants(p, r); err != nil {
			return whatsapp.Message{}, err
		}
		d.record.Language, d.record.Version = r.Language, r.Name
		d.record.Text = env.Shown(func(env *rules.Env) (string, error) {
			shown, err := render(env)
			return shown.Wording, err
		})
		return whatsapp.Message{Template: wireTemplate(r)}, nil
	}
	return d, nil
}

// nameGrants writes into the buttons that use a grant which one it is: that whose values the step hands over as the parameter that the
// button names.
func nameGrants(p *fence.Pass, r rules.Rendered) error {
	all := [][]rules.Button{r.Buttons}
	for _, c := range r.Cards {
		all = append(all, c.Buttons)
	}
	for _, buttons := range all {
		for i, b := range buttons {
			param := b.CaptureParam()
			if param == "" {
				continue
			}
			grant := handed(p, func(name string) bool { return name == param })
			if grant == "" {
				return &notSent{ReasonParameterEmpty} // there is nothing that a tap could use
			}
			buttons[i].Payload = rules.PayloadCapture + grant
		}
	}
	return nil
}

// templateRefusals are the answers to a send by which WhatsApp says that a template has another status than we know. Source:
// Meta's error codes.
var templateRefusals = map[int]punchcard.TemplateStatus{
	132001: punchcard.TemplateMissing, 132015: punchcard.TemplatePaused, 132016: punchcard.TemplateDisabled,
}

// refusedTemplate takes over what the answer to a send says of its template, when templates are mirrored here: the message waits
// for it. It answers false for any other answer.
func refusedTemplate(p *fence.Pass, m *punchcard.Message, sendErr error) (rules.Result, bool, error) {
	var e *whatsapp.Error
	if !errors.As(sendErr, &e) || m.Status != punchcard.MessageSending {
		return rules.Result{}, false, nil
	}
	status, ok := templateRefusals[e.Code]
	if !ok {
		return rules.Result{}, false, nil
	}
	t, err := p.Tx.LockWhatsAppTemplate(m.Version, m.Language)
	if err != nil || t == nil {
		return rules.Result{}, false, err
	}
	if t.Status != status {
		t.Status, t.Since, t.Reason = status, p.Tx.Now, "refused"
	}
	t.PausedUntil = nil // the end that we counted with was not the end
	if err := p.Tx.SaveWhatsAppTemplate(t); err != nil {
		return rules.Result{}, false, err
	}
	m.Status, m.Reason, m.ErrorCode, m.RetryAt, m.HandedAt = punchcard.MessageDeferred, status.Holds(), e.Code, nil, nil
	p.Disarm()
	return rules.Result{Reply: rules.ReplyHeld, Code: m.Reason}, true, p.Tx.TemplateAlert(t)
}

// wireTemplate is a filled-in template as the client sends it.
func wireTemplate(r rules.Rendered) *whatsapp.TemplateMessage {
	t := &whatsapp.TemplateMessage{Name: r.Name, Language: r.Language, Body: r.Params, Buttons: wireButtons(r.Buttons), Expires: r.Expires}
	switch {
	case r.Header != "":
		t.Header = &whatsapp.TemplateHeader{Text: r.Header}
	case r.Media != nil:
		t.Header = wireHeader(*r.Media)
	}
	for _, c := range r.Cards {
		t.Cards = append(t.Cards, whatsapp.Card{Header: wireHeader(c.Media), Body: c.Params, Buttons: wireButtons(c.Buttons)})
	}
	return t
}

// wireHeader is what a template shows above its body.
func wireHeader(m rules.RenderedMedia) *whatsapp.TemplateHeader {
	media := &whatsapp.Media{Link: m.URL, Filename: m.Filename}
	switch m.Format {
	case rules.HeaderVideo:
		return &whatsapp.TemplateHeader{Video: media}
	case rules.HeaderDocument:
		return &whatsapp.TemplateHeader{Document: media}
	case rules.HeaderLocation:
		return &whatsapp.TemplateHeader{Location: &whatsapp.Location{
			Latitude: m.Latitude, Longitude: m.Longitude, Name: m.Name, Address: m.Address,
		}}
	default:
		return &whatsapp.TemplateHeader{Image: media}
	}
}

// wireButtons are the values of buttons; one that has none is not named.
func wireButtons(buttons []rules.Button) []whatsapp.TemplateButton {
	var out []whatsapp.TemplateButton
	for i, b := range buttons {
		switch {
		case b.Kind == rules.ButtonQuickReply:
			out = append(out, whatsapp.TemplateButton{Index: i, SubType: whatsapp.QuickReply, Value: b.Payload})
		case b.Kind == rules.ButtonCopyCode:
			out = append(out, whatsapp.TemplateButton{Index: i, SubType: whatsapp.CopyCode, Value: b.Value})
		case b.Kind == rules.ButtonURL && b.Value != "":
			out = append(out, whatsapp.TemplateButton{Index: i, SubType: whatsapp.URLSuffix, Value: b.Value})
		}
	}
	return out
}
