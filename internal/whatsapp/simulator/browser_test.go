package simulator

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"punchcard/internal/browsertest"
	"punchcard/internal/whatsapp"
)

// The phone page in a browser, where there is one: a person adds a phone, writes, reads, presses a button.
func TestPageInBrowser(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := browsertest.Open(t, 1200, 900)
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
}
