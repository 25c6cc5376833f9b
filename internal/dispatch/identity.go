package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

// mostMerges bounds how many customers one webhook may prove to be one person: its phone's, its user id's and its parent id's.
const mostMerges = 4

// recognize finds or makes the customer whom WhatsApp names, and merges those whom the names prove to be one person.
func (d *Dispatcher) recognize(ctx context.Context, tx *store.Tx, policy fence.Published, phone, userID, parent string, at time.Time) (*punchcard.Customer, error) {
	names, fresh := called(phone, userID, parent, at)
	if names == (store.Names{At: names.At}) {
		return nil, fmt.Errorf("a webhook names nobody that can be read")
	}
	return d.same(ctx, tx, policy, func() (store.Recognition, error) { return tx.Recognize(names, fresh) })
}

// same asks who is meant until nobody else proves to be the same person.
func (d *Dispatcher) same(ctx context.Context, tx *store.Tx, policy fence.Published, ask func() (store.Recognition, error)) (*punchcard.Customer, error) {
	for range mostMerges {
		found, err := ask()
		if err != nil || found.Same == nil {
			return found.Customer, err
		}
		c, err := d.fence.Merge(ctx, tx, policy.Program, found.Customer.ID, found.Same.ID, "")
		if err != nil {
			return nil, err
		}
		d.log.InfoContext(ctx, "two customers proved to be one person", "one", found.Customer.ID, "other", found.Same.ID, "stays", c.ID)
	}
	return nil, fmt.Errorf("one webhook names more customers than one person can be")
}

// called are WhatsApp's names as they are kept, and what they tell of a customer who is new.
func called(phone, userID, parent string, at time.Time) (store.Names, punchcard.Customer) {
	names, fresh := store.Names{UserID: userID, ParentUserID: parent, At: at}, punchcard.Customer{}
	if country, _, ok := strings.Cut(cmp.Or(userID, parent), "."); ok && len(country) == 2 {
		fresh.Country = country
	}
	if phone == "" {
		return names, fresh
	}
	if e164, region, err := punchcard.ParsePhone(phone); err == nil {
		names.Phone = e164
		fresh.Country, fresh.Zone = region, punchcard.PhoneZone(e164)
	}
	return names, fresh
}

// renames tells whether a notice says that somebody's names have changed.
func renames(s *whatsapp.SystemChange) bool {
	return s.Type == "user_changed_number" || s.Type == "user_changed_user_id"
}

// rename moves the names of the person whom a notice is about. The same one twice is one. One about nobody we know says nothing.
func (d *Dispatcher) rename(ctx context.Context, tx *store.Tx, policy fence.Published, in *whatsapp.Inbound) error {
	if had, err := tx.MessageByWamid(in.ID); err != nil || had != nil {
		return err
	}
	old, _ := called(in.From, cmp.Or(in.System.PreviousUserID, in.UserID), in.ParentUserID, in.At)
	names, fresh := called(in.System.Phone, in.System.UserID, in.System.ParentUserID, in.At)
	c, err := d.same(ctx, tx, policy, func() (store.Recognition, error) {
		return tx.Rename(store.Change{Old: old, New: names, At: said(in.At, tx.Now)})
	})
	if err != nil || c == nil {
		return err
	}
	if c, err = tx.LockCustomer(c.ID); err != nil {
		return err
	}
	if err := tx.LearnRegion(c, fresh.Country, fresh.Zone); err != nil {
		return err
	}
	_, err = tx.AddMessage(received(in, c, tx.Now))
	return err
}

// learn keeps the names that statuses tell of the customers whom our messages went to: that they stand together in one status
// proves that they are one person's. whose are the customers of the statuses' messages, "" for a message that is not ours. Most names are
// known, and cost one reading.
func (d *Dispatcher) learn(ctx context.Context, statuses []*whatsapp.Status, whose []string, first int, fail func(int, error)) error {
	type three struct{ phone, userID, parent string }
	told := make([]three, len(statuses)) // what each says of whom it is, as it is kept
	var names []punchcard.Identity
	for i, s := range statuses {
		if whose[i] == "" || !moved(s) {
			continue
		}
		n, _ := called(s.Recipient, s.UserID, s.ParentUserID, s.At)
		told[i] = three{n.Phone, n.UserID, n.ParentUserID}
		if n.UserID != "" {
			names = append(names, punchcard.Identity{Kind: punchcard.IdentityUserID, Value: n.UserID})
		}
		if n.Phone != "" {
			names = append(names, punchcard.Identity{Kind: punchcard.IdentityPhone, Value: n.Phone})
		}
	}
	if len(names) == 0 {
		return nil
	}
	owners, err := d.store.View(ctx).Owners(names)
	if err != nil {
		return err
	}
	learned := map[three]bool{}
	for i, t := range told {
		known := func(kind punchcard.IdentityKind, value string) bool {
			return value == "" || owners[[2]string{string(kind), value}] == whose[i]
		}
		if t.phone == "" && t.userID == "" || known(punchcard.IdentityPhone, t.phone) && known(punchcard.IdentityUserID, t.userID) || learned[t] {
			continue
		}
		learned[t] = true
		if err := d.learnOne(ctx, statuses[i], whose[i]); isOutage(err) {
			return err
		} else if err != nil {
			fail(first+i, err)
		}
	}
	return nil
}

// moved tells whether a status proves that somebody received something.
func moved(s *whatsapp.Status) bool { return s.Status != string(punchcard.MessageFailed) }

// learnOne keeps the names of one status of a message to a customer.
func (d *Dispatcher) learnOne(ctx context.Context, s *whatsapp.Status, customer string) error {
	policy, err := d.fence.Catalog.Current(ctx)
	if err != nil {
		return err
	}
	names, _ := called(s.Recipient, s.UserID, s.ParentUserID, s.At)
	return d.store.Update(ctx, func(tx *store.Tx) error {
		if names.UserID != "" {
			if err := d.introduced(ctx, tx, policy, s, customer, names); err != nil {
				return err
			}
		}
		if names.Phone == "" {
			return nil
		}
		_, err := d.same(ctx, tx, policy, func() (store.Recognition, error) { return tx.ReceivedBy(customer, names) })
		return err
	})
}

// introduced keeps the user id that a status tells of the customer to whom its message went.
func (d *Dispatcher) introduced(ctx context.Context, tx *store.Tx, policy fence.Published, s *whatsapp.Status, customer string, names store.Names) error {
	strange, err := tx.Unheard(punchcard.Identity{Kind: punchcard.IdentityPhone, Value: names.Phone})
	if err != nil {
		return err
	}
	if strange {
		// Without a number that is somebody's nothing stands together but the message and the user id: it went to whom it was written to.
		c, err := tx.LockCustomer(customer)
		if err != nil {
			return err
		}
		if err := tx.Introduce(c.ID, "", store.Names{UserID: names.UserID}); err != nil || names.Phone == "" {
			return err
		}
	}
	_, err = d.recognize(ctx, tx, policy, s.Recipient, s.UserID, s.ParentUserID, s.At)
	return err
}
