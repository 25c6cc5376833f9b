package whatsapp

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBlock(t *testing.T) {
	t.Parallel()
	var asked, body, answer string
	status := http.StatusOK
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		asked, body = r.Method+" "+r.URL.Path, string(raw)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	})

	answer = `{"messaging_product":"whatsapp","block_users":{"added_users":[{"input":"+4520123456","wa_id":"4520123456"}]}}`
	got, err := client.Block(t.Context(), phone)
	require.NoError(t, err)
	require.Equal(t, Blocked{Done: []string{phone}}, got)
	require.Equal(t, "POST /v26.0/1065/block_users", asked)
	require.JSONEq(t, `{"messaging_product":"whatsapp","block_users":[{"user":"+4520123456"}]}`, body)
	fits(t, "block", []byte(body))

	answer = `{"block_users":{"removed_users":[{"input":"+4520123456"}]}}`
	got, err = client.Unblock(t.Context(), phone)
	require.NoError(t, err)
	require.Equal(t, []string{phone}, got.Done)
	require.Equal(t, "DELETE /v26.0/1065/block_users", asked)
	fits(t, "unblock", []byte(body))

	status = http.StatusBadRequest
	answer = `{"block_users":{"added_users":[{"input":"+4520123456"}],"failed_users":[{"input":"DK.1","errors":[{"code":131047,"message":"Re-engagement required","error_data":{"details":"d"}}]}]},
		"error":{"code":139100,"message":"(#139100) Failed to block/unblock users"}}`
	got, err = client.Block(t.Context(), phone, "DK.1")
	require.NoError(t, err)
	require.Equal(t, Blocked{Done: []string{phone}, Failed: []NotBlocked{{User: "DK.1", Problems: []Problem{{131047, "Re-engagement required", "d"}}}}}, got)

	for text, class := range map[string]Class{
		`{"error":{"code":139100}}`: Unrelated, // without a word on whom
		`{"error":{"code":139101}}`: Unrelated,
		`{"error":{"code":139102}}`: Retry,
	} {
		answer = text
		_, err = client.Block(t.Context(), phone)
		require.Equal(t, class, ClassOf(err))
		quiet(t, err)
	}

	status, asked = http.StatusOK, ""
	_, err = client.Block(t.Context())
	require.Equal(t, Bug, ClassOf(err))
	_, err = client.Block(t.Context(), make([]string, 1001)...)
	require.Equal(t, Bug, ClassOf(err))
	require.Empty(t, asked)

	answer = `{"data":[{"messaging_product":"whatsapp","wa_id":"4520123456"},{"wa_id":"DK.2"},{"user_id":"DK.3"},{}],"paging":{"cursors":{"after":"c"}}}`
	all, err := client.ListBlocked(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{phone, "DK.2", "DK.3"}, all)
	require.Equal(t, "GET /v26.0/1065/block_users", asked)
}
