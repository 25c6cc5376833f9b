package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"punchcard"
	"punchcard/api"
	"punchcard/internal/calls"
	"punchcard/internal/devserver"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/internal/whatsapp/simulator"
	"punchcard/programs"
	"punchcard/rules"
	"punchcard/workflows"
)

type devCmd struct {
	sendFlags
	watchFlags

	Port         int     `default:"8080" help:"Port of the API."`
	PhonePort    int     `default:"8090" help:"Port of the WhatsApp simulator and its phone page."`
	TemporalPort int     `default:"7233" help:"Port of the Temporal dev server."`
	UIPort       int     `name:"ui-port" default:"8233" help:"Port of the Temporal UI."`
	Data         string  `default:".punchcard" help:"Folder where everything is kept."`
	Speed        float64 `placeholder:"N" help:"Business seconds a real second, at least 1: with 600 an hour takes six seconds. Stays with the data."`
	Fresh        bool    `help:"Throw away what is kept and begin anew."`
	Program      string  `placeholder:"DIR" help:"Folder of the program; without it, the coffee shop's."`
	Bin          string  `default:"bin" help:"Folder for tools that this machine lacks."`
}

// What the development server is known by to its own simulator. They open nothing: all of it is bound to loopback.
const (
	devKey           = "dev"
	devPhoneNumberID = "1001"
	devAccountID     = "2001"
	devAppID         = "3001"
	devBusinessPhone = "+4570000000"
)

// The files in the data folder.
const (
	fileLock     = "lock"
	fileDatabase = "punchcard.db"
	fileTemporal = "temporal.db"
	fileLog      = "temporal.log"
	filePhone    = "phone.jsonl"
	fileCodeKey  = "code.key"
)

// Run runs everything in one process beside the Temporal dev server, until it is told to stop.
func (c devCmd) Run(ctx context.Context) error {
	return c.run(ctx, os.Stdout, newLog(slog.LevelWarn))
}

func (c devCmd) run(ctx context.Context, out io.Writer, log *slog.Logger) (err error) {
	if c.Speed != 0 && (c.Speed < 1 || c.Speed > maxSpeed) {
		return fmt.Errorf("--speed is from 1 to %d", maxSpeed)
	}
	program, err := c.program()
	if err != nil {
		return err
	}
	d := &dev{devCmd: c, out: out, log: log, program: program}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.open(ctx); err != nil {
		return err
	}
	return d.work(ctx)
}

// maxSpeed is the highest speed: above it a wait of a minute is too short for timers to mean anything.
const maxSpeed = 100_000

func (c devCmd) program() (*rules.Program, error) {
	if c.Program == "" {
		return loadProgram(programs.Coffee(), "programs/coffee")
	}
	return loadProgram(os.DirFS(c.Program), c.Program)
}

// dev is the development server while it runs.
type dev struct {
	devCmd
	out     io.Writer
	log     *slog.Logger
	program *rules.Program

	store    *store.Store
	fence    *fence.Fence
	temporal *devserver.Server
	sim      *simulator.Simulator
	client   *whatsapp.Client
	book     dispatch.Account
	api      net.Listener
	phone    net.Listener
	closers  []func() error // in the order of opening
}

func (d *dev) onClose(fn func() error) { d.closers = append(d.closers, fn) }

// close closes what was opened, the last first.
func (d *dev) close() error {
	var errs []error
	for _, fn := range slices.Backward(d.closers) {
		errs = append(errs, fn())
	}
	return errors.Join(errs...)
}

