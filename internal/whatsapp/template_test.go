package whatsapp

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTemplates(t *testing.T) {
	t.Parallel()
	var created string
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		after := r.URL.Query().Get("after")
		switch {
		case r.URL.Path != "/v26.0/1022/message_templates":
			t.Error("the client asked for", r.URL)
		case r.Method == http.MethodPost:
			raw, _ := io.ReadAll(r.Body)
			if created != "" {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"error":{"code":100,"error_subcode":2388024,"message":"Invalid parameter"}}`)
				return
			}
			created = string(raw)
			_, _ = io.WriteString(w, `{"id":"9","status":"PENDING","category":"MARKETING"}`)
		case after == "":
			_, _ = io.WriteString(w, `{"data":[{"id":"1","name":"a","language":"en","status":"APPROVED","category":"UTILITY",
				"components":[{"type":"BODY","text":"Hi {{1}}","example":"of another age"},
				{"type":"BUTTONS","buttons":[{"type":"COPY_CODE","text":"Copy","example":["X"]},{"type":"NEW","example":{"x":1}}]}]}],
				"paging":{"cursors":{"after":"c1"},"next":"https://evil.example/?access_token=x"}}`)
		case after == "c1":
			_, _ = io.WriteString(w, `{"data":[{"id":"2","name":"b","language":"da","status":"PAUSED"}],"paging":{"cursors":{"after":"c2"}}}`)
		default:
			t.Error("the client asked for a page after", after)
		}
	})
	list, err := client.ListTemplates(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "APPROVED", list[0].Status)
	require.Equal(t, Samples{"X"}, list[0].Components[1].Buttons[0].Example)
	require.Equal(t, "da", list[1].Language)

	spec := TemplateSpec{Name: "welcome_0a1b2c3d", Language: "en", Category: "UTILITY", Components: []Component{
		{Type: ComponentBody, Text: "Hi {{1}}!", Example: &Example{BodyText: [][]string{{"Mia"}}}},
		{Type: ComponentButtons, Buttons: []ButtonSpec{
			{Type: ButtonURL, Text: "See", URL: "https://x.example/{{1}}", Example: Samples{"https://x.example/a"}},
			{Type: ButtonCopyCode, Example: Samples{"AB12"}},
		}},
	}}
	info, err := client.CreateTemplate(t.Context(), spec)
	require.NoError(t, err)
	require.Equal(t, "9", info.ID)
	require.Equal(t, "MARKETING", info.Category, "what Meta made of it")
	fits(t, "create template", []byte(created))
	require.JSONEq(t, `{"name":"welcome_0a1b2c3d","language":"en","category":"UTILITY","components":[
		{"type":"BODY","text":"Hi {{1}}!","example":{"body_text":[["Mia"]]}},
		{"type":"BUTTONS","buttons":[{"type":"URL","text":"See","url":"https://x.example/{{1}}","example":["https://x.example/a"]},
		{"type":"COPY_CODE","example":"AB12"}]}]}`, created)

	_, err = client.CreateTemplate(t.Context(), spec)
	require.True(t, IsDuplicateTemplate(err))
	require.False(t, IsDuplicateTemplate(errors.New("x")))
}

// A carousel of offers: the parts that Meta's OpenAPI document does not have, and those of a template that is read back.
func TestTemplateParts(t *testing.T) {
	t.Parallel()
	var created string
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		created = string(raw)
		_, _ = io.WriteString(w, `{"id":"9","status":"PENDING"}`)
	})
	spec := TemplateSpec{Name: "offer", Language: "en", Category: "MARKETING", TTL: 86400, Components: []Component{
		{Type: ComponentOffer, Offer: &OfferSpec{Text: "Ends soon", Expiration: true}},
		{Type: ComponentBody, Text: "Look"},
		{Type: ComponentCarousel, Cards: []CardSpec{
			{Components: []Component{
				{Type: ComponentHeader, Format: "IMAGE", Example: &Example{HeaderHandle: []string{"4::h"}}},
				{Type: ComponentButtons, Buttons: []ButtonSpec{{Type: ButtonFlow, Text: "Go", FlowID: "77"}}},
			}},
			{Components: []Component{{Type: ComponentBody, Text: "Two"}}},
		}},
	}}
	info, err := client.CreateTemplate(t.Context(), spec)
	require.NoError(t, err)
	require.Equal(t, "MARKETING", info.Category, "where the answer names none, what was asked for")
	const want = `{"name":"offer","language":"en","category":"MARKETING","message_send_ttl_seconds":86400,"components":[
		{"type":"LIMITED_TIME_OFFER","limited_time_offer":{"text":"Ends soon","has_expiration":true}},
		{"type":"BODY","text":"Look"},
		{"type":"CAROUSEL","cards":[
			{"components":[{"type":"HEADER","format":"IMAGE","example":{"header_handle":["4::h"]}},
				{"type":"BUTTONS","buttons":[{"type":"FLOW","text":"Go","flow_id":"77"}]}]},
			{"components":[{"type":"BODY","text":"Two"}]}]}]}`
	require.JSONEq(t, want, created)
	fits(t, "create template", []byte(created))

	info.Quality = "GREEN"
	raw, err := json.Marshal(info)
	require.NoError(t, err)
	var back TemplateInfo
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Equal(t, info, back)
}

func TestTemplateChanges(t *testing.T) {
	t.Parallel()
	var asked, body string
	answer := `{"success":true}`
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		asked, body = r.Method+" "+r.URL.String(), string(raw)
		_, _ = io.WriteString(w, answer)
	})
	require.NoError(t, client.EditTemplate(t.Context(), "9", TemplateEdit{Category: "UTILITY", Components: []Component{{Type: ComponentBody, Text: "Hi"}}}))
	require.Equal(t, "POST /v26.0/9", asked)
	require.JSONEq(t, `{"category":"UTILITY","components":[{"type":"BODY","text":"Hi"}]}`, body)
	fits(t, "edit template", []byte(body))

	require.NoError(t, client.UnpauseTemplate(t.Context(), "9"))
	require.Equal(t, "POST /v26.0/9/unpause", asked)
	require.NoError(t, client.DeleteTemplate(t.Context(), "cart"))
	require.Equal(t, "DELETE /v26.0/1022/message_templates?name=cart", asked)
	require.Empty(t, body)
	require.NoError(t, client.DeleteTemplateByID(t.Context(), "9", "cart"))
	require.Equal(t, "DELETE /v26.0/1022/message_templates?hsm_id=9&name=cart", asked)

	asked = ""
	require.Equal(t, Bug, ClassOf(client.DeleteTemplate(t.Context(), "")))
	require.Equal(t, Bug, ClassOf(client.DeleteTemplateByID(t.Context(), "", "cart")), "Meta would delete every language")
	require.Empty(t, asked)

	for _, answer = range []string{`{"success":false}`, `{}`} {
		require.Equal(t, Ambiguous, ClassOf(client.UnpauseTemplate(t.Context(), "9")))
	}

	for text, want := range map[string]TemplateInfo{
		`{"id":"9","name":"n","status":"PAUSED","quality_score":{"score":"RED","date":1}}`: {ID: "9", TemplateSpec: TemplateSpec{Name: "n"}, Status: "PAUSED", Quality: "RED"},
		`{"id":"9","name":"n","quality_score":"odd"}`:                                      {ID: "9", TemplateSpec: TemplateSpec{Name: "n"}},
	} {
		answer = text
		got, err := client.GetTemplate(t.Context(), "9/../1022")
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Contains(t, asked, "GET /v26.0/9%2F..%2F1022?fields=", "an id is no path")
	}
}
