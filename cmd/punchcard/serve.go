package main

import (
	"context"
	"errors"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"punchcard/api"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/workflows"
)

type serveCmd struct {
	databaseFlags
	codeFlags
	temporalFlags
	webhookFlags
	accountFlags
	watchFlags
	customerFlags
	callFlags

	TemporalUI string `name:"temporal-ui" default:"http://localhost:8233" help:"Address of the Temporal UI, for links."`
	Listen     string `default:":8080" help:"Address of the API and the webhook."`

	HookPrivateHosts bool `name:"hook-private-hosts" help:"Let hooks be at addresses of this machine and of private networks, by http as well."`
}

// Run serves the API and dispatches, until it is told to stop.
func (c serveCmd) Run(ctx context.Context) (err error) {
	log := newLog(slog.LevelInfo)
	caller, err := c.caller()
	if err != nil {
		return err
	}
	s, err := c.openStore(ctx, c.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	s.LogAlerts(log)
	if err := c.keep(ctx, s); err != nil {
		return err
	}
	tc, err := c.dial(ctx, log)
	if err != nil {
		return err
	}
	defer tc.Close()
	if err := workflows.EnsureSearchAttributes(ctx, tc, c.TemporalNamespace); err != nil {
		return err
	}
	l, err := listen(ctx, c.Listen, "--listen")
	if err != nil {
		return err
	}
	f := fence.New(s)
	d := dispatch.New(f, workflows.NewEngine(tc, s.Clock().Business(1e9).Seconds()), log)
	if c.HookPrivateHosts {
		d.LetHooksBePrivate()
	}
	d.UnknownAfter, d.Caller = c.UnknownAfter, caller
	handler := api.New(api.Options{
		Store: s, Dispatch: d, Catalog: f.Catalog, WhatsApp: c.book(), Keys: &api.StoreKeys{Store: s}, AppSecrets: c.WhatsappAppSecret,
		VerifyToken: c.WhatsappVerifyToken, TemporalURL: temporalURL(c.TemporalUI, c.TemporalNamespace), WorkflowID: workflows.WorkflowID,
		Ready: readiness{"database": s.Ping, "temporal": pingTemporal(tc), "program": published(f)}.check,
		Log:   log, Version: version(),
	})
	log.InfoContext(ctx, "punchcard serves", "address", l.Addr().String())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.Run(ctx) })
	g.Go(func() error { return serveHTTP(ctx, l, handler) })
	return g.Wait()
}

type workerCmd struct {
	databaseFlags
	codeFlags
	temporalFlags
	whatsappFlags
	sendFlags
	callFlags
}

// Run runs the workers, until it is told to stop.
func (c workerCmd) Run(ctx context.Context) (err error) {
	log := newLog(slog.LevelInfo)
	caller, err := c.caller()
	if err != nil {
		return err
	}
	s, err := c.openStore(ctx, c.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	s.LogAlerts(log)
	tc, err := c.dial(ctx, log)
	if err != nil {
		return err
	}
	defer tc.Close()
	if err := workflows.EnsureSearchAttributes(ctx, tc, c.TemporalNamespace); err != nil {
		return err
	}
	engine := workflows.NewEngine(tc, s.Clock().Business(1e9).Seconds())
	sender := c.client()
	acts := newActivities(fence.New(s), sender, caller, engine, log)
	if err := c.pace(acts, sender, c.WhatsappPhoneNumberID, c.WhatsappAccountID); err != nil {
		return err
	}
	if err := workflows.EnsureSchedules(ctx, tc, acts.Jobs(), s.Clock()); err != nil {
		return err
	}
	fatal := make(chan error, 4)
	w := workflows.NewWorker(tc, acts, workflows.Options{
		Effects: databaseEffects, Jobs: acts.Jobs(), Log: log, Fatal: func(err error) { fatal <- err },
	})
	if err := w.Start(); err != nil {
		return err
	}
	defer w.Stop()
	log.InfoContext(ctx, "punchcard works", "temporal", c.TemporalAddress)
	select {
	case <-ctx.Done():
		return nil
	case err := <-fatal:
		return err
	}
}

// databaseEffects is how many effects on the database a worker does at a time: a few times the connections that it has, so
// that these are never idle.
const databaseEffects = 64
