package rules

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrEmpty is wrapped by the error of a Text or a Template in which a value to be filled in is empty.
var ErrEmpty = errors.New("a value to be filled in is empty")

// maxText bounds what filling in may make: WhatsApp takes no longer text.
const maxText = 4096

// Text is what a marketer wrote for people to read: one wording or one for each language, in which {{ expressions }} are
// filled in. It is immutable and safe to share. The zero Text says nothing.
type Text struct {
	wordings []wording // sorted by language
	fallback string    // the program's language
	where    Position
}

// wording is a text in one language.
type wording struct {
	language string
	segments []segment
}

// segment is a part of a wording: a literal, or an expression to be filled in.
type segment struct {
	literal string
	expr    *Expr
}

// IsZero tells whether nothing was written.
func (t Text) IsZero() bool { return len(t.wordings) == 0 }

// Languages are those the text has wordings in, sorted; the program's for a plain text.
func (t Text) Languages() []string {
	languages := make([]string, len(t.wordings))
	for i, w := range t.wordings {
		languages[i] = w.language
	}
	return languages
}

// Const is the text when it is one wording in which nothing is filled in.
func (t Text) Const() (string, bool) {
	if len(t.wordings) != 1 {
		return "", false
	}
	var b strings.Builder
	for _, s := range t.wordings[0].segments {
		if s.expr != nil {
			return "", false
		}
		b.WriteString(s.literal)
	}
	return b.String(), true
}

// Render is the text in a language, or in the program's if it has no wording in that one, with everything filled in. The
// error wraps ErrEmpty when a value is nil or the empty string, or is the *EvalError of an expression that failed.
func (t Text) Render(lang string, env *Env) (string, error) {
	if t.IsZero() {
		return "", nil
	}
	w := t.pick(lang)
	if w.wordless() && lang != "" {
		w.language = lang // "{{ welcome.expires }}" is in no language: it is written as the reader writes dates
	}
	var b strings.Builder
	for _, s := range w.segments {
		text := s.literal
		if s.expr != nil {
			var err error
			if text, err = fill(s.expr, w.language, env); err != nil {
				return "", err
			}
		}
		b.WriteString(text)
	}
	if utf8.RuneCountInString(b.String()) > maxText {
		return "", &EvalError{Where: t.where, Kind: "the text is too long when it is filled in"}
	}
	return b.String(), nil
}

// wordless tells whether a wording has no words of its own, only what is filled in.
func (w wording) wordless() bool {
	for _, s := range w.segments {
		if strings.TrimSpace(s.literal) != "" {
			return false
		}
	}
	return true
}

// pick is the wording for someone who reads lang: in that language, in its main form (pt for pt_BR), or in the program's.
func (t Text) pick(lang string) wording {
	i := pickLanguage(lang, t.Languages(), t.fallback)
	return t.wordings[i]
}

// pickLanguage is the index of the best of some languages; 0 when there is nothing better.
func pickLanguage(lang string, among []string, fallback string) int {
	lang = strings.ReplaceAll(lang, "-", "_")
	base, _, _ := strings.Cut(lang, "_")
	for _, try := range []string{lang, base, fallback} {
		for i, l := range among {
			if try != "" && strings.EqualFold(strings.ReplaceAll(l, "-", "_"), try) {
				return i
			}
		}
	}
	return 0
}

// fill is an expression's value as it stands in a text.
func fill(e *Expr, lang string, env *Env) (string, error) {
	v, err := e.Value(env)
	if err != nil {
		return "", err
	}
	text := format(v, e.result, lang, env.zone())
	if strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("%s:%d:%d: %w", e.Where.File, e.Where.Line, e.Where.Column, ErrEmpty)
	}
	return text, nil
}

// format writes a value for people; "" for one that is absent or is nothing to be read.
func format(value any, t FieldType, lang string, zone *time.Location) string {
	switch v := value.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		if t.Kind != TypeDate { // a date has no zone: it is the same day everywhere
			v = v.In(zone)
		}
		return formatDate(v, lang)
	case float64:
		return formatNumber(v, t.Kind == TypeMoney)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	default:
		return ""
	}
}

// formatNumber writes a number without superfluous zeros, and money with two decimals or none.
func formatNumber(f float64, money bool) string {
	if money {
		cents := math.Round(f * 100)
		if math.Mod(cents, 100) != 0 {
			return strconv.FormatFloat(cents/100, 'f', 2, 64)
		}
		f = cents / 100
	}
	s := strconv.FormatFloat(f, 'f', 6, 64)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	if s == "-0" {
		return "0"
	}
	return s
}

