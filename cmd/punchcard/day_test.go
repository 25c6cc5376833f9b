package main

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// aCode is a reward's code in a message.
var aCode = regexp.MustCompile(`\b[A-Z0-9]{10}\b`)

// A customer's day in the shop, at the pace that the README shows: an hour takes six seconds.
func TestDay(t *testing.T) {
	t.Parallel()
	d := openShop(t, 600)
	temporal := openPages(t, d.temporal)
	secrets := secret{}
	ida := phoneNumber(1)
	secrets.add(t, "phone", ida)
	secrets.add(t, "phone without plus", ida[1:])
	secrets.add(t, "national number", ida[3:])

	// She registers; the request for her consent is on her phone within two seconds. A machine that is busy with other tests may
	// be slower at times, so others have registered before her, and it is the quickest that counts.
	quickest := time.Hour
	for n := range 3 {
		phone := phoneNumber(100 + n)
		began := time.Now()
		d.send(t, registration(fmt.Sprintf("registration-of-stranger-%d", n), phone))
		d.received(t, soon, phone, "opt_in_request")
		quickest = min(quickest, time.Since(began))
	}
	require.Less(t, quickest, 2*time.Second)
	register := registration("registration-of-ida-4471", ida)
	register["customer"] = object{
		"external_id": "member-ida-90210", "phone": ida, "name": "Idalina Quistgaard", "language": "da", "attributes": object{"first_name": "Idalina"},
	}
	d.send(t, register)
	request := d.received(t, soon, ida, "opt_in_request")
	require.Contains(t, request.Text, "Hej Idalina, Bean & Bloom vil gerne sende dig tilbud")
	secrets.add(t, "event id", "registration-of-ida-4471")
	secrets.add(t, "external id", "member-ida-90210")
	secrets.add(t, "name", "Idalina Quistgaard")
	secrets.add(t, "last name", "Quistgaard")
	secrets.add(t, "first name", "Idalina ")
	var same, other customerView
	d.get(t, "/v1/customers/external:member-ida-90210", &same)
	d.get(t, d.of(ida), &other)
	require.Equal(t, same, other)
	require.Equal(t, map[string]string{"offers": "requested", "reminders": "requested", "rewards": "requested"}, same.Consents)

	// The same event again is a duplicate, and asks nobody twice.
	again := d.post(t, "/v1/events", register)
	require.Equal(t, http.StatusAccepted, again.Status)
	require.JSONEq(t, `{"accepted": 0, "duplicates": 1, "rejected": []}`, again.Body)

	// Yes brings the welcome with a code, and her consent with its evidence.
	yes := d.says(t, ida, "ja")
	welcome := d.received(t, soon, ida, "opt_in_welcome")
	code := aCode.FindString(welcome.Text)
	require.NotEmpty(t, code, welcome.Text)
	secrets.add(t, "code", code)
	subscribed := d.ended(t, soon, ida, "opt-in", "subscribed")
	asked := slices.DeleteFunc(d.messages(t, ida), func(m messageView) bool { return m.Template != "opt_in_request" })
	require.Len(t, asked, 1)
	granted := slices.DeleteFunc(list[consentView](t, d.shop, d.of(ida)+"/consents"), func(c consentView) bool { return c.Standing != "granted" })
	require.Len(t, granted, 3)
	for i, topic := range []string{"offers", "reminders", "rewards"} {
		require.Equal(t, consentView{
			Topic: topic, Standing: "granted", Source: granted[i].Source, Wording: request.Text, MessageID: asked[0].ID, ReplyID: yes, RunID: subscribed.ID,
		}, granted[i])
		require.NotEmpty(t, granted[i].Source)
	}
	require.Equal(t, request.ID, asked[0].Wamid)

	// A cart of 120: the reminder comes after its hour, and not before.
	d.send(t, cart("cart-event-51123", ida, "cart-of-ida-8842", 120))
	secrets.add(t, "event id", "cart-event-51123")
	secrets.add(t, "cart id", "cart-of-ida-8842")
	secrets.add(t, "item", "Yirgacheffe")
	reminder := d.received(t, soon, ida, "cart_reminder")
	require.Contains(t, reminder.Text, "Ethiopia Yirgacheffe")
	waiting := d.run(t, ida, "abandoned-cart")
	require.Equal(t, "live", waiting.Status)
	require.GreaterOrEqual(t, reminder.At.Sub(waiting.StartedAt), time.Hour-time.Minute)
	require.Less(t, reminder.At.Sub(waiting.StartedAt), 3*time.Hour)
	// One who asks for it again is told that it is there.
	there := d.post(t, "/v1/journeys/abandoned-cart/runs", object{"customer": "phone:" + ida, "properties": object{
		"cart_id": "cart-of-ida-8842", "total": 120, "items": []object{},
	}})
	require.Equal(t, http.StatusConflict, there.Status, there.Body)
	require.Equal(t, "live_run", there.problem(t).Reason)
	require.Contains(t, temporal.story(t, workflowOf(t, waiting)), "cart_reminder")

	// Her order for that cart, with the welcome's code, ends the run at once.
	d.send(t, order("order-event-61001", ida, object{"cart_id": "cart-of-ida-8842", "total": 117.5, "coupon": strings.ToLower(code)}))
	secrets.add(t, "event id", "order-event-61001")
	recovered := d.ended(t, soon, ida, "abandoned-cart", "recovered")
	require.True(t, recovered.Goal)
	require.InDelta(t, 117.5, recovered.Value, 0)
	// A minute and a half of hers at most: 150 ms of ours, and time that a busy machine may take.
	placed := d.run(t, ida, "stamp-card")
	require.WithinDuration(t, placed.StartedAt, recovered.EndedAt, time.Hour)
	grants := list[grantView](t, d.shop, d.of(ida)+"/grants")
	require.Len(t, grants, 1)
	require.Equal(t, "welcome-10", grants[0].Reward)
	require.Equal(t, "captured", grants[0].Status, "the code works")
	require.NotContains(t, grants[0].Code, code[:6], "the API hides codes")

	// Five orders fill the stamp card.
	for n := 2; n <= 5; n++ {
		d.send(t, order(fmt.Sprintf("order-event-6100%d", n), ida, nil))
		secrets.add(t, "order id", fmt.Sprintf("number-of-order-event-6100%d", n))
		until(t, soon, func(c *assert.CollectT) {
			stamps := slices.DeleteFunc(d.got(c, ida), func(s string) bool { return s != "stamp" })
			require.Len(c, stamps, min(n, 4))
		})
	}
	d.received(t, soon, ida, "stamp_card_full")
	d.ended(t, soon, ida, "stamp-card", "filled")
	gift := d.received(t, soon, ida, "milestone_gift")
	require.Regexp(t, aCode, gift.Text)
	secrets.add(t, "code", aCode.FindString(gift.Text))

	// Ten reviews make her gold.
	d.send(t, reviews(ida, 10)...)
	until(t, soon, func(c *assert.CollectT) {
		require.Equal(c, "gold", d.customer(c, ida).Tier)
		require.Equal(c, int64(2100), d.points(c, ida).Balance, "the reviews, and the card's hundred")
	})

	// She redeems a coffee: points are held, the code comes, the till uses it, once.
	secrets.add(t, "code", aCode.FindString(d.redeem(t, ida)))

	// All that she got, and nothing more.
	bag := d.got(t, ida)
	slices.Sort(bag)
	require.Equal(t, []string{
		"cart_reminder", "milestone_gift", "milestone_thanks", "milestone_thanks", "opt_in_request", "opt_in_welcome", "redemption_thanks", "reward_code",
		"stamp", "stamp", "stamp", "stamp", "stamp_card_full",
	}, bag)

	// Her points and her balance are answered when she asks.
	d.says(t, ida, "points")
	until(t, soon, func(c *assert.CollectT) { require.Contains(c, d.got(c, ida), "Du har 1850 point.") })

	agree(t, d.shop, temporal)
	for _, b := range d.chat(t, ida) {
		if len(b.Text) > 20 {
			secrets.add(t, "message", b.Text)
		}
	}
	secrets.add(t, "wording", "Bean & Bloom")
	secrets.add(t, "wording", "vil gerne sende")
	secrets.add(t, "wamid", "wamid.HBg")
	keepsSecrets(t, temporal, secrets)
	isTold(t, d.shop, temporal, ida, recovered)
}

