package workflows

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
)

// house is the Temporal server that the tests of this package share, with one worker that runs fake activities.
var house *server

func TestMain(m *testing.M) {
	var err error
	if house, err = startServer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// These tests wait for the server more than they work: more of them at a time than there are processors.
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	code := m.Run()
	house.stop()
	os.Exit(code)
}

// speed makes an hour 36 ms.
const speed = 100_000

// server is a Temporal development server, a worker on it, and the scripts of its runs.
type server struct {
	dev    *testsuite.DevServer
	client client.Client
	engine *Engine
	worker *Worker
	fakes  *fakes
}

// startServer starts a server of its own, with the CLI's extra arguments.
func startServer(extra ...string) (*server, error) {
	path, err := temporalPath()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	quiet := log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	dev, err := testsuite.StartDevServer(ctx, testsuite.DevServerOptions{
		ExistingPath: path,
		// The identity stands in recorded histories: the SDK's own would name the machine.
		ClientOptions: &client.Options{Namespace: "default", Identity: "punchcard-test", Logger: quiet},
		LogLevel:      "error",
		ExtraArgs:     extra,
		Stdout:        io.Discard,
		Stderr:        io.Discard,
	})
	if err != nil {
		return nil, err
	}
	s := &server{dev: dev, client: dev.Client(), engine: NewEngine(dev.Client(), speed), fakes: &fakes{}}
	if err := EnsureSearchAttributes(ctx, s.client, "default"); err != nil {
		return nil, errors.Join(err, dev.Stop())
	}
	s.worker = NewWorker(s.client, s.fakes, Options{})
	if err := s.worker.Start(); err != nil {
		return nil, errors.Join(err, dev.Stop())
	}
	return s, nil
}

func (s *server) stop() {
	s.worker.Stop()
	s.client.Close()
	_ = s.dev.Stop() // it says that the process was killed, which is what was asked
}

// temporalPath finds the temporal CLI.
func temporalPath() (string, error) {
	if path := os.Getenv("PUNCHCARD_TEMPORAL"); path != "" {
		return path, nil
	}
	if path, err := exec.LookPath("temporal"); err == nil {
		return path, nil
	}
	path, err := filepath.Abs("../bin/temporal")
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", errors.New("the temporal CLI is neither in PUNCHCARD_TEMPORAL, nor on PATH, nor in bin: run `make tools`")
	}
	return path, nil
}
