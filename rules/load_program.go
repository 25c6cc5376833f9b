package rules

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// program reads program.yaml. What it declares comes first; what uses it, after.
func (c *checker) program(n *node) {
	c.open(n, programGrammar)
	if n.shape != mapping {
		return
	}
	p := c.prog
	p.Language = "en" // until the file's own is read: texts are checked against it
	c.identity(n)
	if r := n.get("referral"); r != nil {
		p.Referral = &Referral{} // its events are ours before any are declared
	}
	c.declared(n)
	if q := n.get("quiet_hours"); q != nil && c.open(q, quietGrammar) {
		p.Quiet = &QuietHours{From: c.timeOfDay(q.get("from")), To: c.timeOfDay(q.get("to"))}
	}
	if d := n.get("ask_again_after"); d != nil {
		p.AskAgainAfter = c.duration(d)
	}
	for _, item := range c.optional(n.get("caps")) {
		c.cap(item)
	}
	c.opening(n.get("opening_hours"))
	c.hygiene(n.get("hygiene"))
	c.optIns(n.get("opt_in"))
	c.referral(n.get("referral"))
	c.links(n.get("links"))
	p.OnStop = OnStopConfirm
	if o := n.get("on_stop"); o != nil {
		p.OnStop = OnStop(c.oneOf(o, "on_stop", words(OnStopConfirm, OnStopOfferTopics)...))
	}
	c.replies(n.get("replies"))
	if away := n.get("replies").get(ReplyAway); away != nil && len(p.Opening) == 0 {
		c.at(away, "away is said outside of opening_hours, of which there are none")
	}
	c.points(n.get("points"))
	c.reversible(n.get("referral"))
	c.tiers(n.get("tiers"))
	c.fraud(n.get("fraud"))
	c.milestones(n.get("milestones"))
}

// optional is the items of a list that need not be there.
func (c *checker) optional(n *node) []*node {
	if n == nil {
		return nil
	}
	return c.items(n)
}

func (c *checker) cap(n *node) {
	if !c.open(n, capGrammar) {
		return
	}
	limit := Cap{AtMost: int(c.integer(n.get("at_most"), 1)), Within: c.duration(n.get("within"))}
	if category := n.get("category"); category != nil {
		limit.Category = c.oneOf(category, "the category", "marketing", "utility")
	}
	if topic := n.get("topic"); topic != nil {
		names := make([]string, len(c.prog.Topics))
		for i, t := range c.prog.Topics {
			names[i] = t.Name
		}
		limit.Topic = c.known(topic, "topic", names)
	}
	unknown := slices.ContainsFunc(n.pairs, func(p pair) bool { _, ok := capGrammar.key(p.key.value); return !ok })
	if n.get("category") == nil && n.get("topic") == nil && !unknown {
		c.at(n, "a cap counts the messages of a category, of a topic, or of both")
	}
	c.prog.Caps = append(c.prog.Caps, limit)
}

func (c *checker) opening(n *node) {
	for _, item := range c.optional(n) {
		if !c.open(item, openingGrammar) {
			continue
		}
		o := Opening{From: c.timeOfDay(item.get("from")), To: c.timeOfDay(item.get("to"))}
		if o.From == o.To && item.get("from") != nil && item.get("to") != nil {
			c.at(item, "opening hours end later than they begin")
		}
		for _, day := range c.optional(item.get("weekdays")) {
			name := c.oneOf(day, "the weekday", weekdays...)
			o.Weekdays = append(o.Weekdays, time.Weekday((slices.Index(weekdays, name)+1)%7))
		}
		c.prog.Opening = append(c.prog.Opening, o)
	}
}

