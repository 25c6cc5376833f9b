package simulator

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// How long a person may change what they wrote, and delete it for everyone: 15 minutes and two days. It is real time, since the
// person who does it is real, however fast the business's clock runs.
const (
	editWindow   = 15 * time.Minute
	revokeWindow = 48 * time.Hour
)

// personal is what the person side adds to a message.
type personal struct {
	Referral *referral `json:"referral,omitempty"` // the ad that the person came by
	Edited   bool      `json:"edited,omitempty"`
	Revoked  bool      `json:"revoked,omitempty"` // deleted for everyone: its text is gone

	reacted map[string]string // emoji, by the direction of whoever reacted
	n       int               // its place in the chat, from 1
	rev     uint64            // the version at which it last changed
}

// editFact is a person's message that was changed or deleted.
type editFact struct {
	ID      string `json:"id"`
	Text    string `json:"text,omitempty"`
	Revoked bool   `json:"revoked,omitempty"`
}

// referral is the ad or the post that a person came by, in Meta's words.
type referral struct {
	SourceURL  string `json:"source_url"`
	SourceID   string `json:"source_id"`
	SourceType string `json:"source_type"` // ad or post
	Headline   string `json:"headline"`
	Body       string `json:"body"`
	MediaType  string `json:"media_type"`
	ClickID    string `json:"ctwa_clid"` // of the click; made up when not said
}

// complete fills in what was not said, or says what is wrong.
func (r *referral) complete() string {
	for _, p := range []struct {
		field *string
		given string
	}{
		{&r.SourceURL, "https://fb.me/simulated"}, {&r.SourceID, "120210000000000001"}, {&r.SourceType, "ad"}, {&r.MediaType, "image"},
		{&r.ClickID, "ARA" + rand.Text()},
	} {
		if *p.field == "" {
			*p.field = p.given
		}
	}
	for _, text := range []string{r.SourceURL, r.SourceID, r.Headline, r.Body, r.ClickID} {
		if utf8.RuneCountInString(text) > 1024 {
			return "a text of referral must be at most 1024 characters long"
		}
	}
	if r.SourceType != "ad" && r.SourceType != "post" {
		return "referral.source_type must be ad or post"
	}
	if r.MediaType != "image" && r.MediaType != "video" {
		return "referral.media_type must be image or video"
	}
	if safeLink(r.SourceURL) == "" {
		return "referral.source_url must be a link that begins with https:// or http://"
	}
	return ""
}

func (r *referral) content() object {
	c := object{
		"source_url": r.SourceURL, "source_id": r.SourceID, "source_type": r.SourceType, "headline": r.Headline, "body": r.Body,
		"media_type": r.MediaType,
	}
	if r.SourceType == "ad" {
		c["ctwa_clid"] = r.ClickID
	}
	return c
}

// safeLink is a link that a page may offer: an address of the web. Anything else, such as javascript:, is none.
func safeLink(link string) string {
	if u, err := url.Parse(link); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return ""
	}
	return link
}

// problem says what is wrong with a place that a person sends.
func (p *place) problem() string {
	if !(p.Latitude >= -90 && p.Latitude <= 90 && p.Longitude >= -180 && p.Longitude <= 180) {
		return "location is not on Earth: latitude is from -90 to 90, longitude from -180 to 180"
	}
	if utf8.RuneCountInString(p.Name) > 1000 || utf8.RuneCountInString(p.Address) > 1000 {
		return "location.name and location.address must be at most 1000 characters long"
	}
	return ""
}

// geo is a place as an address (RFC 5870).
func (p *place) geo() string {
	coordinate := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	return "geo:" + coordinate(p.Latitude) + "," + coordinate(p.Longitude)
}

// reached tells whether a message is on the person's phone: all that they wrote, and what was delivered of the business's.
func reached(m *message) bool {
	return m.Direction == in || m.Status == delivered || m.Status == read
}

