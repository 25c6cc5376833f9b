package api

import (
	"context"
	"net/http"
	"time"
)

type healthBody struct {
	Status  string `json:"status" enum:"ok"`
	Version string `json:"version"`
}

func (s *server) health(context.Context, *struct{}) (*output[healthBody], error) {
	return answer(healthBody{Status: "ok", Version: s.Version}), nil
}

// readyTimeout bounds how long the parts may take to say that they are up.
const readyTimeout = 5 * time.Second

type readyBody struct {
	Status string            `json:"status" enum:"ready,not ready"`
	Parts  map[string]string `json:"parts" doc:"Each part that is needed: ok, or down"`
}

type readyOutput struct {
	Status int
	Body   readyBody
}

func (s *server) ready(ctx context.Context, _ *struct{}) (*readyOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	out := &readyOutput{Status: http.StatusOK, Body: readyBody{Status: "ready", Parts: map[string]string{}}}
	for part, err := range s.Ready(ctx) {
		out.Body.Parts[part] = "ok"
		if err != nil {
			// What is wrong with it is for the log: the page is open, and errors name addresses.
			s.Log.WarnContext(ctx, "a part is not up", "part", part, "error", err, "request_id", requestID(ctx))
			out.Status, out.Body.Status, out.Body.Parts[part] = http.StatusServiceUnavailable, "not ready", "down"
		}
	}
	return out, nil
}
