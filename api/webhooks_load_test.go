package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/api"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
	"punchcard/internal/whatsapp"
	"punchcard/programs"
	"punchcard/rules"
)

const (
	// statusesPerSecond is what Meta's largest number may cause: three statuses of a thousand messages.
	statusesPerSecond = 3000
	duplicates        = 0.1
	mostUpdates       = 1000 // in one webhook, by Meta's documentation
	loadCustomers     = 500
)

// told is what WhatsApp says of one message, and what must come of it.
type told struct {
	message  punchcard.Message
	statuses []string // JSON, in the order in which they happened
	want     punchcard.Message
}

// tell makes up the way of one message.
func tell(chance *rand.Rand, n int, customer string, began time.Time) *told {
	x := &told{message: punchcard.Message{
		ID: punchcard.NewID(punchcard.PrefixMessage), CustomerID: customer, RunID: punchcard.NewID(punchcard.PrefixRun), Step: 1,
		Direction: punchcard.Outbound, Kind: "template", Status: punchcard.MessageAccepted,
	}}
	wamid := fmt.Sprintf("wamid.%d", n)
	if chance.IntN(4) == 0 {
		x.message.Status = punchcard.MessageSending // the webhook is faster than the answer to our call
	} else {
		x.message.Wamid = &wamid
	}
	x.want = x.message
	x.want.Wamid = &wamid
	ways := [][]string{{"sent"}, {"sent", "delivered"}, {"sent", "delivered", "read"}, {"sent", "read"}, {"sent", "failed"}, {"failed"}}
	at := began.Add(time.Duration(n) * time.Millisecond).Truncate(time.Second)
	for _, word := range ways[chance.IntN(len(ways))] {
		at = at.Add(time.Duration(1+chance.IntN(60)) * time.Second)
		more := ""
		x.want.Status = punchcard.MessageStatus(word)
		when := at
		switch word {
		case "sent":
			x.want.SentAt = &when
		case "delivered":
			x.want.DeliveredAt = &when
		case "read":
			x.want.ReadAt = &when
		case "failed":
			x.want.FailedAt, x.want.ErrorCode, x.want.Reason = &when, 131026, "whatsapp_131026"
			more = `,"errors":[{"code":131026,"title":"undeliverable"}]`
		}
		if word != "failed" {
			billable := n%3 > 0
			x.want.PriceCategory, x.want.PriceType, x.want.Billable = "marketing", "regular", &billable
			more = fmt.Sprintf(`,"pricing":{"billable":%t,"pricing_model":"PMP","type":"regular","category":"marketing"}`, billable)
		}
		x.statuses = append(x.statuses, fmt.Sprintf(`{"id":%q,"status":%q,"timestamp":"%d","recipient_user_id":"DK.%s","biz_opaque_callback_data":%q%s}`,
			wamid, word, at.Unix(), strings.TrimPrefix(customer, "cus_"), x.message.ID, more))
	}
	return x
}

// post is one webhook and how many updates it holds.
type post struct {
	body []byte
	n    int
}

// posts puts statuses into webhooks of all sizes.
func posts(chance *rand.Rand, statuses []string) []post {
	var out []post
	for len(statuses) > 0 {
		var n int
		switch chance.IntN(40) {
		case 0:
			n = 1 + chance.IntN(mostUpdates)
		case 1, 2, 3:
			n = 1 + chance.IntN(100)
		default:
			n = 1 + chance.IntN(10)
		}
		n = min(n, len(statuses))
		body := `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",` +
			`"metadata":{"phone_number_id":"301"},"statuses":[` + strings.Join(statuses[:n], ",") + `]}}]}]}`
		out = append(out, post{[]byte(body), n})
		statuses = statuses[n:]
	}
	return out
}

