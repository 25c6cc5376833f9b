package simulator

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The person side is a contract: tests and scripts of others stand on it.
func TestPeople(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, answer := w.call(http.MethodGet, "/people", nil)
	require.Equal(t, []any{}, answer["items"])
	require.Empty(t, w.chat("+4599999999"), "an unknown phone has an empty chat")

	code, answer := w.call(http.MethodPost, "/people", object{"phone": mia, "name": "Mia Holm"})
	require.Equal(t, http.StatusCreated, code)
	require.Equal(t, mia, answer["phone"])
	require.Equal(t, "Mia Holm", answer["name"])
	code, _ = w.call(http.MethodPost, "/people", object{"phone": mia})
	require.Equal(t, http.StatusOK, code, "again")
	code, _ = w.call(http.MethodPost, "/people", object{"phone": "45 20-12-34-57"})
	require.Equal(t, http.StatusCreated, code)

	// One phone, however it is written; and whoever writes first is added.
	for _, path := range []string{"+4520123456", "%2B4520123456", "4520123456", "+4520123458"} {
		in := w.says(path, "hi")
		require.Equal(t, path == "+4520123456", in.From == mia && path[0] == '+')
		require.Len(t, w.chat(path), map[string]int{"+4520123456": 1, "%2B4520123456": 2, "4520123456": 3, "+4520123458": 1}[path])
	}
	_, answer = w.call(http.MethodGet, "/people", nil)
	items := answer["items"].([]any)
	require.Len(t, items, 3)
	require.Equal(t, "Mia Holm", items[0].(map[string]any)["name"])
	require.Equal(t, "+4520123457", items[1].(map[string]any)["phone"])
	require.Equal(t, "+4520123458", items[2].(map[string]any)["phone"])

	// The exact members.
	_, answer = w.call(http.MethodGet, "/people/"+mia+"/messages", nil)
	first := answer["items"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"in", "text", "", "hi", []any{}, "2026-11-02T09:00:00Z"},
		[]any{first["direction"], first["type"], first["template"], first["text"], first["buttons"], first["at"]})
	require.NotEmpty(t, first["id"])

	// Taken by the business's webhook: two ticks.
	require.Eventually(t, func() bool { return w.chat(mia)[2].Status == delivered }, waitFor, tick)
	// Another name goes with the next message.
	_, _ = w.call(http.MethodPost, "/people", object{"phone": mia, "name": "Mia <3"})
	require.Equal(t, "Mia <3", w.says(mia, "again").ProfileName)
}

func TestPeopleRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.says(mia, "hi")
	chat := "/people/" + mia + "/messages"
	for name, c := range map[string]struct {
		method, path string
		body         any
		headers      []string
		want         int
	}{
		"no phone":            {http.MethodGet, "/people/mia/messages", nil, nil, 400},
		"too short":           {http.MethodGet, "/people/+45/messages", nil, nil, 400},
		"too long":            {http.MethodGet, "/people/+4520123456789012/messages", nil, nil, 400},
		"two pluses":          {http.MethodGet, "/people/++4520123456/messages", nil, nil, 400},
		"a national number":   {http.MethodGet, "/people/020123456/messages", nil, nil, 400},
		"no phone, writing":   {http.MethodPost, "/people/mia/messages", object{"text": "x"}, nil, 400},
		"no phone, adding":    {http.MethodPost, "/people", object{"phone": "mia"}, nil, 400},
		"name too long":       {http.MethodPost, "/people", object{"phone": mia, "name": strings.Repeat("x", 101)}, nil, 400},
		"the business":        {http.MethodPost, "/people", object{"phone": "+4533112233"}, nil, 409},
		"the business writes": {http.MethodPost, "/people/+4533112233/messages", object{"text": "x"}, nil, 409},
		"no JSON":             {http.MethodPost, chat, "hello", nil, 400},
		"empty":               {http.MethodPost, chat, "", nil, 400},
		"null":                {http.MethodPost, chat, "null", nil, 400},
		"a list":              {http.MethodPost, chat, "[]", nil, 400},
		"two values":          {http.MethodPost, chat, `{"text":"a"}{"text":"b"}`, nil, 400},
		"neither":             {http.MethodPost, chat, object{}, nil, 400},
		"both":                {http.MethodPost, chat, object{"text": "a", "press": "b"}, nil, 400},
		"blank":               {http.MethodPost, chat, object{"text": " \n"}, nil, 400},
		"a number":            {http.MethodPost, chat, object{"text": 5}, nil, 400},
		"a member too many":   {http.MethodPost, chat, object{"text": "a", "from": "+4599999999"}, nil, 400},
		"text too long":       {http.MethodPost, chat, object{"text": strings.Repeat("é", 4097)}, nil, 400},
		"body too long":       {http.MethodPost, chat, object{"text": strings.Repeat("x", maxPersonBody)}, nil, 413},
		"nested without end":  {http.MethodPost, chat, `{"text":` + strings.Repeat("[", 20_000), nil, 400},
		"no button":           {http.MethodPost, chat, object{"press": "x"}, nil, 409},
		"a form":              {http.MethodPost, chat, "text=x", []string{"Content-Type", "application/x-www-form-urlencoded"}, 400},
		"a name pointed here": {http.MethodPost, chat, object{"text": "x"}, []string{"Host", "evil.example:8090"}, 403},
		"its list of people":  {http.MethodGet, "/people", nil, []string{"Host", "evil.example:8090"}, 403},
		"its look at a chat":  {http.MethodGet, chat, nil, []string{"Host", "evil.example:8090"}, 403},
		"its page":            {http.MethodGet, "/?phone=4520123456", nil, []string{"Host", "evil.example:8090"}, 403},
		"its page, live":      {http.MethodGet, "/page/live", nil, []string{"Host", "evil.example:8090"}, 403},
		"its page, earlier":   {http.MethodGet, "/page/earlier", nil, []string{"Host", "evil.example:8090"}, 403},
		"its page's files":    {http.MethodGet, "/page/file?id=1", nil, []string{"Host", "evil.example:8090"}, 403},
		"another site":        {http.MethodPost, chat, object{"text": "x"}, []string{"Origin", "https://evil.example"}, 403},
		"a sandbox":           {http.MethodPost, chat, object{"text": "x"}, []string{"Origin", "null"}, 403},
		"another port":        {http.MethodPost, "/people", object{"phone": mia}, []string{"Origin", "http://127.0.0.1:1"}, 403},
		"another site reads":  {http.MethodPost, "/people/" + mia + "/read", object{}, []string{"Origin", "https://evil.example"}, 403},
		"another site faults": {http.MethodPost, "/faults", object{"send": "http_500"}, []string{"Origin", "https://evil.example"}, 403},
		"another site heals":  {http.MethodDelete, "/faults", nil, []string{"Origin", "https://evil.example"}, 403},
	} {
		code, answer := w.call(c.method, c.path, c.body, c.headers...)
		require.Equal(t, c.want, code, "%s: %v", name, answer)
		require.Len(t, w.chat(mia), 1, name)
	}
	code, _ := w.call(http.MethodPost, chat, object{"text": "x"}, "Origin", w.address, "Content-Type", "application/json; charset=utf-8")
	require.Equal(t, http.StatusCreated, code, "our own page may")
	code, _ = w.call(http.MethodPost, chat, object{"text": "x"}, "Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, http.StatusCreated, code, "curl -d declares a form and sends JSON")
	require.Empty(t, w.chat("+4599999999"))
}

func FuzzPerson(f *testing.F) {
	for _, body := range []string{`{"text":"a"}`, `{"press":"b","reply_to":"c"}`, `{"text":"\u0000\ud800"}`, "\xff"} {
		f.Add("+4520123456", body)
	}
	sim, err := New(Options{BusinessPhone: "+4533112233"})
	require.NoError(f, err)
	handler := sim.Handler()
	f.Fuzz(func(t *testing.T, phone, body string) {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/people/x/messages", strings.NewReader(body))
		r.URL.Path, r.URL.RawPath = "/people/"+phone+"/messages", ""
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.Less(t, w.Code, 500)
	})
}
