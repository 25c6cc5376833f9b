package simulator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

// A receiver that took a webhook and could not say so gets it again, byte for byte.
func TestWebhookAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var calls atomic.Int32
	w.receiver.answers(func() int {
		if calls.Add(1) <= 3 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	in := w.says(mia, "hi / é 🎁")
	require.Equal(t, "hi / é 🎁", in.Text)
	first := <-w.receiver.bodies
	for range 3 {
		require.Equal(t, first, <-w.receiver.bodies)
	}
	// As Meta writes it: whoever signs a body of their own making finds out.
	require.Contains(t, first, `hi \/ \u00e9 \ud83c\udf81`)
}

// Only a 200 takes a webhook, as with Meta.
func TestWebhookOnly200(t *testing.T) {
	t.Parallel()
	w := setup(t)
	statuses := []int{http.StatusCreated, http.StatusNoContent, http.StatusBadRequest, http.StatusOK}
	var calls atomic.Int32
	w.receiver.answers(func() int { return statuses[calls.Add(1)-1] })
	w.says(mia, "hi")
	require.EqualValues(t, 4, calls.Load())
}

// Webhooks of a person come in order and none is lost, with people at once and a receiver that fails.
func TestWebhookOrder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var calls atomic.Int64
	w.receiver.answers(func() int {
		if calls.Add(1)%17 == 0 {
			return http.StatusBadGateway
		}
		return http.StatusOK
	})
	const people, each = 8, 25
	var wg sync.WaitGroup
	for p := range people {
		wg.Go(func() {
			for i := range each {
				code, _ := w.call(http.MethodPost, fmt.Sprintf("/people/+452000000%d/messages", p), object{"text": fmt.Sprint(i)})
				if code != http.StatusCreated {
					t.Errorf("answered %d", code)
				}
			}
		})
	}
	wg.Wait()
	got := map[string][]string{}
	for range people * each {
		in := w.receiver.inbound(t)
		got[in.From] = append(got[in.From], in.Text)
	}
	require.Len(t, got, people)
	for _, texts := range got {
		require.Len(t, texts, each)
		require.True(t, slices.IsSortedFunc(texts, func(a, b string) int { return len(a)*1000 - len(b)*1000 + strings.Compare(a, b) }), "%v", texts)
	}
}

// Webhooks wait for an address, and for Run.
func TestWebhookWaits(t *testing.T) {
	t.Parallel()
	rec := newReceiver(t)
	w := setup(t, func(o *Options) { o.WebhookURL = "" })
	code, _ := w.call(http.MethodPost, "/people/"+mia+"/messages", object{"text": "early"})
	require.Equal(t, http.StatusCreated, code)
	require.Equal(t, sent, w.chat(mia)[0].Status)
	w.sim.SetWebhookURL(rec.address)
	require.Equal(t, "early", rec.inbound(t).Text)
}

func TestRunEnds(t *testing.T) {
	t.Parallel()
	sim, err := New(Options{WebhookURL: "http://127.0.0.1:1", BusinessPhone: "+4533112233"})
	require.NoError(t, err)
	sim.mu.Lock()
	m := &message{ID: "wamid.x", Phone: mia, Direction: in, Type: "text", Text: "hi", At: sim.now(), Status: sent}
	require.NoError(t, sim.commit(fact{Message: m, Hooks: []hook{sim.inboundHook(0, sim.lookUp(mia), m)}}))
	sim.mu.Unlock()

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- sim.Run(ctx) }()
	cancel()
	require.NoError(t, <-done)

	// A second Run takes over what the first could not deliver.
	rec := newReceiver(t)
	sim.opt.AppSecret = secret
	sim.SetWebhookURL(rec.address)
	go func() { done <- sim.Run(t.Context()) }()
	require.Equal(t, "hi", rec.inbound(t).Text)
	require.NoError(t, sim.Close())
	require.NoError(t, <-done)
	require.NoError(t, sim.Close(), "twice")
}

func TestServicePrice(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.clock.Advance(-60 * 24 * time.Hour) // September 2026
	w.says(mia, "hi")
	free := whatsapp.Pricing{Category: "service", Type: "free_customer_service"}
	w.send(whatsapp.Message{To: mia, Text: &whatsapp.Text{Body: "x"}})
	require.Equal(t, free, *w.receiver.status(t).Pricing)
	require.Equal(t, free, *w.receiver.status(t).Pricing)
	w.clock.Advance(60 * 24 * time.Hour)
	w.says("+4599999999", "hi")
	w.send(whatsapp.Message{To: "+4599999999", Text: &whatsapp.Text{Body: "x"}})
	require.Equal(t, whatsapp.Pricing{Category: "service", Type: "regular", Billable: true}, *w.receiver.status(t).Pricing)
}
