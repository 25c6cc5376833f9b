package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"punchcard/internal/whatsapp"
)

// parameter is a value in a template message.
type parameter struct {
	Type     string    `json:"type"`
	Name     string    `json:"parameter_name"`
	Text     string    `json:"text"`
	Payload  string    `json:"payload"`
	Coupon   string    `json:"coupon_code"`
	Image    *media    `json:"image"`
	Video    *media    `json:"video"`
	Document *media    `json:"document"`
	Location *location `json:"location"`
	Currency *struct {
		Fallback string `json:"fallback_value"`
		Code     string `json:"code"`
		Amount   *int64 `json:"amount_1000"`
	} `json:"currency"`
	DateTime *struct {
		Fallback string `json:"fallback_value"`
	} `json:"date_time"`
	Offer *struct {
		ExpiresMS int64 `json:"expiration_time_ms"`
	} `json:"limited_time_offer"`
}

// component is a part of a template message.
type component struct {
	Type       string      `json:"type"`
	SubType    string      `json:"sub_type"`
	Index      any         `json:"index"` // a number, or one in a string
	Parameters []parameter `json:"parameters"`
	Cards      []struct {
		Index      *int        `json:"card_index"`
		Components []component `json:"components"`
	} `json:"cards"`
}

// readTemplate fills a template in. The caller holds mu.
func (s *Simulator) readTemplate(raw json.RawMessage, m *message) *graphError {
	var x struct {
		Name     string `json:"name"`
		Language struct {
			Code   string `json:"code"`
			Policy string `json:"policy"`
		} `json:"language"`
		Components []component `json:"components"`
	}
	if refusal := strict(raw, "template", &x); refusal != nil {
		return refusal
	}
	if x.Name == "" || x.Language.Code == "" {
		return missing("The parameters template['name'] and template['language']['code'] are required.")
	}
	t := s.templates[templateKey{x.Name, x.Language.Code}]
	switch {
	case t == nil || t.Status == pending || t.Status == rejected:
		return &graphError{
			status: http.StatusNotFound, code: 132001, title: "Template name does not exist in the translation",
			details: fmt.Sprintf("template name (%s) does not exist in %s", x.Name, x.Language.Code),
		}
	case t.Status == paused:
		return &graphError{code: 132015, title: "Template is Paused", details: fmt.Sprintf("template name (%s) is paused due to low quality", x.Name)}
	case t.Status == disabled:
		return &graphError{code: 132016, title: "Template is Disabled", details: fmt.Sprintf("template name (%s) is disabled due to low quality", x.Name)}
	}
	m.Template, m.Language, m.Category = t.Name, t.Language, strings.ToLower(t.Category)
	return s.fillParts(t, "", t.Components, x.Components, m)
}

// fillParts fills the parts of a template, or of a card of it, into m. The caller holds mu.
func (s *Simulator) fillParts(t *storedTemplate, where string, parts []templateComponent, values []component, m *message) *graphError {
	given, refusal := byPart(values)
	if refusal != nil {
		return refusal
	}
	for _, c := range parts {
		key := strings.ToLower(c.Type)
		switch c.Type {
		case whatsapp.ComponentHeader:
			refusal = s.fillHeader(t, c, given[key].Parameters, m)
		case whatsapp.ComponentBody:
			m.Text, refusal = t.fill(where+"body", c.Text, given[key].Parameters)
			if utf8.RuneCountInString(m.Text) > 1024 {
				refusal = &graphError{code: 132005, title: "Template hydrated text too long", details: where + "body: the text is longer than 1024 characters"}
			}
		case whatsapp.ComponentFooter:
			m.Footer = c.Text
		case whatsapp.ComponentButtons:
			for i, b := range c.Buttons {
				key := "button" + strconv.Itoa(i)
				var filled button
				value, has := given[key]
				if filled, refusal = fillButton(i, b, value, has); refusal != nil {
					return refusal
				}
				m.Buttons = append(m.Buttons, filled)
				delete(given, key)
			}
		case componentOffer:
			refusal = fillOffer(c.Offer, given[key].Parameters, m)
		case componentCarousel:
			refusal = s.fillCards(t, c, given[key], m)
		}
		if refusal != nil {
			return refusal
		}
		delete(given, key)
	}
	for key, c := range given {
		if len(c.Parameters) > 0 || len(c.Cards) > 0 || strings.HasPrefix(key, "button") {
			return mismatch(where+key, max(len(c.Parameters), len(c.Cards)), 0)
		}
	}
	return nil
}

