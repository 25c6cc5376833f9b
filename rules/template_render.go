package rules

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

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
