package whatsapp

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
)

// Update is one thing a webhook said. Exactly one of the pointers is set.
type Update struct {
	AccountID     string // of the WhatsApp Business Account it is about, or of the portfolio
	PhoneNumberID string // of the business's number; empty where the webhook names none

	Inbound    *Inbound
	Status     *Status
	Preference *Preference
	Template   *TemplateUpdate
	Account    *AccountUpdate
	Other      *Other
	Broken     *Broken
}

// Other is what this package has no type for: a change of another field, or a part of a messages change.
type Other struct {
	Field string // the change's field; messages.<part> for a part; empty for a body without entries
	Raw   json.RawMessage
}

// Broken is a value that cannot be read. Its neighbours can.
type Broken struct {
	Field string // as in Other
	Raw   json.RawMessage
	Err   string // a fixed description, without anything of the value
}

// Parse flattens the body of a webhook into its updates, in the order they stand. The only error is a body that is not
// a JSON object; then nothing can be told from it.
func Parse(body []byte) ([]Update, error) {
	var envelope struct {
		Entry json.RawMessage `json:"entry"`
	}
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(body) {
		return nil, errors.New("whatsapp: the webhook is not a JSON object")
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, errors.New("whatsapp: the webhook is not a JSON object")
	}
	if len(envelope.Entry) == 0 {
		return []Update{{Other: &Other{Raw: body}}}, nil
	}
	var p parser
	entries, ok := list(envelope.Entry)
	if !ok {
		p.broken("", envelope.Entry, "entry is not a list")
	}
	for _, entry := range entries {
		p.entry(entry)
	}
	return p.updates, nil
}

// parser collects updates of one body.
type parser struct {
	updates       []Update
	account       string
	phoneNumberID string
	field         string    // of an entry that says it itself
	at            time.Time // of the entry; only account events have one
}

func (p *parser) add(u Update) {
	u.AccountID, u.PhoneNumberID = p.account, p.phoneNumberID
	p.updates = append(p.updates, u)
}

func (p *parser) broken(field string, raw json.RawMessage, why string) {
	p.add(Update{Broken: &Broken{Field: field, Raw: raw, Err: why}})
}

func (p *parser) entry(raw json.RawMessage) {
	p.account, p.phoneNumberID, p.field, p.at = "", "", "", time.Time{}
	var entry struct {
		ID      loose           `json:"id"`
		Changes json.RawMessage `json:"changes"`
	}
	if json.Unmarshal(raw, &entry) != nil {
		p.broken("", raw, "entry is not an object with an id")
		return
	}
	p.account = string(entry.ID)
	rest, _ := readFields(raw)
	p.field, p.at = rest.text("field"), rest.time("time")
	changes, ok := list(entry.Changes)
	switch {
	case len(entry.Changes) == 0:
		p.add(Update{Other: &Other{Raw: raw}})
	case !ok:
		p.broken("", raw, "changes is not a list")
	}
	for _, change := range changes {
		p.change(change)
	}
}

func (p *parser) change(raw json.RawMessage) {
	p.phoneNumberID = ""
	var change struct {
		Field loose           `json:"field"`
		Value json.RawMessage `json:"value"`
	}
	if json.Unmarshal(raw, &change) != nil {
		p.broken("", raw, "change is not an object with a field")
		return
	}
	field := firstOf(string(change.Field), p.field)
	if field != "messages" && field != "user_preferences" {
		p.about(field, change.Value, raw)
		return
	}
	parts, ok := members(change.Value)
	if !ok {
		p.broken(field, raw, "value is not an object")
		return
	}
	var people contacts
	for _, part := range parts {
		switch part.name {
		case "metadata":
			var m struct {
				PhoneNumberID loose `json:"phone_number_id"`
			}
			_ = json.Unmarshal(part.raw, &m) // metadata that cannot be read takes no message with it
			p.phoneNumberID = string(m.PhoneNumberID)
		case "contacts":
			people = readContacts(part.raw)
		}
	}
	said := false
	for _, part := range parts {
		var read func(json.RawMessage, contacts) (Update, error)
		said = said || part.name != "metadata" && part.name != "contacts" && part.name != "messaging_product"
		switch part.name {
		case "metadata", "contacts", "messaging_product":
			continue
		case "messages":
			read = readInbound
		case "statuses":
			read = readStatus
		case "user_preferences":
			read = readPreference
		case "errors":
			p.problems(field+"."+part.name, part.raw)
			continue
		default:
			p.add(Update{Other: &Other{Field: field + "." + part.name, Raw: part.raw}})
			continue
		}
		items, ok := list(part.raw)
		if !ok {
			p.broken(field+"."+part.name, part.raw, part.name+" is not a list")
		}
		for _, item := range items {
			u, err := read(item, people)
			if err != nil {
				p.broken(field+"."+part.name, item, err.Error())
				continue
			}
			p.add(u)
		}
	}
	if !said {
		p.add(Update{Other: &Other{Field: field, Raw: raw}})
	}
}

// about takes a change of a template or of the account, and keeps any other.
func (p *parser) about(field string, value, raw json.RawMessage) {
	f, ok := readFields(value)
	if !ok {
		p.add(Update{Other: &Other{Field: field, Raw: raw}})
		return
	}
	if kind := templateKind(field, f); kind != "" {
		t := readTemplate(kind, f)
		t.At, t.Raw = p.at, raw
		p.add(Update{Template: t})
		return
	}
	a := readAccount(field, f)
	if a == nil {
		p.add(Update{Other: &Other{Field: field, Raw: raw}})
		return
	}
	a.At, a.Raw = p.at, raw
	if f.text("entity_type") == "PHONE_NUMBER" {
		p.phoneNumberID = f.text("entity_id")
	}
	p.add(Update{Account: a})
}

// problems takes errors that belong to no message.
func (p *parser) problems(field string, raw json.RawMessage) {
	found := readProblems(raw)
	if len(found) == 0 {
		p.add(Update{Other: &Other{Field: field, Raw: raw}})
		return
	}
	p.add(Update{Account: &AccountUpdate{Field: field, Problems: found, At: p.at, Raw: raw}})
}
