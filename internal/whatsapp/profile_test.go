package whatsapp

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProfile(t *testing.T) {
	t.Parallel()
	var asked, body, answer string
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		asked, body = r.Method+" "+r.URL.Path, string(raw)
		_, _ = io.WriteString(w, answer)
	})
	want := Profile{About: "Coffee", Websites: []string{"https://x.example"}, Vertical: "RESTAURANT"}
	for text, want := range map[string]Profile{
		`{"data":[{"about":"Coffee","websites":["https://x.example"],"vertical":"RESTAURANT","messaging_product":"whatsapp"}]}`:                      want,
		`{"data":[{"business_profile":{"about":"Coffee","websites":["https://x.example"],"vertical":"RESTAURANT","messaging_product":"whatsapp"}}]}`: want,
		`{"data":[]}`: {},
	} {
		answer = text
		got, err := client.GetProfile(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, "GET /v26.0/1065/whatsapp_business_profile", asked)
	}
	answer = `{"success":true}`
	about, address, sites, vertical := "Coffee and more", "", []string{"https://x.example"}, "RETAIL"
	require.NoError(t, client.UpdateProfile(t.Context(), ProfileUpdate{About: &about, Address: &address, Websites: &sites, Vertical: &vertical}))
	require.Equal(t, "POST /v26.0/1065/whatsapp_business_profile", asked)
	require.JSONEq(t, `{"messaging_product":"whatsapp","about":"Coffee and more","address":"","websites":["https://x.example"],"vertical":"RETAIL"}`, body)
	fits(t, "update profile", []byte(body))
}