// byPart sorts values by the part that they are for.
func byPart(values []component) (map[string]component, *graphError) {
	given := map[string]component{}
	for _, c := range values {
		key := strings.ToLower(c.Type)
		switch key {
		case "header", "body", "limited_time_offer", "carousel":
		case "button":
			index, err := strconv.Atoi(fmt.Sprint(c.Index))
			if err != nil {
				return nil, badValue("Button index must be a number")
			}
			key += strconv.Itoa(index)
		default:
			return nil, invalid("Param template['components'] type must be one of {HEADER, BODY, BUTTON, LIMITED_TIME_OFFER, CAROUSEL}.")
		}
		if _, twice := given[key]; twice {
			return nil, invalid("Param template['components'] has %s twice.", key)
		}
		if len(c.Cards) > 0 && key != "carousel" {
			return nil, invalid("Unexpected key %q on param template['components'].", "cards")
		}
		given[key] = c
	}
	return given, nil
}

// fillOffer puts a limited-time offer into a message.
func fillOffer(o *templateOffer, values []parameter, m *message) *graphError {
	m.Offer = &offer{Text: o.Text}
	if !o.HasExpiration {
		if len(values) > 0 {
			return mismatch("limited_time_offer", len(values), 0)
		}
		return nil
	}
	if len(values) != 1 {
		return mismatch("limited_time_offer", len(values), 1)
	}
	v := values[0]
	if v.Type != "limited_time_offer" || v.Offer == nil || v.Offer.ExpiresMS <= 0 {
		return formatMismatch("limited_time_offer: expiration_time_ms must be a moment, in milliseconds since 1970")
	}
	at := time.UnixMilli(v.Offer.ExpiresMS).UTC()
	m.Offer.ExpiresAt = &at
	return nil
}

// fillCards puts the cards of a carousel into a message: as many as the template has.
func (s *Simulator) fillCards(t *storedTemplate, c templateComponent, value component, m *message) *graphError {
	if len(value.Cards) != len(c.Cards) {
		return mismatch("carousel", len(value.Cards), len(c.Cards))
	}
	for i, given := range value.Cards {
		if given.Index == nil || *given.Index != i {
			return badValue("carousel: cards go in order, with a card_index from 0")
		}
		var filled message
		if refusal := s.fillParts(t, fmt.Sprintf("card %d: ", i), c.Cards[i].Components, given.Components, &filled); refusal != nil {
			return refusal
		}
		m.Cards = append(m.Cards, card{File: filled.File, Text: filled.Text, Buttons: filled.Buttons})
	}
	return nil
}

// formatMismatch is Meta's answer to a value of the wrong form.
func formatMismatch(details string, args ...any) *graphError {
	return &graphError{code: 132012, title: "Parameter format does not match format in the created template", details: fmt.Sprintf(details, args...)}
}

// mismatch is Meta's words for the wrong number of values.
func mismatch(part string, got, want int) *graphError {
	return &graphError{
		code: 132000, title: "Number of parameters does not match the expected number of params",
		details: fmt.Sprintf("%s: number of localizable_params (%d) does not match the expected number of params (%d)", part, got, want),
	}
}

// fill puts values into a text.
func (t *storedTemplate) fill(part, text string, values []parameter) (string, *graphError) {
	names := variables(text)
	if len(values) != len(names) {
		return "", mismatch(part, len(values), len(names))
	}
	byName := map[string]string{}
	for i, v := range values {
		name := v.Name
		value, ok := v.words()
		switch {
		case !ok:
			return "", formatMismatch("%s: Format mismatch, expected TEXT, received %s", part, strings.ToUpper(v.Type))
		case value == "":
			return "", missing("%s: Parameter of type %s is missing its value", part, v.Type)
		case misshapen.MatchString(value):
			return "", formatMismatch("%s: Param text cannot have new-line/tab characters or more than 4 consecutive spaces", part)
		case t.ParameterFormat != "NAMED" && name != "":
			return "", invalid("%s: the template's parameters have no names", part)
		case t.ParameterFormat != "NAMED":
			name = strconv.Itoa(i + 1)
		case name == "" || !slices.Contains(names, name):
			return "", invalid("%s: Parameter name is missing or empty, or not the template's", part)
		}
		byName[name] = value
	}
	if len(byName) != len(names) {
		return "", mismatch(part, len(byName), len(names))
	}
	return variable.ReplaceAllStringFunc(text, func(v string) string {
		return byName[variable.FindStringSubmatch(v)[1]]
	}), nil
}