func (c *checker) hygiene(n *node) {
	h := &c.prog.Hygiene
	h.Undeliverable = DefaultUndeliverable
	if n == nil || !c.open(n, hygieneGrammar) {
		return
	}
	if v := n.get("undeliverable_after"); v != nil {
		h.Undeliverable = int(c.integer(v, 1))
	}
	if d := n.get("unresponsive_after"); d != nil {
		h.Unresponsive = c.duration(d)
	}
	if d := n.get("expire_after"); d != nil {
		h.Expire = c.duration(d)
		if h.Unresponsive > 0 && h.Expire > 0 && h.Expire <= h.Unresponsive {
			c.at(d, "what is agreed to expires later than a customer counts as unresponsive: %s is not more than %s",
				formatDuration(h.Expire), formatDuration(h.Unresponsive))
		}
	}
	if a := n.get("ask_again"); a != nil {
		h.AskAgain = c.boolean(a)
		if h.AskAgain && n.get("unresponsive_after") == nil {
			c.at(a, "ask_again needs unresponsive_after")
		}
	}
}

func (c *checker) identity(n *node) {
	p := c.prog
	p.Name = c.str(n.get("program"))
	p.Business = c.str(n.get("business"))
	if u := n.get("privacy_url"); u != nil {
		p.PrivacyURL = c.url(u)
	}
	if l := n.get("language"); c.is(l, scalar) {
		if languageRE.MatchString(l.value) {
			p.Language = l.value
		} else {
			c.at(l, "%q is no language: write en, da or pt_BR", l.value)
		}
	}
	p.Zone = time.UTC
	if z := n.get("timezone"); c.is(z, scalar) {
		zone, err := time.LoadLocation(z.value)
		if err != nil || z.value == "" || z.value == "Local" {
			c.at(z, "%q is no time zone: write one such as Europe/Copenhagen", z.value)
		} else {
			p.Zone = zone
		}
	}
	if m := n.get("currency"); c.is(m, scalar) {
		if p.Currency = m.value; !currencyRE.MatchString(m.value) {
			c.at(m, "%q is no currency: write three letters such as EUR", m.value)
		}
	}
	for _, item := range c.optional(n.get("marketing_countries")) {
		if c.is(item, scalar) && !countryRE.MatchString(item.value) {
			c.at(item, "%q is no country: write two letters such as DK", item.value)
		}
		p.MarketingCountries = append(p.MarketingCountries, item.value)
	}
}

func (c *checker) url(n *node) string {
	if !c.is(n, scalar) {
		return ""
	}
	u, err := url.Parse(n.value)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(n.value) > 2000 {
		c.at(n, "%q is no web address", n.value)
	}
	return n.value
}

// declared reads what the rest of the program names: attributes, keywords, events, topics.
func (c *checker) declared(n *node) {
	p := c.prog
	p.Attributes = c.schema(n.get("attributes"))
	for _, f := range p.Attributes.fields {
		if slices.ContainsFunc(customerOwn, func(own Field) bool { return own.Name == f.Name }) {
			c.at(n.get("attributes").key(f.Name), "every customer has %q: it cannot be declared", f.Name)
		}
	}
	c.keywords(n)
	if events := n.get("events"); events != nil && c.is(events, mapping) {
		for _, e := range events.pairs {
			name := e.key.value
			switch {
			case p.ownReferrals(name):
				c.at(e.key, "with referral, Punchcard raises %q itself: take this declaration out", name)
				continue
			case reservedEvent(name):
				c.at(e.key, "%q is an event that only Punchcard raises", name)
				continue
			case !eventName.MatchString(name) || len(name) > 100:
				c.at(e.key, "%q cannot be the name of an event: write two words with a dot between, such as order.placed", name)
				continue
			}
			p.Events[name] = c.schema(e.value)
		}
	}
	c.calls(n.get("calls"))
	if topics := n.get("topics"); topics != nil && c.is(topics, mapping) {
		for _, t := range topics.pairs {
			name := c.name(t.key)
			p.Topics = append(p.Topics, Topic{Name: name, Title: c.plainText(t.value)})
		}
	}
}

