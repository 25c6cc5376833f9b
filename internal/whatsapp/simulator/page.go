package simulator

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

//go:embed page
var pageFiles embed.FS

var (
	// pageTemplates are the page's parts, by language.
	pageTemplates = func() map[string]*template.Template {
		byLanguage := map[string]*template.Template{}
		for lang, w := range words {
			byLanguage[lang] = template.Must(template.New("").Funcs(template.FuncMap{
				"t": func(key string, values ...any) (string, error) {
					text, ok := w[key]
					if !ok {
						return "", fmt.Errorf("no word for %q in %s", key, lang)
					}
					if len(values) > 0 {
						return fmt.Sprintf(text, values...), nil
					}
					return text, nil
				},
				"emojis": func() []string { return []string{"👍", "❤️", "😂", "😮", "😢", "🙏"} },
			}).ParseFS(pageFiles, "page/*.html"))
		}
		return byLanguage
	}()
	pageAssets = func() http.Handler {
		assets, err := fs.Sub(pageFiles, "page/assets")
		if err != nil {
			panic(err) // the folder is compiled in
		}
		return http.StripPrefix("/page/assets/", http.FileServerFS(assets))
	}()
)

// screenful is how many messages of a chat are drawn at once. Earlier ones come when they are asked for.
const screenful = 100

// longestLook is how long a page waits for something new, in real time.
const longestLook = 20 * time.Second

// pageView is what the phone page shows.
type pageView struct {
	Lang      string
	Languages []pageLanguage
	Words     string // the page's words as JSON, for its script
	Business  string
	Initial   string // of the business
	Clock     pageClock
	Version   string
	Phone     string // whose phone is open; empty when none is
	Name      string
	Unread    bool          // there is something to mark as read
	Typing    time.Duration // how much longer the business is typing; real time
	Blocked   bool
	Stopped   bool
	Draft     string // what the composer begins with
	Earlier   bool   // there are messages before those shown
	People    []pagePerson
	Chat      []pageMessage
}

type pageLanguage struct {
	Code, Name string
	Chosen     bool
}

// pageClock lets the page's script show the business's time between two looks.
type pageClock struct {
	Now    string  `json:"now"`
	At     int64   `json:"at"`     // Unix time in milliseconds
	Speed  float64 `json:"speed"`  // business seconds a real second
	Offset int     `json:"offset"` // of the time zone, in seconds
	Zone   string  `json:"zone"`
}

type pagePerson struct {
	personView
	Initial string
	Colour  int // of the picture
	When    string
	At      int64 // of the newest message, Unix time in milliseconds
	Kind    string
	Mine    bool   // the newest message is theirs
	Icon    string // of the newest message's ticks
	Open    bool   // this one's chat is shown
}

type pageMessage struct {
	messageView
	N        int  // place in the chat
	Mine     bool // written by the person whose phone it is
	Day      string
	Time     string
	Ticks    bool
	HTML     template.HTML // the text
	Large    bool          // a text of a few emoji
	Quoted   *pageQuote
	Sections []pageSection
	Head     *pageFile
	Slides   []pageCard
	Ends     int64 // when the offer ends, Unix time in milliseconds; 0 is never
	Reacted  []pageReaction
	Ours     string // the person's own reaction
	CanEdit  bool
	AdLink   string
}

type pageQuote struct {
	ID, Text, Kind string
	Mine           bool
}

type pageReaction struct {
	Emoji string
	Mine  bool
}

// pageSection is a part of a list.
type pageSection struct {
	Title string
	Rows  []button
}

// pageFile is a file in a message: Src when it is ours, else Link, which the page does not load.
type pageFile struct {
	Kind, Src, Link, Host, Name, Size, Ext string
	Voice                                  bool
}

type pageCard struct {
	Head    *pageFile
	HTML    template.HTML
	Buttons []button
}

// clock is the business's time, for people.
func (s *Simulator) pageClock(lang string) pageClock {
	now := s.now().In(s.opt.Location)
	zone, offset := now.Zone()
	return pageClock{
		Now: momentName(lang, now), At: now.UnixMilli(), Offset: offset, Zone: zone,
		Speed: s.opt.Clock.Business(time.Second).Seconds(),
	}
}

// versionName is the version as the page knows it: another process's counts from anew. The caller holds mu.
func (s *Simulator) versionName() string { return s.epoch + "-" + strconv.FormatUint(s.version, 10) }

