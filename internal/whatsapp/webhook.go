package whatsapp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Sign is the X-Hub-Signature-256 header of a body: sha256= and the HMAC in hexadecimal.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// Verify tells whether one of the app secrets signed the body. It must see the raw bytes: Meta signs what it sent, with
// its own escapes, so a body that was parsed and written again does not verify. Several secrets allow a change of secret
// without a gap. Empty secrets are never right. The time it takes does not depend on how much of a signature is right.
//
// A signature has no time in it. A body that comes twice verifies twice: the ids inside tell.
func Verify(secrets []string, body []byte, signatureHeader string) bool {
	digest, ok := strings.CutPrefix(signatureHeader, "sha256=")
	got, err := hex.DecodeString(digest)
	if !ok || err != nil || len(got) != sha256.Size {
		return false
	}
	right := false
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		if hmac.Equal(mac.Sum(nil), got) {
			right = true
		}
	}
	return right
}

// Handshake answers Meta's question whether this address wants its webhooks. When ok, answer 200 with the challenge as
// plain text; else 403. An empty verifyToken is never right.
func Handshake(query url.Values, verifyToken string) (challenge string, ok bool) {
	if verifyToken == "" || query.Get("hub.mode") != "subscribe" ||
		subtle.ConstantTimeCompare([]byte(query.Get("hub.verify_token")), []byte(verifyToken)) != 1 {
		return "", false
	}
	return query.Get("hub.challenge"), true
}

// Update is one thing a webhook said. Exactly one of the pointers is set.
type Update struct {
	AccountID     string // of the WhatsApp Business Account it is about, or of the portfolio
	PhoneNumberID string // of the business's number; empty where the webhook names none

	Inbound    *Inbound
	Status     *Status
	Preference *Preference
	Other      *Other
	Broken     *Broken
}

// Inbound is a message from a customer, or a notice about one (Type system or unsupported).
//
// Lists of types are Meta's and open. Strings are as they came, but that NUL, which text in a database cannot hold, is
// U+FFFD. Raw has everything.
type Inbound struct {
	ID           string // wamid: the same message may come any number of times
	From         string // E.164 with "+"; empty when Meta does not tell it
	UserID       string // business-scoped user id; may be empty
	ParentUserID string // the user id that several portfolios share; mostly empty
	ProfileName  string // what the customer calls themselves
	Username     string
	GroupID      string    // set when it was said in a group
	At           time.Time // when it was said, to the second; zero when Meta does not tell
	Type         string    // text, button, interactive, image, reaction, order, system, unsupported …
	Text         string    // the body; the words on a pressed button or row; the emoji of a reaction ("" when removed)
	Payload      string    // the payload of a pressed template button, the id of a reply button or row, the answers of a flow
	ReplyTo      string    // wamid of the message that this one answers, quotes, or reacts to
	Caption      string    // of media
	MediaID      string    // of media, to be fetched within 7 days
	MediaType    string    // its MIME type
	Filename     string    // of a document
	System       *SystemChange
	Errors       []Problem // why a message is unsupported or its media missing
	Raw          json.RawMessage
}

// SystemChange says that a customer's names changed (Inbound of Type system). Inbound.From is the name so far.
type SystemChange struct {
	Type           string // user_changed_number, user_changed_user_id …
	Phone          string // the new number, E.164 with "+"; may be empty
	UserID         string // the new user id; may be empty
	ParentUserID   string
	PreviousUserID string // may be empty
}

// Status says how far an outbound message got. Statuses repeat and overtake each other.
type Status struct {
	ID           string // wamid
	Status       string // sent, delivered, read, failed, played … an open list
	At           time.Time
	Recipient    string // E.164 with "+"; may be empty
	UserID       string // may be empty, and is on failures of messages that were sent to a phone
	ParentUserID string
	CallbackData string    // what the Message said
	Errors       []Problem // why it failed
	Pricing      *Pricing  // nil when the status has none
	Raw          json.RawMessage
}

// Pricing is what Meta says about the price of a message.
type Pricing struct {
	Category string // marketing, utility, authentication, service …
	Type     string // regular, free_customer_service, free_entry_point
	Billable bool
}

// Problem is one of the errors in a webhook. Its Details may name the customer.
type Problem struct {
	Code    int // CodeNone when it cannot be read
	Title   string
	Details string
}

