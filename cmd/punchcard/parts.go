package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	temporallog "go.temporal.io/sdk/log"

	"punchcard/activities"
	"punchcard/internal/calls"
	"punchcard/internal/fence"
	"punchcard/internal/signed"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/workflows"
)

// databaseFlags say where the facts are kept.
type databaseFlags struct {
	Database string `required:"" placeholder:"URL" help:"postgres://user:password@host/database, or the path of an SQLite file."`
}

// temporalFlags say where runs live.
type temporalFlags struct {
	TemporalAddress   string `default:"localhost:7233" help:"Address of the Temporal frontend."`
	TemporalNamespace string `default:"default" help:"Temporal namespace; one for each deployment."`
	TemporalTLS       bool   `name:"temporal-tls" help:"Connect to Temporal by TLS."`
	TemporalAPIKey    string `name:"temporal-api-key" help:"API key of Temporal Cloud; implies TLS."`
}

// whatsappFlags say which number sends.
type whatsappFlags struct {
	WhatsappURL           string `name:"whatsapp-url" default:"https://graph.facebook.com" help:"Base URL of the Cloud API."`
	WhatsappVersion       string `name:"whatsapp-version" default:"v26.0" help:"Version of the Graph API."`
	WhatsappPhoneNumberID string `name:"whatsapp-phone-number-id" required:"" help:"Id of the business's number."`
	WhatsappAccountID     string `name:"whatsapp-account-id" required:"" help:"Id of the WhatsApp business account."`
	WhatsappToken         string `name:"whatsapp-token" required:"" help:"Token of the Cloud API."`
}

// sendFlags say how fast messages go out, and what else WhatsApp limits. They are the same for all workers of a deployment.
type sendFlags struct {
	SendRate       int   `name:"send-rate" default:"80" help:"Messages a second that the number may send, from 1 to 1,000: WhatsApp's own limit of the number."`
	MarketingShare int   `name:"marketing-share" default:"75" help:"The part of them that marketing may be, in percent; the rest is kept for what customers wait for."`
	DailyLimit     int64 `name:"daily-limit" default:"0" help:"Customers a day who may be written to outside of their service window (250, 2000, 10000, 100000), until WhatsApp itself says; 0: any number."`
	MarketingAPI   bool  `name:"marketing-api" help:"Send marketing templates by WhatsApp's Marketing Messages API, and by the other where that refuses."`
}

// watchFlags say what is reported.
type watchFlags struct {
	UnknownAfter time.Duration `name:"unknown-after" default:"24h" help:"How long after its call a message whose fate nothing has settled is reported."`
}

// pace has messages keep to the number's rate and to WhatsApp's other limits.
func (f sendFlags) pace(a *activities.Activities, c *whatsapp.Client, number, account string) error {
	pacer, err := activities.NewRates(a.Fence.Store, activities.Rate{
		PerSecond: f.SendRate, Marketing: f.MarketingShare, Number: number, Account: account,
	})
	if err != nil {
		return fmt.Errorf("--send-rate and --marketing-share: %w", err)
	}
	if f.DailyLimit < 0 {
		return fmt.Errorf("--daily-limit is 0 or more")
	}
	a.Pacer, a.Limits = pacer, activities.Limits{Pair: true, Daily: f.DailyLimit}
	if f.MarketingAPI {
		a.Marketing = whatsapp.MarketingSender{Client: c}
	}
	return nil
}

// webhookFlags say how WhatsApp's webhooks are known.
type webhookFlags struct {
	WhatsappAppSecret   []string `name:"whatsapp-app-secret" required:"" help:"App secret that signs webhooks; two while it is changed."`
	WhatsappVerifyToken string   `name:"whatsapp-verify-token" required:"" help:"Token of the webhook's handshake."`
}

func (f whatsappFlags) client() *whatsapp.Client {
	return whatsapp.New(whatsapp.Config{
		BaseURL: f.WhatsappURL, Version: f.WhatsappVersion, PhoneNumberID: f.WhatsappPhoneNumberID,
		AccountID: f.WhatsappAccountID, Token: f.WhatsappToken,
	})
}

