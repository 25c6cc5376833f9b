package whatsapp

import (
	"strconv"
	"time"
)

// TemplateMessage is an approved template with its values. What it has must be what the template was created with: the
// number of values, of buttons that take one, and of cards.
type TemplateMessage struct {
	Name     string
	Language string          // a code of Meta's, such as en or pt_BR
	Header   *TemplateHeader // nil when the header has no variable
	Body     []string        // the values of {{1}}, {{2}} …
	Named    []NamedValue    // the values of {{name}} …, instead of Body
	Buttons  []TemplateButton
	Expires  time.Time // of a limited-time offer: when the countdown ends; zero in any other template, and in an offer that has none
	Cards    []Card    // of a carousel: two to ten, as many as the template has
}

// NamedValue is the value of a template's named variable.
type NamedValue struct{ Name, Text string }

// TemplateHeader is the value of a template's header: one of these.
type TemplateHeader struct {
	Text     string // the value of the header's only variable
	TextName string // the variable's name, in a template of named variables
	Image    *Media
	Video    *Media
	Document *Media
	Location *Location
}

// Card is a card of a carousel, with the values of its own parts.
type Card struct {
	Header  *TemplateHeader // an image or a video
	Body    []string
	Named   []NamedValue
	Buttons []TemplateButton
}

// ButtonSubType is what the value of a TemplateButton is.
type ButtonSubType string

// The sub types.
const (
	QuickReply ButtonSubType = "quick_reply" // the payload that a press sends back
	CopyCode   ButtonSubType = "copy_code"   // the coupon code, at most 15 letters and digits
	URLSuffix  ButtonSubType = "url"         // what fills {{1}} at the end of the button's address
	FlowToken  ButtonSubType = "flow"        // the token that the flow's answers come back with
)

// TemplateButton is the value of one of a template's buttons.
type TemplateButton struct {
	Index   int // counted from 0 among all buttons of the template or the card
	SubType ButtonSubType
	Value   string
}

// The bounds of a carousel, from Meta's page on media card carousel templates.
const (
	minCards = 2
	maxCards = 10
)

func (t *TemplateMessage) body() (object, error) {
	components, err := parts(t.Header, t.Body, t.Named)
	if err != nil {
		return nil, err
	}
	if !t.Expires.IsZero() {
		offer := object{"expiration_time_ms": t.Expires.UnixMilli()}
		components = append(components, object{
			"type": "limited_time_offer", "parameters": []object{{"type": "limited_time_offer", "limited_time_offer": offer}},
		})
	}
	if len(t.Cards) > 0 {
		if len(t.Cards) < minCards || len(t.Cards) > maxCards {
			return nil, refuse("a carousel has two to ten cards")
		}
		var cards []object
		for i, card := range t.Cards {
			inner, err := parts(card.Header, card.Body, card.Named)
			if err != nil {
				return nil, err
			}
			cards = append(cards, object{"card_index": i, "components": append(inner, buttonValues(card.Buttons)...)})
		}
		components = append(components, object{"type": "carousel", "cards": cards})
	}
	components = append(components, buttonValues(t.Buttons)...)
	out := object{"name": t.Name, "language": object{"code": t.Language}}
	if len(components) > 0 {
		out["components"] = components
	}
	return out, nil
}

// parts are the components of a header and a body that have values.
func parts(header *TemplateHeader, body []string, named []NamedValue) ([]object, error) {
	if len(body) > 0 && len(named) > 0 {
		return nil, refuse("the template has both numbered and named values")
	}
	var components []object
	if header != nil {
		components = append(components, object{"type": "header", "parameters": []object{header.parameter()}})
	}
	var values []object
	for _, v := range body {
		values = append(values, textParameter("", v))
	}
	for _, v := range named {
		values = append(values, textParameter(v.Name, v.Text))
	}
	if len(values) > 0 {
		components = append(components, object{"type": "body", "parameters": values})
	}
	return components, nil
}

func (h *TemplateHeader) parameter() object {
	switch {
	case h.Image != nil:
		return object{"type": "image", "image": h.Image}
	case h.Video != nil:
		return object{"type": "video", "video": h.Video}
	case h.Document != nil:
		return object{"type": "document", "document": h.Document}
	case h.Location != nil:
		return object{"type": "location", "location": h.Location}
	}
	return textParameter(h.TextName, h.Text)
}

func buttonValues(buttons []TemplateButton) []object {
	var components []object
	for _, b := range buttons {
		p := object{"type": "text", "text": b.Value}
		switch b.SubType {
		case QuickReply:
			p = object{"type": "payload", "payload": b.Value}
		case CopyCode:
			p = object{"type": "coupon_code", "coupon_code": b.Value}
		case FlowToken:
			p = object{"type": "action", "action": object{"flow_token": b.Value}}
		case URLSuffix: // is text
		}
		components = append(components, object{
			"type": "button", "sub_type": string(b.SubType), "index": strconv.Itoa(b.Index), "parameters": []object{p},
		})
	}
	return components
}

func textParameter(name, text string) object {
	p := object{"type": "text", "text": text}
	if name != "" {
		p["parameter_name"] = name
	}
	return p
}
