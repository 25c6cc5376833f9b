// Package browsertest opens pages in a real browser, for tests. Without a Chromium on the machine such a test is skipped, or fails where
// PUNCHCARD_REQUIRE_CHROMIUM=1 says that it must run.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const (
	// lasts bounds a test's time with a browser.
	lasts = 3 * time.Minute
	// within is how soon a page shows what it is to show, and lookEvery how often it is looked at.
	within    = 20 * time.Second
	lookEvery = 20 * time.Millisecond
)

// chromium is the path of the browser, or the end of the test where there is none.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("PUNCHCARD_REQUIRE_CHROMIUM") == "1" {
		t.Fatal("there is no Chromium here, and PUNCHCARD_REQUIRE_CHROMIUM says that this test must run")
	}
	t.Skip("there is no Chromium here")
	return ""
}

// Open opens a browser with one tab, of a screen's size. The test fails when a page complains: of a script that failed, or of
// something that its policy forbids it.
func Open(t *testing.T, width, height int) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), // networking in the background and sync are off by default
		chromedp.WindowSize(width, height), chromedp.Flag("accept-lang", "en"))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	ctx, closeTab := chromedp.NewContext(ctx)
	ctx, cancel := context.WithTimeout(ctx, lasts)
	messages := chromedp.Console(ctx)
	complaints := make(chan string, 100)
	go func() {
		defer close(complaints)
		for m, err := range messages {
			if err != nil {
				return // the browser is over
			}
			complaints <- m.String()
		}
	}()
	t.Cleanup(func() {
		cancel()
		closeTab()
		stop()
		for c := range complaints {
			require.Fail(t, "the page complains", c)
		}
	})
	return ctx
}

// True waits until a script's answer is true.
func True(ctx context.Context, t *testing.T, script string) {
	t.Helper()
	require.Eventually(t, func() bool {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script))
		return err == nil && ok
	}, within, lookEvery, script)
}

// Click clicks what a selector finds.
func Click(css string) chromedp.Action[chromedp.Void] { return chromedp.Click(chromedp.CSS(css)) }
