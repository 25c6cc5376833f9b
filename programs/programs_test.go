package programs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/programs"
	"punchcard/rules"
)

// TestAll checks what every shipped program promises: no mistake and no warning, and each of its templates and rewards worded in
// English and one other language.
func TestAll(t *testing.T) {
	t.Parallel()
	second := map[string]string{"coffee": "da", "employee-recognition": "de", "e-learning": "es", "membership": "fr", "shop": "nl"}
	require.Len(t, programs.All(), len(second))
	for name, fsys := range programs.All() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, found := rules.Load(fsys)
			require.Empty(t, found, "%v", found)
			require.GreaterOrEqual(t, len(p.Journeys), 4)
			for _, template := range p.Templates {
				require.ElementsMatch(t, []string{"en", second[name]}, template.Languages(), template.Name)
				with := map[string]any{}
				for _, param := range template.Params() {
					with[param] = "value"
				}
				for _, lang := range template.Languages() {
					got, err := template.Render(lang, &rules.Env{Program: p, With: with, Customer: rules.CustomerFacts{Tier: "a"}})
					require.NoError(t, err, template.Name)
					require.Len(t, got.Params, len(template.Wire(lang).Examples), template.Name)
					require.NotContains(t, got.Wording, "{{", template.Name)
				}
			}
			for _, reward := range p.Rewards {
				require.ElementsMatch(t, []string{"en", second[name]}, reward.Title.Languages(), reward.Name)
			}
			for _, topic := range p.Topics {
				require.ElementsMatch(t, []string{"en", second[name]}, topic.Title.Languages(), topic.Name)
			}
		})
	}
}

// TestCoffee checks what the law and WhatsApp ask of the coffee shop's templates: only what advertises is marketing.
func TestCoffee(t *testing.T) {
	t.Parallel()
	p, found := rules.Load(programs.Coffee())
	require.Empty(t, found, "%v", found)
	marketing := map[string]bool{"cart_reminder": true, "cart_offer": true, "milestone_gift": true, "birthday_treat": true}
	asks := map[string]bool{"opt_in_request": true, "opt_in_reminder": true}
	require.Len(t, p.Templates, 15)
	for name, template := range p.Templates {
		require.Equal(t, marketing[name], template.Category == "marketing", name)
		require.Equal(t, asks[name], template.AsksConsent, name)
	}
}
