package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
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

// moment is an expression's value as a time.
func moment(e *Expr, env *Env) (time.Time, error) {
	v, err := e.Value(env)
	if err != nil {
		return time.Time{}, err
	}
	at, ok := v.(time.Time)
	if !ok || at.IsZero() {
		return time.Time{}, fmt.Errorf("%s:%d:%d: %w", e.Where.File, e.Where.Line, e.Where.Column, ErrEmpty)
	}
	return at, nil
}

// Wire is the template in a language as WhatsApp is asked to create it.
func (t *Template) Wire(lang string) WireTemplate {
	lang = t.Pick(lang)
	w := WireTemplate{
		Name: t.WireName(), Language: lang, Category: strings.ToUpper(t.Category),
		Footer: t.footer.plain(lang), Buttons: wireButtons(t.buttons, lang),
	}
	w.Body, w.Examples = t.body.numbered(lang)
	var samples []string
	if w.Header, samples = t.header.numbered(lang); len(samples) > 0 {
		w.HeaderExample = samples[0]
	}
	if t.media != nil {
		w.HeaderFormat, w.HeaderExample = t.media.format(), t.media.sample(lang)
	}
	if t.offer != nil {
		w.Offer, w.OfferEnds = t.offer.text.plain(lang), t.offer.ends()
	}
	for _, c := range t.cards {
		body, examples := c.body.numbered(lang)
		w.Cards = append(w.Cards, WireCard{
			HeaderFormat: c.media.format(), HeaderExample: c.media.sample(lang), Body: body, Examples: examples,
			Buttons: wireButtons(c.buttons, lang),
		})
	}
	return w
}

func (o *offer) ends() bool { return o.expires != nil || o.param != "" }

func (m *Media) format() HeaderFormat {
	switch {
	case !m.Video.IsZero():
		return HeaderVideo
	case m.Document != nil:
		return HeaderDocument
	case m.Location != nil:
		return HeaderLocation
	default:
		return HeaderImage
	}
}

// address is where WhatsApp fetches what is shown; the zero Text for a location.
func (m *Media) address() Text {
	switch {
	case !m.Video.IsZero():
		return m.Video
	case m.Document != nil:
		return m.Document.URL
	case m.Location != nil:
		return Text{}
	default:
		return m.Image
	}
}

// sample is an address for WhatsApp's reviewers, with examples for what is filled in for each customer.
func (m *Media) sample(lang string) string {
	address := m.address()
	if address.IsZero() {
		return ""
	}
	var b strings.Builder
	for _, s := range address.pick(lang).segments {
		if s.expr != nil {
			b.WriteString(example(s.expr))
		}
		b.WriteString(s.literal)
	}
	return b.String()
}

// numbered is a text with its values as {{1}}, {{2}} …, and an example for each.
func (t Text) numbered(lang string) (string, []string) {
	if t.IsZero() {
		return "", nil
	}
	numbers := map[string]int{}
	var examples []string
	var b strings.Builder
	for _, s := range t.pick(lang).segments {
		if s.expr == nil {
			b.WriteString(s.literal)
			continue
		}
		n, seen := numbers[s.expr.source]
		if !seen {
			n = len(numbers) + 1
			numbers[s.expr.source] = n
			examples = append(examples, example(s.expr))
		}
		b.WriteString("{{" + strconv.Itoa(n) + "}}")
	}
	return b.String(), examples
}

// plain is a text in which nothing is filled in.
func (t Text) plain(lang string) string {
	if t.IsZero() {
		return ""
	}
	var b strings.Builder
	for _, s := range t.pick(lang).segments {
		b.WriteString(s.literal)
	}
	return b.String()
}

func wireButtons(written []templateButton, lang string) []Button {
	var buttons []Button
	for _, b := range written {
		button := Button{Kind: b.kind, Text: b.title.plain(lang), Payload: b.keyword, Phone: b.phone}
		switch b.kind {
		case ButtonCopyCode:
			button.Example = "BB7K2M9Q"
		case ButtonURL:
			var examples []string
			if button.URL, examples = b.url.numbered(lang); len(examples) > 0 {
				button.Example = b.url.plain(lang) + url.QueryEscape(examples[0])
			}
		case ButtonQuickReply, ButtonPhone:
		}
		buttons = append(buttons, button)
	}
	return buttons
}

// example is what a parameter might be: WhatsApp wants to see one before it approves a template.
func example(e *Expr) string {
	if _, fallback, ok := strings.Cut(e.source, `default("`); ok {
		if word, _, ok := strings.Cut(fallback, `"`); ok && word != "" {
			return word
		}
	}
	switch e.result.Kind { //nolint:exhaustive // what is a text or unknown is named by its expression, below
	case TypeInteger, TypeNumber:
		return "5"
	case TypeMoney:
		return "4.50"
	case TypeDate, TypeTime:
		return "22 November 2026"
	case TypeBool:
		return "true"
	}
	word := e.source
	if i := strings.LastIndexByte(word, '.'); i >= 0 {
		word = word[i+1:]
	}
	if !fieldName.MatchString(word) {
		return "text"
	}
	return strings.ReplaceAll(word, "_", " ")
}

