package simulator

import (
	stdhtml "html"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFormatted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"*bold* _it_ ~no~ `x*y*`":         "<strong>bold</strong> <em>it</em> <s>no</s> <code>x*y*</code>",
		"*a _b_ c*":                       "<strong>a <em>b</em> c</strong>",
		"2*3*4 snake_case_name a~b~c":     "2*3*4 snake_case_name a~b~c",
		"* a* *b * ** *":                  "* a* *b * ** *",
		"*one\ntwo*":                      "*one\ntwo*",
		"```a *b* <i>```":                 "<code>a *b* &lt;i&gt;</code>",
		"a ``` b *c*":                     "a ``` b <strong>c</strong>",
		"> quoted *so*":                   "<q>quoted <strong>so</strong></q>",
		"<b>&\"'":                         "&lt;b&gt;&amp;&#34;&#39;",
		"javascript:alert(1)":             "javascript:alert(1)",
		"data:text/html,<script>":         "data:text/html,&lt;script&gt;",
		"*https://a.example/_x_*.":        `<strong><a href="https://a.example/_x" target="_blank" rel="noopener noreferrer nofollow">https://a.example/_x</a>_</strong>.`,
		"(see www.a.example/b?c=1&d=2),":  `(see <a href="https://www.a.example/b?c=1&amp;d=2" target="_blank" rel="noopener noreferrer nofollow">www.a.example/b?c=1&amp;d=2</a>),`,
		`https://a.example/"onclick="x()`: `<a href="https://a.example/" target="_blank" rel="noopener noreferrer nofollow">https://a.example/</a>&#34;onclick=&#34;x()`,
		"æ*ø*å *ø*":                       "æ*ø*å <strong>ø</strong>",
	} {
		require.Equal(t, want, string(formatted(text)), text)
	}
	// The longest text, of marks that nothing closes, is quick.
	start := time.Now()
	for _, piece := range []string{"*a", " *a _b", "```", " https://a.example/*", "`a ~b "} {
		formatted(strings.Repeat(piece, 4096/len(piece)))
	}
	require.Less(t, time.Since(start), time.Second)
}

func TestLarge(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"😍": true, "☕🥐": true, "❤️ 👍🏽 🇩🇰": true, "👩‍👩‍👧": true, "😍😍😍😍": false, "hi 😍": false, "1": false, "": false, " ": false, "*": false, "\u200d": false,
	} {
		require.Equal(t, want, large(text), text)
	}
	require.Equal(t, 1, emojiCount("👩‍👩‍👧"))
	require.Equal(t, 1, emojiCount("🇩🇰"))
}

// Whatever somebody writes, the only tags are ours, and the text is all there but for the marks.
func FuzzFormatted(f *testing.F) {
	for _, text := range []string{attack, "*a* _b_", "```x```", "https://a.example/<b>", "javascript:alert(1)", "> *a", "\xff*a*"} {
		f.Add(text)
	}
	tag := regexp.MustCompile(`</?(strong|em|s|code|q)>|<a href="https?://[^"<>]*" target="_blank" rel="noopener noreferrer nofollow">|</a>`)
	f.Fuzz(func(t *testing.T, text string) {
		html := string(formatted(text))
		plain := tag.ReplaceAllString(html, "")
		require.NotContains(t, plain, "<")
		require.NotContains(t, plain, `"`)
		bare := strings.NewReplacer("*", "", "_", "", "~", "", "`", "", "> ", "").Replace
		require.Equal(t, bare(text), bare(stdhtml.UnescapeString(plain)))
	})
}

// Every language has every word, with the same places for values; and the page asks for no other.
func TestWords(t *testing.T) {
	t.Parallel()
	require.Len(t, words, len(languages()))
	for _, lang := range languages() {
		require.Len(t, words[lang], len(words["en"]), lang)
		require.Len(t, strings.Fields(words[lang]["days"]), 7)
		require.Len(t, strings.Fields(words[lang]["months"]), 12)
		for key, en := range words["en"] {
			text, ok := words[lang][key]
			require.True(t, ok, "%s: %s", lang, key)
			require.Equal(t, strings.Count(en, "%s"), strings.Count(text, "%s"), "%s: %s", lang, key)
		}
	}
	page, err := os.ReadFile("page/phone.html")
	require.NoError(t, err)
	script, err := os.ReadFile("page/assets/phone.js")
	require.NoError(t, err)
	for _, m := range append(regexp.MustCompile(`\(?\bt "([a-z_]+)"`).FindAllStringSubmatch(string(page), -1),
		regexp.MustCompile(`\bwords\.([a-z_]+)`).FindAllStringSubmatch(string(script), -1)...) {
		require.Contains(t, words["en"], m[1])
	}
	require.Equal(t, "de", spoken("fr-FR, de-AT;q=0.8, en"))
	require.Equal(t, "en", spoken("<script>"))
}
