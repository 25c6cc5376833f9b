package rules

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// templatesFile reads templates.yaml, which a program need not have.
func (c *checker) templatesFile(n *node) {
	if n == nil || !c.open(n, templatesGrammar) {
		return
	}
	templates := n.get("templates")
	if !c.is(templates, mapping) {
		return
	}
	for _, p := range templates.pairs {
		if !fieldName.MatchString(p.key.value) {
			c.at(p.key, "%q cannot be the name of a template: use lower-case letters, digits and _, at most 50", p.key.value)
			continue
		}
		c.prog.Templates[p.key.value] = c.template(p.key.value, p.value)
	}
}

// What WhatsApp takes, in characters and pieces. Sources: Meta's pages on template components, limited-time offers and
// media card carousels.
const (
	maxBody           = 1024
	maxHeader         = 60
	maxFooter         = 60
	maxButtonTitle    = 20 // outside of templates
	maxTemplateButton = 25
	maxButtons        = 10
	maxURLButtons     = 2
	maxURL            = 2000
	maxOffer          = 16
	maxOfferBody      = 600
	minCards          = 2
	maxCards          = 10
	maxCardBody       = 160
	maxCardButtons    = 2
)

func (c *checker) template(name string, n *node) *Template {
	t := &Template{Name: name, body: Text{fallback: c.prog.Language}}
	if !c.open(n, templateGrammar) {
		return t
	}
	t.Category = c.oneOf(n.get("category"), "the category", categories...)
	t.AsksConsent = c.boolean(n.get("asks_consent"))
	sc := scope{vars: map[string]FieldType{
		"customer": c.customerType(), "points": pointsType, "program": programType, "now": {Kind: TypeTime},
		unsubscribeName: {Kind: TypeString},
	}}
	sc.param = func(param string) bool {
		// What looks like a misspelt name is more likely one than a parameter.
		if nearest(param, []string{"customer", "program", "points"}) != "" {
			return false
		}
		if !slices.Contains(t.params, param) {
			t.params = append(t.params, param)
		}
		return true
	}
	body := n.get("body")
	before := len(c.found)
	t.body = c.inlineText(body, sc)
	t.languages = t.body.Languages()
	c.above(n, t, sc)
	c.offer(n, t, sc)
	if footer := n.get("footer"); footer != nil {
		t.footer = c.plainText(footer)
		c.sameLanguages(footer, t)
		c.oneLine(footer, t.footer, "footer", maxFooter)
	}
	t.buttons = c.buttons(n.get("buttons"), t, sc)
	c.cards(n, t, sc)
	c.offerShape(n, t)
	if len(c.found) > before || len(t.languages) == 0 {
		return t
	}
	for _, w := range t.body.wordings {
		c.wordingRules(wordingNode(body, w.language), w, t)
	}
	t.seal()
	return t
}

// wordingNode is where a text's wording in a language stands.
func wordingNode(n *node, language string) *node {
	if w := n.get(language); w != nil {
		return w
	}
	return n
}

// inlineText reads a text in which only what differs between customers is left to be filled in.
func (c *checker) inlineText(n *node, sc scope) Text {
	t := c.text(n, sc)
	for i := range t.wordings {
		t.wordings[i].segments = c.inline(t.wordings[i].segments)
	}
	return t
}

// above reads what stands above the body: a line of text, or something to see.
func (c *checker) above(n *node, t *Template, sc scope) {
	first := ""
	one := func(key string) *node {
		v := n.get(key)
		if v == nil {
			return nil
		}
		if first != "" {
			c.at(n.key(key), "a template shows one of header, image, video, document and location above its body: it has %s already", first)
			return nil
		}
		first = key
		return v
	}
	if v := one("header"); v != nil {
		t.header = c.inlineText(v, sc)
		c.sameLanguages(v, t)
		c.oneLine(v, t.header, "header", maxHeader)
		for _, w := range t.header.wordings {
			c.filled(w.segments, nil)
			seen := map[string]bool{}
			for _, s := range w.segments {
				if s.expr != nil {
					seen[s.expr.source] = true
				}
			}
			switch {
			case len(seen) > 1:
				c.at(wordingNode(v, w.language), "WhatsApp fills one value in to a header, not %d", len(seen))
			case len(seen) == 1 && w.wordless():
				c.at(wordingNode(v, w.language), "WhatsApp refuses a header that is nothing but a value: put words beside it")
			}
		}
	}
	if media := c.picture(n, one, t, sc); media != nil {
		t.media = media
	}
	if v := one("document"); v != nil && c.open(v, documentGrammar) {
		t.media = &Media{Document: &Document{URL: c.shown(v.get("url"), t, sc), Filename: c.wordsOf(v.get("filename"), t, sc)}}
	}
	if v := one("location"); v != nil && c.open(v, templateLocationGrammar) {
		t.media = &Media{Location: &Location{
			Latitude: c.degrees(v.get("latitude"), 90), Longitude: c.degrees(v.get("longitude"), 180),
			Name: c.wordsOf(v.get("name"), t, sc), Address: c.wordsOf(v.get("address"), t, sc),
		}}
	}
}

