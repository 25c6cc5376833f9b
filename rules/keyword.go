package rules

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Keyword is the keyword that a whole message stands for, whatever its case, accents, punctuation, spaces and shades of
// emoji: "ja!", " Yes. ", "👍🏽". A message that only contains a keyword is none.
func (p *Program) Keyword(text string) (name string, ok bool) {
	if len(text) > maxString {
		return "", false
	}
	heard := plainMessage(text)
	if heard == "" {
		return "", false
	}
	for _, k := range p.Keywords {
		for _, word := range k.Words {
			if plainMessage(word) == heard {
				return k.Name, true
			}
		}
	}
	return "", false
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
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
