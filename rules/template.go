package rules

import "errors"

// Template is a message that WhatsApp approves before it may be sent. It is immutable and safe to share.
type Template struct {
	Name        string
	Category    string // marketing, utility or authentication
	AsksConsent bool   // it may go to someone whose consent is only requested
}

// ButtonKind says what a button does.
type ButtonKind string

// The kinds of button.
const (
	ButtonQuickReply ButtonKind = "quick_reply"
	ButtonCopyCode   ButtonKind = "copy_code"
)

// Button is a button as WhatsApp knows it.
type Button struct {
	Kind    ButtonKind `json:"kind"`
	Text    string     `json:"text,omitempty"`
	Payload string     `json:"payload,omitempty"` // of a quick reply: the keyword's name
	Example string     `json:"example,omitempty"` // of a copy_code
}

// WireTemplate is a template in one language as WhatsApp is asked to create it.
type WireTemplate struct {
	Name     string
	Language string
	Category string // MARKETING, UTILITY or AUTHENTICATION
	Header   string
	Body     string // with {{1}}, {{2}} …
	Examples []string
	Footer   string
	Buttons  []Button
}

// Rendered is a template with everything filled in for one customer.
type Rendered struct {
	Name     string // WireName
	Language string
	Params   []string // in the order of {{n}}
	Buttons  []Button
	CopyCode string // what a copy_code button copies; "" without one
	Wording  string // the whole text as the customer sees it
}

// WireName is the template's name at WhatsApp: its own and a hash of its content, so that an edit makes another.
func (t *Template) WireName() string { return t.Name }

// Languages are those the template is worded in, sorted.
func (t *Template) Languages() []string { return nil }

// Pick is the language to send in to someone who reads lang.
func (t *Template) Pick(lang string) string { return lang }

// Wire is the template in a language as WhatsApp is asked to create it.
func (t *Template) Wire(lang string) WireTemplate { return WireTemplate{} }

// Render fills the template in. The error wraps ErrEmpty when a parameter is empty.
func (t *Template) Render(lang string, env *Env) (Rendered, error) {
	return Rendered{}, errors.New("not yet")
}
