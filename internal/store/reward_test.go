package store_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

func TestGrant(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		g := newGrant(c.ID, "free-coffee", punchcard.GrantGiven)
		g.RunID, g.RedemptionID, g.Code, g.Cost, g.Value, g.ExpiresAt = "run_1", "", "ABC", 250, 4.5, new(monday.Add(time.Hour))
		h.do(func(tx *store.Tx) error { return tx.AddGrant(g) })
		have, err := h.view().Grant(g.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, g, have)
		none, err := h.view().Grant("grt_none")
		require.NoError(h.t, err)
		require.Nil(h.t, none)
		h.do(func(tx *store.Tx) error { return tx.SetGrantCode(g, "XYZ") })
		have, err = h.view().Grant(g.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, "•••", have.Code)

		var ids []string
		for range 4 {
			ids = append([]string{h.grant(c.ID, "latte-art", punchcard.GrantGiven).ID}, ids...)
		}
		ids = append(ids, g.ID)
		var paged []string
		for before := ""; ; {
			page, err := h.view().Grants(c.ID, before, 2)
			require.NoError(h.t, err)
			if len(page) == 0 {
				break
			}
			for _, g := range page {
				paged = append(paged, g.ID)
			}
			before = page[len(page)-1].ID
		}
		require.Equal(h.t, ids, paged)

		held := newGrant(c.ID, "free-coffee", punchcard.GrantHeld)
		held.RunID = "run_1"
		h.do(func(tx *store.Tx) error { return tx.AddGrant(held) })
		rows, err := h.view().HeldGrants("run_1")
		require.NoError(h.t, err)
		require.Equal(h.t, []punchcard.Grant{*held}, rows)

		require.Error(h.t, h.exec("UPDATE grants SET status = 'captured'"), "ended at no time")
		require.Error(h.t, h.exec("UPDATE grants SET ended_at = created_at"))
		require.Error(h.t, h.exec("UPDATE grants SET status = 'lost'"))
		require.Error(h.t, h.exec("UPDATE grants SET cost = -1"))
	})
}

func TestEndOfAGrant(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		redeem := func() *punchcard.Grant {
			r := &punchcard.Redemption{ID: punchcard.NewID(punchcard.PrefixRedemption), CustomerID: c.ID, Reward: "free-coffee"}
			h.do(func(tx *store.Tx) error { return tx.AddRedemption(r) })
			g := newGrant(c.ID, "free-coffee", punchcard.GrantHeld)
			g.RedemptionID = r.ID
			h.do(func(tx *store.Tx) error { return tx.AddGrant(g) })
			r.Status, r.GrantID, r.RunID = punchcard.RedemptionHeld, g.ID, "run_1"
			h.do(func(tx *store.Tx) error { return tx.SaveRedemption(r) })
			have, err := h.view().Redemption(r.ID)
			require.NoError(h.t, err)
			require.Equal(h.t, r, have)
			return g
		}
		end := func(g punchcard.Grant, how func(*store.Tx, *punchcard.Grant) (bool, error)) (bool, punchcard.Grant) {
			var done bool
			h.do(func(tx *store.Tx) (err error) {
				done, err = how(tx, &g)
				return err
			})
			return done, g
		}
		capture, release := (*store.Tx).CaptureGrant, (*store.Tx).ReleaseGrant

		g := redeem()
		stale := *g
		h.clock.Advance(time.Minute)
		done, now := end(*g, capture)
		require.True(h.t, done)
		require.Equal(h.t, punchcard.GrantCaptured, now.Status)
		require.Equal(h.t, new(monday.Add(time.Minute)), now.EndedAt)
		have, err := h.view().Grant(g.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, &now, have)
		r, err := h.view().Redemption(g.RedemptionID)
		require.NoError(h.t, err)
		require.Equal(h.t, punchcard.RedemptionCaptured, r.Status)
		require.Equal(h.t, now.EndedAt, r.EndedAt)

		// Whoever read it before is told how it stands now.
		for _, how := range []func(*store.Tx, *punchcard.Grant) (bool, error){capture, release} {
			done, now = end(stale, how)
			require.False(h.t, done)
			require.Equal(h.t, *have, now)
		}

		g = redeem()
		done, now = end(*g, release)
		require.True(h.t, done)
		require.Equal(h.t, punchcard.GrantReleased, now.Status)
		r, err = h.view().Redemption(g.RedemptionID)
		require.NoError(h.t, err)
		require.Equal(h.t, punchcard.RedemptionReleased, r.Status)

		given := h.grant(c.ID, "latte-art", punchcard.GrantGiven)
		done, now = end(*given, capture)
		require.True(h.t, done, "one that holds no points")
		require.Equal(h.t, punchcard.GrantCaptured, now.Status)

		refused := &punchcard.Redemption{ID: "rdm_1", CustomerID: c.ID, Reward: "free-coffee"}
		h.do(func(tx *store.Tx) error {
			if err := tx.AddRedemption(refused); err != nil {
				return err
			}
			if err := tx.EndRedemption("rdm_1", c.ID, punchcard.RedemptionRefused, "too_young"); err != nil {
				return err
			}
			return tx.EndRedemption("rdm_1", c.ID, punchcard.RedemptionReleased, "twice")
		})
		r, err = h.view().Redemption("rdm_1")
		require.NoError(h.t, err)
		require.Equal(h.t, punchcard.RedemptionRefused, r.Status)
		require.Equal(h.t, "too_young", r.Reason)
		require.NotNil(h.t, r.EndedAt)
		r, err = h.view().Redemption("rdm_none")
		require.NoError(h.t, err)
		require.Nil(h.t, r)
	})
}

