package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"punchcard/internal/browsertest"
	"punchcard/internal/whatsapp"
)

func TestKindsInBrowser(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := browsertest.Open(t, 1200, 900)
	first := w.says(mia, "*hi*")
	w.template(cart)
	w.send(cartMessage())
	list := w.send(whatsapp.Message{To: mia, List: &whatsapp.List{Body: "When?", Button: "See times", Sections: []whatsapp.Section{
		{Title: "Today", Rows: []whatsapp.Row{{ID: "r1", Title: "16:00", Description: "Window seat"}, {ID: "r2", Title: "17:30"}}}}}})
	w.send(whatsapp.Message{To: mia, Location: &whatsapp.Location{Latitude: 55.6, Longitude: 12.5, Name: "Shop", Address: "Street 1"}})
	w.send(whatsapp.Message{To: mia, Document: &whatsapp.Media{Link: "https://x.example/menu.pdf", Filename: "Menu.pdf", Caption: "All of it"}})
	text := w.send(whatsapp.Message{To: mia, Text: &whatsapp.Text{Body: "*bold* https://x.example/a javascript:alert(1)"}})
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(w.address+"/?text=Hello+there&phone=4520123456")))
	for _, script := range []string{
		`document.getElementById("text").value === "Hello there"`,
		`document.querySelector(".theirs .text strong").textContent === "bold"`,
		`[...document.querySelectorAll("#chat .text a")].map((a) => a.href).join() === "https://x.example/a"`,
		`document.querySelector(".place b").textContent === "Shop"`,
		`document.querySelector(".doc b").textContent === "Menu.pdf"`,
		`document.querySelectorAll(".buttons a[href='https://shop.example/c/77']").length === 1`,
		`document.querySelector(".clock time").textContent.startsWith("Mon 2 Nov 2026 09:00")`,
		`document.documentElement.scrollWidth <= innerWidth`,
	} {
		browsertest.True(ctx, t, script)
	}

	// The code says that it was copied.
	require.NoError(t, chromedp.Do(ctx, browsertest.Click(`[data-copy="WELCOME10"]`)))
	browsertest.True(ctx, t, `document.querySelector('[data-copy] span').textContent.startsWith("Copied") && !document.getElementById("alert").hidden`)

	// A list opens a sheet; Escape closes it, a row answers.
	open := fmt.Sprintf(`document.getElementById(%q).querySelector("[data-list]").click()`, list)
	browsertest.True(ctx, t, open+` || document.getElementById("sheet").open`)
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent("\u001b")))
	browsertest.True(ctx, t, `!document.getElementById("sheet").open`)
	browsertest.True(ctx, t, open+` || document.getElementById("sheet").open`)
	require.NoError(t, chromedp.Do(ctx, browsertest.Click(`#rows [data-press="r2"]`)))
	in := w.nextInbound()
	require.Equal(t, [...]string{"17:30", "r2", list}, [...]string{in.Text, in.Payload, in.ReplyTo})
	browsertest.True(ctx, t, `!document.getElementById("sheet").open`)

	// A message's menu: react, then take it back; quote; edit and delete one's own.
	menu := func(id string) {
		t.Helper()
		browsertest.True(ctx, t, fmt.Sprintf(`document.getElementById(%q).querySelector(".more").click() || document.getElementById("actions").matches(":popover-open")`, id))
	}
	menu(text)
	require.NoError(t, chromedp.Do(ctx, browsertest.Click(`[data-react="❤️"]`)))
	require.Equal(t, "❤️", w.nextInbound().Text)
	browsertest.True(ctx, t, fmt.Sprintf(`document.getElementById(%q).querySelector(".reactions")?.textContent === "❤️"`, text))
	menu(text)
	require.NoError(t, chromedp.Do(ctx, browsertest.Click(`[data-react="❤️"]`)))
	require.Empty(t, w.nextInbound().Text)
	browsertest.True(ctx, t, fmt.Sprintf(`!document.getElementById(%q).querySelector(".reactions")`, text))
	menu(text)
	require.NoError(t, chromedp.Do(ctx, browsertest.Click(`[data-act="reply"]`), browsertest.Click("#write .send")))
	in = w.nextInbound()
	require.Equal(t, [...]string{"Hello there", text}, [...]string{in.Text, in.ReplyTo})
	browsertest.True(ctx, t, `document.querySelector("li.mine:last-child blockquote") !== null`)
	menu(first.ID)
	require.NoError(t, chromedp.Do(ctx, browsertest.Click(`[data-act="edit"]`), chromedp.SendKeys(chromedp.CSS("#text"), " again\r")))
	require.Equal(t, "edit", w.nextInbound().Type)
	browsertest.True(ctx, t, fmt.Sprintf(`document.getElementById(%q).querySelector(".text").innerHTML === "<strong>hi</strong> again"`, first.ID))
	menu(first.ID)
	require.NoError(t, chromedp.Do(ctx, browsertest.Click(`[data-act="delete"]`)))
	require.Equal(t, "revoke", w.nextInbound().Type)
	browsertest.True(ctx, t, fmt.Sprintf(`document.getElementById(%q).querySelector(".gone") !== null`, first.ID))

	// A file.
	path := filepath.Join(t.TempDir(), "bill <1>.pdf")
	require.NoError(t, os.WriteFile(path, []byte("%PDF"), 0o600))
	require.NoError(t, chromedp.Do(ctx, chromedp.SetUploadFiles(chromedp.CSS("#file-document"), []string{path})))
	in = w.nextInbound()
	require.Equal(t, [...]string{"document", "bill <1>.pdf"}, [...]string{in.Type, in.Filename})
	browsertest.True(ctx, t, `document.querySelector("li.mine:last-child .doc b").textContent === "bill <1>.pdf"`)

	// Offers stop and resume; the business is blocked and heard again.
	require.NoError(t, chromedp.Do(ctx, browsertest.Click("#menu-button"), browsertest.Click(`#menu [data-do="stop"]`)))
	browsertest.True(ctx, t, `document.body.classList.contains("stopped")`)
	require.NoError(t, chromedp.Do(ctx, browsertest.Click("#menu-button"), browsertest.Click(`[data-dialog="block"]`), browsertest.Click("#block button.main")))
	browsertest.True(ctx, t, `getComputedStyle(document.getElementById("write")).display === "none"`)
	require.NoError(t, chromedp.Do(ctx, browsertest.Click(`#shut [data-do="unblock"]`)))
	browsertest.True(ctx, t, `getComputedStyle(document.getElementById("write")).display !== "none"`)
}

