package simulator

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"punchcard/internal/browsertest"
	"punchcard/internal/whatsapp"
)

// pixel is a picture that a browser can show.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

// rich is an offer with an end and a carousel, approved.
func (w *world) rich() (offer, carousel whatsapp.Message) {
	w.t.Helper()
	sample := func() *whatsapp.Example { return &whatsapp.Example{HeaderHandle: []string{w.sample("IMAGE")}} }
	w.template(whatsapp.TemplateSpec{Name: "lto", Language: "en", Category: "MARKETING", Components: []whatsapp.Component{
		{Type: "HEADER", Format: "IMAGE", Example: sample()},
		{Type: "LIMITED_TIME_OFFER", Offer: &whatsapp.OfferSpec{Text: "This week only", Expiration: true}},
		{Type: "BODY", Text: "Ten percent off."},
		{Type: "BUTTONS", Buttons: []whatsapp.ButtonSpec{
			{Type: "COPY_CODE", Example: whatsapp.Samples{"AB12"}}, {Type: "URL", Text: "Shop", URL: "https://shop.example/"},
		}},
	}})
	card := func(words string) whatsapp.CardSpec {
		return whatsapp.CardSpec{Components: []whatsapp.Component{
			{Type: "HEADER", Format: "IMAGE", Example: sample()}, {Type: "BODY", Text: words},
			{Type: "BUTTONS", Buttons: []whatsapp.ButtonSpec{{Type: "QUICK_REPLY", Text: "I like it"}}},
		}}
	}
	w.template(whatsapp.TemplateSpec{Name: "carousel", Language: "en", Category: "MARKETING", Components: []whatsapp.Component{
		{Type: "BODY", Text: "New this season:"}, {Type: "CAROUSEL", Cards: []whatsapp.CardSpec{card("Ethiopia"), card("Kenya"), card("Colombia")}},
	}})
	picture := &whatsapp.TemplateHeader{Image: &whatsapp.Media{Link: "https://shop.example/a.png"}}
	slide := func(id string) whatsapp.Card {
		return whatsapp.Card{Header: picture, Buttons: []whatsapp.TemplateButton{{Index: 0, SubType: whatsapp.QuickReply, Value: id}}}
	}
	return whatsapp.Message{To: mia, Template: &whatsapp.TemplateMessage{
			Name: "lto", Language: "en", Header: picture, Expires: w.clock.Now().Add(90 * time.Minute),
			Buttons: []whatsapp.TemplateButton{{Index: 0, SubType: whatsapp.CopyCode, Value: "SUMMER26"}},
		}}, whatsapp.Message{To: mia, Template: &whatsapp.TemplateMessage{
			Name: "carousel", Language: "en", Cards: []whatsapp.Card{slide("et"), slide("ke"), slide("co")},
		}}
}

// What the business can send beside text, as a browser shows it.
func TestRichKindsInBrowser(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := browsertest.Open(t, 1200, 900)
	raw, err := base64.StdEncoding.DecodeString(pixel)
	require.NoError(t, err)
	upload := func(kind string) *whatsapp.Media {
		id, err := w.client.UploadMedia(t.Context(), whatsapp.Upload{Type: kind, Size: int64(len(raw)), Content: strings.NewReader(string(raw))})
		require.NoError(t, err)
		return &whatsapp.Media{ID: id}
	}
	hello := w.says(mia, "hi")
	offer, carousel := w.rich()
	w.send(offer)
	cards := w.send(carousel)
	w.send(whatsapp.Message{To: mia, Link: &whatsapp.Link{Body: "All of it", Label: "Open", URL: "https://shop.example/all"}})
	w.send(whatsapp.Message{To: mia, Contacts: []whatsapp.Contact{{Name: "Bo Lind", Company: "Bean & Bloom", Phones: []string{"+4570123456"}, Emails: []string{"bo@shop.example"}}}})
	w.send(whatsapp.Message{To: mia, Image: upload("image/png")})
	w.send(whatsapp.Message{To: mia, Sticker: upload("image/webp")})
	w.send(whatsapp.Message{To: mia, Video: &whatsapp.Media{Link: "https://shop.example/a.mp4", Caption: "A film"}})
	w.send(whatsapp.Message{To: mia, Reaction: &whatsapp.Reaction{MessageID: hello.ID, Emoji: "🎉"}})
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(w.address+"/?phone=4520123456")))
	for _, script := range []string{
		`document.querySelector(".offer b").textContent === "This week only" && /^Ends in 1 h (29|30) min$/.test(document.querySelector("[data-ends]").textContent)`,
		`document.querySelector('[data-copy="SUMMER26"]') !== null`,
		`[...document.querySelectorAll(".slides section .text")].map((p) => p.textContent).join() === "Ethiopia,Kenya,Colombia"`,
		`document.querySelectorAll(".slides .pic.blank[href='https://shop.example/a.png']").length === 3`,
		`document.querySelector(".buttons a[href='https://shop.example/all']").textContent.trim() === "Open"`,
		`document.querySelector(".card b").textContent === "Bo Lind" && document.querySelector(".card p").textContent.includes("+4570123456")`,
		`document.querySelector("a.pic.image img").naturalWidth === 1`,
		`document.querySelector(".bare a.pic.sticker img") !== null`,
		`document.querySelector(".pic.blank.video") !== null`,
		fmt.Sprintf(`document.getElementById(%q).querySelector(".reactions").textContent === "🎉"`, hello.ID),
		`document.documentElement.scrollWidth <= innerWidth`,
	} {
		browsertest.True(ctx, t, script)
	}
	require.NoError(t, chromedp.Do(ctx, browsertest.Click(`.slides [data-press="ke"]`)))
	in := w.nextInbound()
	require.Equal(t, [...]string{"button", "I like it", "ke", cards}, [...]string{in.Type, in.Text, in.Payload, in.ReplyTo})
	w.send(whatsapp.Message{To: mia, Reaction: &whatsapp.Reaction{MessageID: hello.ID}})
	browsertest.True(ctx, t, fmt.Sprintf(`!document.getElementById(%q).querySelector(".reactions")`, hello.ID))
}

