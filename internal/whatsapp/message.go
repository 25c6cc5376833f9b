package whatsapp

import "strconv"

// Message is one outbound message. Exactly one kind of content is set, and To or UserID or both.
type Message struct {
	To           string // E.164 with "+": without it Meta may put the business's own country code before it
	UserID       string // business-scoped user id; ignored by Meta when To is set
	CallbackData string // our own id, echoed in every status; at most 512 characters
	ReplyTo      string // the WhatsApp id of the message this one quotes

	Text     *Text
	Template *TemplateMessage
	Buttons  *Buttons
	List     *List
	Image    *Media
	Document *Media
	Location *Location
}

// Accepted is Meta's promise to try.
type Accepted struct {
	ID     string // the WhatsApp id of the message (wamid)
	Status string // accepted, held_for_quality_assessment, paused, or empty
}

// Text is free text, at most 4096 characters. Only inside the service window.
type Text struct {
	Body       string
	PreviewURL bool // show a preview of the first link
}

// TemplateMessage is an approved template with its values.
type TemplateMessage struct {
	Name     string
	Language string          // a code of Meta's, such as en or pt_BR
	Header   *TemplateHeader // nil when the header has no variable
	Body     []string        // the values of {{1}}, {{2}} …
	Named    []NamedValue    // the values of {{name}} …, instead of Body
	Buttons  []TemplateButton
}

// NamedValue is the value of a template's named variable.
type NamedValue struct{ Name, Text string }

// TemplateHeader is the value of a template's header: one of these.
type TemplateHeader struct {
	Text     string // the value of the header's only variable
	TextName string // the variable's name, in a template of named variables
	Image    *Media
	Document *Media
	Location *Location
}

// ButtonSubType is what the value of a TemplateButton is.
type ButtonSubType string

// The sub types.
const (
	QuickReply ButtonSubType = "quick_reply" // the payload that a press sends back
	CopyCode   ButtonSubType = "copy_code"   // the coupon code, at most 15 letters and digits
	URLSuffix  ButtonSubType = "url"         // what fills {{1}} at the end of the button's address
)

// TemplateButton is the value of one of a template's buttons.
type TemplateButton struct {
	Index   int // counted from 0 among all buttons of the template
	SubType ButtonSubType
	Value   string
}

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

// Media is an image or a document: by ID of an upload, or by Link.
type Media struct {
	ID       string `json:"id,omitempty"`
	Link     string `json:"link,omitempty"`
	Caption  string `json:"caption,omitempty"`  // at most 1024 characters; not in a template's header
	Filename string `json:"filename,omitempty"` // documents only
}

// Location is a place on the map.
type Location struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Name      string  `json:"name,omitempty"`
	Address   string  `json:"address,omitempty"`
}

// object is a JSON object under construction. Meta reads an empty string as a value, so absent fields must be absent.
type object = map[string]any

// body is the request for m, or why there is none. It checks only what would make the request mean something else than
// intended: lengths and rights are Meta's to judge.
func (m Message) body() (object, error) {
	if m.To == "" && m.UserID == "" {
		return nil, refuse("the message has no recipient")
	}
	out := object{"messaging_product": "whatsapp", "recipient_type": "individual"}
	for key, value := range map[string]string{"to": m.To, "recipient": m.UserID, "biz_opaque_callback_data": m.CallbackData} {
		if value != "" {
			out[key] = value
		}
	}
	if m.ReplyTo != "" {
		out["context"] = object{"message_id": m.ReplyTo}
	}
	kinds := 0
	set := func(kind string, content any) {
		kinds++
		out["type"], out[kind] = kind, content
	}
	if m.Text != nil {
		set("text", object{"body": m.Text.Body, "preview_url": m.Text.PreviewURL})
	}
	if m.Template != nil {
		if len(m.Template.Body) > 0 && len(m.Template.Named) > 0 {
			return nil, refuse("the template has both numbered and named values")
		}
		set("template", m.Template.body())
	}
	if m.Buttons != nil {
		set("interactive", m.Buttons.body())
	}
	if m.List != nil {
		set("interactive", m.List.body())
	}
	if m.Image != nil {
		set("image", m.Image)
	}
	if m.Document != nil {
		set("document", m.Document)
	}
	if m.Location != nil {
		set("location", m.Location)
	}
	if kinds != 1 {
		return nil, refuse("the message must have exactly one kind of content")
	}
	return out, nil
}

func (t *TemplateMessage) body() object {
	var components []object
	if h := t.Header; h != nil {
		var p object
		switch {
		case h.Image != nil:
			p = object{"type": "image", "image": h.Image}
		case h.Document != nil:
			p = object{"type": "document", "document": h.Document}
		case h.Location != nil:
			p = object{"type": "location", "location": h.Location}
		default:
			p = textParameter(h.TextName, h.Text)
		}
		components = append(components, object{"type": "header", "parameters": []object{p}})
	}
	var values []object
	for _, v := range t.Body {
		values = append(values, textParameter("", v))
	}
	for _, v := range t.Named {
		values = append(values, textParameter(v.Name, v.Text))
	}
	if len(values) > 0 {
		components = append(components, object{"type": "body", "parameters": values})
	}
	for _, b := range t.Buttons {
		p := object{"type": "text", "text": b.Value}
		switch b.SubType {
		case QuickReply:
			p = object{"type": "payload", "payload": b.Value}
		case CopyCode:
			p = object{"type": "coupon_code", "coupon_code": b.Value}
		case URLSuffix: // is text
		}
		components = append(components, object{
			"type": "button", "sub_type": string(b.SubType), "index": strconv.Itoa(b.Index), "parameters": []object{p},
		})
	}
	out := object{"name": t.Name, "language": object{"code": t.Language}}
	if len(components) > 0 {
		out["components"] = components
	}
	return out
}

func textParameter(name, text string) object {
	p := object{"type": "text", "text": text}
	if name != "" {
		p["parameter_name"] = name
	}
	return p
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
