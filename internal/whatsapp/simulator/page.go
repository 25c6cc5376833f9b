package simulator

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

//go:embed page
var pageFiles embed.FS

var (
	pageTemplates = template.Must(template.ParseFS(pageFiles, "page/phone.html"))
	pageAssets    = func() http.Handler {
		assets, err := fs.Sub(pageFiles, "page/assets")
		if err != nil {
			panic(err) // the folder is compiled in
		}
		return http.StripPrefix("/page/assets/", http.FileServerFS(assets))
	}()
)

// pageView is what the phone page shows.
type pageView struct {
	Business string
	Initial  string // of the business
	Now      string // the business's time
	Version  uint64
	Phone    string // whose phone is open; empty when none is
	Name     string
	Unread   bool // there is something to mark as read
	People   []pagePerson
	Chat     []pageMessage
}

type pagePerson struct {
	personView
	Initial string
	When    string
	Open    bool // this one's chat is shown
}

type pageMessage struct {
	messageView
	Mine     bool   // written by the person whose phone it is
	Day      string // set on the first message of a day
	Time     string
	Ticks    string
	TickName string // what the ticks mean, for those who cannot see them
	Quoted   string // the text of the message that it answers
	Sections []pageSection
}

// pageSection is a part of a list.
type pageSection struct {
	Title string
	Rows  []button
}

// tickMarks are the marks on one's own messages, and what they say.
var tickMarks = map[string][2]string{
	sent: {"✓", "sent"}, delivered: {"✓✓", "delivered"}, read: {"✓✓", "read"},
}

// pageTime is the business's time, for people.
func (s *Simulator) pageTime() string {
	return s.now().In(s.opt.Location).Format("Mon 2 Jan 2006 15:04:05 MST")
}

// view is the page as seen from a phone. The caller holds mu.
func (s *Simulator) view(phone string) pageView {
	zone := s.opt.Location
	v := pageView{
		Business: s.opt.Business, Initial: initial(s.opt.Business), Now: s.pageTime(), Version: s.version, Phone: phone,
	}
	for _, p := range s.order {
		x := pagePerson{personView: viewPerson(p), Open: p.Phone == phone}
		x.Initial = initial(p.Name)
		if x.LastAt != nil {
			x.When = x.LastAt.In(zone).Format("15:04")
		}
		if x.Open {
			v.Name, v.Unread = p.Name, x.Unread > 0
		}
		v.People = append(v.People, x)
	}
	slices.SortStableFunc(v.People, func(a, b pagePerson) int {
		newest := func(p pagePerson) time.Time {
			if p.LastAt == nil {
				return time.Time{}
			}
			return *p.LastAt
		}
		return newest(b).Compare(newest(a))
	})
	who := s.people[phone]
	if who == nil {
		return v
	}
	day := ""
	for _, m := range who.chat {
		if m.Status == failed {
			continue // it never reached the phone
		}
		x := pageMessage{messageView: viewMessage(m), Mine: m.Direction == in, Time: m.At.In(zone).Format("15:04")}
		if d := m.At.In(zone).Format("Monday 2 January"); d != day {
			x.Day, day = d, d
		}
		if x.Mine {
			x.Ticks, x.TickName = tickMarks[m.Status][0], tickMarks[m.Status][1]
		}
		if quoted := s.messages[m.ReplyTo]; quoted != nil && m.ReplyTo != "" {
			x.Quoted = shorten(quoted.Text, 80)
		}
		if m.ListButton != "" {
			for _, row := range m.Buttons {
				if n := len(x.Sections); n == 0 || x.Sections[n-1].Title != row.Section {
					x.Sections = append(x.Sections, pageSection{Title: row.Section})
				}
				last := &x.Sections[len(x.Sections)-1]
				last.Rows = append(last.Rows, row)
			}
		}
		v.Chat = append(v.Chat, x)
	}
	return v
}

// initial is the first letter of a name, for its picture.
func initial(name string) string {
	r, _ := utf8.DecodeRuneInString(name)
	return strings.ToUpper(string(r))
}

// shorten cuts a text to a number of characters.
func shorten(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// getPage is the phone page, with the chat of ?phone= open.
func (s *Simulator) getPage(w http.ResponseWriter, r *http.Request) {
	phone := pagePhone(r)
	s.mu.Lock()
	v := s.view(phone)
	s.mu.Unlock()
	var b bytes.Buffer
	if err := pageTemplates.ExecuteTemplate(&b, "page", v); err != nil {
		s.log.Error("simulator: the phone page cannot be drawn", "error", err)
		http.Error(w, "the page cannot be drawn", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // the address has a phone number
	h.Set("Content-Security-Policy",
		"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'self'")
	_, _ = b.WriteTo(w)
}

// getLive is what changed on the page since ?seen=: the time, and both lists drawn anew when anything did.
func (s *Simulator) getLive(w http.ResponseWriter, r *http.Request) {
	phone := pagePhone(r)
	seen, err := strconv.ParseUint(r.URL.Query().Get("seen"), 10, 64)
	s.mu.Lock()
	changed := err != nil || seen != s.version
	v := pageView{Now: s.pageTime(), Version: s.version}
	if who := s.people[phone]; who != nil {
		v.Unread = viewPerson(who).Unread > 0
	}
	if changed {
		v = s.view(phone)
	}
	s.mu.Unlock()
	answer := object{"now": v.Now, "version": v.Version, "unread": v.Unread}
	if changed {
		for _, part := range []string{"people", "chat"} {
			var b bytes.Buffer
			if err := pageTemplates.ExecuteTemplate(&b, part, v); err != nil {
				s.log.Error("simulator: the phone page cannot be drawn", "error", err)
				problem(w, http.StatusInternalServerError, "the page cannot be drawn")
				return
			}
			answer[part] = b.String()
		}
	}
	writeJSON(w, http.StatusOK, answer)
}

// pagePhone is the phone that is open: none when the address has no right one.
func pagePhone(r *http.Request) string {
	// A "+" that was not escaped arrives as a space.
	phone, ok := parsePhone(strings.TrimSpace(r.URL.Query().Get("phone")))
	if !ok {
		return ""
	}
	return phone
}