// Preference says that a customer stopped or resumed marketing in WhatsApp itself.
type Preference struct {
	From         string // E.164 with "+"; may be empty
	UserID       string // may be empty
	ParentUserID string
	Category     string // marketing_messages
	Value        string // stop or resume … an open list
	Detail       string
	At           time.Time
	Raw          json.RawMessage
}

// Other is what this package has no type for: a change of another field, or a part of a messages change.
type Other struct {
	Field string // the change's field; messages.<part> for a part; empty for a body without entries
	Raw   json.RawMessage
}

// Broken is a value that cannot be read. Its neighbours can.
type Broken struct {
	Field string // as in Other
	Raw   json.RawMessage
	Err   string // a fixed description, without anything of the value
}

// Parse flattens the body of a webhook into its updates, in the order they stand. The only error is a body that is not
// a JSON object; then nothing can be told from it.
func Parse(body []byte) ([]Update, error) {
	var envelope struct {
		Entry json.RawMessage `json:"entry"`
	}
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(body) {
		return nil, errors.New("whatsapp: the webhook is not a JSON object")
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, errors.New("whatsapp: the webhook is not a JSON object")
	}
	if len(envelope.Entry) == 0 {
		return []Update{{Other: &Other{Raw: body}}}, nil
	}
	var p parser
	entries, ok := list(envelope.Entry)
	if !ok {
		p.broken("", envelope.Entry, "entry is not a list")
	}
	for _, entry := range entries {
		p.entry(entry)
	}
	return p.updates, nil
}

// parser collects updates of one body.
type parser struct {
	updates       []Update
	account       string
	phoneNumberID string
}

func (p *parser) add(u Update) {
	u.AccountID, u.PhoneNumberID = p.account, p.phoneNumberID
	p.updates = append(p.updates, u)
}

func (p *parser) broken(field string, raw json.RawMessage, why string) {
	p.add(Update{Broken: &Broken{Field: field, Raw: raw, Err: why}})
}

func (p *parser) entry(raw json.RawMessage) {
	p.account, p.phoneNumberID = "", ""
	var entry struct {
		ID      loose           `json:"id"`
		Changes json.RawMessage `json:"changes"`
	}
	if json.Unmarshal(raw, &entry) != nil {
		p.broken("", raw, "entry is not an object with an id")
		return
	}
	p.account = string(entry.ID)
	changes, ok := list(entry.Changes)
	switch {
	case len(entry.Changes) == 0:
		p.add(Update{Other: &Other{Raw: raw}})
	case !ok:
		p.broken("", raw, "changes is not a list")
	}
	for _, change := range changes {
		p.change(change)
	}
}

func (p *parser) change(raw json.RawMessage) {
	p.phoneNumberID = ""
	var change struct {
		Field loose           `json:"field"`
		Value json.RawMessage `json:"value"`
	}
	if json.Unmarshal(raw, &change) != nil {
		p.broken("", raw, "change is not an object with a field")
		return
	}
	field := string(change.Field)
	if field != "messages" && field != "user_preferences" {
		p.add(Update{Other: &Other{Field: field, Raw: raw}})
		return
	}
	parts, ok := members(change.Value)
	if !ok {
		p.broken(field, raw, "value is not an object")
		return
	}
	var contacts []contact
	for _, part := range parts {
		switch part.name {
		case "metadata":
			var m struct {
				PhoneNumberID loose `json:"phone_number_id"`
			}
			_ = json.Unmarshal(part.raw, &m) // metadata that cannot be read takes no message with it
			p.phoneNumberID = string(m.PhoneNumberID)
		case "contacts":
			contacts = readContacts(part.raw)
		}
	}
	said := false
	for _, part := range parts {
		var read func(json.RawMessage, []contact) (Update, error)
		switch part.name {
		case "metadata", "contacts", "messaging_product":
			continue
		case "messages":
			read = readInbound
		case "statuses":
			read = readStatus
		case "user_preferences":
			read = readPreference
		default:
			said = true
			p.add(Update{Other: &Other{Field: field + "." + part.name, Raw: part.raw}})
			continue
		}
		said = true
		items, ok := list(part.raw)
		if !ok {
			p.broken(field+"."+part.name, part.raw, part.name+" is not a list")
		}
		for _, item := range items {
			u, err := read(item, contacts)
			if err != nil {
				p.broken(field+"."+part.name, item, err.Error())
				continue
			}
			p.add(u)
		}
	}
	if !said {
		p.add(Update{Other: &Other{Field: field, Raw: raw}})
	}
}