// TestStatusLoad sends statuses at the rate of Meta's largest number, in webhooks of all sizes, with duplicates, in any order.
// Every webhook is acknowledged, every message ends as the statuses say, and each status counts once. It runs for two seconds, or
// for as many as PUNCHCARD_LOAD_SECONDS says: from ten on, 99 of 100 acknowledgements must come within a second.
// PUNCHCARD_LOAD_SEED repeats a run.
//
//nolint:paralleltest // a long run measures, so nothing else may run beside it
func TestStatusLoad(t *testing.T) {
	seconds, seed := 2, uint64(time.Now().UnixNano())
	if s := os.Getenv("PUNCHCARD_LOAD_SECONDS"); s != "" {
		var err error
		seconds, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	if s := os.Getenv("PUNCHCARD_LOAD_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	for _, dialect := range storetest.Dialects {
		t.Run(string(dialect), func(t *testing.T) { //nolint:paralleltest // as above
			statusLoad(t, storetest.New(t, dialect), seconds, seed)
		})
	}
}

func statusLoad(t *testing.T, s *store.Store, seconds int, seed uint64) {
	t.Helper()
	chance := rand.New(rand.NewPCG(seed, 1))
	f := fence.New(s)
	p, problems := rules.Load(programs.Coffee())
	require.Empty(t, problems)
	_, _, err := f.Catalog.Publish(t.Context(), p)
	require.NoError(t, err)
	var log lockedBuffer
	d := dispatch.New(f, &idle{}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})))
	server := httptest.NewServer(api.New(api.Options{
		Store: s, Dispatch: d, Catalog: f.Catalog, Keys: api.FixedKey(key), AppSecrets: []string{secret}, Log: slog.New(slog.DiscardHandler), Version: "test",
	}))
	defer server.Close()

	// The customers, and what will be said of the messages to them.
	began := time.Now().Add(-time.Hour).UTC()
	var customers []string
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		for range loadCustomers {
			c, err := tx.Enroll([]punchcard.Identity{{Kind: punchcard.IdentityExternal, Value: punchcard.NewID("x")}}, punchcard.Customer{})
			if err != nil {
				return err
			}
			customers = append(customers, c.ID)
			id := punchcard.Identity{Kind: punchcard.IdentityUserID, Value: "DK." + strings.TrimPrefix(c.ID, "cus_")}
			if err := tx.AddIdentities(c, []punchcard.Identity{id}); err != nil {
				return err
			}
		}
		return nil
	}))
	var all []*told
	var statuses []string
	for n := 0; len(statuses) < statusesPerSecond*seconds; n++ {
		x := tell(chance, n, customers[chance.IntN(len(customers))], began)
		all = append(all, x)
		for _, said := range x.statuses {
			statuses = append(statuses, said)
			if chance.Float64() < duplicates {
				statuses = append(statuses, said)
			}
		}
	}
	for some := range slices.Chunk(all, 1000) {
		require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
			for _, x := range some {
				if _, err := tx.AddMessage(&x.message); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	chance.Shuffle(len(statuses), func(i, j int) { statuses[i], statuses[j] = statuses[j], statuses[i] })
	webhooks := posts(chance, statuses)

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()

	// Each webhook goes when its time has come, whether or not those before it are answered. Its latency counts from then.
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	latencies := make([]time.Duration, len(webhooks))
	refused := make([]string, len(webhooks))
	var wg sync.WaitGroup
	start, due := time.Now(), 0
	for i, w := range webhooks {
		at := start.Add(time.Duration(due) * time.Second / statusesPerSecond)
		due += w.n
		time.Sleep(time.Until(at)) // the load's own pace; nothing is waited for
		wg.Go(func() {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/webhooks/whatsapp", bytes.NewReader(w.body))
			if err != nil {
				refused[i] = err.Error()
				return
			}
			r.Header.Set("X-Hub-Signature-256", whatsapp.Sign(secret, w.body))
			r.Header.Set("Content-Type", "application/json")
			answer, err := client.Do(r)
			if err != nil {
				refused[i] = err.Error()
				return
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				refused[i] = answer.Status
			}
			latencies[i] = time.Since(at)
		})
	}
	wg.Wait()
	sent := time.Since(start)
	require.Equal(t, make([]string, len(webhooks)), refused, "every webhook is acknowledged")
	require.Eventually(t, func() bool {
		n, err := s.View(ctx).InboxDepth()
		return err == nil && n == 0
	}, 2*time.Minute, 10*time.Millisecond)
	drained := time.Since(start) - sent
	cancel()
	require.NoError(t, <-done)
	require.Empty(t, log.String())

	slices.Sort(latencies)
	p50, p99 := latencies[len(latencies)/2], latencies[len(latencies)*99/100]
	t.Logf("seed %d: %d statuses of %d messages in %d webhooks, %.0f a second for %.1f s; acknowledged p50 %s, p99 %s, longest %s; drained %s after the last",
		seed, len(statuses), len(all), len(webhooks), float64(len(statuses))/sent.Seconds(), sent.Seconds(), p50.Round(10*time.Microsecond),
		p99.Round(10*time.Microsecond), latencies[len(latencies)-1].Round(time.Millisecond), drained.Round(time.Millisecond))
	if seconds >= 10 {
		require.Less(t, p99, time.Second)
	}

	// What came of it, message by message; so the counts are right as well.
	byID := map[string]*told{}
	for _, x := range all {
		byID[x.message.ID] = x
	}
	got := 0
	for some := range slices.Chunk(all, 500) {
		ids := make([]string, len(some))
		for i, x := range some {
			ids[i] = x.message.ID
		}
		rows, err := s.View(t.Context()).MessagesByID(ids)
		require.NoError(t, err)
		for _, m := range rows {
			want := byID[m.ID].want
			want.CreatedAt, want.UpdatedAt = m.CreatedAt, m.UpdatedAt
			require.Equal(t, want, *m, "seed %d", seed)
			got++
		}
	}
	require.Equal(t, len(all), got)
}
