package simulator

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// fact is a line of the journal: what happened at one moment, together with the webhooks that tell of it. It happens
// whole or not at all.
type fact struct {
	Person   *personFact     `json:"person,omitempty"`
	Template *storedTemplate `json:"template,omitempty"`
	Statuses []statusFact    `json:"statuses,omitempty"`
	Message  *message        `json:"message,omitempty"`
	Hooks    []hook          `json:"hooks,omitempty"`
	Taken    *takenFact      `json:"taken,omitempty"`
	Gone     *templateKey    `json:"gone,omitempty"` // a template that was deleted
	Limits   *keptLimits     `json:"limits,omitempty"`
	Account  *account        `json:"account,omitempty"`

	Media  *mediaFact  `json:"media,omitempty"`
	Sample *sampleFact `json:"sample,omitempty"`
	Edit   *editFact   `json:"edit,omitempty"`
}

// takenFact is a webhook that the receiver took.
type takenFact struct {
	Phone  string `json:"phone,omitempty"`
	Number int64  `json:"number"`
	Count  int    `json:"count,omitempty"` // how many of its queue went with it; 0 is it alone
}

// personFact is a person added, or what changed about one.
type personFact struct {
	Phone    string `json:"phone"`
	Name     string `json:"name,omitempty"`
	Language string `json:"language,omitempty"` // of their phone
	Number   string `json:"number,omitempty"`   // their new phone number
	Stopped  *bool  `json:"stopped,omitempty"`  // whether they stopped marketing in WhatsApp itself
	Blocked  *bool  `json:"blocked,omitempty"`  // whether they blocked the business
	Off      *bool  `json:"off,omitempty"`      // whether their phone is switched off
	Reported bool   `json:"reported,omitempty"` // they reported the business
	UserID   string `json:"user_id,omitempty"`  // the one that Meta gives them now
}

// statusFact is a message that got further.
type statusFact struct {
	ID      string         `json:"id"`
	Status  string         `json:"status"`
	Problem *messageFailed `json:"problem,omitempty"`
}

// hook is a webhook to deliver.
type hook struct {
	Number  int64  `json:"number"`
	Phone   string `json:"phone,omitempty"`   // whose; empty is the account's own
	Message string `json:"message,omitempty"` // the inbound message it tells of
	Body    string `json:"body"`

	NotBefore time.Time `json:"not_before,omitzero"` // real time
	Batch     int       `json:"batch,omitempty"`     // how many of its queue may go together; 0 is it alone

	person string // whom it is about: a phone; empty is the account
	about  string // a status, or message; empty is anything else
	alone  bool   // a fault: it waits in no queue
	early  bool   // a fault: it comes before the answer to the request that caused it
}

// person is someone with a phone.
type person struct {
	Phone   string
	UserID  string // business-scoped user id: the same for a phone each time
	Name    string
	chat    []*message
	Stopped bool      // they stopped marketing in WhatsApp itself
	Blocked bool      // they blocked the business: nothing reaches them
	Off     bool      // their phone is switched off: what is sent waits
	typing  time.Time // until when the business is seen typing: real time, ended by a message, and gone with the process
	wrote   time.Time // when they last wrote, which opens the service window; zero when never

	arrived time.Time // when they last came by an ad and were not answered yet
	entered time.Time // when the answer to that opened the free entry point
	opened  time.Time // when a template last reached them outside the service window

	Language string // of their phone: en, da or de; empty is the page's
	Reports  int    // how often they reported the business
	line     string // the key of their webhooks' queue: their first number, so that a change of number changes no order
	rev      uint64 // the version at which the page last had something new to show of them
}

// The directions of a message, as the business sees them.
const (
	in  = "in"
	out = "out"
)

// The statuses of a message.
const (
	sent      = "sent"
	delivered = "delivered"
	read      = "read"
	failed    = "failed"
)

