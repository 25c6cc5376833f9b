package simulate_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/activities"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/internal/whatsapp/simulator"
)

// busy is a pacer that has no turn for the first who ask, and then gives those of another.
type busy struct {
	activities.Pacer

	mu        sync.Mutex
	away      int
	marketing []bool // what each who asked wants to send
}

func (p *busy) Turn(ctx context.Context, marketing bool) (*activities.Turn, error) {
	p.mu.Lock()
	p.marketing = append(p.marketing, marketing)
	away := p.away > 0
	p.away--
	p.mu.Unlock()
	if away {
		return &activities.Turn{Wait: 30 * time.Second}, nil
	}
	return p.Pacer.Turn(ctx, marketing)
}

// A message for which there is no turn is not sent and not lost: it waits as long as it is told to, and goes out once. What WhatsApp says
// of the rate slows whoever shares it.
func TestPacedSend(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		rates, err := activities.NewRates(b.Store, activities.Rate{PerSecond: 1000, Marketing: 75, Number: "1", Account: "2"})
		require.NoError(t, err)
		pacer := &busy{Pacer: rates, away: 3}
		b.Activities.Pacer = pacer
		var phones []string
		for i := range 3 {
			phones = append(phones, b.asks(i))
		}
		for _, phone := range phones {
			m, run := b.newest(phone)
			require.Equal(t, []any{punchcard.MessageDeferred, activities.ReasonRate, 0}, []any{m.Status, m.Reason, m.Attempts})
			require.Equal(t, punchcard.RunLive, run.Status)
		}
		require.Empty(t, b.wa.sent)
		b.advance(29 * time.Second)
		require.Empty(t, b.wa.sent)
		b.advance(2 * time.Second)
		require.Len(t, b.wa.sent, 3)
		for _, phone := range phones {
			m, _ := b.newest(phone)
			require.Equal(t, []any{punchcard.MessageAccepted, 1}, []any{m.Status, m.Attempts})
		}

		b.wa.fail = []error{&whatsapp.Error{Code: 130429, Class: whatsapp.Retry, HTTPStatus: http.StatusTooManyRequests}}
		refused := b.asks(9)
		m, _ := b.newest(refused)
		require.Equal(t, []any{punchcard.MessageDeferred, "whatsapp_130429"}, []any{m.Status, m.Reason})
		level := func() (n int) {
			require.NoError(t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
				row, _, err := tx.LockRate("number/1")
				if err == nil {
					n = row.Level
				}
				return err
			}))
			return n
		}
		require.Equal(t, 1, level())
		b.advance(7 * time.Second)
		require.Len(t, b.wa.sent, 4, "refused before it was processed, it is sent once")

		require.NotContains(t, pacer.marketing, true)
		b.says(phones[0], "yes")
		b.event(phones[0], "cart.updated", map[string]any{"cart_id": "c1", "total": 120, "items": []any{}})
		b.advance(61 * time.Minute)
		require.Contains(t, pacer.marketing, true, "a reminder is marketing")
	})
}

// With the Marketing Messages API what is marketing goes by it and nothing else does; what it refuses for reasons of its own goes by
// the other way, and nothing goes twice.
func TestMarketingAPI(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		journal := filepath.Join(t.TempDir(), "journal")
		sim, err := simulator.New(simulator.Options{
			Clock: b.Clock, Token: "token", PhoneNumberID: "301", AccountID: "201", BusinessPhone: "+4533112233", Business: "Bean & Bloom", DataFile: journal,
		})
		require.NoError(t, err)
		var mu sync.Mutex
		var edges []string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			edge := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
			if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/v") && strings.HasSuffix(edge, "messages") {
				mu.Lock()
				edges = append(edges, edge)
				mu.Unlock()
			}
			sim.Handler().ServeHTTP(w, r)
		}))
		t.Cleanup(func() {
			server.Close()
			require.NoError(t, sim.Close())
		})
		went := func() []string {
			mu.Lock()
			defer mu.Unlock()
			out := edges
			edges = nil
			return out
		}
		client := whatsapp.New(whatsapp.Config{BaseURL: server.URL, PhoneNumberID: "301", AccountID: "201", Token: "token", HTTP: server.Client()})
		b.Activities.Sender, b.Activities.Marketing = client, whatsapp.MarketingSender{Client: client}
		policy, err := b.Fence.Catalog.Current(b.ctx)
		require.NoError(t, err)
		_, err = b.Dispatch.PushTemplates(b.ctx, textBook{client}, policy.Program)
		require.NoError(t, err)

		b.join(anna)
		require.Equal(t, []string{"messages", "messages"}, went())
		cart := func(id string) {
			b.event(anna, "cart.updated", map[string]any{"cart_id": id, "total": 120, "items": []any{}})
			b.advance(61 * time.Minute)
		}
		cart("c1")
		require.Equal(t, []string{"cart_reminder"}, b.messages(anna))
		require.Equal(t, []string{"marketing_messages"}, went())

		f := &faulty{t: t, address: server.URL}
		f.post("/faults", map[string]any{"send": "error", "code": 134102, "count": 1}, http.StatusCreated)
		cart("c2")
		require.Equal(t, []string{"cart_reminder"}, b.messages(anna))
		require.Equal(t, []string{"marketing_messages", "messages"}, went())
		m, _ := b.newest(anna)
		require.Equal(t, 1, m.Attempts)
		for id, times := range readTruth(t, journal).taken {
			require.Equal(t, 1, times, id)
		}
		require.Equal(t, 1, readTruth(t, journal).taken[m.ID])
	})
}
