package rules_test

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"punchcard/programs"
	"punchcard/rules"
)

// schemas compiles the JSON Schemas with a validator that is not ours.
func schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	compiled := map[string]*jsonschema.Schema{}
	for name, text := range rules.JSONSchemas() {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		require.NoError(t, err)
		c := jsonschema.NewCompiler()
		require.NoError(t, c.AddResource(name+".json", document))
		compiled[name], err = c.Compile(name + ".json")
		require.NoError(t, err, name)
	}
	require.Equal(t, []string{"journey", "program", "rewards", "segments", "templates"}, slices.Sorted(maps.Keys(compiled)))
	return compiled
}

// validate is what an editor finds wrong with a file.
func validate(t *testing.T, schemas map[string]*jsonschema.Schema, file, text string) error {
	t.Helper()
	json, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err, file)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(json))
	require.NoError(t, err, file)
	name := strings.TrimSuffix(path.Base(file), ".yaml")
	if path.Dir(file) == "journeys" {
		name = "journey"
	}
	require.Contains(t, schemas, name)
	return schemas[name].Validate(document)
}

func TestJSONSchemas_programs(t *testing.T) {
	t.Parallel()
	compiled := schemas(t)
	for name, files := range allPrograms(t) {
		if strings.HasPrefix(name, "mistakes") {
			continue
		}
		if _, found := rules.LoadFiles(files); len(found.Errors()) > 0 {
			continue
		}
		for file, text := range files {
			if strings.HasPrefix(file, "tests/") {
				continue
			}
			require.NoError(t, validate(t, compiled, file, text), "%s/%s", name, file)
		}
	}
}

// TestJSONSchemas_mistakes plants mistakes that an editor can see by itself.
func TestJSONSchemas_mistakes(t *testing.T) {
	t.Parallel()
	compiled := schemas(t)
	coffee := folder(t, programs.Coffee())
	for _, test := range []struct{ file, from, to string }{
		{"program.yaml", "business:", "buziness:"},
		{"program.yaml", "marketing, at_most: 2", "advert, at_most: 2"},
		{"program.yaml", "at_most: 2", "at_most: 0"},
		{"program.yaml", "ask_again_after: 90d", "ask_again_after: 90 days"},
		{"program.yaml", `"21:00"`, `"9 pm"`},
		{"program.yaml", "vip: bool", "vip: boolean"},
		{"program.yaml", "language: en ", "tongue: en "},
		{"rewards.yaml", "kind: gift_card", "kind: gift"},
		{"rewards.yaml", "cost: 250", "cost: free"},
		{"rewards.yaml", "codes: pool", "codes: many"},
		{"rewards.yaml", "codes: pool", "codes: {cal: cinema.code}"},
		{"rewards.yaml", "codes: pool", "codes: {call: cinema.code, with: {x: 1}}"},
		{"templates.yaml", "category: utility", "category: useful"},
		{"templates.yaml", "    body:", "    text:"},
		{"templates.yaml", "      da: >-", "      danish: >-"},
		{"journeys/abandoned-cart.yaml", "- wait: 1h", "- wiat: 1h"},
		{"journeys/abandoned-cart.yaml", "- wait: 1h", "- wait: an hour"},
		{"journeys/abandoned-cart.yaml", "restart_on:", "restart_at:"},
		{"journeys/abandoned-cart.yaml", "        do:", "        then:"},
		{"journeys/opt-in.yaml", "purpose: consent", "purpose: marketing"},
		{"journeys/opt-in.yaml", "consent: grant ", "consent: give "},
		{"journeys/opt-in.yaml", "    timeout: 2d\n", ""},
		{"journeys/birthday.yaml", "every: day", "every: hour"},
		{"journeys/birthday.yaml", `at: "10:00"`, `at: "25:00"`},
	} {
		require.Contains(t, coffee[test.file], test.from)
		require.Error(t, validate(t, compiled, test.file, strings.Replace(coffee[test.file], test.from, test.to, 1)), "%s: %s", test.file, test.to)
	}
}