// open brings up all that the work needs: the ports, the data, Temporal, WhatsApp's stand-in.
func (d *dev) open(ctx context.Context) (err error) {
	if d.api, err = listen(ctx, loopback(d.Port), "--port (make run PORT=…)"); err != nil {
		return err
	}
	d.onClose(ignoreClosed(d.api))
	if d.phone, err = listen(ctx, loopback(d.PhonePort), "--phone-port (make run PHONE_PORT=…)"); err != nil {
		return err
	}
	d.onClose(ignoreClosed(d.phone))
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	unlock, err := lockFile(filepath.Join(d.Data, fileLock))
	if err != nil {
		return fmt.Errorf("another punchcard dev is at work in %s: stop it, or choose another folder with --data (make run DATA=…)", d.Data)
	}
	d.onClose(unlock)
	path, err := devserver.Find(ctx, d.Bin, func(line string) { fmt.Fprintln(d.out, line) })
	if err != nil {
		return err
	}
	if d.Fresh {
		if err := d.wipe(ctx, path); err != nil {
			return err
		}
	}
	if err := d.openStore(ctx); err != nil {
		return err
	}
	d.temporal, err = devserver.Start(ctx, d.temporalOptions(path))
	if err != nil {
		hints := strings.NewReplacer("--temporal-port", "--temporal-port (make run TEMPORAL_PORT=…)", "--ui-port", "--ui-port (make run UI_PORT=…)")
		return errors.New(hints.Replace(err.Error()))
	}
	d.onClose(d.temporal.Stop)
	return d.openPhone(ctx)
}

func (d *dev) temporalOptions(path string) devserver.Options {
	return devserver.Options{
		Path: path, Port: d.TemporalPort, UIPort: d.UIPort, DBFile: filepath.Join(d.Data, fileTemporal),
		LogFile: filepath.Join(d.Data, fileLog), SearchAttributes: map[string]string{
			workflows.AttributeCustomer.GetName(): "Keyword", workflows.AttributeJourney.GetName(): "Keyword",
			workflows.AttributeVersion.GetName(): "Int", workflows.AttributeOutcome.GetName(): "Keyword",
		},
	}
}

// ignoreClosed closes a listener that its server may have closed already.
func ignoreClosed(l net.Listener) func() error {
	return func() error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// wipe throws away what is kept in the data folder: the files that we know, and nothing else. A Temporal server that a killed
// run left behind is stopped first, since it would go on writing.
func (d *dev) wipe(ctx context.Context, path string) error {
	if _, err := os.Stat(filepath.Join(d.Data, fileTemporal)); err == nil {
		left, err := devserver.Start(ctx, d.temporalOptions(path))
		if err != nil {
			return err
		}
		if err := left.Stop(); err != nil {
			return err
		}
	}
	for _, name := range []string{fileDatabase, fileTemporal, filePhone, fileLog, fileCodeKey} {
		for _, suffix := range []string{"", "-wal", "-shm", "-journal", ".pid"} {
			err := os.Remove(filepath.Join(d.Data, name+suffix))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("begin anew: %w", err)
			}
		}
	}
	if err := os.RemoveAll(filepath.Join(d.Data, filePhone+simulator.MediaSuffix)); err != nil {
		return fmt.Errorf("begin anew: %w", err)
	}
	return nil
}

func (d *dev) openStore(ctx context.Context) error {
	s, err := store.Open(ctx, filepath.Join(d.Data, fileDatabase))
	if err != nil {
		return err
	}
	d.onClose(s.Close)
	s.LogAlerts(d.log)
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	key, err := d.codeKey()
	if err != nil {
		return err
	}
	if err := s.UseCodeKeys(ctx, []string{key}); err != nil {
		return fmt.Errorf("%s has the key to the codes in %s: put it back, or begin anew with --fresh: %w", fileCodeKey, d.Data, err)
	}
	clock, err := scaledClock(ctx, s, d.Speed, d.program.Zone)
	if err != nil {
		return err
	}
	s.UseClock(clock)
	d.Speed = clock.Speed
	d.store, d.fence = s, fence.New(s)
	here := customerFlags{PublicURL: "http://" + d.api.Addr().String(), WhatsappNumber: devBusinessPhone}
	if err := here.keep(ctx, s); err != nil {
		return err
	}
	if err := d.keepProgram(ctx); err != nil {
		return err
	}
	// The lock on the data folder says that nobody else is at work: a killed run's claims need not run out.
	return s.Update(ctx, func(tx *store.Tx) error { return tx.ReleaseClaims() })
}

