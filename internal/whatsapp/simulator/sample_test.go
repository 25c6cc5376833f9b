package simulator

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

var samplesOf = map[string]string{"IMAGE": "image/png", "VIDEO": "video/mp4", "DOCUMENT": "application/pdf"}

// sample uploads what reviewers see in a header of a format, and answers its handle.
func (w *world) sample(format string) string {
	w.t.Helper()
	handle, err := w.client.UploadSample(w.t.Context(), whatsapp.Upload{Type: samplesOf[format], Filename: "a", Size: 1, Content: strings.NewReader("x")})
	require.NoError(w.t, err)
	return handle
}

// A header that shows something has the handle of an upload of its kind; an address, a stranger's handle and nothing are refused. What was
// uploaded is known after a restart.
func TestSamples(t *testing.T) {
	t.Parallel()
	w := setup(t, func(o *Options) { o.DataFile = filepath.Join(t.TempDir(), "phone.jsonl") })
	picture, film := w.sample("IMAGE"), w.sample("VIDEO")
	require.NotEqual(t, picture, w.sample("IMAGE"))
	w.restart()
	create := func(name, components string) (int, map[string]any) {
		return w.post("/v26.0/201/message_templates", `{"name":"`+name+`","language":"en","category":"MARKETING","components":[`+components+`]}`)
	}
	header := func(example string) string {
		return `{"type":"header","format":"image"` + example + `},{"type":"body","text":"Look."}`
	}
	handle := func(h string) string { return `,"example":{"header_handle":["` + h + `"]}` }
	for example, subcode := range map[string]int{
		"": 2388273, `,"example":{"header_handle":[]}`: 2388273, handle("https://shop.example/a.png"): 2494102, handle(film): 2494102, handle("4::x"): 2494102,
		`,"example":{"header_handle":["` + picture + `","` + picture + `"]}`: 2388273,
	} {
		_, answer := create("shown", header(example))
		refusal, _ := answer["error"].(map[string]any)
		require.InDelta(t, subcode, refusal["error_subcode"], 0, example)
	}
	cards := func(second string) string {
		card := func(h string) string {
			return `{"components":[{"type":"header","format":"image"` + handle(h) + `},{"type":"buttons","buttons":[{"type":"quick_reply","text":"Yes"}]}]}`
		}
		return `{"type":"body","text":"Look:"},{"type":"carousel","cards":[` + card(picture) + `,` + card(second) + `]}`
	}
	require.Equal(t, 100, code(create("cards", cards("4::x"))))
	require.Zero(t, code(create("cards", cards(picture))))
	status, answer := create("shown", header(handle(picture)))
	require.Equal(t, http.StatusOK, status)
	id, _ := answer["id"].(string)
	require.Equal(t, 100, code(w.post("/v26.0/"+id, `{"components":[`+header(handle("4::x"))+`]}`)))

	// The upload itself.
	for query, want := range map[string]int{
		"file_name=a&file_length=1&file_type=image/webp": 100, "file_name=a&file_length=0&file_type=image/png": 100,
		"file_name=a&file_length=99999999&file_type=image/png": 100, "file_length=1&file_type=image/png": 131008,
	} {
		require.Equal(t, want, code(w.post("/v26.0/401/uploads?"+query, "")), query)
	}
	require.Equal(t, 100, code(w.post("/v26.0/201/uploads?file_name=a&file_length=1&file_type=image/png", "")))
	_, begun := w.post("/v26.0/401/uploads?file_name=a&file_length=2&file_type=image/png", "")
	path, _ := begun["id"].(string)
	require.Equal(t, 190, code(w.post("/v26.0/"+path, "xy")), "with the other form of the token")
	up := func(path, bytes, offset string) int {
		return code(w.call(http.MethodPost, "/v26.0/"+path, bytes, "Authorization", "OAuth token", "File_offset", offset))
	}
	require.Equal(t, 100, up(path, "x", "0"), "it is longer")
	require.Equal(t, 100, up(path, "xy", "1"))
	require.Zero(t, up(path, "xy", "0"))
	require.Equal(t, 100, up(path, "xy", "0"), "it was taken")
	require.Equal(t, 190, code(w.call(http.MethodPost, "/v26.0/"+id, "{}", "Authorization", "OAuth token")))
}