// redeem lets a customer with 2100 points redeem a coffee and use it, and answers the message with the code.
func (s *shop) redeem(t *testing.T, phone string) (text string) {
	t.Helper()
	a := s.post(t, "/v1/redemptions", object{"customer": object{"phone": phone}, "reward": "free-coffee"})
	require.Equal(t, http.StatusAccepted, a.Status, a.Body)
	message := s.received(t, soon, phone, "reward_code")
	code := aCode.FindString(message.Text)
	require.NotEmpty(t, code)
	held := s.points(t, phone)
	require.Equal(t, []int64{1850, 250}, []int64{held.Balance, held.Held})

	used := s.post(t, "/v1/redemptions/capture", object{"code": strings.ToLower(code[:5] + "-" + code[5:])})
	require.Equal(t, http.StatusOK, used.Status, used.Body)
	run := s.ended(t, soon, phone, "redemption", "redeemed")
	require.NotEmpty(t, run.ID)
	s.received(t, soon, phone, "redemption_thanks")
	captured := s.points(t, phone)
	require.Equal(t, []int64{1850, 0}, []int64{captured.Balance, captured.Held})

	twice := s.post(t, "/v1/redemptions/capture", object{"code": code})
	require.Equal(t, http.StatusConflict, twice.Status, twice.Body)
	require.Equal(t, "already_captured", twice.problem(t).Reason)
	require.Equal(t, captured, s.points(t, phone))
	return message.Text
}