// contact is who a change is about.
type contact struct {
	WaID    loose `json:"wa_id"`
	UserID  loose `json:"user_id"`
	Parent  loose `json:"parent_user_id"`
	Profile struct {
		Name     loose `json:"name"`
		Username loose `json:"username"`
	} `json:"profile"`
}

func readContacts(raw json.RawMessage) []contact {
	var out []contact
	items, _ := list(raw)
	for _, item := range items {
		var c contact
		if json.Unmarshal(item, &c) == nil { // a name is a courtesy: without it the message still counts
			out = append(out, c)
		}
	}
	return out
}

// whose is the contact that a message is from: the one that shares a name with it, or the only one of a message that
// names nobody.
func whose(contacts []contact, phone, userID string) contact {
	for _, c := range contacts {
		cp, cu := names(c.WaID, c.UserID)
		if (userID != "" && cu == userID) || (phone != "" && cp == phone) {
			return c
		}
	}
	if phone == "" && userID == "" && len(contacts) == 1 {
		return contacts[0]
	}
	return contact{}
}

func readInbound(raw json.RawMessage, contacts []contact) (Update, error) {
	var m struct {
		ID       loose           `json:"id"`
		From     loose           `json:"from"`
		UserID   loose           `json:"from_user_id"`
		Parent   loose           `json:"from_parent_user_id"`
		Group    loose           `json:"group_id"`
		At       seconds         `json:"timestamp"`
		Type     loose           `json:"type"`
		Context  json.RawMessage `json:"context"`
		Errors   json.RawMessage `json:"errors"`
		contents                 // what was said, under the name of its type
	}
	if err := decode(raw, &m); err != nil {
		return Update{}, fmt.Errorf("message: %w", err)
	}
	if m.ID == "" {
		return Update{}, errors.New("message: no id")
	}
	in := &Inbound{
		ID: string(m.ID), ParentUserID: string(m.Parent), GroupID: string(m.Group), At: time.Time(m.At), Type: string(m.Type),
		Errors: readProblems(m.Errors), Raw: raw,
	}
	in.From, in.UserID = names(m.From, m.UserID)
	// A system notice is about a change of names, and comes without contacts.
	if c := whose(contacts, in.From, in.UserID); in.Type != "system" {
		phone, user := names(c.WaID, c.UserID)
		in.From, in.UserID = firstOf(in.From, phone), firstOf(in.UserID, user)
		in.ParentUserID = firstOf(in.ParentUserID, string(c.Parent))
		in.ProfileName, in.Username = string(c.Profile.Name), string(c.Profile.Username)
	}
	var quoted struct {
		ID loose `json:"id"`
	}
	_ = json.Unmarshal(m.Context, &quoted) // the words count even where what they answer cannot be told
	in.ReplyTo = string(quoted.ID)
	if err := m.into(in); err != nil {
		return Update{}, fmt.Errorf("message content: %w", err)
	}
	return Update{Inbound: in}, nil
}

// contents are the parts of a message that Inbound has fields for. Only the one that the type names is read.
type contents struct {
	Text        json.RawMessage `json:"text"`
	Button      json.RawMessage `json:"button"`
	Interactive json.RawMessage `json:"interactive"`
	Image       json.RawMessage `json:"image"`
	Video       json.RawMessage `json:"video"`
	Audio       json.RawMessage `json:"audio"`
	Document    json.RawMessage `json:"document"`
	Sticker     json.RawMessage `json:"sticker"`
	Reaction    json.RawMessage `json:"reaction"`
	Order       json.RawMessage `json:"order"`
	System      json.RawMessage `json:"system"`
}

