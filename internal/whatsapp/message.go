package whatsapp

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

// Message is one outbound message. Exactly one kind of content is set, and To or UserID or both. Everything but a Template
// may be sent only inside the service window.
type Message struct {
	To           string // E.164 with "+": without it Meta may put the business's own country code before it
	UserID       string // business-scoped user id; ignored by Meta when To is set
	CallbackData string // our own id, echoed in every status; at most 512 characters
	ReplyTo      string // the WhatsApp id of the message this one quotes

	Text     *Text
	Template *TemplateMessage
	Buttons  *Buttons
	List     *List
	Link     *Link
	Image    *Media
	Video    *Media
	Audio    *Media // has no caption
	Document *Media
	Sticker  *Media // has no caption
	Location *Location
	Contacts []Contact
	Reaction *Reaction
}

// Accepted is Meta's promise to try.
type Accepted struct {
	ID        string // the WhatsApp id of the message (wamid)
	Status    string // accepted, held_for_quality_assessment, paused, or empty
	Marketing bool   // SendMarketing: taken by the Marketing Messages API rather than by the fallback
	// Phone and UserID are whom WhatsApp sends it to, as it names them itself; empty where it does not say. A phone may have another
	// form than the one that was written to, though it is the same number.
	Phone  string // E.164 with "+"
	UserID string
}

// Text is free text, at most 4096 characters.
type Text struct {
	Body       string
	PreviewURL bool // show a preview of the first link
}

// Media is an image, a video, a sound, a document or a sticker: by ID of an upload, or by Link.
type Media struct {
	ID       string `json:"id,omitempty"`
	Link     string `json:"link,omitempty"`
	Caption  string `json:"caption,omitempty"`  // at most 1024 characters; not in a template's header
	Filename string `json:"filename,omitempty"` // documents only
}

// Location is a place on the map.
type Location struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Name      string  `json:"name,omitempty"`
	Address   string  `json:"address,omitempty"`
}

// Contact is an address card: a name and how to reach whoever has it.
type Contact struct {
	Name     string // as it is shown
	First    string // Meta wants one part of the name beside the whole; empty is the whole again
	Company  string
	Phones   []string // E.164
	Emails   []string
	Websites []string
}

// Reaction puts an emoji on a message, or takes it off.
type Reaction struct {
	MessageID string // a wamid, not older than 30 days
	Emoji     string // empty takes it off
}

// object is a JSON object under construction. Meta reads an empty string as a value, so absent fields must be absent.
type object = map[string]any

// Send sends one message. Success means accepted, no more; see the package comment. The error is an *Error.
func (c *Client) Send(ctx context.Context, m Message) (Accepted, error) {
	body, err := m.body()
	if err != nil {
		return Accepted{}, err
	}
	return c.send(ctx, "messages", body)
}

func (c *Client) send(ctx context.Context, edge string, body object) (Accepted, error) {
	var answer struct {
		Messages []struct {
			ID     string `json:"id"`
			Status string `json:"message_status"`
		} `json:"messages"`
		Contacts json.RawMessage `json:"contacts"`
	}
	if err := c.call(ctx, http.MethodPost, c.cfg.PhoneNumberID+"/"+edge, nil, body, &answer); err != nil {
		return Accepted{}, err
	}
	if len(answer.Messages) == 0 || answer.Messages[0].ID == "" {
		return Accepted{}, &Error{Code: CodeNone, HTTPStatus: http.StatusOK, Class: Ambiguous, what: "accepted without an id"}
	}
	accepted := Accepted{ID: answer.Messages[0].ID, Status: answer.Messages[0].Status}
	accepted.Phone, accepted.UserID = readRecipient(answer.Contacts)
	return accepted, nil
}

// readRecipient reads whom an answer names as the recipient. What cannot be read is nobody: the message was accepted all the same.
func readRecipient(raw json.RawMessage) (phone, userID string) {
	items, _ := list(raw)
	if len(items) != 1 {
		return "", ""
	}
	f, _ := readFields(items[0])
	return names(loose(f.text("wa_id")), loose(f.text("user_id")))
}

