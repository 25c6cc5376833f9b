package simulate_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
)

// invites is the code by which a customer brings others.
func (b *bundle) invites(phone string) string {
	b.t.Helper()
	own, err := b.Dispatch.OwnReferral(b.ctx, b.customer(phone).ID)
	require.NoError(b.t, err)
	return own.Code
}

// known makes a customer known who has done nothing.
func (b *bundle) known(phone string) {
	b.t.Helper()
	b.event(phone, "cart.emptied", map[string]any{"cart_id": "none"})
}

func (b *bundle) orders(phone, id string, total float64) {
	b.t.Helper()
	b.event(phone, "order.placed", map[string]any{"order_id": id, "total": total})
}

func (b *bundle) refunds(phone, id string, total float64) {
	b.t.Helper()
	b.event(phone, "order.refunded", map[string]any{"order_id": id, "total": total})
}

// referrals are those of a customer, as "status reason", oldest first.
func (b *bundle) referrals(phone string) []string {
	b.t.Helper()
	rows, err := b.Store.View(b.ctx).Referrals("", b.customer(phone).ID, "", 100)
	require.NoError(b.t, err)
	var out []string
	for _, row := range slices.Backward(rows) {
		out = append(out, strings.TrimSpace(string(row.Status)+" "+row.Reason))
	}
	return out
}

const (
	bea  = "+4520000001"
	carl = "+4520000002"
)

// A friend comes by the link, orders, and both are rewarded; a refund takes it from both.
func TestReferral(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		require.NoError(t, dispatch.SetNumber(b.ctx, b.Store, "+4570000000"))
		b.known(anna)
		b.says(anna, "invite")
		own, err := b.Dispatch.OwnReferral(b.ctx, b.customer(anna).ID)
		require.NoError(t, err)
		said := b.messages(anna)
		require.Len(t, said, 1)
		require.Contains(t, said[0], own.Link)
		link, err := url.Parse(own.Link)
		require.NoError(t, err)
		require.Equal(t, "wa.me/4570000000", link.Host+link.Path)

		b.says(bea, strings.ToLower(link.Query().Get("text"))+" ")
		require.Equal(t, []string{"attributed"}, b.referrals(bea))
		require.Equal(t, []string{"opt_in_request"}, b.messages(bea), "who comes so asks to join")
		b.orders(bea, "small", 9)
		require.Equal(t, []string{"refused not_new"}, b.tries(carl, b.invites(anna), func() { b.orders(carl, "before", 3) }))
		require.Equal(t, []string{"attributed"}, b.referrals(bea), "the program says from how much on")
		b.orders(bea, "o1", 20)
		require.Equal(t, []string{"completed"}, b.referrals(bea))
		b.orders(bea, "o2", 20)
		require.EqualValues(t, 200, b.points(anna).Available)
		require.EqualValues(t, 100, b.points(bea).Available, "the orders' points are pending")

		b.refunds(bea, "o1", 5)
		require.Equal(t, []string{"completed"}, b.referrals(bea), "a part of it")
		b.refunds(bea, "o1", 15)
		require.Equal(t, []string{"reversed"}, b.referrals(bea))
		require.Zero(t, b.points(anna).Available)
		require.Zero(t, b.points(bea).Available)
		b.refunds(bea, "o1", 20)
		b.orders(bea, "o3", 20)
		require.Equal(t, []string{"reversed"}, b.referrals(bea), "once for a friend")
		require.Zero(t, b.points(anna).Available+b.points(anna).Debt)
	})
}

// tries has somebody come by a code after they did something.
func (b *bundle) tries(phone, code string, before func()) []string {
	b.t.Helper()
	before()
	_, err := b.Dispatch.Refer(b.ctx, b.customer(phone).ID, code)
	require.Equal(b.t, punchcard.CodeConflict, punchcard.CodeOf(err))
	return b.referrals(phone)
}