// picture reads an image or a video; nil where there is none.
func (c *checker) picture(_ *node, one func(key string) *node, t *Template, sc scope) *Media {
	var media *Media
	if v := one("image"); v != nil {
		media = &Media{Image: c.shown(v, t, sc)}
	}
	if v := one("video"); v != nil {
		media = &Media{Video: c.shown(v, t, sc)}
	}
	return media
}

// shown reads the address of what a template shows.
func (c *checker) shown(n *node, t *Template, sc scope) Text {
	text := c.address(n, sc)
	c.partOf(n, text, t)
	return text
}

// wordsOf reads a text that is filled in when the template is sent.
func (c *checker) wordsOf(n *node, t *Template, sc scope) Text {
	text := c.text(n, sc)
	c.partOf(n, text, t)
	return text
}

func (c *checker) partOf(n *node, text Text, t *Template) {
	if n == nil {
		return
	}
	c.sameLanguages(n, t)
	for _, w := range text.wordings {
		c.filled(w.segments, nil)
	}
}

// oneLine checks the length of a line of a template; what is filled in does not count.
func (c *checker) oneLine(n *node, text Text, what string, limit int) {
	for _, w := range text.wordings {
		if s := text.plain(w.language); utf8.RuneCountInString(s) > limit || strings.Contains(s, "\n") {
			c.at(wordingNode(n, w.language), "a %s is one line of at most %d characters", what, limit)
		}
	}
}

// offer reads a limited-time offer.
func (c *checker) offer(n *node, t *Template, sc scope) {
	v := n.get("limited_time_offer")
	if v == nil || !c.open(v, offerGrammar) {
		return
	}
	t.offer = &offer{text: c.plainText(v.get("text"))}
	if text := v.get("text"); text != nil {
		c.sameLanguages(text, t)
		c.oneLine(text, t.offer.text, "limited-time offer", maxOffer)
	}
	expires := v.get("expires")
	if expires == nil {
		return
	}
	before := len(c.found)
	e := c.single(expires, sc)
	switch {
	case e == nil && len(c.found) == before:
		c.at(expires, "when an offer ends is one value: \"{{ until }}\"")
	case e == nil:
	case slices.Contains(t.params, e.source):
		t.offer.param = e.source
	case e.result.Kind != TypeTime:
		c.report(e.Where, "", "an offer ends at a time, such as {{ until }} that the step hands over")
	default:
		t.offer.expires = e
		c.filled([]segment{{expr: e}}, nil)
	}
}

// offerShape checks what else a template with a limited-time offer has, which WhatsApp is strict about.
func (c *checker) offerShape(n *node, t *Template) {
	v := n.get("limited_time_offer")
	if v == nil || t.offer == nil {
		return
	}
	at := n.key("limited_time_offer")
	if t.Category != "marketing" && t.Category != "" {
		c.at(at, "a template with a limited-time offer is marketing, not %s", t.Category)
	}
	for _, key := range []string{"header", "document", "location", "footer", "cards"} {
		if n.get(key) != nil {
			c.at(n.key(key), "a template with a limited-time offer has no %s", key)
		}
	}
	var kinds []ButtonKind
	for _, b := range t.buttons {
		kinds = append(kinds, b.kind)
	}
	code, link := slices.Index(kinds, ButtonCopyCode), slices.Index(kinds, ButtonURL)
	switch {
	case slices.Contains(kinds, ""):
	case link < 0:
		c.at(at, "a limited-time offer needs a url button")
	case code < 0 && t.offer.ends():
		c.at(at, "a limited-time offer that expires needs a copy_code button")
	case code > 0:
		c.at(n.get("buttons").items[code], "with a limited-time offer, copy_code is the first button")
	case len(kinds) != link+1:
		c.at(n.get("buttons"), "a limited-time offer has a copy_code button and a url button, and no other")
	}
	if body := n.get("body"); body != nil {
		for _, w := range t.body.wordings {
			if literalLength(w.segments) > maxOfferBody {
				c.at(wordingNode(body, w.language), "with a limited-time offer a body has at most %d characters", maxOfferBody)
			}
		}
	}
}

