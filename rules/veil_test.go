package rules_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/programs"
	"punchcard/rules"
)

// A template with a button that copies a code can be shown to others, with what stands for the code.
func TestShownHidesTheCode(t *testing.T) {
	t.Parallel()
	p, problems := rules.Load(programs.Coffee())
	require.Empty(t, problems.Errors())
	welcome := p.Templates["opt_in_welcome"]
	env := &rules.Env{
		Program: p, With: map[string]any{"code": "BB-7K2M-9Q4T", "until": "tomorrow"},
		Bound:   map[string]map[string]any{"welcome": {"code": "BB-7K2M-9Q4T", "title": "10 %"}},
		Secrets: map[string]string{"BB-7K2M-9Q4T": "••••••••9Q4T"},
	}
	sent, err := welcome.Render("en", env)
	require.NoError(t, err)
	require.Contains(t, sent.Wording, "BB-7K2M-9Q4T")
	require.Equal(t, "BB7K2M9Q4T", sent.CopyCode, "WhatsApp copies letters and digits only")
	shown := env.Shown(func(env *rules.Env) (string, error) {
		filled := *env
		filled.With = map[string]any{"code": env.Bound["welcome"]["code"], "until": "tomorrow"}
		r, err := welcome.Render("en", &filled)
		return r.Wording, err
	})
	require.Contains(t, shown, "••••••••9Q4T")
	require.NotContains(t, shown, "7K2M")
	require.Greater(t, len(shown), 40, shown)
}
