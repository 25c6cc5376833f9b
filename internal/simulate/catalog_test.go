package simulate_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/rules"
)

// catalog is the coffee program with a catalog of the test's own, and the journey that redeems.
func catalog(rewards string) fstest.MapFS {
	program := with(map[string]string{"rewards.yaml": rewards, "journeys/gift.yaml": `
journey: gift
purpose: service
enter: [{on: review.posted}]
if_running: after
steps:
  - reward: "{{ entry.review_id }}"
    as: gift
    on_refused: [{label: refused}, {end: refused}]
  - say: "{{ gift.title }}: {{ default(gift.code, gift.url) }}"
  - end: given
`})
	for name := range program {
		if strings.HasPrefix(name, "journeys/") && name != "journeys/gift.yaml" {
			delete(program, name)
		}
	}
	return program
}

// earn gives a customer points.
func (b *bundle) earn(phone string, points int64) {
	b.t.Helper()
	c := b.customer(phone)
	require.NoError(b.t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(c.ID); err != nil {
			return err
		}
		_, _, err := tx.Earn(c.ID, points, "test", c.ID, fmt.Sprintf("earn/%s/%d", c.ID, points), tx.Now, nil)
		return err
	}))
}

// give has the gift journey give a reward, and answers what became of it: given, or the refusal's code.
func (b *bundle) give(phone, reward string) string {
	b.t.Helper()
	b.event(phone, "review.posted", map[string]any{"review_id": reward})
	runs, err := b.Store.View(b.ctx).Runs(b.customer(phone).ID, "", 1)
	require.NoError(b.t, err)
	require.Equal(b.t, punchcard.RunEnded, runs[0].Status, "%+v", runs[0])
	if runs[0].Outcome == "given" {
		return "given"
	}
	return runs[0].Bound["gift"].Reason
}

func TestCatalogRules(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), catalog(`
rewards:
  gold-only: {kind: offer, title: Gold, eligible: customer.tier == "gold", codes: generated, captured_by: till}
  broken: {kind: offer, title: Broken, eligible: latest("cart.updated").total > 3}
  yearly: {kind: offer, title: Yearly, per_customer: {at_most: 2, within: 365d}}
  few: {kind: offer, title: Few, stock: 2}
  costly: {kind: gift_card, title: Costly, value: 4.10, budget: {amount: 12.30, within: 30d}, codes: generated, format: BB-????-????, captured_by: till}
  advent: {kind: offer, title: Advent, from: 2026-12-01, until: 2026-12-24}
`))
		b.event(anna, "registration.received", map[string]any{"source": "web"})
		b.event(bo, "registration.received", map[string]any{"source": "web"})
		require.Equal(t, "not_eligible", b.give(anna, "gold-only"))
		require.Equal(t, "not_eligible", b.give(anna, "broken"), "an expression that fails is false")
		b.earn(anna, 2000)
		require.Equal(t, "given", b.give(anna, "gold-only"))
		require.Equal(t, "not_eligible", b.give(bo, "gold-only"), "a bronze customer's offer is another")

		require.Equal(t, "given", b.give(anna, "yearly"))
		require.Equal(t, "given", b.give(anna, "yearly"))
		require.Equal(t, "per_customer", b.give(anna, "yearly"))
		require.Equal(t, "given", b.give(bo, "yearly"))

		require.Equal(t, "given", b.give(anna, "few"))
		require.Equal(t, "given", b.give(anna, "few"))
		require.Equal(t, "sold_out", b.give(bo, "few"))

		require.Equal(t, "not_yet", b.give(anna, "advent"))
		for range 3 {
			require.Equal(t, "given", b.give(anna, "costly"))
		}
		require.Equal(t, "budget_used", b.give(bo, "costly"), "three of 4.10 are 12.30 to the cent")
		code := b.code(anna)
		require.Regexp(t, `^BB-[A-Z2-9]{4}-[A-Z2-9]{4}$`, code)
		require.True(t, punchcard.FitsFormat(code, "BB-????-????"))
		_, err := b.Dispatch.Capture(b.ctx, dispatch.Use{Code: code})
		require.NoError(t, err, "a till takes it with its hyphens")

		b.advance(30*24*time.Hour + time.Minute) // 23 December
		require.Equal(t, "given", b.give(anna, "advent"))
		require.Equal(t, "given", b.give(bo, "costly"), "the budget is one of thirty days")
		b.advance(48 * time.Hour)
		require.Equal(t, "over", b.give(bo, "advent"))
		b.advance(340 * 24 * time.Hour)
		require.Equal(t, "given", b.give(anna, "yearly"))
		require.Equal(t, "sold_out", b.give(bo, "few"), "a stock is for good")
	})
}

