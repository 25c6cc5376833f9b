package whatsapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Status says how far an outbound message got. Statuses repeat and overtake each other.
type Status struct {
	ID           string // wamid
	Status       string // sent, delivered, read, failed, played … an open list
	At           time.Time
	Recipient    string // E.164 with "+"; may be empty
	UserID       string // may be empty, and is on failures of messages that were sent to a phone
	ParentUserID string
	CallbackData string    // what the Message said
	Errors       []Problem // why it failed
	Pricing      *Pricing  // nil when the status has none
	Raw          json.RawMessage
}

// Pricing is what Meta says about the price of a message.
type Pricing struct {
	Category string // marketing, utility, authentication, service …
	Type     string // regular, free_customer_service, free_entry_point
	Billable bool
}

// Problem is one of the errors in a webhook. Its Details may name the customer.
type Problem struct {
	Code    int // CodeNone when it cannot be read
	Title   string
	Details string
}

// Preference says that a customer stopped or resumed marketing in WhatsApp itself.
type Preference struct {
	From         string // E.164 with "+"; may be empty
	UserID       string // may be empty
	ParentUserID string
	Category     string // marketing_messages
	Value        string // stop or resume … an open list
	Detail       string
	At           time.Time
	Raw          json.RawMessage
}

func readStatus(raw json.RawMessage, people contacts) (Update, error) {
	var s struct {
		ID        loose           `json:"id"`
		Status    loose           `json:"status"`
		At        seconds         `json:"timestamp"`
		Recipient loose           `json:"recipient_id"`
		UserID    loose           `json:"recipient_user_id"`
		Parent    loose           `json:"recipient_parent_user_id"`
		Callback  loose           `json:"biz_opaque_callback_data"`
		Errors    json.RawMessage `json:"errors"`
		Pricing   json.RawMessage `json:"pricing"`
	}
	if err := decode(raw, &s); err != nil {
		return Update{}, fmt.Errorf("status: %w", err)
	}
	if s.ID == "" || s.Status == "" {
		return Update{}, errors.New("status: no id or no status")
	}
	out := &Status{
		ID: string(s.ID), Status: string(s.Status), At: time.Time(s.At), ParentUserID: string(s.Parent),
		CallbackData: string(s.Callback), Errors: readProblems(s.Errors), Raw: raw,
	}
	out.Recipient, out.UserID = names(s.Recipient, s.UserID)
	c := people.whose(out.Recipient, out.UserID)
	phone, user := names(c.WaID, c.UserID)
	out.Recipient, out.UserID = firstOf(out.Recipient, phone), firstOf(out.UserID, user)
	out.ParentUserID = firstOf(out.ParentUserID, string(c.Parent))
	if p, ok := readFields(s.Pricing); ok { // a price that cannot be read takes no status with it
		out.Pricing = &Pricing{Category: p.text("category"), Type: p.text("type"), Billable: p.flag("billable")}
	}
	return Update{Status: out}, nil
}

func readPreference(raw json.RawMessage, people contacts) (Update, error) {
	var s struct {
		WaID     loose   `json:"wa_id"`
		UserID   loose   `json:"user_id"`
		Parent   loose   `json:"parent_user_id"`
		Category loose   `json:"category"`
		Value    loose   `json:"value"`
		Detail   loose   `json:"detail"`
		At       seconds `json:"timestamp"`
	}
	if err := decode(raw, &s); err != nil {
		return Update{}, fmt.Errorf("preference: %w", err)
	}
	if s.Value == "" {
		return Update{}, errors.New("preference: no value")
	}
	out := &Preference{
		ParentUserID: string(s.Parent), Category: string(s.Category), Value: string(s.Value), Detail: string(s.Detail),
		At: time.Time(s.At), Raw: raw,
	}
	out.From, out.UserID = names(s.WaID, s.UserID)
	c := people.whose(out.From, out.UserID)
	phone, user := names(c.WaID, c.UserID)
	out.From, out.UserID = firstOf(out.From, phone), firstOf(out.UserID, user)
	out.ParentUserID = firstOf(out.ParentUserID, string(c.Parent))
	return Update{Preference: out}, nil
}

// readProblems reads what errors it can.
func readProblems(raw json.RawMessage) []Problem {
	var out []Problem
	items, _ := list(raw)
	for _, item := range items {
		var e struct {
			Code    loose `json:"code"`
			Title   loose `json:"title"`
			Message loose `json:"message"`
			Plain   loose `json:"details"` // as it was before v16
			Data    struct {
				Details loose `json:"details"`
			} `json:"error_data"`
		}
		_ = json.Unmarshal(item, &e) // fields before the unreadable one are set; that there was an error must not be lost
		code, err := strconv.Atoi(string(e.Code))
		if err != nil {
			code = CodeNone
		}
		out = append(out, Problem{Code: code, Title: firstOf(string(e.Title), string(e.Message)), Details: firstOf(string(e.Data.Details), string(e.Plain))})
	}
	return out
}
