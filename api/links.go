package api

import (
	"context"

	"punchcard"
	"punchcard/internal/dispatch"
)

type linkItem struct {
	Name   string   `json:"name"`
	URL    string   `json:"url" doc:"Opens WhatsApp with the text written already"`
	Text   string   `json:"text"`
	Topics []string `json:"topics" nullable:"false" doc:"What it asks for; empty: what opt_in says of keyword.join"`
	PNG    string   `json:"png" doc:"The QR code, below this server's address"`
	SVG    string   `json:"svg"`
}

type linksBody struct {
	Items []linkItem `json:"items" nullable:"false"`
}

func (s *server) links(ctx context.Context, _ *struct{}) (*output[linksBody], error) {
	links, err := s.Dispatch.Links(ctx)
	if err != nil {
		return nil, err
	}
	body := linksBody{Items: make([]linkItem, len(links))}
	for i, l := range links {
		body.Items[i] = linkItem{
			Name: l.Name, URL: l.URL, Text: l.Text, Topics: append([]string{}, l.Topics...),
			PNG: "/v1/links/" + l.Name + "/qr?format=png", SVG: "/v1/links/" + l.Name + "/qr?format=svg",
		}
	}
	return answer(body), nil
}

var aboutQR = options{media: []string{"image/png", "image/svg+xml"}, about: "To print: it holds the link's address."}

type qrInput struct {
	Link   string `path:"link" maxLength:"60" doc:"Its name in the program"`
	Format string `query:"format" enum:"png,svg" default:"png" doc:"As which picture"`
}

func (s *server) linkQR(ctx context.Context, in *qrInput) (*text, error) {
	links, err := s.Dispatch.Links(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		if l.Name != in.Link {
			continue
		}
		if in.Format == "svg" {
			image, err := dispatch.QRAsSVG(l.URL)
			return &text{ContentType: "image/svg+xml", Body: image}, err
		}
		image, err := dispatch.QRAsPNG(l.URL)
		return &text{ContentType: "image/png", Body: image}, err
	}
	return nil, punchcard.Errorf(punchcard.CodeNotFound, "the program has no such link").Because("unknown_link")
}
