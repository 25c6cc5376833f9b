package whatsapp

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSendBodies(t *testing.T) {
	t.Parallel()
	const head = `{"messaging_product":"whatsapp","recipient_type":"individual",`
	for name, c := range map[string]struct {
		message Message
		want    string
	}{
		"text to a phone, quoting, with our id": {
			Message{To: phone, CallbackData: "msg_1", ReplyTo: "wamid.Q", Text: &Text{Body: "Hi <b>"}},
			head + `"to":"+4520123456","biz_opaque_callback_data":"msg_1","context":{"message_id":"wamid.Q"},"type":"text","text":{"body":"Hi <b>","preview_url":false}}`,
		},
		"text to a user id": {
			Message{UserID: "DK.123", Text: &Text{Body: "Hi", PreviewURL: true}},
			head + `"recipient":"DK.123","type":"text","text":{"body":"Hi","preview_url":true}}`,
		},
		"template": {
			Message{To: phone, Template: &TemplateMessage{
				Name: "cart_0a1b2c3d", Language: "en", Header: &TemplateHeader{Text: "Sale"}, Body: []string{"Mia", "3"},
				Buttons: []TemplateButton{{0, QuickReply, "yes"}, {1, CopyCode, "AB12"}, {2, URLSuffix, "x/y"}},
			}},
			head + `"to":"+4520123456","type":"template","template":{"name":"cart_0a1b2c3d","language":{"code":"en"},"components":[
				{"type":"header","parameters":[{"type":"text","text":"Sale"}]},
				{"type":"body","parameters":[{"type":"text","text":"Mia"},{"type":"text","text":"3"}]},
				{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"payload","payload":"yes"}]},
				{"type":"button","sub_type":"copy_code","index":"1","parameters":[{"type":"coupon_code","coupon_code":"AB12"}]},
				{"type":"button","sub_type":"url","index":"2","parameters":[{"type":"text","text":"x/y"}]}]}}`,
		},
		"template with named values and an image": {
			Message{To: phone, Template: &TemplateMessage{
				Name: "n", Language: "da", Header: &TemplateHeader{Image: &Media{Link: "https://x.example/a.png"}},
				Named: []NamedValue{{"who", "Mia"}},
			}},
			head + `"to":"+4520123456","type":"template","template":{"name":"n","language":{"code":"da"},"components":[
				{"type":"header","parameters":[{"type":"image","image":{"link":"https://x.example/a.png"}}]},
				{"type":"body","parameters":[{"type":"text","parameter_name":"who","text":"Mia"}]}]}}`,
		},
		"template without values": {
			Message{To: phone, Template: &TemplateMessage{Name: "n", Language: "da"}},
			head + `"to":"+4520123456","type":"template","template":{"name":"n","language":{"code":"da"}}}`,
		},
		"buttons": {
			Message{To: phone, Buttons: &Buttons{Body: "Sure?", Footer: "f", Buttons: []Button{{"y", "Yes"}}}},
			head + `"to":"+4520123456","type":"interactive","interactive":{"type":"button","body":{"text":"Sure?"},"footer":{"text":"f"},
				"action":{"buttons":[{"type":"reply","reply":{"id":"y","title":"Yes"}}]}}}`,
		},
		"list": {
			Message{To: phone, List: &List{Header: "h", Body: "b", Button: "Open", Sections: []Section{{"s", []Row{{"1", "One", ""}, {"2", "Two", "d"}}}}}},
			head + `"to":"+4520123456","type":"interactive","interactive":{"type":"list","header":{"type":"text","text":"h"},"body":{"text":"b"},
				"action":{"button":"Open","sections":[{"title":"s","rows":[{"id":"1","title":"One"},{"id":"2","title":"Two","description":"d"}]}]}}}`,
		},
		"image": {
			Message{To: phone, Image: &Media{ID: "77", Caption: "c"}},
			head + `"to":"+4520123456","type":"image","image":{"id":"77","caption":"c"}}`,
		},
		"document": {
			Message{To: phone, Document: &Media{Link: "https://x.example/a.pdf", Filename: "a.pdf"}},
			head + `"to":"+4520123456","type":"document","document":{"link":"https://x.example/a.pdf","filename":"a.pdf"}}`,
		},
		"location on the equator": {
			Message{To: phone, Location: &Location{Latitude: 0, Longitude: 12.5, Name: "n"}},
			head + `"to":"+4520123456","type":"location","location":{"latitude":0,"longitude":12.5,"name":"n"}}`,
		},
		"video": {
			Message{UserID: "DK.1", Video: &Media{Link: "https://x.example/a.mp4", Caption: "c"}},
			head + `"recipient":"DK.1","type":"video","video":{"link":"https://x.example/a.mp4","caption":"c"}}`,
		},
		"audio": {
			Message{To: phone, Audio: &Media{ID: "78"}},
			head + `"to":"+4520123456","type":"audio","audio":{"id":"78"}}`,
		},
		"sticker": {
			Message{To: phone, Sticker: &Media{ID: "79"}},
			head + `"to":"+4520123456","type":"sticker","sticker":{"id":"79"}}`,
		},
		"contacts": {
			Message{To: phone, Contacts: []Contact{
				{Name: "Bean & Bloom", Company: "Bean ApS", Phones: []string{"+4533112233"}, Emails: []string{"hi@x.example"}, Websites: []string{"https://x.example"}},
				{Name: "Mia Holm", First: "Mia"},
			}},
			head + `"to":"+4520123456","type":"contacts","contacts":[
				{"name":{"formatted_name":"Bean & Bloom","first_name":"Bean & Bloom"},"org":{"company":"Bean ApS"},
				"phones":[{"phone":"+4533112233"}],"emails":[{"email":"hi@x.example"}],"urls":[{"url":"https://x.example"}]},
				{"name":{"formatted_name":"Mia Holm","first_name":"Mia"}}]}`,
		},
		"reaction": {
			Message{To: phone, Reaction: &Reaction{MessageID: "wamid.Q", Emoji: "👍"}},
			head + `"to":"+4520123456","type":"reaction","reaction":{"message_id":"wamid.Q","emoji":"👍"}}`,
		},
		"reaction taken off": {
			Message{To: phone, Reaction: &Reaction{MessageID: "wamid.Q"}},
			head + `"to":"+4520123456","type":"reaction","reaction":{"message_id":"wamid.Q","emoji":""}}`,
		},
		"link": {
			Message{To: phone, Link: &Link{Image: &Media{ID: "77"}, Body: "b", Footer: "f", Label: "See", URL: "https://x.example/a"}},
			head + `"to":"+4520123456","type":"interactive","interactive":{"type":"cta_url","header":{"type":"image","image":{"id":"77"}},
				"body":{"text":"b"},"footer":{"text":"f"},"action":{"name":"cta_url","parameters":{"display_text":"See","url":"https://x.example/a"}}}}`,
		},
		"template of a limited-time offer": {
			Message{To: phone, Template: &TemplateMessage{
				Name: "n", Language: "en", Header: &TemplateHeader{Video: &Media{ID: "80"}}, Body: []string{"Mia"},
				Expires: time.UnixMilli(1790000000123), Buttons: []TemplateButton{{0, CopyCode, "AB12"}, {1, URLSuffix, "x"}},
			}},
			head + `"to":"+4520123456","type":"template","template":{"name":"n","language":{"code":"en"},"components":[
				{"type":"header","parameters":[{"type":"video","video":{"id":"80"}}]},
				{"type":"body","parameters":[{"type":"text","text":"Mia"}]},
				{"type":"limited_time_offer","parameters":[{"type":"limited_time_offer","limited_time_offer":{"expiration_time_ms":1790000000123}}]},
				{"type":"button","sub_type":"copy_code","index":"0","parameters":[{"type":"coupon_code","coupon_code":"AB12"}]},
				{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"x"}]}]}}`,
		},
		"template of a carousel": {
			Message{To: phone, Template: &TemplateMessage{Name: "n", Language: "en", Body: []string{"Mia"}, Cards: []Card{
				{Header: &TemplateHeader{Image: &Media{ID: "1"}}, Body: []string{"One"}, Buttons: []TemplateButton{{0, QuickReply, "a"}, {1, URLSuffix, "x"}}},
				{Header: &TemplateHeader{Image: &Media{ID: "2"}}, Named: []NamedValue{{"what", "Two"}}},
			}}},
			head + `"to":"+4520123456","type":"template","template":{"name":"n","language":{"code":"en"},"components":[
				{"type":"body","parameters":[{"type":"text","text":"Mia"}]},
				{"type":"carousel","cards":[
					{"card_index":0,"components":[{"type":"header","parameters":[{"type":"image","image":{"id":"1"}}]},{"type":"body","parameters":[{"type":"text","text":"One"}]},
						{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"payload","payload":"a"}]},
						{"type":"button","sub_type":"url","index":"1","parameters":[{"type":"text","text":"x"}]}]},
					{"card_index":1,"components":[{"type":"header","parameters":[{"type":"image","image":{"id":"2"}}]},
						{"type":"body","parameters":[{"type":"text","parameter_name":"what","text":"Two"}]}]}]}]}}`,
		},
		"template with a document and a flow": {
			Message{To: phone, Template: &TemplateMessage{
				Name: "n", Language: "en", Header: &TemplateHeader{Document: &Media{ID: "81", Filename: "a.pdf"}}, Buttons: []TemplateButton{{0, FlowToken, "tok"}},
			}},
			head + `"to":"+4520123456","type":"template","template":{"name":"n","language":{"code":"en"},"components":[
				{"type":"header","parameters":[{"type":"document","document":{"id":"81","filename":"a.pdf"}}]},
				{"type":"button","sub_type":"flow","index":"0","parameters":[{"type":"action","action":{"flow_token":"tok"}}]}]}}`,
		},
		"template with a place": {
			Message{To: phone, Template: &TemplateMessage{Name: "n", Language: "en", Header: &TemplateHeader{Location: &Location{Latitude: 55.5, Longitude: 12.5, Name: "Shop"}}}},
			head + `"to":"+4520123456","type":"template","template":{"name":"n","language":{"code":"en"},"components":[
				{"type":"header","parameters":[{"type":"location","location":{"latitude":55.5,"longitude":12.5,"name":"Shop"}}]}]}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var path, auth, got string
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				raw, _ := io.ReadAll(r.Body)
				path, auth, got = r.Method+" "+r.URL.Path, r.Header.Get("Authorization"), string(raw)
				_, _ = io.WriteString(w, `{"contacts":[{"input":"x"}],"messages":[{"id":"wamid.A","message_status":"accepted"}],"new":1}`)
			})
			accepted, err := client.Send(t.Context(), c.message)
			require.NoError(t, err)
			require.Equal(t, Accepted{ID: "wamid.A", Status: "accepted"}, accepted)
			require.Equal(t, "POST /v26.0/1065/messages", path)
			require.Equal(t, "Bearer tok", auth)
			require.JSONEq(t, c.want, got)
			if c.message.Link == nil { // newer than Meta's document
				fits(t, "send", []byte(got))
			}
		})
	}
}

func TestSendRefusesBeforeTheCall(t *testing.T) {
	t.Parallel()
	client := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("called") })
	for _, m := range []Message{
		{Text: &Text{Body: secret}},
		{To: phone},
		{To: phone, Text: &Text{Body: secret}, Image: &Media{ID: "1"}},
		{To: phone, Buttons: &Buttons{}, List: &List{}},
		{To: phone, Template: &TemplateMessage{Body: []string{"a"}, Named: []NamedValue{{"a", "b"}}}},
		{To: phone, Template: &TemplateMessage{Cards: []Card{{}, {Body: []string{"a"}, Named: []NamedValue{{"a", "b"}}}}}},
		{To: phone, Template: &TemplateMessage{Cards: make([]Card, 1)}},
		{To: phone, Template: &TemplateMessage{Cards: make([]Card, 11)}},
		{To: phone[1:], Text: &Text{Body: secret}},
	} {
		_, err := client.Send(t.Context(), m)
		require.Equal(t, Bug, ClassOf(err))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.Send(ctx, hello())
	require.Equal(t, Retry, ClassOf(err))
	require.ErrorIs(t, err, context.Canceled)
}

func TestMarkRead(t *testing.T) {
	t.Parallel()
	var got []string
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.Path+" "+string(raw))
		_, _ = io.WriteString(w, `{"success":true}`)
	})
	require.NoError(t, client.MarkRead(t.Context(), "wamid.1"))
	require.NoError(t, client.ShowTyping(t.Context(), "wamid.2"))
	require.Equal(t, []string{
		`POST /v26.0/1065/messages {"message_id":"wamid.1","messaging_product":"whatsapp","status":"read"}`,
		`POST /v26.0/1065/messages {"message_id":"wamid.2","messaging_product":"whatsapp","status":"read","typing_indicator":{"type":"text"}}`,
	}, got)
}

func TestSendMarketing(t *testing.T) {
	t.Parallel()
	offer := Message{UserID: "DK.1", CallbackData: "msg_1", Template: &TemplateMessage{Name: "n", Language: "en"}}
	refusal := func(status, code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(status)
			raw, _ := json.Marshal(object{"error": object{"code": code}})
			_, _ = w.Write(raw)
		}
	}
	accept := func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"messages":[{"id":"wamid.A"}]}`) }
	no := false
	for name, c := range map[string]struct {
		how     Marketing
		answer  func(http.ResponseWriter)
		paths   []string
		want    Accepted
		class   Class
		message Message
	}{
		"taken":                         {Marketing{}, accept, []string{"marketing_messages"}, Accepted{ID: "wamid.A", Marketing: true}, "", offer},
		"taken, strictly, not shared":   {Marketing{Policy: Strict, ShareActivity: &no}, accept, []string{"marketing_messages"}, Accepted{ID: "wamid.A", Marketing: true}, "", offer},
		"no marketing template":         {Marketing{}, refusal(400, 134100), []string{"marketing_messages", "messages"}, Accepted{ID: "wamid.A"}, "", offer},
		"no method for it":              {Marketing{}, refusal(400, 131055), []string{"marketing_messages", "messages"}, Accepted{ID: "wamid.A"}, "", offer},
		"not onboarded":                 {Marketing{}, refusal(500, 134102), []string{"marketing_messages", "messages"}, Accepted{ID: "wamid.A"}, "", offer},
		"terms not accepted":            {Marketing{}, refusal(403, 200), []string{"marketing_messages", "messages"}, Accepted{ID: "wamid.A"}, "", offer},
		"terms, but in a 5xx":           {Marketing{}, refusal(500, 200), []string{"marketing_messages"}, Accepted{}, Sender, offer},
		"not onboarded, strictly":       {Marketing{Policy: Strict}, refusal(500, 134102), []string{"marketing_messages"}, Accepted{}, Sender, offer},
		"still synchronised":            {Marketing{}, refusal(400, 134101), []string{"marketing_messages"}, Accepted{}, Defer, offer},
		"for the recipient's sake":      {Marketing{}, refusal(400, 131049), []string{"marketing_messages"}, Accepted{}, Defer, offer},
		"the recipient stopped":         {Marketing{}, refusal(400, 131050), []string{"marketing_messages"}, Accepted{}, OptOut, offer},
		"a rate":                        {Marketing{}, refusal(400, 130429), []string{"marketing_messages"}, Accepted{}, Retry, offer},
		"ambiguous":                     {Marketing{}, refusal(400, 131000), []string{"marketing_messages"}, Accepted{}, Ambiguous, offer},
		"a broken answer":               {Marketing{}, func(w http.ResponseWriter) { _, _ = io.WriteString(w, "{") }, []string{"marketing_messages"}, Accepted{}, Ambiguous, offer},
		"nothing but templates":         {Marketing{}, accept, nil, Accepted{}, Bug, hello()},
		"a template that makes no body": {Marketing{}, accept, nil, Accepted{}, Bug, Message{Template: &TemplateMessage{}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var paths []string
			var bodies [][]byte
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				raw, _ := io.ReadAll(r.Body)
				edge := r.URL.Path[len("/v26.0/1065/"):]
				paths, bodies = append(paths, edge), append(bodies, raw)
				if edge == "messages" {
					accept(w)
					return
				}
				var body struct {
					Policy ProductPolicy `json:"product_policy"`
					Share  *bool         `json:"message_activity_sharing"`
					Ours   string        `json:"biz_opaque_callback_data"`
				}
				if json.Unmarshal(raw, &body) != nil || body.Ours != "msg_1" || (body.Policy == Strict) != (c.how.Policy == Strict) ||
					(body.Share == nil) != (c.how.ShareActivity == nil) {
					t.Errorf("%s", raw)
				}
				c.answer(w)
			})
			got, err := client.SendMarketing(t.Context(), c.message, c.how)
			require.Equal(t, c.want, got)
			require.Equal(t, c.paths, paths)
			for i, edge := range paths {
				fits(t, map[string]string{"messages": "send", "marketing_messages": "send marketing"}[edge], bodies[i])
			}
			if c.class == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, c.class, ClassOf(err))
			quiet(t, err)
		})
	}
}

