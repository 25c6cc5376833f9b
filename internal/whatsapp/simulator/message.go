package simulator

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// window is how long after a person's last message free text may be sent.
const window = 24 * time.Hour

// outside is why free text fails outside the service window.
var outside = messageFailed{
	Code: 131047, Title: "Re-engagement message",
	Details: "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
}

// request is a body of POST /messages, but for the member that its type names.
type request struct {
	Product       string `json:"messaging_product"`
	RecipientType string `json:"recipient_type"`
	To            string `json:"to"`
	Recipient     string `json:"recipient"`
	Type          string `json:"type"`
	CallbackData  string `json:"biz_opaque_callback_data"`
	Context       *struct {
		MessageID string `json:"message_id"`
	} `json:"context"`
	Status    string `json:"status"`
	MessageID string `json:"message_id"`
	Typing    *struct {
		Type string `json:"type"`
	} `json:"typing_indicator"`
}

// kinds are the types of message, and what reads their content into a message.
var kinds = map[string]func(*Simulator, json.RawMessage, *message) *graphError{
	"text": (*Simulator).readText, "template": (*Simulator).readTemplate, "interactive": (*Simulator).readInteractive,
	"image": readMedia("image", "caption"), "video": readMedia("video", "caption"), "audio": readMedia("audio", "voice"),
	"document": readMedia("document", "caption", "filename"), "sticker": readMedia("sticker"),
	"location": (*Simulator).readLocation, "contacts": (*Simulator).readContacts, "reaction": (*Simulator).readReaction,
}

// common are the members that every message may have.
var common = []string{"messaging_product", "recipient_type", "to", "recipient", "type", "biz_opaque_callback_data", "context"}

