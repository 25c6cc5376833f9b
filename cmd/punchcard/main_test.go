package main

import (
	"flag"
	"io"
	"os"
	"testing"
)

// envProcess, in the environment, makes this test binary punchcard itself: tests start the real program, as a process of its
// own, without a build step.
const envProcess = "PUNCHCARD_TEST_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(envProcess) != "" {
		// A test binary that is killed cleans nothing up. What it started ends with it, because its standard input does.
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(99)
		}()
		main()
		return
	}
	// Each test has a Temporal server beside the program, and waits more than it works.
	flag.Parse()
	if err := flag.Set("test.parallel", "3"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
