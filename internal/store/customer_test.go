package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

func phone(v string) punchcard.Identity {
	return punchcard.Identity{Kind: punchcard.IdentityPhone, Value: v}
}

func external(v string) punchcard.Identity {
	return punchcard.Identity{Kind: punchcard.IdentityExternal, Value: v}
}

func TestEnroll(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		fresh := punchcard.Customer{
			Name: "Åse", Language: "da", Timezone: "Europe/Copenhagen", Country: "DK",
			Attributes: map[string]any{"vip": true, "first_name": "Åse", "friends": []any{"a", "b"}}, Labels: []string{"barista"},
			Since: monday.Add(-time.Hour).In(time.FixedZone("two hours east", 7200)),
		}
		var c *punchcard.Customer
		h.do(func(tx *store.Tx) (err error) {
			c, err = tx.Enroll([]punchcard.Identity{phone("+4520123456"), external("42")}, fresh)
			return err
		})
		require.True(h.t, punchcard.IsID(punchcard.PrefixCustomer, c.ID))

		have, err := h.view().Customer(c.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, c, have, "what is read is what the caller was given")
		require.Equal(h.t, monday, have.CreatedAt)
		require.Equal(h.t, monday.Add(-time.Hour), have.Since)
		require.Equal(h.t, fresh.Attributes, have.Attributes)

		// Known by one name, they gain the other; who is known is not changed.
		h.clock.Advance(time.Minute)
		h.do(func(tx *store.Tx) error {
			same, err := tx.Enroll([]punchcard.Identity{external("42"), {Kind: punchcard.IdentityUserID, Value: "DK.1"}}, punchcard.Customer{Name: "other"})
			require.Equal(h.t, have, same)
			return err
		})
		names, err := h.view().Identities(c.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, []punchcard.Identity{
			{Kind: punchcard.IdentityExternal, Value: "42", CustomerID: c.ID, CreatedAt: monday},
			{Kind: punchcard.IdentityPhone, Value: "+4520123456", CustomerID: c.ID, CreatedAt: monday},
			{Kind: punchcard.IdentityUserID, Value: "DK.1", CustomerID: c.ID, CreatedAt: monday.Add(time.Minute)},
		}, names)

		found, err := h.view().Identify([]punchcard.Identity{phone("+4500000000"), {Kind: punchcard.IdentityUserID, Value: "DK.1"}})
		require.NoError(h.t, err)
		require.Equal(h.t, have, found)
		found, err = h.view().Identify([]punchcard.Identity{phone("+4500000000")})
		require.NoError(h.t, err)
		require.Nil(h.t, found)

		// Two people cannot be one.
		h.customer("43")
		err = h.try(func(tx *store.Tx) error {
			_, err := tx.Enroll([]punchcard.Identity{external("42"), external("43")}, punchcard.Customer{})
			return err
		})
		require.Equal(h.t, punchcard.CodeConflict, punchcard.CodeOf(err))
		require.Equal(h.t, "two_customers", punchcard.ReasonOf(err))
	})
}

func TestEnrollTogether(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		ids := make([]string, 50)
		enroll := func(i int, met func() error) error {
			names := []punchcard.Identity{phone("+4520123456"), external("42")}
			if i%2 == 1 { // the other way round: what would lock one after the other meets in the middle
				names[0], names[1] = names[1], names[0]
			}
			met = sync.OnceValue(met)
			return h.try(func(tx *store.Tx) error {
				if err := met(); err != nil {
					return err
				}
				c, err := tx.Enroll(names, punchcard.Customer{})
				if err == nil {
					ids[i] = c.ID
				}
				return err
			})
		}
		const first = 20 // fewer than a store has connections: none of them waits for one
		met := h.meet(first)
		noErrors(h.t, together(first, func(i int) error { return enroll(i, met) }))
		noErrors(h.t, together(len(ids)-first, func(i int) error { return enroll(first+i, func() error { return nil }) }))
		for _, id := range ids {
			require.Equal(h.t, ids[0], id)
		}
		require.EqualValues(h.t, 1, scalar[int64](h, "SELECT count(*) FROM customers"))
		require.EqualValues(h.t, 2, scalar[int64](h, "SELECT count(*) FROM identities"))
	})
}