var danishMonths = [...]string{
	"januar", "februar", "marts", "april", "maj", "juni", "juli", "august", "september", "oktober", "november", "december",
}

// formatDate writes a day as people of a language write it, or as ISO does where we do not know how they do.
func formatDate(t time.Time, lang string) string {
	base, _, _ := strings.Cut(strings.ReplaceAll(lang, "-", "_"), "_")
	switch base {
	case "en":
		return t.Format("2 January 2006")
	case "da":
		return fmt.Sprintf("%d. %s %d", t.Day(), danishMonths[t.Month()-1], t.Year())
	default:
		return t.Format(time.DateOnly)
	}
}

// text reads a text or a map of languages.
func (c *checker) text(n *node, sc scope) Text {
	if n == nil {
		return Text{}
	}
	t := Text{fallback: c.prog.Language, where: n.position()}
	switch n.shape {
	case scalar:
		c.str(n)
		t.wordings = []wording{{language: c.prog.Language, segments: c.segments(n, sc)}}
	case mapping:
		for _, p := range n.pairs {
			if !languageRE.MatchString(p.key.value) {
				c.at(p.key, "%q is no language: a text is plain, or a map of languages such as en and da", p.key.value)
				continue
			}
			if c.is(p.value, scalar) {
				c.str(p.value)
				t.wordings = append(t.wordings, wording{language: p.key.value, segments: c.segments(p.value, sc)})
			}
		}
		if c.prog.Language != "" && n.get(c.prog.Language) == nil {
			c.at(n, "the text is missing in %s, the program's language", c.prog.Language)
		}
		slices.SortFunc(t.wordings, func(a, b wording) int { return strings.Compare(a.language, b.language) })
	default:
		c.at(n, "a text is expected here, not a list")
	}
	return t
}

// plainText reads a text in which nothing is filled in but what the program itself says.
func (c *checker) plainText(n *node) Text {
	t := c.text(n, scope{vars: map[string]FieldType{"program": programType}})
	for i := range t.wordings {
		t.wordings[i].segments = c.inline(t.wordings[i].segments)
	}
	return t
}

// inline replaces expressions that only the program can change by their values.
func (c *checker) inline(segments []segment) []segment {
	var out []segment
	for _, s := range segments {
		if s.expr != nil {
			if v, ok := s.expr.constant(c.prog); ok {
				s = segment{literal: v}
			}
		}
		if n := len(out); s.expr == nil && n > 0 && out[n-1].expr == nil {
			out[n-1].literal += s.literal
			continue
		}
		out = append(out, s)
	}
	return out
}

// segments splits a text at its {{ expressions }} and compiles them.
func (c *checker) segments(n *node, sc scope) []segment {
	if length := utf8.RuneCountInString(n.value); length > maxText {
		// WhatsApp takes no more of any text, and each place in it is looked for from its beginning.
		c.at(n, "the text has %d characters; at most %d are sent", length, maxText)
		return []segment{{literal: "…"}}
	}
	var out []segment
	rest, at := n.value, 0 // at counts characters
	for {
		before, after, found := strings.Cut(rest, "{{")
		if before != "" {
			if before0, _, ok := strings.Cut(before, "}}"); ok {
				c.report(n.at(at+utf8.RuneCountInString(before0)), "", "}} without the {{ that it closes")
			}
			out = append(out, segment{literal: before})
		}
		if !found {
			return out
		}
		open := at + utf8.RuneCountInString(before)
		end := closing(after)
		if end < 0 {
			c.report(n.at(open), "", "{{ without the }} that closes it")
			return out
		}
		source := strings.TrimLeft(after[:end], " \n")
		from := open + 2 + utf8.RuneCountInString(after[:end]) - utf8.RuneCountInString(source)
		if e := c.compile(n, strings.TrimRight(source, " \n"), from, sc, wantText); e != nil {
			out = append(out, segment{expr: e})
		}
		at = open + 2 + utf8.RuneCountInString(after[:end]) + 2
		rest = after[end+2:]
	}
}

// closing is where in s the }} stands that is neither in a quoted text nor closes a map; -1 if nowhere.
func closing(s string) int {
	depth, quote, escaped := 0, byte(0), false
	for i := range len(s) {
		switch ch := s[i]; {
		case quote != 0:
			if ch == quote && !escaped {
				quote = 0
			}
			escaped = ch == '\\' && !escaped && quote != '`'
		case ch == '"' || ch == '\'' || ch == '`':
			quote = ch
		case ch == '{':
			depth++
		case ch == '}' && depth > 0:
			depth--
		case ch == '}' && i+1 < len(s) && s[i+1] == '}':
			return i
		}
	}
	return -1
}