// nextInbound is the next webhook that tells of a message.
func (w *world) nextInbound() whatsapp.Inbound {
	w.t.Helper()
	for {
		if u := w.receiver.next(w.t); u.Inbound != nil {
			return *u.Inbound
		}
	}
}

// A narrow screen shows the list or a chat; each phone has its language; many customers and a long chat stay quick.
func TestManyInBrowser(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := browsertest.Open(t, 400, 800)
	for i := range 200 {
		code, _ := w.call(http.MethodPost, "/people", object{"phone": fmt.Sprintf("+4530%06d", i), "name": fmt.Sprintf("Customer %d", i)})
		require.Equal(t, http.StatusCreated, code)
	}
	w.call(http.MethodPost, "/people", object{"phone": mia, "name": "Mia Holm"})
	for i := range 1000 {
		code, _ := w.call(http.MethodPost, "/people/"+mia+"/messages", object{"text": fmt.Sprintf("message %d", i)})
		require.Equal(t, http.StatusCreated, code)
	}
	begin := time.Now()
	html, _ := w.page("/?phone=" + url.QueryEscape(mia))
	t.Logf("the page of 201 people and 1,000 messages: %d kB in %s", len(html)>>10, time.Since(begin).Round(time.Millisecond))
	require.Less(t, len(html), 400<<10, "a screenful, not all")

	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(w.address+"/")))
	browsertest.True(ctx, t, `document.querySelectorAll("#people li").length === 201 && document.documentElement.scrollWidth <= innerWidth`)
	browsertest.True(ctx, t, `getComputedStyle(document.querySelector("main.chat")).display === "none"`)
	require.NoError(t, chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS("#search"), "mia")))
	browsertest.True(ctx, t, `[...document.querySelectorAll("#people li")].filter((li) => !li.hidden).length === 1`)
	require.NoError(t, chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS("#search"), "\r")))
	browsertest.True(ctx, t, `getComputedStyle(document.querySelector(".side")).display === "none" && document.querySelectorAll("#chat li").length >= 100`)
	browsertest.True(ctx, t, `document.documentElement.scrollWidth <= innerWidth && document.querySelectorAll("#chat li").length < 1000`)
	browsertest.True(ctx, t, `(() => { const s = document.getElementById("scroll"); return s.scrollHeight - s.scrollTop - s.clientHeight < 60; })()`)

	// What is new is drawn; what is there stays the same element.
	browsertest.True(ctx, t, `(document.querySelector("#chat li:last-child").kept = true)`)
	begin = time.Now()
	w.send(whatsapp.Message{To: mia, Text: &whatsapp.Text{Body: "a new one"}})
	browsertest.True(ctx, t, `document.querySelector("#chat li:last-child .text").textContent === "a new one"`)
	t.Logf("a message is seen after %s", time.Since(begin).Round(time.Millisecond))
	browsertest.True(ctx, t, `document.querySelector("#chat li:last-child").previousElementSibling.kept === true`)

	// Earlier messages come at the top.
	browsertest.True(ctx, t, `(document.getElementById("scroll").scrollTop = 0) || document.querySelectorAll("#chat li").length > 150`)
	browsertest.True(ctx, t, `(() => { const n = [...document.querySelectorAll("#chat li")].map((li) => +li.dataset.n); return n.every((x, i) => i === 0 || n[i - 1] < x); })()`)

	// The phone is Danish from now on, and only this one.
	require.NoError(t, chromedp.Do(ctx, browsertest.Click(".back")))
	browsertest.True(ctx, t, `location.search === "" && document.documentElement.lang === "en"`)
	w.call(http.MethodPost, "/people", object{"phone": mia, "language": "da"})
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(w.address+"/?phone=4520123456")))
	browsertest.True(ctx, t, `document.documentElement.lang === "da" && document.getElementById("text").placeholder === "Besked"`)
	browsertest.True(ctx, t, `document.querySelector(".clock time").textContent.startsWith("man 2. nov 2026")`)
	browsertest.True(ctx, t, `(() => { const l = document.getElementById("lang"); l.value = "de"; l.dispatchEvent(new Event("change")); return true; })()`)
	browsertest.True(ctx, t, `document.documentElement.lang === "de" && document.getElementById("text").placeholder === "Nachricht"`)
}
