package store

import (
	"slices"
	"time"

	"gorm.io/gorm/clause"

	"punchcard"
)

// Names are what WhatsApp calls one person in one place of a webhook. That they stand together proves that they are one person's
// at that moment. Any may be empty, but not all.
type Names struct {
	Phone        string // E.164
	UserID       string
	ParentUserID string
	At           time.Time // zero when it is not known
}

// Recognition is whom WhatsApp's names are found to mean.
type Recognition struct {
	Customer *punchcard.Customer
	// Same is another customer, not nil when the names prove that both are one person. Then nothing was written, and both are locked:
	// merge them and recognize again.
	Same *punchcard.Customer
}

// Recognize finds or makes the customer whom WhatsApp names, and keeps the names that are new.
//
// The user id decides. A phone goes with it: to a user id that is new, a known phone says who they are, unless the phone's
// customer has or had another user id. Then it is somebody else's now (numbers are given out again), and the customer who had it
// keeps it in the history only. Names in a webhook that is older than the change of a name prove nothing new.
func (tx *Tx) Recognize(n Names, fresh punchcard.Customer) (Recognition, error) {
	if n.Phone == "" && n.UserID == "" && n.ParentUserID == "" {
		return Recognition{}, punchcard.Errorf(punchcard.CodeInvalid, "nobody is named")
	}
	found, err := tx.recognize(n)
	if err != nil {
		return Recognition{}, err
	}
	if found.owner != "" && !found.changes() {
		c, err := tx.Customer(found.owner)
		if err == nil && c == nil {
			err = errEnrolledMeanwhile
		}
		if err != nil {
			return Recognition{}, err
		}
		return Recognition{Customer: c}, tx.LearnRegion(c, fresh.Country, fresh.Zone)
	}
	// What is to be written is decided again under the locks of all whom it touches.
	involved := found.involved()
	if len(involved) > 0 {
		if err := tx.LockCustomers(involved); err != nil {
			return Recognition{}, err
		}
		again, err := tx.recognize(n)
		if err != nil {
			return Recognition{}, err
		}
		if !slices.Equal(again.involved(), involved) {
			return Recognition{}, errEnrolledMeanwhile
		}
		found = again
	}
	if found.same != "" {
		c, err := tx.LockCustomer(found.owner)
		if err != nil {
			return Recognition{}, err
		}
		same, err := tx.LockCustomer(found.same)
		return Recognition{c, same}, err
	}
	var c *punchcard.Customer
	if found.owner == "" {
		c, err = tx.newCustomer(nil, fresh)
	} else {
		c, err = tx.LockCustomer(found.owner)
	}
	if err != nil {
		return Recognition{}, err
	}
	for _, t := range found.take {
		if err := tx.own(c.ID, t.kind, t.value, t.have, n.At); err != nil {
			return Recognition{}, err
		}
	}
	return Recognition{Customer: c}, tx.LearnRegion(c, fresh.Country, fresh.Zone)
}

// taking is a name that goes to whom it proves to be.
type taking struct {
	kind  punchcard.IdentityKind
	value string
	have  holders
}

type finding struct {
	owner string // "": somebody new
	same  string // another customer who is the same person; "": nobody
	take  []taking
	form  string // a number of the owner's of which another form is to be kept; "": none
}

func (f *finding) changes() bool { return f.same != "" || len(f.take) > 0 || f.form != "" }

