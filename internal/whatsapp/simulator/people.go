package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxPersonBody bounds a request to the person side, in bytes: the longest text, escaped, and room.
const maxPersonBody = 64 << 10

// own refuses what the page of another site could read or post: anything whose Origin is another host, which a browser names
// with every post, and anything whose host is not this machine's own, which a name that was pointed here would be. What kind of
// content a post declares does not matter: curl calls everything a form.
func own(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !loopback(r.Host) {
			problem(w, http.StatusForbidden, "this is for this machine only: call it as localhost or 127.0.0.1")
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" {
			u, err := url.Parse(origin)
			if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
				problem(w, http.StatusForbidden, "this page is of another site")
				return
			}
		}
		next(w, r)
	}
}

// loopback tells whether a request's host is a name of this machine.
func loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// readPerson decodes a body, or answers why not.
func readPerson(w http.ResponseWriter, r *http.Request, into any) bool {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPersonBody))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		problem(w, http.StatusRequestEntityTooLarge, "the body is too long")
		return false
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err == nil {
		err = d.Decode(into)
	}
	if err == nil && len(bytes.TrimSpace(raw[d.InputOffset():])) > 0 {
		err = errors.New("more than one JSON value")
	}
	if err != nil {
		problem(w, http.StatusBadRequest, "the body cannot be read: "+strings.TrimPrefix(err.Error(), "json: "))
		return false
	}
	return true
}

// problem answers with an RFC 9457 problem.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(encode(object{"status": status, "title": http.StatusText(status), "detail": detail}), '\n'))
}

// phoneOf reads the phone in a path, or answers that it is none.
func phoneOf(w http.ResponseWriter, r *http.Request) (string, bool) {
	phone, ok := parsePhone(r.PathValue("phone"))
	if !ok {
		problem(w, http.StatusBadRequest, "that is no phone number in E.164, such as +4520123456")
	}
	return phone, ok
}

// personView is a person as the person side shows them.
type personView struct {
	Phone  string     `json:"phone"`
	Name   string     `json:"name"`
	UserID string     `json:"user_id"`
	Unread int        `json:"unread"`            // messages that the phone page has not shown
	LastAt *time.Time `json:"last_at,omitempty"` // of the newest message
	Last   string     `json:"last"`              // its text
}

// messageView is a message as the person side shows it. Direction is the business's: in is what the customer wrote.
type messageView struct {
	ID         string         `json:"id"`
	Direction  string         `json:"direction"`
	Type       string         `json:"type"`
	Template   string         `json:"template"` // the program's own name; empty for free text
	Text       string         `json:"text"`     // with the parameters filled in
	Header     string         `json:"header,omitempty"`
	Footer     string         `json:"footer,omitempty"`
	Status     string         `json:"status"` // sent, delivered, read, failed
	At         time.Time      `json:"at"`
	Buttons    []button       `json:"buttons"`
	ListButton string         `json:"list_button,omitempty"`
	Link       string         `json:"link,omitempty"`
	ReplyTo    string         `json:"reply_to,omitempty"`
	Error      *messageFailed `json:"error,omitempty"`
}

func viewMessage(m *message) messageView {
	return messageView{
		ID: m.ID, Direction: m.Direction, Type: m.Type, Template: ourName(m.Template), Text: m.Text, Header: m.Header, Footer: m.Footer,
		Status: m.Status, At: m.At, Buttons: append([]button{}, m.Buttons...), ListButton: m.ListButton, Link: m.Link,
		ReplyTo: m.ReplyTo, Error: m.Problem,
	}
}

// viewPerson is a person and their newest message. The caller holds mu.
func viewPerson(p *person) personView {
	v := personView{Phone: p.Phone, Name: p.Name, UserID: p.UserID}
	for _, m := range p.chat {
		if m.Status == failed {
			continue // it never reached the phone
		}
		if m.Direction == out && m.Type != "reaction" && m.Status != read {
			v.Unread++
		}
		v.LastAt, v.Last = &m.At, m.Text
	}
	return v
}

func (s *Simulator) getPeople(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	items := make([]personView, 0, len(s.order))
	for _, p := range s.order {
		items = append(items, viewPerson(p))
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"items": items})
}

// postPerson adds a phone, or gives it another name.
func (s *Simulator) postPerson(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Phone string `json:"phone"`
		Name  string `json:"name"`
	}
	if !readPerson(w, r, &body) {
		return
	}
	phone, ok := parsePhone(spaces.Replace(body.Phone))
	name := strings.TrimSpace(body.Name)
	switch {
	case !ok:
		problem(w, http.StatusBadRequest, "phone must be a phone number in E.164, such as +4520123456")
		return
	case phone == s.opt.BusinessPhone:
		problem(w, http.StatusConflict, "that is the business's own number")
		return
	case utf8.RuneCountInString(name) > 100:
		problem(w, http.StatusBadRequest, "name must be at most 100 characters long")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.people[phone]
	if had == nil || (name != "" && name != had.Name) {
		if s.commit(fact{Person: &personFact{Phone: phone, Name: name}}) != nil {
			problem(w, http.StatusInternalServerError, "the journal cannot be written")
			return
		}
	}
	status := http.StatusCreated
	if had != nil {
		status = http.StatusOK
	}
	writeJSON(w, status, viewPerson(s.people[phone]))
}

