package api

import (
	"context"
	"encoding/base64"
	"time"

	"punchcard"
)

const aboutHygiene = "Each day the list is looked through by the rules of the program's `hygiene`. A day on which consents expired or were asked for " +
	"anew raises the alert `hygiene` as well."

type hygieneItem struct {
	Day           string     `json:"day" doc:"In the program's zone"`
	StartedAt     time.Time  `json:"started_at"`
	EndedAt       *time.Time `json:"ended_at"`
	LookedAt      int64      `json:"looked_at" doc:"Customers whose consents are old enough to be looked at"`
	Undeliverable int64      `json:"undeliverable" doc:"To whom nothing is sent, because WhatsApp could not deliver the last messages"`
	Unresponsive  int64      `json:"unresponsive" doc:"Of whom there was no sign for unresponsive_after"`
	Asked         int64      `json:"asked" doc:"Of these, who were asked anew"`
	Expired       int64      `json:"expired" doc:"Whose consents expired for good"`
}

func hygieneOf(r punchcard.HygieneRound) hygieneItem {
	return hygieneItem{r.Day, r.StartedAt, r.EndedAt, r.LookedAt, r.Undeliverable, r.Unresponsive, r.Asked, r.Expired}
}

func (s *server) hygiene(ctx context.Context, in *struct{ Paging }) (*output[list[hygieneItem]], error) {
	before, err := base64.RawURLEncoding.DecodeString(in.After)
	if err != nil {
		return nil, errCursor
	}
	if _, err := time.Parse(time.DateOnly, string(before)); err != nil && in.After != "" {
		return nil, errCursor
	}
	rows, err := s.Store.View(ctx).HygieneRounds(string(before), in.Limit+1)
	if err != nil {
		return nil, err
	}
	return answer(paged(rows, in.Limit, func(r punchcard.HygieneRound) string { return r.Day }, hygieneOf)), nil
}
