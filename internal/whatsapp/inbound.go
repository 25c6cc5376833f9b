package whatsapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Inbound is a message from a customer, or a notice about one (Type system or unsupported).
//
// Lists of types are Meta's and open. Strings are as they came, but that NUL, which text in a database cannot hold, is
// U+FFFD. Raw has everything.
type Inbound struct {
	ID           string // wamid: the same message may come any number of times
	From         string // E.164 with "+"; empty when Meta does not tell it
	UserID       string // business-scoped user id; may be empty
	ParentUserID string // the user id that several portfolios share; mostly empty
	ProfileName  string // what the customer calls themselves
	Username     string
	GroupID      string    // set when it was said in a group
	At           time.Time // when it was said, to the second; zero when Meta does not tell
	Type         string    // text, button, interactive, image, reaction, order, system, unsupported …
	Text         string    // the body; the words on a pressed button or row; the emoji of a reaction ("" when removed)
	Payload      string    // the payload of a pressed template button, the id of a reply button or row, the answers of a flow
	ReplyTo      string    // wamid of the message that this one answers, quotes, or reacts to
	Caption      string    // of media
	MediaID      string    // of media, to be fetched within 7 days
	MediaType    string    // its MIME type
	Filename     string    // of a document
	System       *SystemChange
	Errors       []Problem // why a message is unsupported or its media missing
	Raw          json.RawMessage
}

// SystemChange says that a customer's names changed (Inbound of Type system). Inbound.From is the name so far.
type SystemChange struct {
	Type           string // user_changed_number, user_changed_user_id …
	Phone          string // the new number, E.164 with "+"; may be empty
	UserID         string // the new user id; may be empty
	ParentUserID   string
	PreviousUserID string // may be empty
}

func readInbound(raw json.RawMessage, contacts []contact) (Update, error) {
	var m struct {
		ID       loose           `json:"id"`
		From     loose           `json:"from"`
		UserID   loose           `json:"from_user_id"`
		Parent   loose           `json:"from_parent_user_id"`
		Group    loose           `json:"group_id"`
		At       seconds         `json:"timestamp"`
		Type     loose           `json:"type"`
		Context  json.RawMessage `json:"context"`
		Errors   json.RawMessage `json:"errors"`
		contents                 // what was said, under the name of its type
	}
	if err := decode(raw, &m); err != nil {
		return Update{}, fmt.Errorf("message: %w", err)
	}
	if m.ID == "" {
		return Update{}, errors.New("message: no id")
	}
	in := &Inbound{
		ID: string(m.ID), ParentUserID: string(m.Parent), GroupID: string(m.Group), At: time.Time(m.At), Type: string(m.Type),
		Errors: readProblems(m.Errors), Raw: raw,
	}
	in.From, in.UserID = names(m.From, m.UserID)
	// A system notice is about a change of names, and comes without contacts.
	if c := whose(contacts, in.From, in.UserID); in.Type != "system" {
		phone, user := names(c.WaID, c.UserID)
		in.From, in.UserID = firstOf(in.From, phone), firstOf(in.UserID, user)
		in.ParentUserID = firstOf(in.ParentUserID, string(c.Parent))
		in.ProfileName, in.Username = string(c.Profile.Name), string(c.Profile.Username)
	}
	var quoted struct {
		ID loose `json:"id"`
	}
	_ = json.Unmarshal(m.Context, &quoted) // the words count even where what they answer cannot be told
	in.ReplyTo = string(quoted.ID)
	if err := m.into(in); err != nil {
		return Update{}, fmt.Errorf("message content: %w", err)
	}
	return Update{Inbound: in}, nil
}

// contents are the parts of a message that Inbound has fields for. Only the one that the type names is read.
type contents struct {
	Text        json.RawMessage `json:"text"`
	Button      json.RawMessage `json:"button"`
	Interactive json.RawMessage `json:"interactive"`
	Image       json.RawMessage `json:"image"`
	Video       json.RawMessage `json:"video"`
	Audio       json.RawMessage `json:"audio"`
	Document    json.RawMessage `json:"document"`
	Sticker     json.RawMessage `json:"sticker"`
	Reaction    json.RawMessage `json:"reaction"`
	Order       json.RawMessage `json:"order"`
	System      json.RawMessage `json:"system"`
}

func (c contents) into(in *Inbound) error {
	switch in.Type {
	case "text":
		var text struct {
			Body loose `json:"body"`
		}
		err := decode(c.Text, &text)
		in.Text = string(text.Body)
		return err
	case "button":
		var button struct {
			Text    loose `json:"text"`
			Payload loose `json:"payload"`
		}
		err := decode(c.Button, &button)
		in.Text, in.Payload = string(button.Text), string(button.Payload)
		return err
	case "interactive":
		type reply struct {
			ID    loose `json:"id"`
			Title loose `json:"title"`
		}
		var i struct {
			Button reply `json:"button_reply"`
			List   reply `json:"list_reply"`
			Flow   struct {
				Body     loose `json:"body"`
				Response loose `json:"response_json"` // JSON in a string
			} `json:"nfm_reply"`
		}
		err := decode(c.Interactive, &i)
		in.Text = firstOf(string(i.Button.Title), string(i.List.Title), string(i.Flow.Body))
		in.Payload = firstOf(string(i.Button.ID), string(i.List.ID), string(i.Flow.Response))
		return err
	case "image", "video", "audio", "document", "sticker":
		var media struct {
			ID       loose `json:"id"`
			Caption  loose `json:"caption"`
			Type     loose `json:"mime_type"`
			Filename loose `json:"filename"`
		}
		raw := map[string]json.RawMessage{
			"image": c.Image, "video": c.Video, "audio": c.Audio, "document": c.Document, "sticker": c.Sticker,
		}[in.Type]
		err := decode(raw, &media)
		in.MediaID, in.Caption, in.MediaType, in.Filename = string(media.ID), string(media.Caption), string(media.Type), string(media.Filename)
		return err
	case "reaction":
		var reaction struct {
			ID    loose `json:"message_id"`
			Emoji loose `json:"emoji"`
		}
		err := decode(c.Reaction, &reaction)
		in.ReplyTo, in.Text = firstOf(string(reaction.ID), in.ReplyTo), string(reaction.Emoji)
		return err
	case "order":
		var order struct {
			Text loose `json:"text"`
		}
		err := decode(c.Order, &order)
		in.Text = string(order.Text)
		return err
	case "system":
		var s struct {
			Body     loose `json:"body"`
			Type     loose `json:"type"`
			WaID     loose `json:"wa_id"`
			UserID   loose `json:"user_id"`
			Parent   loose `json:"parent_user_id"`
			Previous loose `json:"previous_user_id"`
		}
		err := decode(c.System, &s)
		in.Text = string(s.Body)
		in.System = &SystemChange{Type: string(s.Type), ParentUserID: string(s.Parent), PreviousUserID: string(s.Previous)}
		in.System.Phone, in.System.UserID = names(s.WaID, s.UserID)
		return err
	}
	return nil // a type that has no fields here; Raw has it
}