// spaces are what people write inside a number.
var spaces = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "")

func (s *Simulator) getChat(w http.ResponseWriter, r *http.Request) {
	phone, ok := phoneOf(w, r)
	if !ok {
		return
	}
	items := []messageView{}
	s.mu.Lock()
	if p := s.people[phone]; p != nil {
		for _, m := range p.chat {
			items = append(items, viewMessage(m))
		}
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"items": items})
}

// postChat is a person who writes, or presses a button.
func (s *Simulator) postChat(w http.ResponseWriter, r *http.Request) {
	phone, ok := phoneOf(w, r)
	if !ok {
		return
	}
	var body struct {
		Text    *string `json:"text"`
		Press   *string `json:"press"`
		ReplyTo string  `json:"reply_to"`
	}
	if !readPerson(w, r, &body) {
		return
	}
	switch {
	case (body.Text == nil) == (body.Press == nil):
		problem(w, http.StatusBadRequest, "exactly one of text and press is needed")
		return
	case body.Text != nil && strings.TrimSpace(*body.Text) == "":
		problem(w, http.StatusBadRequest, "text must not be empty")
		return
	case body.Text != nil && utf8.RuneCountInString(*body.Text) > 4096:
		problem(w, http.StatusBadRequest, "text must be at most 4096 characters long")
		return
	case phone == s.opt.BusinessPhone:
		problem(w, http.StatusConflict, "that is the business's own number")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	who := s.lookUp(phone)
	m := &message{ID: newMessageID(), Phone: phone, Direction: in, ReplyTo: body.ReplyTo, At: s.now(), Status: sent}
	if quoted := s.messages[body.ReplyTo]; body.ReplyTo != "" && (quoted == nil || quoted.Phone != phone || quoted.Status == failed) {
		problem(w, http.StatusConflict, "reply_to is no message of this chat")
		return
	}
	if body.Text != nil {
		m.Type, m.Text = "text", *body.Text
	} else if why := press(who, *body.Press, m); why != "" {
		problem(w, http.StatusConflict, why)
		return
	}
	// Whoever answers has the chat open.
	f := s.readFact(who)
	f.Message = m
	f.Hooks = append(f.Hooks, s.inboundHook(len(f.Hooks), who, m))
	if s.commit(f) != nil {
		problem(w, http.StatusInternalServerError, "the journal cannot be written")
		return
	}
	writeJSON(w, http.StatusCreated, viewMessage(m))
}

// press finds the button that is meant, on the newest message that has it, or on the one that m answers. It fills m, or
// says why not.
func press(who *person, label string, m *message) string {
	label = strings.TrimSpace(label)
	why := "no message has a button " + label
	for _, shown := range slices.Backward(who.chat) {
		if shown.Direction != out || shown.Status == failed || (m.ReplyTo != "" && shown.ID != m.ReplyTo) {
			continue
		}
		at := slices.IndexFunc(shown.Buttons, func(b button) bool { return b.ID != "" && b.ID == label })
		if at < 0 {
			at = slices.IndexFunc(shown.Buttons, func(b button) bool { return strings.EqualFold(b.Title, label) })
		}
		if at < 0 {
			continue
		}
		b := shown.Buttons[at]
		if b.Kind != reply {
			why = "the button " + b.Title + " sends nothing to the business"
			continue
		}
		m.Type = "interactive"
		if shown.Type == "template" {
			m.Type = "button"
		}
		m.Text, m.Payload, m.ReplyTo = b.Title, b.ID, shown.ID
		return ""
	}
	return why
}

// readFact marks as read what a person has not read yet. The caller holds mu.
func (s *Simulator) readFact(who *person) fact {
	var f fact
	for _, m := range who.chat {
		if m.Direction == out && m.Type != "reaction" && rank(m.Status) < rank(read) {
			f.Statuses = append(f.Statuses, statusFact{ID: m.ID, Status: read})
			f.Hooks = append(f.Hooks, s.statusHook(len(f.Hooks), m, read))
		}
	}
	return f
}

// postRead is a person who opens the chat.
func (s *Simulator) postRead(w http.ResponseWriter, r *http.Request) {
	phone, ok := phoneOf(w, r)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if who := s.people[phone]; who != nil {
		if f := s.readFact(who); len(f.Statuses) > 0 && s.commit(f) != nil {
			problem(w, http.StatusInternalServerError, "the journal cannot be written")
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}
