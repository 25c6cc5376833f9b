package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

func (h *house) addMessage(m *punchcard.Message) bool {
	h.t.Helper()
	var fresh bool
	h.do(func(tx *store.Tx) (err error) {
		fresh, err = tx.AddMessage(m)
		return err
	})
	return fresh
}

func TestMessage(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		m := h.message(c.ID, "run_1", 1)
		m.Template, m.Language, m.Topic, m.Text, m.Version, m.ReplyTo = "cart_reminder", "da", "reminders", "Hej 👋", "cart_reminder_ab12", "wamid.0"
		m.Reason, m.ErrorCode, m.GrantID, m.RetryAt, m.HandedAt = "quiet_hours", 131047, "grt_1", new(monday.Add(time.Hour)), new(monday)
		require.True(h.t, h.addMessage(m))
		have, err := h.view().Message(m.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, m, have)

		// One message an effect, and one a wamid.
		require.False(h.t, h.addMessage(h.message(c.ID, "run_1", 1)))
		of, err := h.view().MessageOfEffect("run_1", 1)
		require.NoError(h.t, err)
		require.Equal(h.t, m, of)
		of, err = h.view().MessageOfEffect("run_1", 2)
		require.NoError(h.t, err)
		require.Nil(h.t, of)

		h.clock.Advance(time.Minute)
		m.Wamid, m.Status, m.RetryAt, m.Reason, m.ErrorCode = new("wamid.1"), punchcard.MessageAccepted, nil, "", 0
		h.do(func(tx *store.Tx) error { return tx.SaveMessage(m) })
		byWamid, err := h.view().MessageByWamid("wamid.1")
		require.NoError(h.t, err)
		require.Equal(h.t, m, byWamid)
		require.Equal(h.t, monday.Add(time.Minute), byWamid.UpdatedAt)
		require.Equal(h.t, monday, byWamid.CreatedAt)
		byWamid, err = h.view().MessageByWamid("wamid.2")
		require.NoError(h.t, err)
		require.Nil(h.t, byWamid)

		inbound := func(wamid string) *punchcard.Message {
			return &punchcard.Message{
				ID: punchcard.NewID(punchcard.PrefixMessage), CustomerID: c.ID, Direction: punchcard.Inbound, Kind: "text", Text: "YES",
				Wamid: &wamid, Status: punchcard.MessageReceived,
			}
		}
		last, err := h.view().LastInbound(c.ID)
		require.NoError(h.t, err)
		require.Nil(h.t, last)
		require.True(h.t, h.addMessage(inbound("in.1")))
		require.False(h.t, h.addMessage(inbound("in.1")), "a webhook that comes twice")
		h.clock.Advance(time.Minute)
		require.True(h.t, h.addMessage(inbound("in.2")), "inbound messages share no effect")
		require.True(h.t, h.addMessage(h.message(c.ID, "run_1", 2)))
		last, err = h.view().LastInbound(c.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, new(monday.Add(2*time.Minute)), last)

		page, err := h.view().Messages(c.ID, "", 3)
		require.NoError(h.t, err)
		require.Len(h.t, page, 3)
		rest, err := h.view().Messages(c.ID, page[2].ID, 3)
		require.NoError(h.t, err)
		require.Equal(h.t, []punchcard.Message{*m}, rest)

		require.Error(h.t, h.exec("UPDATE messages SET status = 'received' WHERE direction = 'out'"))
		require.Error(h.t, h.exec("UPDATE messages SET status = 'sent' WHERE direction = 'in'"))
		require.Error(h.t, h.exec("UPDATE messages SET status = 'lost' WHERE direction = 'out'"))
	})
}

func TestHanded(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		step := 0
		add := func(status punchcard.MessageStatus, category string, handed *time.Time) {
			step++
			m := h.message(c.ID, "run_1", step)
			m.Status, m.Category, m.HandedAt = status, category, handed
			require.True(h.t, h.addMessage(m))
		}
		add(punchcard.MessageSending, "marketing", new(monday.Add(2*time.Second)))
		add(punchcard.MessageRead, "marketing", new(monday.Add(1500*time.Millisecond)))
		add(punchcard.MessageUnknown, "marketing", new(monday.Add(time.Second+time.Microsecond)))
		add(punchcard.MessageUnknown, "marketing", new(monday.Add(time.Second)))
		add(punchcard.MessageFailed, "marketing", new(monday.Add(3*time.Second)))
		add(punchcard.MessageSuppressed, "marketing", nil)
		add(punchcard.MessageDelivered, "utility", new(monday.Add(3*time.Second)))
		add(punchcard.MessageDelivered, "", new(monday.Add(3*time.Second)))
		handed, err := h.view().Handed(c.ID, monday.Add(time.Second))
		require.NoError(h.t, err)
		var got []string
		for _, one := range handed {
			got = append(got, fmt.Sprint(one.Category, one.HandedAt.Sub(monday)))
		}
		require.Equal(h.t, []string{"marketing1.000001s", "marketing1.5s", "marketing2s", "utility3s"}, got,
			"what left or may have, in order, after the moment; free text is not counted")
		handed, err = h.view().Handed(c.ID, monday.Add(time.Second-time.Microsecond).In(time.FixedZone("west", -3600)))
		require.NoError(h.t, err)
		require.Len(h.t, handed, 5)
	})
}

