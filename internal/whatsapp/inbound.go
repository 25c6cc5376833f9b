package whatsapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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
	Type         string    // text, button, interactive, image, reaction, order, edit, revoke, system, unsupported …
	Interactive  string    // which interactive: button_reply, list_reply, nfm_reply, call_permission_reply …
	Text         string    // the body; the words on a pressed button or row; the emoji of a reaction ("" when removed); of an edit, the new words
	Payload      string    // the payload of a pressed template button, the id of a reply button or row, the answers of a flow, the word on calls
	ReplyTo      string    // wamid of the message that this one answers, quotes, or reacts to
	Concerns     string    // wamid of the message that an edit or a revoke is about
	Caption      string    // of media
	MediaID      string    // of media, to be fetched within 7 days
	MediaType    string    // its MIME type
	MediaHash    string    // its SHA-256 as Meta wrote it
	Filename     string    // of a document
	Voice        bool      // an audio message that was spoken into the phone
	Animated     bool      // a sticker that moves

	Forwarded      bool // not the customer's own words
	ForwardedOften bool
	Product        *Product  // the catalog item that a question is about
	Referral       *Referral // the ad or post that brought the customer here
	Location       *Place
	Contacts       []SharedContact
	Order          *Order
	System         *SystemChange
	Errors         []Problem // why a message is unsupported or its media missing
	Raw            json.RawMessage
}

// SystemChange says that a customer's names changed (Inbound of Type system). Inbound's From and UserID are the names so far.
type SystemChange struct {
	Type           string // user_changed_number, user_changed_user_id …
	Phone          string // the new number, E.164 with "+"; may be empty
	UserID         string // the new user id; may be empty
	ParentUserID   string
	PreviousUserID string // may be empty
}

// Product is an item of the business's catalog.
type Product struct {
	CatalogID string
	ID        string // the business's own id of it (product_retailer_id)
}

// Referral says where in Meta's other products a customer came from: an ad or a post with a button to WhatsApp. It opens a
// free entry point of 72 hours when answered within 24.
type Referral struct {
	SourceURL  string
	SourceID   string // Meta's id of the ad or the post
	SourceType string // ad or post … an open list
	Headline   string
	Body       string
	MediaType  string // image or video … an open list
	MediaURL   string // of the image or the video's thumbnail, where there is one
	ClickID    string // ctwa_clid, with which a purchase is reported back to the ad; may be empty
	Welcome    string // the greeting that the ad showed; may be empty
}

// Place is a location that a customer shared.
type Place struct {
	Latitude, Longitude float64 // degrees
	Name, Address, URL  string  // may be empty
}

// SharedContact is an address card that a customer sent.
type SharedContact struct {
	Name    string // as it is shown; may be empty
	Company string // may be empty
	Origin  string // contact_request when the business asked for it; may be empty
	Phones  []SharedPhone
}

// SharedPhone is a number on an address card.
type SharedPhone struct {
	Text   string // as it was written on the card
	Phone  string // E.164 with "+", of the WhatsApp account behind it; empty when there is none
	UserID string // may be empty
}

// Order is what a customer puts into a cart of the business's catalog. Nothing is paid.
type Order struct {
	CatalogID string
	Items     []OrderItem
}

// OrderItem is a line of an order.
type OrderItem struct {
	ProductID string // the business's own id of it
	Quantity  int
	Price     string // of one, decimal, as Meta wrote it
	Currency  string // ISO 4217
}

// kinds are the types of message that Inbound has fields for.
const kinds = "text button interactive image video audio document sticker reaction edit revoke system location order contacts"

func readInbound(raw json.RawMessage, people contacts) (Update, error) {
	var m struct {
		ID     loose   `json:"id"`
		From   loose   `json:"from"`
		UserID loose   `json:"from_user_id"`
		Parent loose   `json:"from_parent_user_id"`
		Group  loose   `json:"group_id"`
		At     seconds `json:"timestamp"`
		Type   loose   `json:"type"`
	}
	if err := decode(raw, &m); err != nil {
		return Update{}, fmt.Errorf("message: %w", err)
	}
	if m.ID == "" {
		return Update{}, errors.New("message: no id")
	}
	f, _ := readFields(raw)
	in := &Inbound{
		ID: string(m.ID), ParentUserID: string(m.Parent), GroupID: string(m.Group), At: time.Time(m.At), Type: string(m.Type),
		Errors: readProblems(f["errors"]), Raw: raw,
	}
	in.From, in.UserID = names(m.From, m.UserID)
	// A system notice is about a change of names, and comes without contacts.
	if c := people.whose(in.From, in.UserID); in.Type != "system" {
		phone, user := names(c.WaID, c.UserID)
		in.From, in.UserID = firstOf(in.From, phone), firstOf(in.UserID, user)
		in.ParentUserID = firstOf(in.ParentUserID, string(c.Parent))
		in.ProfileName, in.Username = string(c.Profile.Name), string(c.Profile.Username)
	}
	// The words count even where what they answer, or where they came from, cannot be told.
	in.readContext(f.object("context"))
	in.Referral = readReferral(f.object("referral"))
	if in.Type == "" { // seen in the wild: what was said still tells
		for kind := range strings.FieldsSeq(kinds) {
			if f[kind] != nil {
				in.Type = kind
				break
			}
		}
	}
	if err := in.readContent(in.Type, f); err != nil {
		return Update{}, fmt.Errorf("message content: %w", err)
	}
	return Update{Inbound: in}, nil
}

func (in *Inbound) readContext(f fields) {
	in.ReplyTo = f.text("id")
	in.ForwardedOften = f.flag("frequently_forwarded")
	in.Forwarded = in.ForwardedOften || f.flag("forwarded")
	if p := f.object("referred_product"); p != nil {
		in.Product = &Product{CatalogID: p.text("catalog_id"), ID: p.text("product_retailer_id")}
	}
}

func readReferral(f fields) *Referral {
	if f == nil {
		return nil
	}
	return &Referral{
		SourceURL: f.text("source_url"), SourceID: f.text("source_id"), SourceType: f.text("source_type"),
		Headline: f.text("headline"), Body: f.text("body"),
		MediaType: f.text("media_type"), MediaURL: f.text("image_url", "thumbnail_url", "video_url"),
		ClickID: f.text("ctwa_clid"), Welcome: f.object("welcome_message").text("text"),
	}
}
