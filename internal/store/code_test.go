package store_test

import (
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

// everything is all that the database holds, as one text.
func (h *house) everything() string {
	h.t.Helper()
	write, _ := h.Pools(h.t)
	list := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if h.Dialect() == store.Postgres {
		list = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
	}
	column := func(rows *sql.Rows) (names []string) {
		for rows.Next() {
			var name string
			require.NoError(h.t, rows.Scan(&name))
			names = append(names, name)
		}
		require.NoError(h.t, rows.Err())
		require.NoError(h.t, rows.Close())
		return names
	}
	tables, err := write.QueryContext(h.t.Context(), list)
	require.NoError(h.t, err)
	var b strings.Builder
	for _, table := range column(tables) {
		rows, err := write.QueryContext(h.t.Context(), "SELECT * FROM "+table)
		require.NoError(h.t, err)
		names, err := rows.Columns()
		require.NoError(h.t, err)
		for rows.Next() {
			values := make([]any, len(names))
			for i := range values {
				values[i] = new(any)
			}
			require.NoError(h.t, rows.Scan(values...))
			for _, v := range values {
				switch v := (*(v.(*any))).(type) {
				case []byte:
					fmt.Fprintf(&b, "%s %s\n", v, hex.EncodeToString(v))
				default:
					fmt.Fprintln(&b, v)
				}
			}
		}
		require.NoError(h.t, rows.Err())
		require.NoError(h.t, rows.Close()) //nolint:sqlclosecheck // many tables in one loop; a failed test ends it
	}
	return b.String()
}

func TestCodesAreSealed(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		g := h.grant(c.ID, "free-coffee", punchcard.GrantGiven)
		h.do(func(tx *store.Tx) error {
			fresh, err := tx.AddCode("BB-SECR-ET77", "free-coffee", g.ID)
			require.True(h.t, fresh)
			require.NoError(h.t, err)
			_, err = tx.PoolCodes("free-coffee", []string{"POOLSECRET9"})
			require.NoError(h.t, err)
			return tx.SetGrantCode(g, "BB-SECR-ET77")
		})
		code, err := h.view().CodeOf(g.ID)
		require.NoError(h.t, err)
		require.Equal(h.t, "BB-SECR-ET77", code)
		for _, typed := range []string{"BB-SECR-ET77", "bbsecret77", " bb secr et77 "} {
			found, err := h.view().GrantByCode(typed)
			require.NoError(h.t, err)
			require.Equal(h.t, g.ID, found.ID)
			require.Equal(h.t, "••••••••ET77", found.Code)
		}
		all := h.everything()
		for _, secret := range []string{"BB-SECR", "BBSECRET77", "POOLSECRET", "SECR-ET"} {
			require.NotContains(h.t, all, secret)
			require.NotContains(h.t, all, hex.EncodeToString([]byte(secret)))
		}
		require.Contains(h.t, all, "••••••••ET77", "so is the reading of it all")

		// A row that is moved under another's name opens no more.
		require.NoError(h.t, h.exec("UPDATE reward_codes SET sealed = (SELECT sealed FROM reward_codes WHERE grant_id IS NULL) WHERE grant_id = ?", g.ID))
		_, err = h.view().CodeOf(g.ID)
		require.ErrorContains(h.t, err, "does not open")
		require.NotContains(h.t, err.Error(), "SECRET")
	})
}

func TestRevealIsRecorded(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		g := h.grant(h.customer("1").ID, "free-coffee", punchcard.GrantGiven)
		h.do(func(tx *store.Tx) error {
			_, err := tx.AddCode("SECRET7777", "free-coffee", g.ID)
			return err
		})
		h.do(func(tx *store.Tx) error {
			code, err := tx.Reveal(g.ID, "maria", "the phone is lost")
			require.Equal(h.t, "SECRET7777", code)
			return err
		})
		reveals, err := h.view().Reveals(g.ID)
		require.NoError(h.t, err)
		require.Len(h.t, reveals, 1)
		require.Equal(h.t, "maria", reveals[0].Author)
		require.Error(h.t, h.try(func(tx *store.Tx) error { _, err := tx.Reveal(g.ID, "", "x"); return err }), "nobody is nobody")
	})
}