// codeKey is the key to codes, made the first time and kept beside the data.
func (d *dev) codeKey() (string, error) {
	path := filepath.Join(d.Data, fileCodeKey)
	key, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(key)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the key to codes: %w", err)
	}
	fresh := store.NewCodeKey("dev")
	if err := os.WriteFile(path, []byte(fresh+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the key to codes: %w", err)
	}
	return fresh, nil
}

// keepProgram goes on with what was published last, when no folder was named: somebody may have applied their own since.
func (d *dev) keepProgram(ctx context.Context) error {
	version, err := d.store.View(ctx).LatestVersion()
	if err != nil || version == 0 || d.Program != "" {
		return err
	}
	program, err := d.fence.Catalog.Program(ctx, version)
	if err != nil {
		return fmt.Errorf("the program that was published last cannot be read; name its folder with --program, or begin anew with --fresh: %w", err)
	}
	d.program = program
	return nil
}

func (d *dev) openPhone(ctx context.Context) error {
	sim, err := simulator.New(simulator.Options{
		Clock: d.store.Clock(), WebhookURL: "http://" + d.api.Addr().String() + "/webhooks/whatsapp", AppSecret: devKey, VerifyToken: devKey,
		Token: devKey, PhoneNumberID: devPhoneNumberID, AccountID: devAccountID, AppID: devAppID, BusinessPhone: devBusinessPhone,
		Business: d.program.Business, Location: d.program.Zone, DataFile: filepath.Join(d.Data, filePhone), Logger: d.log,
	})
	if err != nil {
		return err
	}
	d.sim = sim
	d.onClose(sim.Close)
	d.book = devBook(d.phone.Addr().String())
	d.client = d.book.Client
	return ctx.Err()
}

// devBook is the account at the development server's simulator. A machine without a network has it all the same.
func devBook(host string) dispatch.Account {
	return dispatch.Account{Private: true, StandIn: true, Client: whatsapp.New(whatsapp.Config{
		BaseURL: "http://" + host, PhoneNumberID: devPhoneNumberID, AccountID: devAccountID, AppID: devAppID, Token: devKey,
	})}
}

// work runs the parts, says what to open once they are up, and ends when ctx does or a part fails.
func (d *dev) work(ctx context.Context) error {
	flags := temporalFlags{TemporalAddress: d.temporal.Address(), TemporalNamespace: "default"}
	tc, err := flags.dial(ctx, d.log)
	if err != nil {
		return err
	}
	defer tc.Close()
	engine := workflows.NewEngine(tc, d.Speed)
	dispatcher := dispatch.New(d.fence, engine, d.log)
	dispatcher.LetHooksBePrivate() // all that is on this machine is the developer's
	dispatcher.UnknownAfter = d.UnknownAfter
	fatal := make(chan error, 4)
	dispatcher.Caller = calls.Caller{Secret: []byte(devKey), Private: true}
	acts := newActivities(d.fence, d.client, dispatcher.Caller, engine, d.log)
	if err := d.pace(acts, d.client, devPhoneNumberID, devAccountID); err != nil {
		return err
	}
	if err := workflows.EnsureSchedules(ctx, tc, acts.Jobs(), d.store.Clock()); err != nil {
		return err
	}
	worker := workflows.NewWorker(tc, acts, workflows.Options{
		Effects: databaseEffects, Jobs: acts.Jobs(), Log: d.log, Fatal: func(err error) { fatal <- err },
	})
	if err := worker.Start(); err != nil {
		return err
	}
	defer worker.Stop()
	ready := readiness{"database": d.store.Ping, "temporal": pingTemporal(tc), "program": published(d.fence)}
	handler := api.New(api.Options{
		Store: d.store, Dispatch: dispatcher, Catalog: d.fence.Catalog, WhatsApp: d.book, Keys: api.FixedKey(devKey), AppSecrets: []string{devKey},
		VerifyToken: devKey, TemporalURL: temporalURL(d.temporal.UI(), "default"), WorkflowID: workflows.WorkflowID, Ready: ready.check,
		Log: d.log, Version: version(),
	})
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serveHTTP(ctx, d.phone, d.sim.Handler()) })
	// Before the API is open there is a program to answer with, whose templates WhatsApp knows.
	if err := d.publish(ctx); err != nil {
		return err
	}
	g.Go(func() error { return serveHTTP(ctx, d.api, handler) })
	g.Go(func() error { return d.sim.Run(ctx) })
	g.Go(func() error { return dispatcher.Run(ctx) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case err := <-fatal:
			return err
		case err := <-d.temporal.Done():
			if ctx.Err() == nil {
				return fmt.Errorf("the Temporal dev server is gone: %w", err)
			}
			return nil // it was told to end, as all were
		}
	})
	d.greet()
	return g.Wait()
}

