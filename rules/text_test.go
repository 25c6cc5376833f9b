package rules_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/programs"
	"punchcard/rules"
)

// say makes a text by way of a program that says it in a reply.
func say(t testing.TB, text string) (*rules.Program, rules.Text) {
	t.Helper()
	p, found := rules.LoadFiles(map[string]string{"program.yaml": minimal + `
attributes: {first_name: string, birthday: date, spent: money, rate: number, since: time, vip: bool}
replies:
  otherwise: ` + text + "\n"})
	require.Empty(t, found.Errors(), "%v", found)
	return p, p.Replies["otherwise"]
}

func textEnv(p *rules.Program) *rules.Env {
	return &rules.Env{
		Program: p, Zone: time.FixedZone("ahead", 2*3600), Points: rules.PointsFacts{Balance: 1234},
		Now: time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC),
		Customer: rules.CustomerFacts{ID: "cus_1", Attributes: map[string]any{
			"first_name": "Ada", "birthday": time.Date(1815, 12, 10, 0, 0, 0, 0, time.UTC), "spent": 4.5, "rate": 0.25,
			"since": time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC), "vip": true,
		}},
	}
}

func TestText_Render(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, lang, want string }{
		{text: `Hello`, want: "Hello"},
		{text: `"Hi {{ customer.first_name }}, you have {{points.balance}} points."`, want: "Hi Ada, you have 1234 points."},
		{text: `"{{ customer.spent }} {{ customer.spent * 2 }} {{ customer.spent + 115.5 }} {{ customer.spent / 4 }}"`, want: "4.50 9 120 1.13"},
		{text: `"{{ customer.rate }} {{ customer.rate * 4 }} {{ 0.1 + 0.2 }} {{ 7 / 2 }}"`, want: "0.25 1 0.3 3.5"},
		{text: `"{{ customer.birthday }}"`, lang: "en", want: "10 December 1815"},
		{text: `"{{ customer.since }}"`, lang: "en", want: "23 November 2026"},
		{text: `"{{ now + days(1) }}"`, lang: "en-GB", want: "24 November 2026"},
		{text: `{en: "{{ customer.since }}", da: "{{ customer.since }}", fr: "{{ customer.since }}"}`, lang: "da", want: "23. november 2026"},
		{text: `{en: "{{ customer.since }}", da: "{{ customer.since }}", fr: "{{ customer.since }}"}`, lang: "fr_CA", want: "2026-11-23"},
		{text: `{en: Hello, da: Hej, pt_BR: Oi}`, lang: "pt-br", want: "Oi"},
		{text: `{en: Hello, da: Hej}`, lang: "da_DK", want: "Hej"},
		{text: `{en: Hello, da: Hej}`, lang: "sv", want: "Hello"},
		{text: `"{{ customer.vip }} {{ program.name }}"`, want: "true Minimal"},
		{text: `'{{ default("", "a }} b") }} {{ {"a": {"b": "x"}}.a.b }}'`, want: "a }} b x"},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()
			p, text := say(t, test.text)
			got, err := text.Render(test.lang, textEnv(p))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestText_empty(t *testing.T) {
	t.Parallel()
	p, text := say(t, `"Hi {{ customer.first_name }}"`)
	_, err := text.Render("en", &rules.Env{Program: p})
	require.ErrorIs(t, err, rules.ErrEmpty)
	require.EqualError(t, err, "program.yaml:11:21: a value to be filled in is empty")

	require.True(t, rules.Text{}.IsZero())
	got, err := rules.Text{}.Render("en", nil)
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestText_Const(t *testing.T) {
	t.Parallel()
	for text, constant := range map[string]bool{`Hi`: true, `"{{ customer.id }}"`: false, `{en: Hi, da: Hej}`: false} {
		_, parsed := say(t, text)
		_, ok := parsed.Const()
		require.Equal(t, constant, ok, text)
	}
	_, text := say(t, `{en: Hi, da: Hej}`)
	require.Equal(t, []string{"da", "en"}, text.Languages())
	_, text = say(t, `Hi`)
	require.Equal(t, []string{"en"}, text.Languages())
}

func TestReplyJourney(t *testing.T) {
	t.Parallel()
	j := rules.ReplyJourney()
	require.NoError(t, j.Plan.Check())
	got, err := j.Steps["1"].Say.Render("da", &rules.Env{Entry: map[string]any{"text": "Hello"}})
	require.NoError(t, err)
	require.Equal(t, "Hello", got)
	require.Equal(t, "answered", j.Steps["end"].Outcome)
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	p, found := rules.Load(programs.Coffee())
	require.Empty(t, found.Errors())

	request := p.Templates["opt_in_request"]
	require.Equal(t, rules.WireTemplate{
		Name: request.WireName(), Language: "da", Category: "UTILITY",
		Body: "Hej {{1}}, Bean & Bloom vil gerne sende dig tilbud, påmindelser om din kurv og fordele på WhatsApp. Svar JA for at " +
			"bekræfte, NEJ for at sige nej. STOP afslutter det når som helst. https://beanandbloom.example/privacy",
		Examples: []string{"med dig"},
		Buttons: []rules.Button{
			{Kind: rules.ButtonQuickReply, Text: "JA", Payload: "yes"}, {Kind: rules.ButtonQuickReply, Text: "NEJ", Payload: "no"},
		},
	}, request.Wire("da_DK"))
	require.Regexp(t, `^opt_in_request_[0-9a-f]{8}$`, request.WireName())
	require.Equal(t, []string{"da", "en"}, request.Languages())
	require.Equal(t, "en", request.Pick("fr"))

	welcome := p.Templates["opt_in_welcome"]
	require.Equal(t, []string{"code", "until"}, welcome.Params())
	got, err := welcome.Render("en", &rules.Env{Program: p, With: map[string]any{"code": " X12\n\t", "until": "24\n\tDecember "}})
	require.NoError(t, err)
	require.Equal(t, []string{"and welcome", "X12", "24 December"}, got.Params)
	require.Equal(t, "X12", got.CopyCode)
	require.Equal(t, "You are in, and welcome! Your code X12 gives you 10 % off your next order and is valid until 24 December. "+
		"Send POINTS to see your balance, REDEEM to use it, STOP to leave.", got.Wording)
	require.Equal(t, []rules.Button{{Kind: rules.ButtonCopyCode, Value: "X12"}}, got.Buttons)
	_, err = welcome.Render("en", &rules.Env{Program: p, With: map[string]any{"code": "", "until": "tomorrow"}})
	require.ErrorIs(t, err, rules.ErrEmpty)
}

// TestTemplate_hash checks that what WhatsApp shows names the template there, and nothing else does.
func TestTemplate_hash(t *testing.T) {
	t.Parallel()
	name := func(from, to string) string {
		files := folder(t, programs.Coffee())
		require.Contains(t, files["templates.yaml"]+files["program.yaml"], from)
		for _, file := range []string{"templates.yaml", "program.yaml"} {
			files[file] = strings.ReplaceAll(files[file], from, to)
		}
		p, found := rules.LoadFiles(files)
		require.Empty(t, found.Errors(), "%v", found)
		return p.Templates["opt_in_request"].WireName()
	}
	same := name("Hi", "Hi")
	require.Equal(t, same, name("your stamp card", "your own card"), "another template")
	require.Equal(t, same, name(`default("there")`, `default("you")`), "what is filled in")
	require.NotEqual(t, same, name("would like to", "wants to"), "the words")
	require.NotEqual(t, same, name("business: Bean & Bloom ", "business: Bean and Bloom "), "the business")
	require.NotEqual(t, same, name(`da: "NEJ"`, `da: "Nej"`), "a button")
}

func TestProgram_Keyword(t *testing.T) {
	t.Parallel()
	p, found := rules.Load(programs.Coffee())
	require.Empty(t, found.Errors())
	for text, want := range map[string]string{
		"YES": "yes", "ja!": "yes", " Yes. ": "yes", "👍🏽": "yes", "👍\ufe0f": "yes", "JÁ": "yes", "ＳＴＯＰ": "stop", "\"stop\"": "stop",
		"nej\n": "no", "Points?": "points", "yes please": "", "": "", "!!!": "", "👎": "", "s t o p": "", "nonstop": "",
		"Yes please!": "", " JA ": "yes", "Ja.": "yes", "Ja 😊": "yes", "😊 yes 🎉🎉": "yes", "👍🏿": "yes", "👍 ja": "yes", "STOP 🛑": "stop",
		"yes no": "", "Nej 👍": "", "😊": "", "yes, stop": "", "STÓP": "stop",
	} {
		got, ok := p.Keyword(text)
		require.Equal(t, want, got, "%q", text)
		require.Equal(t, want != "", ok, "%q", text)
	}
}

func TestProgram_lookups(t *testing.T) {
	t.Parallel()
	p, found := rules.Load(programs.Coffee())
	require.Empty(t, found.Errors())
	require.Len(t, p.Entering("order.placed"), 1)
	require.Equal(t, "stamp-card", p.Entering("order.placed")[0].Name)
	require.Empty(t, p.Entering("order.refunded"))
	require.Equal(t, "bronze", p.TierAt(0))
	require.Equal(t, "silver", p.TierAt(1999))
	require.Equal(t, "gold", p.TierAt(2000))
	require.Empty(t, (&rules.Program{}).TierAt(9))
	topic, ok := p.Topic("rewards")
	require.True(t, ok)
	require.False(t, topic.Title.IsZero())
	_, ok = p.Schema("keyword.join")
	require.True(t, ok)
	_, ok = p.Schema("keyword.other")
	require.False(t, ok)
	require.True(t, p.Builtin("keyword.join"))
	require.True(t, p.Builtin("milestone.reached"))
	require.False(t, p.Builtin("order.placed"))
	require.Len(t, p.Hash, 64)
	require.Equal(t, []string{"text", "link"}, fieldNames(mustSchema(t, p, "keyword.yes")))
	require.Equal(t, int64(3), p.Milestones[1].Nth(17))
}

func mustSchema(t *testing.T, p *rules.Program, event string) rules.Schema {
	t.Helper()
	s, ok := p.Schema(event)
	require.True(t, ok)
	return s
}

func fieldNames(s rules.Schema) []string {
	var names []string
	for _, f := range s.Fields() {
		names = append(names, f.Name)
	}
	return names
}
