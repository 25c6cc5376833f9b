package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// In the middle of a cart's wait all is killed; started again, the journey goes on where it was.
func TestKillInACartsWait(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		kill func(d *devShop)
		dark time.Duration // how long nothing runs
	}{
		{"the program", (*devShop).kill, 0},
		{"its Temporal server too", (*devShop).killAll, 0},
		{"for longer than the wait", (*devShop).killAll, 8 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := openShop(t, 600)
			ida := phoneNumber(1)
			d.join(t, ida)
			d.send(t, reviews(ida, 10)...)
			until(t, soon, func(c *assert.CollectT) { require.Equal(c, int64(2000), d.points(c, ida).Balance) })
			require.Equal(t, http.StatusAccepted, d.post(t, "/v1/redemptions", object{"customer": "phone:" + ida, "reward": "free-coffee"}).Status)
			code := aCode.FindString(d.received(t, soon, ida, "reward_code").Text)
			d.send(t, order("order-1", ida, nil))
			d.received(t, soon, ida, "stamp")
			until(t, soon, func(c *assert.CollectT) {
				thanks := slices.DeleteFunc(d.got(c, ida), func(s string) bool { return s != "milestone_thanks" })
				require.Len(c, thanks, 2)
			})
			d.send(t, cart("cart-1", ida, "cart-1", 120))
			until(t, soon, func(c *assert.CollectT) { require.Equal(c, "live", d.run(c, ida, "abandoned-cart").Status) })
			before, points := d.got(t, ida), d.points(t, ida)

			test.kill(d)
			<-time.After(test.dark)
			d.start()

			require.Equal(t, before, slices.DeleteFunc(d.got(t, ida), func(s string) bool { return s == "cart_reminder" }))
			require.Equal(t, points, d.points(t, ida))
			reminder := d.received(t, soon, ida, "cart_reminder")
			waiting := d.run(t, ida, "abandoned-cart")
			require.GreaterOrEqual(t, reminder.At.Sub(waiting.StartedAt), time.Hour-time.Minute)
			d.send(t, order("order-2", ida, object{"cart_id": "cart-1", "total": 117.5}))
			recovered := d.ended(t, soon, ida, "abandoned-cart", "recovered")
			require.InDelta(t, 117.5, recovered.Value, 0)
			require.Equal(t, http.StatusOK, d.post(t, "/v1/redemptions/capture", object{"code": code}).Status)
			d.ended(t, soon, ida, "redemption", "redeemed")
			want := append(slices.Clone(before), "cart_reminder", "stamp", "redemption_thanks")
			until(t, soon, func(c *assert.CollectT) { require.ElementsMatch(c, want, d.got(c, ida)) })
			agree(t, d.shop, openPages(t, d.temporal))
			require.ElementsMatch(t, want, d.got(t, ida), "nothing came twice")
		})
	}
}

// In the middle of a crowd's events it is killed, killed with its Temporal server, and stopped.
func TestKillInABurst(t *testing.T) {
	t.Parallel()
	d := openShop(t, 600)
	c := d.live(t, 14, false)
	for i, end := range []func(){d.kill, d.killAll, d.stop} {
		c.reaches(t, 0.25*float64(i+1))
		end()
		d.start()
	}
	c.end(t)
	c.reminded(t)
	require.Positive(t, c.unsure.Load(), "some requests met nobody")
	agree(t, d.shop, openPages(t, d.temporal))
	c.end(t)
}

// What was answered with 202 is kept, even when the process is killed with the answer on the wire.
func TestKillAfterTheAnswer(t *testing.T) {
	t.Parallel()
	d := openShop(t, 600)
	var phones []string
	for i, kill := range []func(){d.kill, d.killAll, d.kill} {
		phones = append(phones, phoneNumber(i))
		events := append([]object{registration(fmt.Sprintf("registration-%d", i), phones[i])}, reviews(phones[i], 10)...)
		d.send(t, events...)
		kill()
		d.start()
	}
	for _, phone := range phones {
		until(t, soon, func(c *assert.CollectT) {
			require.Equal(c, int64(2000), d.points(c, phone).Balance)
			require.Equal(c, "live", d.run(c, phone, "opt-in").Status)
			asked := slices.DeleteFunc(d.messages(c, phone), func(m messageView) bool { return m.Template != "opt_in_request" })
			require.Len(c, asked, 1)
			if asked[0].Status == "unknown" {
				require.Empty(c, d.got(c, phone), "killed between the note and the call, which is never made blindly again")
				return
			}
			require.Equal(c, []string{"opt_in_request"}, d.got(c, phone))
		})
	}
	agree(t, d.shop, openPages(t, d.temporal))
	for _, phone := range phones {
		require.LessOrEqual(t, len(d.got(t, phone)), 1)
	}
}

// Told to stop in the middle of work, by a service manager or at the keyboard, it stops at once and leaves nothing behind; what was
// under way goes on at the next start.
func TestStopsCleanly(t *testing.T) {
	t.Parallel()
	d := openShop(t, 600)
	c := d.live(t, 4, true)
	c.reaches(t, 0.3)
	began := time.Now()
	d.stop()
	t.Logf("stopped within %s", time.Since(began).Round(time.Millisecond))
	require.NotContains(t, d.process.stderr.String(), "level=ERROR")
	d.start()
	c.end(t)
	agree(t, d.shop, openPages(t, d.temporal))
}
