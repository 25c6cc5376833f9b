package whatsapp

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A sample goes up in two steps: the app answers where, and takes the bytes with another form of the token.
func TestUploadSample(t *testing.T) {
	t.Parallel()
	session := "upload:MTphdHRh?sig=ARZq"
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		switch r.Method + " " + r.URL.Path {
		case "POST /v26.0/3033/uploads":
			if q := r.URL.Query(); q.Get("file_name") != "cup.png" || q.Get("file_length") != "3" || q.Get("file_type") != "image/png" ||
				r.Header.Get("Authorization") != "Bearer tok" {
				t.Error("the client asked for", r.URL)
			}
			_, _ = io.WriteString(w, `{"id":"`+session+`"}`)
		case "POST /v26.0/upload:MTphdHRh":
			if string(raw) != "cup" || r.URL.Query().Get("sig") != "ARZq" || r.Header.Get("File_offset") != "0" ||
				r.Header.Get("Authorization") != "OAuth tok" {
				t.Error("the client sent", r.URL, r.Header, string(raw))
			}
			_, _ = io.WriteString(w, `{"h":"4::aW=="}`)
		default:
			t.Error("the client asked for", r.URL)
		}
	})
	upload := func(kind string) (string, error) {
		return client.UploadSample(t.Context(), Upload{Type: kind, Filename: "cup.png", Size: 3, Content: strings.NewReader("cup")})
	}
	_, err := upload("image/png")
	require.ErrorContains(t, err, "id of the app")
	require.False(t, client.HasApp())
	client.cfg.AppID = "3033"
	handle, err := upload("image/png")
	require.NoError(t, err)
	require.Equal(t, "4::aW==", handle)
	_, err = upload("image/webp")
	require.ErrorContains(t, err, "a JPEG, a PNG, an MP4 or a PDF")
	for _, session = range []string{"", "upload:a/../../1065/messages", "1065/messages", "upload:a#b", "upload:a b"} {
		_, err = upload("image/png")
		require.ErrorContains(t, err, "without an id", session)
	}
}