// Render fills the template in for one customer, in the language that Pick gives. White space in a parameter is collapsed,
// since WhatsApp refuses line breaks in one. The error wraps ErrEmpty when a parameter is empty, ErrOfferOver when the offer has
// ended, or is the *EvalError of an expression that failed.
func (t *Template) Render(lang string, env *Env) (Rendered, error) {
	lang = t.Pick(lang)
	r := Rendered{Name: t.WireName(), Language: lang}
	var body, header string
	var headers []string
	var err error
	if body, r.Params, err = t.body.values(lang, env); err != nil {
		return Rendered{}, err
	}
	if header, headers, err = t.header.values(lang, env); err != nil {
		return Rendered{}, err
	}
	if len(headers) > 0 {
		r.Header = headers[0]
	}
	if t.media != nil {
		if r.Media, err = t.media.render(lang, env); err != nil {
			return Rendered{}, err
		}
	}
	if r.Expires, err = t.offer.end(env); err != nil {
		return Rendered{}, err
	}
	if r.Buttons, err = fillButtons(t.buttons, lang, env); err != nil {
		return Rendered{}, err
	}
	for _, b := range r.Buttons {
		if b.Kind == ButtonCopyCode {
			r.CopyCode = b.Value
		}
	}
	parts := []string{header}
	if t.offer != nil {
		parts = append(parts, t.offer.text.plain(lang))
	}
	parts = append(parts, body)
	for _, c := range t.cards {
		filled := RenderedCard{}
		media, err := c.media.render(lang, env)
		if err != nil {
			return Rendered{}, err
		}
		filled.Media = *media
		var said string
		if said, filled.Params, err = c.body.values(lang, env); err != nil {
			return Rendered{}, err
		}
		if filled.Buttons, err = fillButtons(c.buttons, lang, env); err != nil {
			return Rendered{}, err
		}
		r.Cards = append(r.Cards, filled)
		parts = append(parts, said)
	}
	parts = append(parts, t.footer.plain(lang))
	r.Wording = strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n\n")
	if len([]rune(r.Wording)) > maxText {
		return Rendered{}, &EvalError{Where: t.body.where, Kind: "the message is too long when it is filled in"}
	}
	return r, nil
}

// values fills a text in, and answers each of its values once, in the order of {{n}}.
func (t Text) values(lang string, env *Env) (string, []string, error) {
	if t.IsZero() {
		return "", nil, nil
	}
	values := map[string]string{}
	var params []string
	var b strings.Builder
	for _, s := range t.pick(lang).segments {
		if s.expr == nil {
			b.WriteString(s.literal)
			continue
		}
		value, seen := values[s.expr.source]
		if !seen {
			text, err := fill(s.expr, lang, env)
			if err != nil {
				return "", nil, err
			}
			value = strings.Join(strings.Fields(text), " ")
			values[s.expr.source] = value
			params = append(params, value)
		}
		b.WriteString(value)
	}
	return b.String(), params, nil
}

// end is when the offer ends; zero for none.
func (o *offer) end(env *Env) (time.Time, error) {
	if o == nil || !o.ends() {
		return time.Time{}, nil
	}
	var at time.Time
	if o.expires != nil {
		var err error
		if at, err = moment(o.expires, env); err != nil {
			return time.Time{}, err
		}
	} else if at = env.WithTimes[o.param]; at.IsZero() {
		return time.Time{}, fmt.Errorf("the parameter %s: %w", o.param, ErrEmpty)
	}
	if !at.After(env.Now) {
		return time.Time{}, ErrOfferOver
	}
	return at.UTC(), nil
}

func (m *Media) render(lang string, env *Env) (*RenderedMedia, error) {
	r := &RenderedMedia{Format: m.format()}
	var err error
	if r.URL, err = m.address().Render(lang, env); err != nil {
		return nil, err
	}
	if m.Document != nil {
		r.Filename, err = m.Document.Filename.Render(lang, env)
	}
	if l := m.Location; l != nil {
		r.Latitude, r.Longitude = l.Latitude, l.Longitude
		if r.Name, err = l.Name.Render(lang, env); err == nil {
			r.Address, err = l.Address.Render(lang, env)
		}
	}
	return r, err
}

func fillButtons(written []templateButton, lang string, env *Env) ([]Button, error) {
	buttons := wireButtons(written, lang)
	for i, b := range written {
		buttons[i].Example = ""
		switch b.kind {
		case ButtonCopyCode:
			code, err := fill(b.code, lang, env)
			if err != nil {
				return nil, err
			}
			if buttons[i].Value = env.copied(strings.TrimSpace(code)); (env == nil || !env.veiled) && !codeForm.MatchString(buttons[i].Value) {
				return nil, fmt.Errorf("%s:%d:%d: %w", b.code.Where.File, b.code.Where.Line, b.code.Where.Column, ErrCodeForm)
			}
		case ButtonURL:
			_, values, err := b.url.values(lang, env)
			if err != nil {
				return nil, err
			}
			if len(values) > 0 {
				// One value stays one: no & or / in it leads elsewhere.
				buttons[i].Value = strings.ReplaceAll(url.QueryEscape(values[0]), "+", "%20")
			}
		case ButtonQuickReply, ButtonPhone:
		}
	}
	return buttons, nil
}

// seal computes the hash of what WhatsApp is shown. Examples are no part of it: they change nothing that is sent.
func (t *Template) seal() {
	var wires []WireTemplate
	for _, lang := range t.languages {
		w := t.Wire(lang)
		w.Name, w.Examples, w.HeaderExample = t.Name, nil, ""
		forget(w.Buttons)
		for i := range w.Cards {
			w.Cards[i].Examples, w.Cards[i].HeaderExample = nil, ""
			forget(w.Cards[i].Buttons)
		}
		wires = append(wires, w)
	}
	content, err := json.Marshal(wires)
	if err != nil {
		panic(fmt.Sprintf("rules: a template of strings cannot be JSON: %v", err))
	}
	sum := sha256.Sum256(content)
	t.hash = hex.EncodeToString(sum[:4])
}

func forget(buttons []Button) {
	for i := range buttons {
		buttons[i].Example = ""
	}
}