// publish makes the program's folder the newest version, its templates known, and its empty pools usable.
func (d *dev) publish(ctx context.Context) error {
	if _, err := pushFor(ctx, d.fence, d.book, d.program); err != nil {
		return err
	}
	if _, _, err := d.fence.Catalog.Publish(ctx, d.program); err != nil {
		return err
	}
	for _, r := range d.program.Rewards {
		if r.Codes != "pool" {
			continue
		}
		if err := d.fillPool(ctx, r.Name); err != nil {
			return err
		}
	}
	return nil
}

// demoCodes is how many codes of our own making an empty pool is given here, since no shop has uploaded any.
const demoCodes = 1000

func (d *dev) fillPool(ctx context.Context, reward string) error {
	free, err := d.store.View(ctx).FreeCodes(reward)
	if err != nil || free > 0 {
		return err
	}
	codes := make([]string, demoCodes)
	for i := range codes {
		if codes[i], err = punchcard.NewCode(""); err != nil {
			return err
		}
	}
	fmt.Fprintf(d.out, "The pool of %s was empty: it has %d codes to try with now.\n", reward, demoCodes)
	return d.store.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.PoolCodes(reward, codes)
		return err
	})
}

// greet says where to look and what to try.
func (d *dev) greet() {
	now := d.store.Clock().Now().In(d.program.Zone)
	fmt.Fprintf(d.out, `
%s is open. It is %s there%s.

  Phone page    http://%s   be a customer
  API           http://%s/docs
  Temporal UI   %s

Paste these one by one, and watch the phone page:

%s

Press Ctrl-C to stop; everything is kept in %s, and goes on from there.
`, d.program.Name, now.Format("Monday 15:04"), pace(d.Speed), d.phone.Addr(), d.api.Addr(), d.temporal.UI(), d.toPaste(), d.Data)
}

func pace(speed float64) string {
	if speed == 1 {
		return ""
	}
	return fmt.Sprintf(", and an hour takes %s", time.Duration(float64(time.Hour)/speed).Round(time.Millisecond))
}

// toPaste is the way to the first reward.
func (d *dev) toPaste() string {
	if d.Program != "" {
		return "  curl -s http://" + d.api.Addr().String() + "/v1/program -H 'Authorization: Bearer dev'"
	}
	const event = `  curl -s http://API/v1/events -H 'Authorization: Bearer dev' -d '{"id":"ID","name":"NAME","customer":{"phone":"+4520123456"WHO},"properties":PROPS}'`
	line := func(id, name, who, props string) string {
		return strings.NewReplacer("API", d.api.Addr().String(), "ID", id, "NAME", name, "WHO", who, "PROPS", props).Replace(event)
	}
	return strings.Join([]string{
		line("r1", "registration.received", `,"name":"Anna Lund","language":"en","attributes":{"first_name":"Anna"}`, `{"source":"web"}`),
		`  curl -s http://` + d.phone.Addr().String() + `/people/+4520123456/messages -d '{"text":"yes"}'`,
		line("c1", "cart.updated", "", `{"cart_id":"c1","total":120,"items":[{"name":"Ethiopia Yirgacheffe","price":12.5}]}`),
	}, "\n\n")
}