// message is one message of a chat.
type message struct {
	personal // what the person side adds

	ID           string         `json:"id"` // wamid
	Phone        string         `json:"phone"`
	Direction    string         `json:"direction"`
	Type         string         `json:"type"`               // Meta's: text, template, interactive, image, reaction …
	Template     string         `json:"template,omitempty"` // its name with WhatsApp
	Language     string         `json:"language,omitempty"` // of the template
	Category     string         `json:"category,omitempty"` // the template's, in lower case, or service
	Outside      bool           `json:"outside,omitempty"`  // a template outside the service window
	Price        *price         `json:"price,omitempty"`
	HeldUntil    time.Time      `json:"held_until,omitzero"` // when pacing decides
	TryUntil     time.Time      `json:"try_until,omitzero"`  // of one that waits: what is not delivered by then is gone
	Text         string         `json:"text"`
	Header       string         `json:"header,omitempty"`
	Footer       string         `json:"footer,omitempty"`
	Buttons      []button       `json:"buttons,omitempty"`
	ListButton   string         `json:"list_button,omitempty"` // the label that opens the list; Buttons are its rows then
	Link         string         `json:"link,omitempty"`        // of media, or of a place on a map
	Payload      string         `json:"payload,omitempty"`     // of a press
	ReplyTo      string         `json:"reply_to,omitempty"`
	CallbackData string         `json:"callback_data,omitempty"`
	At           time.Time      `json:"at"`
	Status       string         `json:"status"`
	Problem      *messageFailed `json:"problem,omitempty"`

	// What only some types have. A reaction's emoji is its Text, empty when it is taken back, and ReplyTo is what it is about.
	Interactive string        `json:"interactive,omitempty"` // which kind of interactive message: button, list, cta_url
	File        *file         `json:"file,omitempty"`        // of media, or of a header
	Place       *place        `json:"place,omitempty"`       // of a location, or of a header
	Contacts    []contactCard `json:"contacts,omitempty"`
	Offer       *offer        `json:"offer,omitempty"` // a template's limited-time offer
	Cards       []card        `json:"cards,omitempty"` // of a carousel
}

// file is what a message shows or plays: an upload by ID, or what Link leads to.
type file struct {
	Kind     string `json:"kind"` // image, video, audio, document, sticker
	ID       string `json:"id,omitempty"`
	Link     string `json:"link,omitempty"`
	Filename string `json:"filename,omitempty"` // of a document
	Voice    bool   `json:"voice,omitempty"`    // audio that was recorded, not sent as a file
}

// place is somewhere on the map.
type place struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Name      string  `json:"name,omitempty"`
	Address   string  `json:"address,omitempty"`
}

// contactCard is a contact that was passed on.
type contactCard struct {
	Name   string   `json:"name"`
	Org    string   `json:"org,omitempty"`
	Phones []string `json:"phones,omitempty"`
	Emails []string `json:"emails,omitempty"`
	URLs   []string `json:"urls,omitempty"`
}