// isTold demands that an engineer finds in Temporal's pages what became of a customer's runs, and that a cart which was reminded
// of and then bought costs no more than was agreed.
func isTold(t *testing.T, s *shop, p *pages, phone string, recovered runView) {
	t.Helper()
	carts := p.workflows(t, `WorkflowType = 'abandoned-cart'`)
	require.Len(t, carts, 1)
	id := s.customer(t, phone).ID
	for query, want := range map[string]int{
		`WorkflowType = 'abandoned-cart' AND Outcome = 'recovered'`:                1,
		`Journey = 'abandoned-cart' AND Version = 1`:                               1,
		fmt.Sprintf(`Customer = '%s' AND Journey = 'redemption'`, id):              1,
		fmt.Sprintf(`Customer = '%s' AND Outcome = 'subscribed'`, id):              1,
		fmt.Sprintf(`Customer = '%s' AND Journey = 'milestone'`, id):               3,
		fmt.Sprintf(`Customer = '%s' AND Outcome IS NULL`, id):                     0,
		fmt.Sprintf(`Customer = '%s' AND ExecutionStatus != 'Completed'`, id):      0,
		`WorkflowType = 'opt-in' AND ExecutionStatus = 'Running'`:                  3,
		`WorkflowType = 'opt-in' AND Outcome IS NULL AND Customer != 'a customer'`: 3,
	} {
		require.Len(t, p.workflows(t, query), want, query)
	}
	require.Equal(t, id, attribute(t, carts[0], "Customer"))
	require.Equal(t, "abandoned-cart", attribute(t, carts[0], "Journey"))
	require.InDelta(t, 1, attribute(t, carts[0], "Version"), 0)
	require.Equal(t, "recovered", attribute(t, carts[0], "Outcome"))

	workflow := workflowOf(t, recovered)
	require.True(t, strings.HasSuffix(recovered.TemporalURL, strings.ReplaceAll(workflow, "/", "%2F")), recovered.TemporalURL)
	story := p.story(t, workflow)
	for _, words := range []string{"cart_reminder", "sent", "recovered", "Ended"} {
		require.Contains(t, story, words)
	}
	var told runView
	s.get(t, "/v1/runs/"+recovered.ID, &told)
	require.NotEmpty(t, told.Story)
	require.Contains(t, fmt.Sprint(told.Story), "cart_reminder")

	events, actions := cost(p.history(t, workflow, ""))
	t.Logf("a cart that was reminded of and then bought: %d events, %d billed actions", events, actions)
	require.LessOrEqual(t, events, 24)
	require.LessOrEqual(t, actions, 6)
}

