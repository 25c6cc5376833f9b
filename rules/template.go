package rules

import (
	"errors"
	"regexp"
	"slices"
	"time"
)

// Template is a message that WhatsApp approves before it may be sent. It is immutable and safe to share.
type Template struct {
	Name        string
	Category    string // marketing, utility or authentication
	AsksConsent bool   // it may go to someone whose consent is only requested

	languages []string
	body      Text
	header    Text
	media     *Media // shown above, instead of a header
	offer     *offer
	cards     []card
	footer    Text
	buttons   []templateButton
	params    []string // the names that a step must hand over, in the order of their first use
	hash      string
}

// offer is a limited-time offer, over which WhatsApp counts down.
type offer struct {
	text    Text
	expires *Expr  // a time; nil where a step hands it over, or the offer has no end
	param   string // the parameter by which a step hands it over
}

// card is one of those that are moved sideways under the body.
type card struct {
	media   *Media
	body    Text
	buttons []templateButton
}

// templateButton is a button as it was written.
type templateButton struct {
	kind    ButtonKind
	keyword string // of a reply
	title   Text
	code    *Expr // of a copy_code
	url     Text  // at most one value, at its end
	phone   string
}

// ButtonKind says what a button does.
type ButtonKind string

// The kinds of button.
const (
	ButtonQuickReply ButtonKind = "quick_reply"
	ButtonCopyCode   ButtonKind = "copy_code"
	ButtonURL        ButtonKind = "url"
	ButtonPhone      ButtonKind = "phone"
)

// Button is a button as WhatsApp knows it.
type Button struct {
	Kind    ButtonKind `json:"kind"`
	Text    string     `json:"text,omitempty"`    // what it shows; WhatsApp words a copy_code
	Payload string     `json:"payload,omitempty"` // of a quick reply: the keyword's name
	URL     string     `json:"url,omitempty"`     // may end in {{1}}
	Phone   string     `json:"phone,omitempty"`   // E.164
	Example string     `json:"example,omitempty"` // of a copy_code or an address, when the template is created
	Value   string     `json:"-"`                 // when it is filled in: the code, or what ends the address
}

// HeaderFormat says what stands above a template's body.
type HeaderFormat string

// The formats of a header.
const (
	HeaderText     HeaderFormat = "" // or nothing
	HeaderImage    HeaderFormat = "IMAGE"
	HeaderVideo    HeaderFormat = "VIDEO"
	HeaderDocument HeaderFormat = "DOCUMENT"
	HeaderLocation HeaderFormat = "LOCATION"
)

// WireTemplate is a template in one language as WhatsApp is asked to create it.
type WireTemplate struct {
	Name          string       `json:"name"`
	Language      string       `json:"language"`
	Category      string       `json:"category"`         // MARKETING, UTILITY or AUTHENTICATION
	Header        string       `json:"header,omitempty"` // may have {{1}}
	HeaderFormat  HeaderFormat `json:"header_format,omitempty"`
	HeaderExample string       `json:"header_example,omitempty"` // of {{1}}, or the address of a picture or a file
	Offer         string       `json:"offer,omitempty"`
	OfferEnds     bool         `json:"offer_ends,omitempty"`
	Body          string       `json:"body"` // with {{1}}, {{2}} …
	Examples      []string     `json:"examples,omitempty"`
	Footer        string       `json:"footer,omitempty"`
	Buttons       []Button     `json:"buttons,omitempty"`
	Cards         []WireCard   `json:"cards,omitempty"`
}

// WireCard is a card of a WireTemplate.
type WireCard struct {
	HeaderFormat  HeaderFormat `json:"header_format"`
	HeaderExample string       `json:"header_example,omitempty"`
	Body          string       `json:"body,omitempty"`
	Examples      []string     `json:"examples,omitempty"`
	Buttons       []Button     `json:"buttons"`
}

// Rendered is a template with everything filled in for one customer.
type Rendered struct {
	Name     string // WireName
	Language string
	Header   string         // the value in the header; "" without one
	Media    *RenderedMedia // what is shown above; nil for nothing
	Expires  time.Time      // when the offer ends; zero without one
	Params   []string       // in the order of {{n}}
	Buttons  []Button
	Cards    []RenderedCard
	CopyCode string // what a copy_code button copies; "" without one
	Wording  string // the whole text as the customer sees it
}

// RenderedMedia is what a template shows above its body: one of these.
type RenderedMedia struct {
	Format              HeaderFormat
	URL                 string
	Filename            string // of a document
	Latitude, Longitude float64
	Name, Address       string // of a location
}

// RenderedCard is a card with everything filled in.
type RenderedCard struct {
	Media   RenderedMedia
	Params  []string
	Buttons []Button
}

// ErrOfferOver is wrapped by the error of a Template whose limited-time offer has ended already.
var ErrOfferOver = errors.New("the offer has ended")

// ErrCodeForm is wrapped by the error of a Template whose copy_code has a value that WhatsApp does not let be copied.
var ErrCodeForm = errors.New("a copy_code has at most 15 letters and digits")

// codeForm is what a copy_code may copy. Source: Meta's page on coupon codes; a later changelog says 20, which no page repeats.
var codeForm = regexp.MustCompile(`^[A-Za-z0-9]{1,15}$`)

// WireName is the template's name at WhatsApp: its own and eight digits of the hash of its content, so that an edit makes
// another template there and does not touch what a run in flight sends.
func (t *Template) WireName() string { return t.Name + "_" + t.hash }

// Languages are those the template is worded in, sorted.
func (t *Template) Languages() []string { return slices.Clone(t.languages) }

// Params are the names that a step hands to the template by `with`.
func (t *Template) Params() []string { return slices.Clone(t.params) }

// Pick is the language to send in to someone who reads lang: that one, its main form, or the program's.
func (t *Template) Pick(lang string) string {
	return t.languages[pickLanguage(lang, t.languages, t.body.fallback)]
}

// Replies names the keywords of the template's reply buttons.
func (t *Template) Replies() []string {
	var names []string
	add := func(buttons []templateButton) {
		for _, b := range buttons {
			if b.keyword != "" && !slices.Contains(names, b.keyword) {
				names = append(names, b.keyword)
			}
		}
	}
	add(t.buttons)
	for _, c := range t.cards {
		add(c.buttons)
	}
	return names
}

// With is what a template sees where a step hands params over: env, and the params in the language that Pick gives. The errors
// are those of Text.Render.
func (t *Template) With(lang string, params []Param, env *Env) (*Env, error) {
	lang = t.Pick(lang) // values are written as the words around them are
	filled := *env
	filled.With, filled.WithTimes = map[string]any{}, map[string]time.Time{}
	for _, p := range params {
		value, err := p.Value.Render(lang, env)
		if err != nil {
			return nil, err
		}
		filled.With[p.Name] = value
		if t.offer == nil || t.offer.param != p.Name {
			continue
		}
		if e := p.Value.only(lang); e != nil {
			if at, err := moment(e, env); err != nil {
				return nil, err
			} else if !at.IsZero() {
				filled.WithTimes[p.Name] = at
			}
		}
	}
	return &filled, nil
}

// only is the expression of a text that is nothing but one.
func (t Text) only(lang string) *Expr {
	if t.IsZero() {
		return nil
	}
	if segments := t.pick(lang).segments; len(segments) == 1 {
		return segments[0].expr
	}
	return nil
}
