package simulator

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unexpected refuses members that are not allowed.
func unexpected(body map[string]json.RawMessage, allowed []string) *graphError {
	for key := range body {
		if !slices.Contains(allowed, key) {
			return invalid("Unexpected key %q on param.", key)
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

// media is a file in a message, or in a header.
type media struct {
	ID       string `json:"id"`
	Link     string `json:"link"`
	Caption  string `json:"caption"`
	Filename string `json:"filename"`
	Voice    bool   `json:"voice"`
}

// readMedia reads a kind of media that may have these members beside id and link.
func readMedia(kind string, members ...string) func(*Simulator, json.RawMessage, *message) *graphError {
	members = append(members, "id", "link")
	return func(s *Simulator, raw json.RawMessage, m *message) *graphError {
		var x media
		var given map[string]json.RawMessage
		if refusal := strict(raw, kind, &x); refusal != nil {
			return refusal
		}
		if json.Unmarshal(raw, &given) != nil || given == nil {
			return invalid("Param %s is of the wrong JSON type.", kind)
		}
		if refusal := unexpected(given, members); refusal != nil {
			return refusal
		}
		m.Text, m.Header = x.Caption, x.Filename
		var refusal *graphError
		m.File, refusal = s.file(kind, kind, x)
		if m.File != nil {
			m.Link = m.File.Link
		}
		return refusal
	}
}

// file is the file that x names. kind is image, video, audio, document or sticker. The caller holds mu.
func (s *Simulator) file(param, kind string, x media) (*file, *graphError) {
	if (x.ID == "") == (x.Link == "") {
		return nil, invalid("Param %s must have exactly one of id and link.", param)
	}
	if x.Link != "" && !webAddress(x.Link) {
		return nil, badValue("%s['link'] is not a valid URL", param)
	}
	if x.ID != "" && s.mediaNow(x.ID) == nil {
		return nil, invalid("Param %s['id'] is not a valid whatsapp business account media attachment ID.", param)
	}
	f := &file{Kind: kind, ID: x.ID, Link: x.Link, Filename: x.Filename, Voice: x.Voice}
	return f, length(param+"['caption']", x.Caption, 0, 1024)
}

func webAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// location is a place as a request has it.
type location struct {
	Latitude  *float64 `json:"latitude"`
	Longitude *float64 `json:"longitude"`
	Name      string   `json:"name"`
	Address   string   `json:"address"`
}

func (s *Simulator) readLocation(raw json.RawMessage, m *message) *graphError {
	var x location
	if refusal := strict(raw, "location", &x); refusal != nil {
		return refusal
	}
	return x.fill(m)
}

// fill puts a place into a message.
func (x *location) fill(m *message) *graphError {
	if x.Latitude == nil || x.Longitude == nil {
		return missing("The parameters location['latitude'] and location['longitude'] are required.")
	}
	if *x.Latitude < -90 || *x.Latitude > 90 || *x.Longitude < -180 || *x.Longitude > 180 {
		return badValue("location is not on Earth")
	}
	m.Place = &place{Latitude: *x.Latitude, Longitude: *x.Longitude, Name: x.Name, Address: x.Address}
	m.Header = x.Name
	coordinate := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	m.Link = "geo:" + coordinate(*x.Latitude) + "," + coordinate(*x.Longitude)
	if m.Type == "location" {
		m.Text = x.Address
	}
	return nil
}

// maxContacts is how many contacts a message may pass on. Source: Meta's page on contacts messages.
const maxContacts = 257

var birthday = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

func (s *Simulator) readContacts(raw json.RawMessage, m *message) *graphError {
	var list []struct {
		Addresses []struct {
			Street      string `json:"street"`
			City        string `json:"city"`
			State       string `json:"state"`
			Zip         string `json:"zip"`
			Country     string `json:"country"`
			CountryCode string `json:"country_code"`
			Type        string `json:"type"`
		} `json:"addresses"`
		Birthday string `json:"birthday"`
		Emails   []struct {
			Email string `json:"email"`
			Type  string `json:"type"`
		} `json:"emails"`
		Name *struct {
			Formatted string `json:"formatted_name"`
			First     string `json:"first_name"`
			Last      string `json:"last_name"`
			Middle    string `json:"middle_name"`
			Suffix    string `json:"suffix"`
			Prefix    string `json:"prefix"`
		} `json:"name"`
		Org struct {
			Company    string `json:"company"`
			Department string `json:"department"`
			Title      string `json:"title"`
		} `json:"org"`
		Phones []struct {
			Phone string `json:"phone"`
			WaID  string `json:"wa_id"`
			Type  string `json:"type"`
		} `json:"phones"`
		URLs []struct {
			URL  string `json:"url"`
			Type string `json:"type"`
		} `json:"urls"`
	}
	if refusal := strict(raw, "contacts", &list); refusal != nil {
		return refusal
	}
	if len(list) < 1 || len(list) > maxContacts {
		return badValue("contacts must have 1 to %d entries", maxContacts)
	}
	for i, x := range list {
		switch n := x.Name; {
		case n == nil || n.Formatted == "":
			return missing("The parameter contacts[%d]['name']['formatted_name'] is required.", i)
		case n.First+n.Last+n.Middle+n.Suffix+n.Prefix == "":
			return missing("contacts[%d]['name'] needs one part beside formatted_name.", i)
		case x.Birthday != "" && !birthday.MatchString(x.Birthday):
			return badValue("contacts[%d]['birthday'] must be YYYY-MM-DD", i)
		}
		c := contactCard{Name: x.Name.Formatted, Org: x.Org.Company}
		for _, p := range x.Phones {
			c.Phones = append(c.Phones, p.Phone)
		}
		for _, e := range x.Emails {
			c.Emails = append(c.Emails, e.Email)
		}
		for _, u := range x.URLs {
			c.URLs = append(c.URLs, u.URL)
		}
		m.Contacts = append(m.Contacts, c)
	}
	m.Text = m.Contacts[0].Name
	return nil
}

// readReaction reads an emoji on a message; an empty one takes it back.
func (s *Simulator) readReaction(raw json.RawMessage, m *message) *graphError {
	var x struct {
		MessageID string  `json:"message_id"`
		Emoji     *string `json:"emoji"`
	}
	if refusal := strict(raw, "reaction", &x); refusal != nil {
		return refusal
	}
	switch {
	case x.MessageID == "" || x.Emoji == nil:
		return missing("The parameters reaction['message_id'] and reaction['emoji'] are required.")
	case !isEmoji(*x.Emoji):
		return badValue("reaction['emoji'] must be one emoji, or empty")
	}
	m.ReplyTo, m.Text = x.MessageID, *x.Emoji
	return nil
}

// isEmoji tells an emoji, or nothing, from a word: it has no letters, digits or spaces, and few code points.
func isEmoji(text string) bool {
	for _, r := range text {
		if r < 0x80 && !strings.ContainsRune("#*0123456789", r) {
			return false
		}
	}
	return utf8.RuneCountInString(text) <= 12
}
