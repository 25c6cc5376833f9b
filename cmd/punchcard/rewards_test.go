package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punchcard/internal/browsertest"
)

// pocket is the phone page of one customer, in a browser.
type pocket struct {
	t     *testing.T
	ctx   context.Context
	shop  *devShop
	phone string
}

// takes opens a customer's phone.
func (p *pocket) takes(phone string) {
	p.t.Helper()
	p.phone = phone
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.Navigate(p.shop.shop.phone+"/?phone="+url.QueryEscape(phone)), chromedp.WaitVisible(chromedp.CSS("#text"))))
}

func (p *pocket) writes(text string) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.SendKeys(chromedp.CSS("#text"), text), browsertest.Click("#write .send")))
}

// shows waits until the last bubble that holds a text is there, and answers the id of its message.
func (p *pocket) shows(text string) string {
	p.t.Helper()
	find := fmt.Sprintf(`[...document.querySelectorAll("#chat li:not(.mine)")].filter((li) => li.textContent.includes(%q)).at(-1)`, text)
	browsertest.True(p.ctx, p.t, find+" !== undefined")
	id, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](find+".id"))
	require.NoError(p.t, err)
	return id
}

// presses taps a button of a message by its title.
func (p *pocket) presses(message, title string) {
	p.t.Helper()
	browsertest.True(p.ctx, p.t, fmt.Sprintf(
		`(() => { const b = [...document.getElementById(%q).querySelectorAll("button[data-press]")].find((b) => b.textContent.includes(%q)); b?.click(); return !!b; })()`,
		message, title))
}

// rows opens a message's list, and answers the titles that it shows.
func (p *pocket) rows(message string) []string {
	p.t.Helper()
	browsertest.True(p.ctx, p.t, fmt.Sprintf(`document.getElementById(%q).querySelector("[data-list]").click() || document.getElementById("sheet").open`, message))
	titles, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll("#rows button b")].map((b) => b.textContent)`))
	require.NoError(p.t, err)
	return titles
}

// picks takes a row of the list that is open.
func (p *pocket) picks(title string) {
	p.t.Helper()
	browsertest.True(p.ctx, p.t, fmt.Sprintf(
		`(() => { const b = [...document.querySelectorAll("#rows button")].find((b) => b.textContent.includes(%q)); b?.click(); return !!b; })()`, title))
	browsertest.True(p.ctx, p.t, `!document.getElementById("sheet").open`)
}

// code is what a message's button copies.
func (p *pocket) code(message string) string {
	p.t.Helper()
	code, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](fmt.Sprintf(`document.getElementById(%q).querySelector("[data-copy]").dataset.copy`, message)))
	require.NoError(p.t, err)
	return code
}

// menu asks for the menu of rewards, and opens it.
func (p *pocket) menu() []string {
	p.t.Helper()
	const lists = `[...document.querySelectorAll("#chat li:has([data-list])")]`
	before, err := chromedp.Run(p.ctx, chromedp.Evaluate[int](lists+".length"))
	require.NoError(p.t, err)
	p.writes("redeem")
	browsertest.True(p.ctx, p.t, fmt.Sprintf("%s.length > %d", lists, before))
	id, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](lists+".at(-1).id"))
	require.NoError(p.t, err)
	return p.rows(id)
}

// is waits until the customer has so many grants of a reward in a status.
func (p *pocket) is(reward, status string, n int) {
	p.t.Helper()
	until(p.t, soon, func(c *assert.CollectT) {
		all := list[grantView](c, p.shop.shop, p.shop.of(p.phone)+"/grants")
		require.Len(c, slices.DeleteFunc(all, func(g grantView) bool { return g.Reward != reward || g.Status != status }), n, "%s of %s: %v", reward, p.phone, all)
	})
}

// approved waits until a person is asked, who says yes.
func (p *pocket) approved() {
	p.t.Helper()
	var asked struct{ Items []struct{ ID string } }
	until(p.t, soon, func(c *assert.CollectT) {
		p.shop.get(c, "/v1/approvals?status=pending", &asked)
		require.Len(c, asked.Items, 1)
	})
	a := p.shop.post(p.t, "/v1/approvals/"+asked.Items[0].ID, object{"decision": "approve", "by": "maria"})
	require.Equal(p.t, http.StatusOK, a.Status, a.Body)
}

// till uses a code.
func (p *pocket) till(code string, body object) {
	p.t.Helper()
	body["code"] = code
	a := p.shop.post(p.t, "/v1/redemptions/capture", body)
	require.Equal(p.t, http.StatusOK, a.Status, a.Body)
	require.NotContains(p.t, a.Body, code, "the API hides codes")
}

// aLink is a customer's own link to content.
var aLink = regexp.MustCompile(`http://127\.0\.0\.1:\d+/\S+`)