// versionOf reads a version's name, and answers 0, which everything is newer than, when it is not this process's.
func (s *Simulator) versionOf(name string) uint64 {
	number, ok := strings.CutPrefix(name, s.epoch+"-")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil {
		return 0
	}
	return n
}

// frame is the page as seen from a phone, without its lists. The caller holds mu.
func (s *Simulator) frame(phone, lang string) pageView {
	v := pageView{
		Lang: lang, Business: s.opt.Business, Initial: initial(s.opt.Business), Clock: s.pageClock(lang), Version: s.versionName(), Phone: phone,
	}
	if who := s.people[phone]; who != nil {
		v.Name, v.Blocked, v.Stopped, v.Typing = who.Name, who.Blocked, who.Stopped, max(0, time.Until(who.typing))
		v.Unread = slices.ContainsFunc(who.chat, func(m *message) bool { return m.Direction == out && m.Type != "reaction" && m.Status == delivered })
	}
	return v
}

// peopleSince are those of whom there is something new, the newest message first. The caller holds mu.
func (s *Simulator) peopleSince(seen uint64, phone, lang string) []pagePerson {
	var people []pagePerson
	for _, p := range s.order {
		if p.rev > seen {
			people = append(people, s.pagePerson(p, phone, lang))
		}
	}
	slices.SortStableFunc(people, func(a, b pagePerson) int { return int(max(-1, min(1, b.At-a.At))) })
	return people
}

func (s *Simulator) pagePerson(p *person, phone, lang string) pagePerson {
	x := pagePerson{personView: viewPerson(p), Initial: initial(p.Name), Colour: colour(p.Phone), Open: p.Phone == phone}
	for _, m := range slices.Backward(p.chat) {
		if !reached(m) {
			continue
		}
		x.Kind, x.Mine, x.Icon = previewKind(m), m.Direction == in, m.Status
		at := m.At.In(s.opt.Location)
		x.At, x.When = m.At.UnixMilli(), at.Format("15:04")
		if now := s.now().In(s.opt.Location); now.YearDay() != at.YearDay() || now.Year() != at.Year() {
			x.When = strconv.Itoa(at.Day()) + words[lang]["after_number"] + " " + string([]rune(strings.Fields(words[lang]["months"])[at.Month()-1])[:3])
		}
		break
	}
	return x
}

// previewKind is the word for a message that has more, or other, than text.
func previewKind(m *message) string {
	switch {
	case m.Revoked:
		return "deleted"
	case m.Type == "reaction":
		return "reaction"
	case m.File != nil && m.File.Voice:
		return "voice"
	case m.File != nil && words["en"][m.File.Kind] != "":
		return m.File.Kind
	case m.Place != nil:
		return "location"
	case len(m.Contacts) > 0:
		return "contact"
	}
	return ""
}

// onPage tells whether the page shows a message in its place. A failed one is a note; a reaction is on what it is about.
func onPage(m *message) bool { return (reached(m) || m.Status == failed) && m.Type != "reaction" }

// chatSince are messages of a chat that changed, from one place to before another. The caller holds mu.
func (s *Simulator) chatSince(who *person, seen uint64, lang string, from, to int) []pageMessage {
	var chat []pageMessage
	day := ""
	for i := max(0, from-1); i < min(to-1, len(who.chat)); i++ {
		m := who.chat[i]
		if !onPage(m) {
			continue
		}
		if day == "" { // of what stands before
			for j := i - 1; j >= 0; j-- {
				if onPage(who.chat[j]) {
					day = dayName(lang, who.chat[j].At.In(s.opt.Location))
					break
				}
			}
		}
		d := dayName(lang, m.At.In(s.opt.Location))
		if m.rev > seen {
			x := s.pageMessage(m)
			if d != day {
				x.Day = d
			}
			chat = append(chat, x)
		}
		day = d
	}
	return chat
}

// beginning is the place of the first of the last messages before a place that fill a screen. The caller holds mu.
func beginning(who *person, before int) int {
	from, n := min(before, len(who.chat)+1), 0
	for from > 1 && n < screenful {
		from--
		if onPage(who.chat[from-1]) {
			n++
		}
	}
	return from
}

