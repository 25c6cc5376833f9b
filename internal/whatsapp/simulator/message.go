package simulator

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
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

// kinds are the types of message that are modelled, and what reads their content into a message.
var kinds = map[string]func(*Simulator, json.RawMessage, *message) *graphError{
	"text": (*Simulator).readText, "template": (*Simulator).readTemplate, "interactive": (*Simulator).readInteractive,
	"image": (*Simulator).readImage, "document": (*Simulator).readDocument, "location": (*Simulator).readLocation,
}

// unmodelled are Meta's other types.
var unmodelled = []string{"audio", "video", "sticker", "contacts", "reaction"}

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
	case slices.Contains(unmodelled, req.Type):
		return nil, &graphError{code: 131051, title: "Unsupported message type", details: "the simulator does not model messages of type " + req.Type}
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
	if m.Type != "template" && (who.wrote.IsZero() || m.At.Sub(who.wrote) >= window) {
		// Accepted nevertheless: Meta finds out later.
		m.Status, m.Problem = failed, &outside
		f.Hooks = []hook{s.statusHook(0, m, failed)}
	} else {
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
	if m == nil || m.Direction != in {
		return nil, badValue("Message ID is invalid: message_id")
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

// unexpected refuses members that are not allowed.
func unexpected(body map[string]json.RawMessage, allowed []string) *graphError {
	for key := range body {
		if !slices.Contains(allowed, key) {
			return invalid("Unexpected key %q on param.", key)
		}
	}
	return nil
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

func (s *Simulator) readText(raw json.RawMessage, m *message) *graphError {
	var text struct {
		Body       string `json:"body"`
		PreviewURL bool   `json:"preview_url"`
	}
	if refusal := strict(raw, "text", &text); refusal != nil {
		return refusal
	}
	if strings.TrimSpace(text.Body) == "" {
		return invalid("The parameter text['body'] is required.")
	}
	if utf8.RuneCountInString(text.Body) > 4096 {
		return invalid("Param text['body'] must be at most 4096 characters long.")
	}
	m.Text = text.Body
	return nil
}

// media is an image or a document, in a message or a template's header.
type media struct {
	ID       string `json:"id"`
	Link     string `json:"link"`
	Caption  string `json:"caption"`
	Filename string `json:"filename"`
}

func (x media) check(param string) *graphError {
	if (x.ID == "") == (x.Link == "") {
		return invalid("Param %s must have exactly one of id and link.", param)
	}
	if x.Link != "" {
		if u, err := url.Parse(x.Link); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
			return badValue("%s['link'] is not a valid URL", param)
		}
	}
	return length(param+"['caption']", x.Caption, 0, 1024)
}

func (s *Simulator) readImage(raw json.RawMessage, m *message) *graphError {
	var x media
	refusal := strict(raw, "image", &x)
	if refusal == nil && x.Filename != "" {
		refusal = invalid("Unexpected key %q on param image.", "filename")
	}
	m.Text, m.Link = x.Caption, x.Link
	return first(refusal, x.check("image"))
}

func (s *Simulator) readDocument(raw json.RawMessage, m *message) *graphError {
	var x media
	refusal := strict(raw, "document", &x)
	m.Text, m.Link, m.Header = x.Caption, x.Link, x.Filename
	return first(refusal, x.check("document"))
}

func (s *Simulator) readLocation(raw json.RawMessage, m *message) *graphError {
	var place struct {
		Latitude  *float64 `json:"latitude"`
		Longitude *float64 `json:"longitude"`
		Name      string   `json:"name"`
		Address   string   `json:"address"`
	}
	if refusal := strict(raw, "location", &place); refusal != nil {
		return refusal
	}
	if place.Latitude == nil || place.Longitude == nil {
		return missing("The parameters location['latitude'] and location['longitude'] are required.")
	}
	if *place.Latitude < -90 || *place.Latitude > 90 || *place.Longitude < -180 || *place.Longitude > 180 {
		return badValue("location is not on Earth")
	}
	m.Header, m.Text = place.Name, place.Address
	coordinate := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	m.Link = "geo:" + coordinate(*place.Latitude) + "," + coordinate(*place.Longitude)
	return nil
}

func (s *Simulator) readInteractive(raw json.RawMessage, m *message) *graphError {
	var x struct {
		Type   string `json:"type"`
		Header *struct {
			Type string `json:"type"`
			Text string `json:"text"`
		} `json:"header"`
		Body struct {
			Text string `json:"text"`
		} `json:"body"`
		Footer struct {
			Text string `json:"text"`
		} `json:"footer"`
		Action struct {
			Buttons []struct {
				Type  string `json:"type"`
				Reply struct {
					ID    string `json:"id"`
					Title string `json:"title"`
				} `json:"reply"`
			} `json:"buttons"`
			Button   string `json:"button"`
			Sections []struct {
				Title string `json:"title"`
				Rows  []struct {
					ID          string `json:"id"`
					Title       string `json:"title"`
					Description string `json:"description"`
				} `json:"rows"`
			} `json:"sections"`
		} `json:"action"`
	}
	if refusal := strict(raw, "interactive", &x); refusal != nil {
		return refusal
	}
	if x.Header != nil {
		if x.Header.Type != "text" {
			return badValue("the simulator models interactive headers of type text only")
		}
		if refusal := length("Header text", x.Header.Text, 1, 60); refusal != nil {
			return refusal
		}
		m.Header = x.Header.Text
	}
	m.Text, m.Footer = x.Body.Text, x.Footer.Text
	longest := 1024
	switch x.Type {
	case "button":
		if n := len(x.Action.Buttons); n < 1 || n > 3 {
			return badValue("Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3")
		}
		if x.Action.Button != "" || x.Action.Sections != nil {
			return invalid("Unexpected key on param interactive['action'].")
		}
		for _, b := range x.Action.Buttons {
			if b.Type != "reply" {
				return badValue("Button type must be reply")
			}
			if refusal := first(length("Button title", b.Reply.Title, 1, 20), length("Button id", b.Reply.ID, 1, 256)); refusal != nil {
				return refusal
			}
			m.Buttons = append(m.Buttons, button{Title: b.Reply.Title, ID: b.Reply.ID, Kind: reply})
		}
	case "list":
		longest = 4096
		if x.Action.Buttons != nil {
			return invalid("Unexpected key %q on param interactive['action'].", "buttons")
		}
		if refusal := length("Button text", x.Action.Button, 1, 20); refusal != nil {
			return refusal
		}
		if n := len(x.Action.Sections); n < 1 || n > 10 {
			return badValue("Invalid sections count. Min allowed sections: 1, Max allowed sections: 10")
		}
		m.ListButton = x.Action.Button
		for _, section := range x.Action.Sections {
			if refusal := length("Section title", section.Title, min(1, len(x.Action.Sections)-1), 24); refusal != nil {
				return refusal
			}
			if len(section.Rows) == 0 {
				return badValue("Section without rows")
			}
			for _, row := range section.Rows {
				if refusal := first(length("Row title", row.Title, 1, 24), length("Row id", row.ID, 1, 200),
					length("Row description", row.Description, 0, 72)); refusal != nil {
					return refusal
				}
				m.Buttons = append(m.Buttons, button{Title: row.Title, ID: row.ID, Kind: reply, Description: row.Description, Section: section.Title})
			}
		}
		if len(m.Buttons) > 10 {
			return badValue("Total row count exceed max allowed count: 10")
		}
	default:
		return badValue("the simulator models interactive messages of type button and list only")
	}
	seen := map[string]bool{}
	for _, b := range m.Buttons {
		if seen["id "+b.ID] || (x.Type == "button" && seen["title "+b.Title]) {
			return badValue("Button ids and titles must be unique")
		}
		seen["id "+b.ID], seen["title "+b.Title] = true, true
	}
	return first(length("Body text", m.Text, 1, longest), length("Footer text", m.Footer, 0, 60))
}

// ourName is the program's own name of a template: without the hash of its content that it carries on WhatsApp.
func ourName(template string) string { return hashSuffix.ReplaceAllString(template, "") }

var hashSuffix = regexp.MustCompile(`_[0-9a-f]{8}$`)