func TestCodes(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		h.do(func(tx *store.Tx) error {
			n, err := tx.PoolCodes("free-coffee", []string{"A", "B", "A", "C"})
			require.EqualValues(h.t, 3, n)
			require.NoError(h.t, err)
			n, err = tx.PoolCodes("latte-art", []string{"A", "D"})
			require.EqualValues(h.t, 1, n, "a code is in one pool only")
			require.NoError(h.t, err)
			n, err = tx.PoolCodes("latte-art", nil)
			require.Zero(h.t, n)
			return err
		})
		many := make([]string, 1203)
		for i := range many {
			many[i] = fmt.Sprintf("M%04d", i)
		}
		h.do(func(tx *store.Tx) error {
			n, err := tx.PoolCodes("many", many)
			require.EqualValues(h.t, len(many), n)
			return err
		})
		free := func() int64 {
			n, err := h.view().FreeCodes("free-coffee")
			require.NoError(h.t, err)
			return n
		}
		require.EqualValues(h.t, 3, free())
		byCode, err := h.view().GrantByCode("A")
		require.NoError(h.t, err)
		require.Nil(h.t, byCode, "a free code is nobody's")

		var taken string
		g := h.grant(c.ID, "free-coffee", punchcard.GrantGiven)
		h.do(func(tx *store.Tx) error {
			var err error
			taken, err = tx.TakeCode("free-coffee", g.ID)
			require.Contains(h.t, []string{"A", "B", "C"}, taken)
			return err
		})
		require.EqualValues(h.t, 2, free())
		byCode, err = h.view().GrantByCode(taken)
		require.NoError(h.t, err)
		require.Equal(h.t, g.ID, byCode.ID)

		// One code to a grant, one grant to a code; a code that went out is never pooled again.
		err = h.try(func(tx *store.Tx) error {
			_, err := tx.TakeCode("free-coffee", g.ID)
			return err
		})
		require.True(h.t, store.IsDuplicate(err), "%v", err)
		h.do(func(tx *store.Tx) error {
			released, err := tx.ReleaseGrant(g)
			require.True(h.t, released)
			require.NoError(h.t, err)
			n, err := tx.PoolCodes("free-coffee", []string{taken})
			require.Zero(h.t, n)
			return err
		})
		require.EqualValues(h.t, 2, free())

		made := h.grant(c.ID, "welcome-10", punchcard.GrantGiven)
		h.do(func(tx *store.Tx) error {
			fresh, err := tx.AddCode("B", "welcome-10", made.ID)
			require.False(h.t, fresh, "the pool has that code")
			require.NoError(h.t, err)
			fresh, err = tx.AddCode("W", "welcome-10", made.ID)
			require.True(h.t, fresh)
			require.NoError(h.t, err)
			code, err := tx.TakeCode("empty", made.ID)
			require.Empty(h.t, code)
			return err
		})
		require.Error(h.t, h.exec("UPDATE reward_codes SET key_id = '' WHERE reward = 'many'"))
		require.Error(h.t, h.exec("UPDATE reward_codes SET grant_id = 'grt_none' WHERE grant_id IS NULL"))
	})
}

