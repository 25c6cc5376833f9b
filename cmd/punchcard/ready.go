package main

import (
	"context"
	"time"

	"go.temporal.io/sdk/client"

	"punchcard/internal/fence"
)

// readiness asks each part by name whether it is up.
type readiness map[string]func(context.Context) error

// readyWithin bounds, in real time, how long a part may take to answer.
const readyWithin = 3 * time.Second

// check asks all parts at once. A part that is up has a nil error.
func (r readiness) check(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	type answer struct {
		name string
		err  error
	}
	answers := make(chan answer, len(r))
	for name, ask := range r {
		go func() { answers <- answer{name, ask(ctx)} }()
	}
	all := make(map[string]error, len(r))
	for range r {
		a := <-answers
		all[a.name] = a.err
	}
	return all
}

func pingTemporal(c client.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := c.CheckHealth(ctx, &client.CheckHealthRequest{})
		return err
	}
}

// published tells whether there is a program to run.
func published(f *fence.Fence) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := f.Catalog.Current(ctx)
		return err
	}
}