func (c *checker) keywords(n *node) {
	words := n.get("keywords")
	if !c.is(words, mapping) {
		return
	}
	if words.get("stop") == nil {
		c.at(words, "the keyword stop is missing: a customer must be able to leave")
	}
	meaning := map[string]string{}
	for _, k := range words.pairs {
		word := Keyword{Name: c.name(k.key)}
		switch k.key.value {
		case "other", ReplyOtherwise:
			c.at(k.key, "%q cannot be a keyword: it stands for every other message", k.key.value)
		case ReplyGreeting, ReplyAway:
			c.at(k.key, "%q cannot be a keyword: it is a reply to no word", k.key.value)
		}
		items := c.items(k.value)
		if len(items) == 0 && k.value.shape == list {
			c.at(k.value, "at least one word is expected")
		}
		for _, item := range items {
			if !c.is(item, scalar) {
				continue
			}
			heard := plainMessage(item.value)
			switch {
			case heard == "":
				c.at(item, "%q says nothing", item.value)
			case meaning[heard] != "" && meaning[heard] != word.Name:
				c.at(item, "%q stands for %s already", item.value, meaning[heard])
			}
			meaning[heard] = word.Name
			word.Words = append(word.Words, item.value)
		}
		c.prog.Keywords = append(c.prog.Keywords, word)
	}
}

func (c *checker) timeOfDay(n *node) TimeOfDay {
	if !c.is(n, scalar) {
		return 0
	}
	m := timeOfDayRE.FindStringSubmatch(n.value)
	if m == nil {
		c.at(n, "%q is no time of day: write 09:00 in quotes", n.value)
		return 0
	}
	hours, _ := strconv.Atoi(m[1]) // the pattern has digits only
	minutes, _ := strconv.Atoi(m[2])
	return TimeOfDay(hours*60 + minutes)
}

func (c *checker) optIns(n *node) {
	for _, item := range c.optional(n) {
		if !c.open(item, optInGrammar) {
			continue
		}
		event, schema := c.event(item.get("on"))
		c.prog.OptIns = append(c.prog.OptIns, OptIn{
			On: event, Where: c.expr(item.get("where"), c.scope().with("event", eventType(event, schema)), wantBool),
			Topics: c.topics(item.get("topics")),
		})
	}
}

func (c *checker) replies(n *node) {
	if n == nil || !c.is(n, mapping) {
		return
	}
	names := append(c.keywordNames(), ReplyGreeting, ReplyAway, ReplyOtherwise)
	for _, r := range n.pairs {
		if c.known(r.key, "keyword", names) == "stop" {
			c.at(r.key, "stop has no reply of the program's: it is confirmed by itself")
		}
		c.prog.Replies[r.key.value] = c.text(r.value, c.scope())
	}
}

func (c *checker) points(n *node) {
	if n == nil || !c.open(n, pointsGrammar) {
		return
	}
	if d := n.get("expire_after"); d != nil {
		c.prog.Expire = c.duration(d)
	}
	c.prog.Grace = DefaultGrace
	if d := n.get("grace"); d != nil {
		c.prog.Grace = c.duration(d)
	}
	for _, item := range c.optional(n.get("reverse")) {
		c.reverse(item)
	}
	for _, item := range c.optional(n.get("earn")) {
		if !c.open(item, earnGrammar) {
			continue
		}
		event, schema := c.event(item.get("on"))
		sc := c.scope().with("event", eventType(event, schema))
		earn := Earn{On: event, Where: c.expr(item.get("where"), sc, wantBool), Points: c.expr(item.get("points"), sc, wantNumber)}
		if d := item.get("pending"); d != nil {
			earn.Pending = c.duration(d)
		}
		earn.AtMost, earn.Within = c.limit(item)
		c.prog.Earn = append(c.prog.Earn, earn)
	}
}

