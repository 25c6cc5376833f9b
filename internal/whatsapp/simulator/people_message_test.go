package simulator

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

// raw is the member of an update's JSON by a path.
func raw(t *testing.T, in json.RawMessage, path ...string) any {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(in, &v))
	for _, name := range path {
		m, ok := v.(map[string]any)
		require.True(t, ok, "%s of %s", name, in)
		v = m[name]
	}
	return v
}

// fetch reads an address, with the Graph token or without.
func (w *world) fetch(address, token string) (int, string, http.Header) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, address, nil)
	require.NoError(w.t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	return res.StatusCode, string(body), res.Header
}

func TestPersonMedia(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t))
	w.says(mia, "hi")
	type sent struct {
		query, mime, body  string
		kind, caption, doc string
	}
	var ids []string
	for _, c := range []sent{
		{"?caption=My+cup", "image/png", "picture", "image", "My cup", ""},
		{"?filename=..%2F..%2Fetc%2Fbill.pdf&caption=here", "application/pdf", "%PDF", "document", "here", "bill.pdf"},
		{"?voice=true", "audio/ogg; codecs=opus", "sound", "audio", "", ""},
		{"", "video/mp4", "film", "video", "", ""},
		{"", "image/webp", "sticker", "sticker", "", ""},
		{"?as=document&filename=a.png", "image/png", "picture", "document", "", "a.png"},
		{"?filename=x.html", "text/html", "<script>alert(1)</script>", "document", "", "x.html"},
	} {
		code, answer := w.call(http.MethodPost, "/people/"+mia+"/media"+c.query, c.body, "Content-Type", c.mime)
		require.Equal(t, http.StatusCreated, code, "%v", answer)
		in := w.receiver.inbound(t)
		require.Equal(t, [...]string{c.kind, c.caption, c.doc}, [...]string{in.Type, in.Caption, in.Filename})
		require.Equal(t, strings.Split(c.mime, ";")[0], in.MediaType)
		require.NotEmpty(t, raw(t, in.Raw, c.kind, "sha256"))
		require.Equal(t, c.kind == "audio", strings.Contains(string(in.Raw), `"voice":true`))

		// The business fetches it: the address first, then the bytes, both with the token.
		code, answer = w.call(http.MethodGet, "/v26.0/"+in.MediaID, nil, "Authorization", "Bearer token")
		require.Equal(t, http.StatusOK, code)
		address := answer["url"].(string)
		code, got, header := w.fetch(address, "token")
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, c.body, got)
		require.Equal(t, in.MediaType, header.Get("Content-Type"))
		code, _, _ = w.fetch(address, "")
		require.Equal(t, http.StatusUnauthorized, code)
		code, _, _ = w.fetch(strings.Replace(address, "hash=", "hash=0", 1), "token")
		require.Equal(t, http.StatusBadRequest, code)
		code, _, _ = w.fetch(strings.Replace(address, "ext=1", "ext=2", 1), "token")
		require.Equal(t, http.StatusBadRequest, code, "another time than was signed")

		// The page shows pictures and plays sounds. Anything else, it only offers for saving.
		code, got, header = w.fetch(w.address+"/page/file?id="+in.MediaID, "")
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, c.body, got)
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
		require.Contains(t, header.Get("Content-Security-Policy"), "sandbox")
		if strings.HasPrefix(c.mime, "text") || strings.HasPrefix(c.mime, "application") {
			require.Equal(t, "application/octet-stream", header.Get("Content-Type"))
			require.Contains(t, header.Get("Content-Disposition"), "attachment")
		}
		ids = append(ids, in.MediaID)
	}
	html, _ := w.page("/?phone=" + url.QueryEscape(mia))
	require.Contains(t, html, `<img src="/page/file?id=`+ids[0]+`"`)
	require.Contains(t, html, "<audio src=")
	require.Contains(t, html, "<video")
	require.Contains(t, html, "bill.pdf")

	for query, c := range map[string]struct {
		mime, body string
		want       int
	}{
		"":                                      {"image/png", "", 400},
		"?as=x":                                 {"image/png", "x", 400},
		"?reply_to=no":                          {"image/png", "x", 409},
		"?caption=" + strings.Repeat("x", 1025): {"image/png", "x", 400},
		"?filename=big":                         {"image/png", strings.Repeat("x", 5<<20+1), 413},
	} {
		code, _ := w.call(http.MethodPost, "/people/"+mia+"/media"+query, c.body, "Content-Type", c.mime)
		require.Equal(t, c.want, code, query)
	}

	// Another process has them too, and the business can delete one.
	w.settled()
	w.start()
	code, got, _ := w.fetch(w.address+"/page/file?id="+ids[1], "")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "%PDF", got)
	code, _ = w.call(http.MethodDelete, "/v26.0/"+ids[1], nil, "Authorization", "Bearer token")
	require.Equal(t, http.StatusOK, code)
	code, _ = w.call(http.MethodGet, "/v26.0/"+ids[1], nil, "Authorization", "Bearer token")
	require.Equal(t, http.StatusBadRequest, code)
	for _, id := range []string{"..", "..%2Fjournal", "1", ids[1]} {
		code, _, _ = w.fetch(w.address+"/page/file?id="+id, "")
		require.Equal(t, http.StatusNotFound, code)
	}
}

