package devserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// install is the version of the CLI that is built where there is none. Newer tags cannot be installed this way: their go.mod
// has replace directives.
const install = "github.com/temporalio/cli/cmd/temporal@v1.5.1"

// progressEvery is how often a build that is under way says so.
const progressEvery = 5 * time.Second

// Find finds the temporal CLI: on PATH, else in binDir, else it builds it into binDir, which takes about three minutes the
// first time and tells log so every few seconds. The error says in a sentence what to do.
func Find(ctx context.Context, binDir string, log func(string)) (string, error) {
	if path, err := exec.LookPath("temporal"); err == nil {
		return filepath.Abs(path)
	}
	name := "temporal"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	binDir, err := filepath.Abs(binDir)
	if err != nil {
		return "", err
	}
	path := filepath.Join(binDir, name)
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		return path, nil
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", errors.New("Temporal's command line is missing and there is no Go to build it with: install either, " + //nolint:staticcheck // a name, and shown as a sentence
			"see https://docs.temporal.io/cli, and run this again")
	}
	if err := build(ctx, goTool, binDir, log); err != nil {
		return "", err
	}
	return path, nil
}

func build(ctx context.Context, goTool, binDir string, log func(string)) error {
	log("building Temporal's command line into " + binDir + ": about three minutes, this once")
	cmd := exec.CommandContext(ctx, goTool, "install", install)
	// Another module's or workspace's settings must not bear on this build.
	cmd.Env = append(os.Environ(), "GOBIN="+binDir, "GOFLAGS=", "GOWORK=off")
	cmd.Dir = os.TempDir()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build Temporal's command line: %w", err)
	}
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				return fmt.Errorf("build Temporal's command line: %w: %s", err, lastLines(output.String(), 3))
			}
			log(fmt.Sprintf("built Temporal's command line in %s", time.Since(began).Round(time.Second)))
			return nil
		case <-tick.C:
			log(fmt.Sprintf("still building, %s so far", time.Since(began).Round(time.Second)))
		}
	}
}

// lastLines are the last n lines of a text that are not empty, as one line.
func lastLines(text string, n int) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(len(lines)-n, 0):], " | ")
}
