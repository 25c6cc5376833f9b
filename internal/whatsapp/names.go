package whatsapp

import (
	"encoding/json"
	"regexp"
)

// contact is who a change is about.
type contact struct {
	WaID    loose `json:"wa_id"`
	UserID  loose `json:"user_id"`
	Parent  loose `json:"parent_user_id"`
	Profile struct {
		Name     loose `json:"name"`
		Username loose `json:"username"`
	} `json:"profile"`
}

// contacts are the people that a change is about, by each of their names. A webhook may hold a thousand messages of as many
// people: it must not take their product to find whose each one is.
type contacts struct {
	phone, userID map[string]contact
	only          contact // where there is no other
}

func readContacts(raw json.RawMessage) contacts {
	out := contacts{phone: map[string]contact{}, userID: map[string]contact{}}
	items, _ := list(raw)
	for _, item := range items {
		var c contact
		if json.Unmarshal(item, &c) != nil {
			continue // a name is a courtesy: without it the message still counts
		}
		if len(items) == 1 {
			out.only = c
		}
		phone, userID := names(c.WaID, c.UserID)
		if _, there := out.phone[phone]; phone != "" && !there {
			out.phone[phone] = c
		}
		if _, there := out.userID[userID]; userID != "" && !there {
			out.userID[userID] = c
		}
	}
	return out
}

// whose is the contact that a message is from: the one that shares a name with it, or the only one of a message that
// names nobody.
func (c contacts) whose(phone, userID string) contact {
	if phone == "" && userID == "" {
		return c.only
	}
	if who, ok := c.userID[userID]; ok {
		return who
	}
	return c.phone[phone]
}

var (
	phoneDigits = regexp.MustCompile(`^\+?([1-9][0-9]{4,14})$`)
	userIDForm  = regexp.MustCompile(`^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$`)
)

// names sorts the two places where a customer is named into a phone (E.164 with "+") and a user id. A user id has been
// seen in the phone's place. What is neither is left to Raw.
func names(phone, userID loose) (string, string) {
	user := string(userID)
	if m := phoneDigits.FindStringSubmatch(string(phone)); m != nil {
		return "+" + m[1], user
	}
	if userIDForm.MatchString(string(phone)) {
		return "", firstOf(user, string(phone))
	}
	return "", user
}
