package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

const htmlType = "text/html"

//go:embed docs.html
var docsHTML string

//go:embed docs.css
var docsCSS string

// contentPolicy lets a page of ours have its one style and nothing else: no script, no image, nothing from elsewhere.
var contentPolicy = func() string {
	sum := sha256.Sum256([]byte(docsCSS))
	return "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-" +
		base64.StdEncoding.EncodeToString(sum[:]) + "'"
}()

var docsTemplate = template.Must(template.New("docs").Parse(docsHTML))

// pages are made once, of the routes: nothing of a request stands in them.
type pages struct{ openAPI, docs, start []byte }

type chapter struct {
	Name       string
	Operations []operationDoc
}

type operationDoc struct {
	ID, Method, Path, Summary, About, Curl, Body string
	Public                                       bool
	Params                                       []paramDoc
	Answers                                      []string
}

type paramDoc struct {
	Name, In, Type, About string
	Required              bool
}

func renderPages(doc *huma.OpenAPI) pages {
	document, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic(err) // it is made of the handlers' types: a test renders it
	}
	data := struct {
		Title, Version, About string
		Style                 template.CSS
		Chapters              []chapter
	}{
		doc.Info.Title, doc.Info.Version, doc.Info.Description, template.CSS(docsCSS), chapters(doc), //nolint:gosec // a file of ours
	}
	render := func(name string) []byte {
		var b bytes.Buffer
		if err := docsTemplate.ExecuteTemplate(&b, name, data); err != nil {
			panic(err) // the same for every process: a test renders it
		}
		return b.Bytes()
	}
	return pages{openAPI: append(document, '\n'), docs: render("reference"), start: render("start")}
}

func chapters(doc *huma.OpenAPI) []chapter {
	var cs []chapter
	for _, tag := range doc.Tags {
		c := chapter{Name: tag.Name}
		for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
			for _, op := range []*huma.Operation{doc.Paths[path].Get, doc.Paths[path].Post, doc.Paths[path].Delete} {
				if op != nil && slices.Contains(op.Tags, tag.Name) {
					c.Operations = append(c.Operations, operationDocOf(doc, op))
				}
			}
		}
		cs = append(cs, c)
	}
	return cs
}

func operationDocOf(doc *huma.OpenAPI, op *huma.Operation) operationDoc {
	d := operationDoc{
		ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, About: op.Description, Public: len(op.Security) == 0,
	}
	for _, p := range op.Parameters {
		d.Params = append(d.Params, paramDoc{Name: p.Name, In: p.In, Type: typeName(p.Schema), About: p.Description, Required: p.Required})
	}
	curl := []string{"curl"}
	if !d.Public {
		curl = append(curl, `-H "Authorization: Bearer $PUNCHCARD_KEY"`)
	}
	if op.RequestBody != nil {
		if media := op.RequestBody.Content["application/json"]; media != nil {
			d.Body = fields(doc, media.Schema)
			if example, ok := media.Example.(json.RawMessage); ok {
				curl = append(curl, "-d '"+string(example)+"'")
			}
		}
	}
	if op.RequestBody != nil && op.RequestBody.Content["application/json"] == nil {
		for _, media := range slices.Sorted(maps.Keys(op.RequestBody.Content))[:1] {
			curl = append(curl, "-H 'Content-Type: "+media+"' --data-binary @FILE")
		}
	}
	if op.Method != get && op.RequestBody == nil {
		curl = append(curl, "-X "+op.Method)
	}
	d.Curl = strings.Join(append(curl, `"$PUNCHCARD_URL`+exampleOf(op.Path)+`"`), " \\\n  ")
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		if status == "default" {
			continue
		}
		for _, media := range op.Responses[status].Content {
			d.Answers = append(d.Answers, fmt.Sprintf("%s: %s", status, fields(doc, media.Schema)))
		}
	}
	return d
}

// exampleOf is a path with something in its parameters.
func exampleOf(path string) string {
	return strings.NewReplacer("{ref}", "external:c-17", "{journey}", "abandoned-cart", "{reward}", "free-coffee", "{id}", "ID", "{upload}", "march", "{link}", "counter", "{token}", "TOKEN").Replace(path)
}

// fields says what is in an object, in a line.
func fields(doc *huma.OpenAPI, schema *huma.Schema) string {
	if schema == nil {
		return ""
	}
	if schema.Ref != "" {
		schema = doc.Components.Schemas.SchemaFromRef(schema.Ref)
	}
	if len(schema.OneOf) > 0 {
		var forms []string
		for _, s := range schema.OneOf {
			forms = append(forms, fields(doc, s))
		}
		return strings.Join(forms, " or ")
	}
	if schema.Type != huma.TypeObject || len(schema.Properties) == 0 {
		return typeName(schema)
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		p := schema.Properties[name]
		if !slices.Contains(schema.Required, name) {
			name += "?"
		}
		switch {
		case p.Type == huma.TypeArray && p.Items.Ref != "":
			name += ": [" + fields(doc, p.Items) + "]"
		case p.Ref != "":
			name += ": " + fields(doc, p)
		}
		names = append(names, name)
	}
	return "{" + strings.Join(names, ", ") + "}"
}

func typeName(s *huma.Schema) string {
	switch {
	case s == nil:
		return ""
	case len(s.Enum) > 0:
		var words []string
		for _, e := range s.Enum {
			words = append(words, fmt.Sprint(e))
		}
		return strings.Join(words, " | ")
	default:
		return s.Type
	}
}

func (s *server) openAPI(context.Context, *struct{}) (*text, error) {
	return &text{ContentType: "application/json", Body: s.pages.openAPI}, nil
}

func (s *server) docs(context.Context, *struct{}) (*text, error) {
	return &text{ContentType: htmlType + "; charset=utf-8", Body: s.pages.docs}, nil
}

func (s *server) start(context.Context, *struct{}) (*text, error) {
	return &text{ContentType: htmlType + "; charset=utf-8", Body: s.pages.start}, nil
}
