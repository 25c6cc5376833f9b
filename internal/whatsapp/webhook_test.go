package whatsapp

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	// The body holds a character and its escape: only the raw bytes may be signed.
	body := []byte(`{"text":"café \u00e9 \/"}`)
	right := Sign("s1", body)
	require.Regexp(t, `^sha256=[0-9a-f]{64}$`, right)
	for name, c := range map[string]struct {
		secrets []string
		body    []byte
		header  string
		want    bool
	}{
		"right":               {[]string{"s1"}, body, right, true},
		"right, upper case":   {[]string{"s1"}, body, "sha256=" + strings.ToUpper(right[7:]), true},
		"the new secret":      {[]string{"s2", "s1"}, body, right, true},
		"the old secret":      {[]string{"s1", "s2"}, body, right, true},
		"forged":              {[]string{"s1"}, body, Sign("guess", body), false},
		"another body":        {[]string{"s1"}, append([]byte(" "), body...), right, false},
		"one digit off":       {[]string{"s1"}, body, right[:len(right)-1] + string(right[len(right)-1]^1), false},
		"cut short":           {[]string{"s1"}, body, right[:len(right)-2], false},
		"empty digest":        {[]string{"s1"}, body, "sha256=", false},
		"no prefix":           {[]string{"s1"}, body, right[7:], false},
		"sha1":                {[]string{"s1"}, body, "sha1=" + right[7:], false},
		"no hexadecimal":      {[]string{"s1"}, body, "sha256=" + strings.Repeat("z", 64), false},
		"no header":           {[]string{"s1"}, body, "", false},
		"no secrets":          {nil, body, right, false},
		"empty secret":        {[]string{""}, body, Sign("", body), false},
		"written again":       {[]string{"s1"}, []byte(`{"text":"café é /"}`), right, false},
		"nothing, but signed": {[]string{"s1"}, nil, Sign("s1", nil), true},
	} {
		require.Equal(t, c.want, Verify(c.secrets, c.body, c.header), name)
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	ask := func(mode, token string) url.Values {
		return url.Values{"hub.mode": {mode}, "hub.verify_token": {token}, "hub.challenge": {"1158201444"}}
	}
	challenge, ok := Handshake(ask("subscribe", "tok"), "tok")
	require.True(t, ok)
	require.Equal(t, "1158201444", challenge)
	for _, c := range []struct {
		query url.Values
		token string
	}{
		{ask("subscribe", "other"), "tok"}, {ask("unsubscribe", "tok"), "tok"}, {ask("subscribe", ""), ""}, {nil, "tok"},
	} {
		challenge, ok := Handshake(c.query, c.token)
		require.False(t, ok)
		require.Empty(t, challenge)
	}
}

func parse(t *testing.T, name string) []Update {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "webhooks", name+".json"))
	require.NoError(t, err)
	updates, err := Parse(body)
	require.NoError(t, err)
	whole(t, updates)
	return updates
}

// whole checks what is promised of every update.
func whole(t *testing.T, updates []Update) {
	t.Helper()
	for _, u := range updates {
		set := 0
		var raw json.RawMessage
		if u.Inbound != nil {
			set, raw = set+1, u.Inbound.Raw
			require.NotEmpty(t, u.Inbound.ID)
			require.NotContains(t, texts(*u.Inbound), "\x00")
		}
		if u.Status != nil {
			set, raw = set+1, u.Status.Raw
			require.NotEmpty(t, u.Status.ID)
			require.NotEmpty(t, u.Status.Status)
		}
		if u.Preference != nil {
			set, raw = set+1, u.Preference.Raw
		}
		if u.Template != nil {
			set, raw = set+1, u.Template.Raw
			require.NotEmpty(t, u.Template.Kind)
			require.NotContains(t, u.Template.Name+u.Template.Event+u.Template.Reason+u.Template.Text, "\x00")
		}
		if u.Account != nil {
			set, raw = set+1, u.Account.Raw
			require.NotEmpty(t, u.Account.Field)
			require.NotContains(t, u.Account.Event+u.Account.Text+u.Account.Limit+u.Account.Phone, "\x00")
		}
		if u.Other != nil {
			set, raw = set+1, u.Other.Raw
		}
		if u.Broken != nil {
			set, raw = set+1, u.Broken.Raw
			require.NotEmpty(t, u.Broken.Err)
			require.NotContains(t, u.Broken.Err, "4520123456")
		}
		require.Equal(t, 1, set)
		require.True(t, json.Valid(raw), "%s", raw)
	}
}

