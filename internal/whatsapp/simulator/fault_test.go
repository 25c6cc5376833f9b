package simulator

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.template(cart)
	set := func(body object) {
		t.Helper()
		code, answer := w.call(http.MethodPost, "/faults", body)
		require.Equal(t, http.StatusCreated, code, "%v", answer)
	}
	send := func() (string, whatsapp.Class) {
		t.Helper()
		accepted, err := w.client.Send(t.Context(), cartMessage())
		if err != nil {
			require.Empty(t, accepted.ID)
			return "", whatsapp.ClassOf(err)
		}
		return accepted.ID, ""
	}
	// giveUp sends and hangs up when the fault has been spent and ready says so.
	giveUp := func(ready func() bool) whatsapp.Class {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := w.client.Send(ctx, cartMessage())
			done <- err
		}()
		require.Eventually(t, func() bool {
			w.sim.mu.Lock()
			defer w.sim.mu.Unlock()
			return len(w.sim.faults) == 0 && ready()
		}, waitFor, tick)
		cancel()
		return whatsapp.ClassOf(<-done)
	}

	set(object{"send": "timeout_before"})
	require.Equal(t, whatsapp.Ambiguous, giveUp(func() bool { return true }))
	require.Empty(t, w.chat(mia), "it was not taken")

	set(object{"send": "timeout_after", "count": 1})
	require.Equal(t, whatsapp.Ambiguous, giveUp(func() bool { return len(w.sim.messages) == 1 }))
	require.Len(t, w.chat(mia), 1, "it was taken")
	s := w.receiver.status(t)
	require.Equal(t, "msg_1", s.CallbackData, "which is how the sender finds out")
	w.receiver.status(t)

	set(object{"send": "http_500"})
	_, class := send()
	require.Equal(t, whatsapp.Ambiguous, class)

	set(object{"send": "error", "code": 130429, "count": 2})
	set(object{"send": "error", "code": 131050})
	_, answer := w.call(http.MethodGet, "/faults", nil)
	require.Len(t, answer["items"], 2)
	for _, want := range []whatsapp.Class{whatsapp.Retry, whatsapp.Retry, whatsapp.OptOut} {
		_, class = send()
		require.Equal(t, want, class)
	}
	require.Len(t, w.chat(mia), 1)
	id, class := send()
	require.Empty(t, class)
	require.NotEmpty(t, id, "all are spent")

	set(object{"send": "error", "code": 131000, "count": 1000})
	code, _ := w.call(http.MethodDelete, "/faults", nil)
	require.Equal(t, http.StatusNoContent, code)
	_, class = send()
	require.Empty(t, class)

	for _, body := range []object{
		{}, {"send": "fire"}, {"send": "error"}, {"send": "error", "code": -1}, {"send": "http_500", "code": 1}, {"send": "http_500", "count": -1},
	} {
		code, _ := w.call(http.MethodPost, "/faults", body)
		require.Equal(t, http.StatusUnprocessableEntity, code, "%v", body)
	}
}

// Close ends a request that hangs.
func TestCloseEndsHangs(t *testing.T) {
	t.Parallel()
	w := setup(t)
	code, _ := w.call(http.MethodPost, "/faults", object{"send": "timeout_before"})
	require.Equal(t, http.StatusCreated, code)
	done := make(chan error, 1)
	go func() {
		_, err := w.client.Send(t.Context(), cartMessage())
		done <- err
	}()
	require.Eventually(t, func() bool {
		w.sim.mu.Lock()
		defer w.sim.mu.Unlock()
		return len(w.sim.faults) == 0
	}, waitFor, tick)
	require.NoError(t, w.sim.Close())
	require.Equal(t, whatsapp.Ambiguous, whatsapp.ClassOf(<-done))
}
