package activities

import (
	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// freeText drafts a step's own words. A built-in reply can offer a list to choose from.
func freeText(p *fence.Pass) (*draft, error) {
	d := &draft{record: punchcard.Message{Kind: "text"}}
	d.fill = func() (whatsapp.Message, error) {
		env, err := p.Env()
		if err != nil {
			return whatsapp.Message{}, err
		}
		text, err := p.Step.Say.Render(p.Customer.Language, env)
		if err != nil {
			return whatsapp.Message{}, unworded(err)
		}
		d.record.Language = p.Customer.Language
		d.record.Text = env.Shown(func(env *rules.Env) (string, error) { return p.Step.Say.Render(p.Customer.Language, env) })
		if menu := fence.MenuOf(p.Run.Entry); menu != nil {
			return wireMenu(text, menu), nil
		}
		return sayWire(p.Step, text, p.Customer.Language, env, p.Run.Bound)
	}
	return d, nil
}

// wireMenu is a menu as a list, or, where no button opens it, as buttons.
func wireMenu(text string, menu *fence.Menu) whatsapp.Message {
	if menu.Button == "" {
		b := &whatsapp.Buttons{Body: text}
		for _, r := range menu.Rows {
			b.Buttons = append(b.Buttons, whatsapp.Button{ID: r.ID, Title: r.Title})
		}
		return whatsapp.Message{Buttons: b}
	}
	l := &whatsapp.List{Body: text, Button: menu.Button, Sections: []whatsapp.Section{{}}}
	for _, r := range menu.Rows {
		l.Sections[0].Rows = append(l.Sections[0].Rows, whatsapp.Row{ID: r.ID, Title: r.Title, Description: r.Description})
	}
	return whatsapp.Message{List: l}
}

// sayWire is what a say step sends beside or around its text: media, buttons, a list, or nothing.
func sayWire(s *rules.Step, text, language string, env *rules.Env, bound map[string]punchcard.Ref) (whatsapp.Message, error) {
	fill := func(t rules.Text) (string, error) {
		words, err := t.Render(language, env)
		if err != nil {
			return "", unworded(err)
		}
		return words, nil
	}
	switch {
	case s.Media != nil:
		return mediaWire(s.Media, text, fill)
	case len(s.Buttons) > 0:
		b := &whatsapp.Buttons{Body: text}
		for _, c := range s.Buttons {
			title, err := fill(c.Title)
			if err != nil {
				return whatsapp.Message{}, err
			}
			id := c.Reply
			if c.Capture != "" {
				ref := bound[c.Capture]
				if ref.Kind != punchcard.RefGrant {
					return whatsapp.Message{}, &notSent{ReasonParameterEmpty} // there is nothing that a tap could use
				}
				id = rules.PayloadCapture + ref.ID
			}
			b.Buttons = append(b.Buttons, whatsapp.Button{ID: id, Title: title})
		}
		return whatsapp.Message{Buttons: b}, nil
	case s.List != nil:
		label, err := fill(s.List.Button)
		if err != nil {
			return whatsapp.Message{}, err
		}
		l := &whatsapp.List{Body: text, Button: label, Sections: []whatsapp.Section{{}}}
		for _, r := range s.List.Rows {
			title, err := fill(r.Title)
			if err != nil {
				return whatsapp.Message{}, err
			}
			description, err := fill(r.Description)
			if err != nil {
				return whatsapp.Message{}, err
			}
			l.Sections[0].Rows = append(l.Sections[0].Rows, whatsapp.Row{ID: r.ID, Title: title, Description: description})
		}
		return whatsapp.Message{List: l}, nil
	default:
		return whatsapp.Message{Text: &whatsapp.Text{Body: text}}, nil
	}
}

func mediaWire(m *rules.Media, caption string, fill func(rules.Text) (string, error)) (whatsapp.Message, error) {
	switch {
	case m.Document != nil:
		link, err := fill(m.Document.URL)
		if err != nil {
			return whatsapp.Message{}, err
		}
		name, err := fill(m.Document.Filename)
		return whatsapp.Message{Document: &whatsapp.Media{Link: link, Caption: caption, Filename: name}}, err
	case m.Location != nil:
		name, err := fill(m.Location.Name)
		if err != nil {
			return whatsapp.Message{}, err
		}
		address, err := fill(m.Location.Address)
		return whatsapp.Message{Location: &whatsapp.Location{
			Latitude: m.Location.Latitude, Longitude: m.Location.Longitude, Name: name, Address: address,
		}}, err
	default:
		link, err := fill(m.Image)
		return whatsapp.Message{Image: &whatsapp.Media{Link: link, Caption: caption}}, err
	}
}
