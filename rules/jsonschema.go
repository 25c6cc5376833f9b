package rules

import (
	"encoding/json"
	"fmt"
)

// JSONSchemas are JSON Schemas (2020-12) of a program's files, for editors: program, rewards, templates, segments and journey.
// They are written from the grammar that the loader reads by, and say all of it that a schema can; names, types of
// expressions and whatever else depends on other files is for Load.
func JSONSchemas() map[string][]byte {
	out := make(map[string][]byte, len(fileGrammars))
	for name, o := range fileGrammars {
		schema := objectSchema(o)
		schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
		schema["title"] = "Punchcard " + name
		schema["$defs"] = map[string]any{"type": typeSchema(), "text": textSchema(), "step": stepSchema()}
		text, err := json.MarshalIndent(schema, "", "  ")
		if err != nil {
			panic(fmt.Sprintf("rules: a schema of strings and numbers cannot be JSON: %v", err)) // a test builds it
		}
		out[name] = append(text, '\n')
	}
	return out
}

// scalarTypes are what YAML may take a plain text for: 10, true and x are all texts to the language.
var scalarTypes = []string{"string", "number", "boolean"}

func objectSchema(o *object) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, k := range o.keys {
		property := formSchema(k.form)
		property["description"] = k.doc
		properties[k.name] = property
		if k.need {
			required = append(required, k.name)
		}
	}
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

// formSchema is the schema of what may stand somewhere. The caller may add to it.
func formSchema(f form) map[string]any {
	switch f.kind {
	case formText:
		return map[string]any{"$ref": "#/$defs/text"}
	case formName:
		return map[string]any{"type": []string{"string", "number"}, "pattern": plainName.String()}
	case formEnum:
		return map[string]any{"enum": f.words}
	case formInteger:
		return map[string]any{"type": "integer", "minimum": f.low}
	case formNumber:
		return map[string]any{"type": "number", "minimum": 0}
	case formBool:
		return map[string]any{"type": "boolean"}
	case formDuration:
		return map[string]any{"type": "string", "pattern": durationRE.String()}
	case formClock:
		return map[string]any{"type": "string", "pattern": timeOfDayRE.String()}
	case formType:
		return map[string]any{"$ref": "#/$defs/type"}
	case formValue:
		return map[string]any{"type": append([]string{"array", "object"}, scalarTypes...)}
	case formList:
		schema := map[string]any{"type": "array", "items": formSchema(*f.of)}
		if f.most > 0 {
			schema["maxItems"] = f.most
		}
		return schema
	case formMap:
		return map[string]any{"type": "object", "additionalProperties": formSchema(*f.of)}
	case formObject:
		return objectSchema(f.object)
	case formSteps:
		return map[string]any{"type": "array", "minItems": 1, "items": map[string]any{"$ref": "#/$defs/step"}}
	case formEither:
		schemas := make([]any, len(f.either))
		for i, e := range f.either {
			schemas[i] = formSchema(e)
		}
		return schemaOf("anyOf", schemas)
	default:
		return map[string]any{"type": scalarTypes}
	}
}

func schemaOf(key string, of []any) map[string]any { return map[string]any{key: of} }

// textSchema is a text, or a map of languages.
func textSchema() map[string]any {
	scalar := map[string]any{"type": scalarTypes}
	return schemaOf("anyOf", []any{scalar, map[string]any{
		"type": "object", "minProperties": 1, "additionalProperties": scalar,
		"propertyNames": map[string]any{"pattern": languageRE.String()},
	}})
}

// typeSchema is the type of a field: a word, a list of one type, or a map.
func typeSchema() map[string]any {
	self := map[string]any{"$ref": "#/$defs/type"}
	return schemaOf("anyOf", []any{
		map[string]any{"type": "string", "pattern": `^(list of )*(string|number|integer|bool|date|time|money|code)\??$`},
		map[string]any{"type": "array", "items": self, "minItems": 1, "maxItems": 1},
		map[string]any{"type": "object", "additionalProperties": self, "propertyNames": map[string]any{"pattern": fieldName.String()}},
	})
}

// stepSchema is a step: exactly one of the kinds.
func stepSchema() map[string]any {
	kinds := make([]any, len(stepForms))
	for i, f := range stepForms {
		kind := objectSchema(f.object())
		kind["title"] = string(f.kind)
		kinds[i] = kind
	}
	return map[string]any{"type": "object", "oneOf": kinds}
}
