package rules_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/rules"
)

// goldenTemplates are the templates of the golden file that uses everything.
func goldenTemplates(t *testing.T) *rules.Program {
	t.Helper()
	content, err := os.ReadFile("testdata/golden/templates.txt")
	require.NoError(t, err)
	files := folder(t, os.DirFS("testdata/base"))
	for name, text := range split(string(content)) {
		if name != "want" {
			files[name] = text
		}
	}
	p, found := rules.LoadFiles(files)
	require.Empty(t, found.Errors())
	return p
}

func TestTemplate_Render_parts(t *testing.T) {
	t.Parallel()
	p := goldenTemplates(t)
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	env := &rules.Env{
		Program: p, Now: now, Customer: rules.CustomerFacts{ID: "c1", Attributes: map[string]any{"first_name": "Anna"}},
		Points: rules.PointsFacts{Balance: 40}, With: map[string]any{"item": "a&b / c", "order": "o1", "code": "X1"},
	}
	render := func(name string) rules.Rendered {
		r, err := p.Templates[name].Render("en", env)
		require.NoError(t, err, name)
		return r
	}
	advert := render("advert")
	require.Equal(t, "Anna", advert.Header)
	require.Equal(t, []string{"a&b / c", "40"}, advert.Params, "each value once")
	require.Equal(t, "a%26b%20%2F%20c", advert.Buttons[0].Value, "one value stays one")
	require.Empty(t, advert.Buttons[1].Value)
	require.Equal(t, rules.Button{Kind: rules.ButtonPhone, Text: "Call us", Phone: "+4570123456"}, advert.Buttons[2])
	require.Equal(t, "yes", advert.Buttons[3].Payload)
	require.Equal(t, "News for Anna\n\nWe have a&b / c and a&b / c again, for 40 points.\n\nBase", advert.Wording)

	news := render("news")
	require.Equal(t, &rules.RenderedMedia{Format: rules.HeaderImage, URL: "https://shop.example/news.png"}, news.Media)
	require.Equal(t, now.Add(48*time.Hour), news.Expires)
	require.Equal(t, "c1", news.CopyCode)
	require.Equal(t, "Ends soon\n\nHello, this is news.", news.Wording)

	receipt := render("receipt")
	require.Equal(t, &rules.RenderedMedia{Format: rules.HeaderDocument, URL: "https://shop.example/o1.pdf", Filename: "o1.pdf"}, receipt.Media)
	require.Equal(t, &rules.RenderedMedia{
		Format: rules.HeaderLocation, Latitude: 55.6761, Longitude: 12.5683, Name: "Bean & Bloom", Address: "Torvet 1",
	}, render("shop").Media)

	season := render("season")
	require.Len(t, season.Cards, 2)
	require.Equal(t, "https://shop.example/b.png", season.Cards[1].Media.URL)
	require.Equal(t, []string{"40"}, season.Cards[1].Params)
	require.Equal(t, "c1", season.Cards[1].Buttons[0].Value)
	require.Equal(t, []string{"yes"}, p.Templates["season"].Replies())
}

// The end of an offer that a step hands over is a time, beside the words in which a text may say it.
func TestTemplate_With(t *testing.T) {
	t.Parallel()
	p := goldenTemplates(t)
	offer, step := p.Templates["offer"], p.Journeys["j"].Steps["2"]
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	until := now.Add(time.Hour)
	env := &rules.Env{Program: p, Now: now, Bound: map[string]map[string]any{"welcome": {"code": "X1", "expires": until}}}
	filled, err := offer.With("da", step.With, env)
	require.NoError(t, err)
	require.Equal(t, "23. november 2026", filled.With["until"])
	r, err := offer.Render("da", filled)
	require.NoError(t, err)
	require.Equal(t, until, r.Expires)
	require.Equal(t, "X1", r.CopyCode)
	require.Equal(t, rules.HeaderVideo, r.Media.Format)

	for code, copied := range map[string]bool{"SUMMER2026": true, "ABCDEFGHIJ12345": true, "ABCDEFGHIJ123456": false, "SUMMER-2026": false, "ÆBLE": false} {
		env.Bound["welcome"]["code"] = code
		filled, err = offer.With("da", step.With, env)
		require.NoError(t, err)
		if _, err = offer.Render("da", filled); copied {
			require.NoError(t, err, code)
		} else {
			require.ErrorIs(t, err, rules.ErrCodeForm, code)
		}
	}

	filled.Now = until
	_, err = offer.Render("da", filled)
	require.ErrorIs(t, err, rules.ErrOfferOver)
	_, err = offer.Render("da", &rules.Env{Program: p, Now: now, With: map[string]any{"code": "X1"}})
	require.ErrorIs(t, err, rules.ErrEmpty)
	env.Bound["welcome"]["expires"] = nil
	_, err = offer.With("da", step.With, env)
	require.ErrorIs(t, err, rules.ErrEmpty)
}

// What was published before the order of buttons and the form of codes were checked stays readable.
func TestLoadPublished_buttons(t *testing.T) {
	t.Parallel()
	files := folder(t, os.DirFS("testdata/base"))
	files["templates.yaml"] += "  mixed:\n    category: utility\n    body: Hello you.\n    buttons: [{reply: yes}, {copy_code: \"{{ code }}\"}, {reply: no}]\n" +
		"  coupon:\n    category: utility\n    body: Hello you.\n    buttons: [{copy_code: '{{ \"A-1\" }}'}]\n"
	_, found := rules.LoadFiles(files)
	require.ErrorContains(t, found.Errors(), "together")
	require.ErrorContains(t, found.Errors(), "letters and digits")
	p, found := rules.LoadPublished(files)
	require.Empty(t, found.Errors())
	require.NotNil(t, p)
}
