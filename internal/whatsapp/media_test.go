package whatsapp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUploadMedia(t *testing.T) {
	t.Parallel()
	var got http.Header
	var product, kind, content, filename, part string
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		if r.URL.Path != "/v26.0/1065/media" || r.ContentLength <= 0 {
			t.Error(r.URL, r.ContentLength)
		}
		product, kind = r.FormValue("messaging_product"), r.FormValue("type")
		file, header, err := r.FormFile("file")
		if err != nil {
			t.Error(err)
			return
		}
		raw, _ := io.ReadAll(file)
		content, filename, part = string(raw), header.Filename, header.Header.Get("Content-Type")
		_, _ = io.WriteString(w, `{"id":"77"}`)
	})
	id, err := client.UploadMedia(t.Context(), Upload{Type: "application/pdf", Filename: "café \"1\".pdf", Size: 5, Content: strings.NewReader("%PDF-")})
	require.NoError(t, err)
	require.Equal(t, "77", id)
	require.Equal(t, "Bearer tok", got.Get("Authorization"))
	require.Equal(t, [...]string{"whatsapp", "application/pdf", "%PDF-", "café \"1\".pdf", "application/pdf"}, [...]string{product, kind, content, filename, part})
}

// An endless file: what is refused before the call is not read.
type endless struct{ read bool }

func (e *endless) Read(p []byte) (int, error) {
	e.read = true
	return len(p), nil
}

func TestUploadMediaRefuses(t *testing.T) {
	t.Parallel()
	client := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("called") })
	for kind, most := range map[string]int64{
		"image/jpeg": 5 << 20, "image/webp": 500 << 10, "audio/ogg; codecs=opus": 16 << 20, "video/mp4": 16 << 20, "application/pdf": 100 << 20, "text/plain": 100 << 20,
	} {
		e := &endless{}
		_, err := client.UploadMedia(t.Context(), Upload{Type: kind, Size: most + 1, Content: e})
		require.Equal(t, Bug, ClassOf(err), kind)
		require.False(t, e.read)
		base, _, _ := strings.Cut(kind, ";")
		require.Equal(t, most, maxMedia(base))
	}
	for _, u := range []Upload{
		{Type: "image/png", Size: 1}, {Type: "image/png", Content: strings.NewReader("")}, {Size: 1, Content: strings.NewReader("x")}, {Type: "/", Size: 1, Content: strings.NewReader("x")},
	} {
		_, err := client.UploadMedia(t.Context(), u)
		require.Equal(t, Bug, ClassOf(err))
	}
}

// A file of another size than was said, or that cannot be read, never becomes a file at Meta.
func TestUploadMediaOfAnotherSize(t *testing.T) {
	t.Parallel()
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := r.FormFile("file"); err == nil {
			_, _ = io.WriteString(w, `{"id":"77"}`)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
	})
	for _, content := range []io.Reader{strings.NewReader("ab"), strings.NewReader(strings.Repeat("x", 5000)), io.MultiReader(strings.NewReader("a"), broken{})} {
		_, err := client.UploadMedia(t.Context(), Upload{Type: "image/png", Size: 3, Content: content})
		require.Error(t, err)
		quiet(t, err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("about " + secret) }

func TestDownloadMedia(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("a file"))
	right := hex.EncodeToString(sum[:])
	for name, c := range map[string]struct {
		size, hash string
		serve      func(http.ResponseWriter)
		most       int64
		want       string
		class      Class
	}{
		"whole":             {`"6"`, right, func(w http.ResponseWriter) { _, _ = io.WriteString(w, "a file") }, 6, "a file", ""},
		"of unknown size":   {`null`, "", func(w http.ResponseWriter) { _, _ = io.WriteString(w, "a file") }, 6, "a file", ""},
		"announced too big": {`7`, right, func(http.ResponseWriter) { t.Error("asked for") }, 6, "", Recipient},
		"is too big":        {`6`, right, func(w http.ResponseWriter) { _, _ = io.WriteString(w, "a filet") }, 6, "", Recipient},
		"another":           {`6`, right, func(w http.ResponseWriter) { _, _ = io.WriteString(w, "a fine") }, 6, "", Retry},
		"expired":           {`6`, right, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, 6, "", Bug},
		"5xx":               {`6`, right, func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }, 6, "", Retry},
		"elsewhere":         {`6`, right, func(w http.ResponseWriter) { w.Header().Set("Location", "/away"); w.WriteHeader(http.StatusFound) }, 6, "", Bug},
		"breaks off": {`6`, right, func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "6")
			_, _ = io.WriteString(w, "a f")
			panic(http.ErrAbortHandler)
		}, 6, "", Retry},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var base string
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer tok" {
					t.Error("no token for", r.URL)
				}
				switch r.URL.Path {
				case "/v26.0/77":
					if r.URL.Query().Get("phone_number_id") != "1065" {
						t.Error("not checked to be ours")
					}
					_, _ = io.WriteString(w, `{"id":"77","url":"`+base+`/file?ext=1","mime_type":"image/png","sha256":"`+c.hash+`","file_size":`+c.size+`}`)
				case "/file":
					c.serve(w)
				default:
					t.Error("asked for", r.URL)
				}
			})
			base = client.cfg.BaseURL
			var file bytes.Buffer
			info, err := client.DownloadMedia(t.Context(), "77", &file, c.most)
			if c.class != "" {
				require.Equal(t, c.class, ClassOf(err))
				quiet(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, file.String())
			require.Equal(t, "image/png", info.Type)
			require.Equal(t, int64(6), info.Size)
		})
	}
}

// The token goes where Meta's answer sends it only if nobody on the way can read it.
func TestDownloadMediaKeepsTheToken(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the token left") }))
	t.Cleanup(other.Close)
	for _, address := range []string{other.URL + "/file", "ftp://x.example/f", "//x.example/f", "/file", "", "https://", "http://a b", "file:///etc/passwd"} {
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v26.0/77" {
				t.Error("asked for", r.URL)
			}
			_, _ = io.WriteString(w, `{"id":"77","url":"`+address+`"}`)
		})
		_, err := client.DownloadMedia(t.Context(), "77", io.Discard, 10)
		require.Equal(t, Bug, ClassOf(err), address)
	}
	for address, want := range map[string]bool{
		"https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1": true,
		"http://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1":  false,
		"https://me:word@lookaside.fbsbx.com/":                             false,
	} {
		require.Equal(t, want, mayAsk(t, DefaultBaseURL, address), address)
	}
	require.True(t, mayAsk(t, "http://127.0.0.1:9", "http://127.0.0.1:9/file"))
	require.False(t, mayAsk(t, "http://127.0.0.1:9", "https://127.0.0.1:9/file"))
}

func TestDeleteMedia(t *testing.T) {
	t.Parallel()
	var asked string
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.URL.String()
		_, _ = io.WriteString(w, `{"success":true}`)
	})
	require.NoError(t, client.DeleteMedia(t.Context(), "77"))
	require.Equal(t, "DELETE /v26.0/77?phone_number_id=1065", asked)
}

func mayAsk(t *testing.T, base, address string) bool {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return New(Config{BaseURL: base}).mayAsk(u)
}