func (c *checker) reverse(n *node) {
	if !c.open(n, reverseGrammar) {
		return
	}
	on, schema := c.event(n.get("on"))
	of, undone := c.event(n.get("of"))
	r := Reverse{On: on, Of: of, Match: c.str(n.get("match"))}
	if on != "" && on == of {
		c.at(n.get("of"), "an event cannot undo itself")
	}
	if on != "" && of != "" && r.Match != "" {
		c.matches(n.get("match"), on, schema)
		c.matches(n.get("match"), of, undone)
	}
	if e := n.get("share"); e != nil {
		r.Share = c.expr(e, c.scope().with("event", eventType(on, schema)).with("original", eventType(of, undone)), wantNumber)
	}
	for _, other := range c.prog.Reverse {
		if on != "" && other.On == on && other.Of == of && other.Match == r.Match {
			c.at(n, "%s undoes %s by %s twice", on, of, r.Match)
		}
	}
	c.prog.Reverse = append(c.prog.Reverse, r)
}

// matches checks that a property of an event can name another event.
func (c *checker) matches(n *node, event string, schema Schema) {
	var names []string
	for _, f := range schema.fields {
		switch f.Type.Kind {
		case TypeString, TypeInteger, TypeCode:
			names = append(names, f.Name)
		default:
		}
	}
	if !slices.Contains(names, n.value) {
		c.suggest(n, nearest(n.value, names), "%s has no property %q that is a text or a whole number", event, n.value)
	}
}

// limit reads at_most and within, which come together.
func (c *checker) limit(n *node) (atMost int, within time.Duration) {
	most, span := n.get("at_most"), n.get("within")
	switch {
	case most == nil && span == nil:
		return 0, 0
	case most == nil:
		c.at(n.key("within"), "within needs at_most")
	case span == nil:
		c.at(n.key("at_most"), "at_most needs within")
	}
	return int(c.integer(most, 1)), c.duration(span)
}

func (c *checker) tiers(n *node) {
	if n == nil || !c.open(n, tiersGrammar) {
		return
	}
	c.oneOf(n.get("by"), "by", "points.earned")
	tiers := &Tiers{Within: c.duration(n.get("within"))}
	if d := n.get("grace"); d != nil {
		tiers.Grace = c.duration(d)
	}
	if d := n.get("downgrade"); d != nil {
		tiers.OneLevel = c.oneOf(d, "downgrade", "one_level", "drop") == "one_level"
	}
	levels := n.get("levels")
	if !c.is(levels, mapping) {
		return
	}
	for i, l := range levels.pairs {
		level := Level{Name: c.name(l.key), From: c.integer(l.value, 0)}
		switch {
		case i == 0 && level.From != 0:
			c.at(l.value, "the first level begins at 0")
		case i > 0 && level.From <= tiers.Levels[i-1].From:
			c.at(l.value, "each level begins higher than the one before")
		}
		tiers.Levels = append(tiers.Levels, level)
	}
	if len(levels.pairs) == 0 {
		c.at(levels, "at least one level is expected")
	}
	c.prog.Tiers = tiers
}

func (c *checker) milestones(n *node) {
	seen := map[string]bool{}
	for _, item := range c.optional(n) {
		if !c.open(item, milestoneGrammar) {
			continue
		}
		m := Milestone{Name: c.name(item.get("name")), Of: c.expr(item.get("of"), c.scope(), wantNumber)}
		if m.Name != "" && seen[m.Name] {
			c.at(item.get("name"), "there are two milestones %q", m.Name)
		}
		seen[m.Name] = true
		at, every := item.get("at"), item.get("every")
		switch {
		case (at == nil) == (every == nil):
			c.at(item, "a milestone has either at or every")
		case at != nil:
			m.At = c.integer(at, 1)
		default:
			m.Every = c.integer(every, 1)
		}
		if d := item.get("within"); d != nil {
			m.Within = c.duration(d)
			if every != nil {
				c.at(item.key("within"), "within goes with at: a number that is reached again and again is counted for life")
			}
		}
		c.prog.Milestones = append(c.prog.Milestones, m)
	}
}

// mentions tells whether a text contains a word or phrase, whatever the case.
func mentions(text, phrase string) bool {
	return phrase != "" && strings.Contains(strings.ToLower(text), strings.ToLower(phrase))
}