func TestSuppressDeferred(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		var ids []string
		for step := 1; step <= 3; step++ {
			m := h.message(c.ID, "run_1", step)
			m.Status, m.RetryAt = punchcard.MessageDeferred, new(monday.Add(time.Hour))
			if step == 3 {
				m.Status, m.RetryAt = punchcard.MessageSending, nil
			}
			require.True(h.t, h.addMessage(m))
			ids = append(ids, m.ID)
		}
		h.clock.Advance(time.Minute)
		h.do(func(tx *store.Tx) error { return tx.SuppressDeferred("run_1", 2, "left") })
		for i, want := range []punchcard.MessageStatus{punchcard.MessageSuppressed, punchcard.MessageDeferred, punchcard.MessageSending} {
			m, err := h.view().Message(ids[i])
			require.NoError(h.t, err)
			require.Equal(h.t, want, m.Status)
			if i == 0 {
				require.Equal(h.t, "left", m.Reason)
				require.Nil(h.t, m.RetryAt)
				require.Equal(h.t, monday.Add(time.Minute), m.UpdatedAt)
			}
		}
		h.do(func(tx *store.Tx) error { return tx.SuppressDeferred("run_1", 0, "left") })
		m, err := h.view().Message(ids[1])
		require.NoError(h.t, err)
		require.Equal(h.t, punchcard.MessageSuppressed, m.Status)
	})
}

func TestInbox(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		claim := func(limit int, lease time.Duration) []store.InboxItem {
			var items []store.InboxItem
			h.do(func(tx *store.Tx) (err error) {
				items, err = tx.ClaimInbox(limit, lease)
				return err
			})
			return items
		}
		require.Empty(h.t, claim(10, time.Minute))
		bodies := [][]byte{[]byte(`{"a":1}`), {0, 0xff, '"'}, []byte(`{}`)}
		for _, b := range bodies {
			h.do(func(tx *store.Tx) error { return tx.AddInbox(b) })
		}
		items := claim(2, time.Minute)
		require.Len(h.t, items, 2)
		for i, item := range items {
			require.Equal(h.t, bodies[i], item.Body, "byte for byte, oldest first")
			require.Equal(h.t, monday, item.ReceivedAt)
		}
		rest := claim(10, time.Minute)
		require.Len(h.t, rest, 1)
		h.do(func(tx *store.Tx) error { return tx.InboxDone([]int64{items[0].ID}) })
		h.do(func(tx *store.Tx) error { return tx.InboxFailed(items[1], "bad \x00", -time.Second, 2) })
		again := claim(10, time.Minute)
		require.Len(h.t, again, 1)
		require.Equal(h.t, 1, again[0].Attempts)
		require.Equal(h.t, "bad ", again[0].Error)
		h.do(func(tx *store.Tx) error { return tx.InboxFailed(again[0], "bad", -time.Second, 2) })
		require.Empty(h.t, claim(10, time.Minute))
		require.Equal(h.t, "parked", scalar[string](h, "SELECT status FROM inbox WHERE id = ?", again[0].ID))
	})
}

func TestClaimsOfTheInboxNeverOverlap(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		const webhooks, workers = 40, 5
		for i := range webhooks {
			h.do(func(tx *store.Tx) error { return tx.AddInbox(fmt.Append(nil, i)) })
		}
		met := h.meet(workers)
		claimed := make([][]store.InboxItem, workers)
		noErrors(h.t, together(workers, func(i int) error {
			return h.try(func(tx *store.Tx) (err error) {
				if claimed[i], err = tx.ClaimInbox(webhooks/workers, time.Hour); err != nil {
					return err
				}
				return met()
			})
		}))
		seen := map[int64]bool{}
		for _, items := range claimed {
			for _, item := range items {
				require.False(h.t, seen[item.ID])
				seen[item.ID] = true
			}
		}
		require.Len(h.t, seen, webhooks)
	})
}
