package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"punchcard"
)

// Identify finds the customer known by the identities, nil when nobody is. Identities that name different customers are refused
// with CodeConflict, unless one of the customers has given up the names by which the others are known now: whoever names them
// so has not heard of it. A name that everybody has given up names its last owner, where nothing else is said.
func (tx *Tx) Identify(identities []punchcard.Identity) (*punchcard.Customer, error) {
	owner, err := tx.ownerOf(identities)
	if err != nil || owner == "" {
		return nil, err
	}
	return tx.Customer(owner)
}

func (tx *Tx) ownerOf(identities []punchcard.Identity) (string, error) {
	var live []punchcard.Identity
	gone := map[string][]punchcard.Identity{} // by customer: names that were theirs
	var last *punchcard.Identity
	for _, name := range identities {
		rows, err := tx.holders(name.Kind, name.Value)
		if err != nil {
			return "", err
		}
		for _, r := range rows {
			if r.RetiredAt == nil {
				live = append(live, r)
			} else {
				gone[r.CustomerID] = append(gone[r.CustomerID], r)
			}
		}
		if h := rows.last(); h != nil {
			last = h
		}
	}
	if len(live) == 0 {
		if last != nil && len(identities) == 1 {
			return last.CustomerID, nil
		}
		return "", nil
	}
	left := func(customer string, name punchcard.Identity) bool {
		return slices.ContainsFunc(gone[customer], func(g punchcard.Identity) bool { return g.Kind == name.Kind && g.Value == name.Value })
	}
	owners := map[string]bool{}
	for _, candidate := range live {
		if !slices.ContainsFunc(live, func(l punchcard.Identity) bool {
			return l.CustomerID != candidate.CustomerID && !left(candidate.CustomerID, l)
		}) {
			owners[candidate.CustomerID] = true
		}
	}
	if len(owners) != 1 {
		return "", ErrTwoCustomers
	}
	for owner := range owners {
		return owner, nil
	}
	return "", nil
}

// holders are a name's owner, if somebody has it now, and those who had it.
type holders []punchcard.Identity

func (tx *Tx) holders(kind punchcard.IdentityKind, value string) (holders, error) {
	if value == "" {
		return nil, nil
	}
	return list[punchcard.Identity](tx.db.Where("kind = ? AND value = ?", kind, value).Order("retired_at, customer_id"))
}

// now is who has the name, or nil.
func (h holders) now() *punchcard.Identity {
	for i := range h {
		if h[i].RetiredAt == nil {
			return &h[i]
		}
	}
	return nil
}

// last is who gave the name up last, nil when nobody did or somebody has it.
func (h holders) last() (last *punchcard.Identity) {
	if h.now() != nil {
		return nil
	}
	for i := range h {
		if last == nil || h[i].RetiredAt.After(*last.RetiredAt) {
			last = &h[i]
		}
	}
	return last
}

// at is who had the name at a moment, which is zero when it is not known: who has it now, unless somebody gave it up after then.
// Who gave it up before then is not the one.
func (h holders) at(when time.Time) *punchcard.Identity {
	if when.IsZero() {
		if now := h.now(); now != nil {
			return now
		}
		return h.last()
	}
	var had *punchcard.Identity
	for i := range h {
		if r := h[i].RetiredAt; r != nil && !r.Before(when) && (had == nil || r.Before(*had.RetiredAt)) {
			had = &h[i]
		}
	}
	if had != nil {
		return had
	}
	return h.now()
}

// of tells whether a customer has or had the name.
func (h holders) of(customer string) *punchcard.Identity {
	for i := range h {
		if h[i].CustomerID == customer {
			return &h[i]
		}
	}
	return nil
}

