package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
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

	Language  string `json:"language,omitempty"`  // of their phone, when they chose one
	Marketing string `json:"marketing,omitempty"` // stop, when they stopped marketing in WhatsApp itself
	Blocked   bool   `json:"blocked,omitempty"`   // they blocked the business
	Reports   int    `json:"reports,omitempty"`   // how often they reported it
	Off       bool   `json:"off,omitempty"`       // their phone is switched off
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

	File      *file             `json:"file,omitempty"`
	Place     *place            `json:"place,omitempty"`
	Contacts  []contactCard     `json:"contacts,omitempty"`
	Offer     *offer            `json:"offer,omitempty"`
	Cards     []card            `json:"cards,omitempty"`
	Referral  *referral         `json:"referral,omitempty"`  // the ad that the person came by
	Reactions map[string]string `json:"reactions,omitempty"` // the emoji, by the direction of whoever reacted
	Edited    bool              `json:"edited,omitempty"`
	Revoked   bool              `json:"revoked,omitempty"` // the person deleted it for everyone
}

func viewMessage(m *message) messageView {
	return messageView{
		ID: m.ID, Direction: m.Direction, Type: m.Type, Template: ourName(m.Template), Text: m.Text, Header: m.Header, Footer: m.Footer,
		Status: m.Status, At: m.At, Buttons: append([]button{}, m.Buttons...), ListButton: m.ListButton, Link: m.Link,
		ReplyTo: m.ReplyTo, Error: m.Problem,
		File: m.File, Place: m.Place, Contacts: m.Contacts, Offer: m.Offer, Cards: m.Cards,
		Referral: m.Referral, Reactions: maps.Clone(m.reacted), Edited: m.Edited, Revoked: m.Revoked,
	}
}

// viewPerson is a person and their newest message. The caller holds mu.
func viewPerson(p *person) personView {
	v := personView{
		Phone: p.Phone, Name: p.Name, UserID: p.UserID, Language: p.Language, Blocked: p.Blocked, Reports: p.Reports, Off: p.Off,
	}
	if p.Stopped {
		v.Marketing = "stop"
	}
	for _, m := range p.chat {
		if !reached(m) {
			continue
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

// postPerson adds a phone, or gives it another name or language.
func (s *Simulator) postPerson(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Phone    string `json:"phone"`
		Name     string `json:"name"`
		Language string `json:"language"`
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
	case body.Language != "" && words[body.Language] == nil:
		problem(w, http.StatusBadRequest, "language must be one of "+strings.Join(languages(), ", "))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.people[phone]
	if had == nil || (name != "" && name != had.Name) || (body.Language != "" && body.Language != had.Language) {
		if s.commit(fact{Person: &personFact{Phone: phone, Name: name, Language: body.Language}}) != nil {
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

// postChat is a person who writes, presses a button, or says where they are.
func (s *Simulator) postChat(w http.ResponseWriter, r *http.Request) {
	phone, ok := phoneOf(w, r)
	if !ok {
		return
	}
	var body struct {
		Text     *string   `json:"text"`
		Press    *string   `json:"press"`
		Location *place    `json:"location"`
		Referral *referral `json:"referral"`
		ReplyTo  string    `json:"reply_to"`
	}
	if !readPerson(w, r, &body) {
		return
	}
	kinds := 0
	for _, has := range []bool{body.Text != nil, body.Press != nil, body.Location != nil} {
		if has {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		problem(w, http.StatusBadRequest, "exactly one of text, press and location is needed")
		return
	case body.Text != nil && strings.TrimSpace(*body.Text) == "":
		problem(w, http.StatusBadRequest, "text must not be empty")
		return
	case body.Text != nil && utf8.RuneCountInString(*body.Text) > 4096:
		problem(w, http.StatusBadRequest, "text must be at most 4096 characters long")
		return
	case body.Location != nil && body.Location.problem() != "":
		problem(w, http.StatusBadRequest, body.Location.problem())
		return
	case body.Referral != nil && body.Text == nil:
		problem(w, http.StatusBadRequest, "referral goes with a text")
		return
	case body.Referral != nil && body.Referral.complete() != "":
		problem(w, http.StatusBadRequest, body.Referral.complete())
		return
	}
	m := &message{ReplyTo: body.ReplyTo}
	m.Referral = body.Referral
	switch {
	case body.Text != nil:
		m.Type, m.Text = "text", *body.Text
	case body.Location != nil:
		m.Type, m.Place = "location", body.Location
		m.Header, m.Text, m.Link = m.Place.Name, m.Place.Address, m.Place.geo()
	default:
		m.Payload = *body.Press // the label, until press finds what is meant
	}
	s.write(w, phone, m, fact{})
}

// mayWrite tells why a person may not write, or nothing when they may. The caller holds mu.
func (s *Simulator) mayWrite(phone, replyTo string) string {
	if phone == s.opt.BusinessPhone {
		return "that is the business's own number"
	}
	if who := s.people[phone]; who != nil && who.Blocked {
		return "this person has blocked the business: they must unblock it to write"
	} else if who != nil && who.Off {
		return "this phone is switched off"
	}
	if quoted := s.messages[replyTo]; replyTo != "" && (quoted == nil || quoted.Phone != phone || !reached(quoted)) {
		return "reply_to is no message of this chat"
	}
	return ""
}

// write commits what a person wrote or pressed, with what else is in the fact, and answers with it. A message without a type
// is a press of the button in its payload.
func (s *Simulator) write(w http.ResponseWriter, phone string, m *message, with fact) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if why := s.mayWrite(phone, m.ReplyTo); why != "" {
		problem(w, http.StatusConflict, why)
		return
	}
	who := s.lookUp(phone)
	m.ID, m.Phone, m.Direction, m.At, m.Status = newMessageID(), phone, in, s.now(), sent
	if m.Type == "" {
		label := m.Payload
		m.Payload = ""
		if why := press(who, label, m); why != "" {
			problem(w, http.StatusConflict, why)
			return
		}
	}
	// Whoever answers has the chat open.
	f := s.readFact(who)
	f.Message, f.Media = m, with.Media
	f.Hooks = append(f.Hooks, s.messageHook(len(f.Hooks), who, m, f.Media))
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
		if shown.Direction != out || !reached(shown) || (m.ReplyTo != "" && shown.ID != m.ReplyTo) {
			continue
		}
		buttons := slices.Clone(shown.Buttons)
		for _, c := range shown.Cards {
			buttons = append(buttons, c.Buttons...)
		}
		at := slices.IndexFunc(buttons, func(b button) bool { return b.ID != "" && b.ID == label })
		if at < 0 {
			at = slices.IndexFunc(buttons, func(b button) bool { return strings.EqualFold(b.Title, label) })
		}
		if at < 0 {
			continue
		}
		b := buttons[at]
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
		if m.Direction == out && m.Type != "reaction" && m.Status == delivered {
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