// postMessage sends a message, or marks one as read.
func (s *Simulator) postMessage(w http.ResponseWriter, r *http.Request) *graphError {
	if id := r.PathValue("id"); id != s.opt.PhoneNumberID {
		return noObject(r.Method, id)
	}
	raw, refusal := readGraph(r)
	if refusal != nil {
		return refusal
	}
	f, hit := s.takeFault()
	if hit && f.Send != timeoutAfter {
		return s.fail(r, f)
	}
	answer, refusal := s.take(raw)
	if hit {
		return s.fail(r, f)
	}
	if refusal != nil {
		return refusal
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// take does what a body asks for.
func (s *Simulator) take(raw []byte) (object, *graphError) {
	var body map[string]json.RawMessage
	var req request
	if json.Unmarshal(raw, &body) != nil || body == nil {
		return nil, invalid("the body is not a JSON object")
	}
	if err := json.Unmarshal(raw, &req); err != nil {
		return nil, invalid("a parameter is of the wrong JSON type")
	}
	if req.Product != "whatsapp" {
		return nil, invalid("The parameter messaging_product is required and must be whatsapp.")
	}
	if _, status := body["status"]; status {
		return s.markRead(body, req)
	}
	readContent, known := kinds[req.Type]
	switch {
	case req.Type == "":
		return nil, missing("The parameter type is required.")
	case !known:
		return nil, invalid("Param type must be one of {AUDIO, CONTACTS, DOCUMENT, IMAGE, INTERACTIVE, LOCATION, REACTION, STICKER, TEMPLATE, TEXT, VIDEO} - got %q.", req.Type)
	}
	if refusal := unexpected(body, append(slices.Clone(common), req.Type)); refusal != nil {
		return nil, refusal
	}
	if len(body[req.Type]) == 0 {
		return nil, missing("The parameter %s is required.", req.Type)
	}
	if req.RecipientType != "" && req.RecipientType != "individual" {
		return nil, invalid("Param recipient_type must be individual.")
	}
	if utf8.RuneCountInString(req.CallbackData) > 512 {
		return nil, invalid("Param biz_opaque_callback_data must be at most 512 characters long.")
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	who, contact, refusal := s.recipient(req)
	if refusal != nil {
		return nil, refusal
	}
	m := &message{
		ID: newMessageID(), Phone: who.Phone, Direction: out, Type: req.Type, Category: "service",
		CallbackData: req.CallbackData, At: s.now(),
	}
	if req.Context != nil {
		m.ReplyTo = req.Context.MessageID
	}
	if refusal := readContent(s, body[req.Type], m); refusal != nil {
		return nil, refusal
	}
	f := fact{Message: m}
	// A message that fails is accepted nevertheless: Meta finds out later.
	switch m.Problem = s.problem(who, m); {
	case m.Problem != nil:
		m.Status = failed
		f.Hooks = []hook{s.statusHook(0, m, failed)}
	case m.Type == "reaction": // Meta tells no more of it
		m.Status = sent
		f.Hooks = []hook{s.statusHook(0, m, sent)}
	default:
		m.Status = delivered
		f.Hooks = []hook{s.statusHook(0, m, sent), s.statusHook(1, m, delivered)}
	}
	if s.commit(f) != nil {
		return nil, unavailable
	}
	answer := object{"id": m.ID}
	if m.Type == "template" {
		answer["message_status"] = "accepted"
	}
	return object{"messaging_product": "whatsapp", "contacts": []object{contact}, "messages": []object{answer}}, nil
}

// lostReaction is why a reaction fails. Source: Meta's page on reaction messages.
var lostReaction = messageFailed{
	Code: 131009, Title: "Parameter value is not valid",
	Details: "The message that the reaction is about does not exist, is of another chat, or is older than 30 days.",
}

// longestAgo is how old a message may be that is reacted to or marked as read.
const longestAgo = 30 * 24 * time.Hour

// problem is why a message that was accepted fails; nil when it does not. The caller holds mu.
func (s *Simulator) problem(who *person, m *message) *messageFailed {
	if m.Type != "template" && (who.wrote.IsZero() || m.At.Sub(who.wrote) >= window) {
		return &outside
	}
	if m.Type == "reaction" {
		about := s.messages[m.ReplyTo]
		if about == nil || about.Phone != m.Phone || about.Status == failed || m.At.Sub(about.At) > longestAgo {
			return &lostReaction
		}
	}
	return nil
}

// recipient is who a message is for, and how the answer names them. The caller holds mu.
func (s *Simulator) recipient(req request) (*person, object, *graphError) {
	if req.To != "" { // which wins, as with Meta
		phone, ok := parsePhone(req.To)
		switch {
		case !ok:
			return nil, nil, badValue("Recipient phone number is not a phone number: to")
		case phone == s.opt.BusinessPhone:
			return nil, nil, &graphError{code: 131021, title: "Recipient cannot be sender", details: "Sender and recipient phone number is the same."}
		}
		return s.lookUp(phone), object{"input": req.To, "wa_id": digits(phone)}, nil
	}
	if req.Recipient == "" {
		return nil, nil, invalid("The parameter to is required.")
	}
	who := s.userIDs[req.Recipient]
	if who == nil {
		return nil, nil, &graphError{code: 131026, title: "Message undeliverable", details: "Message undeliverable: nobody has this user id."}
	}
	return who, object{"input": req.Recipient, "user_id": who.UserID}, nil
}

// longestTyping is how long the business is seen to be typing, when nothing is sent. Real time.
const longestTyping = 25 * time.Second

// markRead gives an inbound message, and those before it, their blue ticks.
func (s *Simulator) markRead(body map[string]json.RawMessage, req request) (object, *graphError) {
	if refusal := unexpected(body, []string{"messaging_product", "status", "message_id", "typing_indicator"}); refusal != nil {
		return nil, refusal
	}
	if req.Status != read {
		return nil, invalid("Param status must be one of {READ} - got %q.", req.Status)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.messages[req.MessageID]
	if m == nil || m.Direction != in || s.now().Sub(m.At) > longestAgo {
		return nil, badValue("Message ID is invalid: message_id")
	}
	if t := req.Typing; t != nil {
		if t.Type != "text" {
			return nil, invalid("Param typing_indicator['type'] must be text.")
		}
		s.people[m.Phone].typing = time.Now().Add(longestTyping)
		s.version++
	}
	var f fact
	for _, earlier := range s.people[m.Phone].chat {
		if earlier.Direction == in && rank(earlier.Status) < rank(read) {
			f.Statuses = append(f.Statuses, statusFact{earlier.ID, read})
		}
		if earlier == m {
			break
		}
	}
	if len(f.Statuses) > 0 && s.commit(f) != nil {
		return nil, unavailable
	}
	return object{"success": true}, nil
}

// strict decodes the content of a message, and refuses members that Meta does not know.
func strict(raw json.RawMessage, param string, into any) *graphError {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		return nil
	}
	if _, name, ok := strings.Cut(err.Error(), "unknown field "); ok {
		return invalid("Unexpected key %s on param %s.", name, param)
	}
	return invalid("Param %s is of the wrong JSON type.", param)
}

// length refuses a text outside its bounds, counted in characters.
func length(param, text string, least, most int) *graphError {
	if n := utf8.RuneCountInString(text); n < least || n > most {
		return badValue("%s length invalid. Min length: %d, Max length: %d", param, least, most)
	}
	return nil
}

// first is the first refusal of several checks.
func first(refusals ...*graphError) *graphError {
	for _, r := range refusals {
		if r != nil {
			return r
		}
	}
	return nil
}

// ourName is the program's own name of a template: without the hash of its content that it carries on WhatsApp.
func ourName(template string) string { return hashSuffix.ReplaceAllString(template, "") }

var hashSuffix = regexp.MustCompile(`_[0-9a-f]{8}$`)