// Owners are the ids of the customers who are known by names now, by kind and value. A name that is nobody's is not there.
func (tx *Tx) Owners(names []punchcard.Identity) (map[[2]string]string, error) {
	byKind := map[punchcard.IdentityKind][]string{}
	for _, n := range names {
		byKind[n.Kind] = append(byKind[n.Kind], n.Value)
	}
	owners := map[[2]string]string{}
	for kind, values := range byKind {
		rows, err := list[punchcard.Identity](tx.db.Where("kind = ? AND value IN ? AND retired_at IS NULL", kind, values))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			owners[[2]string{string(r.Kind), r.Value}] = r.CustomerID
		}
	}
	return owners, nil
}

// LockNamed locks the customers who have or had one of the names, and those with one of our ids, in the order of their ids: whoever
// adds names to several customers in one transaction begins with it.
func (tx *Tx) LockNamed(ids []string, names []punchcard.Identity) error {
	ids = slices.Clone(ids)
	byKind := map[punchcard.IdentityKind][]string{}
	for _, n := range names {
		byKind[n.Kind] = append(byKind[n.Kind], n.Value)
	}
	for kind, values := range byKind {
		var owners []string
		if err := tx.db.Model(&punchcard.Identity{}).Where("kind = ? AND value IN ?", kind, values).Pluck("customer_id", &owners).Error; err != nil {
			return err
		}
		ids = append(ids, owners...)
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 0 {
		return nil
	}
	return tx.LockCustomers(ids)
}

// Enroll finds the customer known by the identities, makes one if nobody is, and adds the identities that are new, under the customer's
// lock. It answers CodeConflict as Identify does. Two callers who enroll the same person at once get the same customer.
func (tx *Tx) Enroll(identities []punchcard.Identity, fresh punchcard.Customer) (*punchcard.Customer, error) {
	c, err := tx.Identify(identities)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return tx.newCustomer(identities, fresh)
	}
	if c, err = tx.LockCustomer(c.ID); err != nil {
		return nil, err
	}
	if err := tx.LearnRegion(c, fresh.Country, fresh.Zone); err != nil {
		return nil, err
	}
	return c, tx.AddIdentities(c, identities)
}

func (tx *Tx) newCustomer(identities []punchcard.Identity, fresh punchcard.Customer) (*punchcard.Customer, error) {
	c := &fresh
	c.ID, c.CreatedAt = punchcard.NewID(punchcard.PrefixCustomer), tx.Now
	if c.Since = kept(c.Since); c.Since.IsZero() || c.Since.After(tx.Now) {
		c.Since = tx.Now
	}
	if c.Attributes == nil {
		c.Attributes = map[string]any{}
	}
	if c.Labels == nil {
		c.Labels = []string{}
	}
	if err := tx.db.Create(c).Error; err != nil {
		return nil, err
	}
	if err := tx.AddIdentities(c, identities); err != nil {
		if errors.Is(err, ErrTwoCustomers) {
			// Another transaction enrolled the same person since Identify looked: start over and find them.
			err = errEnrolledMeanwhile
		}
		return nil, err
	}
	return c, nil
}

// LearnRegion gives a customer the country and the time zone of their phone, where these were unknown so far: they came by
// another name first, and by phone later.
func (tx *Tx) LearnRegion(c *punchcard.Customer, country, zone string) error {
	if c.Country == "" && country != "" {
		c.Country = country
		if err := tx.db.Model(c).Where("country = ''").Update("country", country).Error; err != nil {
			return err
		}
	}
	if c.Zone == "" && zone != "" {
		c.Zone = zone
		return tx.db.Model(c).Where("zone = ''").Update("zone", zone).Error
	}
	return nil
}

// moveRegion gives a customer the country and the time zone of the phone that is theirs from now on. A zone that a backend told stays.
func (tx *Tx) moveRegion(customer, phone string) error {
	_, region, err := punchcard.ParsePhone(phone)
	if err != nil || region == "" {
		return nil //nolint:nilerr // what is no phone says nothing about where somebody is
	}
	return tx.db.Model(&punchcard.Customer{}).Where("id = ?", customer).Updates(map[string]any{
		"country": region, "zone": gorm.Expr("CASE WHEN timezone = '' THEN CAST(? AS text) ELSE zone END", punchcard.PhoneZone(phone)),
	}).Error
}