func (c contents) into(in *Inbound) error {
	switch in.Type {
	case "text":
		var text struct {
			Body loose `json:"body"`
		}
		err := decode(c.Text, &text)
		in.Text = string(text.Body)
		return err
	case "button":
		var button struct {
			Text    loose `json:"text"`
			Payload loose `json:"payload"`
		}
		err := decode(c.Button, &button)
		in.Text, in.Payload = string(button.Text), string(button.Payload)
		return err
	case "interactive":
		type reply struct {
			ID    loose `json:"id"`
			Title loose `json:"title"`
		}
		var i struct {
			Button reply `json:"button_reply"`
			List   reply `json:"list_reply"`
			Flow   struct {
				Body     loose `json:"body"`
				Response loose `json:"response_json"` // JSON in a string
			} `json:"nfm_reply"`
		}
		err := decode(c.Interactive, &i)
		in.Text = firstOf(string(i.Button.Title), string(i.List.Title), string(i.Flow.Body))
		in.Payload = firstOf(string(i.Button.ID), string(i.List.ID), string(i.Flow.Response))
		return err
	case "image", "video", "audio", "document", "sticker":
		var media struct {
			ID       loose `json:"id"`
			Caption  loose `json:"caption"`
			Type     loose `json:"mime_type"`
			Filename loose `json:"filename"`
		}
		raw := map[string]json.RawMessage{
			"image": c.Image, "video": c.Video, "audio": c.Audio, "document": c.Document, "sticker": c.Sticker,
		}[in.Type]
		err := decode(raw, &media)
		in.MediaID, in.Caption, in.MediaType, in.Filename = string(media.ID), string(media.Caption), string(media.Type), string(media.Filename)
		return err
	case "reaction":
		var reaction struct {
			ID    loose `json:"message_id"`
			Emoji loose `json:"emoji"`
		}
		err := decode(c.Reaction, &reaction)
		in.ReplyTo, in.Text = firstOf(string(reaction.ID), in.ReplyTo), string(reaction.Emoji)
		return err
	case "order":
		var order struct {
			Text loose `json:"text"`
		}
		err := decode(c.Order, &order)
		in.Text = string(order.Text)
		return err
	case "system":
		var s struct {
			Body     loose `json:"body"`
			Type     loose `json:"type"`
			WaID     loose `json:"wa_id"`
			UserID   loose `json:"user_id"`
			Parent   loose `json:"parent_user_id"`
			Previous loose `json:"previous_user_id"`
		}
		err := decode(c.System, &s)
		in.Text = string(s.Body)
		in.System = &SystemChange{Type: string(s.Type), ParentUserID: string(s.Parent), PreviousUserID: string(s.Previous)}
		in.System.Phone, in.System.UserID = names(s.WaID, s.UserID)
		return err
	}
	return nil // a type that has no fields here; Raw has it
}

func readStatus(raw json.RawMessage, contacts []contact) (Update, error) {
	var s struct {
		ID        loose           `json:"id"`
		Status    loose           `json:"status"`
		At        seconds         `json:"timestamp"`
		Recipient loose           `json:"recipient_id"`
		UserID    loose           `json:"recipient_user_id"`
		Parent    loose           `json:"recipient_parent_user_id"`
		Callback  loose           `json:"biz_opaque_callback_data"`
		Errors    json.RawMessage `json:"errors"`
		Pricing   json.RawMessage `json:"pricing"`
	}
	if err := decode(raw, &s); err != nil {
		return Update{}, fmt.Errorf("status: %w", err)
	}
	if s.ID == "" || s.Status == "" {
		return Update{}, errors.New("status: no id or no status")
	}
	out := &Status{
		ID: string(s.ID), Status: string(s.Status), At: time.Time(s.At), ParentUserID: string(s.Parent),
		CallbackData: string(s.Callback), Errors: readProblems(s.Errors), Raw: raw,
	}
	out.Recipient, out.UserID = names(s.Recipient, s.UserID)
	c := whose(contacts, out.Recipient, out.UserID)
	phone, user := names(c.WaID, c.UserID)
	out.Recipient, out.UserID = firstOf(out.Recipient, phone), firstOf(out.UserID, user)
	out.ParentUserID = firstOf(out.ParentUserID, string(c.Parent))
	var pricing *struct {
		Category loose `json:"category"`
		Type     loose `json:"type"`
		Billable bool  `json:"billable"`
	}
	if json.Unmarshal(s.Pricing, &pricing) == nil && pricing != nil { // a price that cannot be read takes no status with it
		out.Pricing = &Pricing{Category: string(pricing.Category), Type: string(pricing.Type), Billable: pricing.Billable}
	}
	return Update{Status: out}, nil
}

