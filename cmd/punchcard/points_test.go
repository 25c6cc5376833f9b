package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

// toolShop is a database with the coffee program and one customer, and the commands that work on it.
type toolShop struct {
	t          *testing.T
	dsn, phone string
}

func newToolShop(t *testing.T, dialect store.Dialect) *toolShop {
	t.Helper()
	shop := &toolShop{t: t, dsn: storetest.DSN(t, dialect), phone: phoneNumber(2)}
	s := storetest.Open(t, shop.dsn)
	p, err := loadProgram(os.DirFS("../../programs/coffee"), "coffee")
	require.NoError(t, err)
	_, _, err = fence.New(s).Catalog.Publish(t.Context(), p)
	require.NoError(t, err)
	receipt, err := newToolDispatch(s).Ingest(t.Context(), []dispatch.Incoming{{
		ID: "r1", Name: "registration.received", Customer: dispatch.Reference{Phone: shop.phone, ExternalID: "c-17"}, Properties: map[string]any{"source": "web"},
	}})
	require.NoError(t, err)
	require.Empty(t, receipt.Rejected)
	_, err = newToolDispatch(s).Resolve(t.Context(), dispatch.Reference{Phone: shop.phone})
	require.NoError(t, err)
	return shop
}

// does runs a command that ends with an exit code, and answers what it says. It never says the phone.
func (s *toolShop) does(want int, args ...string) string {
	s.t.Helper()
	at := append([]string{}, args...)
	flags := "--database=" + s.dsn
	for i, a := range at {
		if a == "--" { // what comes after it is no flag
			at = append(at[:i:i], append([]string{flags}, at[i:]...)...)
			flags = ""
			break
		}
	}
	if flags != "" {
		at = append(at, flags)
	}
	code, stdout, stderr := command(s.t, []string{"PUNCHCARD_CODE_KEYS=" + storetest.CodeKey}, at...)
	require.Equal(s.t, want, code, "%v said:\n%s%s", args, stdout, stderr)
	require.NotContains(s.t, stdout+stderr, strings.TrimPrefix(s.phone, "+"))
	if want != 0 {
		require.True(s.t, want == 80 || stdout == "", "only how a command is used goes to the standard output: %v", args)
		require.NotEmpty(s.t, stderr, "%v", args)
		require.NotContains(s.t, stderr, "panic")
	}
	return stdout + stderr
}

// An operator gives points and takes them, each once for its key, and reads what happened.
func TestPointsByCommand(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			s := newToolShop(t, dialect)
			gift := []string{"points", "adjust", s.phone, "50", "--by=maria", "--reason=out of order", "--once=1"}
			require.Equal(t, "The balance is 50 points.\n", s.does(0, gift...))
			require.Equal(t, "That was done before. The balance is 50 points.\n", s.does(0, gift...))
			take := func(points string, more ...string) []string {
				return append(append([]string{"points", "adjust", "external:c-17", "--by=maria", "--reason=was wrong"}, more...), "--", points)
			}
			require.Contains(t, s.does(1, take("-60")...), "the balance is 50 points; 60 are needed")
			require.Equal(t, "The balance is 1 point.\n", s.does(0, take("-49")...))
			require.Equal(t, "The balance is 0 points, and 9 are owed.\n", s.does(0, take("-10", "--debt")...))
			lines := strings.Split(strings.TrimSpace(s.does(0, "points", "statement", s.phone)), "\n")
			require.Len(t, lines, 6)
			for i, want := range []string{
				`^0  +before$`, `\+50 +50 +Given by maria: out of order$`, `-49 +1 +Taken by maria: was wrong$`, `-1 +0 +Taken by maria: was wrong$`,
				` 0 +Owed by maria: was wrong \(\+9 owed\)$`, `0 +balance; 0 pending, 0 held, 9 owed$`,
			} {
				require.Regexp(t, want, lines[i])
			}
			require.Regexp(t, `0 +before\n +0 +balance; 0 pending, 0 held, 0 owed`, s.does(0, "points", "statement", s.phone, "--to=2020-01-31"))

			for _, test := range []struct {
				args []string
				want string
			}{
				{[]string{"points", "adjust", s.phone, "0", "--by=maria", "--reason=x"}, "say how many points"},
				{[]string{"points", "adjust", s.phone, "99999999999999", "--by=maria", "--reason=x"}, "say how many points"},
				{[]string{"points", "adjust", s.phone, "5", "--by= ", "--reason=x"}, "say who does it"},
				{[]string{"points", "adjust", s.phone, "5", "--by=maria", "--reason= "}, "say why"},
				{[]string{"points", "adjust", s.phone, "5", "--by=maria", "--reason=" + strings.Repeat("x", 2001)}, "say why"},
				{[]string{"points", "adjust", "external:nobody", "5", "--by=maria", "--reason=x"}, "nobody is known by that"},
				{[]string{"points", "statement", "cus_nobody"}, "nobody is known by that"},
				{[]string{"points", "statement", s.phone, "--from=31.01.2026"}, "--from is a day"},
				{[]string{"points", "statement", s.phone, "--to=2026-02-30"}, "--to is a day"},
			} {
				require.Contains(t, s.does(1, test.args...), test.want, "%q", test.args)
			}
			require.Contains(t, s.does(80, "points", "adjust", s.phone, "many", "--by=maria", "--reason=x"), "points")
			require.Contains(t, s.does(80, "points", "adjust", s.phone, "5", "--by=maria"), "--reason")
			require.Equal(t, "The balance is 0 points, and 9 are owed.\n", s.does(0, gift...)[len("That was done before. "):])
		})
	}
}