// Every refusal is recorded with its reason, and rewards nobody.
func TestReferralRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		for name, test := range map[string]func(b *bundle) (who string, want []string){
			"unknown": func(b *bundle) (string, []string) {
				b.says(bea, "FRIEND AAAAAAAA")
				return bea, []string{"refused unknown_code"}
			},
			"no code at all": func(b *bundle) (string, []string) {
				b.says(bea, "friend of yours")
				return bea, nil
			},
			"self": func(b *bundle) (string, []string) {
				b.says(anna, "FRIEND "+b.invites(anna))
				return anna, []string{"refused self"}
			},
			"by a registration": func(b *bundle) (string, []string) {
				b.event(bea, "registration.received", map[string]any{"source": "web", "referral_code": b.invites(anna)})
				b.event(bea, "registration.received", map[string]any{"source": "web", "referral_code": b.invites(anna)})
				return bea, []string{"attributed"}
			},
			"first wins": func(b *bundle) (string, []string) {
				b.known(carl)
				b.says(bea, "FRIEND "+b.invites(anna))
				b.says(bea, "FRIEND "+b.invites(carl))
				b.orders(bea, "o", 50)
				require.EqualValues(b.t, 200, b.points(anna).Available)
				require.Zero(b.t, b.points(carl).Available)
				return bea, []string{"completed", "refused already_referred"}
			},
			"ring": func(b *bundle) (string, []string) {
				b.says(bea, "FRIEND "+b.invites(anna))
				b.says(carl, "FRIEND "+b.invites(bea))
				b.says(anna, "FRIEND "+b.invites(carl))
				b.says(anna, "FRIEND "+b.invites(bea))
				return anna, []string{"attributed", "refused ring", "refused ring"}
			},
			"same phone": func(b *bundle) (string, []string) {
				// The number was Anna's before it was somebody else's: WhatsApp knows them apart.
				says := func(user, text string) {
					b.advance(time.Minute)
					b.change(map[string]any{"messages": []any{map[string]any{
						"id": "wamid." + user, "from": strings.TrimPrefix(anna, "+"), "from_user_id": user, "type": "text", "text": map[string]any{"body": text},
						"timestamp": fmt.Sprint(b.Store.Clock().Now().Unix()),
					}}})
				}
				says("DK.1", "hello")
				before, code := b.customer(anna).ID, b.invites(anna)
				says("DK.2", "FRIEND "+code)
				require.NotEqual(b.t, before, b.customer(anna).ID)
				return anna, []string{"refused same_person"}
			},
			"too late": func(b *bundle) (string, []string) {
				b.event(bea, "registration.received", map[string]any{"source": "web", "referral_code": b.invites(anna)})
				b.advance(61 * 24 * time.Hour)
				b.orders(bea, "o", 50)
				return bea, []string{"refused too_late"}
			},
			"refunded before it came": func(b *bundle) (string, []string) {
				b.event(bea, "registration.received", map[string]any{"source": "web", "referral_code": b.invites(anna)})
				b.refunds(bea, "o", 50)
				b.orders(bea, "o", 50)
				return bea, []string{"attributed"}
			},
			"limit": func(b *bundle) (string, []string) {
				for i := range 11 {
					friend := fmt.Sprintf("+45200001%02d", i)
					b.event(friend, "registration.received", map[string]any{"source": "web", "referral_code": b.invites(anna)})
					b.orders(friend, "o-"+friend, 10)
				}
				require.EqualValues(b.t, 2000, b.points(anna).Available)
				return "+4520000110", []string{"refused limit_reached"}
			},
			"guessing is not recorded for ever": func(b *bundle) (string, []string) {
				var want []string
				for range 12 {
					b.event(bea, "registration.received", map[string]any{"source": "web", "referral_code": punchcard.NewReferralCode()})
				}
				for range 10 {
					want = append(want, "refused unknown_code")
				}
				return bea, want
			},
		} {
			t.Run(name, func(t *testing.T) {
				b := setup(t, fresh(t), coffee())
				b.known(anna)
				who, want := test(b)
				require.Equal(t, want, b.referrals(who))
			})
		}
	})
}

// Whoever comes by whose code at the same time: a friend is one customer's, no two bring each other, no ring closes, and each who counts is
// rewarded once.
func TestReferralsUnderConcurrency(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		const people = 8
		ids, codes := make([]string, people), make([]string, people)
		for i := range people {
			phone := fmt.Sprintf("+452000020%d", i)
			b.known(phone)
			ids[i], codes[i] = b.customer(phone).ID, b.invites(phone)
		}
		r := rand.New(rand.NewPCG(7, 7))
		var wg sync.WaitGroup
		failed := make(chan error, 100)
		for range 60 {
			who, by := r.IntN(people), r.IntN(people)
			wg.Go(func() {
				if _, err := b.Dispatch.Refer(b.ctx, ids[who], codes[by]); err != nil && punchcard.CodeOf(err) != punchcard.CodeConflict {
					failed <- err
				}
			})
		}
		wg.Wait()
		close(failed)
		var errs []error
		for err := range failed {
			errs = append(errs, err)
		}
		require.NoError(t, errors.Join(errs...))
		rows, err := b.Store.View(b.ctx).Referrals(punchcard.ReferralAttributed, "", "", 100)
		require.NoError(t, err)
		require.NotEmpty(t, rows)
		by := map[string]string{}
		for _, row := range rows {
			require.Empty(t, by[row.FriendID], "one customer's")
			by[row.FriendID] = *row.ReferrerID
		}
		for id := range by {
			steps := 0
			for at := id; at != ""; at = by[at] {
				steps++
				require.LessOrEqual(t, steps, people, "a ring")
			}
		}
		// All friends order at once, each twice, and the dispatchers of two processes race.
		var events []dispatch.Incoming
		for i, id := range ids {
			for n := range 2 {
				order := fmt.Sprintf("%d-%d", i, n)
				events = append(events, dispatch.Incoming{
					ID: order, Name: "order.placed", Customer: dispatch.Reference{ID: id}, Properties: map[string]any{"order_id": order, "total": 10},
				})
			}
		}
		receipt, err := b.Dispatch.Ingest(b.ctx, events)
		require.NoError(t, err)
		require.Equal(t, len(events), receipt.Accepted)
		require.NoError(t, b.Settle(b.ctx))
		var earned int64
		for _, id := range ids {
			p, err := b.Store.View(b.ctx).PointsNow(id)
			require.NoError(t, err)
			earned += p.Available
		}
		require.EqualValues(t, 300*len(by), earned)
		done, err := b.Store.View(b.ctx).Referrals(punchcard.ReferralCompleted, "", "", 100)
		require.NoError(t, err)
		require.Len(t, done, len(by))
	})
}

// When two prove to be one person, a referral between them is none, and codes that were handed on go on working.
func TestReferralsOfMerged(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.known(anna)
		code := b.invites(anna)
		b.says(bea, "FRIEND "+code)
		b.says(carl, "FRIEND "+b.invites(bea))
		_, err := b.Dispatch.Merge(b.ctx, b.customer(bea).ID, b.customer(anna).ID)
		require.NoError(t, err)
		require.NoError(t, b.Settle(b.ctx))
		require.Equal(t, []string{"refused same_person", "attributed"}, b.referrals(anna))
		dina := "+4520000003"
		b.says(dina, "FRIEND "+code)
		require.Equal(t, []string{"attributed"}, b.referrals(dina))
		b.orders(carl, "o", 30)
		require.EqualValues(t, 200, b.points(anna).Available)
	})
}
