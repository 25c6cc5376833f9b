package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

func TestHandoffs(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		open := func(id string, step int, d time.Duration) *punchcard.Handoff {
			o := &punchcard.Handoff{ID: id, CustomerID: c.ID, RunID: "run", Step: step, Note: "call her"}
			h.do(func(tx *store.Tx) error {
				o.Until = tx.Now.Add(d)
				return tx.OpenHandoff(o, c)
			})
			return o
		}
		long := open("hnd_1", 1, 2*time.Hour)
		short := open("hnd_2", 2, time.Hour)
		require.Equal(h.t, long.Until, *c.MutedUntil, "the longer of two counts")
		listed, err := h.view().OpenHandoffs("", 10)
		require.NoError(h.t, err)
		require.Len(h.t, listed, 2)

		h.do(func(tx *store.Tx) error { return tx.CloseHandoff(long, c, "Mia") })
		require.Equal(h.t, short.Until, *c.MutedUntil)
		h.do(func(tx *store.Tx) error { return tx.CloseHandoff(short, c, "Mia") })
		have, err := h.view().Customer(c.ID)
		require.NoError(h.t, err)
		require.Nil(h.t, have.MutedUntil)
		closed, err := h.view().Handoff("hnd_1")
		require.NoError(h.t, err)
		require.Equal(h.t, "Mia", closed.ClosedBy)
	})
}

func TestScheduleSlots(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		s := store.ScheduleSlot{Journey: "win-back", Zone: "Europe/Copenhagen", Slot: "2026-11-23"}
		for i, id := range []string{"cus_1", "cus_2"} {
			h.do(func(tx *store.Tx) error {
				have, err := tx.LockSlot(s)
				require.NoError(h.t, err)
				require.Equal(h.t, int64(i), have.LookedAt, "it goes on where it was")
				have.Cursor, have.LookedAt = id, have.LookedAt+1
				return tx.SaveSlot(have)
			})
		}
		h.do(func(tx *store.Tx) error {
			have, err := tx.LockSlot(s)
			require.NoError(h.t, err)
			have.EndedAt = &tx.Now
			return tx.SaveSlot(have)
		})
		h.do(func(tx *store.Tx) error {
			have, err := tx.LockSlot(s)
			require.NoError(h.t, err)
			require.Nil(h.t, have, "what has ended does not begin again")
			return nil
		})
		known, err := h.view().ScheduleSlot(s.Journey, 0, s.Zone, s.Slot)
		require.NoError(h.t, err)
		require.Equal(h.t, "cus_2", known.Cursor)
	})
}