func TestParseKinds(t *testing.T) {
	t.Parallel()
	at := time.Unix(1790000000, 0).UTC()
	mia := func(in Inbound) Inbound {
		in.From, in.UserID, in.ProfileName, in.Username, in.At = "+4520123456", "DK.90210", "Mia Holm", "miaholm", at
		return in
	}
	want := []Inbound{
		mia(Inbound{ID: "wamid.text", Type: "text", Text: "hello \uFFFD 🎁", ReplyTo: "wamid.Q"}),
		mia(Inbound{ID: "wamid.button", Type: "button", Text: "Yes please", Payload: "yes", ReplyTo: "wamid.T"}),
		mia(Inbound{ID: "wamid.reply", Type: "interactive", Interactive: "button_reply", Text: "One", Payload: "b1"}),
		mia(Inbound{ID: "wamid.row", Type: "interactive", Interactive: "list_reply", Text: "Row", Payload: "r1"}),
		mia(Inbound{ID: "wamid.flow", Type: "interactive", Interactive: "nfm_reply", Text: "Sent", Payload: `{"a":1}`}),
		mia(Inbound{ID: "wamid.image", Type: "image", Caption: "my cup", MediaID: "77", MediaType: "image/jpeg", MediaHash: "x"}),
		mia(Inbound{ID: "wamid.document", Type: "document", MediaID: "78", MediaType: "application/pdf", Filename: "a.pdf"}),
		mia(Inbound{ID: "wamid.reaction", Type: "reaction", Text: "👍", ReplyTo: "wamid.R"}),
		mia(Inbound{ID: "wamid.unreaction", Type: "reaction", ReplyTo: "wamid.R"}),
		mia(Inbound{ID: "wamid.order", Type: "order", Text: "to go", Order: &Order{CatalogID: "1"}}),
		mia(Inbound{ID: "wamid.place", Type: "location", Location: &Place{Latitude: 55.6, Longitude: 12.5}}),
		mia(Inbound{ID: "wamid.new", Type: "hologram", GroupID: "G1"}),
		mia(Inbound{ID: "wamid.bad", Type: "unsupported", Errors: []Problem{{131051, "Message type unknown", "not supported"}}}),
	}
	updates := parse(t, "kinds")
	require.Len(t, updates, len(want))
	for i, u := range updates {
		require.NotNil(t, u.Inbound, "%d", i)
		require.Equal(t, "201", u.AccountID)
		require.Equal(t, "301", u.PhoneNumberID)
		require.Contains(t, string(u.Inbound.Raw), want[i].ID)
		u.Inbound.Raw = nil
		require.Equal(t, want[i], *u.Inbound)
	}
}

func TestParseNames(t *testing.T) {
	t.Parallel()
	u := parse(t, "names")
	require.Len(t, u, 7)

	in := u[0].Inbound
	require.Equal(t, [...]string{"", "DK.1", "DK.ENT.2", "Pia", "pia"}, [...]string{in.From, in.UserID, in.ParentUserID, in.ProfileName, in.Username})
	in = u[1].Inbound
	require.Equal(t, [...]string{"", "DK.3", "Ole"}, [...]string{in.From, in.UserID, in.ProfileName}, "a user id in the phone's place")
	in = u[2].Inbound
	require.Equal(t, [...]string{"+4599999999", "", "Bo"}, [...]string{in.From, in.UserID, in.ProfileName})
	in = u[3].Inbound
	require.Equal(t, [...]string{"+4588888888", "", ""}, [...]string{in.From, in.UserID, in.ProfileName}, "nobody else's name")
	in = u[4].Inbound
	require.Equal(t, "+4520123456", in.From)
	require.Equal(t, SystemChange{Type: "user_changed_number", Phone: "+4577777777", UserID: "DK.5", PreviousUserID: "DK.4"}, *in.System)

	stop := u[5].Preference
	require.Equal(t, [...]string{"+4520123456", "DK.90210", "marketing_messages", "stop", "d"}, [...]string{stop.From, stop.UserID, stop.Category, stop.Value, stop.Detail})
	require.Equal(t, int64(1790000001), stop.At.Unix())
	resume := u[6].Preference
	require.Equal(t, [...]string{"", "DK.1", "resume"}, [...]string{resume.From, resume.UserID, resume.Value})
}

