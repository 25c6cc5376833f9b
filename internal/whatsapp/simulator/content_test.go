package simulator

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// post sends a body to the Graph side.
func (w *world) post(path, body string) (int, map[string]any) {
	w.t.Helper()
	return w.call(http.MethodPost, path, body, "Authorization", "Bearer token")
}

// code is Meta's code in an answer; 0 is success.
func code(status int, answer map[string]any) int {
	if status == http.StatusOK {
		return 0
	}
	e, _ := answer["error"].(map[string]any)
	n, _ := e["code"].(float64)
	return int(n)
}

// body is a message to Mia of a type.
func body(kind, content string) string {
	return `{"messaging_product":"whatsapp","recipient_type":"individual","to":"+4520123456","type":"` + kind + `","` + kind + `":` + content + `}`
}

// last is the newest message of Mia's.
func (w *world) last() *message {
	w.t.Helper()
	w.sim.mu.Lock()
	defer w.sim.mu.Unlock()
	chat := w.sim.people[mia].chat
	return chat[len(chat)-1]
}

// Every kind of content: one body that is right, and changes to it that are not.
func TestContent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	hello := w.says(mia, "hi")
	nth := 1 // in the chat: what is refused takes none
	cta := `{"type":"cta_url","header":{"type":"image","image":{"link":"https://x.example/a.png"}},"body":{"text":"See"},"footer":{"text":"f"},` +
		`"action":{"name":"cta_url","parameters":{"display_text":"Open","url":"https://x.example/1"}}}`
	type change struct {
		old, new string
		code     int
	}
	for kind, c := range map[string]struct {
		kind, right string
		want        message
		wrong       []change
	}{
		"image": {"image", `{"link":"https://x.example/a.png","caption":"A"}`,
			message{Text: "A", Link: "https://x.example/a.png", File: &file{Kind: "image", Link: "https://x.example/a.png"}},
			[]change{{`"caption"`, `"filename"`, 100}, {`"caption"`, `"voice"`, 100}, {`https:`, `ftp:`, 131009}}},
		"video": {"video", `{"link":"https://x.example/a.mp4","caption":"A"}`,
			message{Text: "A", Link: "https://x.example/a.mp4", File: &file{Kind: "video", Link: "https://x.example/a.mp4"}},
			[]change{{`"A"`, `"` + strings.Repeat("é", 1025) + `"`, 131009}}},
		"audio": {"audio", `{"link":"https://x.example/a.ogg","voice":true}`,
			message{Link: "https://x.example/a.ogg", File: &file{Kind: "audio", Link: "https://x.example/a.ogg", Voice: true}},
			[]change{{`"voice":true`, `"caption":"A"`, 100}, {`true`, `"yes"`, 100}}},
		"document": {"document", `{"link":"https://x.example/a.pdf","filename":"a.pdf","caption":"A"}`,
			message{Text: "A", Header: "a.pdf", Link: "https://x.example/a.pdf", File: &file{Kind: "document", Link: "https://x.example/a.pdf", Filename: "a.pdf"}},
			[]change{{`"link":"https://x.example/a.pdf",`, ``, 100}}},
		"sticker": {"sticker", `{"link":"https://x.example/a.webp"}`,
			message{Link: "https://x.example/a.webp", File: &file{Kind: "sticker", Link: "https://x.example/a.webp"}},
			[]change{{`}`, `,"caption":"A"}`, 100}, {`}`, `,"id":"1"}`, 100}}},
		"location": {"location", `{"latitude":55.5,"longitude":12,"name":"Shop","address":"Street 1"}`,
			message{Text: "Street 1", Header: "Shop", Link: "geo:55.5,12", Place: &place{Latitude: 55.5, Longitude: 12, Name: "Shop", Address: "Street 1"}},
			[]change{{`"longitude":12`, `"longitude":181`, 131009}, {`,"longitude":12`, ``, 131008}}},
		"contacts": {"contacts", `[{"name":{"formatted_name":"Mia Holm","first_name":"Mia"},"org":{"company":"B&B"},"phones":[{"phone":"+45 20","type":"WORK"}],` +
			`"emails":[{"email":"m@x.example"}],"urls":[{"url":"https://x.example"}],"birthday":"2000-01-31"}]`,
			message{Text: "Mia Holm", Contacts: []contactCard{{Name: "Mia Holm", Org: "B&B", Phones: []string{"+45 20"}, Emails: []string{"m@x.example"}, URLs: []string{"https://x.example"}}}},
			[]change{{`"formatted_name":"Mia Holm",`, ``, 131008}, {`,"first_name":"Mia"`, ``, 131008}, {`2000-01-31`, `31 Jan`, 131009}, {`"org"`, `"work"`, 100}}},
		"reaction": {"reaction", `{"message_id":"` + hello.ID + `","emoji":"👍🏽"}`, message{Text: "👍🏽", ReplyTo: hello.ID, Status: sent},
			[]change{{`👍🏽`, `yes`, 131009}, {`"emoji":"👍🏽"`, `"emoji":null`, 131008}, {hello.ID, ``, 131008}}},
		"reaction taken back": {"reaction", `{"message_id":"` + hello.ID + `","emoji":""}`, message{ReplyTo: hello.ID, Status: sent}, nil},
		"cta_url": {"interactive", cta, message{
			Interactive: "cta_url", Text: "See", Footer: "f", Link: "https://x.example/a.png", File: &file{Kind: "image", Link: "https://x.example/a.png"},
			Buttons: []button{{Title: "Open", Kind: "url", Value: "https://x.example/1"}},
		}, []change{{`"name":"cta_url"`, `"name":"go"`, 131008}, {`"Open"`, `"` + strings.Repeat("x", 21) + `"`, 131009}, {`https://x.example/1`, `x`, 131009},
			{`"name":"cta_url"`, `"button":"x","name":"cta_url"`, 100}, {`"type":"image"`, `"type":"audio"`, 131009}}},
		"button with a picture": {"interactive", `{"type":"button","header":{"type":"document","document":{"link":"https://x.example/a.pdf","filename":"a.pdf"}},` +
			`"body":{"text":"b"},"action":{"buttons":[{"type":"reply","reply":{"id":"1","title":"One"}}]}}`,
			message{Interactive: "button", Text: "b", Header: "a.pdf", Link: "https://x.example/a.pdf", Buttons: []button{{Title: "One", ID: "1", Kind: "reply"}},
				File: &file{Kind: "document", Link: "https://x.example/a.pdf", Filename: "a.pdf"}},
			[]change{{`"filename":"a.pdf"`, `"caption":"A"`, 100}, {`"buttons":[`, `"name":"x","buttons":[`, 100}}},
	} {
		right := body(c.kind, c.right)
		status, answer := w.post("/v26.0/301/messages", right)
		require.Equal(t, http.StatusOK, status, "%s: %v", kind, answer)
		got, want := w.last(), c.want
		if want.Status == "" {
			want.Status = delivered
		}
		require.NotZero(t, got.rev, "the page shows it")
		nth++
		want.n, want.rev = nth, got.rev // and nobody reacted to it, edited it or came by an ad
		want.ID, want.Phone, want.Direction, want.Type, want.Category, want.At, want.Price = got.ID, mia, out, c.kind, "service", got.At, got.Price
		require.Equal(t, want, *got, kind)
		for _, x := range c.wrong {
			require.Contains(t, right, x.old, kind)
			status, answer := w.post("/v26.0/301/messages", body(c.kind, strings.Replace(c.right, x.old, x.new, 1)))
			require.Equal(t, x.code, code(status, answer), "%s: %s: %v", kind, x.new, answer)
		}
	}
}

