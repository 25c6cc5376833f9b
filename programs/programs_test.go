package programs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/programs"
	"punchcard/rules"
)

// TestCoffee checks what the law and WhatsApp ask of the coffee shop's templates: each is worded for both of its languages, and
// only what advertises is marketing.
func TestCoffee(t *testing.T) {
	t.Parallel()
	p, found := rules.Load(programs.Coffee())
	require.Empty(t, found.Errors(), "%v", found)
	marketing := map[string]bool{"cart_reminder": true, "cart_offer": true, "milestone_gift": true, "birthday_treat": true}
	asks := map[string]bool{"opt_in_request": true, "opt_in_reminder": true}
	require.Len(t, p.Templates, 14)
	for name, template := range p.Templates {
		require.Equal(t, []string{"da", "en"}, template.Languages(), name)
		require.Equal(t, marketing[name], template.Category == "marketing", name)
		require.Equal(t, asks[name], template.AsksConsent, name)
		with := map[string]any{}
		for _, param := range template.Params() {
			with[param] = "value"
		}
		for _, lang := range template.Languages() {
			got, err := template.Render(lang, &rules.Env{Program: p, With: with})
			require.NoError(t, err, name)
			require.Len(t, got.Params, len(template.Wire(lang).Examples), name)
			require.NotContains(t, got.Wording, "{{", name)
		}
	}
	for name, reward := range p.Rewards {
		require.Equal(t, []string{"da", "en"}, reward.Title.Languages(), name)
	}
}
