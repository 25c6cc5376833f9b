package dispatch_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

// statuses is a webhook with statuses, each given as id, status and our id.
func statuses(said ...[3]string) []byte {
	lines := make([]string, len(said))
	for i, s := range said {
		lines[i] = fmt.Sprintf(`{"id":%q,"status":%q,"timestamp":"1767225600","biz_opaque_callback_data":%q}`, s[0], s[1], s[2])
	}
	return []byte(`{"entry":[{"id":"1","changes":[{"field":"messages","value":{"statuses":[` + strings.Join(lines, ",") + `]}}]}]}`)
}

// messages stores outbound messages of one customer, and answers their ids.
func (b *bundle) messages(n int, named bool) []string {
	b.t.Helper()
	ids := make([]string, n)
	require.NoError(b.t, b.store.Update(b.ctx, func(tx *store.Tx) error {
		c, err := tx.Enroll([]punchcard.Identity{{Kind: punchcard.IdentityExternal, Value: punchcard.NewID("x")}}, punchcard.Customer{})
		if err != nil {
			return err
		}
		for i := range ids {
			ids[i] = punchcard.NewID(punchcard.PrefixMessage)
			m := &punchcard.Message{ID: ids[i], CustomerID: c.ID, RunID: ids[i], Direction: punchcard.Outbound, Status: punchcard.MessageAccepted}
			if named {
				wamid := "wamid." + ids[i]
				m.Wamid = &wamid
			}
			if _, err := tx.AddMessage(m); err != nil {
				return err
			}
		}
		return nil
	}))
	return ids
}

func (b *bundle) status(id string) punchcard.MessageStatus {
	b.t.Helper()
	m, err := b.store.View(b.ctx).Message(id)
	require.NoError(b.t, err)
	return m.Status
}

// A status that the database refuses (it says that a message is another one of ours) stops none of its neighbours, is tried again
// and parked; parked webhooks can be listed and tried again.
func TestBadStatusAmongGoodOnes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		ids, taken := b.messages(41, false), b.messages(1, true)[0]
		var said [][3]string
		for i, id := range ids {
			wamid := "wamid." + id
			if i == 20 {
				wamid = "wamid." + taken
			}
			said = append(said, [3]string{wamid, "delivered", id})
		}
		require.NoError(t, b.d.Receive(b.ctx, statuses(said...)))
		require.NoError(t, b.d.Receive(b.ctx, statuses([3]string{"wamid." + taken, "read", ""})))
		b.drain()
		for i, id := range ids {
			want := punchcard.MessageDelivered
			if i == 20 {
				want = punchcard.MessageAccepted
			}
			require.Equal(t, want, b.status(id), i)
		}
		require.Equal(t, punchcard.MessageRead, b.status(taken))
		depth, err := b.store.View(b.ctx).InboxDepth()
		require.NoError(t, err)
		require.EqualValues(t, 1, depth, "the webhook with the bad one is tried again")
	})
}

// Two dispatchers take the same statuses, in different order, at once.
func TestStatusesTakenTwiceAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		other := setup(t, open())
		var ids []string
		for range 30 {
			ids = append(ids, b.messages(1, true)...)
		}
		var forward, backward [][3]string
		for i, id := range ids {
			forward = append(forward, [3]string{"wamid." + id, "sent", id})
			backward = append(backward, [3]string{"wamid." + ids[len(ids)-1-i], "read", ""})
		}
		for range 5 {
			require.NoError(t, b.d.Receive(b.ctx, statuses(forward...)))
			require.NoError(t, b.d.Receive(b.ctx, statuses(backward...)))
		}
		var wg sync.WaitGroup
		for _, d := range []*dispatch.Dispatcher{b.d, other.d} {
			wg.Go(func() {
				if _, err := d.Drain(b.ctx); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, id := range ids {
			m, err := b.store.View(b.ctx).Message(id)
			require.NoError(t, err)
			require.Equal(t, punchcard.MessageRead, m.Status)
			require.NotNil(t, m.SentAt)
			require.NotNil(t, m.ReadAt)
			require.Nil(t, m.DeliveredAt)
		}
	})
}

// Webhooks of kinds that this version has no use for are counted.
func TestUnknownWebhooksAreCounted(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		for range 3 {
			require.NoError(t, b.d.Receive(b.ctx, []byte(`{"entry":[{"id":"1","changes":[{"field":"moon_phase","value":{}},{"field":"tides","value":{}}]}]}`)))
		}
		b.drain()
		kinds, err := b.store.View(b.ctx).UnknownWebhooks()
		require.NoError(t, err)
		require.Len(t, kinds, 2)
		require.Equal(t, "moon_phase", kinds[0].Field)
		require.EqualValues(t, 3, kinds[0].Times)
	})
}
