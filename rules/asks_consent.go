package rules

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// minTopicWord is how long a word of a topic's title is, in characters, to stand for the topic in a request for consent.
const minTopicWord = 5

// consentRequests checks, in every language, that what asks for consent says what for: each topic that the journey grants is named
// by every template that may ask for it.
func (c *checker) consentRequests() {
	said := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.prog.Journeys)) {
		j := c.prog.Journeys[name]
		if j.Purpose != PurposeConsent {
			continue
		}
		topics, templates := j.asksFor(c.prog)
		for _, t := range templates {
			for _, language := range t.languages {
				for _, topic := range topics {
					key := t.Name + " " + language + " " + topic.Name
					if said[key] || t.names(topic, language) {
						continue
					}
					said[key] = true
					c.report(t.body.where, "", "it asks for consent, but does not say in %s that it is to %s: write the topic's name, or a word of its title (%s)",
						language, topic.Name, topic.Title.plain(language))
				}
			}
		}
	}
}

// asksFor are the topics that a journey's steps grant, and the templates by which it may ask for them.
func (j *Journey) asksFor(p *Program) (topics []Topic, templates []*Template) {
	for _, id := range slices.Sorted(maps.Keys(j.Steps)) {
		s := j.Steps[id]
		if t := p.Templates[s.Template]; t != nil && t.AsksConsent && len(t.languages) > 0 && !slices.Contains(templates, t) {
			templates = append(templates, t)
		}
		if s.Consent != "granted" {
			continue
		}
		for _, topic := range p.Topics {
			if slices.Contains(s.Topics, topic.Name) && !slices.ContainsFunc(topics, func(have Topic) bool { return have.Name == topic.Name }) {
				topics = append(topics, topic)
			}
		}
	}
	return topics, templates
}

// names tells whether a wording of the template names a topic.
func (t *Template) names(topic Topic, language string) bool {
	var whole strings.Builder
	for _, part := range []Text{t.header, t.body, t.footer} {
		if !part.IsZero() {
			whole.WriteString(part.plain(language) + "\n")
		}
	}
	wording := " " + plainMessage(whole.String()) + " "
	if strings.Contains(wording, plainMessage(topic.Name)) {
		return true
	}
	for word := range strings.FieldsSeq(plainMessage(topic.Title.plain(language))) {
		if utf8.RuneCountInString(word) >= minTopicWord && strings.Contains(wording, " "+word) {
			return true
		}
	}
	return false
}

// saysWord tells whether a text has a word, whatever the case, and not as a part of another: "nonstop" is no way out.
func saysWord(text, word string) bool {
	return strings.Contains(" "+plainMessage(text)+" ", " "+plainMessage(word)+" ")
}