// cards reads a carousel.
func (c *checker) cards(n *node, t *Template, sc scope) {
	v := n.get("cards")
	if v == nil {
		return
	}
	items := c.items(v)
	if v.shape == list && (len(items) < minCards || len(items) > maxCards) {
		c.at(v, "there are %d to %d cards", minCards, maxCards)
		return
	}
	if t.Category != "marketing" && t.Category != "" {
		c.at(n.key("cards"), "a template with cards is marketing, not %s", t.Category)
	}
	for _, key := range []string{"header", "image", "video", "document", "location", "footer", "buttons"} {
		if n.get(key) != nil {
			c.at(n.key(key), "a template with cards has no %s of its own: the cards have", key)
		}
	}
	for i, item := range items {
		if !c.open(item, templateCardGrammar) {
			continue
		}
		shows := ""
		k := card{media: c.picture(item, func(key string) *node {
			v := item.get(key)
			if v != nil && shows != "" {
				c.at(item.key(key), "a card shows an image or a video, not both")
				return nil
			}
			if v != nil {
				shows = key
			}
			return v
		}, t, sc)}
		if k.media == nil {
			c.at(item, "a card shows an image or a video")
			k.media = &Media{}
		}
		if body := item.get("body"); body != nil {
			k.body = c.inlineText(body, sc)
			c.partOf(body, k.body, t)
			for _, w := range k.body.wordings {
				c.edges(w)
				if literalLength(w.segments) > maxCardBody {
					c.at(wordingNode(body, w.language), "the text of a card has at most %d characters", maxCardBody)
				}
			}
		}
		buttons := item.get("buttons")
		k.buttons = c.buttons(buttons, t, sc)
		if buttons != nil && buttons.shape == list && (len(buttons.items) == 0 || len(buttons.items) > maxCardButtons) {
			c.at(buttons, "a card has one or two buttons")
		}
		if slices.ContainsFunc(k.buttons, func(b templateButton) bool { return b.kind == ButtonCopyCode }) {
			c.at(buttons, "a card has no copy_code button")
		}
		if i > 0 && len(t.cards) > 0 && !k.like(t.cards[0]) {
			c.at(item, "WhatsApp wants all cards alike: the same kinds of picture, text and buttons as the first has")
		}
		t.cards = append(t.cards, k)
	}
}

// like tells whether two cards have the same parts.
func (k card) like(other card) bool {
	return k.media.format() == other.media.format() && k.body.IsZero() == other.body.IsZero() &&
		slices.EqualFunc(k.buttons, other.buttons, func(a, b templateButton) bool { return a.kind == b.kind })
}

// sameLanguages reports the languages in which a part of a template has no wording though its body has.
func (c *checker) sameLanguages(n *node, t *Template) {
	if n.shape != mapping {
		return
	}
	for _, language := range t.languages {
		if n.get(language) == nil && language != c.prog.Language {
			c.at(n, "the text is missing in %s, which the body has", language)
		}
	}
	for _, p := range n.pairs {
		if languageRE.MatchString(p.key.value) && !slices.Contains(t.languages, p.key.value) {
			c.at(p.key, "the body is missing in %s", p.key.value)
		}
	}
}

// edges reports a value at the beginning or the end of a wording.
func (c *checker) edges(w wording) {
	for i, s := range w.segments {
		if s.expr == nil {
			continue
		}
		if blank(w.segments[:i]) {
			c.report(s.expr.Where, "", "WhatsApp refuses a template that begins with a value: put words before it")
		}
		if blank(w.segments[i+1:]) {
			c.report(s.expr.Where, "", "WhatsApp refuses a template that ends with a value: put words after it")
		}
	}
}

// wordingRules checks one wording of a body against what WhatsApp and the law ask of it.
func (c *checker) wordingRules(n *node, w wording, t *Template) {
	var whole strings.Builder
	for _, s := range w.segments {
		whole.WriteString(s.literal)
	}
	c.edges(w)
	c.filled(w.segments, nil)
	text := whole.String()
	if utf8.RuneCountInString(text) > maxBody {
		c.at(n, "a body has at most %d characters", maxBody)
	}
	if strings.Contains(text, "\n\n\n") {
		c.at(n, "WhatsApp refuses more than one empty line in a row")
	}
	if !t.AsksConsent {
		return
	}
	whole.WriteString("\n" + t.header.plain(w.language) + "\n" + t.footer.plain(w.language))
	text = whole.String()
	if !mentions(text, c.prog.Business) {
		c.at(n, "a template that asks for consent names the business: {{ program.business }}")
	}
	if !mentions(text, c.prog.PrivacyURL) {
		c.at(n, "a template that asks for consent links to the privacy policy: {{ program.privacy_url }}")
	}
	if stop := c.words("stop"); !slices.ContainsFunc(stop, func(word string) bool { return saysWord(text, word) }) && len(stop) > 0 {
		c.at(n, "a template that asks for consent says how to end it: %s", alternatives(stop))
	}
	if t.Category != "utility" {
		c.at(n, "a template that asks for consent is utility, not %s", t.Category)
	}
}

// filled reports what is filled in to a message and can be empty, which WhatsApp refuses. What `as` bound is left to the run: it
// depends on the reward.
func (c *checker) filled(segments []segment, bound map[string]Kind) {
	for _, s := range segments {
		if s.expr == nil || !s.expr.optional {
			continue
		}
		granted := func(name string) bool { return bound[name] != "" && bound[name] != KindCall }
		if !slices.ContainsFunc(slices.Collect(maps.Keys(s.expr.names)), granted) {
			c.report(s.expr.Where, "", "this can be empty, which WhatsApp refuses: say what to write then, with default(…, \"…\")")
		}
	}
}

// blank tells whether segments are nothing but white space.
func blank(segments []segment) bool {
	return !slices.ContainsFunc(segments, func(s segment) bool { return s.expr != nil || strings.TrimSpace(s.literal) != "" })
}

// saysWord tells whether a text has a word, whatever the case, and not as a part of another: "nonstop" is no way out.
func saysWord(text, word string) bool {
	return strings.Contains(" "+plainMessage(text)+" ", " "+plainMessage(word)+" ")
}
