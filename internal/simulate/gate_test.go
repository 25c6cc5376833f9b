package simulate_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/activities"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// advert is a journey that sends marketing at each visit, with options of the send's own.
func advert(options string) string {
	return `
journey: advert
topic: offers
enter:
  - {on: shop.visited, key: event.visit}
steps:
  - send: advert
` + options + `
  - end: seen
`
}

// adverts is the coffee program with that journey, and caps of its own.
func adverts(t *testing.T, options, caps string) fstest.MapFS {
	t.Helper()
	templates := string(coffee()["templates.yaml"].Data) + `
  advert:
    category: marketing
    body: {en: New beans are in., da: Der er nye bønner.}
`
	program := replaced(t, string(coffee()["program.yaml"].Data), `caps:
  - {category: marketing, at_most: 2, within: 1d}
  - {category: marketing, at_most: 5, within: 7d}
`, caps)
	program = replaced(t, program, "  cart.emptied:       {cart_id: string}\n", "  cart.emptied:       {cart_id: string}\n  shop.visited:       {visit: string}\n")
	return with(map[string]string{"journeys/advert.yaml": advert(options), "templates.yaml": templates, "program.yaml": program})
}

func (b *bundle) visits(phone, id string) {
	b.t.Helper()
	b.event(phone, "shop.visited", map[string]any{"visit": id})
}

func (b *bundle) decisions(phone string) []string {
	b.t.Helper()
	all, err := b.Store.View(b.ctx).Decisions(b.customer(phone).ID, 0, time.Time{}, time.Time{}, 200)
	require.NoError(b.t, err)
	var out []string
	for _, d := range all {
		line := string(d.Verdict)
		if d.Reason != "" {
			line += " " + d.Reason
		}
		if d.Facts.Waits != "" {
			line += " for " + d.Facts.Waits
		}
		if d.Journey == "advert" {
			out = append(out, line)
		}
	}
	return out
}

// What a step says of a message that may not go now.
func TestNotNow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options   string
		messages  []string
		outcome   string
		decisions []string
		later     string // after eight days
	}{
		"it waits": {"", []string{"advert (deferred, quiet_hours)"}, "advert live at 1 ", []string{"defer quiet_hours"}, "advert seen"},
		"skip": {"    not_now: skip\n    on_not_sent: [{end: skipped}]", []string{"advert (suppressed, quiet_hours)"}, "advert skipped",
			[]string{"suppress quiet_hours"}, "advert skipped"},
		"end": {"    not_now: end", []string{"advert (suppressed, quiet_hours)"}, "advert not_now", []string{"end quiet_hours"}, "advert not_now"},
		"a deadline before the morning": {"    within: 2h\n    on_not_sent: [{end: late}]", []string{"advert (suppressed, deadline)"}, "advert late",
			[]string{"suppress deadline for quiet_hours"}, "advert late"},
		"a deadline after it": {"    within: 12h\n    on_not_sent: [{end: late}]", []string{"advert (deferred, quiet_hours)"}, "advert live at 1 ",
			[]string{"defer quiet_hours"}, "advert seen"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
				b := setup(t, fresh(t), adverts(t, c.options, ""))
				b.join(anna)
				b.advance(12 * time.Hour) // ten in the evening
				b.visits(anna, "o1")
				require.Equal(t, c.messages, b.advertised(anna))
				require.Equal(t, c.outcome, b.outcomeOf(anna, "advert"))
				require.Equal(t, c.decisions, b.decisions(anna))
				b.advance(8 * 24 * time.Hour)
				require.Equal(t, c.later, b.outcomeOf(anna, "advert"))
			})
		})
	}
}

// refusal is WhatsApp's answer with a code.
func refusal(code int) error {
	class, _ := whatsapp.Classify(code)
	return &whatsapp.Error{HTTPStatus: http.StatusBadRequest, Code: code, Class: class}
}

// advertised are the messages since the last call that are adverts.
func (b *bundle) advertised(phone string) []string {
	b.t.Helper()
	var out []string
	for _, m := range b.messages(phone) {
		if len(m) >= 6 && m[:6] == "advert" {
			out = append(out, m)
		}
	}
	return out
}