func TestCodeKeysRotate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		h := newHouse(t, open())
		g := h.grant(h.customer("1").ID, "r", punchcard.GrantGiven)
		codes := make([]string, 1200)
		for i := range codes {
			codes[i] = fmt.Sprintf("CODE%04d", i)
		}
		h.do(func(tx *store.Tx) error {
			_, err := tx.PoolCodes("r", codes)
			require.NoError(t, err)
			_, err = tx.AddCode("GRANTED1", "r", g.ID)
			return err
		})
		link, err := h.view().LinkToken(g.ID)
		require.NoError(t, err)

		fresh := store.NewCodeKey("fresh")
		both, old, alone := open(), newHouse(t, open()), open()
		require.NoError(t, both.UseCodeKeys(t.Context(), []string{fresh, storetest.CodeKey}))
		require.ErrorContains(t, alone.UseCodeKeys(t.Context(), []string{fresh}), "test", "what is sealed by a key that is not there")

		total := 0
		for after := []byte(nil); ; {
			next, sealed, err := both.Reseal(t.Context(), after)
			require.NoError(t, err)
			total += sealed
			if after = next; next == nil {
				break
			}
			used, err := both.View(t.Context()).CodeKeysInUse()
			require.NoError(t, err)
			require.EqualValues(t, total, used["fresh"])
		}
		require.Equal(t, 1201, total)
		used, err := both.View(t.Context()).CodeKeysInUse()
		require.NoError(t, err)
		require.Equal(t, map[string]int64{"fresh": 1202}, used)

		// The old key may go: what was found is found, under the same hash and the same link.
		require.NoError(t, alone.UseCodeKeys(t.Context(), []string{fresh}))
		found, err := alone.View(t.Context()).GrantByCode("granted-1")
		require.NoError(t, err)
		require.Equal(t, g.ID, found.ID)
		code, err := alone.View(t.Context()).CodeOf(g.ID)
		require.NoError(t, err)
		require.Equal(t, "GRANTED1", code)
		again, err := alone.View(t.Context()).LinkToken(g.ID)
		require.NoError(t, err)
		require.Equal(t, link, again)
		// Whoever has only the old one says what is missing.
		_, err = old.view().CodeOf(g.ID)
		require.ErrorContains(t, err, "fresh")
		_, sealed, err := both.Reseal(t.Context(), nil)
		require.NoError(t, err)
		require.Zero(t, sealed, "there is nothing left to do")
	})
}

func TestCodeKeysThatAreNone(t *testing.T) {
	t.Parallel()
	good := store.NewCodeKey("a")
	for name, keys := range map[string][]string{
		"none": nil, "empty": {""}, "no id": {strings.TrimPrefix(good, "a")}, "no key": {"a"}, "short": {"a:c2hvcnQ="},
		"twice": {good, store.NewCodeKey("a")}, "not base64": {"a:" + strings.Repeat("!", 44)}, "odd id": {"a b:" + good},
	} {
		err := store.CheckCodeKeys(keys)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), good[2:12], name)
	}
	require.NoError(t, store.CheckCodeKeys([]string{good, store.NewCodeKey("b")}))
	require.NoError(t, store.CheckCodeKeys([]string{good + "\n" + store.NewCodeKey("b") + "\n"}), "a file of lines")
	s, err := store.Open(t.Context(), storetest.DSN(t, store.SQLite))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	_, err = s.View(t.Context()).GrantByCode("X")
	require.ErrorContains(t, err, "--code-keys")
}

// What an earlier version kept in the clear is sealed when the keys first come, by several processes at once.
func TestClearCodesAreSealed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		h := newHouse(t, open())
		c := h.customer("1")
		g := h.grant(c.ID, "free-coffee", punchcard.GrantGiven)
		m := h.message(c.ID, "", 0)
		m.Text = "Show CLEARCODE1 at the till."
		h.do(func(tx *store.Tx) error { _, err := tx.AddMessage(m); return err })
		require.NoError(t, h.exec("UPDATE grants SET code = 'CLEARCODE1' WHERE id = ?", g.ID))
		const insert = "INSERT INTO reward_codes_clear (code, reward, grant_id, created_at) VALUES (?, 'free-coffee', ?, ?)"
		require.NoError(t, h.exec(insert, "CLEARCODE1", g.ID, monday))
		for i := range 1100 {
			require.NoError(t, h.exec(insert, fmt.Sprintf("CLEAR%05d", i), nil, monday))
		}
		stores := []*store.Store{open(), open(), open()} // each has sealed what it found
		noErrors(t, together(len(stores), func(i int) error {
			return stores[i].UseCodeKeys(t.Context(), []string{storetest.CodeKey})
		}))
		require.NotContains(t, h.everything(), "CLEARCODE")
		require.NotContains(t, h.everything(), "CLEAR0")
		free, err := h.view().FreeCodes("free-coffee")
		require.NoError(t, err)
		require.EqualValues(t, 1100, free)
		found, err := h.view().GrantByCode("clear-code-1")
		require.NoError(t, err)
		require.Equal(t, g.ID, found.ID)
		require.Equal(t, "••••••ODE1", found.Code)
		code, err := h.view().CodeOf(g.ID)
		require.NoError(t, err)
		require.Equal(t, "CLEARCODE1", code)
		kept, err := h.view().Message(m.ID)
		require.NoError(t, err)
		require.Equal(t, "Show ••••••ODE1 at the till.", kept.Text)
	})
}

func TestLinksAreNobodyElses(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		c := h.customer("1")
		mine, other := h.grant(c.ID, "latte-art", punchcard.GrantGiven), h.grant(c.ID, "latte-art", punchcard.GrantGiven)
		token, err := h.view().LinkToken(mine.ID)
		require.NoError(h.t, err)
		found, err := h.view().GrantByLink(token)
		require.NoError(h.t, err)
		require.Equal(h.t, mine.ID, found.ID)
		for _, bad := range []string{"", "x", token[:len(token)-1], token + "A", strings.TrimPrefix(other.ID, "grt_") + token[26:], strings.ToUpper(token), token[:26]} {
			found, err := h.view().GrantByLink(bad)
			require.NoError(h.t, err)
			require.Nil(h.t, found, bad)
		}
		require.NotContains(h.t, token, c.ID)
	})
}
