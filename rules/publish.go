package rules

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"punchcard"
)

// publishable checks what only the whole program shows. Its warnings wait until there are no mistakes: a name that is
// misspelt where it is used would be reported as unused as well.
func (c *checker) publishable(roots map[string]*node) {
	for _, name := range slices.Sorted(maps.Keys(c.prog.Journeys)) {
		c.asksForTopics(c.prog.Journeys[name], roots["templates.yaml"])
	}
	c.endlessStarts()
	if len(c.found.Errors()) > 0 {
		return
	}
	c.unused(roots)
	c.missingLanguages(roots)
	for _, name := range slices.Sorted(maps.Keys(c.prog.Journeys)) {
		c.unheard(c.prog.Journeys[name])
	}
}

// asksForTopics checks that the question of an opt-in says, in each of its languages, what it asks for.
func (c *checker) asksForTopics(j *Journey, templates *node) {
	if j.Purpose != PurposeConsent {
		return
	}
	var topics []string
	for _, s := range j.Steps {
		if s.Kind == KindConsent && s.Consent == string(punchcard.StandingGranted) {
			topics = append(topics, s.Topics...)
		}
	}
	slices.Sort(topics)
	for _, id := range j.Plan.IDs() {
		s := j.Steps[id]
		if s == nil || s.Kind != KindAsk {
			continue
		}
		t := c.prog.Templates[s.Template]
		if t == nil || !t.AsksConsent || t.hash == "" {
			continue
		}
		for _, topic := range slices.Compact(slices.Clone(topics)) {
			for _, language := range t.languages {
				c.asksFor(t, language, topic, templates.get("templates").get(t.Name).get("body"))
			}
		}
	}
}

// asksFor checks that a wording has a word of a topic: of its name, or of its title in that language.
func (c *checker) asksFor(t *Template, language, name string, body *node) {
	topic, _ := c.prog.Topic(name)
	said := topicWords(strings.NewReplacer("-", " ", "_", " ").Replace(name))
	titled := slices.Contains(topic.Title.Languages(), language)
	if titled {
		said = append(said, topicWords(topic.Title.plain(language))...)
	}
	w := t.body.pick(language)
	text := strings.Builder{}
	for _, s := range w.segments {
		text.WriteString(s.literal + " ")
	}
	text.WriteString(t.header.plain(language) + " " + t.footer.plain(language))
	if slices.ContainsFunc(said, func(word string) bool { return mentions(text.String(), word) }) {
		return
	}
	at := wordingNode(body, language).position()
	if titled {
		c.report(at, "", "a template that asks for consent says for what: nothing in it is about the topic %s", name)
		return
	}
	c.warn(at, "whether this asks for the topic %s cannot be told: the topic has no title in %s", name, language)
}

// topicWords are the beginnings of a text's words by which they are known whatever their ending.
func topicWords(text string) []string {
	var all, long []string
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		all = append(all, word)
		if utf8.RuneCountInString(word) >= 4 {
			long = append(long, string([]rune(word)[:min(5, utf8.RuneCountInString(word))]))
		}
	}
	if len(long) > 0 {
		return long
	}
	return all
}

// unused warns of what is declared and nothing uses.
func (c *checker) unused(roots map[string]*node) {
	for _, kind := range []struct {
		declared *node
		used     map[string]bool
		words    string
	}{
		{roots["templates.yaml"].get("templates"), c.use.templates, "nothing sends the template %s"},
		{roots["segments.yaml"].get("segments"), c.use.segments, "nothing asks about the segment %s"},
		{roots["program.yaml"].get("calls"), c.use.calls, "nothing makes the call %s"},
		{roots["rewards.yaml"].get("rewards"), c.givenRewards(), "nothing gives the reward %s"},
	} {
		if kind.declared == nil {
			continue
		}
		for _, p := range kind.declared.pairs {
			if !kind.used[p.key.value] {
				c.warn(p.key.position(), kind.words, p.key.value)
			}
		}
	}
}

// givenRewards are the rewards that some step may give. One whose step names it by an expression may give any that costs points.
func (c *checker) givenRewards() map[string]bool {
	given := maps.Clone(c.use.rewards)
	for name, r := range c.prog.Rewards {
		if c.use.anyReward && r.Cost > 0 {
			given[name] = true
		}
	}
	return given
}

// missingLanguages warns of a template that is not worded in a language in which others are.
func (c *checker) missingLanguages(roots map[string]*node) {
	all := map[string]bool{}
	for _, t := range c.prog.Templates {
		for _, language := range t.languages {
			all[language] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.prog.Templates)) {
		t := c.prog.Templates[name]
		var missing []string
		for _, language := range keysOf(all) {
			if !slices.Contains(t.languages, language) {
				missing = append(missing, language)
			}
		}
		if len(missing) > 0 {
			c.warn(roots["templates.yaml"].get("templates").get(name).get("body").position(),
				"the body is missing in %s, which other templates have", and(missing))
		}
	}
}

// unheard warns of what a journey listens for and nothing can bring about.
func (c *checker) unheard(j *Journey) {
	live := 0
	for _, e := range j.Enter {
		if c.never(e.On) == "" {
			live++
		}
	}
	if live == 0 && len(j.Enter) > 0 && !c.started(j.Name) {
		c.warn(j.where, "nobody can enter this journey: %s", c.never(j.Enter[0].On))
	}
	for _, id := range j.Plan.IDs() {
		if s := j.Steps[id]; s != nil && s.On != "" {
			if why := c.never(s.On); why != "" {
				c.warn(s.Where, "this never hears %s: %s", s.On, why)
			}
		}
	}
}

// started tells whether a step of another journey starts one.
func (c *checker) started(journey string) bool {
	for _, j := range c.prog.Journeys {
		for _, s := range j.Steps {
			if s.Kind == KindStart && s.StartJourney == journey && j.Name != journey {
				return true
			}
		}
	}
	return false
}

// never says why an event of ours cannot come in this program; "" for one that can.
func (c *checker) never(event string) string {
	switch {
	case event == punchcard.EventMilestoneReached && len(c.prog.Milestones) == 0:
		return "the program has no milestones"
	case event == punchcard.EventTierChanged && c.prog.Tiers == nil:
		return "the program has no tiers"
	case (event == punchcard.EventPointsExpired || event == punchcard.EventPointsExpiring) && c.prog.Expire == 0:
		return "points do not expire in this program"
	case event == punchcard.EventConsentRequested && len(c.prog.OptIns) == 0:
		return "the program has no opt_in"
	case event == punchcard.EventKeywordPrefix+"stop" || event == punchcard.EventKeywordPrefix+"yes" || event == punchcard.EventKeywordPrefix+"no":
		return "stop, yes and no are answers and raise no event"
	default:
		return ""
	}
}
