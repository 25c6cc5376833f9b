package store

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm/clause"

	"punchcard"
)

// Identify finds the customer known by any of the identities, nil when nobody is. Identities that name different customers
// are refused with CodeConflict.
func (tx *Tx) Identify(identities []punchcard.Identity) (*punchcard.Customer, error) {
	owner := ""
	for _, want := range identities {
		have, err := one[punchcard.Identity](tx.db.Where("kind = ? AND value = ?", want.Kind, want.Value))
		if err != nil {
			return nil, err
		}
		if have == nil {
			continue
		}
		if owner != "" && owner != have.CustomerID {
			return nil, ErrTwoCustomers
		}
		owner = have.CustomerID
	}
	if owner == "" {
		return nil, nil
	}
	return tx.Customer(owner)
}

// Owners are the ids of the customers who are known by names, by kind and value. A name that is nobody's is not there.
func (tx *Tx) Owners(names []punchcard.Identity) (map[[2]string]string, error) {
	byKind := map[punchcard.IdentityKind][]string{}
	for _, n := range names {
		byKind[n.Kind] = append(byKind[n.Kind], n.Value)
	}
	owners := map[[2]string]string{}
	for kind, values := range byKind {
		rows, err := list[punchcard.Identity](tx.db.Where("kind = ? AND value IN ?", kind, values))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			owners[[2]string{string(r.Kind), r.Value}] = r.CustomerID
		}
	}
	return owners, nil
}

// Enroll finds the customer known by the identities, makes one if nobody is, and adds the identities that are new. It
// answers CodeConflict as Identify does. Two callers who enroll the same person at once get the same customer.
func (tx *Tx) Enroll(identities []punchcard.Identity, fresh punchcard.Customer) (*punchcard.Customer, error) {
	c, err := tx.Identify(identities)
	if err != nil {
		return nil, err
	}
	if c == nil {
		c = &fresh
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
	if err := tx.LearnRegion(c, fresh.Country, fresh.Zone); err != nil {
		return nil, err
	}
	return c, tx.AddIdentities(c, identities)
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

// AddIdentities gives a customer names; those that they have already change nothing. The error is CodeConflict when one of
// them is another customer's.
func (tx *Tx) AddIdentities(c *punchcard.Customer, identities []punchcard.Identity) error {
	// In one order for all: two callers who name the same person's identities otherwise would wait for each other.
	inOrder := slices.SortedFunc(slices.Values(identities), func(a, b punchcard.Identity) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	for _, id := range inOrder {
		id.CustomerID, id.CreatedAt = c.ID, tx.Now
		r := tx.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&id)
		if r.Error != nil {
			return r.Error
		}
		if r.RowsAffected == 0 {
			have, err := one[punchcard.Identity](tx.db.Where("kind = ? AND value = ?", id.Kind, id.Value))
			if err != nil {
				return err
			}
			if have == nil {
				return errEnrolledMeanwhile
			}
			if have.CustomerID != c.ID {
				return ErrTwoCustomers
			}
		}
	}
	return nil
}

// ErrTwoCustomers says that names which should be one person's belong to two.
var ErrTwoCustomers = punchcard.Errorf(punchcard.CodeConflict, "these identities belong to two customers").Because("two_customers")

var errEnrolledMeanwhile = fmt.Errorf("another transaction enrolled this customer: %w", ErrTryAgain)

// Customer reads a customer, or nil.
func (tx *Tx) Customer(id string) (*punchcard.Customer, error) {
	return one[punchcard.Customer](tx.db.Where("id = ?", id))
}

// LockCustomer reads a customer and holds the lock under which everything about them is decided. The first lock of any
// transaction. The error is CodeNotFound when there is none.
func (tx *Tx) LockCustomer(id string) (*punchcard.Customer, error) {
	c, err := one[punchcard.Customer](tx.db.Clauses(lock).Where("id = ?", id))
	return must(c, err, "customer")
}

// SaveCustomer writes a customer that is locked.
func (tx *Tx) SaveCustomer(c *punchcard.Customer) error { return tx.db.Save(c).Error }

// Identities lists a customer's names, oldest first.
func (tx *Tx) Identities(customer string) ([]punchcard.Identity, error) {
	return list[punchcard.Identity](tx.db.Where("customer_id = ?", customer).Order("created_at, kind, value"))
}

// CustomersAfter lists customers by id for paging.
func (tx *Tx) CustomersAfter(after string, limit int) ([]punchcard.Customer, error) {
	return list[punchcard.Customer](tx.db.Where("id > ?", after).Order("id").Limit(limit))
}
