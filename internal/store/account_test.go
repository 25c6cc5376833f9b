package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

// Each customer counts once, in the hour of the last message outside of their service window, and for a day.
func TestContacts(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		a, b := h.customer("a"), h.customer("b")
		contact := func(c *punchcard.Customer) {
			h.do(func(tx *store.Tx) error {
				if err := tx.Contacted(c); err != nil {
					return err
				}
				return tx.SaveReach(c)
			})
		}
		used := func() int64 {
			n, _, err := h.view().Contacts()
			require.NoError(h.t, err)
			return n
		}
		require.Zero(h.t, used())
		contact(a)
		contact(a)
		contact(b)
		require.EqualValues(h.t, 2, used())
		h.clock.Advance(20 * time.Hour)
		contact(a)
		require.EqualValues(h.t, 2, used(), "moved to another hour")
		h.clock.Advance(6 * time.Hour)
		require.EqualValues(h.t, 1, used(), "b is free")
		_, frees, err := h.view().Contacts()
		require.NoError(h.t, err)
		require.Equal(h.t, monday.Add(20*time.Hour).Truncate(time.Hour).Add(25*time.Hour), frees)
		h.clock.Advance(20 * time.Hour)
		require.Zero(h.t, used())
		contact(a)
		require.EqualValues(h.t, 1, used())
	})
}

// A circuit that is opened again stays open for the longer of the two.
func TestOpenCircuit(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		soon, late := monday.Add(time.Hour), monday.Add(2*time.Hour)
		open := func(reason string, until *time.Time) *punchcard.Account {
			h.do(func(tx *store.Tx) error { return tx.OpenCircuit(punchcard.CircuitAll, reason, until) })
			a, err := h.view().WhatsAppAccount()
			require.NoError(h.t, err)
			return a
		}
		require.Equal(h.t, late, *open("long", &late).CircuitUntil)
		a := open("short", &soon)
		require.Equal(h.t, late, *a.CircuitUntil)
		require.Equal(h.t, "long", a.Circuit)
		require.Empty(h.t, a.Holds(false, false, late))
		require.Equal(h.t, punchcard.ReasonCircuitOpen, a.Holds(false, false, soon))
		require.Nil(h.t, open("for good", nil).CircuitUntil)
		require.Nil(h.t, open("short", &soon).CircuitUntil, "somebody closes it")
	})
}