// outcomeOf is how the newest run of a journey stands.
func (b *bundle) outcomeOf(phone, journey string) string {
	b.t.Helper()
	newest := ""
	for _, o := range b.outcomes(phone) {
		if len(o) > len(journey) && o[:len(journey)] == journey {
			newest = o
		}
	}
	return newest
}

// A customer to whom WhatsApp delivers no more marketing is tried a day later, and a day later again; then the deadline is over.
func TestMarketingCapGivesUp(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), adverts(t, "    within: 60h\n    on_not_sent: [{end: late}]", ""))
		b.join(anna)
		b.advance(25 * time.Hour) // out of the service window, in which WhatsApp's limit does not count
		tried := 0
		b.wa.fail = nil
		refuse := func() {
			b.wa.fail = append(b.wa.fail, refusal(131049))
			tried++
		}
		refuse()
		b.visits(anna, "o1")
		require.Equal(t, []string{"advert (deferred, whatsapp_131049)"}, b.advertised(anna))
		b.advance(23 * time.Hour)
		require.Empty(t, b.wa.fail, "nothing was tried within the day")
		refuse()
		b.advance(61 * time.Minute)
		require.Empty(t, b.wa.fail, "tried after a day")
		refuse()
		b.advance(3 * 24 * time.Hour)
		require.Empty(t, b.wa.fail)
		require.Equal(t, "advert late", b.outcomeOf(anna, "advert"))
		require.Equal(t, []string{
			"send", "defer whatsapp_131049", "send", "defer whatsapp_131049", "send", "suppress deadline",
		}, b.decisions(anna))
		require.Equal(t, 3, tried)

		// Where the step says so, it is not waited for.
		b = setup(t, fresh(t), adverts(t, "    not_now: end", ""))
		b.join(anna)
		b.advance(25 * time.Hour)
		refuse = func() {
			b.wa.fail = append(b.wa.fail, refusal(131049))
		}
		refuse()
		b.visits(anna, "o1")
		require.Equal(t, "advert not_now", b.outcomeOf(anna, "advert"))
		require.Equal(t, []string{"send", "end whatsapp_131049"}, b.decisions(anna))
	})
}

// Of fifty sends to one customer at the same time as many go as the caps let, across journeys' runs.
func TestCapsAreExact(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), adverts(t, "", "caps:\n  - {topic: offers, at_most: 3, within: 1d}\n  - {category: marketing, at_most: 7, within: 7d}\n"))
		b.join(anna)
		for i := range 50 {
			b.seq++
			_, err := b.Dispatch.Ingest(b.ctx, []dispatch.Incoming{{
				ID: fmt.Sprintf("e%d", b.seq), Name: "shop.visited", Customer: dispatch.Reference{Phone: anna},
				Properties: map[string]any{"visit": fmt.Sprint(i)},
			}})
			require.NoError(t, err)
		}
		for {
			worked, err := b.Dispatch.Drain(b.ctx)
			require.NoError(t, err)
			if !worked {
				break
			}
		}
		runs, err := b.Store.View(b.ctx).Runs(b.customer(anna).ID, "", 200)
		require.NoError(t, err)
		var wait sync.WaitGroup
		started := 0
		for _, r := range runs {
			if r.Journey != "advert" {
				continue
			}
			started++
			wait.Go(func() {
				_, err := b.Activities.Send(b.ctx, activities.Input{Run: r.ID, Effect: rules.Effect{Node: "1", Step: 1}})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		require.Equal(t, 50, started)
		sent, waiting := 0, 0
		for _, m := range b.advertised(anna) {
			switch m {
			case "advert":
				sent++
			case "advert (deferred, cap)":
				waiting++
			}
		}
		require.Equal(t, 3, sent)
		require.Equal(t, 47, waiting)
	})
}

