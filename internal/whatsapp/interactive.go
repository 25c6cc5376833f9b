package whatsapp

// Buttons is free text with up to three reply buttons. Only inside the service window.
type Buttons struct {
	Header  string // at most 60 characters
	Body    string // at most 1024 characters
	Footer  string // at most 60 characters
	Buttons []Button
}

// Button is a reply button.
type Button struct {
	ID    string // at most 256 characters
	Title string // at most 20 characters
}

// List is free text with a button that opens a list of up to ten rows. Only inside the service window.
type List struct {
	Header   string // at most 60 characters
	Body     string // at most 4096 characters
	Footer   string // at most 60 characters
	Button   string // the label that opens the list, at most 20 characters
	Sections []Section
}

// Section is a part of a list. Its title may be empty only when it is the only one.
type Section struct {
	Title string `json:"title,omitempty"` // at most 24 characters
	Rows  []Row  `json:"rows"`
}

// Row is a line of a list that the customer may choose.
type Row struct {
	ID          string `json:"id"`                    // at most 200 characters
	Title       string `json:"title"`                 // at most 24 characters
	Description string `json:"description,omitempty"` // at most 72 characters
}

// Link is free text with one button that opens an address. Only inside the service window.
type Link struct {
	Header string // at most 60 characters; or
	Image  *Media // a picture above the text
	Body   string // at most 1024 characters
	Footer string // at most 60 characters
	Label  string // what the button says, at most 20 characters
	URL    string
}

func (b *Buttons) body() object {
	buttons := make([]object, 0, len(b.Buttons))
	for _, x := range b.Buttons {
		buttons = append(buttons, object{"type": "reply", "reply": object{"id": x.ID, "title": x.Title}})
	}
	return interactive("button", b.Header, b.Body, b.Footer, object{"buttons": buttons})
}

func (l *List) body() object {
	return interactive("list", l.Header, l.Body, l.Footer, object{"button": l.Button, "sections": l.Sections})
}

func (l *Link) body() object {
	action := object{"name": "cta_url", "parameters": object{"display_text": l.Label, "url": l.URL}}
	out := interactive("cta_url", l.Header, l.Body, l.Footer, action)
	if l.Image != nil {
		out["header"] = object{"type": "image", "image": l.Image}
	}
	return out
}

func interactive(kind, header, body, footer string, action object) object {
	out := object{"type": kind, "body": object{"text": body}, "action": action}
	if header != "" {
		out["header"] = object{"type": "text", "text": header}
	}
	if footer != "" {
		out["footer"] = object{"text": footer}
	}
	return out
}