// AddIdentities gives a customer, who is locked, names; those that they have, or have given up, change nothing. The error is
// CodeConflict when one of them is another customer's, and ErrTryAgain when the customer was merged before they were locked: the name
// would stay with who they are no more.
func (tx *Tx) AddIdentities(c *punchcard.Customer, identities []punchcard.Identity) error {
	if c.MergedInto != nil {
		return fmt.Errorf("a customer was merged meanwhile: %w", ErrTryAgain)
	}
	// In one order for all: two callers who name the same person's identities otherwise would wait for each other.
	inOrder := slices.SortedFunc(slices.Values(identities), func(a, b punchcard.Identity) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	for _, id := range inOrder {
		id.CustomerID, id.CreatedAt, id.RetiredAt = c.ID, tx.Now, nil
		r := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&id)
		if r.Error != nil {
			return r.Error
		}
		if r.RowsAffected == 0 {
			have, err := tx.holders(id.Kind, id.Value)
			if err != nil {
				return err
			}
			switch now := have.now(); {
			case have.of(c.ID) != nil:
			case now == nil:
				return errEnrolledMeanwhile
			default:
				return ErrTwoCustomers
			}
			continue
		}
		if _, region, _ := punchcard.ParsePhone(id.Value); id.Kind == punchcard.IdentityPhone && region != c.Country {
			if err := tx.moveRegion(c.ID, id.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// Fits answers CodeConflict when one of the names is another customer's, and not one that this customer has given up.
func (tx *Tx) Fits(c *punchcard.Customer, identities []punchcard.Identity) error {
	for _, name := range identities {
		have, err := tx.holders(name.Kind, name.Value)
		if err != nil {
			return err
		}
		if now := have.now(); now != nil && have.of(c.ID) == nil {
			return ErrTwoCustomers
		}
	}
	return nil
}

// Named are the ids of the customers who are named, by our id ("": not) and by names that they have now.
func (tx *Tx) Named(own string, identities []punchcard.Identity) ([]string, error) {
	var ids []string
	if own != "" {
		c, err := tx.Customer(own)
		if c, err = must(c, err, "customer"); err != nil {
			return nil, err
		}
		ids = append(ids, c.ID)
	}
	for _, name := range identities {
		have, err := tx.holders(name.Kind, name.Value)
		if err != nil {
			return nil, err
		}
		if now := have.now(); now != nil {
			ids = append(ids, now.CustomerID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// Retire takes a name from a customer as of a moment, and of a number every form. It stays in the history: a late webhook still finds
// them by it.
func (tx *Tx) Retire(name punchcard.Identity, at time.Time) error {
	at = kept(at)
	if at.IsZero() || at.After(tx.Now) {
		at = tx.Now
	}
	values := []string{name.Value}
	if name.Kind == punchcard.IdentityPhone {
		names, err := tx.Identities(name.CustomerID)
		if err != nil {
			return err
		}
		for _, n := range names {
			if n.Kind == punchcard.IdentityPhone && punchcard.OneNumber(n.Value, name.Value) {
				values = append(values, n.Value)
			}
		}
	}
	return tx.db.Model(&punchcard.Identity{}).
		Where("kind = ? AND value IN ? AND customer_id = ? AND retired_at IS NULL", name.Kind, values, name.CustomerID).
		Update("retired_at", at).Error
}

// own makes a name a customer's as of a moment, whoever had it. Who had it is locked, and so is the customer.
func (tx *Tx) own(c string, kind punchcard.IdentityKind, value string, have holders, at time.Time) error {
	now := have.now()
	if now != nil && now.CustomerID == c {
		return nil
	}
	if now != nil {
		if err := tx.Retire(*now, at); err != nil {
			return err
		}
	}
	since := tx.Now
	if !at.IsZero() && at.Before(tx.Now) {
		since = kept(at)
	}
	r := tx.db.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "kind"}, {Name: "value"}, {Name: "customer_id"}},
		DoUpdates: clause.Assignments(map[string]any{"created_at": since, "retired_at": gorm.Expr("NULL")}),
	}).Create(&punchcard.Identity{Kind: kind, Value: value, CustomerID: c, CreatedAt: since})
	if isDuplicate(r.Error) {
		// On PostgreSQL this ends the transaction, which is what starting over needs.
		return fmt.Errorf("%w: %w", errEnrolledMeanwhile, r.Error)
	}
	if r.Error != nil || kind != punchcard.IdentityPhone {
		return r.Error
	}
	if err := tx.moveRegion(c, value); err != nil {
		return err
	}
	return tx.Reached(c) // a new number may be reached where the one before was not
}

// ErrTwoCustomers says that names which should be one person's belong to two.
var ErrTwoCustomers = punchcard.Errorf(punchcard.CodeConflict, "these identities belong to two customers").Because("two_customers")

var errEnrolledMeanwhile = fmt.Errorf("another transaction enrolled this customer: %w", ErrTryAgain)

// Customer reads a customer, or nil. An id that turned out to be another's leads to who they are now.
func (tx *Tx) Customer(id string) (*punchcard.Customer, error) { return tx.follow(tx.db, id) }

// LockCustomer reads a customer and holds the lock under which everything about them is decided. The first lock of any
// transaction. An id that turned out to be another's leads to who they are now: use the answer's, not the one that was asked
// for. The error is CodeNotFound when there is none.
func (tx *Tx) LockCustomer(id string) (*punchcard.Customer, error) {
	// A merged row that is met on the way stays locked, out of order. Nobody needs it for long, and who waits for it the wrong way
	// round is broken off by the database and tries again.
	c, err := tx.follow(tx.db.Clauses(lock), id)
	return must(c, err, "customer")
}

// follow reads a customer, and whom they were merged into. Nobody is merged into one who is merged already, and who is merged
// stays so: this ends.
func (tx *Tx) follow(q *gorm.DB, id string) (*punchcard.Customer, error) {
	for {
		c, err := one[punchcard.Customer](q.Session(&gorm.Session{}).Where("id = ?", id))
		if err != nil || c == nil || c.MergedInto == nil {
			return c, err
		}
		id = *c.MergedInto
	}
}

// SaveCustomer writes a customer that is locked.
func (tx *Tx) SaveCustomer(c *punchcard.Customer) error { return tx.db.Save(c).Error }

// Identities lists the names that a customer has now, oldest first.
func (tx *Tx) Identities(customer string) ([]punchcard.Identity, error) {
	return list[punchcard.Identity](tx.db.Where("customer_id = ? AND retired_at IS NULL", customer).Order("created_at, kind, value"))
}

// IdentityHistory lists the names that a customer has or had, oldest first.
func (tx *Tx) IdentityHistory(customer string) ([]punchcard.Identity, error) {
	return list[punchcard.Identity](tx.db.Where("customer_id = ?", customer).Order("created_at, kind, value"))
}

// IdentitiesOf lists the names of some customers, oldest first.
func (tx *Tx) IdentitiesOf(customers []string) ([]punchcard.Identity, error) {
	return list[punchcard.Identity](tx.db.Where("customer_id IN ? AND retired_at IS NULL", customers).Order("customer_id, created_at, kind, value"))
}

// CustomersAfter lists customers by id for paging, without those who turned out to be others.
func (tx *Tx) CustomersAfter(after string, limit int) ([]punchcard.Customer, error) {
	return list[punchcard.Customer](tx.db.Where("id > ? AND merged_into IS NULL", after).Order("id").Limit(limit))
}