// involved are the customers whom it touches, in the order of locks.
func (f *finding) involved() []string {
	var ids []string
	for _, id := range []string{f.owner, f.same} {
		if id != "" {
			ids = append(ids, id)
		}
	}
	for _, t := range f.take {
		if now := t.have.now(); now != nil {
			ids = append(ids, now.CustomerID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (f *finding) takes(kind punchcard.IdentityKind, value string, have holders) {
	if now := have.now(); value != "" && (now == nil || now.CustomerID != f.owner) {
		f.take = append(f.take, taking{kind, value, have})
	}
}

func (tx *Tx) recognize(n Names) (finding, error) {
	users, err := tx.holders(punchcard.IdentityUserID, n.UserID)
	if err != nil {
		return finding{}, err
	}
	phones, err := tx.holders(punchcard.IdentityPhone, n.Phone)
	if err != nil {
		return finding{}, err
	}
	parents, err := tx.holders(punchcard.IdentityParentUserID, n.ParentUserID)
	if err != nil {
		return finding{}, err
	}
	had := phones.at(n.At)
	late := had != nil && had.RetiredAt != nil // the phone has gone on to somebody else since

	if n.UserID == "" && n.ParentUserID == "" {
		if had != nil {
			return finding{owner: had.CustomerID}, nil
		}
		return finding{take: []taking{{punchcard.IdentityPhone, n.Phone, phones}}}, nil
	}

	var f finding
	user := users.now()
	switch gone := users.last(); {
	case user != nil:
		f.owner = user.CustomerID
	case gone != nil:
		return finding{owner: gone.CustomerID}, nil // user ids are never given out again: it is late, and proves nothing new
	case parents.now() != nil:
		f.owner = parents.now().CustomerID
	case n.UserID == "" && parents.last() != nil:
		return finding{owner: parents.last().CustomerID}, nil
	case had != nil:
		strange, err := tx.hasKind(had.CustomerID, punchcard.IdentityUserID)
		if err != nil {
			return finding{}, err
		}
		if !strange {
			f.owner = had.CustomerID
		}
	}
	if n.UserID != "" && user == nil && (!late || f.owner == "" || had.CustomerID != f.owner) {
		f.takes(punchcard.IdentityUserID, n.UserID, users)
	}
	if p := parents.now(); p != nil && p.CustomerID != f.owner {
		apart, err := tx.toldApart(p.CustomerID, f.owner)
		if err != nil {
			return finding{}, err
		}
		if !apart {
			return finding{owner: f.owner, same: p.CustomerID}, nil
		}
	} else if p == nil && parents.last() == nil {
		f.takes(punchcard.IdentityParentUserID, n.ParentUserID, parents)
	}
	if n.Phone == "" || late || had != nil && had.CustomerID == f.owner {
		return f, nil
	}
	if mine := phones.of(f.owner); f.owner != "" && mine != nil {
		return f, nil // they have given it up, and only a notice of WhatsApp's gives it back
	}
	if had != nil && f.owner != "" {
		strange, err := tx.hasKind(had.CustomerID, punchcard.IdentityUserID)
		if err != nil {
			return finding{}, err
		}
		apart, err := tx.toldApart(had.CustomerID, f.owner)
		if err != nil {
			return finding{}, err
		}
		if !strange && !apart {
			return finding{owner: f.owner, same: had.CustomerID}, nil
		}
	}
	if !tookSince(had, n.At) {
		f.takes(punchcard.IdentityPhone, n.Phone, phones)
	}
	return f, nil
}

// tookSince tells whether a name came to whom it is now after a moment: what is said of that moment does not take it from them.
func tookSince(now *punchcard.Identity, when time.Time) bool {
	return now != nil && !when.IsZero() && now.CreatedAt.After(when.Add(time.Second))
}

// Unheard tells whether a name is nobody's, and never was anybody's.
func (tx *Tx) Unheard(name punchcard.Identity) (bool, error) {
	have, err := tx.holders(name.Kind, name.Value)
	return len(have) == 0, err
}

// hasKind tells whether a customer has or had a name of one of the kinds.
func (tx *Tx) hasKind(customer string, kinds ...punchcard.IdentityKind) (bool, error) {
	n, err := count[punchcard.Identity](tx.db.Where("customer_id = ? AND kind IN ?", customer, kinds))
	return n > 0, err
}

// toldApart tells whether the backend has told two customers apart: both have ids of its own.
func (tx *Tx) toldApart(a, b string) (bool, error) {
	for _, id := range []string{a, b} {
		if has, err := tx.hasKind(id, punchcard.IdentityExternal); err != nil || !has {
			return false, err
		}
	}
	return true, nil
}

// SameByBackend tells whether a backend that names two customers as one is to be believed: one of them is known by its own ids
// only, and the other by WhatsApp's names only. Anything else may be a mistake about two people.
func (tx *Tx) SameByBackend(a, b string) (bool, error) {
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		onWhatsApp, err := tx.hasKind(pair[0], punchcard.IdentityPhone, punchcard.IdentityUserID, punchcard.IdentityParentUserID)
		if err != nil {
			return false, err
		}
		own, err := tx.hasKind(pair[1], punchcard.IdentityExternal)
		if err != nil {
			return false, err
		}
		if !onWhatsApp && !own {
			return true, nil
		}
	}
	return false, nil
}

// Change is WhatsApp's notice that somebody's names have changed.
type Change struct {
	Old, New Names
	At       time.Time
}

// Rename moves a person's names: the old ones are given up as of the notice, and the new ones are theirs. It answers whom the
// notice is about, or nobody when they are not known. As in Recognize, when Same is not nil nothing was written: merge, and
// rename again.
//
// A new name that somebody else has becomes the person's: WhatsApp gives a number out again. But when the notice does not say
// the person's new user id, and the number's customer has one, either may be right, and the number stays where it is.
func (tx *Tx) Rename(ch Change) (Recognition, error) {
	before, err := tx.renaming(ch)
	if err != nil || before.owner == "" {
		return Recognition{}, err
	}
	if err := tx.LockCustomers(before.involved()); err != nil {
		return Recognition{}, err
	}
	f, err := tx.renaming(ch)
	if err != nil {
		return Recognition{}, err
	}
	if !slices.Equal(f.involved(), before.involved()) {
		return Recognition{}, errEnrolledMeanwhile
	}
	c, err := tx.LockCustomer(f.owner)
	if err != nil {
		return Recognition{}, err
	}
	if f.same != "" {
		same, err := tx.LockCustomer(f.same)
		return Recognition{c, same}, err
	}
	for _, old := range []punchcard.Identity{
		{Kind: punchcard.IdentityPhone, Value: changed(ch.Old.Phone, ch.New.Phone)},
		{Kind: punchcard.IdentityUserID, Value: changed(ch.Old.UserID, ch.New.UserID)},
		{Kind: punchcard.IdentityParentUserID, Value: changed(ch.Old.ParentUserID, ch.New.ParentUserID)},
	} {
		if old.Value == "" {
			continue
		}
		old.CustomerID = c.ID
		if err := tx.Retire(old, ch.At); err != nil {
			return Recognition{}, err
		}
	}
	for _, t := range f.take {
		if err := tx.own(c.ID, t.kind, t.value, t.have, ch.At); err != nil {
			return Recognition{}, err
		}
	}
	return Recognition{Customer: c}, nil
}

// renaming is what a notice changes.
func (tx *Tx) renaming(ch Change) (finding, error) {
	owner, err := tx.formerly(ch)
	if err != nil || owner == "" {
		return finding{}, err
	}
	f := finding{owner: owner}
	numberToo := true
	for _, name := range []punchcard.Identity{
		{Kind: punchcard.IdentityUserID, Value: ch.New.UserID}, {Kind: punchcard.IdentityParentUserID, Value: ch.New.ParentUserID},
		{Kind: punchcard.IdentityPhone, Value: ch.New.Phone},
	} {
		have, err := tx.holders(name.Kind, name.Value)
		if err != nil {
			return finding{}, err
		}
		now := have.now()
		if now == nil || now.CustomerID == owner {
			if name.Kind != punchcard.IdentityPhone || numberToo {
				f.takes(name.Kind, name.Value, have)
			}
			continue
		}
		apart, err := tx.toldApart(now.CustomerID, owner)
		if err != nil {
			return finding{}, err
		}
		strange := false
		if name.Kind == punchcard.IdentityPhone {
			if strange, err = tx.hasKind(now.CustomerID, punchcard.IdentityUserID); err != nil {
				return finding{}, err
			}
		}
		switch {
		case !apart && !strange:
			return finding{owner: owner, same: now.CustomerID}, nil
		case name.Kind != punchcard.IdentityPhone:
			numberToo = false // whom WhatsApp means by the new user id is somebody else to the backend: nothing of theirs is taken
		case numberToo && (!strange || ch.New.UserID != "") && !tookSince(now, ch.At):
			f.takes(name.Kind, name.Value, have)
		}
	}
	return f, nil
}

// changed is the old name, "" when the notice does not change it.
func changed(before, after string) string {
	if after == "" || after == before {
		return ""
	}
	return before
}

// formerly is the id of the customer whom a notice is about, by the names so far; "" when nobody is known by them.
func (tx *Tx) formerly(ch Change) (string, error) {
	users, err := tx.holders(punchcard.IdentityUserID, ch.Old.UserID)
	if err != nil {
		return "", err
	}
	if h := users.at(time.Time{}); h != nil {
		return h.CustomerID, nil
	}
	phones, err := tx.holders(punchcard.IdentityPhone, ch.Old.Phone)
	if err != nil {
		return "", err
	}
	if h := phones.at(ch.At); h != nil {
		return h.CustomerID, nil
	}
	return "", nil
}

// Introduce keeps what WhatsApp calls a customer whom we have written to, where it is new: the other form in which it has the number
// that we wrote to (it has some otherwise than they are dialed: in Brazil, in Argentina), and a user id, where they have none. A name that
// somebody has or had is left alone: what that proves, a status tells under other locks. The customer is locked.
func (tx *Tx) Introduce(customer, to string, n Names) error {
	if n.Phone != "" && n.Phone != to && punchcard.OneNumber(n.Phone, to) {
		if have, err := tx.holders(punchcard.IdentityPhone, n.Phone); err != nil {
			return err
		} else if len(have) == 0 {
			if err := tx.addForm(customer, to, n.Phone); err != nil {
				return err
			}
		}
	}
	if n.UserID == "" {
		return nil
	}
	have, err := tx.holders(punchcard.IdentityUserID, n.UserID)
	if err != nil || len(have) > 0 {
		return err
	}
	if other, err := tx.hasKind(customer, punchcard.IdentityUserID); err != nil || other {
		return err
	}
	return tx.own(customer, punchcard.IdentityUserID, n.UserID, have, tx.Now)
}

// addForm keeps another form of a customer's number beside it, if they still have that. It is as old as the number: a number that
// they get later is newer than both.
func (tx *Tx) addForm(customer, number, form string) error {
	of, err := one[punchcard.Identity](tx.db.Where("kind = ? AND value = ? AND customer_id = ? AND retired_at IS NULL", punchcard.IdentityPhone, number, customer))
	if err != nil || of == nil {
		return err
	}
	r := tx.db.Clauses(clause.OnConflict{DoNothing: true}).
		Create(&punchcard.Identity{Kind: punchcard.IdentityPhone, Value: form, CustomerID: customer, CreatedAt: of.CreatedAt})
	if r.Error == nil && r.RowsAffected == 0 {
		return errEnrolledMeanwhile
	}
	return r.Error
}

// ReceivedBy keeps what it says of a customer that a message of ours to them was received by a number which is another form of theirs:
// it is kept beside their own. When somebody else has that form, both are one person: as in Recognize, Same is not nil then, and
// nothing was written. But not when both have user ids, or theirs is not the one that received the message, when the backend has told
// them apart, or when the other came to the number later.
func (tx *Tx) ReceivedBy(customer string, n Names) (Recognition, error) {
	before, err := tx.receiving(customer, n)
	if err != nil || before.owner == "" || !before.changes() {
		return Recognition{}, err
	}
	if err := tx.LockCustomers(before.involved()); err != nil {
		return Recognition{}, err
	}
	f, err := tx.receiving(customer, n)
	if err != nil {
		return Recognition{}, err
	}
	if !slices.Equal(f.involved(), before.involved()) || f.changes() != before.changes() {
		return Recognition{}, errEnrolledMeanwhile
	}
	c, err := tx.LockCustomer(f.owner)
	if err != nil {
		return Recognition{}, err
	}
	if f.same != "" {
		same, err := tx.LockCustomer(f.same)
		return Recognition{c, same}, err
	}
	return Recognition{Customer: c}, tx.addForm(c.ID, f.form, n.Phone)
}

// receiving is what it changes that a customer's message was received by a number.
func (tx *Tx) receiving(customer string, n Names) (finding, error) {
	c, err := tx.Customer(customer)
	if err != nil || c == nil {
		return finding{}, err
	}
	have, err := tx.holders(punchcard.IdentityPhone, n.Phone)
	if err != nil || have.of(c.ID) != nil || len(have) > 0 && have.now() == nil {
		return finding{}, err
	}
	names, err := tx.Identities(c.ID)
	if err != nil {
		return finding{}, err
	}
	f := finding{owner: c.ID}
	for _, own := range names {
		switch {
		case own.Kind == punchcard.IdentityPhone && punchcard.OneNumber(own.Value, n.Phone):
			f.form = own.Value
		case own.Kind == punchcard.IdentityUserID && n.UserID != "" && own.Value != n.UserID:
			return finding{owner: c.ID}, nil // it was somebody else who received it
		}
	}
	other := have.now()
	if f.form == "" || other == nil {
		return f, nil
	}
	f.form = ""
	if tookSince(other, n.At) {
		return f, nil
	}
	if apart, err := tx.toldApart(c.ID, other.CustomerID); err != nil || apart {
		return f, err
	}
	for _, id := range []string{c.ID, other.CustomerID} {
		if has, err := tx.hasKind(id, punchcard.IdentityUserID); err != nil {
			return f, err
		} else if !has {
			f.same = other.CustomerID
		}
	}
	return f, nil
}