func TestCustomer(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		none, err := h.view().Customer("cus_nobody")
		require.NoError(h.t, err)
		require.Nil(h.t, none)
		err = h.try(func(tx *store.Tx) error {
			_, err := tx.LockCustomer("cus_nobody")
			return err
		})
		require.Equal(h.t, punchcard.CodeNotFound, punchcard.CodeOf(err))

		// What became empty is written too.
		var c *punchcard.Customer
		h.do(func(tx *store.Tx) (err error) {
			c, err = tx.Enroll([]punchcard.Identity{external("1")}, punchcard.Customer{
				Name: "Ada", Language: "en", Timezone: "UTC", Country: "GB", Attributes: map[string]any{"n": 1.5}, Labels: []string{"x"},
			})
			return err
		})
		h.clock.Advance(time.Hour)
		want := punchcard.Customer{ID: c.ID, Attributes: map[string]any{}, Labels: []string{}, Since: monday, CreatedAt: monday}
		h.do(func(tx *store.Tx) error {
			_, err := tx.LockCustomer(c.ID)
			require.NoError(h.t, err)
			return tx.SaveCustomer(&want)
		})
		have, err := h.view().Customer(c.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, &want, have)

		all := []string{c.ID}
		for i := range 4 {
			all = append(all, h.customer(fmt.Sprintf("more-%d", i)).ID)
		}
		var paged []string
		for after := ""; ; {
			page, err := h.view().CustomersAfter(after, 2)
			require.NoError(h.t, err)
			if len(page) == 0 {
				break
			}
			for _, c := range page {
				paged = append(paged, c.ID)
			}
			after = page[len(page)-1].ID
		}
		require.Equal(h.t, all, paged)
	})
}

func TestAddIdentities(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c, other := h.customer("1"), h.customer("2")
		h.do(func(tx *store.Tx) error {
			return tx.AddIdentities(c, []punchcard.Identity{external("1"), phone("+4520123456")})
		})
		err := h.try(func(tx *store.Tx) error {
			return tx.AddIdentities(other, []punchcard.Identity{external("3"), phone("+4520123456")})
		})
		require.Equal(h.t, punchcard.CodeConflict, punchcard.CodeOf(err))
		names, err := h.view().Identities(other.ID)
		require.NoError(h.t, err)
		require.Len(h.t, names, 1, "nothing of what was refused is kept")
	})
}

func TestOwners(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c, other := h.customer("1"), h.customer("2")
		h.do(func(tx *store.Tx) error { return tx.AddIdentities(c, []punchcard.Identity{phone("+4520123456")}) })
		owners, err := h.view().Owners([]punchcard.Identity{external("1"), external("2"), external("3"), phone("+4520123456"), phone("1")})
		require.NoError(h.t, err)
		require.Equal(h.t, map[[2]string]string{
			{"external", "1"}: c.ID, {"external", "2"}: other.ID, {"phone", "+4520123456"}: c.ID,
		}, owners)
		owners, err = h.view().Owners(nil)
		require.NoError(h.t, err)
		require.Empty(h.t, owners)
	})
}

func TestLearnRegion(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		for _, region := range [][2]string{{"", ""}, {"DK", ""}, {"SE", "Europe/Copenhagen"}, {"", "Europe/Stockholm"}} {
			h.do(func(tx *store.Tx) error { return tx.LearnRegion(c, region[0], region[1]) })
		}
		require.Equal(h.t, "DK", c.Country, "the first that is known stays")
		require.Equal(h.t, "Europe/Copenhagen", c.Zone)
		have, err := h.view().Customer(c.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, c, have)
	})
}