// words are what a parameter shows. Amounts and dates show what the business wrote for phones that cannot format them.
func (v *parameter) words() (string, bool) {
	switch {
	case v.Type == "text":
		return v.Text, true
	case v.Type == "currency" && v.Currency != nil && len(v.Currency.Code) == 3 && v.Currency.Amount != nil:
		return v.Currency.Fallback, true
	case v.Type == "date_time" && v.DateTime != nil:
		return v.DateTime.Fallback, true
	}
	return "", false
}

// fillHeader puts a header into a message. The caller holds mu.
func (s *Simulator) fillHeader(t *storedTemplate, c templateComponent, values []parameter, m *message) (refusal *graphError) {
	if c.Format == "TEXT" {
		m.Header, refusal = t.fill("header", c.Text, values)
		return refusal
	}
	if len(values) != 1 {
		return mismatch("header", len(values), 1)
	}
	v := values[0]
	if !strings.EqualFold(v.Type, c.Format) {
		return formatMismatch("header: Format mismatch, expected %s, received %s", c.Format, strings.ToUpper(v.Type))
	}
	file := map[string]*media{"IMAGE": v.Image, "VIDEO": v.Video, "DOCUMENT": v.Document}[c.Format]
	switch {
	case c.Format == "LOCATION" && v.Location == nil, c.Format != "LOCATION" && file == nil:
		return missing("header: Parameter of type %s has no value", v.Type)
	case c.Format == "LOCATION":
		return v.Location.fill(m)
	case file.Caption != "":
		return invalid("Unexpected key %q on param header.", "caption")
	}
	m.File, refusal = s.file("header", strings.ToLower(c.Format), *file)
	if m.File != nil {
		m.Header, m.Link = m.File.Filename, m.File.Link
	}
	return refusal
}

// fillButton is a template's button with its value.
func fillButton(i int, b whatsapp.ButtonSpec, value component, has bool) (button, *graphError) {
	kind := map[string]string{
		whatsapp.ButtonQuickReply: reply, whatsapp.ButtonURL: link, whatsapp.ButtonCopyCode: copyCode, whatsapp.ButtonPhone: call,
	}[b.Type]
	filled := button{Title: b.Text, Kind: kind}
	wanted := map[string]string{reply: "quick_reply", link: "url", copyCode: "copy_code"}[kind]
	if has && (!strings.EqualFold(value.SubType, wanted) || len(value.Parameters) != 1) {
		return filled, badValue("buttons: Button at index %d is of type %s and takes one parameter of it", i, b.Type)
	}
	var p parameter
	if has {
		p = value.Parameters[0]
	}
	absent := missing("buttons: Button at index %d of type %s requires a parameter", i, b.Type)
	switch kind {
	case reply:
		filled.ID = b.Text // Meta sends the text back when no payload was given
		if has {
			if p.Type != "payload" || p.Payload == "" || utf8.RuneCountInString(p.Payload) > 256 {
				return filled, badValue("buttons: Button at index %d needs a payload of 1 to 256 characters", i)
			}
			filled.ID = p.Payload
		}
	case link:
		filled.Value = b.URL
		if dynamic := len(variables(b.URL)) > 0; dynamic != has {
			if dynamic {
				return filled, absent
			}
			return filled, mismatch(fmt.Sprintf("button %d", i), 1, 0)
		}
		if has {
			if p.Type != "text" || p.Text == "" {
				return filled, absent
			}
			filled.Value = variable.ReplaceAllLiteralString(b.URL, p.Text)
		}
	case copyCode:
		if !has {
			return filled, absent
		}
		if p.Type != "coupon_code" || !couponForm.MatchString(p.Coupon) {
			return filled, badValue("buttons: the coupon code must be 1 to 15 letters and digits")
		}
		filled.Value = p.Coupon
		if filled.Title == "" {
			filled.Title = "Copy code"
		}
	case call:
		filled.Value = b.PhoneNumber
	}
	return filled, nil
}
