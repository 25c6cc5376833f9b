package simulator

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

// What is sent by an upload: it must be there, and be what it is sent as.
func TestSendsUploads(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.says(mia, "hi")
	picture, err := w.client.UploadMedia(t.Context(), whatsapp.Upload{Type: "image/png", Filename: "a.png", Size: 3, Content: bytes.NewReader([]byte("PNG"))})
	require.NoError(t, err)
	require.Equal(t, sent, w.outcome(whatsapp.Message{To: mia, Image: &whatsapp.Media{ID: picture}}))
	require.Equal(t, "failed 131053", w.outcome(whatsapp.Message{To: mia, Video: &whatsapp.Media{ID: picture}}))
	require.Equal(t, sent, w.outcome(whatsapp.Message{To: mia, Document: &whatsapp.Media{ID: picture, Filename: "a.png"}}))
	require.Equal(t, 100, w.refusal(whatsapp.Message{To: mia, Image: &whatsapp.Media{ID: "7"}}))
	require.NoError(t, w.client.DeleteMedia(t.Context(), picture))
	require.Equal(t, 100, w.refusal(whatsapp.Message{To: mia, Image: &whatsapp.Media{ID: picture}}))
}

// The client's ways round a number and its templates.
func TestClientSpeaksToIt(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	n, err := w.client.GetNumber(ctx)
	require.NoError(t, err)
	require.Equal(t, "301", n.ID)
	all, err := w.client.ListNumbers(ctx)
	require.NoError(t, err)
	require.Len(t, all, 1)
	limit, err := w.client.MessagingLimit(ctx)
	require.NoError(t, err)
	require.Equal(t, "TIER_UNLIMITED", limit)

	in := w.says(mia, "hi")
	done, err := w.client.Block(ctx, in.UserID, "+4520999999")
	require.NoError(t, err)
	require.Equal(t, []string{in.UserID}, done.Done)
	require.Equal(t, "+4520999999", done.Failed[0].User)
	list, err := w.client.ListBlocked(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{mia}, list)
	_, err = w.client.Unblock(ctx, mia)
	require.NoError(t, err)

	w.template(cart)
	known, err := w.client.ListTemplates(ctx)
	require.NoError(t, err)
	one, err := w.client.GetTemplate(ctx, known[0].ID)
	require.NoError(t, err)
	require.Equal(t, known[0], one)
	require.NoError(t, w.client.EditTemplate(ctx, one.ID, whatsapp.TemplateEdit{Components: one.Components}))
	require.Equal(t, "status APPROVED", w.told())
	require.Error(t, w.client.UnpauseTemplate(ctx, one.ID), "it is not paused")
	require.NoError(t, w.client.DeleteTemplate(ctx, one.Name))
	require.Equal(t, "status DELETED", w.told())
	require.Error(t, w.client.DeleteTemplate(ctx, one.Name))
	_, err = w.client.GetTemplate(ctx, one.ID)
	require.Error(t, err)
}

// Everything on the simulator's own side is for this machine's pages only.
func TestOwnSideRefusesOthers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, path := range []string{"POST /limits", "POST /account", "POST /faults", "DELETE /faults"} {
		method, path, _ := strings.Cut(path, " ")
		for _, headers := range [][]string{{"Origin", "https://elsewhere.example"}, {"Host", "elsewhere.example"}} {
			status, _ := w.call(method, path, `{}`, headers...)
			require.Equal(t, http.StatusForbidden, status, "%s %s", path, headers)
		}
	}
}

// What time makes due happens without anybody asking.
func TestTimePassesByItself(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.limit(object{"review": "1h"})
	_, err := w.client.CreateTemplate(t.Context(), cart)
	require.NoError(t, err)
	w.clock.Advance(time.Hour)
	require.Equal(t, "status APPROVED", w.told())
}
