package api

import (
	"context"
	"time"

	"punchcard"
)

const (
	aboutAlerts     = "One is open for each kind and subject; raised again, it counts. What to do about each stands in the operations manual."
	aboutCloseAlert = "It is opened again when what it is about goes on. Closing it mends nothing: an open circuit stays open."
)

type alertItem struct {
	ID       string              `json:"id"`
	Kind     punchcard.AlertKind `json:"kind"`
	Subject  string              `json:"subject" doc:"What it is about, where the kind alone does not say it"`
	Severity punchcard.Severity  `json:"severity" enum:"warning,critical"`
	Detail   string              `json:"detail" doc:"The latest code"`
	Count    int64               `json:"count" doc:"How often it was raised while open"`
	OpenedAt time.Time           `json:"opened_at"`
	RaisedAt time.Time           `json:"raised_at" doc:"The latest time"`
	ClosedAt *time.Time          `json:"closed_at"`
	ClosedBy string              `json:"closed_by"`
}

func alertOf(a punchcard.Alert) alertItem {
	return alertItem{a.ID, a.Kind, a.Subject, a.Severity, a.Detail, a.Count, a.OpenedAt, a.RaisedAt, a.ClosedAt, a.ClosedBy}
}

type alertsInput struct {
	Paging

	All bool `query:"all" doc:"Those that are closed as well"`
}

func (s *server) alerts(ctx context.Context, in *alertsInput) (*output[list[alertItem]], error) {
	before, err := in.afterID(punchcard.PrefixAlert)
	if err != nil {
		return nil, err
	}
	rows, err := s.Store.View(ctx).Alerts(in.All, before, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return answer(paged(rows, in.Limit, func(a punchcard.Alert) string { return a.ID }, alertOf)), nil
}

type closeAlertInput struct {
	ID   string `path:"id" maxLength:"100" doc:"Ours: alr_…"`
	Body struct {
		By string `json:"by" minLength:"1" maxLength:"200" doc:"Who has seen to it"`
	}
}

func (s *server) closeAlert(ctx context.Context, in *closeAlertInput) (*output[alertItem], error) {
	a, err := s.Dispatch.CloseAlert(ctx, in.ID, in.Body.By)
	if err != nil {
		return nil, err
	}
	return answer(alertOf(*a)), nil
}