func readPreference(raw json.RawMessage, contacts []contact) (Update, error) {
	var s struct {
		WaID     loose   `json:"wa_id"`
		UserID   loose   `json:"user_id"`
		Parent   loose   `json:"parent_user_id"`
		Category loose   `json:"category"`
		Value    loose   `json:"value"`
		Detail   loose   `json:"detail"`
		At       seconds `json:"timestamp"`
	}
	if err := decode(raw, &s); err != nil {
		return Update{}, fmt.Errorf("preference: %w", err)
	}
	if s.Value == "" {
		return Update{}, errors.New("preference: no value")
	}
	out := &Preference{
		ParentUserID: string(s.Parent), Category: string(s.Category), Value: string(s.Value), Detail: string(s.Detail),
		At: time.Time(s.At), Raw: raw,
	}
	out.From, out.UserID = names(s.WaID, s.UserID)
	c := whose(contacts, out.From, out.UserID)
	phone, user := names(c.WaID, c.UserID)
	out.From, out.UserID = firstOf(out.From, phone), firstOf(out.UserID, user)
	out.ParentUserID = firstOf(out.ParentUserID, string(c.Parent))
	return Update{Preference: out}, nil
}

// readProblems reads what errors it can.
func readProblems(raw json.RawMessage) []Problem {
	var out []Problem
	items, _ := list(raw)
	for _, item := range items {
		var e struct {
			Code    loose `json:"code"`
			Title   loose `json:"title"`
			Message loose `json:"message"`
			Data    struct {
				Details loose `json:"details"`
			} `json:"error_data"`
		}
		_ = json.Unmarshal(item, &e) // fields before the unreadable one are set; that there was an error must not be lost
		code, err := strconv.Atoi(string(e.Code))
		if err != nil {
			code = CodeNone
		}
		out = append(out, Problem{Code: code, Title: firstOf(string(e.Title), string(e.Message)), Details: string(e.Data.Details)})
	}
	return out
}

var (
	phoneDigits = regexp.MustCompile(`^\+?([1-9][0-9]{4,14})$`)
	userIDForm  = regexp.MustCompile(`^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$`)
)

// names sorts the two places where a customer is named into a phone (E.164 with "+") and a user id. A user id has been
// seen in the phone's place. What is neither is left to Raw.
func names(phone, userID loose) (string, string) {
	user := string(userID)
	if m := phoneDigits.FindStringSubmatch(string(phone)); m != nil {
		return "+" + m[1], user
	}
	if userIDForm.MatchString(string(phone)) {
		return "", firstOf(user, string(phone))
	}
	return "", user
}

// loose is a string that may come as a number, a bool or null.
type loose string

func (l *loose) UnmarshalJSON(raw []byte) error {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		*l = ""
	case raw[0] == '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return errNotText
		}
		*l = loose(strings.ReplaceAll(s, "\x00", "\uFFFD"))
	case raw[0] == '{' || raw[0] == '[':
		return errNotText
	default:
		*l = loose(raw)
	}
	return nil
}

// seconds is a Unix time in seconds, as a string or a number. Absent is the zero time.
type seconds time.Time

// latest is the last second that JSON can tell of a time.
const latest = 253402300799

func (s *seconds) UnmarshalJSON(raw []byte) error {
	var l loose
	if err := l.UnmarshalJSON(raw); err != nil {
		return errNotTime
	}
	if l == "" {
		return nil
	}
	n, err := strconv.ParseInt(string(l), 10, 64)
	if err != nil || n < 0 || n > latest {
		return errNotTime
	}
	*s = seconds(time.Unix(n, 0).UTC())
	return nil
}

// What can be wrong with a value. The words are fixed, since json's own would quote it.
var (
	errNotText   = errors.New("a list or an object where text belongs")
	errNotTime   = errors.New("timestamp is not a number of seconds")
	errNotObject = errors.New("not an object of the known form")
)

// decode reads an object, and nothing for a part that is absent. Its errors say nothing of the value.
func decode(raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		return nil
	}
	err := json.Unmarshal(raw, into)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNotText):
		return errNotText
	case errors.Is(err, errNotTime):
		return errNotTime
	}
	return errNotObject
}

// list splits a JSON list into its items.
func list(raw json.RawMessage) ([]json.RawMessage, bool) {
	var items []json.RawMessage
	if len(raw) == 0 {
		return nil, true
	}
	return items, json.Unmarshal(raw, &items) == nil
}

// member is one name and value of a JSON object.
type member struct {
	name string
	raw  json.RawMessage
}

// members splits a JSON object, in the order in which it is written: updates keep that order.
func members(raw json.RawMessage) ([]member, bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	var out []member
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			return nil, false
		}
		out = append(out, member{name, value})
	}
	return out, true
}