// The only contact of a change may still be somebody else.
func TestParseAnothersName(t *testing.T) {
	t.Parallel()
	updates, err := Parse([]byte(`{"entry":[{"id":"1","changes":[{"field":"messages","value":{
		"contacts":[{"profile":{"name":"Bo"},"wa_id":"4599999999","user_id":"DK.9"}],
		"messages":[{"id":"wamid.1","from":"4588888888","type":"text"},{"id":"wamid.2","type":"text"}]}}]}]}`))
	require.NoError(t, err)
	require.Len(t, updates, 2)
	require.Equal(t, "+4588888888", updates[0].Inbound.From)
	require.Empty(t, updates[0].Inbound.ProfileName+updates[0].Inbound.UserID)
	require.Equal(t, "Bo", updates[1].Inbound.ProfileName, "nobody else can be meant")
	require.Equal(t, "+4599999999", updates[1].Inbound.From)
	require.True(t, updates[1].Inbound.At.IsZero())
}

func TestParseStatuses(t *testing.T) {
	t.Parallel()
	u := parse(t, "statuses")
	require.Len(t, u, 4)
	s := u[0].Status
	require.Equal(t, [...]string{"wamid.1", "delivered", "+4520123456", "DK.90210", "msg_1"}, [...]string{s.ID, s.Status, s.Recipient, s.UserID, s.CallbackData})
	require.Equal(t, Pricing{Category: "marketing", Type: "regular", Billable: true}, *s.Pricing)
	s = u[1].Status
	require.Equal(t, "sent", s.Status)
	require.Equal(t, "+4520123456", s.Recipient, "a number where a string belongs")
	require.Equal(t, int64(1790000001), s.At.Unix())
	s = u[2].Status
	require.Equal(t, []Problem{{131049, "Not delivered", "ecosystem"}, {CodeNone, "", ""}}, s.Errors)
	require.Nil(t, s.Pricing)
	s = u[3].Status
	require.Equal(t, [...]string{"warming_up", "+4520123456", "DK.90210"}, [...]string{s.Status, s.Recipient, s.UserID})
}

// Every poisoned value is one Broken, and nothing beside it is lost.
func TestParsePoison(t *testing.T) {
	t.Parallel()
	var told []string
	for _, u := range parse(t, "poison") {
		switch {
		case u.Inbound != nil:
			told = append(told, "in "+u.Inbound.ID+" "+u.Inbound.Text)
		case u.Status != nil:
			told = append(told, "status "+u.Status.ID+" "+u.Status.Status)
		case u.Other != nil:
			told = append(told, "other "+u.Other.Field)
		case u.Template != nil:
			told = append(told, "template "+u.Template.ID+" "+u.Template.Event)
		case u.Account != nil:
			told = append(told, "account "+u.Account.Field)
		case u.Broken != nil:
			told = append(told, "broken "+u.Broken.Field+": "+u.Broken.Err)
		}
	}
	require.Equal(t, []string{
		"in wamid.a before",
		"broken messages.messages: message content: not an object of the known form",
		"broken messages.messages: message content: a list or an object where text belongs",
		"broken messages.messages: message: timestamp is not a number of seconds",
		"broken messages.messages: message: no id",
		"broken messages.messages: message: not an object of the known form",
		"broken messages.messages: message: no id",
		"in wamid.z 7",
		"broken messages.statuses: statuses is not a list",
		"account messages.errors",
		"other messages.novelty",
		"broken messages.statuses: status: no id or no status",
		"broken messages.statuses: status: timestamp is not a number of seconds",
		"status wamid.1 read",
		"broken messages: value is not an object",
		"other messages",
		"broken : change is not an object with a field",
		"template 9 APPROVED",
		"other ",
		"broken : entry is not an object with an id",
		"other ",
		"broken : changes is not a list",
		"in wamid.last after",
	}, told)
}

func TestParseOnlyRefusesWhatIsNoObject(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "null", "[]", `"x"`, "5", `{"entry":`, `{} {}`, "<html>", "\xff"} {
		_, err := Parse([]byte(body))
		require.Error(t, err, "%q", body)
	}
	for _, c := range []struct {
		body string
		want int
	}{{"{}", 1}, {` {"object":"x"}`, 1}, {`{"entry":[]}`, 0}, {`{"entry":null}`, 0}, {`{"entry":5}`, 1}} {
		updates, err := Parse([]byte(c.body))
		require.NoError(t, err, "%q", c.body)
		require.Len(t, updates, c.want, "%q", c.body)
		whole(t, updates)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"kinds", "contents", "names", "statuses", "account", "poison"} {
		body, err := os.ReadFile(filepath.Join("testdata", "webhooks", name+".json"))
		require.NoError(f, err)
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if updates, err := Parse(body); err == nil {
			whole(t, updates)
		}
	})
}