// MarkRead shows the customer that an inbound message was read. The message must not be older than 30 days. The error is
// an *Error; nothing is lost by ignoring it.
func (c *Client) MarkRead(ctx context.Context, messageID string) error {
	return c.confirmed(ctx, http.MethodPost, c.cfg.PhoneNumberID+"/messages", nil,
		object{"messaging_product": "whatsapp", "status": "read", "message_id": messageID})
}

// ShowTyping marks an inbound message as read and shows the customer that an answer is being written, until one is sent
// or for 25 seconds. The error is an *Error; nothing is lost by ignoring it.
func (c *Client) ShowTyping(ctx context.Context, messageID string) error {
	return c.confirmed(ctx, http.MethodPost, c.cfg.PhoneNumberID+"/messages", nil, object{
		"messaging_product": "whatsapp", "status": "read", "message_id": messageID, "typing_indicator": object{"type": "text"},
	})
}

// body is the request for m, or why there is none. It checks only what would make the request mean something else than
// intended: lengths and rights are Meta's to judge.
func (m Message) body() (object, error) {
	switch {
	case m.To == "" && m.UserID == "":
		return nil, refuse("the message has no recipient")
	case m.To != "" && !strings.HasPrefix(m.To, "+"):
		return nil, refuse("the recipient's number has no + before its country code")
	}
	out := object{"messaging_product": "whatsapp", "recipient_type": "individual"}
	for key, value := range map[string]string{"to": m.To, "recipient": m.UserID, "biz_opaque_callback_data": m.CallbackData} {
		if value != "" {
			out[key] = value
		}
	}
	if m.ReplyTo != "" {
		out["context"] = object{"message_id": m.ReplyTo}
	}
	kinds := 0
	set := func(kind string, content any) {
		kinds++
		out["type"], out[kind] = kind, content
	}
	if m.Text != nil {
		set("text", object{"body": m.Text.Body, "preview_url": m.Text.PreviewURL})
	}
	if m.Template != nil {
		template, err := m.Template.body()
		if err != nil {
			return nil, err
		}
		set("template", template)
	}
	if m.Buttons != nil {
		set("interactive", m.Buttons.body())
	}
	if m.List != nil {
		set("interactive", m.List.body())
	}
	if m.Link != nil {
		set("interactive", m.Link.body())
	}
	for _, x := range []struct {
		kind  string
		media *Media
	}{{"image", m.Image}, {"video", m.Video}, {"audio", m.Audio}, {"document", m.Document}, {"sticker", m.Sticker}} {
		if x.media != nil {
			set(x.kind, x.media)
		}
	}
	if m.Location != nil {
		set("location", m.Location)
	}
	if len(m.Contacts) > 0 {
		cards := make([]object, 0, len(m.Contacts))
		for _, contact := range m.Contacts {
			cards = append(cards, contact.body())
		}
		set("contacts", cards)
	}
	if m.Reaction != nil {
		// Here an empty string is meant as a value: it takes the reaction off.
		set("reaction", object{"message_id": m.Reaction.MessageID, "emoji": m.Reaction.Emoji})
	}
	if kinds != 1 {
		return nil, refuse("the message must have exactly one kind of content")
	}
	return out, nil
}

func (c Contact) body() object {
	out := object{"name": object{"formatted_name": c.Name, "first_name": firstOf(c.First, c.Name)}}
	if c.Company != "" {
		out["org"] = object{"company": c.Company}
	}
	for key, values := range map[string][]string{"phone": c.Phones, "email": c.Emails, "url": c.Websites} {
		var list []object
		for _, value := range values {
			list = append(list, object{key: value})
		}
		if len(list) > 0 {
			out[key+"s"] = list
		}
	}
	return out
}