func TestTakeCodeTogether(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		const takers = 100
		c := h.customer("1")
		codes, grants := make([]string, takers), make([]string, takers)
		for i := range takers {
			codes[i] = fmt.Sprintf("C%03d", i)
		}
		h.do(func(tx *store.Tx) error {
			for i := range takers {
				g := newGrant(c.ID, "free-coffee", punchcard.GrantGiven)
				grants[i] = g.ID
				if err := tx.AddGrant(g); err != nil {
					return err
				}
			}
			_, err := tx.PoolCodes("free-coffee", codes)
			return err
		})
		taken := make([]string, takers)
		noErrors(h.t, together(takers, func(i int) error {
			return h.try(func(tx *store.Tx) (err error) {
				taken[i], err = tx.TakeCode("free-coffee", grants[i])
				return err
			})
		}))
		slices.Sort(taken)
		require.Equal(h.t, codes, taken)
		left, err := h.view().FreeCodes("free-coffee")
		require.NoError(h.t, err)
		require.Zero(h.t, left)
	})
}

func TestRewardLimit(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		const limit, wishes = 7, 40
		customers := make([]string, wishes)
		for i := range customers {
			customers[i] = h.customer(fmt.Sprint(i)).ID
		}
		var mu sync.Mutex
		given := 0
		noErrors(h.t, together(wishes, func(i int) error {
			granted := false
			err := h.try(func(tx *store.Tx) error {
				granted = false
				if _, err := tx.LockCustomer(customers[i]); err != nil {
					return err
				}
				if err := tx.LockReward("free-shipping"); err != nil {
					return err
				}
				n, err := tx.CountGrants("free-shipping", "", time.Time{})
				if err != nil || n >= limit {
					return err
				}
				granted = true
				return tx.AddGrant(newGrant(customers[i], "free-shipping", punchcard.GrantGiven))
			})
			mu.Lock()
			defer mu.Unlock()
			if granted && err == nil {
				given++
			}
			return err
		}))
		require.Equal(h.t, limit, given)
	})
}

func TestCountGrants(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		a, b := h.customer("1"), h.customer("2")
		h.grant(a.ID, "free-coffee", punchcard.GrantGiven)
		h.clock.Advance(time.Hour)
		h.grant(a.ID, "free-coffee", punchcard.GrantHeld)
		h.grant(b.ID, "free-coffee", punchcard.GrantGiven)
		h.grant(b.ID, "latte-art", punchcard.GrantGiven)
		released := h.grant(b.ID, "free-coffee", punchcard.GrantGiven)
		h.do(func(tx *store.Tx) error {
			_, err := tx.ReleaseGrant(released)
			return err
		})
		for name, want := range map[string]struct {
			customer string
			since    time.Time
			n        int64
		}{
			"of all":          {"", time.Time{}, 3},
			"of all, lately":  {"", monday, 2},
			"of one":          {a.ID, time.Time{}, 2},
			"of one, lately":  {a.ID, monday, 1},
			"of another":      {b.ID, time.Time{}, 1},
			"of one, too new": {a.ID, monday.Add(time.Hour), 0},
		} {
			n, err := h.view().CountGrants("free-coffee", want.customer, want.since)
			require.NoError(h.t, err)
			require.Equal(h.t, want.n, n, name)
		}
	})
}