func (s *Simulator) pageMessage(m *message) pageMessage {
	x := pageMessage{messageView: viewMessage(m), N: m.n, Mine: m.Direction == in, Time: m.At.In(s.opt.Location).Format("15:04")}
	if m.Status == failed && m.Direction == out {
		return x // it never reached the phone
	}
	x.HTML, x.Large = formatted(m.Text), m.Type == "text" && large(m.Text)
	x.Ticks = x.Mine && !m.Revoked
	x.CanEdit = x.Mine && !m.Revoked && (m.Type == "text" || (m.File != nil && m.Text != ""))
	if quoted := s.messages[m.ReplyTo]; m.ReplyTo != "" && quoted != nil {
		x.Quoted = &pageQuote{ID: quoted.ID, Text: shorten(quoted.Text, 120), Kind: previewKind(quoted), Mine: quoted.Direction == in}
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
	x.Head = s.pageFile(m.File)
	for _, c := range m.Cards {
		x.Slides = append(x.Slides, pageCard{Head: s.pageFile(c.File), HTML: formatted(c.Text), Buttons: c.Buttons})
	}
	if m.Offer != nil && m.Offer.ExpiresAt != nil {
		x.Ends = m.Offer.ExpiresAt.UnixMilli()
	}
	if m.Referral != nil {
		x.AdLink = safeLink(m.Referral.SourceURL)
	}
	x.Ours = m.reacted[in]
	for _, direction := range []string{in, out} {
		if emoji := m.reacted[direction]; emoji != "" {
			x.Reacted = append(x.Reacted, pageReaction{Emoji: emoji, Mine: direction == in})
		}
	}
	return x
}

// Map is where a place is, in words.
func (m pageMessage) Map() string {
	if m.Place == nil {
		return ""
	}
	return fmt.Sprintf("%.5f, %.5f", m.Place.Latitude, m.Place.Longitude)
}

func (s *Simulator) pageFile(f *file) *pageFile {
	if f == nil {
		return nil
	}
	x := &pageFile{Kind: f.Kind, Name: f.Filename, Voice: f.Voice}
	if kept := s.media[f.ID]; f.ID != "" && kept != nil {
		x.Src, x.Size = "/page/file?id="+url.QueryEscape(f.ID), size(kept.Size)
		if x.Name == "" {
			x.Name = kept.Filename
		}
		if x.Kind != "document" && !shownTypes.MatchString(kept.Type) {
			x.Kind = "document"
		}
	} else if x.Link = safeLink(f.Link); x.Link != "" {
		if u, err := url.Parse(x.Link); err == nil {
			x.Host = u.Host
			if base := path.Base(u.Path); x.Name == "" && base != "." && base != "/" {
				x.Name = base
			}
		}
	}
	if ext := strings.TrimPrefix(path.Ext(x.Name), "."); len(ext) <= 4 {
		x.Ext = strings.ToUpper(ext)
	}
	return x
}

// size is a number of bytes, for people.
func size(n int) string {
	switch {
	case n >= 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MB"
	case n >= 1<<10:
		return strconv.Itoa(n>>10) + " kB"
	}
	return strconv.Itoa(n) + " B"
}

// colour is that of a phone's picture: one of eight, always the same.
func colour(phone string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(phone))
	return int(h.Sum32() % 8)
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

// draw draws a part of the page, or answers that it cannot.
func (s *Simulator) draw(w http.ResponseWriter, part string, v pageView) (string, bool) {
	var b bytes.Buffer
	if err := pageTemplates[v.Lang].ExecuteTemplate(&b, part, v); err != nil {
		s.log.Error("simulator: the phone page cannot be drawn", "error", err)
		problem(w, http.StatusInternalServerError, "the page cannot be drawn")
		return "", false
	}
	return b.String(), true
}

// getPage is the phone page, with the chat of ?phone= open and ?text= in its composer, as a wa.me link has them.
func (s *Simulator) getPage(w http.ResponseWriter, r *http.Request) {
	phone := pagePhone(r)
	s.mu.Lock()
	lang := s.pageLanguage(r, phone)
	v := s.frame(phone, lang)
	v.People = s.peopleSince(0, phone, lang)
	if who := s.people[phone]; who != nil {
		from := beginning(who, len(who.chat)+1)
		v.Chat, v.Earlier = s.chatSince(who, 0, lang, from, len(who.chat)+1), from > 1
	}
	s.mu.Unlock()
	v.Draft = shorten(strings.ToValidUTF8(r.URL.Query().Get("text"), ""), 4096)
	all, err := json.Marshal(words[lang])
	if err != nil {
		panic(err) // it is a map of strings
	}
	v.Words = string(all)
	for _, code := range languages() {
		v.Languages = append(v.Languages, pageLanguage{code, words[code]["language"], code == lang})
	}
	html, ok := s.draw(w, "page", v)
	if !ok {
		return
	}
	if phone == "" && r.URL.Query().Get("lang") == lang { // of a phone it is kept with the phone
		http.SetCookie(w, &http.Cookie{ //nolint:gosec // this machine's own page has no TLS
			Name: languageCookie, Value: lang, Path: "/", MaxAge: 365 * 24 * 60 * 60, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		})
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // the address has a phone number
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "+
		"media-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'")
	_, _ = w.Write([]byte(html))
}

// languageCookie keeps the language of the page where no phone is open. A browser gives it to every port of this machine, so it has a
// name of its own.
const languageCookie = "punchcard_phone_language"

// pageLanguage is the language that the page speaks: of whose phone it is, what ?lang= says or said before, or the browser's. The
// caller holds mu.
func (s *Simulator) pageLanguage(r *http.Request, phone string) string {
	if who := s.people[phone]; who != nil && who.Language != "" {
		return who.Language
	}
	if lang := r.URL.Query().Get("lang"); slices.Contains(languages(), lang) {
		return lang
	}
	if c, err := r.Cookie(languageCookie); err == nil && slices.Contains(languages(), c.Value) {
		return c.Value
	}
	return spoken(r.Header.Get("Accept-Language"))
}

// getLive is what changed on the page since ?seen=: the time, and the people and messages of which there is something new. With
// ?wait= it answers when there is something, or after longestLook.
func (s *Simulator) getLive(w http.ResponseWriter, r *http.Request) {
	phone := pagePhone(r)
	seen := s.versionOf(r.URL.Query().Get("seen"))
	s.mu.Lock()
	if changed := s.changed; seen == s.version && r.URL.Query().Has("wait") {
		s.mu.Unlock()
		over := time.NewTimer(longestLook)
		defer over.Stop()
		select {
		case <-changed:
		case <-over.C:
		case <-r.Context().Done():
			return
		case <-s.over:
		case <-s.closed:
		}
		s.mu.Lock()
	}
	lang := s.pageLanguage(r, phone)
	v := s.frame(phone, lang)
	v.People = s.peopleSince(seen, phone, lang)
	if who := s.people[phone]; who != nil {
		from := 1
		if seen == 0 {
			from = beginning(who, len(who.chat)+1)
		}
		if who.rev > seen {
			v.Chat = s.chatSince(who, seen, lang, from, len(who.chat)+1)
		}
	}
	s.mu.Unlock()
	answer := object{
		"now": v.Clock.Now, "clock": v.Clock, "version": v.Version, "unread": v.Unread, "typing": v.Typing.Milliseconds(),
		"blocked": v.Blocked, "stopped": v.Stopped, "fresh": seen == 0,
	}
	for part, has := range map[string]bool{"people": len(v.People) > 0, "chat": len(v.Chat) > 0} {
		if has || seen == 0 {
			html, ok := s.draw(w, part, v)
			if !ok {
				return
			}
			answer[part] = html
		}
	}
	writeJSON(w, http.StatusOK, answer)
}

// getEarlier is a screenful of messages before the place ?before=.
func (s *Simulator) getEarlier(w http.ResponseWriter, r *http.Request) {
	phone := pagePhone(r)
	before, err := strconv.Atoi(r.URL.Query().Get("before"))
	if err != nil || before < 1 {
		problem(w, http.StatusBadRequest, "before must be the place of a message")
		return
	}
	s.mu.Lock()
	v := pageView{Lang: s.pageLanguage(r, phone), Business: s.opt.Business}
	if who := s.people[phone]; who != nil {
		before = min(before, len(who.chat)+1)
		from := beginning(who, before)
		v.Chat, v.Earlier = s.chatSince(who, 0, v.Lang, from, before), from > 1
	}
	s.mu.Unlock()
	html, ok := s.draw(w, "chat", v)
	if ok {
		writeJSON(w, http.StatusOK, object{"chat": html, "earlier": v.Earlier})
	}
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
