package dispatch_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/internal/dispatch"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// A sample is what its header shows, is of the size that WhatsApp takes, and comes from where anybody may read. The error says what to mend.
func TestSample(t *testing.T) {
	t.Parallel()
	png := "\x89PNG\r\n\x1a\n cup"
	took := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/a.png":
			_, _ = io.WriteString(w, png)
		case r.URL.Path == "/large.png":
			_, _ = io.WriteString(w, png+strings.Repeat("x", whatsapp.MaxImage))
		case r.URL.Path == "/moved.png":
			http.Redirect(w, r, "/a.png", http.StatusFound)
		case strings.HasSuffix(r.URL.Path, "/uploads"):
			_, _ = io.WriteString(w, `{"id":"upload:1"}`)
		case strings.HasSuffix(r.URL.Path, "/upload:1"):
			raw, _ := io.ReadAll(r.Body)
			took <- string(raw)
			_, _ = io.WriteString(w, `{"h":"4::h"}`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	config := whatsapp.Config{BaseURL: s.URL, AppID: "3001", Token: "t"}
	production := dispatch.Account{Client: whatsapp.New(config)}
	development := dispatch.Account{Client: production.Client, Private: true}
	for _, c := range []struct {
		account dispatch.Account
		format  rules.HeaderFormat
		address string
		want    string
	}{
		{production, rules.HeaderImage, s.URL + "/a.png", "no address that begins with https://"},
		{production, rules.HeaderImage, strings.Replace(s.URL, "http:", "https:", 1) + "/a.png", "a private network"},
		{development, rules.HeaderImage, "file:///etc/passwd", "no address that begins with https://"},
		{development, rules.HeaderImage, s.URL + "/none.png", "answers 404"},
		{development, rules.HeaderImage, s.URL + "/moved.png", "answers 302"},
		{development, rules.HeaderImage, s.URL + "/large.png", "more than 5 MB"},
		{development, rules.HeaderVideo, s.URL + "/a.png", "is not an MP4"},
		{development, rules.HeaderDocument, s.URL + "/a.png", "is not a PDF"},
	} {
		_, err := c.account.Sample(t.Context(), c.format, c.address)
		require.ErrorContains(t, err, c.want, c.address)
	}
	handle, err := development.Sample(t.Context(), rules.HeaderImage, s.URL+"/a.png")
	require.NoError(t, err)
	require.Equal(t, "4::h", handle)
	require.Equal(t, png, <-took)

	config.AppID = ""
	_, err = dispatch.Account{Client: whatsapp.New(config)}.Sample(t.Context(), rules.HeaderImage, "https://shop.example/a.png")
	require.ErrorContains(t, err, "--whatsapp-app-id")

	// A simulator's reviewers see a stand-in where nothing can be had.
	development.StandIn = true
	for _, format := range []rules.HeaderFormat{rules.HeaderImage, rules.HeaderVideo, rules.HeaderDocument} {
		handle, err = development.Sample(t.Context(), format, s.URL+"/none")
		require.NoError(t, err)
		require.Equal(t, "4::h", handle)
		require.NotEmpty(t, <-took)
	}
}
