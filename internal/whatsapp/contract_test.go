package whatsapp

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

var openapi = flag.String("openapi", "", "extract testdata/openapi/schemas.json again from this copy of Meta's OpenAPI document")

// operations are those of the document that this package calls with a body.
var operations = map[string][2]string{
	"send":            {"/{Version}/{Phone-Number-ID}/messages", "post"},
	"send marketing":  {"/{Version}/{Phone-Number-ID}/marketing_messages", "post"},
	"block":           {"/{Version}/{Phone-Number-ID}/block_users", "post"},
	"unblock":         {"/{Version}/{Phone-Number-ID}/block_users", "delete"},
	"update profile":  {"/{Version}/{Phone-Number-ID}/whatsapp_business_profile", "post"},
	"create template": {"/{Version}/{WABA-ID}/message_templates", "post"},
	"edit template":   {"/{Version}/{TEMPLATE_ID}", "post"},
}

const schemaPrefix = "#/components/schemas/"

func TestExtractSchemas(t *testing.T) { //nolint:paralleltest // it writes what the others read
	if *openapi == "" {
		t.Skip("-openapi names no document")
	}
	raw, err := os.ReadFile(*openapi)
	require.NoError(t, err)
	var document object
	require.NoError(t, yaml.Unmarshal(raw, &document))
	at := func(path ...string) any {
		var v any = document
		for _, key := range path {
			v = v.(object)[key]
			require.NotNil(t, v, "%v", path)
		}
		return v
	}
	bodies, schemas := object{}, object{}
	var take func(v any, names bool) any
	take = func(v any, names bool) any {
		switch v := v.(type) {
		case object:
			out := object{}
			for key, value := range v {
				if !names && (key == "description" || key == "example" || key == "examples") {
					continue
				}
				if name, ok := strings.CutPrefix(asText(value), schemaPrefix); ok && key == "$ref" && schemas[name] == nil {
					schemas[name] = object{} // it may refer to itself
					schemas[name] = take(at("components", "schemas", name), false)
				}
				out[key] = take(value, key == "properties")
			}
			return out
		case []any:
			out := make([]any, len(v))
			for i := range v {
				out[i] = take(v[i], false)
			}
			return out
		}
		return v
	}
	for name, o := range operations {
		bodies[name] = take(at("paths", o[0], o[1], "requestBody", "content", "application/json", "schema"), false)
	}
	out, err := json.MarshalIndent(object{"operations": bodies, "components": object{"schemas": schemas}}, "", " ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join("testdata", "openapi", "schemas.json"), append(out, '\n'), 0o600))
}

func asText(v any) string { s, _ := v.(string); return s }

// contract is what Meta's document says of an operation's body.
func contract(t *testing.T, operation string) *jsonschema.Schema {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "openapi", "schemas.json"))
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	correct(document)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("schemas.json", document))
	schema, err := compiler.Compile("schemas.json#/operations/" + strings.ReplaceAll(operation, " ", "%20"))
	require.NoError(t, err)
	return schema
}

// correct mends the document where no body at all could fit it, and where the API has gone on since.
func correct(document any) {
	schemas := document.(object)["components"].(object)["schemas"].(object)
	properties := func(name string) object { return schemas[name].(object)["properties"].(object) }

	// Each message is "allOf" the common members and its own, and the own allow no others: nothing fits both. What is meant is
	// that the two together allow no others.
	for _, s := range schemas {
		parts, _ := s.(object)["allOf"].([]any)
		for _, part := range parts {
			delete(part.(object), "additionalProperties")
		}
		if len(parts) > 0 {
			s.(object)["unevaluatedProperties"] = false
		}
	}
	// Newer than the document: user ids beside phone numbers, and an id of our own.
	for _, name := range []string{"BaseMessageProperties", "MarketingMessageRequestPayload"} {
		properties(name)["recipient"] = object{"type": "string", "pattern": `^[A-Z]{2}\.`}
		properties(name)["biz_opaque_callback_data"] = object{"type": "string", "maxLength": 512}
		properties(name)["to"] = object{"type": "string", "pattern": `^\+`}
		s := schemas[name].(object)
		var required []any
		for _, member := range s["required"].([]any) {
			if member != "to" {
				required = append(required, member)
			}
		}
		s["required"] = required
		s["anyOf"] = []any{object{"required": []any{"to"}}, object{"required": []any{"recipient"}}}
	}
	// A policy of "deterministic" was the On-Premises API's; the document's own examples have none.
	schemas["LanguageObject"].(object)["required"] = []any{"code"}
	// The components and buttons of newer templates; and an index is counted from 0, as in Meta's guides.
	component := properties("TemplateComponent")
	component["type"] = object{"enum": []any{"header", "body", "button", "limited_time_offer", "carousel"}}
	component["sub_type"] = object{"enum": []any{"quick_reply", "url", "copy_code", "flow", "catalog"}}
	component["index"] = object{"type": "string", "pattern": `^[0-9]$`}
	// Degrees are text in the document and numbers in Meta's guides; both are taken.
	location := schemas["LocationMessage"].(object)["allOf"].([]any)[1].(object)["properties"].(object)["location"].(object)["properties"].(object)
	for _, name := range []string{"latitude", "longitude"} {
		location[name] = object{"type": []any{"string", "number"}}
	}
}

// fits checks a body against the contract of an operation.
func fits(t *testing.T, operation string, body []byte) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	require.NoError(t, err)
	require.NoError(t, contract(t, operation).Validate(value), "%s", body)
}

// The contract must refuse something, or it proves nothing.
func TestContractRefuses(t *testing.T) {
	t.Parallel()
	const head = `{"messaging_product":"whatsapp","recipient_type":"individual","to":"+4520123456",`
	for _, body := range []string{
		`{}`,
		head + `"type":"text","text":{"body":"x"},"novelty":1}`,
		head + `"type":"text","text":{"body":"x","colour":"red"}}`,
		head + `"type":"image","image":{}}`,
		head + `"type":"interactive","interactive":{"type":"button","action":{"buttons":[]}}}`,
		`{"messaging_product":"whatsapp","recipient_type":"individual","type":"text","text":{"body":"x"}}`,
		`{"messaging_product":"whatsapp","recipient_type":"individual","to":"4520123456","type":"text","text":{"body":"x"}}`,
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		require.NoError(t, err)
		require.Error(t, contract(t, "send").Validate(value), "%s", body)
	}
}
