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
	Dev         devCmd         `cmd:"" help:"Run everything on this machine: to try, to develop, to show. Loopback only."`
	Serve       serveCmd       `cmd:"" help:"Run the API and dispatch, against PostgreSQL and Temporal."`
	Worker      workerCmd      `cmd:"" help:"Run the workers that journeys' runs live on, against PostgreSQL and Temporal."`
	Migrate     migrateCmd     `cmd:"" help:"Bring the database's schema up to this program's."`
	Program     programCmd     `cmd:"" help:"Check, format, compare and publish a program's folder."`
	Templates   templatesCmd   `cmd:"" help:"Show, submit and compare what WhatsApp has of the program's templates."`
	Pause       pauseCmd       `cmd:"" help:"Hold a journey's runs before their next effect."`
	Resume      resumeCmd      `cmd:"" help:"Let a paused journey's runs go on."`
	Stop        stopCmd        `cmd:"" help:"Stop a template, a reward or a journey at once, for runs of every version."`
	Allow       allowCmd       `cmd:"" help:"Take a stop back."`
	Circuit     circuitCmd     `cmd:"" help:"Look at what WhatsApp says of the account, and let held sends go on."`
	EndRuns     endRunsCmd     `cmd:"" name:"end-runs" help:"End the live runs of old versions of the program."`
	Explain     explainCmd     `cmd:"" help:"Say why a customer's messages went, waited or were not sent."`
	Points      pointsCmd      `cmd:"" help:"Adjust a customer's points, and show what happened to them."`
	Consents    consentsCmd    `cmd:"" help:"Import, export and revoke consents."`
	Links       linksCmd       `cmd:"" help:"List the program's links, and make their QR codes."`
	Hooks       hooksCmd       `cmd:"" help:"Tell other systems of what happens, by signed webhooks."`
	Rewards     rewardsCmd     `cmd:"" help:"Look at the catalog, give rewards by hand, fill pools of codes."`
	Grants      grantsCmd      `cmd:"" help:"List a customer's rewards, look at one, read its code."`
	Capture     captureCmd     `cmd:"" help:"Use a customer's code, as a till does."`
	Redemptions redemptionsCmd `cmd:"" help:"Look up codes, ask for rewards with points, list redemptions, give one up, take a use back."`
	Refusals    refusalsCmd    `cmd:"" help:"List what rules have refused, newest first."`
	Referrals   referralsCmd   `cmd:"" help:"Look at who brought whom."`
	Keys        keysCmd        `cmd:"" help:"Make, list and revoke keys to the API."`
	Phone       phoneCmd       `cmd:"" help:"Run the WhatsApp simulator with its phone page alone."`
	Version     versionCmd     `cmd:"" help:"Say which version this is."`
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
		kong.UsageOnError(),
	)
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
