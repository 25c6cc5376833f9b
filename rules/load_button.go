package rules

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"punchcard"
)

func (c *checker) buttons(n *node, t *Template, sc scope) []templateButton {
	items := c.optional(n)
	if len(items) > maxButtons {
		c.at(n, "more than %d buttons", maxButtons)
		return nil
	}
	var buttons []templateButton
	counts := map[ButtonKind]int{}
	changes := 0 // between reply buttons and others; what was published before this was checked stays readable
	for _, item := range items {
		if !c.open(item, templateButtonGrammar) {
			buttons = append(buttons, templateButton{})
			continue
		}
		b := c.button(item, t, sc)
		counts[b.kind]++
		switch {
		case b.kind == ButtonCopyCode && counts[b.kind] > 1:
			c.at(item, "a template has one copy_code button")
		case b.kind == ButtonPhone && counts[b.kind] > 1:
			c.at(item, "a template has one phone button")
		case b.kind == ButtonURL && counts[b.kind] == maxURLButtons+1:
			c.at(item, "a template has at most %d url buttons", maxURLButtons)
		}
		if n := len(buttons); n > 0 && b.kind != "" && buttons[n-1].kind != "" &&
			(b.kind == ButtonQuickReply) != (buttons[n-1].kind == ButtonQuickReply) {
			if changes++; changes == 2 && c.publish {
				c.at(item, "WhatsApp wants the reply buttons together, before all others or after them")
			}
		}
		buttons = append(buttons, b)
	}
	return buttons
}

// buttonKinds are the keys that say what a button does.
var buttonKinds = []string{"reply", "redeem", "capture", "url", "phone", "copy_code"}

// button reads one button; one whose kind cannot be told has none.
func (c *checker) button(item *node, t *Template, sc scope) templateButton {
	var does []string
	for _, key := range buttonKinds {
		if item.get(key) != nil {
			does = append(does, key)
		}
	}
	if len(does) != 1 {
		c.at(item, "a button is one of %s", and(buttonKinds))
		return templateButton{}
	}
	b := templateButton{}
	value := item.get(does[0])
	title := item.get("title")
	switch does[0] {
	case "copy_code":
		return c.copyCode(item, value, sc)
	case "reply":
		b.kind, b.keyword = ButtonQuickReply, c.known(value, "keyword", c.keywordNames())
		if words := c.words(b.keyword); title == nil && len(words) > 0 {
			b.title = Text{fallback: c.prog.Language, wordings: []wording{
				{language: c.prog.Language, segments: []segment{{literal: words[0]}}},
			}}
			c.templateButton(value, words[0])
		}
	case "redeem":
		b.kind, b.keyword = ButtonQuickReply, c.redeems(value)
		c.need(item, "title")
	case "capture":
		b.kind = ButtonQuickReply
		if c.is(value, scalar) {
			if b.keyword = PayloadCapture + value.value; !slices.Contains(t.params, value.value) {
				c.suggest(value, nearest(value.value, t.params), "the text has no value %q, by which the reward could be told", value.value)
			}
		}
		c.need(item, "title")
	case "url":
		b.kind, b.url = ButtonURL, c.link(value, t, sc)
		c.need(item, "title")
	case "phone":
		b.kind = ButtonPhone
		if c.is(value, scalar) {
			phone, _, err := punchcard.ParsePhone(value.value)
			if err != nil {
				c.at(value, "%q is no phone number: write it with its country, as in +4570123456", value.value)
			}
			b.phone = phone
		}
		c.need(item, "title")
	}
	if title != nil {
		b.title = c.plainText(title)
		c.sameLanguages(title, t)
		for _, w := range b.title.wordings {
			c.templateButton(wordingNode(title, w.language), b.title.plain(w.language))
		}
	}
	return b
}

// link reads the address of a button. WhatsApp approves all of it but one value at its end.
func (c *checker) link(n *node, t *Template, sc scope) Text {
	text := c.inlineText(n, sc)
	c.partOf(n, text, t)
	for _, w := range text.wordings {
		at := wordingNode(n, w.language)
		if len(w.segments) == 0 {
			continue // reported as an empty text
		}
		literal := w.segments[0].literal
		u, err := url.Parse(literal)
		switch {
		case err != nil || u.Scheme != "https" || u.Host == "":
			c.at(at, "the address of a button begins with https:// and a name, which WhatsApp approves")
		case utf8.RuneCountInString(literal) > maxURL:
			c.at(at, "an address has at most %d characters", maxURL)
		case len(w.segments) > 2 || len(w.segments) == 2 && w.segments[1].expr == nil:
			c.at(at, "WhatsApp takes one value in the address of a button, at its very end: https://example.com/{{ code }}")
		}
	}
	return text
}

func (c *checker) buttonTitle(n *node, title string) {
	if utf8.RuneCountInString(title) > maxButtonTitle {
		c.at(n, "a button shows at most %d characters", maxButtonTitle)
	}
}

func (c *checker) templateButton(n *node, title string) {
	if utf8.RuneCountInString(title) > maxTemplateButton {
		c.at(n, "a button shows at most %d characters", maxTemplateButton)
	}
}

func (c *checker) words(keyword string) []string {
	for _, k := range c.prog.Keywords {
		if k.Name == keyword {
			return k.Words
		}
	}
	return nil
}

func (c *checker) copyCode(item, n *node, sc scope) templateButton {
	if item.get("title") != nil {
		c.at(item.key("title"), "WhatsApp itself words a copy_code button")
	}
	b := templateButton{kind: ButtonCopyCode}
	before := len(c.found)
	if b.code = c.single(n, sc); b.code == nil && len(c.found) == before {
		c.at(n, "a copy_code is one value: \"{{ code }}\"")
	} else if b.code != nil && c.publish {
		if code, err := strconv.Unquote(b.code.source); err == nil && !codeForm.MatchString(strings.TrimSpace(code)) {
			c.at(n, "a copy_code has at most 15 letters and digits, and nothing else")
		}
	}
	return b
}

// single reads a text that is one value and nothing else; nil for any other.
func (c *checker) single(n *node, sc scope) *Expr {
	text := c.text(n, sc)
	if n.shape == scalar && len(text.wordings) == 1 && len(text.wordings[0].segments) == 1 {
		return text.wordings[0].segments[0].expr
	}
	return nil
}

// redeems reads the reward that a button asks for, as a payload.
func (c *checker) redeems(n *node) string {
	name := c.known(n, "reward", keysOf(c.rewards))
	if r := c.prog.Rewards[name]; r != nil && r.Cost == 0 {
		c.at(n, "%s has no cost: it cannot be asked for with points", name)
	}
	return PayloadRedeem + name
}
