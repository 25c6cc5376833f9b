package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Template is a message that WhatsApp approves before it may be sent. It is immutable and safe to share.
type Template struct {
	Name        string
	Category    string // marketing, utility or authentication
	AsksConsent bool   // it may go to someone whose consent is only requested

	languages []string
	body      Text
	header    Text
	footer    Text
	buttons   []templateButton
	params    []string // the names that a step must hand over, in the order of their first use
	hash      string
}

// templateButton is a button as it was written.
type templateButton struct {
	keyword string // of a reply
	title   Text
	code    *Expr // of a copy_code
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
	Text    string     `json:"text,omitempty"`    // of a quick reply: what it shows
	Payload string     `json:"payload,omitempty"` // of a quick reply: the keyword's name
	Example string     `json:"example,omitempty"` // of a copy_code, when the template is created
}

// WireTemplate is a template in one language as WhatsApp is asked to create it.
type WireTemplate struct {
	Name     string   `json:"name"`
	Language string   `json:"language"`
	Category string   `json:"category"` // MARKETING, UTILITY or AUTHENTICATION
	Header   string   `json:"header,omitempty"`
	Body     string   `json:"body"` // with {{1}}, {{2}} …
	Examples []string `json:"examples,omitempty"`
	Footer   string   `json:"footer,omitempty"`
	Buttons  []Button `json:"buttons,omitempty"`
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
	for _, b := range t.buttons {
		if b.keyword != "" {
			names = append(names, b.keyword)
		}
	}
	return names
}

// Wire is the template in a language as WhatsApp is asked to create it.
func (t *Template) Wire(lang string) WireTemplate {
	lang = t.Pick(lang)
	w := WireTemplate{
		Name: t.WireName(), Language: lang, Category: strings.ToUpper(t.Category),
		Header: t.header.plain(lang), Footer: t.footer.plain(lang), Buttons: t.wireButtons(lang),
	}
	numbers := map[string]int{}
	var body strings.Builder
	for _, s := range t.body.pick(lang).segments {
		if s.expr == nil {
			body.WriteString(s.literal)
			continue
		}
		n, seen := numbers[s.expr.source]
		if !seen {
			n = len(numbers) + 1
			numbers[s.expr.source] = n
			w.Examples = append(w.Examples, example(s.expr))
		}
		body.WriteString("{{" + strconv.Itoa(n) + "}}")
	}
	w.Body = body.String()
	return w
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

func (t *Template) wireButtons(lang string) []Button {
	var buttons []Button
	for _, b := range t.buttons {
		if b.code != nil {
			buttons = append(buttons, Button{Kind: ButtonCopyCode, Example: "BB7K2M9Q"})
			continue
		}
		buttons = append(buttons, Button{Kind: ButtonQuickReply, Text: b.title.plain(lang), Payload: b.keyword})
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
// since WhatsApp refuses line breaks in one. The error wraps ErrEmpty when a parameter is empty, or is the *EvalError of an
// expression that failed.
func (t *Template) Render(lang string, env *Env) (Rendered, error) {
	lang = t.Pick(lang)
	r := Rendered{Name: t.WireName(), Language: lang, Buttons: t.wireButtons(lang)}
	for i := range r.Buttons {
		r.Buttons[i].Example = ""
	}
	values := map[string]string{}
	var body strings.Builder
	for _, s := range t.body.pick(lang).segments {
		if s.expr == nil {
			body.WriteString(s.literal)
			continue
		}
		value, seen := values[s.expr.source]
		if !seen {
			text, err := fill(s.expr, lang, env)
			if err != nil {
				return Rendered{}, err
			}
			value = strings.Join(strings.Fields(text), " ")
			values[s.expr.source] = value
			r.Params = append(r.Params, value)
		}
		body.WriteString(value)
	}
	for _, b := range t.buttons {
		if b.code == nil {
			continue
		}
		code, err := fill(b.code, lang, env)
		if err != nil {
			return Rendered{}, err
		}
		r.CopyCode = strings.TrimSpace(code)
	}
	parts := []string{body.String()}
	if h := t.header.plain(lang); h != "" {
		parts = slices.Insert(parts, 0, h)
	}
	if f := t.footer.plain(lang); f != "" {
		parts = append(parts, f)
	}
	r.Wording = strings.Join(parts, "\n\n")
	if len([]rune(r.Wording)) > maxText {
		return Rendered{}, &EvalError{Where: t.body.where, Kind: "the message is too long when it is filled in"}
	}
	return r, nil
}

// seal computes the hash of what WhatsApp is shown. Examples are no part of it: they change nothing that is sent.
func (t *Template) seal() {
	var wires []WireTemplate
	for _, lang := range t.languages {
		w := t.Wire(lang)
		w.Name, w.Examples = t.Name, nil
		for i := range w.Buttons {
			w.Buttons[i].Example = ""
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
