package simulator

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
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

// The phone page in a browser, where there is one: a person adds a phone, writes, reads, presses a button.
func TestPageInBrowser(t *testing.T) {
	t.Parallel()
	program := chromium(t)
	w := setup(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true)) // networking in the background and sync are off by default
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	defer cancel()

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
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Navigate(w.address+"/"),
		chromedp.SendKeys(chromedp.CSS("#add-phone"), "+45 20 12 34 56"),
		chromedp.SendKeys(chromedp.CSS("#add-name"), "Mia Holm"),
		chromedp.Click(chromedp.CSS("#add button")),
		chromedp.WaitVisible(chromedp.CSS("#text")),
		chromedp.SendKeys(chromedp.CSS("#text"), attack),
		chromedp.Click(chromedp.CSS("#write .send")),
		chromedp.WaitVisible(chromedp.CSS("#chat li.mine .text")),
	))
	in := w.receiver.inbound(t)
	require.Equal(t, attack, in.Text)
	require.Equal(t, "Mia Holm", in.ProfileName)

	id := w.send(whatsapp.Message{To: mia, Buttons: &whatsapp.Buttons{Body: "Sure?", Buttons: []whatsapp.Button{{ID: "y", Title: "Yes"}}}})
	require.NoError(t, chromedp.Do(ctx,
		chromedp.WaitVisible(chromedp.CSS(`#chat button[data-press="y"]`)),
	))
	shown, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("#chat")))
	require.NoError(t, err)
	require.Contains(t, shown, attack, "as text")
	require.Contains(t, shown, "Sure?")
	for _, want := range []string{"sent", "delivered", "read"} { // the chat is open
		require.Equal(t, want, w.receiver.status(t).Status)
	}
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`#chat button[data-press="y"]`))))
	in = w.receiver.inbound(t)
	require.Equal(t, [...]string{"Yes", "y", id}, [...]string{in.Text, in.Payload, in.ReplyTo})
	code, _ := w.call(http.MethodGet, "/people", nil)
	require.Equal(t, http.StatusOK, code)
	cancel()
	for c := range complaints { // of a script that failed, or of something that the page's policy forbids it
		require.Fail(t, "the page complains", c)
	}
}
