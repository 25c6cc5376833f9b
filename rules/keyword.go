package rules

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Keyword is the keyword that a whole message stands for, whatever its case, accents, punctuation, spaces and shades of
// emoji: "ja!", " Yes. ", "👍🏽". Emoji beside words say nothing ("Ja 😊"), unless they stand for another keyword ("Yes 👎").
//
// A message that only contains a keyword is none: "yes please" is YES where the program lists those words, and otherwise no
// answer. Consent is not guessed.
func (p *Program) Keyword(text string) (name string, ok bool) {
	if len(text) > maxString {
		return "", false
	}
	heard := plainMessage(text)
	if heard == "" {
		return "", false
	}
	if name := p.keyword(heard); name != "" {
		return name, true
	}
	said, beside := apart(heard)
	if said == "" || beside == "" {
		return "", false
	}
	name = p.keyword(said)
	for emoji := range strings.FieldsSeq(beside) {
		if other := p.keyword(emoji); other != "" && other != name {
			return "", false
		}
	}
	return name, name != ""
}

// keyword is the keyword of a plain message, or "".
func (p *Program) keyword(heard string) string {
	for _, k := range p.Keywords {
		for _, word := range k.Words {
			if plainMessage(word) == heard {
				return k.Name
			}
		}
	}
	return ""
}

// apart takes a plain message apart: into its words, and the emoji beside them.
func apart(heard string) (said, beside string) {
	var words, emoji strings.Builder
	for _, r := range heard {
		switch {
		case unicode.Is(unicode.So, r):
			words.WriteByte(' ')
			emoji.WriteRune(r)
			emoji.WriteByte(' ')
		default:
			words.WriteRune(r)
		}
	}
	return strings.Join(strings.Fields(words.String()), " "), emoji.String()
}

// keywordStop is the keyword that every program has.
const keywordStop = "stop"

// StopsTopic reads a stop of one topic: a word of the keyword stop, and the topic's name, its title, its title up to a comma, or
// its title's first word where that tells it from the others, in any of the languages and as people type ("Stop offers!"). It
// answers ok without a topic for a stop of something short that is none: the customer wants less, and must be asked of what.
// A longer sentence that happens to begin with such a word is no stop.
func (p *Program) StopsTopic(text string) (topic string, ok bool) {
	if len(text) > maxString {
		return "", false
	}
	heard, _ := apart(plainMessage(text))
	for _, k := range p.Keywords {
		if k.Name != keywordStop {
			continue
		}
		for _, word := range k.Words {
			rest, found := strings.CutPrefix(heard, plainMessage(word)+" ")
			if !found {
				continue
			}
			if name := p.topicSaid(rest); name != "" {
				return name, true
			}
			ok = ok || strings.Count(rest, " ") < maxStopWords
		}
	}
	return "", ok
}

// maxStopWords is how many words may follow a stop word for it to be asked about.
const maxStopWords = 4

// topicSaid is the topic that a plain message names; "" for none, and where two are meant.
func (p *Program) topicSaid(said string) string {
	var exact, first []string
	for _, t := range p.Topics {
		names, begins := t.said()
		switch {
		case slices.Contains(names, said):
			exact = append(exact, t.Name)
		case slices.Contains(begins, said):
			first = append(first, t.Name)
		}
	}
	if len(exact) == 1 {
		return exact[0]
	}
	if len(exact) == 0 && len(first) == 1 {
		return first[0]
	}
	return ""
}

// minFirstWord is how long a title's first word is, in characters, to stand for it: "A" and "Your" say nothing.
const minFirstWord = 5

// said lists how people call the topic, and what its titles begin with.
func (t Topic) said() (names, begins []string) {
	names = []string{plainMessage(t.Name), plainMessage(strings.NewReplacer("-", " ", "_", " ").Replace(t.Name))}
	for _, language := range t.Title.Languages() {
		title := t.Title.plain(language)
		short, _, _ := strings.Cut(title, ",")
		names = append(names, plainMessage(title), plainMessage(short))
		if first, _, _ := strings.Cut(plainMessage(title), " "); utf8.RuneCountInString(first) >= minFirstWord {
			begins = append(begins, first)
		}
	}
	return names, begins
}

// TopicTitle is a topic's title in a language; "" for a topic that the program does not have.
func (p *Program) TopicTitle(name, lang string) string {
	for _, t := range p.Topics {
		if t.Name == name {
			if title := t.Title.plain(lang); title != "" {
				return title
			}
			return name
		}
	}
	return ""
}

// MarketingTopics are the topics by which the program sends marketing, or may: all but those whose journeys send none. They are in
// the order of the file.
func (p *Program) MarketingTopics() []string {
	var names []string
	for _, t := range p.Topics {
		used, marketing := false, false
		for _, j := range p.Journeys {
			if j.Topic == t.Name {
				used, marketing = true, marketing || j.sendsMarketing(p)
			}
		}
		if marketing || !used { // what will be sent by a topic without a journey is not known
			names = append(names, t.Name)
		}
	}
	return names
}

func (j *Journey) sendsMarketing(p *Program) bool {
	for _, s := range j.Steps {
		if t := p.Templates[s.Template]; t != nil && t.Category == "marketing" {
			return true
		}
	}
	return false
}

// plainMessage is what is left of a message when case, accents, punctuation, modifiers of emoji and superfluous white space
// are taken away.
func plainMessage(text string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(text) {
		switch {
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case unicode.In(r, unicode.Mn, unicode.P, unicode.Sk, unicode.Cf):
			// accents and variation selectors, punctuation, skin tones, joiners
		default:
			r = unicode.ToLower(r)
			if plain, ok := plainLetters[r]; ok {
				b.WriteString(plain)
			} else {
				b.WriteRune(r)
			}
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// plainLetters are those that a keyboard without them writes otherwise, and that are no letter with an accent to Unicode.
var plainLetters = map[rune]string{
	'æ': "ae", 'œ': "oe", 'ø': "o", 'ß': "ss", 'ł': "l", 'đ': "d", 'ð': "d", 'þ': "th", 'ı': "i",
}
