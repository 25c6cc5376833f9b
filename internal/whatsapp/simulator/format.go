package simulator

import (
	"html"
	"html/template"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// webLink finds what WhatsApp makes a link of.
var webLink = regexp.MustCompile(`(?i)\b(?:https?://|www\.)[^\s<>"` + "`" + `]+`)

// formatted is a text as WhatsApp shows it: *bold*, _italic_, ~struck~, ```fixed```, `code`, "> quoted" lines, and links. Everything
// that came in is escaped; the only tags are those written here.
func formatted(text string) template.HTML {
	var b strings.Builder
	const fence = "```"
	parts := strings.Split(text, fence)
	if n := len(parts); n%2 == 0 { // a mark that nothing closes is text
		parts = append(parts[:n-2], parts[n-2]+fence+parts[n-1])
	}
	for i, part := range parts {
		switch {
		case i%2 == 1 && part == "":
			b.WriteString(fence + fence)
		case i%2 == 1:
			b.WriteString("<code>" + html.EscapeString(part) + "</code>")
		default:
			lines(&b, part)
		}
	}
	return template.HTML(b.String()) //nolint:gosec // escaped above, piece by piece
}

func lines(b *strings.Builder, text string) {
	for n, line := range strings.Split(text, "\n") {
		if n > 0 {
			b.WriteByte('\n')
		}
		if quoted, ok := strings.CutPrefix(line, "> "); ok {
			b.WriteString("<q>")
			inline(b, quoted, "")
			b.WriteString("</q>")
			continue
		}
		inline(b, line, "")
	}
}

// marks are WhatsApp's, and the tags that they become.
var marks = map[byte]string{'*': "strong", '_': "em", '~': "s", '`': "code"}

// inline writes a line. within are the marks that are open: one does not stand in itself.
func inline(b *strings.Builder, line, within string) {
	links := webLink.FindAllStringIndex(line, -1)
	hopeless := map[byte]bool{} // marks that nothing closes from here on
	plain := 0                  // where the text begins that is not written yet
	for i := 0; i < len(line); {
		for len(links) > 0 && links[0][0] < i {
			links = links[1:]
		}
		if len(links) > 0 && links[0][0] == i {
			shown := line[i:linkEnd(line, links[0])]
			target := shown
			if !strings.Contains(target, "://") {
				target = "https://" + target
			}
			if safeLink(target) != "" {
				b.WriteString(html.EscapeString(line[plain:i]))
				b.WriteString(`<a href="` + html.EscapeString(target) + `" target="_blank" rel="noopener noreferrer nofollow">` + html.EscapeString(shown) + `</a>`)
				i += len(shown)
				plain = i
				continue
			}
		}
		mark := line[i]
		tag := marks[mark]
		if tag == "" || hopeless[mark] || strings.IndexByte(within, mark) >= 0 || !opens(line, i) {
			i++
			continue
		}
		end := closing(line, i, links)
		if end < 0 {
			hopeless[mark] = true
			i++
			continue
		}
		b.WriteString(html.EscapeString(line[plain:i]))
		b.WriteString("<" + tag + ">")
		if mark == '`' {
			b.WriteString(html.EscapeString(line[i+1 : end]))
		} else {
			inline(b, line[i+1:end], within+string(mark))
		}
		b.WriteString("</" + tag + ">")
		i = end + 1
		plain = i
	}
	b.WriteString(html.EscapeString(line[plain:]))
}

// opens tells whether a mark may open: nothing of a word before it, something after it.
func opens(line string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(line[:i])
	after, _ := utf8.DecodeRuneInString(line[i+1:])
	return (i == 0 || !wordy(before)) && i+1 < len(line) && !unicode.IsSpace(after) && line[i+1] != line[i]
}

// closing is where the mark at i is closed, or -1. Inside a link nothing is.
func closing(line string, i int, links [][]int) int {
	for j := i + 2; j < len(line); j++ {
		for len(links) > 0 && links[0][1] <= j {
			links = links[1:]
		}
		if line[j] != line[i] || (len(links) > 0 && links[0][0] < j && j < linkEnd(line, links[0])) {
			continue
		}
		before, _ := utf8.DecodeLastRuneInString(line[:j])
		after, _ := utf8.DecodeRuneInString(line[j+1:])
		if unicode.IsSpace(before) || (j+1 < len(line) && wordy(after)) || before == rune(line[i]) {
			continue
		}
		return j
	}
	return -1
}

// linkEnd is where a link ends: what closes a sentence or a mark does not belong to it.
func linkEnd(line string, link []int) int {
	return link[0] + len(strings.TrimRight(line[link[0]:link[1]], ".,;:!?)]}'*_~"))
}

func wordy(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// What joins and colours emoji: it counts for nothing itself.
const (
	joiner     = '\u200d'
	variation  = '\ufe0f'
	keycap     = '\u20e3'
	firstSkin  = 0x1f3fb
	lastSkin   = 0x1f3ff
	firstFlag  = 0x1f1e6
	lastFlag   = 0x1f1ff
	firstTag   = 0xe0020
	lastTag    = 0xe007f
	mostEmoji  = 3 // a message of so many or fewer, and nothing else, is shown large
	longestOne = 40
)

// isPicture tells whether a character is a picture, or what belongs to one.
func isPicture(r rune) bool {
	return isPicturePart(r) || unicode.Is(unicode.So, r) || (r >= firstFlag && r <= lastFlag) || (r >= 0x1f000 && r <= 0x1faff) ||
		r == '‼' || r == '⁉' || r == '〰' || (r >= '←' && r <= '⇿')
}

func isPicturePart(r rune) bool {
	return r == joiner || r == variation || r == keycap || (r >= firstSkin && r <= lastSkin) || (r >= firstTag && r <= lastTag)
}

// onlyEmoji tells whether a text is emoji and nothing else.
func onlyEmoji(text string) bool {
	if len(text) > 200 || !strings.ContainsFunc(text, func(r rune) bool { return isPicture(r) && !isPicturePart(r) }) {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool { return !isPicture(r) && !unicode.IsSpace(r) })
}

// emojiCount is how many pictures a text of emoji shows.
func emojiCount(text string) int {
	n, joined, flags := 0, false, 0
	for _, r := range text {
		switch {
		case r == joiner:
			joined = true
			continue
		case isPicturePart(r), unicode.IsSpace(r):
			continue
		case r >= firstFlag && r <= lastFlag:
			if flags++; flags%2 == 0 { // two letters are one flag
				continue
			}
		}
		if !joined {
			n++
		}
		joined = false
	}
	return n
}

// large tells whether a text is shown large.
func large(text string) bool {
	return onlyEmoji(text) && emojiCount(text) <= mostEmoji && utf8.RuneCountInString(text) <= longestOne
}