// What is wrong at a terminal is said, with an exit code, and nothing is done by it.
func TestRewardCommandsRefuse(t *testing.T) {
	t.Parallel()
	for _, dialect := range storetest.Dialects {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			s := newToolShop(t, dialect)
			for _, test := range []struct {
				args []string
				code int
				want string
			}{
				{[]string{"capture", "COFFEE7Q2K"}, 1, "no reward has that code"},
				{[]string{"capture", "'; DROP TABLE grants; --"}, 1, "no reward has that code"},
				{[]string{"capture", " - "}, 1, "give the code"},
				{[]string{"capture", ""}, 1, "give the code"},
				{[]string{"capture", "COFFEE7Q2K", "--amount=NaN"}, 1, "an amount is above 0"},
				{[]string{"capture", "COFFEE7Q2K", "--amount=Inf"}, 1, "an amount is above 0"},
				{[]string{"capture", "COFFEE7Q2K", "--amount=-1"}, 1, "an amount is above 0"},
				{[]string{"capture", "COFFEE7Q2K", "--amount=0.0001"}, 1, "an amount is above 0"},
				{[]string{"capture", "COFFEE7Q2K", "--amount=much"}, 80, "--amount"},
				{[]string{"capture", "COFFEE7Q2K", "--device=" + strings.Repeat("d", 201)}, 1, "device"},
				{[]string{"capture", "COFFEE7Q2K", "--customer=external:nobody"}, 1, "nobody is known by that"},
				{[]string{"capture"}, 80, "<code>"},
				{[]string{"redemptions", "list", "--status=lost"}, 80, "--status"},
				{[]string{"redemptions", "list", "--limit=0"}, 1, "--limit"},
				{[]string{"redemptions", "list", "--before=grt_x"}, 1, "--before"},
				{[]string{"redemptions", "list", "--customer=external:nobody"}, 1, "nobody is known by that"},
				{[]string{"redemptions", "cancel", "rdm_nothing"}, 1, "there is no redemption with that id"},
				{[]string{"redemptions", "reverse", "cap_nothing", "--by=maria", "--reason=x"}, 1, "there is no capture with that id"},
				{[]string{"redemptions", "reverse", "cap_nothing", "--by= ", "--reason=x"}, 1, "say who does it"},
				{[]string{"redemptions", "request", s.phone, "free-tea"}, 1, "there is no reward"},
				{[]string{"redemptions", "request", s.phone, "welcome-10"}, 1, "no cost in points"},
				{[]string{"rewards", "grant", s.phone, "free-coffee", "--by=maria", "--reason=x"}, 1, "out of codes"},
				{[]string{"rewards", "grant", s.phone, "tasting", "--by=maria", "--reason=x"}, 1, "not eligible"},
				{[]string{"rewards", "grant", s.phone, "free-tea", "--by=maria", "--reason=x"}, 1, "there is no reward"},
				{[]string{"rewards", "codes", "upload", "free-coffee", "/there/is/nothing.csv"}, 80, "nothing.csv"},
			} {
				require.Contains(t, s.does(test.code, test.args...), test.want, "%q", test.args)
			}
			code, stdout, stderr := command(t, nil, "capture", "COFFEE7Q2K", "--database="+s.dsn)
			require.Equal(t, []any{1, ""}, []any{code, stdout})
			require.Contains(t, stderr, "set --code-keys")
			require.NotContains(t, s.does(0, "redemptions", "list"), "rdm_")
			require.NotContains(t, s.does(0, "grants", "list", s.phone), "grt_")
		})
	}
}
