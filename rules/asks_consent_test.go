package rules_test

import (
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"punchcard/programs"
	"punchcard/rules"
)

// A request for consent without the business, the topics, the privacy page or the way out cannot be published, in any language.
func TestConsentRequestsAreWhole(t *testing.T) {
	t.Parallel()
	coffee := fstest.MapFS{}
	require.NoError(t, fs.WalkDir(programs.Coffee(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(programs.Coffee(), path)
		coffee[path] = &fstest.MapFile{Data: data}
		return err
	}))
	for old, c := range map[string]struct{ now, want string }{
		"{{ program.business }} would like to send you offers":   {"we would like to send you offers", "names the business"},
		"{{ program.business }} vil gerne sende dig tilbud":      {"vi vil gerne sende dig tilbud", "names the business"},
		"send you offers, cart reminders":                        {"send you cart reminders", "is about the topic offers"},
		"sende dig tilbud, påmindelser":                          {"sende dig påmindelser", "is about the topic offers"},
		"din kurv og fordele på WhatsApp":                        {"din kurv på WhatsApp", "is about the topic rewards"},
		"NO to decline. STOP ends it any time.":                  {"NO to decline. Nonstop fun.", "says how to end it"},
		"NEJ for at sige nej. STOP afslutter det når som helst.": {"NEJ for at sige nej.", "says how to end it"},
		"ends it any time. {{ program.privacy_url }}\n      da: >-\n        Hej {{ customer.first_name | default(\"med dig\") }}, {{ program.business }} vil": {
			"ends it any time.\n      da: >-\n        Hej {{ customer.first_name | default(\"med dig\") }}, {{ program.business }} vil", "links to the privacy policy",
		},
	} {
		t.Run(c.now, func(t *testing.T) {
			t.Parallel()
			program := fstest.MapFS{}
			maps.Copy(program, coffee)
			text := string(coffee["templates.yaml"].Data)
			require.Contains(t, text, old)
			program["templates.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(text, old, c.now, 1))}
			_, found := rules.Load(program)
			require.ErrorContains(t, found.Errors(), c.want)
		})
	}
}
