package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// longestEarly bounds how long an answer waits for its webhooks. Real time.
const longestEarly = 5 * time.Second

// disturb lets the faults of webhooks have their way with those of one fact. The caller holds mu.
func (s *Simulator) disturb(hooks []hook) []hook {
	out := make([]hook, 0, len(hooks))
	reorder := false
	for _, h := range hooks {
		copies := 1
		for _, f := range s.faults {
			if f.Webhook == "" || f.About != "" && f.About != h.subject() || f.Webhook == skipDelivered && h.about != delivered ||
				!s.strike(f, h.person) {
				continue
			}
			switch f.Webhook {
			case dropped, skipDelivered:
				copies = 0
			case doubled:
				copies++
			case reordered:
				reorder = true
			case delayed:
				h.NotBefore, h.alone = time.Now().Add(time.Duration(f.Delay)), true
			case batched:
				h.NotBefore, h.Batch = time.Now().Add(time.Duration(f.Delay)), f.Size
			case early:
				h.early = true
			case noPhone:
				h.Body = withoutPhone(h.Body)
			}
		}
		for range copies {
			out = append(out, h)
		}
	}
	if reorder {
		slices.Reverse(out)
	}
	for i := range out {
		h := &out[i]
		h.Number = s.hooks + int64(i) + 1
		switch {
		case h.alone: // nothing waits for it, so what comes after is there before
			h.Phone = "late/" + strconv.FormatInt(h.Number, 10)
		case h.Batch > 0:
			h.Phone = "batch"
		}
		if h.early {
			taken := make(chan struct{})
			s.early[h.Number] = taken
			s.earlier = append(s.earlier, taken)
		}
	}
	return out
}

// subject is what a webhook is about, as faults name it.
func (h *hook) subject() string {
	if h.about == "" {
		return "other"
	}
	return h.about
}

// awaitEarly waits for webhooks that are to come before an answer.
func (s *Simulator) awaitEarly(r *http.Request, waits []chan struct{}) {
	if len(waits) == 0 {
		return
	}
	late := time.After(longestEarly)
	for _, taken := range waits {
		select {
		case <-taken:
		case <-late:
			return
		case <-r.Context().Done():
			return
		case <-s.closed:
			return
		}
	}
}

// merge makes one body of many.
func merge(hooks []hook) string {
	if len(hooks) == 1 {
		return hooks[0].Body
	}
	entries := make([]string, 0, len(hooks))
	for _, h := range hooks {
		var b struct {
			Entry []json.RawMessage `json:"entry"`
		}
		_ = json.Unmarshal([]byte(h.Body), &b) // we wrote it
		for _, e := range b.Entry {
			entries = append(entries, string(e)) // byte for byte: escaped as it is
		}
	}
	return `{"object":"whatsapp_business_account","entry":[` + strings.Join(entries, ",") + `]}`
}

// withoutPhone is a webhook about a person who has a username and whose phone Meta does not tell.
func withoutPhone(body string) string {
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	var v object
	if d.Decode(&v) != nil {
		return body
	}
	each := func(v any, do func(object)) {
		list, _ := v.([]any)
		for _, x := range list {
			if o, ok := x.(object); ok {
				do(o)
			}
		}
	}
	each(v["entry"], func(entry object) {
		each(entry["changes"], func(change object) {
			value, _ := change["value"].(object)
			each(value["contacts"], func(c object) {
				delete(c, "wa_id")
				if p, ok := c["profile"].(object); ok {
					p["username"] = "customer" + lastDigits(c["user_id"])
				}
			})
			each(value["messages"], func(m object) { delete(m, "from") })
			each(value["statuses"], func(st object) { delete(st, "recipient_id") })
			each(value["user_preferences"], func(p object) { delete(p, "wa_id") })
		})
	})
	return string(escape(encode(v)))
}

// lastDigits are the end of a user id.
func lastDigits(id any) string {
	text, _ := id.(string)
	return text[max(0, len(text)-4):]
}

// shake lets the faults of people have their way with one who wrote. The caller holds mu.
func (s *Simulator) shake(who *person) {
	for _, f := range s.faults {
		if f.Person == "" || !s.strike(f, who.Phone) {
			continue
		}
		var change fact
		if f.Person == newNumber {
			change = s.numberFact(who, s.freeNumber(who.Phone))
		} else {
			change = s.userIDFact(who)
		}
		if s.commit(change) != nil {
			return
		}
	}
}

// userIDFact is a person whom Meta gives another user id. The caller holds mu.
func (s *Simulator) userIDFact(who *person) fact {
	id := userID(s.opt.AccountID+"/"+who.UserID, who.Phone)
	return fact{Person: &personFact{Phone: who.Phone, UserID: id}, Hooks: []hook{
		s.hook(0, who.Phone, "", "messages", s.messagesValue(who, false, "messages", object{
			"id": newMessageID(), "from": digits(who.Phone), "from_user_id": who.UserID, "timestamp": unix(s.now()), "type": "system",
			"system": object{
				"type": "user_changed_user_id", "wa_id": digits(who.Phone), "user_id": id, "previous_user_id": who.UserID,
				"body": "User " + who.Name + " has a new user id",
			},
		})),
	}}
}

// numberFact is a person who takes another number. Meta names them by the old one, and says nothing else of who they are. The
// caller holds mu.
func (s *Simulator) numberFact(who *person, phone string) fact {
	return fact{Person: &personFact{Phone: who.Phone, Number: phone}, Hooks: []hook{
		s.hook(0, who.Phone, "", "messages", s.messagesValue(who, false, "messages", object{
			"id": newMessageID(), "from": digits(who.Phone), "from_user_id": who.UserID, "timestamp": unix(s.now()), "type": "system",
			"system": object{
				"type": "user_changed_number", "wa_id": digits(phone), "user_id": userID(s.opt.AccountID, phone), "previous_user_id": who.UserID,
				"body": fmt.Sprintf("User %s changed from %s to %s", who.Name, digits(who.Phone), digits(phone)),
			},
		})),
	}}
}

// freeNumber is a number like this one that nobody has: the same each time. The caller holds mu.
func (s *Simulator) freeNumber(phone string) string {
	head, last := phone[:len(phone)-4], phone[len(phone)-4:]
	n, _ := strconv.Atoi(last) // a phone ends in digits
	for {
		n = (n + 1) % 10_000
		if p := fmt.Sprintf("%s%04d", head, n); s.people[p] == nil && p != s.opt.BusinessPhone {
			return p
		}
	}
}