func TestUpload(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.says(mia, "hi")
	upload := func(product, mimeType, body string) (int, map[string]any) {
		t.Helper()
		var b bytes.Buffer
		form := multipart.NewWriter(&b)
		require.NoError(t, form.WriteField("messaging_product", product))
		part, err := form.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {`form-data; name="file"; filename="cup.png"`}, "Content-Type": {mimeType},
		})
		require.NoError(t, err)
		_, err = part.Write([]byte(body))
		require.NoError(t, err)
		require.NoError(t, form.Close())
		return w.call(http.MethodPost, "/v26.0/301/media", b.String(), "Authorization", "Bearer token", "Content-Type", form.FormDataContentType())
	}
	code, answer := upload("whatsapp", "image/png", strings.Repeat("x", 300<<10))
	require.Equal(t, http.StatusOK, code, "%v", answer)
	id := answer["id"].(string)
	w.send(whatsapp.Message{To: mia, Image: &whatsapp.Media{ID: id, Caption: "a cup"}})
	html, _ := w.page("/?phone=" + url.QueryEscape(mia))
	require.Contains(t, html, `<img src="/page/file?id=`+id+`"`)
	for _, c := range [][3]string{{"x", "image/png", "x"}, {"whatsapp", "text/html", "x"}, {"whatsapp", "image/png", ""}, {"whatsapp", "image/png", strings.Repeat("x", 5<<20+1)}} {
		code, _ = upload(c[0], c[1], c[2])
		require.Equal(t, http.StatusBadRequest, code, c[1])
	}
	code, _ = w.call(http.MethodPost, "/v26.0/301/media", "x", "Authorization", "Bearer token")
	require.Equal(t, http.StatusBadRequest, code, "no form")
}

