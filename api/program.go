package api

import (
	"context"
	"maps"
	"slices"

	"punchcard/internal/store"
	"punchcard/rules"
)

type programView struct {
	Name     string        `json:"name"`
	Version  int           `json:"version"`
	Hash     string        `json:"hash" doc:"Of the files' content"`
	Journeys []journeyBody `json:"journeys" nullable:"false"`
	Rewards  []rewardBody  `json:"rewards" nullable:"false"`
	Topics   []topicBody   `json:"topics" nullable:"false"`
	Events   []string      `json:"events" nullable:"false" doc:"What a backend may send"`
}

type journeyBody struct {
	Name   string   `json:"name"`
	Title  string   `json:"title"`
	Enters []string `json:"enters" nullable:"false" doc:"The events that start it"`
	Paused bool     `json:"paused"`
}

type rewardBody struct {
	Name       string           `json:"name"`
	Kind       rules.RewardKind `json:"kind"`
	Title      string           `json:"title"`
	Cost       int64            `json:"cost" doc:"In points; 0: it cannot be asked for with points"`
	Value      float64          `json:"value" doc:"In the program's currency"`
	Codes      string           `json:"codes" doc:"generated, pool, call, or empty for none"`
	CapturedBy string           `json:"captured_by"`
}

type topicBody struct {
	Name  string `json:"name"`
	Title string `json:"title"`
}

func (s *server) program(ctx context.Context, _ *struct{}) (*output[programView], error) {
	policy, err := s.Catalog.Current(ctx)
	if err != nil {
		return nil, err
	}
	p := policy.Program
	title := func(t rules.Text, name string) string {
		// One that needs a customer to be filled in is shown by its name.
		if text, err := t.Render(p.Language, &rules.Env{Program: p}); err == nil && text != "" {
			return text
		}
		return name
	}
	v := programView{
		Name: p.Name, Version: policy.Version, Hash: p.Hash, Journeys: []journeyBody{}, Rewards: []rewardBody{}, Topics: []topicBody{},
		Events: slices.AppendSeq([]string{}, maps.Keys(p.Events)),
	}
	slices.Sort(v.Events)
	view := s.Store.View(ctx)
	for _, name := range slices.Sorted(maps.Keys(p.Journeys)) {
		j := p.Journeys[name]
		body := journeyBody{Name: name, Title: title(j.Title, name), Enters: []string{}}
		for _, e := range j.Enter {
			if !slices.Contains(body.Enters, e.On) {
				body.Enters = append(body.Enters, e.On)
			}
		}
		if body.Paused, err = view.Off(store.SwitchJourney, name); err != nil {
			return nil, err
		}
		v.Journeys = append(v.Journeys, body)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Rewards)) {
		r := p.Rewards[name]
		v.Rewards = append(v.Rewards, rewardBody{name, r.Kind, title(r.Title, name), r.Cost, r.Value, string(r.Codes), r.CapturedBy})
	}
	for _, t := range p.Topics {
		v.Topics = append(v.Topics, topicBody{t.Name, title(t.Title, t.Name)})
	}
	return answer(v), nil
}