// Whom WhatsApp sends to stands in its answer, in its own form of the number. An answer that cannot be read so far has sent all the same.
func TestAnswerNamesTheRecipient(t *testing.T) {
	t.Parallel()
	for contacts, want := range map[string][2]string{
		`[{"input":"+5511987654321","wa_id":"551187654321"}]`:                      {"+551187654321", ""},
		`[{"input":"+4520123456","wa_id":"4520123456","user_id":"DK.1"}]`:          {"+4520123456", "DK.1"},
		`[{"input":"DK.1","user_id":"DK.1"}]`:                                      {"", "DK.1"},
		`[{"input":"DK.1","wa_id":"DK.1"}]`:                                        {"", "DK.1"},
		`[{"input":"+4520123456","wa_id":"4520123456"},{"input":"a","wa_id":"b"}]`: {"", ""},
		`[]`: {"", ""}, `null`: {"", ""}, `{}`: {"", ""}, `[7]`: {"", ""}, `[{"wa_id":{}}]`: {"", ""}, `[{"wa_id":"x"}]`: {"", ""},
	} {
		client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"contacts":`+contacts+`,"messages":[{"id":"wamid.A"}]}`)
		})
		got, err := client.Send(t.Context(), hello())
		require.NoError(t, err, contacts)
		require.Equal(t, Accepted{ID: "wamid.A", Phone: want[0], UserID: want[1]}, got, contacts)
	}
}
