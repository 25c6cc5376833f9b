package api

import (
	"bytes"
	"context"
	"html/template"

	"punchcard/internal/dispatch"
)

var aboutUnsubscribe = options{
	media: []string{htmlType},
	about: "The page behind `unsubscribe_url`. To look at it changes nothing: programs follow links too.",
}

var aboutUnsubscribed = options{
	media: []string{htmlType},
	about: "Stops everything for the customer whom the signed token names. One POST is enough, as RFC 8058 has it.",
}

type unsubscribePath struct {
	Token string `path:"token" maxLength:"200" doc:"From unsubscribe_url"`
}

// page is an answer that people read.
type page struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	Policy      string `header:"Content-Security-Policy" hidden:"true"`
	Body        []byte
}

func (s *server) unsubscribe(ctx context.Context, in *unsubscribePath) (*page, error) {
	p, err := s.Dispatch.UnsubscribePage(ctx, in.Token)
	if err != nil {
		return nil, err
	}
	return unsubscribeAnswer(p, false)
}

func (s *server) unsubscribed(ctx context.Context, in *unsubscribePath) (*page, error) {
	p, err := s.Dispatch.Unsubscribe(ctx, in.Token)
	if err != nil {
		return nil, err
	}
	return unsubscribeAnswer(p, true)
}

func unsubscribeAnswer(p *dispatch.Unsubscribing, done bool) (*page, error) {
	var b bytes.Buffer
	err := unsubscribeTemplate.Execute(&b, struct {
		*dispatch.Unsubscribing
		Over bool
	}{p, done})
	return &page{ContentType: htmlType + "; charset=utf-8", Policy: stylePolicy, Body: b.Bytes()}, err
}

var unsubscribeTemplate = template.Must(template.New("unsubscribe").Parse(`<!doctype html>
<html lang="{{.Language}}"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>{{.Business}}</title>
<style>body{font:18px/1.5 system-ui,sans-serif;max-width:28rem;margin:15vh auto;padding:0 1rem;text-align:center}
button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.4rem;background:#b3261e;color:#fff;cursor:pointer}</style>
<h1>{{.Business}}</h1>
{{if .Over}}<p>{{.Done}}</p>{{else}}<p>{{.Question}}</p><form method="post"><button>{{.Button}}</button></form>{{end}}
</html>
`))