func TestReactEditRevoke(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t))
	first := w.says(mia, "I come at four")
	id := w.send(whatsapp.Message{To: mia, Text: &whatsapp.Text{Body: "welcome"}})
	w.settled()
	for len(w.receiver.updates) > 0 {
		<-w.receiver.updates
	}
	people := "/people/" + mia
	react := func(body object) (int, map[string]any) { return w.call(http.MethodPost, people+"/reactions", body) }
	code, answer := react(object{"message_id": id, "emoji": "❤️"})
	require.Equal(t, http.StatusCreated, code, "%v", answer)
	require.Equal(t, "read", w.receiver.status(t).Status, "whoever reacts has read")
	in := w.receiver.inbound(t)
	require.Equal(t, [...]string{"reaction", "❤️", id}, [...]string{in.Type, in.Text, in.ReplyTo})
	require.Nil(t, raw(t, in.Raw, "context"))
	require.Equal(t, map[string]string{"in": "❤️"}, w.chat(mia)[1].Reactions)
	code, _ = react(object{"message_id": id, "emoji": ""})
	require.Equal(t, http.StatusCreated, code)
	in = w.receiver.inbound(t)
	require.Equal(t, [...]string{"reaction", "", id}, [...]string{in.Type, in.Text, in.ReplyTo})
	require.NotContains(t, string(in.Raw), "emoji", "absent when taken back")
	require.Empty(t, w.chat(mia)[1].Reactions)
	for _, c := range []object{{"message_id": id, "emoji": "hello"}, {"message_id": id, "emoji": "👍👍"}, {"message_id": id, "emoji": attack}} {
		code, _ = react(c)
		require.Equal(t, http.StatusBadRequest, code, "%v", c)
	}
	for _, c := range []object{{"message_id": "wamid.none", "emoji": "👍"}, {"message_id": id, "emoji": ""}} {
		code, _ = react(c)
		require.Equal(t, http.StatusConflict, code, "%v", c)
	}

	one := func(of string) string { return people + "/messages/" + url.PathEscape(of) }
	code, answer = w.call(http.MethodPatch, one(first.ID), object{"text": "I come at five"})
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "I come at five", answer["text"])
	require.Equal(t, true, answer["edited"])
	in = w.receiver.inbound(t)
	require.Equal(t, "edit", in.Type)
	require.Equal(t, first.ID, raw(t, in.Raw, "edit", "original_message_id"))
	require.Equal(t, "I come at five", raw(t, in.Raw, "edit", "message", "text", "body"))
	for path, want := range map[string]int{one(id): 409, one("wamid.none"): 404, "/people/+4599999999/messages/" + url.PathEscape(first.ID): 404} {
		code, _ = w.call(http.MethodPatch, path, object{"text": "x"})
		require.Equal(t, want, code, path)
		code, _ = w.call(http.MethodDelete, path, object{})
		require.Equal(t, want, code, path)
	}
	code, _ = w.call(http.MethodPatch, one(first.ID), object{"text": " "})
	require.Equal(t, http.StatusBadRequest, code)
	w.clock.Advance(16 * time.Minute)
	code, answer = w.call(http.MethodPatch, one(first.ID), object{"text": "I come at six"})
	require.Equal(t, http.StatusConflict, code)
	require.Contains(t, answer["detail"], "too late")

	code, _ = w.call(http.MethodDelete, one(first.ID), object{})
	require.Equal(t, http.StatusOK, code)
	in = w.receiver.inbound(t)
	require.Equal(t, "revoke", in.Type)
	require.Equal(t, first.ID, raw(t, in.Raw, "revoke", "original_message_id"))
	got := w.chat(mia)[0]
	require.True(t, got.Revoked)
	require.Empty(t, got.Text)
	code, _ = w.call(http.MethodDelete, one(first.ID), object{})
	require.Equal(t, http.StatusConflict, code, "twice")

	// It is so after a restart.
	before := w.chat(mia)
	w.settled()
	w.start()
	require.Equal(t, before, w.chat(mia))
}

func TestLocationAndReferral(t *testing.T) {
	t.Parallel()
	w := setup(t)
	chat := "/people/" + mia + "/messages"
	code, _ := w.call(http.MethodPost, chat, object{"location": object{"latitude": 55.68, "longitude": 12.57, "name": "Shop"}})
	require.Equal(t, http.StatusCreated, code)
	in := w.receiver.inbound(t)
	require.Equal(t, "location", in.Type)
	require.InDelta(t, 55.68, raw(t, in.Raw, "location", "latitude"), 0.0001)
	require.Equal(t, "Shop", raw(t, in.Raw, "location", "name"))
	code, _ = w.call(http.MethodPost, chat, object{"text": "Hello!", "referral": object{"headline": "Free coffee", "source_id": "77"}})
	require.Equal(t, http.StatusCreated, code)
	in = w.receiver.inbound(t)
	require.Equal(t, "Hello!", in.Text)
	require.Equal(t, "77", raw(t, in.Raw, "referral", "source_id"))
	require.NotEmpty(t, raw(t, in.Raw, "referral", "ctwa_clid"))
	for _, body := range []object{
		{"location": object{"latitude": 91, "longitude": 0}},
		{"location": object{"latitude": 0, "longitude": -181}},
		{"location": object{"latitude": 0, "longitude": 0}, "text": "x"},
		{"location": object{"latitude": 0, "longitude": 0}, "referral": object{}},
		{"text": "x", "referral": object{"source_url": "javascript:alert(1)"}},
		{"text": "x", "referral": object{"source_type": "poster"}},
		{"text": "x", "referral": object{"headline": strings.Repeat("x", 1025)}},
	} {
		code, answer := w.call(http.MethodPost, chat, body)
		require.Equal(t, http.StatusBadRequest, code, "%v %v", body, answer)
	}
}
