package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// crowd is a number of customers who all live through the same, and a backend that sends what they do until it is told that it
// was taken: one event a request, the same id again when there was no answer, never again after there was one. So nothing may be
// lost that was answered, and nothing may count twice that was sent twice.
type crowd struct {
	shop   *shop
	phones []string
	taken  atomic.Int64 // events that were answered
	unsure atomic.Int64 // requests without an answer, or with one that asks to try again

	certain bool
	group   errgroup.Group
	// patience is how long a customer who has registered waits for the question before saying yes all the same. A process that
	// is killed between its note that it asks and the asking does not ask again, since it cannot know.
	patience time.Duration
}

// perLife is how many events a life has.
const perLife = 17

// atOnce is how many of the crowd are served at a time.
const atOnce = 6

// night is how long what a crowd is owed may take: on a machine with much else to do the shop's day is over before the test is, and
// what is marketing waits for the morning, 72 seconds later.
const night = 150 * time.Second

// live begins the lives of n customers. They go on whatever becomes of the process. Certain says that no process will be killed,
// so that no message may be left of which nobody knows whether it went out.
func (s *shop) live(t *testing.T, n int, certain bool) *crowd {
	t.Helper()
	c := &crowd{shop: s, certain: certain, patience: 30 * time.Second}
	if certain {
		c.patience = time.Hour
	}
	for i := range n {
		c.phones = append(c.phones, phoneNumber(1000+i))
	}
	ctx, stop := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(stop)
	c.group.SetLimit(atOnce + 1)
	c.group.Go(func() error {
		for _, phone := range c.phones {
			c.group.Go(func() error { return c.life(ctx, phone) })
		}
		return nil
	})
	return c
}

// reaches waits until so much of all events was answered.
func (c *crowd) reaches(t *testing.T, share float64) {
	t.Helper()
	until(t, 2*time.Minute, func(collect *assert.CollectT) {
		require.GreaterOrEqual(collect, c.taken.Load(), int64(share*float64(perLife*len(c.phones))))
	})
}

// life is one customer's: a registration, a yes, ten reviews, a cart, and five orders.
func (c *crowd) life(ctx context.Context, phone string) error {
	id := func(what string) string { return what + "-" + strings.TrimPrefix(phone, "+") }
	written := reviews(phone, 10)
	before := append([]object{registration(id("registration"), phone)}, written[:5]...)
	after := append([]object{cart(id("cart"), phone, id("basket"), 80)}, written[5:]...)
	for n := range 5 {
		after = append(after, order(fmt.Sprintf("order-%d-%s", n, phone[1:]), phone, nil))
	}
	if err := c.send(ctx, before); err != nil {
		return err
	}
	if err := c.sayYes(ctx, phone); err != nil {
		return err
	}
	if err := c.subscribed(ctx, phone); err != nil {
		return err
	}
	return c.send(ctx, after)
}

// subscribed waits until the yes counts: what comes before it finds no consent.
func (c *crowd) subscribed(ctx context.Context, phone string) error {
	for {
		var customer customerView
		a, err := c.shop.call(http.MethodGet, c.shop.api+c.shop.of(phone), nil)
		if err == nil && a.Status == http.StatusOK && json.Unmarshal([]byte(a.Body), &customer) == nil && customer.Consents["rewards"] == "granted" {
			return nil
		}
		if err := rest(ctx); err != nil {
			return fmt.Errorf("the yes of %s does not count: %w", phone, err)
		}
	}
}

