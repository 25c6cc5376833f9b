package rules

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// rewardsFile reads rewards.yaml, which a program need not have.
func (c *checker) rewardsFile(n *node) {
	if n == nil || !c.open(n, rewardsGrammar) {
		return
	}
	rewards := n.get("rewards")
	if !c.is(rewards, mapping) {
		return
	}
	for _, p := range rewards.pairs {
		if name := c.name(p.key); name != "" {
			c.prog.Rewards[name] = c.reward(name, p.value)
		}
	}
}

func (c *checker) reward(name string, n *node) *Reward {
	r := &Reward{Name: name}
	if !c.open(n, rewardGrammar) {
		return r
	}
	r.Kind = RewardKind(c.oneOf(n.get("kind"), "the kind", rewardKinds...))
	r.Title = c.plainText(n.get("title"))
	if v := n.get("cost"); v != nil {
		r.Cost = c.integer(v, 1)
	}
	if v := n.get("value"); v != nil {
		r.Value = c.amount(v)
	}
	if v := n.get("valid_for"); v != nil {
		r.ValidFor = c.duration(v)
	}
	if v := n.get("per_customer"); v != nil {
		r.PerCustomer = int(c.integer(v, 1))
	}
	if v := n.get("codes"); v != nil {
		r.Codes = c.oneOf(v, "codes", "generated", "pool")
	}
	r.AtMost, r.Within = c.limit(n)
	c.onlyFor(n, "points", r.Kind == RewardPoints, "points")
	c.onlyFor(n, "url", r.Kind == RewardContent, "content")
	if v := n.get("points"); v != nil {
		r.Points = c.integer(v, 1)
	}
	if v := n.get("url"); v != nil {
		r.URL = c.url(v)
	}
	switch r.Kind {
	case RewardDiscountCode, RewardGiftCard:
		c.need(n, "codes")
		c.need(n, "captured_by")
	case RewardPoints:
		for _, key := range []string{"codes", "captured_by", "cost"} {
			if n.get(key) != nil {
				c.at(n.key(key), "a reward of kind points has no %s", key)
			}
		}
	default:
	}
	if v := n.get("captured_by"); v != nil {
		r.CapturedBy = c.capturedBy(v)
	}
	return r
}

// onlyFor reports a key that is missing where a kind needs it, or stands where it means nothing.
func (c *checker) onlyFor(n *node, key string, applies bool, kind string) {
	switch v := n.get(key); {
	case applies && v == nil:
		c.at(n, "%s is missing", key)
	case !applies && v != nil && n.get("kind") != nil:
		c.at(n.key(key), "only a reward of kind %s has %s", kind, key)
	}
}

func (c *checker) capturedBy(n *node) string {
	if !c.is(n, scalar) {
		return ""
	}
	if n.value == "till" || n.value == "delivery" {
		return n.value
	}
	names := append(c.prog.eventNames(), "till", "delivery")
	if !slices.Contains(names, n.value) {
		c.suggest(n, nearest(n.value, names), "captured_by is till, delivery or an event, not %q", n.value)
		return ""
	}
	if s, _ := c.prog.Schema(n.value); len(s.CodeFields()) == 0 {
		c.at(n, "%s has no property of type code, by which it could capture a reward", n.value)
	}
	return n.value
}

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

// What WhatsApp takes, in characters and buttons.
const (
	maxBody        = 1024
	maxHeader      = 60
	maxFooter      = 60
	maxButtonTitle = 20
	maxButtons     = 10
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
	t.body = c.text(body, sc)
	for i := range t.body.wordings {
		t.body.wordings[i].segments = c.inline(t.body.wordings[i].segments)
	}
	t.languages = t.body.Languages()
	t.header = c.templatePart(n, "header", maxHeader, t)
	t.footer = c.templatePart(n, "footer", maxFooter, t)
	c.buttons(n.get("buttons"), t, sc)
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

// templatePart reads a header or a footer: a text in which only the program's own words are filled in.
func (c *checker) templatePart(n *node, key string, limit int, t *Template) Text {
	part := n.get(key)
	if part == nil {
		return Text{}
	}
	text := c.plainText(part)
	c.sameLanguages(part, t)
	for _, w := range text.wordings {
		if s := text.plain(w.language); utf8.RuneCountInString(s) > limit || strings.Contains(s, "\n") {
			c.at(wordingNode(part, w.language), "a %s is one line of at most %d characters", key, limit)
		}
	}
	return text
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

func (c *checker) buttons(n *node, t *Template, sc scope) {
	items := c.optional(n)
	if len(items) > maxButtons {
		c.at(n, "more than %d buttons", maxButtons)
		return
	}
	for _, item := range items {
		if !c.open(item, templateButtonGrammar) {
			continue
		}
		reply, code := item.get("reply"), item.get("copy_code")
		switch {
		case (reply == nil) == (code == nil):
			c.at(item, "a button is either a reply or a copy_code")
		case code != nil:
			t.buttons = append(t.buttons, c.copyCode(item, code, t, sc))
		default:
			b := templateButton{keyword: c.known(reply, "keyword", c.keywordNames())}
			if title := item.get("title"); title != nil {
				b.title = c.plainText(title)
				c.sameLanguages(title, t)
				for _, w := range b.title.wordings {
					c.buttonTitle(wordingNode(title, w.language), b.title.plain(w.language))
				}
			} else if words := c.words(b.keyword); len(words) > 0 {
				b.title = Text{fallback: c.prog.Language, wordings: []wording{
					{language: c.prog.Language, segments: []segment{{literal: words[0]}}},
				}}
				c.buttonTitle(reply, words[0])
			}
			t.buttons = append(t.buttons, b)
		}
	}
}

func (c *checker) buttonTitle(n *node, title string) {
	if utf8.RuneCountInString(title) > maxButtonTitle {
		c.at(n, "a button shows at most %d characters", maxButtonTitle)
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

func (c *checker) copyCode(item, n *node, t *Template, sc scope) templateButton {
	if item.get("title") != nil {
		c.at(item.key("title"), "WhatsApp itself words a copy_code button")
	}
	if slices.ContainsFunc(t.buttons, func(b templateButton) bool { return b.code != nil }) {
		c.at(item, "a template has one copy_code button")
	}
	text := c.text(n, sc)
	if n.shape == scalar && len(text.wordings) == 1 && len(text.wordings[0].segments) == 1 {
		if e := text.wordings[0].segments[0].expr; e != nil {
			return templateButton{code: e}
		}
	}
	c.at(n, "a copy_code is one value: \"{{ code }}\"")
	return templateButton{}
}

// wordingRules checks one wording of a body against what WhatsApp and the law ask of it.
func (c *checker) wordingRules(n *node, w wording, t *Template) {
	var whole strings.Builder
	for i, s := range w.segments {
		if s.expr == nil {
			whole.WriteString(s.literal)
			continue
		}
		if blank(w.segments[:i]) {
			c.report(s.expr.Where, "", "WhatsApp refuses a template that begins with a value: put words before it")
		}
		if blank(w.segments[i+1:]) {
			c.report(s.expr.Where, "", "WhatsApp refuses a template that ends with a value: put words after it")
		}
	}
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
	if stop := c.words("stop"); !slices.ContainsFunc(stop, func(word string) bool { return mentions(text, word) }) && len(stop) > 0 {
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
