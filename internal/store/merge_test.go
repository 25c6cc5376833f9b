package store_test

import (
	"maps"
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
