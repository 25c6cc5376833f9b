package api

import (
	"context"
	"time"

	"punchcard"
	"punchcard/internal/dispatch"
)

const (
	aboutTemplates = "What is known here: WhatsApp tells of each change, and `punchcard templates pull` asks anew. A message whose template " +
		"may not be sent is held until it may."
	aboutPush = "Asks WhatsApp for what it does not have yet of the program that runs now, and takes over how all of it stands."
)

type templateItem struct {
	Template    string                   `json:"template" doc:"The program's name for it"`
	Language    string                   `json:"language"`
	Name        string                   `json:"name" doc:"WhatsApp's name for this wording"`
	Status      punchcard.TemplateStatus `json:"status" enum:"missing,pending,approved,rejected,paused,disabled"`
	Declared    string                   `json:"declared" doc:"The category that the program says"`
	Category    string                   `json:"category" doc:"The one that WhatsApp counts it as; empty while it has not said"`
	Quality     string                   `json:"quality" doc:"green, yellow or red; empty while it is unknown"`
	Reason      string                   `json:"reason" doc:"WhatsApp's word for why it has its status"`
	Since       *time.Time               `json:"since" doc:"When it came to its status"`
	PausedUntil *time.Time               `json:"paused_until" doc:"When a pause ends by itself"`
}

type templatesView struct {
	Items     []templateItem `json:"items" nullable:"false"`
	Submitted int            `json:"submitted" doc:"How many wordings were new to WhatsApp"`
	Refused   []string       `json:"refused" nullable:"false" doc:"What WhatsApp does not take, and why"`
	Unsent    int            `json:"unsent" doc:"How many wait for the next hour: WhatsApp takes 100 an hour"`
	Notes     []string       `json:"notes" nullable:"false"`
}

func templatesOf(r *dispatch.TemplateReport) templatesView {
	v := templatesView{
		Items: []templateItem{}, Submitted: r.Submitted, Refused: append([]string{}, r.Refused...), Unsent: r.Unsent,
		Notes: append([]string{}, r.Notes...),
	}
	for _, s := range r.Templates {
		item := templateItem{
			Template: s.Template, Language: s.Language, Name: s.Name, Status: s.Status, Declared: s.Declared, Category: s.Category,
			Quality: s.Quality, Reason: s.Reason, PausedUntil: s.PausedUntil,
		}
		if !s.Since.IsZero() {
			item.Since = &s.Since
		}
		v.Items = append(v.Items, item)
	}
	return v
}

func (s *server) templates(ctx context.Context, _ *struct{}) (*output[templatesView], error) {
	report, err := s.Dispatch.Templates(ctx)
	if err != nil {
		return nil, err
	}
	return answer(templatesOf(report)), nil
}

func (s *server) pushTemplates(ctx context.Context, _ *struct{}) (*output[templatesView], error) {
	if s.WhatsApp == nil {
		return nil, punchcard.Errorf(punchcard.CodeUnavailable,
			"this server was not told how to reach WhatsApp: set its --whatsapp-… flags, or run punchcard templates push").Because("no_whatsapp")
	}
	policy, err := s.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	report, err := s.Dispatch.PushTemplates(ctx, s.WhatsApp, policy.Program)
	if err != nil {
		return nil, err
	}
	return answer(templatesOf(report)), nil
}