// newLog writes to standard error, for people.
func newLog(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// codeFlags are the keys to codes.
type codeFlags struct {
	CodeKeys []string `name:"code-keys" required:"" placeholder:"ID:BASE64" help:"Keys that seal codes and hooks' secrets, the newest first; punchcard keys new-code-key makes one."`
}

// openStore opens a database with the keys to codes. What is kept in the clear is sealed on the way.
func (f codeFlags) openStore(ctx context.Context, dsn string) (*store.Store, error) {
	s, err := openStore(ctx, dsn)
	if err != nil {
		return nil, err
	}
	if err := s.UseCodeKeys(ctx, f.CodeKeys); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// withStore opens a database with the keys to codes for one command.
func (f codeFlags) withStore(ctx context.Context, dsn string, fn func(*store.Store) error) (err error) {
	s, err := f.openStore(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return fn(s)
}

// openStore opens a database whose schema is this program's.
func openStore(ctx context.Context, dsn string) (*store.Store, error) {
	s, err := store.Open(ctx, dsn)
	if err != nil {
		return nil, err
	}
	if err := s.CheckSchema(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	clock, err := storedClock(ctx, s)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.UseClock(clock)
	return s, nil
}

// dial connects to Temporal. It waits for the server for as long as ctx lets it.
func (f temporalFlags) dial(ctx context.Context, log *slog.Logger) (client.Client, error) {
	options := client.Options{
		HostPort: f.TemporalAddress, Namespace: f.TemporalNamespace,
		Logger: temporallog.NewStructuredLogger(slog.New(atLeast{log.Handler(), slog.LevelWarn})),
	}
	if f.TemporalTLS || f.TemporalAPIKey != "" {
		options.ConnectionOptions.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if f.TemporalAPIKey != "" {
		options.Credentials = client.NewAPIKeyStaticCredentials(f.TemporalAPIKey)
	}
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("reach Temporal at %s: %w", f.TemporalAddress, err)
	}
	return c, nil
}

// atLeast drops what is logged below a level.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}

// callFlags say how other systems are asked.
type callFlags struct {
	CallSecret       string `name:"call-secret" help:"Signs what other systems are asked, for an answer or a code, by the Standard Webhooks scheme. Without it nobody is asked."`
	CallPrivateHosts bool   `name:"call-private-hosts" help:"Let calls reach addresses of this machine and of private networks."`
}

func (f callFlags) caller() (calls.Caller, error) {
	key, err := signed.Key(f.CallSecret)
	if err != nil {
		return calls.Caller{}, fmt.Errorf("--call-secret: %w", err)
	}
	return calls.Caller{Secret: key, Private: f.CallPrivateHosts}, nil
}

// newActivities are the effects of runs on this store and that number.
func newActivities(f *fence.Fence, sender activities.Sender, caller calls.Caller, engine *workflows.Engine, log *slog.Logger) *activities.Activities {
	return &activities.Activities{Fence: f, Sender: sender, Caller: caller, Log: log, Workflows: engine}
}

// listen opens a port. The error names the flag that chooses another.
func listen(ctx context.Context, address, flag string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		if strings.Contains(err.Error(), "address already in use") {
			_, port, _ := net.SplitHostPort(address)
			return nil, fmt.Errorf("port %s is in use by another program: stop that one, or choose another port with %s", port, flag)
		}
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// shutdownGrace is how long requests that are under way may take when the process stops.
const shutdownGrace = 10 * time.Second

// serveHTTP serves until ctx ends, then lets requests that are under way finish.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	//nolint:contextcheck // ctx is over; what is under way has its own time
	grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	return nil
}

// temporalURL is the address of a workflow's page.
func temporalURL(ui, namespace string) func(workflowID string) string {
	return func(workflowID string) string {
		return strings.TrimSuffix(ui, "/") + workflows.UIPath(namespace, workflowID)
	}
}
