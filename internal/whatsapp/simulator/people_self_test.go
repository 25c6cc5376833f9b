package simulator

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

func TestMarketing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.says(mia, "hi")
	value := func(v string) (int, map[string]any) {
		return w.call(http.MethodPost, "/people/"+mia+"/marketing", object{"value": v})
	}
	code, answer := value("stop")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "stop", answer["marketing"])
	u := w.receiver.next(t)
	require.NotNil(t, u.Preference)
	require.Equal(t, [...]string{mia, "marketing_messages", "stop"}, [...]string{u.Preference.From, u.Preference.Category, u.Preference.Value})
	require.Equal(t, w.clock.Now(), u.Preference.At)
	_, _ = value("stop") // again says nothing

	code, answer = value("resume")
	require.Equal(t, http.StatusOK, code)
	require.NotContains(t, answer, "marketing")
	require.Equal(t, "resume", w.receiver.next(t).Preference.Value)
	code, _ = value("pause")
	require.Equal(t, http.StatusBadRequest, code)
}

func TestBlock(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t))
	w.says(mia, "hi")
	code, answer := w.call(http.MethodPost, "/people/"+mia+"/block", object{"blocked": true, "report": true})
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, true, answer["blocked"])
	require.EqualValues(t, 1, answer["reports"])
	code, _ = w.call(http.MethodPost, "/people/"+mia+"/messages", object{"text": "x"})
	require.Equal(t, http.StatusConflict, code, "who blocked cannot write")

	w.settled()
	require.Empty(t, w.receiver.updates, "the business is told nothing")
	w.start()
	_, answer = w.call(http.MethodPost, "/people/"+mia+"/block", object{"blocked": false})
	require.NotContains(t, answer, "blocked")
	w.says(mia, "back again")
	for _, body := range []object{{}, {"blocked": "yes"}} {
		code, _ = w.call(http.MethodPost, "/people/"+mia+"/block", body)
		require.Equal(t, http.StatusBadRequest, code)
	}
	code, _ = w.call(http.MethodPost, "/people/+4599999999/block", object{"blocked": true})
	require.Equal(t, http.StatusNotFound, code)
}

func TestChangeNumber(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t))
	const other = "+4520123457"
	first := w.says(mia, "hi")
	w.says("+4520123458", "I am somebody else")
	number := func(from, to string) int {
		code, _ := w.call(http.MethodPost, "/people/"+from+"/number", object{"phone": to})
		return code
	}
	require.Equal(t, http.StatusOK, number(mia, "45 20 12 34 57"))
	u := w.receiver.inbound(t)
	require.Equal(t, [...]string{"system", mia, "user_changed_number", other, first.UserID},
		[...]string{u.Type, u.From, u.System.Type, u.System.Phone, u.System.PreviousUserID})
	require.NotEqual(t, first.UserID, u.System.UserID)
	for range 2 {
		require.Len(t, w.chat(other), 1, "the chat moves along")
		require.Empty(t, w.chat(mia))
		w.settled()
		w.start()
	}
	in := w.says(other, "it is still me")
	require.Equal(t, [...]string{other, u.System.UserID}, [...]string{in.From, in.UserID})
	w.send(whatsapp.Message{To: other, Text: &whatsapp.Text{Body: "I see"}})
	require.Equal(t, other, w.receiver.status(t).Recipient)
	require.Equal(t, http.StatusConflict, number(other, "+4520123458"), "taken")
	require.Equal(t, http.StatusConflict, number(other, "+4533112233"), "the business")
	require.Equal(t, http.StatusBadRequest, number(other, "x"))
	require.Equal(t, http.StatusNotFound, number(mia, "+4520123459"))
}