// Weeks in the shop, with an hour in less than a fifth of a second: what comes of those who do not answer, buy or collect.
func TestWeeks(t *testing.T) {
	t.Parallel()
	d := openShop(t, 20_000)
	temporal := openPages(t, d.temporal)
	gold, bronze, silent := phoneNumber(1), phoneNumber(2), phoneNumber(3)
	d.join(t, gold, bronze)
	d.send(t, registration("registration-of-silent", silent))

	// A coffee that is not collected gives its points back, once, and its code is void.
	d.send(t, reviews(gold, 10)...)
	until(t, soon, func(c *assert.CollectT) { require.Equal(c, int64(2000), d.points(c, gold).Balance) })
	require.Equal(t, http.StatusAccepted, d.post(t, "/v1/redemptions", object{"customer": "phone:" + gold, "reward": "free-coffee"}).Status)
	code := aCode.FindString(d.received(t, soon, gold, "reward_code").Text)
	require.NotEmpty(t, code)
	require.Equal(t, int64(250), d.points(t, gold).Held)

	// Both leave a cart behind. Only gold gets an offer.
	d.send(t, cart("cart-1", gold, "cart-of-gold", 120), cart("cart-2", bronze, "cart-of-bronze", 120))
	d.received(t, soon, gold, "cart_reminder")
	d.received(t, soon, bronze, "cart_reminder")
	offer := d.received(t, soon, gold, "cart_offer")
	require.Regexp(t, aCode, offer.Text)
	lost := d.ended(t, soon, gold, "abandoned-cart", "lost")
	require.False(t, lost.Goal)
	d.ended(t, soon, bronze, "abandoned-cart", "no_offer")
	require.Equal(t, []string{"opt_in_request", "opt_in_welcome", "cart_reminder"}, d.got(t, bronze))

	// Who says nothing is asked once more, then left alone.
	d.ended(t, soon, silent, "opt-in", "unconfirmed")
	require.Equal(t, []string{"opt_in_request", "opt_in_reminder"}, d.got(t, silent))

	d.ended(t, 2*time.Minute, gold, "redemption", "expired")
	d.received(t, soon, gold, "redemption_expired")
	points := d.points(t, gold)
	require.Equal(t, []int64{2000, 0}, []int64{points.Balance, points.Held})
	moved := map[string]int64{}
	for _, l := range points.Items {
		moved[l.Kind] += l.Points
	}
	require.Equal(t, map[string]int64{"earn": 2000, "hold": 250, "release": 250}, moved)
	void := d.post(t, "/v1/redemptions/capture", object{"code": code})
	require.Equal(t, http.StatusGone, void.Status, void.Body)
	require.Equal(t, "released", void.problem(t).Reason)
	agree(t, d.shop, temporal)
}