// A name that comes for a customer in the instant in which they turn out to be another is that other's.
func TestNameInTheInstantOfAMerge(t *testing.T) {
	t.Parallel()
	for way, add := range map[string]func(tx *store.Tx, known, fresh punchcard.Identity) error{
		"enroll": func(tx *store.Tx, known, fresh punchcard.Identity) error {
			_, err := tx.Enroll([]punchcard.Identity{known, fresh}, punchcard.Customer{})
			return err
		},
		"add": func(tx *store.Tx, known, fresh punchcard.Identity) error {
			if err := tx.LockNamed(nil, []punchcard.Identity{known}); err != nil {
				return err
			}
			c, err := tx.Identify([]punchcard.Identity{known})
			if err != nil {
				return err
			}
			return tx.AddIdentities(c, []punchcard.Identity{fresh})
		},
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			each(t, func(h *house) {
				into, from := h.customer("into"), h.customer("from")
				added, begun := make(chan error, 1), false
				h.do(func(tx *store.Tx) error {
					stays, goes, err := tx.LockToMerge(into.ID, from.ID)
					if err != nil {
						return err
					}
					if stays.ID != into.ID {
						stays, goes = goes, stays
					}
					if err := tx.Merge(stays, goes); err != nil || begun {
						return err
					}
					begun = true
					go func() {
						added <- h.try(func(tx *store.Tx) error { return add(tx, external("from"), phone("+4520123456")) })
					}()
					if h.Dialect() == store.SQLite {
						return nil // whoever adds waits for the writer
					}
					for end := time.Now().Add(20 * time.Second); len(added) == 0; {
						waits := scalar[int64](h, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
						if waits > 0 {
							return nil
						}
						require.True(h.t, time.Now().Before(end), "it neither waits nor comes to an end")
					}
					return nil
				})
				require.NoError(h.t, <-added)
				require.Zero(h.t, scalar[int64](h, "SELECT count(*) FROM identities WHERE customer_id = ?", from.ID))
				c, err := h.view().Identify([]punchcard.Identity{phone("+4520123456")})
				require.NoError(h.t, err)
				require.NotNil(h.t, c)
				require.Equal(h.t, into.ID, c.ID)
			})
		})
	}
}

// The form in which WhatsApp has a number stands beside it, and is no newer: a number that the customer gets since is what they are written to.
func TestIntroduce(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		const dialed, form, later = "+5511987654321", "+551187654321", "+5521912345678"
		c, other := h.customer("1"), h.customer("2")
		introduce := func(to, form, user string) []string {
			h.clock.Advance(time.Minute)
			h.do(func(tx *store.Tx) error {
				c, err := tx.LockCustomer(c.ID)
				require.NoError(h.t, err)
				return tx.Introduce(c.ID, to, store.Names{Phone: form, UserID: user})
			})
			names, err := h.view().Identities(c.ID)
			require.NoError(h.t, err)
			var values []string
			for _, n := range names {
				values = append(values, n.Value)
			}
			return values
		}
		give := func(c *punchcard.Customer, name punchcard.Identity) {
			h.clock.Advance(time.Minute)
			h.do(func(tx *store.Tx) error {
				c, err := tx.LockCustomer(c.ID)
				require.NoError(h.t, err)
				return tx.AddIdentities(c, []punchcard.Identity{name})
			})
		}
		give(c, phone(dialed))
		give(c, phone(later))
		require.Equal(h.t, []string{"1", form, dialed, later}, introduce(dialed, form, ""))
		require.Equal(h.t, []string{"1", form, dialed, later}, introduce(dialed, "+4520123456", ""), "that is no form of it")
		require.Equal(h.t, []string{"1", form, dialed, later}, introduce("+5531912345678", "+553112345678", ""), "they do not have that number")
		give(other, punchcard.Identity{Kind: punchcard.IdentityUserID, Value: "BR.2"})
		require.Equal(h.t, []string{"1", form, dialed, later}, introduce(dialed, form, "BR.2"), "it is somebody's")
		require.Equal(h.t, []string{"1", form, dialed, later, "BR.1"}, introduce(dialed, form, "BR.1"))
		require.Equal(h.t, []string{"1", form, dialed, later, "BR.1"}, introduce(dialed, form, "BR.3"), "they have one")

		h.do(func(tx *store.Tx) error {
			_, err := tx.LockCustomer(c.ID)
			require.NoError(h.t, err)
			return tx.Retire(punchcard.Identity{Kind: punchcard.IdentityPhone, Value: form, CustomerID: c.ID}, time.Time{})
		})
		names, err := h.view().Identities(c.ID)
		require.NoError(h.t, err)
		require.Len(h.t, names, 3, "whoever gives a number up gives up all of its forms")
	})
}
