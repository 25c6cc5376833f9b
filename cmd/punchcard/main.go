// Command punchcard runs WhatsApp rewards programs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the command line: every flag can also be set by its environment variable, and every secret by a file that a variable
// of the same name with _FILE at its end names.
type cli struct {
	Dev     devCmd     `cmd:"" group:"run" help:"Run everything on this machine: to try, to develop, to show. Loopback only."`
	Serve   serveCmd   `cmd:"" group:"run" help:"Run the API and dispatch, against PostgreSQL and Temporal."`
	Worker  workerCmd  `cmd:"" group:"run" help:"Run the workers that journeys' runs live on, against PostgreSQL and Temporal."`
	Migrate migrateCmd `cmd:"" group:"run" help:"Bring the database's schema up to this program's."`
	Phone   phoneCmd   `cmd:"" group:"run" help:"Run the WhatsApp simulator with its phone page alone."`
	Version versionCmd `cmd:"" group:"run" help:"Say which version this is."`

	Program   programCmd   `cmd:"" group:"program" help:"Check, format, compare and publish a program's folder."`
	Templates templatesCmd `cmd:"" group:"program" help:"Show, submit and compare what WhatsApp has of the program's templates."`

	Explain  explainCmd  `cmd:"" group:"customers" help:"Say why a customer's messages went, waited or were not sent."`
	Points   pointsCmd   `cmd:"" group:"customers" help:"Adjust a customer's points, and show what happened to them."`
	Consents consentsCmd `cmd:"" group:"customers" help:"Import, export and revoke consents."`
	Links    linksCmd    `cmd:"" group:"customers" help:"List the program's links, and make their QR codes."`

	Rewards     rewardsCmd     `cmd:"" group:"rewards" help:"Look at the catalog, give rewards by hand, fill pools of codes."`
	Grants      grantsCmd      `cmd:"" group:"rewards" help:"List a customer's rewards, look at one, read its code."`
	Capture     captureCmd     `cmd:"" group:"rewards" help:"Use a customer's code, as a till does."`
	Redemptions redemptionsCmd `cmd:"" group:"rewards" help:"Look up codes, ask for rewards with points, list redemptions, give one up, take a use back."`
	Refusals    refusalsCmd    `cmd:"" group:"rewards" help:"List what rules have refused, newest first."`
	Referrals   referralsCmd   `cmd:"" group:"rewards" help:"Look at who brought whom."`

	Pause   pauseCmd   `cmd:"" group:"stop" help:"Hold a journey's runs before their next effect."`
	Resume  resumeCmd  `cmd:"" group:"stop" help:"Let a paused journey's runs go on."`
	Stop    stopCmd    `cmd:"" group:"stop" help:"Stop a template, a reward or a journey at once, for runs of every version."`
	Allow   allowCmd   `cmd:"" group:"stop" help:"Take a stop back."`
	EndRuns endRunsCmd `cmd:"" group:"stop" name:"end-runs" help:"End the live runs of old versions of the program."`
	Circuit circuitCmd `cmd:"" group:"stop" help:"Look at what WhatsApp says of the account, and let held sends go on."`

	Keys  keysCmd  `cmd:"" group:"access" help:"Make, list and revoke keys to the API."`
	Hooks hooksCmd `cmd:"" group:"access" help:"Tell other systems of what happens, by signed webhooks."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends a process that does not hear the first.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run parses and runs one command, and answers the process's exit code.
func run(ctx context.Context, args []string) int {
	loadSecretFiles()
	parser, err := newParser()
	if err != nil {
		fmt.Fprintln(os.Stderr, "punchcard:", err)
		return 1
	}
	k, err := parser.Parse(args)
	if err != nil {
		parser.FatalIfErrorf(err)
		return 2
	}
	k.BindTo(ctx, (*context.Context)(nil))
	if err := k.Run(); err != nil {
		if code, ok := errors.AsType[exitCode](err); ok {
			return int(code)
		}
		if !errors.Is(err, errSaid) {
			fmt.Fprintln(os.Stderr, "punchcard:", err)
		}
		return 1
	}
	return 0
}

func newParser() (*kong.Kong, error) {
	return kong.New(&cli{},
		kong.Name("punchcard"),
		kong.Description("WhatsApp rewards programs: journeys as text, runs as Temporal workflows."),
		kong.DefaultEnvars("PUNCHCARD"),
		kong.Vars{"customer": "The customer: cus_…, a phone number with its plus, or external:ID."},
		kong.ExplicitGroups(commandGroups()),
		kong.UsageOnError(),
	)
}

// commandGroups are the chapters of the commands.
func commandGroups() []kong.Group {
	return []kong.Group{
		{Key: "run", Title: "Run it"},
		{Key: "program", Title: "The program"},
		{Key: "customers", Title: "Customers"},
		{Key: "rewards", Title: "Rewards"},
		{Key: "stop", Title: "Stop, and go on"},
		{Key: "access", Title: "Keys, and other systems"},
	}
}

// errSaid is the error of a command that has already said what is wrong.
var errSaid = errors.New("")

// loadSecretFiles sets each PUNCHCARD_… variable whose PUNCHCARD_…_FILE names a file to that file's content. A variable that
// is set already stays. A file that cannot be read is left to the flag that misses its value.
func loadSecretFiles() {
	for _, kv := range os.Environ() {
		name, path, _ := strings.Cut(kv, "=")
		target, ok := strings.CutSuffix(name, "_FILE")
		if !ok || !strings.HasPrefix(name, "PUNCHCARD_") || os.Getenv(target) != "" {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintf(os.Stderr, "punchcard: %s: %v\n", name, err)
			continue
		}
		_ = os.Setenv(target, strings.TrimSpace(string(content))) // fails only for an impossible name
	}
}

type versionCmd struct{}

// Run says the version that the binary was built from.
func (versionCmd) Run() error {
	_, err := fmt.Println("punchcard", version())
	return err
}

// version is the module's version, or the commit for a build from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return "devel"
}
