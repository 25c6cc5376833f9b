package simulator

import "net/http"

// applyPerson makes true what changed about a person. The caller holds mu.
func (s *Simulator) applyPerson(f personFact) {
	who := s.person(f.Phone)
	who.rev = s.version
	if f.Name != "" {
		who.Name = f.Name
	}
	if f.Language != "" {
		who.Language = f.Language
	}
	if f.Stopped != nil {
		who.Stopped = *f.Stopped
	}
	if f.Blocked != nil {
		who.Blocked = *f.Blocked
	}
	if f.Off != nil {
		who.Off = *f.Off
	}
	if f.Reported {
		who.Reports++
	}
	if f.UserID != "" {
		delete(s.userIDs, who.UserID)
		who.UserID = f.UserID
		s.userIDs[who.UserID] = who
	}
	if f.Number != "" {
		delete(s.people, who.Phone)
		delete(s.userIDs, who.UserID)
		// Meta makes a new user id for a new number.
		who.Phone, who.UserID = f.Number, userID(s.opt.AccountID, f.Number)
		s.people[who.Phone], s.userIDs[who.UserID] = who, who
		for _, m := range who.chat {
			m.Phone = who.Phone
		}
	}
}

// line is the key of the queue of a person's webhooks. The caller holds mu.
func (s *Simulator) line(phone string) string {
	if who := s.people[phone]; who != nil {
		return who.line
	}
	return phone
}

// aPerson reads a body about a person who is there, or answers why not. When it answers true the caller holds mu.
func (s *Simulator) aPerson(w http.ResponseWriter, r *http.Request, body any) (*person, bool) {
	phone, ok := phoneOf(w, r)
	if !ok || !readPerson(w, r, body) {
		return nil, false
	}
	s.mu.Lock()
	who := s.people[phone]
	if who == nil {
		s.mu.Unlock()
		problem(w, http.StatusNotFound, "nobody has this phone: add it with POST /people")
		return nil, false
	}
	return who, true
}

// done commits a fact about a person and answers with them. The caller holds mu.
func (s *Simulator) done(w http.ResponseWriter, who *person, f fact) {
	if s.commit(f) != nil {
		problem(w, http.StatusInternalServerError, "the journal cannot be written")
		return
	}
	writeJSON(w, http.StatusOK, viewPerson(who))
}

// postMarketing is a person who stops or resumes marketing in WhatsApp itself, as its menu of a business offers.
func (s *Simulator) postMarketing(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Value string `json:"value"`
	}
	who, ok := s.aPerson(w, r, &body)
	if !ok {
		return
	}
	defer s.mu.Unlock()
	if body.Value != "stop" && body.Value != "resume" {
		problem(w, http.StatusBadRequest, "value must be stop or resume")
		return
	}
	stopped := body.Value == "stop"
	if stopped == who.Stopped {
		writeJSON(w, http.StatusOK, viewPerson(who))
		return
	}
	s.done(w, who, fact{Person: &personFact{Phone: who.Phone, Stopped: &stopped}, Hooks: []hook{
		s.hook(0, who.Phone, "", "user_preferences", s.messagesValue(who, true, "user_preferences", object{
			"wa_id": digits(who.Phone), "user_id": who.UserID, "detail": "User requested to " + body.Value + " marketing messages",
			"category": "marketing_messages", "value": body.Value, "timestamp": s.now().Unix(),
		})),
	}})
}

// postBlock is a person who blocks the business or unblocks it, and perhaps reports it. WhatsApp tells the business neither.
func (s *Simulator) postBlock(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Blocked *bool `json:"blocked"`
		Report  bool  `json:"report"`
	}
	who, ok := s.aPerson(w, r, &body)
	if !ok {
		return
	}
	defer s.mu.Unlock()
	if body.Blocked == nil {
		problem(w, http.StatusBadRequest, "blocked must be true or false")
		return
	}
	if *body.Blocked == who.Blocked && !body.Report {
		writeJSON(w, http.StatusOK, viewPerson(who))
		return
	}
	s.done(w, who, fact{Person: &personFact{Phone: who.Phone, Blocked: body.Blocked, Reported: body.Report}})
}

// postNumber is a person who takes another number, and their chats with them.
func (s *Simulator) postNumber(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Phone string `json:"phone"`
	}
	who, ok := s.aPerson(w, r, &body)
	if !ok {
		return
	}
	defer s.mu.Unlock()
	phone, ok := parsePhone(spaces.Replace(body.Phone))
	switch {
	case !ok:
		problem(w, http.StatusBadRequest, "phone must be a phone number in E.164, such as +4520123456")
		return
	case phone == s.opt.BusinessPhone:
		problem(w, http.StatusConflict, "that is the business's own number")
		return
	case s.people[phone] != nil:
		problem(w, http.StatusConflict, "somebody has that number")
		return
	}
	s.done(w, who, s.numberFact(who, phone))
}
