package rules

import (
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What WhatsApp takes of a message outside of templates, in characters and pieces.
const (
	maxChoices         = 3
	maxRows            = 10
	maxRowTitle        = 24
	maxRowDescription  = 72
	maxInteractiveBody = 1024 // of a message with buttons, a list or a picture
)

// say compiles free text, with what it shows and what can be tapped.
func (x *journeyCheck) say(n, value *node, id, next string, f frame) {
	step := &Step{If: x.guard(n, f), Say: x.text(value, f.scope)}
	limit := maxText
	step.Media = x.media(n, step.Say, f)
	if step.Media != nil {
		limit = maxInteractiveBody
	}
	buttons, menu := n.get("buttons"), n.get("list")
	if buttons != nil {
		limit = maxInteractiveBody
		step.Buttons = x.choices(buttons, f)
		if n.get("location") != nil {
			x.at(n.key("buttons"), "WhatsApp shows no buttons under a location")
		}
	}
	if menu != nil {
		limit = maxInteractiveBody
		step.List = x.menu(menu)
		switch {
		case buttons != nil:
			x.at(n.key("list"), "a message has buttons or a list, not both")
		case step.Media != nil:
			x.at(n.key("list"), "a message with a list shows nothing else")
		}
	}
	if value != nil {
		for _, w := range step.Say.wordings {
			if literalLength(w.segments) > limit {
				x.at(wordingNode(value, w.language), "WhatsApp takes at most %d characters here", limit)
			}
		}
	}
	edges := to(OutcomeNext, next)
	x.notNow(n, id, edges, step)
	x.put(n, id, Node{Kind: KindSay, Label: "say", Next: edges}, step)
}

// literalLength counts the characters that stand in a wording, without those that are filled in.
func literalLength(segments []segment) int {
	length := 0
	for _, s := range segments {
		length += utf8.RuneCountInString(s.literal)
	}
	return length
}

// media reads what a message shows beside its text; nil for nothing.
func (x *journeyCheck) media(n *node, text Text, f frame) *Media {
	var media *Media
	one := func(key string) *node {
		v := n.get(key)
		if v != nil && media != nil {
			x.at(n.key(key), "a message shows one of image, document and location")
			return nil
		}
		return v
	}
	if v := one("image"); v != nil {
		media = &Media{Image: x.address(v, f.scope)}
	}
	if v := one("document"); v != nil && x.open(v, documentGrammar) {
		media = &Media{Document: &Document{URL: x.address(v.get("url"), f.scope), Filename: x.text(v.get("filename"), f.scope)}}
	}
	if v := one("location"); v != nil && x.open(v, locationGrammar) {
		// WhatsApp shows a location without a text of its own: what is said is what the place is called.
		media = &Media{Location: &Location{
			Latitude: x.degrees(v.get("latitude"), 90), Longitude: x.degrees(v.get("longitude"), 180), Name: text,
			Address: x.text(v.get("address"), f.scope),
		}}
	}
	return media
}

// address is where a picture or a file is: https, since WhatsApp fetches it.
func (c *checker) address(n *node, sc scope) Text {
	t := c.text(n, sc)
	for _, w := range t.wordings {
		literal := ""
		if len(w.segments) > 0 {
			literal = w.segments[0].literal
		}
		u, err := url.Parse(literal)
		switch {
		case len(w.segments) > 0 && w.segments[0].expr != nil:
		case err == nil && u.Scheme == "https" && u.Host != "":
		case len(w.segments) > 1 && strings.HasPrefix(literal, "https://"):
		default:
			c.at(wordingNode(n, w.language), "%q is no web address that begins with https://", literal)
		}
	}
	return t
}

func (c *checker) degrees(n *node, most float64) float64 {
	if !c.is(n, scalar) {
		return 0
	}
	f, err := strconv.ParseFloat(n.value, 64)
	if err != nil || !(f >= -most && f <= most) {
		c.at(n, "degrees between -%.0f and %.0f are expected, not %q", most, most, n.value)
		return 0
	}
	return f
}

// choices reads the buttons of a message.
func (x *journeyCheck) choices(n *node, f frame) []Choice {
	var choices []Choice
	items := x.items(n)
	if len(items) > maxChoices {
		x.at(n, "a message has at most %d buttons", maxChoices)
		return nil
	}
	if n.shape == list && len(items) == 0 {
		x.at(n, "at least one button is expected")
	}
	for _, item := range items {
		if x.open(item, choiceGrammar) {
			choices = append(choices, x.choice(item, f, choices))
		}
	}
	return choices
}

// choice reads one button; the others stand before it.
func (x *journeyCheck) choice(item *node, f frame, others []Choice) Choice {
	var c Choice
	title := item.get("title")
	var does []*node
	for _, key := range []string{"reply", "redeem", "capture"} {
		if v := item.get(key); v != nil {
			does = append(does, v)
		}
	}
	if len(does) != 1 {
		x.at(item, "a button is one of reply, redeem and capture")
		return c
	}
	switch {
	case item.get("redeem") != nil:
		c.Reply = x.redeems(does[0])
	case item.get("capture") != nil:
		c.Capture = x.granted(does[0], f, "only what reward or redeem gives can be used", KindReward, KindRedeem)
		x.byTap(does[0], c.Capture, f)
	default:
		c.Reply = x.known(does[0], "keyword", x.keywordNames())
	}
	if title != nil {
		c.Title = x.short(title, maxButtonTitle, "a button")
	} else if item.get("reply") == nil {
		x.need(item, "title")
	} else if said := x.words(c.Reply); len(said) > 0 {
		c.Title = Text{fallback: x.prog.Language, wordings: []wording{
			{language: x.prog.Language, segments: []segment{{literal: said[0]}}},
		}}
		x.buttonTitle(does[0], said[0])
	}
	for _, other := range others {
		if other.Reply == c.Reply && other.Capture == c.Capture && c.Reply+c.Capture != "" {
			x.at(does[0], "two buttons say %s", c.Reply+c.Capture)
		}
	}
	return c
}

// short reads a text of few characters in which nothing of the customer's is filled in.
func (x *journeyCheck) short(n *node, limit int, what string) Text {
	t := x.plainText(n)
	for _, w := range t.wordings {
		if utf8.RuneCountInString(t.plain(w.language)) > limit {
			x.at(wordingNode(n, w.language), "%s shows at most %d characters", what, limit)
		}
	}
	return t
}

// menu reads the list of a message.
func (x *journeyCheck) menu(n *node) *Menu {
	if !x.open(n, menuGrammar) {
		return nil
	}
	m := &Menu{Button: x.short(n.get("button"), maxButtonTitle, "the button of a list")}
	rows := n.get("rows")
	items := x.optional(rows)
	if len(items) > maxRows {
		x.at(rows, "a list has at most %d rows", maxRows)
		return m
	}
	if rows != nil && rows.shape == list && len(items) == 0 {
		x.at(rows, "at least one row is expected")
	}
	seen := map[string]bool{}
	for i, item := range items {
		if !x.open(item, menuRowGrammar) {
			continue
		}
		row := MenuRow{
			ID: "row-" + ordinal(i+1), Title: x.short(item.get("title"), maxRowTitle, "a row"),
			Description: x.short(item.get("description"), maxRowDescription, "the line under a row"),
		}
		if v := item.get("id"); v != nil {
			row.ID = x.name(v)
		}
		if seen[row.ID] {
			x.at(item, "two rows have the id %q", row.ID)
		}
		seen[row.ID] = true
		m.Rows = append(m.Rows, row)
	}
	return m
}