func (c *crowd) send(ctx context.Context, events []object) error {
	for _, e := range events {
		if err := c.insist(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// pause is how long a backend waits before it tries again.
const pause = 100 * time.Millisecond

func (c *crowd) insist(ctx context.Context, event object) error {
	err := c.deliver(ctx, event)
	if err == nil {
		c.taken.Add(1)
	}
	return err
}

// deliver sends an event until it is taken.
func (c *crowd) deliver(ctx context.Context, event object) error {
	for {
		a, err := c.shop.call(http.MethodPost, c.shop.api+"/v1/events", event)
		switch {
		case err == nil && a.Status == http.StatusAccepted:
			var receipt struct{ Accepted, Duplicates int }
			if err := json.Unmarshal([]byte(a.Body), &receipt); err != nil || receipt.Accepted+receipt.Duplicates != 1 {
				return fmt.Errorf("event %v was answered with %s", event["id"], a.Body)
			}
			return nil
		case err == nil && a.Status != http.StatusServiceUnavailable:
			return fmt.Errorf("event %v was answered with %d %s", event["id"], a.Status, a.Body)
		}
		c.unsure.Add(1)
		if err := rest(ctx); err != nil {
			return err
		}
	}
}

func rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// sayYes answers the question, once: a phone that is not sure whether its message went out looks before it writes again.
func (c *crowd) sayYes(ctx context.Context, phone string) error {
	for began := time.Now(); ; {
		chat, err := c.look(phone)
		said := slices.ContainsFunc(chat, func(b bubble) bool { return b.Direction == "in" })
		asked := slices.ContainsFunc(chat, func(b bubble) bool { return b.Template == "opt_in_request" })
		switch {
		case err == nil && said:
			return nil
		case err == nil && (asked || time.Since(began) > c.patience && c.noted(phone)):
			_, _ = c.shop.call(http.MethodPost, c.shop.phone+"/people/"+phone+"/messages", object{"text": "yes"})
			continue // and see whether it went out
		}
		if err := rest(ctx); err != nil {
			return err
		}
	}
}

// noted tells whether the question is on record, so that a yes finds who asks: on a machine with much else to do it may take longer
// than a customer's patience.
func (c *crowd) noted(phone string) bool {
	a, err := c.shop.call(http.MethodGet, c.shop.api+c.shop.of(phone)+"/messages", nil)
	var page struct{ Items []messageView }
	return err == nil && a.Status == http.StatusOK && json.Unmarshal([]byte(a.Body), &page) == nil &&
		slices.ContainsFunc(page.Items, func(m messageView) bool { return m.Template == "opt_in_request" })
}

func (c *crowd) look(phone string) ([]bubble, error) {
	a, err := c.shop.call(http.MethodGet, c.shop.phone+"/people/"+phone+"/messages", nil)
	if err != nil {
		return nil, err
	}
	var chat struct{ Items []bubble }
	return chat.Items, json.Unmarshal([]byte(a.Body), &chat)
}

// end waits until all has come of it that must, and demands that nothing was lost and nothing came twice.
func (c *crowd) end(t *testing.T) {
	t.Helper()
	require.NoError(t, c.group.Wait())
	require.Equal(t, int64(perLife*len(c.phones)), c.taken.Load())
	for _, phone := range c.phones {
		until(t, night, func(collect *assert.CollectT) { c.lived(collect, phone) })
	}
}

func (c *crowd) lived(t require.TestingT, phone string) {
	runs := map[string]int{}
	for _, r := range c.shop.runs(t, phone) {
		outcome := r.Outcome
		if r.Journey == "abandoned-cart" {
			outcome = "" // how far it has come depends on the trouble; that it goes on is looked at apart
			require.Contains(t, []string{"live", "ended"}, r.Status)
		}
		runs[r.Journey+" "+outcome]++
	}
	require.Equal(t, map[string]int{
		"opt-in subscribed": 1, "abandoned-cart ": 1, "stamp-card filled": 1, "milestone completed": 3,
	}, runs, phone)

	points := c.shop.points(t, phone)
	require.Equal(t, []int64{2100, 0}, []int64{points.Balance, points.Held}, phone)
	earned := map[string]int{}
	for _, l := range points.Items {
		if l.Kind == "earn" {
			earned[l.Ref]++
		}
	}
	require.Len(t, earned, 10+5+1, phone)
	for ref, n := range earned {
		require.Equal(t, 1, n, "%s earned by %s", phone, ref)
	}

	grants := map[string]int{}
	for _, g := range list[grantView](t, c.shop, c.shop.of(phone)+"/grants") {
		grants[g.Reward]++
	}
	require.Equal(t, map[string]int{"welcome-10": 1, "free-coffee": 1, "bonus-100": 1}, grants, phone)

	// What the phone shows is what was sent: each message that WhatsApp took once, and no other.
	shown := map[string]int{}
	for _, b := range c.shop.chat(t, phone) {
		if b.Direction == "out" {
			shown[b.ID+" "+b.Template]++
		}
	}
	sent, templates := map[string]int{}, map[string]int{}
	for _, m := range c.shop.messages(t, phone) {
		if m.Direction != "out" {
			continue
		}
		templates[m.Template]++
		require.NotEqual(t, "sending", m.Status, "%s: %s", phone, m.Template)
		require.NotEqual(t, "failed", m.Status, "%s: %s", phone, m.Template)
		if c.certain {
			require.NotEqual(t, "unknown", m.Status, "%s: %s", phone, m.Template)
		}
		if m.Wamid != "" {
			sent[m.Wamid+" "+m.Template]++
		}
	}
	require.Equal(t, sent, shown, phone)
	for template, n := range map[string]int{"opt_in_request": 1, "opt_in_welcome": 1, "milestone_gift": 1, "stamp_card_full": 1, "stamp": 4} {
		require.Equal(t, n, templates[template], "%s: %s", phone, template)
	}
	require.LessOrEqual(t, templates["cart_reminder"], 1, phone)
}

// reminded waits until every cart of the crowd was reminded of, once: those waits went on through the trouble.
func (c *crowd) reminded(t *testing.T) {
	t.Helper()
	for _, phone := range c.phones {
		until(t, night, func(collect *assert.CollectT) {
			reminders := slices.DeleteFunc(c.shop.messages(collect, phone), func(m messageView) bool { return m.Template != "cart_reminder" })
			require.Len(collect, reminders, 1, phone)
			want := []string{"sent", "delivered", "read"}
			if !c.certain {
				want = append(want, "unknown")
			}
			require.Contains(collect, want, reminders[0].Status, "%s: %s", phone, reminders[0].Reason)
		})
	}
}