// shown notes a new message for the page. The caller holds mu.
func (s *Simulator) shown(who *person, m *message) {
	m.n = len(who.chat)
	s.touch(m)
	about := s.messages[m.ReplyTo]
	if m.Type != "reaction" || about == nil || about.Phone != m.Phone || m.Status == failed {
		return
	}
	if about.reacted == nil {
		about.reacted = map[string]string{}
	}
	if about.reacted[m.Direction] = m.Text; m.Text == "" {
		delete(about.reacted, m.Direction)
	}
	s.touch(about)
}

// touch notes that the page has something new to show of a message. The caller holds mu.
func (s *Simulator) touch(m *message) {
	m.rev = s.version
	if who := s.people[m.Phone]; who != nil {
		who.rev = s.version
	}
}

// bump makes a new version, and wakes the pages that wait for one. The caller holds mu.
func (s *Simulator) bump() {
	s.version++
	close(s.changed)
	s.changed = make(chan struct{})
}

// types shows that the business is typing. The caller holds mu.
func (s *Simulator) types(phone string) {
	if who := s.people[phone]; who != nil {
		s.bump()
		who.typing, who.rev = time.Now().Add(longestTyping), s.version
	}
}

// applyEdit makes an edit true. The caller holds mu.
func (s *Simulator) applyEdit(f editFact) {
	m := s.messages[f.ID]
	if m == nil {
		return
	}
	if f.Revoked {
		m.Text, m.Header, m.Link, m.File, m.Place, m.Referral = "", "", "", nil, nil, nil
		m.Revoked = true
	} else {
		m.Text, m.Edited = f.Text, true
	}
	s.touch(m)
	for _, other := range s.people[m.Phone].chat { // those that quote it
		if other.ReplyTo == m.ID {
			s.touch(other)
		}
	}
}

// messageHook tells of a person's message. kept is the file that it brings, which is not stored yet. The caller holds mu.
func (s *Simulator) messageHook(n int, who *person, m *message, kept *mediaFact) hook {
	if kept != nil {
		had := s.media[kept.ID]
		s.media[kept.ID] = &storedMedia{mediaFact: *kept} // personContent looks there
		defer func() {
			if had == nil {
				delete(s.media, kept.ID)
			}
		}()
	}
	return s.inboundHook(n, who, m)
}

// personContent is the part of a webhook under the name of the message's type. The caller holds mu.
func (s *Simulator) personContent(m *message) object {
	switch {
	case m.Type == "reaction":
		c := object{"message_id": m.ReplyTo}
		if m.Text != "" { // without one it was taken back
			c["emoji"] = m.Text
		}
		return c
	case m.Place != nil:
		c := object{"latitude": m.Place.Latitude, "longitude": m.Place.Longitude}
		if m.Place.Name != "" {
			c["name"] = m.Place.Name
		}
		if m.Place.Address != "" {
			c["address"] = m.Place.Address
		}
		return c
	case m.File != nil:
		c := object{"id": m.File.ID}
		if kept := s.media[m.File.ID]; kept != nil {
			c["mime_type"], c["sha256"] = kept.Type, kept.SHA256
		}
		if m.Text != "" {
			c["caption"] = m.Text
		}
		switch m.Type {
		case "audio":
			c["voice"] = m.File.Voice
		case "document":
			c["filename"] = m.File.Filename
		case "sticker":
			c["animated"] = false
		}
		return c
	}
	return object{}
}

