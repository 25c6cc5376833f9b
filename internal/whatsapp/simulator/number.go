package simulator

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"unicode/utf8"
)

// number is the business's number as the Graph side shows it. The caller holds mu.
func (s *Simulator) number() object {
	level := "STANDARD"
	if s.limits.Throughput >= 1000 {
		level = "HIGH"
	}
	return object{
		"id": s.opt.PhoneNumberID, "display_phone_number": s.opt.BusinessPhone, "verified_name": s.opt.Business, "status": "CONNECTED",
		"quality_rating": s.account.Quality, "code_verification_status": "VERIFIED", "name_status": "APPROVED", "platform_type": "CLOUD_API",
		"messaging_limit_tier": s.limits.Tier, "whatsapp_business_manager_messaging_limit": s.limits.Tier, "throughput": object{"level": level},
	}
}

// getObject answers what an id is: a file, a template, or the business's number.
func (s *Simulator) getObject(w http.ResponseWriter, r *http.Request) *graphError {
	if m := s.findMedia(r.PathValue("id")); m != nil {
		s.answerMedia(w, r, m)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	id := r.PathValue("id")
	if t := s.byID(id); t != nil {
		writeJSON(w, http.StatusOK, t.view())
		return nil
	}
	if id != s.opt.PhoneNumberID {
		return noObject(r.Method, id)
	}
	writeJSON(w, http.StatusOK, s.number())
	return nil
}

// getNumbers lists the account's numbers: the one.
func (s *Simulator) getNumbers(w http.ResponseWriter, r *http.Request) *graphError {
	if id := r.PathValue("id"); id != s.opt.AccountID {
		return noObject(r.Method, id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	writeJSON(w, http.StatusOK, object{"data": []object{s.number()}})
	return nil
}

// profile is what customers see of the business.
type profile struct {
	About       string   `json:"about,omitempty"`
	Address     string   `json:"address,omitempty"`
	Description string   `json:"description,omitempty"`
	Email       string   `json:"email,omitempty"`
	Websites    []string `json:"websites,omitempty"`
	Vertical    string   `json:"vertical,omitempty"`
	Picture     string   `json:"profile_picture_handle,omitempty"`
}

func (s *Simulator) getProfile(w http.ResponseWriter, r *http.Request) *graphError {
	if id := r.PathValue("id"); id != s.opt.PhoneNumberID {
		return noObject(r.Method, id)
	}
	s.mu.Lock()
	p := s.account.Profile
	s.mu.Unlock()
	var shown object
	_ = json.Unmarshal(encode(p), &shown) // what encode wrote can be read
	delete(shown, "profile_picture_handle")
	shown["messaging_product"] = "whatsapp"
	writeJSON(w, http.StatusOK, object{"data": []object{shown}})
	return nil
}

// postProfile changes what the body names. The bounds are those of Meta's page on business profiles.
func (s *Simulator) postProfile(w http.ResponseWriter, r *http.Request) *graphError {
	if id := r.PathValue("id"); id != s.opt.PhoneNumberID {
		return noObject(r.Method, id)
	}
	raw, refusal := readGraph(r)
	if refusal != nil {
		return refusal
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.account
	x := struct {
		Product string `json:"messaging_product"`
		profile
	}{profile: a.Profile}
	x.Websites = slices.Clone(x.Websites) // what is decoded must not reach into what stands
	if refusal := strict(raw, "business profile", &x); refusal != nil {
		return refusal
	}
	if x.Product != "whatsapp" {
		return invalid("The parameter messaging_product is required and must be whatsapp.")
	}
	if refusal := first(length("about", x.About, 0, 139), length("address", x.Address, 0, 256), length("description", x.Description, 0, 512),
		length("email", x.Email, 0, 128)); refusal != nil {
		return refusal
	}
	if len(x.Websites) > 2 {
		return invalid("Param websites may have 2 entries.")
	}
	for _, site := range x.Websites {
		if !webAddress(site) || utf8.RuneCountInString(site) > 256 {
			return invalid("Param websites: each begins with https:// or http:// and has at most 256 characters.")
		}
	}
	a.Profile = x.profile
	if s.commit(fact{Account: &a}) != nil {
		return unavailable
	}
	writeJSON(w, http.StatusOK, object{"success": true})
	return nil
}

// The bounds of blocking. Source: Meta's page on blocking users.
const (
	maxBlockedAtOnce = 1000
	maxBlocked       = 64_000
)

// blockUsers blocks people, or with DELETE lets them write again. Each is judged alone.
func (s *Simulator) blockUsers(w http.ResponseWriter, r *http.Request) *graphError {
	if id := r.PathValue("id"); id != s.opt.PhoneNumberID {
		return noObject(r.Method, id)
	}
	raw, refusal := readGraph(r)
	if refusal != nil {
		return refusal
	}
	var x struct {
		Product string `json:"messaging_product"`
		Users   []struct {
			User   string `json:"user"`
			UserID string `json:"user_id"`
		} `json:"block_users"`
	}
	if refusal := strict(raw, "block_users", &x); refusal != nil {
		return refusal
	}
	if x.Product != "whatsapp" {
		return invalid("The parameter messaging_product is required and must be whatsapp.")
	}
	if len(x.Users) < 1 || len(x.Users) > maxBlockedAtOnce {
		return invalid("Param block_users must have 1 to %d entries.", maxBlockedAtOnce)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, now := s.account, s.now()
	a.Banned = maps.Clone(a.Banned)
	if a.Banned == nil {
		a.Banned = map[string]bool{}
	}
	done, wrong := []object{}, []object{}
	add := r.Method == http.MethodPost
	for _, u := range x.Users {
		input := u.User
		if input == "" {
			input = u.UserID
		}
		who := s.userIDs[input]
		if phone, ok := parsePhone(input); ok {
			who = s.people[phone]
		}
		code, words := 0, ""
		switch {
		case who == nil:
			code, words = 131026, "The user is not on WhatsApp, or has not written."
		case add && !within(now, who.wrote, window):
			code, words = 131047, "The user has not written in the last 24 hours."
		case add && len(a.Banned) >= maxBlocked && !a.Banned[who.Phone]:
			code, words = 139101, "The block list is full."
		}
		if code != 0 {
			wrong = append(wrong, object{"input": input, "errors": []object{{"message": words, "code": code, "error_data": object{"details": words}}}})
			continue
		}
		done = append(done, object{"input": input, "wa_id": digits(who.Phone), "user_id": who.UserID})
		if add {
			a.Banned[who.Phone] = true
		} else {
			delete(a.Banned, who.Phone)
		}
	}
	if len(done) > 0 && s.commit(fact{Account: &a}) != nil {
		return unavailable
	}
	key := "added_users"
	if !add {
		key = "removed_users"
	}
	users := object{key: done}
	answer := object{"messaging_product": "whatsapp", "block_users": users}
	if len(wrong) == 0 {
		writeJSON(w, http.StatusOK, answer)
		return nil
	}
	users["failed_users"] = wrong
	answer["error"] = object{
		"message": "(#139100) Failed to block/unblock some users", "type": "OAuthException", "code": 139100,
		"error_data": object{"messaging_product": "whatsapp", "details": "Failed to block/unblock some users."},
	}
	writeJSON(w, http.StatusBadRequest, answer)
	return nil
}

// getBlocked lists whom the business blocked.
func (s *Simulator) getBlocked(w http.ResponseWriter, r *http.Request) *graphError {
	if id := r.PathValue("id"); id != s.opt.PhoneNumberID {
		return noObject(r.Method, id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []object{}
	for _, phone := range slices.Sorted(maps.Keys(s.account.Banned)) {
		who := s.lookUp(phone)
		list = append(list, object{"messaging_product": "whatsapp", "wa_id": digits(phone), "user_id": who.UserID})
	}
	writeJSON(w, http.StatusOK, object{"data": list, "paging": object{"cursors": object{"before": "", "after": ""}}})
	return nil
}