// STOP is the last word, until the customer speaks again.
func TestStop(t *testing.T) {
	t.Parallel()
	d := openShop(t, 600)
	temporal := openPages(t, d.temporal)
	ida, undecided := phoneNumber(1), phoneNumber(2)
	d.join(t, ida)
	d.send(t, reviews(ida, 10)...)
	until(t, soon, func(c *assert.CollectT) { require.Equal(c, int64(2000), d.points(c, ida).Balance) })
	d.received(t, soon, ida, "milestone_thanks")
	require.Equal(t, http.StatusAccepted, d.post(t, "/v1/redemptions", object{"customer": "phone:" + ida, "reward": "free-coffee"}).Status)
	code := aCode.FindString(d.received(t, soon, ida, "reward_code").Text)
	d.send(t, order("order-1", ida, nil))
	d.received(t, soon, ida, "stamp")
	until(t, soon, func(c *assert.CollectT) { require.Len(c, d.runsOf(c, ida, "milestone"), 2) })
	d.send(t, cart("cart-1", ida, "cart-1", 120), cart("cart-2", ida, "cart-2", 40))
	until(t, soon, func(c *assert.CollectT) { require.Len(c, d.runsOf(c, ida, "abandoned-cart"), 2) })

	// In the middle of two carts' waits and a stamp card.
	d.says(t, ida, "Stop")
	const confirmation = "You will get no more messages from Bean & Bloom. Write JOIN if you change your mind."
	until(t, soon, func(c *assert.CollectT) {
		for _, r := range d.runs(c, ida) {
			switch r.Journey {
			case "abandoned-cart", "stamp-card":
				require.Equal(c, "opted_out", r.Outcome, r.Journey)
			case "redemption":
				require.Equal(c, "live", r.Status, "it answers her own act")
			}
		}
		require.Contains(c, d.got(c, ida), confirmation)
	})
	require.Equal(t, map[string]string{"offers": "revoked", "reminders": "revoked", "rewards": "revoked"}, d.customer(t, ida).Consents)
	agree(t, d.shop, temporal)
	before := d.got(t, ida)

	// A request for consent is ended by it too, and a yes that comes later does not take it back.
	d.send(t, registration("registration-of-undecided", undecided))
	d.received(t, soon, undecided, "opt_in_request")
	d.says(t, undecided, "STOP")
	d.ended(t, soon, undecided, "opt-in", "opted_out")
	d.says(t, undecided, "yes")

	// What the business does, and time, bring nothing more.
	d.send(t, cart("cart-3", ida, "cart-3", 120), order("order-2", ida, nil), order("order-3", ida, object{"cart_id": "cart-1"}))
	d.send(t, registration("registration-again", ida))
	until(t, soon, func(c *assert.CollectT) {
		suppressed := slices.DeleteFunc(d.messages(c, ida), func(m messageView) bool { return m.Status != "suppressed" || m.Template != "cart_reminder" })
		require.Len(c, suppressed, 1, "the hour is over, and the gate has said no")
	})
	// Another STOP ends what has begun since, and is no news.
	d.says(t, ida, "STOP")
	until(t, soon, func(c *assert.CollectT) {
		for _, r := range d.runs(c, ida) {
			require.True(c, r.Status == "ended" || r.Journey == "redemption", r.Journey)
		}
	})
	agree(t, d.shop, temporal)
	require.Equal(t, before, d.got(t, ida))
	require.Equal(t, []string{"opt_in_request", confirmation}, d.got(t, undecided)[:2])
	require.NotContains(t, d.got(t, undecided), "opt_in_welcome")
	require.Equal(t, "revoked", d.customer(t, undecided).Consents["offers"])

	// Her own acts are answered.
	require.Equal(t, http.StatusOK, d.post(t, "/v1/redemptions/capture", object{"code": code}).Status)
	d.ended(t, soon, ida, "redemption", "redeemed")
	until(t, soon, func(c *assert.CollectT) {
		require.Equal(c, append(slices.Clone(before), "redemption_thanks"), d.got(c, ida))
	})
	d.says(t, ida, "points")
	until(t, soon, func(c *assert.CollectT) {
		require.Equal(c, append(slices.Clone(before), "redemption_thanks", "You have 1750 points."), d.got(c, ida))
	})
	d.says(t, ida, "join")
	until(t, soon, func(c *assert.CollectT) {
		require.Equal(c, append(slices.Clone(before), "redemption_thanks", "You have 1750 points.", "opt_in_request"), d.got(c, ida))
	})
	agree(t, d.shop, temporal)
}