// postReaction is a person who reacts to a message, or with an empty emoji takes that back.
func (s *Simulator) postReaction(w http.ResponseWriter, r *http.Request) {
	phone, ok := phoneOf(w, r)
	if !ok {
		return
	}
	var body struct {
		MessageID string `json:"message_id"`
		Emoji     string `json:"emoji"`
	}
	if !readPerson(w, r, &body) {
		return
	}
	if body.Emoji != "" && (!onlyEmoji(body.Emoji) || emojiCount(body.Emoji) != 1) {
		problem(w, http.StatusBadRequest, "emoji must be one emoji, or empty to take the reaction back")
		return
	}
	s.mu.Lock()
	about := s.messages[body.MessageID]
	why := ""
	switch {
	case about == nil || about.Phone != phone || !reached(about):
		why = "message_id is no message of this chat"
	case about.Revoked || about.Type == "reaction":
		why = "nobody can react to that message"
	case body.Emoji == about.reacted[in]:
		why = "that is the reaction already"
	}
	s.mu.Unlock()
	if why != "" {
		problem(w, http.StatusConflict, why)
		return
	}
	s.write(w, phone, &message{Type: "reaction", Text: body.Emoji, ReplyTo: body.MessageID}, fact{})
}

// patchMessage is a person who changes the text of what they wrote, or the caption of what they sent.
func (s *Simulator) patchMessage(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Text string `json:"text"`
	}
	if _, ok := phoneOf(w, r); !ok || !readPerson(w, r, &body) {
		return
	}
	if strings.TrimSpace(body.Text) == "" || utf8.RuneCountInString(body.Text) > 4096 {
		problem(w, http.StatusBadRequest, "text must have 1 to 4096 characters")
		return
	}
	s.change(w, r, editWindow, func(m *message) (fact, object, string) {
		c := object{}
		switch m.Type {
		case "text":
			c["text"] = object{"body": body.Text}
		case "image", "video", "document":
			if utf8.RuneCountInString(body.Text) > 1024 {
				return fact{}, nil, "a caption has at most 1024 characters"
			}
			captioned := *m
			captioned.Text = body.Text
			c[m.Type] = s.personContent(&captioned)
		default:
			return fact{}, nil, "only a text or a caption can be changed"
		}
		c["type"] = m.Type
		return fact{Edit: &editFact{ID: m.ID, Text: body.Text}}, object{"type": "edit", "edit": object{"original_message_id": m.ID, "message": c}}, ""
	})
}

// deleteMessage is a person who deletes a message for everyone.
func (s *Simulator) deleteMessage(w http.ResponseWriter, r *http.Request) {
	if _, ok := phoneOf(w, r); !ok {
		return
	}
	s.change(w, r, revokeWindow, func(m *message) (fact, object, string) {
		return fact{Edit: &editFact{ID: m.ID, Revoked: true}}, object{"type": "revoke", "revoke": object{"original_message_id": m.ID}}, ""
	})
}

// change makes a fact about a person's own message, and tells the business.
func (s *Simulator) change(w http.ResponseWriter, r *http.Request, within time.Duration, do func(*message) (fact, object, string)) {
	phone, _ := parsePhone(r.PathValue("phone"))
	s.mu.Lock()
	defer s.mu.Unlock()
	who, m := s.people[phone], s.messages[r.PathValue("id")]
	why := s.mayWrite(phone, "")
	switch {
	case who == nil || m == nil || m.Phone != phone:
		problem(w, http.StatusNotFound, "there is no such message in this chat")
		return
	case why != "":
	case m.Direction != in:
		why = "only one's own message can be changed"
	case m.Type == "reaction" || m.Revoked:
		why = "that message cannot be changed"
	case s.opt.Clock.Real(s.now().Sub(m.At)) > within:
		why = "it is too late: " + within.String() + " have passed"
	}
	var f fact
	var content object
	if why == "" {
		f, content, why = do(m)
	}
	if why != "" {
		problem(w, http.StatusConflict, why)
		return
	}
	content["id"], content["from"], content["from_user_id"], content["timestamp"] = newMessageID(), digits(who.Phone), who.UserID, unix(s.now())
	f.Hooks = []hook{s.hook(0, phone, "", "messages", s.messagesValue(who, true, "messages", content))}
	if s.commit(f) != nil {
		problem(w, http.StatusInternalServerError, "the journal cannot be written")
		return
	}
	writeJSON(w, http.StatusOK, viewMessage(m))
}