// What a customer can do beside writing: a place, an ad, a picture, another number; resume offers; report.
func TestDialogsInBrowser(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := browsertest.Open(t, 400, 800)
	w.says(mia, "hi")
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(w.address+"/?phone=4520123456")))
	menu := func(item string) {
		t.Helper()
		require.NoError(t, chromedp.Do(ctx, browsertest.Click("#menu-button"), browsertest.Click("#menu "+item)))
	}
	inView := func(id string) {
		t.Helper()
		browsertest.True(ctx, t, fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return r.width > 0 && r.left >= 0 && r.right <= innerWidth && r.top >= 0 && r.bottom <= innerHeight; })()`, id))
	}
	require.NoError(t, chromedp.Do(ctx, browsertest.Click(`[popovertarget="attach"]`), browsertest.Click(`[data-dialog="place"]`)))
	inView("#place")
	require.NoError(t, chromedp.Do(ctx, browsertest.Click("#place button.main")))
	in := w.nextInbound()
	require.Equal(t, "location", in.Type)
	require.InDelta(t, 55.68584, in.Location.Latitude, 0.00001)
	browsertest.True(ctx, t, `document.querySelector("li.mine:last-child .place b").textContent === "Rosenborg" && !document.getElementById("place").open`)

	menu(`[data-dialog="ad"]`)
	inView("#ad")
	require.NoError(t, chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS("#ad [name=body]"), "Free coffee"), browsertest.Click("#ad button.main")))
	in = w.nextInbound()
	require.Equal(t, [...]string{"Bean & Bloom", "Free coffee"}, [...]string{in.Referral.Headline, in.Referral.Body})
	browsertest.True(ctx, t, `document.querySelector("li.mine:last-child .ad b").textContent === "Bean & Bloom" && !document.getElementById("ad").open`)

	raw, err := base64.StdEncoding.DecodeString(pixel)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "cup.png")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	require.NoError(t, chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS("#text"), "my cup"), chromedp.SetUploadFiles(chromedp.CSS("#file-photo"), []string{path})))
	in = w.nextInbound()
	require.Equal(t, [...]string{"image", "my cup"}, [...]string{in.Type, in.Caption})
	browsertest.True(ctx, t, `document.querySelector("li.mine:last-child img").naturalWidth === 1 && document.getElementById("text").value === ""`)

	menu(`[data-do="stop"]`)
	browsertest.True(ctx, t, `document.body.classList.contains("stopped")`)
	menu(`[data-do="resume"]`)
	browsertest.True(ctx, t, `!document.body.classList.contains("stopped")`)

	menu(`[data-dialog="number"]`)
	inView("#number")
	require.NoError(t, chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS("#number [name=phone]"), "+45 20 12 34 57"), browsertest.Click("#number button.main")))
	browsertest.True(ctx, t, `new URLSearchParams(location.search).get("phone") === "+4520123457" && document.querySelectorAll("#chat li").length === 4`)

	menu(`[data-dialog="block"]`)
	inView("#block")
	require.NoError(t, chromedp.Do(ctx, browsertest.Click(`#block [name="report"]`)))
	browsertest.True(ctx, t, `document.body.classList.contains("blocked")`)
	_, people := w.call(http.MethodGet, "/people", nil)
	first, _ := people["items"].([]any)[0].(map[string]any)
	require.EqualValues(t, 1, first["reports"])

	// The language of the page is kept where no phone is open.
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(w.address+"/?lang=da")))
	browsertest.True(ctx, t, `document.documentElement.lang === "da"`)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(w.address+"/")))
	browsertest.True(ctx, t, `document.documentElement.lang === "da"`)
}