// Each kind of reward is given, reaches the phone, and is used there, at the till, or in the shop. What a gold customer is offered, another is not.
func TestRewardsOnThePhone(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for the next day")
	}
	t.Parallel()
	d := openShop(t, 3000) // an hour takes 1.2 seconds, a day 29
	p := &pocket{t: t, ctx: browsertest.Open(t, 1200, 900), shop: d}
	gry, bo, ida := phoneNumber(1), phoneNumber(2), phoneNumber(3)

	// A discount code, for joining: it is copied on the phone, and used in the shop.
	require.NoError(t, chromedp.Do(p.ctx,
		chromedp.Navigate(d.shop.phone+"/"),
		chromedp.SendKeys(chromedp.CSS("#add-phone"), gry),
		chromedp.SendKeys(chromedp.CSS("#add-name"), "Gry"),
		browsertest.Click("#add button"),
		chromedp.WaitVisible(chromedp.CSS("#text"))))
	p.phone = gry
	p.writes("join")
	p.presses(p.shows("would like to send you"), "YES")
	d.send(t, order("gry-1", gry, object{"total": 2000, "coupon": strings.ToLower(p.code(p.shows("You are in")))}))
	p.is("welcome-10", "captured", 1)

	// Points, for a full card; and a gift card, for the fifth order.
	for n := 2; n <= 5; n++ {
		d.send(t, order(fmt.Sprintf("gry-%d", n), gry, nil))
	}
	p.shows("your stamp card is full")
	p.is("bonus-100", "captured", 1)
	d.send(t, reviews(gry, 10)...)

	// The menu has what she can afford and may have: as a gold customer the tasting, which Bo is not offered.
	d.join(t, bo, ida)
	d.send(t, reviews(bo, 2)...)
	until(t, soon, func(c *assert.CollectT) {
		require.Equal(c, "gold", d.customer(c, gry).Tier)
		require.EqualValues(c, 2100, d.points(c, gry).Balance)
		require.EqualValues(c, 400, d.points(c, bo).Balance)
	})
	require.Equal(t, []string{"A slice of cake", "A free coffee", "A tasting for two", "A gift card of 25", "A barista course"}, p.menu())

	// An offer that a tap uses.
	p.picks("A slice of cake")
	p.presses(p.shows("tap when they say so"), "Use now")
	p.presses(p.shows("it can be used once"), "Use now")
	p.is("free-cake", "captured", 1)
	p.shows("Enjoy it! Your balance is now 1980 points")

	// A gift card that is used in parts. For one who is new, a person says yes to it first.
	p.menu()
	p.picks("A gift card of 25")
	p.approved()
	card := p.code(p.shows("you asked for: A gift card of 25"))
	p.till(card, object{"amount": 10, "device": "till-1"})
	p.is("card-25", "captured", 0)
	p.till(card, object{"device": "till-1"})
	p.is("card-25", "captured", 1)

	// One that is given up, and one that is used whole; its code comes from a pool.
	p.menu()
	p.picks("A tasting for two")
	p.shows("you asked for: A tasting for two")
	p.writes("cancel")
	p.is("tasting", "released", 1)
	p.menu()
	p.picks("A free coffee")
	p.till(p.code(p.shows("you asked for: A free coffee")), object{})

	p.takes(bo)
	require.Equal(t, []string{"A slice of cake", "A free coffee"}, p.menu())
	p.picks("A slice of cake")
	p.shows("tap when they say so")

	// Content, on her birthday; it leads there by a link of her own, and is used by arriving.
	p.takes(ida)
	chat := d.chat(t, ida)
	tomorrow := chat[len(chat)-1].At.AddDate(0, 0, 1)
	e := registration("birthday-of-ida", ida)
	e["customer"].(object)["attributes"] = object{"birthday": tomorrow.AddDate(-30, 0, 0).Format(time.DateOnly)}
	d.send(t, e)

	// Free shipping comes a day after a cart was left, to gold customers alone.
	d.send(t, cart("cart-of-gry", gry, "c-gry", 150), cart("cart-of-bo", bo, "c-bo", 150))

	link := aLink.FindString(d.received(t, 3*soon, ida, "birthday_treat").Text)
	require.NotEmpty(t, link)
	p.shows("Happy birthday")
	p.is("latte-art", "captured", 1)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(link)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, "https://beanandbloom.example/latte-art", res.Header.Get("Location"))

	p.takes(gry)
	d.received(t, 6*soon, gry, "cart_offer")
	d.send(t, order("gry-6", gry, object{"cart_id": "c-gry", "total": 150, "coupon": p.code(p.shows("Free shipping"))}))
	p.is("free-shipping", "captured", 1)
	d.ended(t, soon, gry, "abandoned-cart", "recovered")
	d.ended(t, 6*soon, bo, "abandoned-cart", "no_offer")
}