// offer is a limited-time offer. Phones count down to ExpiresAt, of the business's time, when it has one.
type offer struct {
	Text      string     `json:"text"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// card is a card of a carousel.
type card struct {
	File    *file    `json:"file,omitempty"`
	Text    string   `json:"text,omitempty"`
	Buttons []button `json:"buttons,omitempty"`
}

// messageFailed is why a message failed.
type messageFailed struct {
	Code    int    `json:"code"`
	Title   string `json:"title"`
	Details string `json:"details"`
}

// The kinds of button.
const (
	reply    = "reply" // a press answers the business
	link     = "url"
	copyCode = "copy_code"
	call     = "phone"
)

// button is a button or a row of a list.
type button struct {
	Title       string `json:"title"`
	ID          string `json:"id"`   // what a press sends back; empty when it sends nothing
	Kind        string `json:"kind"` // reply, url, copy_code, phone
	Value       string `json:"value,omitempty"`
	Description string `json:"description,omitempty"`
	Section     string `json:"section,omitempty"`
}

// rank orders statuses: a message only gets further.
func rank(status string) int {
	return map[string]int{sent: 1, delivered: 2, read: 3, failed: 4}[status]
}

// apply makes a fact true. It is the only thing that changes what the simulator knows, at work and at replay alike.
func (s *Simulator) apply(f fact) {
	s.bump()
	if p := f.Person; p != nil {
		s.applyPerson(*p)
		if p.Number != "" && s.account.Banned[p.Phone] { // a block is of the person
			banned := maps.Clone(s.account.Banned)
			delete(banned, p.Phone)
			banned[p.Number] = true
			s.account.Banned = banned
		}
		s.feedback(*p)
	}
	if f.Media != nil {
		s.applyMedia(*f.Media)
	}
	if f.Sample != nil {
		s.samples[f.Sample.Handle] = f.Sample.Format
	}
	if f.Edit != nil {
		s.applyEdit(*f.Edit)
	}
	if t := f.Template; t != nil {
		s.applyTemplate(t)
	}
	if f.Gone != nil {
		delete(s.templates, *f.Gone)
		s.listed = slices.DeleteFunc(s.listed, func(t *storedTemplate) bool { return t.key() == *f.Gone })
	}
	if f.Limits != nil {
		if f.Limits.Tier != s.limits.Tier {
			s.halfUsed = time.Time{}
		}
		s.limits = Limits(*f.Limits)
	}
	if f.Account != nil {
		s.account = *f.Account
	}
	for _, st := range f.Statuses {
		if m := s.messages[st.ID]; m != nil && rank(st.Status) > rank(m.Status) {
			was := m.Status
			m.Status, m.Problem = st.Status, st.Problem
			if was == held {
				s.moved(s.person(m.Phone), m)
			}
			s.touch(m)
		}
	}
	if m := f.Message; m != nil {
		who := s.person(m.Phone)
		s.messages[m.ID] = m
		who.chat = append(who.chat, m)
		s.shown(who, m)
		if m.Direction == out {
			who.typing = time.Time{}
		}
		if m.Status != held {
			s.moved(who, m)
		}
		s.counted(m)
	}
	for _, h := range f.Hooks {
		s.hooks = max(s.hooks, h.Number)
		s.enqueue(h)
	}
	if f.Taken != nil {
		s.dequeue(*f.Taken)
	}
}

// person is whose phone it is; the first time, they are new.
func (s *Simulator) person(phone string) *person {
	if p := s.people[phone]; p != nil {
		return p
	}
	p := s.lookUp(phone)
	p.line, p.rev = phone, s.version
	s.people[phone], s.userIDs[p.UserID] = p, p
	s.order = append(s.order, p)
	return p
}

// lookUp is whose phone it is, or who they would be: unlike person, it adds nobody.
func (s *Simulator) lookUp(phone string) *person {
	if p := s.people[phone]; p != nil {
		return p
	}
	return &person{Phone: phone, UserID: userID(s.opt.AccountID, phone), Name: "Customer " + phone[len(phone)-4:]}
}

// countries of the calling codes that our examples use. A user id of any other phone is of the country XX, which is none.
var countries = []struct{ code, country string }{
	{"+1", "US"}, {"+31", "NL"}, {"+33", "FR"}, {"+34", "ES"}, {"+44", "GB"}, {"+45", "DK"}, {"+46", "SE"}, {"+47", "NO"}, {"+49", "DE"}, {"+91", "IN"},
}

// userID is a phone's business-scoped user id: always the same for one account, another for each account.
func userID(account, phone string) string {
	country := "XX"
	for _, c := range countries {
		if strings.HasPrefix(phone, c.code) {
			country = c.country
		}
	}
	sum := sha256.Sum256([]byte(account + "/" + phone))
	return fmt.Sprintf("%s.%020d", country, binary.BigEndian.Uint64(sum[:8]))
}

// newMessageID is a wamid of Meta's form. Meta's holds the phone number; this one holds nothing.
func newMessageID() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return "wamid.HBg" + base64.StdEncoding.EncodeToString(b[:])
}
