package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"

	"golang.org/x/sync/errgroup"

	"punchcard"
	"punchcard/internal/whatsapp/simulator"
)

type phoneCmd struct {
	Port          int    `env:"PUNCHCARD_PHONE_PORT" default:"8090" help:"Port of the simulator and its phone page, on loopback."`
	WebhookURL    string `env:"PUNCHCARD_PHONE_WEBHOOK_URL" default:"http://127.0.0.1:8080/webhooks/whatsapp" help:"Where webhooks go."`
	AppSecret     string `env:"PUNCHCARD_PHONE_APP_SECRET" default:"dev" help:"Signs webhooks."`
	VerifyToken   string `env:"PUNCHCARD_PHONE_VERIFY_TOKEN" default:"dev" help:"Token of the webhook's handshake."`
	Token         string `env:"PUNCHCARD_PHONE_TOKEN" default:"dev" help:"Token that the Graph side asks for."`
	PhoneNumberID string `env:"PUNCHCARD_PHONE_NUMBER_ID" default:"1001" help:"Id of the business's number."`
	AccountID     string `env:"PUNCHCARD_PHONE_ACCOUNT_ID" default:"2001" help:"Id of the WhatsApp business account."`
	AppID         string `env:"PUNCHCARD_PHONE_APP_ID" default:"3001" help:"Id of the Meta app."`
	BusinessPhone string `env:"PUNCHCARD_PHONE_BUSINESS_PHONE" default:"+4570000000" help:"The business's number."`
	Business      string `env:"PUNCHCARD_PHONE_BUSINESS" default:"Punchcard" help:"The business's name, as customers see it."`
	Limits        string `env:"PUNCHCARD_PHONE_LIMITS" placeholder:"FILE" help:"Meta's rules as numbers, in JSON, as POST /limits takes them."`
	Data          string `env:"PUNCHCARD_PHONE_DATA" placeholder:"FILE" help:"Journal; without it everything is in memory."`
}

// Run runs the simulator alone, until it is told to stop.
func (c phoneCmd) Run(ctx context.Context) (err error) {
	log := newLog(slog.LevelInfo)
	limits, err := c.limits()
	if err != nil {
		return err
	}
	l, err := listen(ctx, loopback(c.Port), "--port")
	if err != nil {
		return err
	}
	sim, err := simulator.New(simulator.Options{
		Clock: punchcard.SystemClock{}, WebhookURL: c.WebhookURL, AppSecret: c.AppSecret, VerifyToken: c.VerifyToken, Token: c.Token,
		PhoneNumberID: c.PhoneNumberID, AccountID: c.AccountID, AppID: c.AppID, BusinessPhone: c.BusinessPhone, Business: c.Business,
		DataFile: c.Data, Limits: limits, Logger: log,
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, sim.Close()) }()
	fmt.Printf("The phone page is at http://%s\n", l.Addr())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return sim.Run(ctx) })
	g.Go(func() error { return serveHTTP(ctx, l, sim.Handler()) })
	return g.Wait()
}

// limits are those of the file, or the simulator's own.
func (c phoneCmd) limits() (*simulator.Limits, error) {
	if c.Limits == "" {
		own := simulator.DefaultLimits()
		return &own, nil
	}
	raw, err := os.ReadFile(c.Limits)
	if err != nil {
		return nil, fmt.Errorf("--limits: %w", err)
	}
	limits, err := simulator.ParseLimits(raw)
	if err != nil {
		return nil, fmt.Errorf("--limits %s: %w", c.Limits, err)
	}
	return limits, nil
}

// loopback is a port on this machine's own address.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
