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

func readContacts(raw json.RawMessage) []contact {
	var out []contact
	items, _ := list(raw)
	for _, item := range items {
		var c contact
		if json.Unmarshal(item, &c) == nil { // a name is a courtesy: without it the message still counts
			out = append(out, c)
		}
	}
	return out
}

// whose is the contact that a message is from: the one that shares a name with it, or the only one of a message that
// names nobody.
func whose(contacts []contact, phone, userID string) contact {
	for _, c := range contacts {
		cp, cu := names(c.WaID, c.UserID)
		if (userID != "" && cu == userID) || (phone != "" && cp == phone) {
			return c
		}
	}
	if phone == "" && userID == "" && len(contacts) == 1 {
		return contacts[0]
	}
	return contact{}
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
