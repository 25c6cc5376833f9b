package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

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