// A reaction is about a message of the chat that is at most 30 days old; otherwise it fails, after it was accepted.
func TestReactionToNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	old := w.says(mia, "long ago")
	w.clock.Advance(30*24*time.Hour + time.Second)
	young := w.says(mia, "now")
	for id, want := range map[string]string{young.ID: sent, old.ID: failed, "wamid.none": failed} {
		status, _ := w.post("/v26.0/301/messages", body("reaction", `{"message_id":"`+id+`","emoji":"👍"}`))
		require.Equal(t, http.StatusOK, status)
		s := w.receiver.status(t)
		require.Equal(t, want, s.Status)
		if want == failed {
			require.Equal(t, 131009, s.Errors[0].Code)
		}
	}
	// The same holds for reading, which is told at once.
	require.Error(t, w.client.MarkRead(t.Context(), old.ID))
	require.NoError(t, w.client.MarkRead(t.Context(), young.ID))
}

func TestTyping(t *testing.T) {
	t.Parallel()
	w := setup(t)
	in := w.says(mia, "hi")
	read := func(typing string) int {
		return code(w.post("/v26.0/301/messages", `{"messaging_product":"whatsapp","status":"read","message_id":"`+in.ID+`","typing_indicator":`+typing+`}`))
	}
	typing := func() bool {
		w.sim.mu.Lock()
		defer w.sim.mu.Unlock()
		return w.sim.people[mia].typing.After(time.Now())
	}
	require.Equal(t, 100, read(`{"type":"audio"}`))
	require.False(t, typing())
	require.Zero(t, read(`{"type":"text"}`))
	require.True(t, typing())
	status, _ := w.post("/v26.0/301/messages", body("text", `{"body":"hello"}`))
	require.Equal(t, http.StatusOK, status)
	require.False(t, typing(), "a message ends it")
}

