package whatsapp

import (
	"encoding/json"
	"math"
	"strconv"
)

// readContent takes what was said: the part of a message that stands under the name of its type. A part that is there and
// is no object makes the message unreadable; what is only odd within a place, a card or an order leaves that empty.
func (in *Inbound) readContent(kind string, message fields) error {
	raw := message[kind]
	switch kind {
	case "text":
		var text struct {
			Body loose `json:"body"`
		}
		err := decode(raw, &text)
		in.Text = string(text.Body)
		return err
	case "button":
		var button struct {
			Text    loose `json:"text"`
			Payload loose `json:"payload"`
		}
		err := decode(raw, &button)
		in.Text, in.Payload = string(button.Text), string(button.Payload)
		return err
	case "interactive":
		return in.readInteractive(raw)
	case "image", "video", "audio", "document", "sticker":
		return in.readMedia(raw)
	case "reaction":
		var reaction struct {
			ID    loose `json:"message_id"`
			Emoji loose `json:"emoji"` // absent when it was taken off
		}
		err := decode(raw, &reaction)
		in.ReplyTo, in.Text = firstOf(string(reaction.ID), in.ReplyTo), string(reaction.Emoji)
		return err
	case "edit", "revoke":
		return in.readChange(raw)
	case "system":
		return in.readSystem(raw)
	case "location":
		f, _ := readFields(raw)
		in.Location = readPlace(f)
	case "contacts":
		in.Contacts = readShared(raw)
	case "order":
		var order struct {
			Text loose `json:"text"`
		}
		err := decode(raw, &order)
		in.Text = string(order.Text)
		f, _ := readFields(raw)
		in.Order = readOrder(f)
		return err
	}
	return nil // a type that has no fields here; Raw has it
}

func (in *Inbound) readInteractive(raw json.RawMessage) error {
	type reply struct {
		ID    loose `json:"id"`
		Title loose `json:"title"`
	}
	var i struct {
		Type   loose `json:"type"`
		Button reply `json:"button_reply"`
		List   reply `json:"list_reply"`
		Flow   struct {
			Body     loose `json:"body"`
			Response loose `json:"response_json"` // JSON in a string
		} `json:"nfm_reply"`
		Call struct {
			Response loose `json:"response"` // accept or reject
		} `json:"call_permission_reply"`
	}
	err := decode(raw, &i)
	in.Interactive = string(i.Type)
	in.Text = firstOf(string(i.Button.Title), string(i.List.Title), string(i.Flow.Body))
	in.Payload = firstOf(string(i.Button.ID), string(i.List.ID), string(i.Flow.Response), string(i.Call.Response))
	return err
}

func (in *Inbound) readMedia(raw json.RawMessage) error {
	var media struct {
		ID       loose `json:"id"`
		Caption  loose `json:"caption"`
		Type     loose `json:"mime_type"`
		Hash     loose `json:"sha256"`
		Filename loose `json:"filename"`
	}
	err := decode(raw, &media)
	in.MediaID, in.Caption, in.MediaType = string(media.ID), string(media.Caption), string(media.Type)
	in.MediaHash, in.Filename = string(media.Hash), string(media.Filename)
	f, _ := readFields(raw)
	in.Voice, in.Animated = f.flag("voice"), f.flag("animated")
	return err
}

// readChange reads an edit, which holds the message as it is now, or a revoke, which holds none.
func (in *Inbound) readChange(raw json.RawMessage) error {
	var change struct {
		ID      loose           `json:"original_message_id"`
		Message json.RawMessage `json:"message"`
	}
	if err := decode(raw, &change); err != nil {
		return err
	}
	in.Concerns = string(change.ID)
	f, _ := readFields(change.Message)
	switch kind := f.text("type"); kind {
	case "text", "image", "video", "audio", "document": // what can be edited; and no edit within an edit
		return in.readContent(kind, f)
	}
	return nil
}

func (in *Inbound) readSystem(raw json.RawMessage) error {
	var s struct {
		Body     loose `json:"body"`
		Type     loose `json:"type"`
		WaID     loose `json:"wa_id"`
		NewWaID  loose `json:"new_wa_id"` // as wa_id was called before v12
		UserID   loose `json:"user_id"`
		Parent   loose `json:"parent_user_id"`
		Previous loose `json:"previous_user_id"`
	}
	err := decode(raw, &s)
	in.Text = string(s.Body)
	in.System = &SystemChange{Type: string(s.Type), ParentUserID: string(s.Parent), PreviousUserID: string(s.Previous)}
	in.System.Phone, in.System.UserID = names(firstLoose(s.WaID, s.NewWaID), s.UserID)
	// Of a customer whose number Meta does not tell, the notice itself is all that says who it is about.
	if in.From == "" && in.UserID == "" {
		in.UserID = in.System.PreviousUserID
	}
	return err
}

func readPlace(f fields) *Place {
	latitude, north := f.degrees("latitude", 90)
	longitude, east := f.degrees("longitude", 180)
	if !north || !east {
		return nil
	}
	return &Place{Latitude: latitude, Longitude: longitude, Name: f.text("name"), Address: f.text("address"), URL: f.text("url")}
}

func readShared(raw json.RawMessage) []SharedContact {
	var out []SharedContact
	items, _ := list(raw)
	for _, item := range items {
		f, ok := readFields(item)
		if !ok {
			continue
		}
		name := f.object("name")
		card := SharedContact{Name: name.text("formatted_name", "first_name"), Company: f.object("org").text("company"), Origin: f.text("origin")}
		phones, _ := list(f["phones"])
		for _, phone := range phones {
			if p, ok := readFields(phone); ok {
				shared := SharedPhone{Text: p.text("phone")}
				shared.Phone, shared.UserID = names(loose(p.text("wa_id")), loose(p.text("user_id")))
				card.Phones = append(card.Phones, shared)
			}
		}
		out = append(out, card)
	}
	return out
}

func readOrder(f fields) *Order {
	if f == nil {
		return nil
	}
	order := &Order{CatalogID: f.text("catalog_id")}
	items, _ := list(f["product_items"])
	for _, item := range items {
		if p, ok := readFields(item); ok {
			order.Items = append(order.Items, OrderItem{
				ProductID: p.text("product_retailer_id"), Quantity: int(count(loose(p.text("quantity")))), Price: p.text("item_price"), Currency: p.text("currency"),
			})
		}
	}
	return order
}

// flag is true for true and for the text of it.
func (f fields) flag(name string) bool { return f.text(name) == "true" }

// degrees is an angle of at most so many degrees either way.
func (f fields) degrees(name string, most float64) (float64, bool) {
	v, err := strconv.ParseFloat(f.text(name), 64)
	return v, err == nil && math.Abs(v) <= most
}

func firstLoose(values ...loose) loose {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