// What is counted over all customers holds when all come at once.
func TestBudgetIsExactTogether(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), catalog(`
rewards:
  costly: {kind: gift_card, title: Costly, value: 0.1, budget: {amount: 0.7}, codes: generated, captured_by: till}
  few: {kind: offer, title: Few, stock: 5}
`))
		const wishes = 30
		ids := make([]string, wishes)
		for i := range ids {
			phone := fmt.Sprintf("+45201000%02d", i)
			b.event(phone, "registration.received", map[string]any{"source": "web"})
			ids[i] = b.customer(phone).ID
		}
		var mu sync.Mutex
		outcomes := map[string]int{}
		var all sync.WaitGroup
		for i := range 2 * wishes {
			all.Go(func() {
				reward := []string{"costly", "few"}[i%2]
				_, err := b.Dispatch.GiveReward(b.ctx, dispatch.Given{Customer: ids[i/2], Reward: reward, By: "Maria", Note: "a test"})
				mu.Lock()
				defer mu.Unlock()
				outcomes[reward+" "+punchcard.ReasonOf(err)]++
			})
		}
		all.Wait()
		require.Equal(t, map[string]int{"costly ": 7, "costly budget_used": wishes - 7, "few ": 5, "few sold_out": wishes - 5}, outcomes)
	})
}

// The menu has what this customer can have: a gold customer's is another than a bronze one's.
func TestMenuByTier(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		rows := func(phone string) (ids []string) {
			b.says(phone, "redeem")
			for _, r := range b.wa.sent[len(b.wa.sent)-1].List.Sections[0].Rows {
				ids = append(ids, r.ID)
			}
			return ids
		}
		for _, phone := range []string{anna, bo} {
			b.join(phone)
		}
		b.earn(anna, 2000)
		b.earn(bo, 400)
		require.Equal(t, []string{"redeem:free-cake", "redeem:free-coffee"}, rows(bo))
		require.Equal(t, []string{"redeem:free-cake", "redeem:free-coffee", "redeem:tasting", "redeem:card-25", "redeem:barista-course"}, rows(anna))
		// What the menu does not show is refused all the same.
		r, err := b.Dispatch.RequestRedemption(b.ctx, b.customer(bo).ID, "tasting", "")
		require.NoError(t, err)
		require.NoError(t, b.Settle(b.ctx))
		r, err = b.Store.View(b.ctx).Redemption(r.ID)
		require.NoError(t, err)
		require.Equal(t, "not_eligible", r.Reason)
		require.Equal(t, int64(400), b.points(bo).Available)
	})
}

// A customer's own link to content leads there while the grant is good, and nobody can make one.
func TestContentLink(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), catalog(`
rewards:
  latte-art: {kind: content, title: Latte art, url: "https://beanandbloom.example/latte-art", valid_for: 2d, captured_by: delivery}
`))
		b.says(anna, "hello") // opens the service window
		require.Equal(t, "given", b.give(anna, "latte-art"))
		last := func() string { return b.wa.sent[len(b.wa.sent)-1].Text.Body }
		require.Equal(t, "Latte art: https://beanandbloom.example/latte-art", last(), "without an address of ours there are no own links")

		require.NoError(t, fence.SetPublicURL(b.ctx, b.Store, "https://rewards.example.com"))
		require.Equal(t, "given", b.give(anna, "latte-art"))
		token, own := strings.CutPrefix(last(), "Latte art: https://rewards.example.com/c/")
		require.True(t, own, last())
		url, err := b.Dispatch.OpenContent(b.ctx, token)
		require.NoError(t, err)
		require.Equal(t, "https://beanandbloom.example/latte-art", url)
		kept, err := b.Store.View(b.ctx).Messages(b.customer(anna).ID, "", 1)
		require.NoError(t, err)
		require.NotContains(t, kept[0].Text, token)

		_, err = b.Dispatch.OpenContent(b.ctx, token[:len(token)-1]+"x")
		require.Equal(t, punchcard.CodeNotFound, punchcard.CodeOf(err))
		b.advance(49 * time.Hour)
		_, err = b.Dispatch.OpenContent(b.ctx, token)
		require.Equal(t, "expired", punchcard.ReasonOf(err))
		require.Equal(t, punchcard.CodeGone, punchcard.CodeOf(err), http.StatusGone)
	})
}