// A limited-time offer, a carousel, and headers of every format.
func TestRichTemplates(t *testing.T) {
	t.Parallel()
	w := setup(t)
	create := func(name, category, components string) int {
		for format := range samplesOf {
			format = `"format":"` + strings.ToLower(format) + `"`
			if strings.Contains(components, format) {
				components = strings.ReplaceAll(components, format, format+`,"example":{"header_handle":["`+w.sample(strings.ToUpper(format[10:len(format)-1]))+`"]}`)
			}
		}
		c := code(w.post("/v26.0/201/message_templates", `{"name":"`+name+`","language":"en","category":"`+category+`","components":[`+components+`]}`))
		if c == 0 {
			require.NotNil(t, w.receiver.next(t).Template)
		}
		return c
	}
	lto := `{"type":"header","format":"image"},{"type":"limited_time_offer","limited_time_offer":{"text":"Ends soon!","has_expiration":true}},` +
		`{"type":"body","text":"Hi {{1}}.","example":{"body_text":[["Mia"]]}},{"type":"buttons","buttons":[{"type":"copy_code","example":"AB12"},` +
		`{"type":"url","text":"Shop","url":"https://x.example/{{1}}","example":["y"]}]}`
	require.Zero(t, create("lto", "MARKETING", lto))
	require.Equal(t, 100, create("lto2", "UTILITY", lto))
	require.Equal(t, 100, create("lto2", "MARKETING", strings.Replace(lto, "Ends soon!", "Ends far too soon", 1)))
	require.Equal(t, 100, create("lto2", "MARKETING", lto+`,{"type":"footer","text":"f"}`))
	require.Equal(t, 100, create("lto2", "MARKETING", strings.Replace(lto, `"image"`, `"document"`, 1)))

	cardOf := func(text string) string {
		return `{"components":[{"type":"header","format":"image"},{"type":"body","text":"` + text + `"},{"type":"buttons","buttons":[{"type":"quick_reply","text":"Yes"}]}]}`
	}
	carousel := func(cards ...string) string {
		return `{"type":"body","text":"Look:"},{"type":"carousel","cards":[` + strings.Join(cards, ",") + `]}`
	}
	require.Zero(t, create("carousel", "MARKETING", carousel(cardOf("one"), cardOf("two"))))
	require.Equal(t, 100, create("carousel2", "MARKETING", carousel(cardOf("one"))))
	require.Equal(t, 100, create("carousel2", "UTILITY", carousel(cardOf("one"), cardOf("two"))))
	require.Equal(t, 100, create("carousel2", "MARKETING", carousel(cardOf("one"), strings.Replace(cardOf("two"), "image", "video", 1))))
	require.Equal(t, 100, create("carousel2", "MARKETING", carousel(cardOf("one"), cardOf(strings.Repeat("x", 161)))))
	for _, format := range []string{"video", "document", "location"} {
		require.Zero(t, create("with_"+format, "UTILITY", `{"type":"header","format":"`+format+`"},{"type":"body","text":"Look."}`))
	}

	send := func(name, components string) int {
		return code(w.post("/v26.0/301/messages", body("template", `{"name":"`+name+`","language":{"code":"en"},"components":[`+components+`]}`)))
	}
	picture := `{"type":"header","parameters":[{"type":"image","image":{"link":"https://x.example/a.png"}}]}`
	who := `{"type":"body","parameters":[{"type":"text","text":"Mia"}]}`
	ends := `{"type":"limited_time_offer","parameters":[{"type":"limited_time_offer","limited_time_offer":{"expiration_time_ms":1794000000000}}]}`
	code := `{"type":"button","sub_type":"copy_code","index":0,"parameters":[{"type":"coupon_code","coupon_code":"AB12"}]}`
	shop := `{"type":"button","sub_type":"url","index":1,"parameters":[{"type":"text","text":"z"}]}`
	full := strings.Join([]string{picture, who, ends, code, shop}, ",")
	require.Zero(t, send("lto", full))
	at := time.UnixMilli(1794000000000).UTC()
	require.Equal(t, &offer{Text: "Ends soon!", ExpiresAt: &at}, w.last().Offer)
	require.Equal(t, &file{Kind: "image", Link: "https://x.example/a.png"}, w.last().File)
	require.Equal(t, 132000, send("lto", strings.Replace(full, ends+",", "", 1)))
	require.Equal(t, 132012, send("lto", strings.Replace(full, "1794000000000", "0", 1)))

	cardFor := func(index, parts string) string { return `{"card_index":` + index + `,"components":[` + parts + `]}` }
	yes := `{"type":"button","sub_type":"quick_reply","index":0,"parameters":[{"type":"payload","payload":"yes-%"}]}`
	two := `{"type":"carousel","cards":[` + cardFor("0", picture+","+strings.Replace(yes, "%", "0", 1)) + "," + cardFor("1", picture+","+strings.Replace(yes, "%", "1", 1)) + `]}`
	require.Zero(t, send("carousel", two))
	require.Equal(t, []card{
		{File: &file{Kind: "image", Link: "https://x.example/a.png"}, Text: "one", Buttons: []button{{Title: "Yes", ID: "yes-0", Kind: reply}}},
		{File: &file{Kind: "image", Link: "https://x.example/a.png"}, Text: "two", Buttons: []button{{Title: "Yes", ID: "yes-1", Kind: reply}}},
	}, w.last().Cards)
	require.Equal(t, 132000, send("carousel", `{"type":"carousel","cards":[`+cardFor("0", picture)+`]}`))
	require.Equal(t, 131009, send("carousel", strings.Replace(two, `"card_index":1`, `"card_index":2`, 1)))
	require.Equal(t, 132000, send("lto", strings.Replace(full, ends, ends+","+two, 1)))

	require.Zero(t, send("with_video", `{"type":"header","parameters":[{"type":"video","video":{"link":"https://x.example/a.mp4"}}]}`))
	require.Zero(t, send("with_document", `{"type":"header","parameters":[{"type":"document","document":{"link":"https://x.example/a.pdf","filename":"a.pdf"}}]}`))
	require.Zero(t, send("with_location", `{"type":"header","parameters":[{"type":"location","location":{"latitude":55,"longitude":12,"name":"Shop","address":"S"}}]}`))
	require.Equal(t, &place{Latitude: 55, Longitude: 12, Name: "Shop", Address: "S"}, w.last().Place)
	require.Equal(t, 132012, send("with_video", picture))
	require.Equal(t, 131008, send("with_location", `{"type":"header","parameters":[{"type":"location","location":{"latitude":55}}]}`))
	// Amounts and dates show their words.
	require.Zero(t, send("lto", strings.Replace(full, `{"type":"text","text":"Mia"}`, `{"type":"currency","currency":{"fallback_value":"€5","code":"EUR","amount_1000":5000}}`, 1)))
	require.Equal(t, "Hi €5.", w.last().Text)
	require.Equal(t, 132012, send("lto", strings.Replace(full, `{"type":"text","text":"Mia"}`, `{"type":"currency","text":"5"}`, 1)))
}
