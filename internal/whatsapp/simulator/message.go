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
	Policy   string `json:"product_policy"`           // of POST /marketing_messages
	Activity *bool  `json:"message_activity_sharing"` // of POST /marketing_messages
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
	return s.answerSend(w, r, false)
}

// postMarketing sends by the Marketing Messages API.
func (s *Simulator) postMarketingMessage(w http.ResponseWriter, r *http.Request) *graphError {
	return s.answerSend(w, r, true)
}

// answerSend takes a message, and lets faults have their way. lite is whether it came by the Marketing Messages API.
func (s *Simulator) answerSend(w http.ResponseWriter, r *http.Request, lite bool) *graphError {
	if id := r.PathValue("id"); id != s.opt.PhoneNumberID {
		return noObject(r.Method, id)
	}
	raw, refusal := readGraph(r)
	if refusal != nil {
		return refusal
	}
	f := s.sendFault(raw)
	if !f.takes() {
		return s.fail(r, f)
	}
	answer, waits, refusal := s.take(raw, lite, f.asked())
	s.awaitEarly(r, waits)
	switch {
	case f.Send == timeoutAfter || f.Send == http500After:
		return s.fail(r, f)
	case refusal != nil:
		return refusal
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// take does what a body asks for. asked is why the message fails although nothing else is wrong with it; nil is nothing. The
// answer must wait for those webhooks that are to be there before it.
func (s *Simulator) take(raw []byte, lite bool, asked *messageFailed) (object, []chan struct{}, *graphError) {
	var body map[string]json.RawMessage
	var req request
	if json.Unmarshal(raw, &body) != nil || body == nil {
		return nil, nil, invalid("the body is not a JSON object")
	}
	if err := json.Unmarshal(raw, &req); err != nil {
		return nil, nil, invalid("a parameter is of the wrong JSON type")
	}
	if req.Product != "whatsapp" {
		return nil, nil, invalid("The parameter messaging_product is required and must be whatsapp.")
	}
	if _, status := body["status"]; status && !lite {
		answer, refusal := s.markRead(body, req)
		return answer, nil, refusal
	}
	readContent, refusal := req.check(body, lite)
	if refusal != nil {
		return nil, nil, refusal
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	who, contact, refusal := s.recipient(req)
	if refusal != nil {
		return nil, nil, refusal
	}
	m := &message{
		ID: newMessageID(), Phone: who.Phone, Direction: out, Type: req.Type, Category: "service",
		CallbackData: req.CallbackData, At: s.now(),
	}
	if req.Context != nil {
		m.ReplyTo = req.Context.MessageID
	}
	if refusal := readContent(s, body[req.Type], m); refusal != nil {
		return nil, nil, refusal
	}
	if refusal := s.refuse(who, m, req, lite); refusal != nil {
		return nil, nil, refusal
	}
	f := s.outcome(who, m, asked)
	s.earlier = nil
	if s.commit(f) != nil {
		return nil, nil, unavailable
	}
	answer := object{"id": m.ID}
	switch {
	case m.Status == held:
		answer["message_status"] = "held_for_quality_assessment"
	case m.Type == "template":
		answer["message_status"] = "accepted"
	}
	return object{"messaging_product": "whatsapp", "contacts": []object{contact}, "messages": []object{answer}}, s.earlier, nil
}

// check refuses what a request may not be, whatever it is about, and answers what reads its content.
func (req *request) check(body map[string]json.RawMessage, lite bool) (func(*Simulator, json.RawMessage, *message) *graphError, *graphError) {
	allowed := append(slices.Clone(common), req.Type)
	readContent, known := kinds[req.Type]
	switch {
	case req.Type == "":
		return nil, missing("The parameter type is required.")
	case !known:
		return nil, invalid("Param type must be one of {AUDIO, CONTACTS, DOCUMENT, IMAGE, INTERACTIVE, LOCATION, REACTION, STICKER, TEMPLATE, TEXT, VIDEO} - got %q.", req.Type)
	case lite && req.Type != "template":
		return nil, onlyMarketing
	case lite:
		allowed = append(allowed, "product_policy", "message_activity_sharing")
	}
	if refusal := unexpected(body, allowed); refusal != nil {
		return nil, refusal
	}
	switch {
	case len(body[req.Type]) == 0:
		return nil, missing("The parameter %s is required.", req.Type)
	case req.RecipientType != "" && req.RecipientType != "individual":
		return nil, invalid("Param recipient_type must be individual.")
	case utf8.RuneCountInString(req.CallbackData) > 512:
		return nil, invalid("Param biz_opaque_callback_data must be at most 512 characters long.")
	case !slices.Contains([]string{"", fallbackPolicy, strictPolicy}, req.Policy):
		return nil, invalid("Param product_policy must be one of {CLOUD_API_FALLBACK, STRICT}.")
	}
	return readContent, nil
}

// What POST /marketing_messages does with what it cannot send itself.
const (
	fallbackPolicy = "CLOUD_API_FALLBACK"
	strictPolicy   = "STRICT"
)

var onlyMarketing = &graphError{
	code: 131055, title: "Method not allowed", details: "Only marketing template messages are supported by this endpoint.",
}

// refuse is why Meta does not take a message that is well-formed; nil when it does. It prices the message. The caller holds mu.
func (s *Simulator) refuse(who *person, m *message, req request, lite bool) *graphError {
	m.Outside = m.Type == "template" && !who.inWindow(m.At)
	switch {
	case lite && m.Category != "marketing":
		return onlyMarketing
	case m.Category == "authentication" && req.To == "":
		return &graphError{
			code: 131062, title: "Business-scoped User ID (BSUID) recipients are not supported for this message.",
			details: "Business-scoped User ID (BSUID) recipients are not supported for this message.",
		}
	case s.account.Banned[who.Phone]:
		return &graphError{
			status: http.StatusForbidden, code: 130403, title: "Business has blocked the user", details: "The business has blocked this user: unblock them to send.",
		}
	}
	if refusal := s.account.refuse(m); refusal != nil {
		return refusal
	}
	if lite {
		t := s.templates[templateKey{m.Template, m.Language}]
		if within(m.At, t.Standing.ApprovedAt, time.Duration(s.limits.MarketingSync)) {
			if req.Policy == strictPolicy {
				return &graphError{code: 134101, title: "Template is still being synced", details: "The template is still syncing: try again in 10 minutes."}
			}
			lite = false // it goes by the Cloud API
		}
	}
	m.Price = s.priceOf(who, m.Category, lite, m.At)
	return s.throttle(who.Phone, time.Now())
}

// outcome is what becomes of a message that Meta took. One that fails was accepted nevertheless: Meta finds out later. The
// caller holds mu.
func (s *Simulator) outcome(who *person, m *message, asked *messageFailed) fact {
	f := fact{Message: m}
	t := s.templates[templateKey{m.Template, m.Language}]
	if m.Problem = s.problem(who, m); m.Problem == nil {
		m.Problem = asked
	}
	switch {
	case m.Problem != nil:
		m.Status = failed
		f.Hooks = []hook{s.statusHook(0, m, failed)}
	case t != nil && s.paces(t):
		m.Status, m.HeldUntil = held, t.Standing.PaceUntil
		if m.HeldUntil.IsZero() {
			m.HeldUntil = m.At.Add(time.Duration(s.limits.PaceHold))
		}
	case m.Type == "reaction": // Meta tells no more of it
		m.Status = sent
		f.Hooks = []hook{s.statusHook(0, m, sent)}
	case who.Off:
		m.Status, m.TryUntil = waiting, m.At.Add(lifetime(t))
		f.Hooks = []hook{s.statusHook(0, m, sent)}
	default:
		m.Status = delivered
		f.Hooks = []hook{s.statusHook(0, m, sent), s.statusHook(1, m, delivered)}
	}
	return f
}

// lostReaction is why a reaction fails. Source: Meta's page on reaction messages.
var lostReaction = messageFailed{
	Code: 131009, Title: "Parameter value is not valid",
	Details: "The message that the reaction is about does not exist, is of another chat, or is older than 30 days.",
}

// wrongMedia is why an upload fails that is sent as what it is not. Source: Meta's list of codes.
var wrongMedia = messageFailed{
	Code: 131053, Title: "Media upload error", Details: "The uploaded file has a type that messages of this type cannot have.",
}

// misused tells whether an upload is sent as what it is not. As a document anything may go. The caller holds mu.
func (s *Simulator) misused(f *file) bool {
	if f == nil || f.ID == "" || f.Kind == "document" {
		return false
	}
	kept := s.mediaNow(f.ID)
	return kept == nil || kindOf(kept.Type) != f.Kind
}

// longestAgo is how old a message may be that is reacted to or marked as read.
const longestAgo = 30 * 24 * time.Hour

// problem is why a message that was accepted fails; nil when it does not. The caller holds mu.
func (s *Simulator) problem(who *person, m *message) *messageFailed {
	switch {
	case who.Blocked:
		return &blocked
	case m.Type != "template" && !who.inWindow(m.At):
		return &outside
	case s.misused(m.File) || slices.ContainsFunc(m.Cards, func(c card) bool { return s.misused(c.File) }):
		return &wrongMedia
	case m.Category == "marketing" && who.Stopped:
		return &stopped
	case m.Category == "marketing" && !s.limits.USMarketing && unitedStates(who.Phone):
		return &overCap
	case m.Category == "marketing" && m.Outside && s.overMarketing(who, m.At):
		return &overCap
	case m.Outside && s.overTier(who, m.At):
		return &overLimit
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
		s.types(m.Phone)
	}
	var f fact
	for _, earlier := range s.people[m.Phone].chat {
		if earlier.Direction == in && rank(earlier.Status) < rank(read) {
			f.Statuses = append(f.Statuses, statusFact{ID: earlier.ID, Status: read})
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