// A pool that runs low calls somebody, once, and more loudly when it is empty.
func TestLowStockAlert(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), catalog(`
rewards:
  free-coffee: {kind: gift_card, title: Coffee, codes: pool, low_stock: 1, captured_by: till}
`))
		b.event(anna, "registration.received", map[string]any{"source": "web"})
		alert := func() string {
			alerts, err := b.Store.View(b.ctx).Alerts(false, "", 10)
			require.NoError(t, err)
			if len(alerts) == 0 {
				return ""
			}
			require.Len(t, alerts, 1)
			return fmt.Sprintf("%s %s %s %s", alerts[0].Kind, alerts[0].Subject, alerts[0].Severity, alerts[0].Detail)
		}
		require.Equal(t, "given", b.give(anna, "free-coffee"))
		require.Empty(t, alert())
		require.Equal(t, "given", b.give(anna, "free-coffee"))
		require.Equal(t, "codes_low free-coffee warning low", alert())
		require.Equal(t, "given", b.give(anna, "free-coffee"))
		require.Equal(t, "codes_low free-coffee critical empty", alert())
		require.Equal(t, "out_of_codes", b.give(anna, "free-coffee"))
	})
}

// Each no is kept for review: also to somebody of the team who gives by hand, and to a wish that no journey takes up any more.
func TestEachRefusalIsKept(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.join(anna)
		b.earn(anna, 400)
		id := b.customer(anna).ID
		_, err := b.Dispatch.GiveReward(b.ctx, dispatch.Given{Customer: id, Reward: "welcome-10", By: "maria", Note: "a second one"})
		require.Equal(t, "per_customer", punchcard.ReasonOf(err))

		_, err = b.Dispatch.RequestRedemption(b.ctx, id, "free-coffee", "")
		require.NoError(t, err)
		program := coffee()
		delete(program, "journeys/redemption.yaml")
		p, problems := rules.Load(program)
		require.Empty(t, problems.Errors())
		_, _, err = b.Fence.Catalog.Publish(b.ctx, p)
		require.NoError(t, err)
		require.NoError(t, b.Settle(b.ctx))

		kept, err := b.Store.View(b.ctx).Refusals("", id, "", 10)
		require.NoError(t, err)
		require.Len(t, kept, 2)
		require.Equal(t, [...]string{"free-coffee", "redeem", "no_journey"}, [...]string{kept[0].Reward, string(kept[0].Action), kept[0].Reason})
		require.Equal(t, [...]string{"welcome-10", "give", "per_customer"}, [...]string{kept[1].Reward, string(kept[1].Action), kept[1].Reason})
		require.Equal(t, int64(400), b.points(anna).Available)
	})
}

// A row of a menu that is older than the program is answered by what is so now.
func TestRowOfAnOldMenu(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.join(anna)
		b.earn(anna, 400)
		b.says(anna, "redeem")
		b.messages(anna)
		publish := func(program fstest.MapFS) {
			t.Helper()
			p, problems := rules.Load(program)
			require.Empty(t, problems.Errors())
			_, _, err := b.Fence.Catalog.Publish(b.ctx, p)
			require.NoError(t, err)
		}
		picks := func() []string {
			t.Helper()
			b.webhook(anna, map[string]any{"type": "interactive", "interactive": map[string]any{
				"type": "list_reply", "list_reply": map[string]any{"id": "redeem:free-cake", "title": "A slice of cake"},
			}})
			return b.messages(anna)
		}
		without := coffee()
		delete(without, "journeys/redemption.yaml")
		publish(without)
		require.Equal(t, []string{"text: You cannot have that now: it is not given out at the moment."}, picks())

		gone := coffee()
		gone["rewards.yaml"] = &fstest.MapFile{Data: regexp.MustCompile(`(?m)^  free-cake:.*\n`).ReplaceAll(gone["rewards.yaml"].Data, nil)}
		publish(gone)
		require.Equal(t, []string{"text: You cannot have that now: there is no such reward any more."}, picks())
		asked, err := b.Store.View(b.ctx).Redemptions("", b.customer(anna).ID, "", 10)
		require.NoError(t, err)
		require.Empty(t, asked)
	})
}