// A customer whom WhatsApp cannot reach is left alone until they write, or have another number.
func TestUndeliverable(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		program := adverts(t, "", "hygiene: {undeliverable_after: 3}\n")
		b := setup(t, fresh(t), program)
		b.join(anna)
		unreachable := func() { b.wa.fail = append(b.wa.fail, refusal(131026)) }
		for i := range 3 {
			if i == 1 { // WhatsApp tells one of them later
				b.visits(anna, "late")
				m, _ := b.newest(anna)
				b.change(map[string]any{"statuses": []any{map[string]any{
					"id": *m.Wamid, "status": "failed", "timestamp": "1749416383", "recipient_id": "4520123456", "biz_opaque_callback_data": m.ID,
					"errors": []any{map[string]any{"code": 131026, "title": "undeliverable"}},
				}}})
				continue
			}
			unreachable()
			b.visits(anna, fmt.Sprint(i))
		}
		require.Equal(t, 3, b.customer(anna).Undelivered)
		b.advertised(anna)
		b.visits(anna, "no")
		require.Equal(t, []string{"advert (suppressed, undeliverable)"}, b.advertised(anna))
		b.says(anna, "points")
		require.Zero(t, b.customer(anna).Undelivered)
		b.visits(anna, "again")
		require.Equal(t, []string{"advert"}, b.advertised(anna))

		for range 2 {
			unreachable()
			b.visits(anna, fmt.Sprint("more", b.seq))
		}
		require.Equal(t, 2, b.customer(anna).Undelivered)
		b.visits(anna, "arrives")
		m, _ := b.newest(anna)
		b.status(*m.Wamid, m.ID, "delivered")
		require.Zero(t, b.customer(anna).Undelivered, "one that arrives begins the count anew")
	})
}

// WhatsApp delivers no marketing to numbers of the United States, whatever the program says; one of Canada has the same country code.
func TestUnitedStates(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		program := adverts(t, "", "")
		program["program.yaml"].Data = []byte(replaced(t, string(program["program.yaml"].Data), "marketing_countries: [DK, DE, GB, NL]", "marketing_countries: [US, CA]"))
		program["program.yaml"].Data = []byte(replaced(t, string(program["program.yaml"].Data), "quiet_hours: {from: \"21:00\", to: \"09:00\"}", "quiet_hours: {from: \"21:00\", to: \"21:00\"}"))
		b := setup(t, fresh(t), program)
		const american, canadian = "+12125550123", "+16045550123" // New York, Vancouver
		for phone, want := range map[string]string{american: "advert (suppressed, us_marketing)", canadian: "advert"} {
			b.join(phone)
			b.visits(phone, "o1")
			require.Equal(t, []string{want}, b.advertised(phone), phone)
			// Whose number WhatsApp does not tell is known by the country in the user id.
			c := b.customer(phone)
			require.NoError(t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
				user := punchcard.Identity{Kind: punchcard.IdentityUserID, Value: c.Country + ".1"}
				if err := tx.AddIdentities(c, []punchcard.Identity{user}); err != nil {
					return err
				}
				return tx.Retire(punchcard.Identity{Kind: punchcard.IdentityPhone, Value: phone, CustomerID: c.ID}, b.Clock.Now())
			}))
			b.visits(phone, "o2")
			require.Equal(t, []string{want}, b.advertised(phone)[:1], phone)
		}
	})
}

// A request is asked about in one run, however many ask; a fresh request may be asked about again.
func TestAskedOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		pushy := `
journey: pushy
purpose: consent
enter:
  - {on: shop.visited, key: event.visit}
steps:
  - ask: opt_in_request
    timeout: 2d
    answers:
      yes: [{end: subscribed}]
      no:  [{end: declined}]
    on_timeout: [{end: unconfirmed}]
`
		program := adverts(t, "", "")
		program["journeys/advert.yaml"].Data = []byte(pushy)
		b := setup(t, fresh(t), program)
		b.event(anna, "registration.received", map[string]any{"source": "web"})
		require.Equal(t, []string{"opt_in_request"}, b.messages(anna))
		b.advance(time.Hour)
		for i := range 3 {
			b.visits(anna, fmt.Sprint(i))
		}
		for _, m := range b.messages(anna) {
			require.NotEqual(t, "opt_in_request", m)
		}
		require.Equal(t, "pushy unreachable", b.outcomeOf(anna, "pushy"))
		b.advance(3 * 24 * time.Hour)
		b.messages(anna)
		b.says(anna, "join")
		require.Contains(t, b.messages(anna), "opt_in_request", "they asked themself")
		standings, err := b.Store.View(b.ctx).Standings(b.customer(anna).ID)
		require.NoError(t, err)
		require.Equal(t, punchcard.StandingRequested, standings["offers"].Standing)
	})
}
