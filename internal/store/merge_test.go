package store_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

// Every table that names customers says what becomes of its rows when two are merged: a new one must too, and be handled in Merge.
func TestMergeKnowsEveryTable(t *testing.T) {
	t.Parallel()
	var tables []string
	for column := range readSchema(newHouse(t, storetest.New(t, store.SQLite))).columns {
		if table, ok := strings.CutSuffix(column, ".customer_id"); ok {
			tables = append(tables, table)
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(store.MergedTables)), tables)
}

// Of what is used up of WhatsApp's limits the later of the two counts, whoever stays: one person has no more than one's share.
func TestMergeKeepsLimits(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Microsecond)
	at := func(hours int) *time.Time {
		if hours == 0 {
			return nil
		}
		later := now.Add(time.Duration(hours) * time.Hour)
		return &later
	}
	each(t, func(h *house) {
		for i, stays := range []bool{true, false} {
			var ids [2]string
			for j, limits := range [2][3]int{{3, 1, 0}, {2, 2, 5}} {
				h.do(func(tx *store.Tx) error {
					name := punchcard.Identity{Kind: punchcard.IdentityExternal, Value: fmt.Sprintf("limits-%d-%d", i, j)}
					c, err := tx.Enroll([]punchcard.Identity{name}, punchcard.Customer{})
					if err != nil {
						return err
					}
					ids[j] = c.ID
					c.PairUntil, c.ContactedAt, c.MarketingAfter = at(limits[0]), at(limits[1]), at(limits[2])
					return tx.SaveReach(c)
				})
			}
			h.do(func(tx *store.Tx) error {
				older, younger, err := tx.LockToMerge(ids[0], ids[1])
				require.NoError(h.t, err)
				if stays {
					return tx.Merge(older, younger)
				}
				return tx.Merge(younger, older)
			})
			c, err := h.view().Customer(ids[0])
			require.NoError(h.t, err)
			require.True(h.t, at(3).Equal(*c.PairUntil))
			require.True(h.t, at(2).Equal(*c.ContactedAt))
			require.True(h.t, at(5).Equal(*c.MarketingAfter))
		}
	})
}

// What a customer says of themself is the older's, and the younger's where the older says nothing. What silences somebody holds
// as long as the longer.
func TestMergeUnitesProfiles(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		var a, b *punchcard.Customer
		h.do(func(tx *store.Tx) (err error) {
			a, err = tx.Enroll([]punchcard.Identity{{Kind: punchcard.IdentityExternal, Value: "a"}}, punchcard.Customer{
				Name: "Anna", Labels: []string{"x", "y"}, Attributes: map[string]any{"vip": true, "city": ""},
			})
			return err
		})
		muted := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		h.do(func(tx *store.Tx) (err error) {
			b, err = tx.Enroll([]punchcard.Identity{{Kind: punchcard.IdentityExternal, Value: "b"}}, punchcard.Customer{
				Name: "Bo", Language: "da", Labels: []string{"y", "z"}, Attributes: map[string]any{"vip": false, "city": "Aarhus"}, MutedUntil: &muted,
			})
			return err
		})
		h.do(func(tx *store.Tx) error {
			older, younger, err := tx.LockToMerge(b.ID, a.ID)
			require.NoError(h.t, err)
			require.Equal(h.t, a.ID, older.ID)
			return tx.Merge(younger, older) // the younger stays; the older's word stands all the same
		})
		c, err := h.view().Customer(a.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, b.ID, c.ID)
		require.Equal(h.t, []any{"Anna", "da", []string{"x", "y", "z"}, map[string]any{"vip": true, "city": "Aarhus"}},
			[]any{c.Name, c.Language, c.Labels, c.Attributes})
		require.Equal(h.t, muted, c.MutedUntil.UTC())
		require.ErrorIs(h.t, h.try(func(tx *store.Tx) error { _, _, err := tx.LockToMerge(a.ID, b.ID); return err }), store.ErrTryAgain)
	})
}

// Every field of a customer says what becomes of it in a merge: a new one must too, and be handled in unite.
func TestMergeKnowsEveryField(t *testing.T) {
	t.Parallel()
	var fields []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[punchcard.Customer]()) {
		fields = append(fields, f.Name)
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(store.MergedFields)), fields)
}

// Where somebody is, and whether they are reached, is what is known of the number that they are written to.
func TestMergeTakesTheLiveNumbersWord(t *testing.T) {
	t.Parallel()
	type is struct {
		country, zone, timezone string
		undelivered             int
		number                  string
	}
	for name, c := range map[string]struct{ older, younger, want is }{
		"the younger has the number": {
			is{country: "DK", zone: "Europe/Copenhagen", undelivered: 3}, is{country: "BR", zone: "America/Sao_Paulo", number: "+5511987654321"},
			is{country: "BR", zone: "America/Sao_Paulo"},
		},
		"its country has several zones": {
			is{country: "DK", zone: "Europe/Copenhagen"}, is{country: "US", number: "+12025550123"}, is{country: "US"},
		},
		"the older has it": {
			is{country: "DK", zone: "Europe/Copenhagen", number: "+4520123456"}, is{country: "BR", zone: "America/Sao_Paulo", undelivered: 2},
			is{country: "DK", zone: "Europe/Copenhagen"},
		},
		"both have one: the newer": {
			is{country: "DK", zone: "Europe/Copenhagen", number: "+4520123456", undelivered: 1}, is{country: "GB", zone: "Europe/London", number: "+447400123456", undelivered: 2},
			is{country: "GB", zone: "Europe/London", undelivered: 2},
		},
		"what a backend told of the zone stays": {
			is{country: "DK", zone: "Europe/Copenhagen", number: "+4520123456"}, is{zone: "Europe/Lisbon", timezone: "Europe/Lisbon"},
			is{country: "DK", zone: "Europe/Lisbon", timezone: "Europe/Lisbon"},
		},
		"nobody has one": {
			is{undelivered: 1}, is{country: "DK", zone: "Europe/Copenhagen"}, is{country: "DK", zone: "Europe/Copenhagen", undelivered: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(h *house) {
				var ids []string
				for i, said := range []is{c.older, c.younger} {
					h.clock.Advance(time.Minute)
					names := []punchcard.Identity{external(fmt.Sprint(i))}
					if said.number != "" {
						names = append(names, phone(said.number))
					}
					h.do(func(tx *store.Tx) error {
						made, err := tx.Enroll(names, punchcard.Customer{})
						if err != nil {
							return err
						}
						ids = append(ids, made.ID)
						made.Country, made.Zone, made.Timezone, made.Undelivered = said.country, said.zone, said.timezone, said.undelivered
						return tx.SaveCustomer(made)
					})
				}
				h.do(func(tx *store.Tx) error {
					older, younger, err := tx.LockToMerge(ids[0], ids[1])
					require.NoError(h.t, err)
					return tx.Merge(older, younger)
				})
				got, err := h.view().Customer(ids[0])
				require.NoError(h.t, err)
				require.Equal(h.t, c.want, is{country: got.Country, zone: got.Zone, timezone: got.Timezone, undelivered: got.Undelivered})
			})
		})
	}
}
