package simulator

import "encoding/json"

func (s *Simulator) readInteractive(raw json.RawMessage, m *message) *graphError {
	var x struct {
		Type   string  `json:"type"`
		Header *header `json:"header"`
		Body   struct {
			Text string `json:"text"`
		} `json:"body"`
		Footer struct {
			Text string `json:"text"`
		} `json:"footer"`
		Action struct {
			Name       string `json:"name"`
			Parameters *struct {
				DisplayText string `json:"display_text"`
				URL         string `json:"url"`
			} `json:"parameters"`
			Buttons []struct {
				Type  string `json:"type"`
				Reply struct {
					ID    string `json:"id"`
					Title string `json:"title"`
				} `json:"reply"`
			} `json:"buttons"`
			Button   string `json:"button"`
			Sections []struct {
				Title string `json:"title"`
				Rows  []struct {
					ID          string `json:"id"`
					Title       string `json:"title"`
					Description string `json:"description"`
				} `json:"rows"`
			} `json:"sections"`
		} `json:"action"`
	}
	if refusal := strict(raw, "interactive", &x); refusal != nil {
		return refusal
	}
	if x.Header != nil {
		if refusal := s.readHeader(x.Header, x.Type, m); refusal != nil {
			return refusal
		}
	}
	m.Interactive = x.Type
	m.Text, m.Footer = x.Body.Text, x.Footer.Text
	longest := 1024
	switch x.Type {
	case "button":
		if n := len(x.Action.Buttons); n < 1 || n > 3 {
			return badValue("Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3")
		}
		if x.Action.Button != "" || x.Action.Sections != nil || x.Action.Name != "" || x.Action.Parameters != nil {
			return invalid("Unexpected key on param interactive['action'].")
		}
		for _, b := range x.Action.Buttons {
			if b.Type != "reply" {
				return badValue("Button type must be reply")
			}
			if refusal := first(length("Button title", b.Reply.Title, 1, 20), length("Button id", b.Reply.ID, 1, 256)); refusal != nil {
				return refusal
			}
			m.Buttons = append(m.Buttons, button{Title: b.Reply.Title, ID: b.Reply.ID, Kind: reply})
		}
	case "list":
		longest = 4096
		if x.Action.Buttons != nil || x.Action.Name != "" || x.Action.Parameters != nil {
			return invalid("Unexpected key on param interactive['action'].")
		}
		if refusal := length("Button text", x.Action.Button, 1, 20); refusal != nil {
			return refusal
		}
		if n := len(x.Action.Sections); n < 1 || n > 10 {
			return badValue("Invalid sections count. Min allowed sections: 1, Max allowed sections: 10")
		}
		m.ListButton = x.Action.Button
		for _, section := range x.Action.Sections {
			if refusal := length("Section title", section.Title, min(1, len(x.Action.Sections)-1), 24); refusal != nil {
				return refusal
			}
			if len(section.Rows) == 0 {
				return badValue("Section without rows")
			}
			for _, row := range section.Rows {
				if refusal := first(length("Row title", row.Title, 1, 24), length("Row id", row.ID, 1, 200),
					length("Row description", row.Description, 0, 72)); refusal != nil {
					return refusal
				}
				m.Buttons = append(m.Buttons, button{Title: row.Title, ID: row.ID, Kind: reply, Description: row.Description, Section: section.Title})
			}
		}
		if len(m.Buttons) > 10 {
			return badValue("Total row count exceed max allowed count: 10")
		}
	case "cta_url":
		if x.Action.Button != "" || x.Action.Sections != nil || x.Action.Buttons != nil {
			return invalid("Unexpected key on param interactive['action'].")
		}
		if x.Action.Name != "cta_url" || x.Action.Parameters == nil {
			return missing("interactive['action'] needs the name cta_url and parameters.")
		}
		if refusal := length("Button display text", x.Action.Parameters.DisplayText, 1, 20); refusal != nil {
			return refusal
		}
		if !webAddress(x.Action.Parameters.URL) {
			return badValue("Button url is not a valid URL")
		}
		m.Buttons = []button{{Title: x.Action.Parameters.DisplayText, Kind: link, Value: x.Action.Parameters.URL}}
	default:
		return badValue("the simulator models interactive messages of type button, list and cta_url only")
	}
	seen := map[string]bool{}
	for _, b := range m.Buttons {
		if seen["id "+b.ID] || (x.Type == "button" && seen["title "+b.Title]) {
			return badValue("Button ids and titles must be unique")
		}
		seen["id "+b.ID], seen["title "+b.Title] = true, true
	}
	return first(length("Body text", m.Text, 1, longest), length("Footer text", m.Footer, 0, 60))
}

// header is the header of an interactive message.
type header struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Image    *media `json:"image"`
	Video    *media `json:"video"`
	Document *media `json:"document"`
}

// readHeader reads a header: a list has text only, the others may have a file. The caller holds mu.
func (s *Simulator) readHeader(h *header, kind string, m *message) (refusal *graphError) {
	file := map[string]*media{"image": h.Image, "video": h.Video, "document": h.Document}
	switch {
	case h.Type == "text":
		m.Header = h.Text
		return length("Header text", h.Text, 1, 60)
	case kind == "list" || file[h.Type] == nil:
		return badValue("the header of an interactive message of type %s cannot be of type %q, or has no value of it", kind, h.Type)
	case file[h.Type].Caption != "":
		return invalid("Unexpected key %q on param interactive['header'].", "caption")
	}
	m.File, refusal = s.file("interactive['header']", h.Type, *file[h.Type])
	if m.File != nil {
		m.Header, m.Link = m.File.Filename, m.File.Link
	}
	return refusal
}
