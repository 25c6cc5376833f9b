package simulator

import (
	"fmt"
	stdhtml "html"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

func (w *world) page(path string) (string, http.Header) {
	w.t.Helper()
	res, err := http.Get(w.address + path)
	require.NoError(w.t, err)
	defer func() { _ = res.Body.Close() }()
	require.Equal(w.t, http.StatusOK, res.StatusCode, path)
	raw, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	return string(raw), res.Header
}

const attack = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`

func TestPage(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *Options) { o.Business = attack })
	html, header := w.page("/")
	require.Contains(t, html, "Add a phone")
	require.Contains(t, html, "Mon 2 Nov 2026 09:00:00 UTC")
	require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'")
	require.NotContains(t, html, "http://")
	require.NotContains(t, html, "https://", "nothing from elsewhere")

	w.call(http.MethodPost, "/people", object{"phone": mia, "name": attack})
	w.says(mia, attack)
	spec := cart
	w.template(spec)
	message := cartMessage()
	message.Template.Body = []string{attack, "javascript:alert(1)"}
	message.Template.Buttons[0].Value = attack
	id := w.send(message)
	w.send(whatsapp.Message{To: mia, List: &whatsapp.List{Body: attack, Button: "Menu", Sections: []whatsapp.Section{
		{Title: "Hot", Rows: []whatsapp.Row{{ID: attack, Title: "<b>Latte</b>", Description: "d"}}}}}})
	w.send(whatsapp.Message{To: mia, Location: &whatsapp.Location{Name: "Shop", Address: "Street"}})
	w.clock.Advance(25 * time.Hour)
	w.send(whatsapp.Message{To: mia, Text: &whatsapp.Text{Body: "this one fails"}})

	w.settled()
	for _, path := range []string{"/?phone=%2B4520123456", "/?phone=+4520123456", "/?phone=4520123456"} {
		html, _ = w.page(path)
		plain := stdhtml.UnescapeString(html) // a "+" is written as an entity
		require.Contains(t, plain, `data-phone="+4520123456"`)
		require.Contains(t, plain, `id="`+id+`"`)
		require.Contains(t, html, "Yes please")
		require.Contains(t, html, "STOP ends it")
		require.Contains(t, html, "WELCOME10")
		require.Contains(t, html, `href="https://shop.example/c/77"`)
		require.Contains(t, html, "</svg>Menu</button>")
		require.Contains(t, html, "Monday 2 November")
		require.Contains(t, html, `aria-label="delivered"`)
		require.NotContains(t, html, "<script>alert")
		require.NotContains(t, html, "<img")
		require.NotContains(t, html, "<b>Latte")
		require.NotContains(t, html, "this one fails", "it never reached the phone")
	}
	// An address that names nobody, or is an attack, is an empty page.
	for _, phone := range []string{"nobody", attack, "+4599999999"} {
		html, _ = w.page("/?phone=" + url.QueryEscape(phone))
		require.NotContains(t, html, "<script>alert")
		require.NotContains(t, html, "Yes please")
	}
	for path, kind := range map[string]string{"phone.css": "text/css", "phone.js": "text/javascript"} {
		_, header = w.page("/page/assets/" + path)
		require.Contains(t, header.Get("Content-Type"), kind)
	}
}

func TestPageLive(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.says(mia, "hi")
	w.settled()
	live := func(seen string) map[string]any {
		t.Helper()
		code, answer := w.call(http.MethodGet, "/page/live?phone="+url.QueryEscape(mia)+"&seen="+seen, nil)
		require.Equal(t, http.StatusOK, code)
		return answer
	}
	first := live("")
	require.Contains(t, first["chat"], "hi")
	require.Equal(t, false, first["unread"])
	version := fmt.Sprint(first["version"])
	still := live(version)
	require.NotContains(t, still, "chat", "nothing new, nothing drawn")
	w.clock.Advance(time.Second)
	require.Equal(t, "Mon 2 Nov 2026 09:00:01 UTC", live(version)["now"])

	w.send(whatsapp.Message{To: mia, Text: &whatsapp.Text{Body: "hello there"}})
	w.receiver.status(t)
	w.receiver.status(t)
	w.settled()
	next := live(version)
	require.Contains(t, next["chat"], "hello there")
	require.Contains(t, next["people"], "unread")
	require.Equal(t, true, next["unread"])

	// The page is open: the business hears that it was read, once.
	for range 2 {
		code, _ := w.call(http.MethodPost, "/people/"+mia+"/read", object{})
		require.Equal(t, http.StatusNoContent, code)
	}
	require.Equal(t, "read", w.receiver.status(t).Status)
	require.Equal(t, false, live(version)["unread"])
	require.Equal(t, "read", w.chat(mia)[1].Status)
	w.says(mia, "bye")
	require.Empty(t, w.receiver.updates)
}
