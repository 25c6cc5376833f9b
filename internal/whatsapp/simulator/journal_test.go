package simulator

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

const (
	waitFor = 10 * time.Second
	tick    = 5 * time.Millisecond
)

// kill is what a kill -9 leaves: the file as it is at this moment, and the old process gone. tail is what it was writing.
func (w *world) kill(tail string) {
	w.t.Helper()
	raw, err := os.ReadFile(w.opt.DataFile)
	require.NoError(w.t, err)
	w.opt.DataFile = filepath.Join(w.t.TempDir(), "journal")
	require.NoError(w.t, os.WriteFile(w.opt.DataFile, append(raw, tail...), 0o600))
}

// settled waits until every webhook was taken and that is written down.
func (w *world) settled() {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		w.sim.mu.Lock()
		defer w.sim.mu.Unlock()
		return len(w.sim.queues) == 0
	}, waitFor, tick)
}

func journalled(t *testing.T) func(*Options) {
	return func(o *Options) { o.DataFile = filepath.Join(t.TempDir(), "data", "journal") }
}

func TestKillAndRestart(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t))
	w.template(cart)
	w.says(mia, "hi")
	w.call(http.MethodPost, "/people", object{"phone": mia, "name": "Mia Holm"})

	w.settled()
	// From here on nobody takes webhooks.
	w.receiver.answers(func() int { return http.StatusServiceUnavailable })
	id := w.send(cartMessage())
	code, _ := w.call(http.MethodPost, "/people/"+mia+"/messages", object{"press": "No"})
	require.Equal(t, http.StatusCreated, code)
	_, people := w.call(http.MethodGet, "/people", nil)
	before := w.chat(mia)

	w.kill(`{"message":{"id":"wamid.torn","phone":"+4520123456","te`)
	w.sim.SetWebhookURL("http://127.0.0.1:1") // a dead process delivers nothing
	w.receiver = newReceiver(t)
	w.opt.WebhookURL = ""
	w.start()

	require.Equal(t, before, w.chat(mia))
	_, again := w.call(http.MethodGet, "/people", nil)
	require.Equal(t, people, again)
	w.sim.SetWebhookURL(w.receiver.address)

	var told []string
	for range 4 {
		u := w.receiver.next(t)
		if u.Status != nil {
			require.Equal(t, id, u.Status.ID)
			told = append(told, u.Status.Status)
		} else {
			require.Equal(t, "Mia Holm", u.Inbound.ProfileName)
			told = append(told, u.Inbound.Type+" "+u.Inbound.Text)
		}
	}
	require.Equal(t, []string{"sent", "delivered", "read", "button No"}, told)

	// The window, the template and the numbering are as before; the torn line is gone.
	w.send(whatsapp.Message{To: mia, Text: &whatsapp.Text{Body: "hello"}})
	require.Equal(t, "sent", w.receiver.status(t).Status)
	require.Equal(t, "delivered", w.receiver.status(t).Status)
	w.send(cartMessage())
	require.Equal(t, "sent", w.receiver.status(t).Status)
	require.Equal(t, "delivered", w.receiver.status(t).Status)

	// Nothing that was taken comes again.
	w.settled()
	w.kill("")
	w.opt.WebhookURL = w.receiver.address
	w.start()
	w.says("+4599999999", "first and last")
	require.Empty(t, w.receiver.updates)
}

// A kill may cut the journal at any byte.
func TestJournalCutAnywhere(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t))
	w.template(cart)
	w.says(mia, "hi\n🎁")
	w.send(cartMessage())
	w.receiver.status(t)
	w.receiver.status(t)
	whole, err := os.ReadFile(w.opt.DataFile)
	require.NoError(t, err)
	dir := t.TempDir()
	last := -1
	for cut := range len(whole) + 1 {
		if cut%11 != 0 && !bytes.Contains(whole[max(0, cut-2):min(len(whole), cut+2)], []byte("\n")) {
			continue // every byte about the end of a line, and some in between
		}
		path := filepath.Join(dir, "journal")
		require.NoError(t, os.WriteFile(path, whole[:cut], 0o600))
		opt := w.opt
		opt.DataFile = path
		sim, err := New(opt)
		require.NoError(t, err, "cut at %d", cut)
		lines := bytes.Count(whole[:cut], []byte("\n"))
		require.EqualValues(t, lines, sim.version)
		require.GreaterOrEqual(t, lines, last)
		last = lines
		// What was cut off must not be glued to what comes next.
		sim.mu.Lock()
		require.NoError(t, sim.commit(fact{Person: &personFact{Phone: "+4577777777"}}))
		sim.mu.Unlock()
		require.NoError(t, sim.Close())
		if cut%97 == 0 || cut == len(whole) {
			sim, err = New(opt)
			require.NoError(t, err)
			require.NotNil(t, sim.people["+4577777777"])
			require.NoError(t, sim.Close())
		}
	}
}

func TestJournalRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, os.WriteFile(path, []byte("{}\n<html>\n{}\n"), 0o600))
	_, err := New(Options{DataFile: path})
	require.ErrorContains(t, err, "line 2")
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "{}\n<html>\n{}\n", string(raw), "left for a person to look at")
}

// What cannot be written down did not happen.
func TestJournalThatFails(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t))
	w.says(mia, "hi")
	w.settled()
	w.sim.mu.Lock()
	require.NoError(t, w.sim.journal.file.Close())
	w.sim.mu.Unlock()
	code, _ := w.call(http.MethodPost, "/people/"+mia+"/messages", object{"text": "lost"})
	require.Equal(t, http.StatusInternalServerError, code)
	code, _ = w.call(http.MethodPost, "/people", object{"phone": "+4599999999"})
	require.Equal(t, http.StatusInternalServerError, code)
	_, err := w.client.Send(t.Context(), whatsapp.Message{To: mia, Text: &whatsapp.Text{Body: "lost"}})
	require.Equal(t, whatsapp.Ambiguous, whatsapp.ClassOf(err))
	require.Len(t, w.chat(mia), 1)
	require.Empty(t, w.receiver.updates)
	w.sim.mu.Lock()
	w.sim.journal = nil // closed already
	w.sim.mu.Unlock()
}

func TestJournalIsPrivate(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t))
	info, err := os.Stat(w.opt.DataFile)
	require.NoError(t, err)
	require.Equal(t, "-rw-------", info.Mode().String())
	w.says(mia, "hi")
	raw, err := os.ReadFile(w.opt.DataFile)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(raw), "\n"))
}
