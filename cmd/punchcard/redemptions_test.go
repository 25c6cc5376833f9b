package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

// An operator uses a code from a terminal, once for each key, and gives a redemption up.
func TestRedemptionsByCommand(t *testing.T) {
	t.Parallel()
	dsn := storetest.DSN(t, store.SQLite)
	s := storetest.Open(t, dsn)
	p, err := loadProgram(os.DirFS("../../programs/coffee"), "coffee")
	require.NoError(t, err)
	f := fence.New(s)
	_, _, err = f.Catalog.Publish(t.Context(), p)
	require.NoError(t, err)
	d := newToolDispatch(s)
	phone := phoneNumber(1)
	receipt, err := d.Ingest(t.Context(), []dispatch.Incoming{{
		ID: "r1", Name: "registration.received", Customer: dispatch.Reference{Phone: phone}, Properties: map[string]any{"source": "web"},
	}})
	require.NoError(t, err)
	require.Empty(t, receipt.Rejected)
	customer, err := d.Resolve(t.Context(), dispatch.Reference{Phone: phone})
	require.NoError(t, err)
	require.NoError(t, s.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.PoolCodes("free-coffee", []string{"COFFEE7Q2K"})
		return err
	}))
	does := func(want int, args ...string) string {
		t.Helper()
		code, stdout, stderr := command(t, []string{"PUNCHCARD_CODE_KEYS=" + storetest.CodeKey}, append(args, "--database="+dsn)...)
		require.Equal(t, want, code, "%v said:\n%s%s", args, stdout, stderr)
		require.NotContains(t, stdout+stderr, strings.TrimPrefix(phone, "+"))
		return stdout + stderr
	}
	gift := []string{"rewards", "grant", "phone:" + phone, "free-coffee", "--by=maria", "--reason=a spilt cup", "--once=1"}
	given := does(0, gift...)
	require.Contains(t, given, "free-coffee  given  ••••••7Q2K")
	grant, _, _ := strings.Cut(given, " ")
	require.Equal(t, "That was done before. "+given, does(0, gift...))
	require.Contains(t, does(1, "rewards", "grant", phone, "welcome-10", "--by=maria", "--reason=a spilt cup", "--once=1"), "nothing was done")
	wish := does(0, "redemptions", "request", customer.ID, "free-coffee", "--once=1")
	asked, _, _ := strings.Cut(wish, " ")
	require.Equal(t, "That was done before. "+wish, does(0, "redemptions", "request", phone, "free-coffee", "--once=1"))
	require.Contains(t, does(1, "redemptions", "request", phone, "barista-course", "--once=1"), "nothing was done")

	found := does(0, "redemptions", "lookup", "coffee 7q2k", "--customer=phone:"+phone)
	require.Regexp(t, `usable +yes\n`, found)
	require.Regexp(t, `customer +`+customer.ID+`  ?•+`+phone[len(phone)-4:]+`\n`, found)
	require.Regexp(t, grant+` .*••••••7Q2K .*usable\n`, does(0, "redemptions", "usable", phone))
	require.Contains(t, does(1, "redemptions", "usable", "20123456"), "a phone number with its plus")
	require.Contains(t, does(1, "capture", "COFFEE-7Q2K", "--amount=5"), "there is 4.5 left on it")
	require.Contains(t, does(1, "capture", "COFFEE-7Q2K", "--amount=0"), "--amount is above 0")
	require.Contains(t, does(1, "capture", "COFFEE-9999"), "no reward has that code")
	use := []string{"capture", "coffee-7q2k", "--amount=4.50", "--device=till-3", "--customer=" + phone, "--once=1207"}
	first := does(0, use...)
	require.Contains(t, first, "free-coffee  ••••••7Q2K  4.5 used, 0 left")
	require.Equal(t, "That was done before. "+first, does(0, use...))
	require.Contains(t, does(1, "capture", "COFFEE-9999", "--once=1207"), "nothing was done")
	require.Contains(t, does(1, "capture", "COFFEE-7Q2K"), "that code was used at")

	story := does(0, "grants", "show", grant)
	require.Regexp(t, `by +maria\nreason +a spilt cup\n`, story)
	capture, _, _ := strings.Cut(first, " ")
	require.Contains(t, story, capture+": 4.5 by till, 0 left")
	back := []string{"redemptions", "reverse", capture, "--by=maria", "--reason=the wrong table"}
	require.Contains(t, does(0, back...), "0 used, 4.5 left")
	require.Contains(t, does(1, back...), "taken back")
	require.Equal(t, "COFFEE7Q2K\n", does(0, "grants", "reveal", grant, "--by=maria", "--reason=the phone is lost"))
	story = does(0, "grants", "show", grant)
	require.Contains(t, story, capture+" is taken back by maria: the wrong table")
	require.Contains(t, story, "its code was read by maria: the phone is lost")
	require.Regexp(t, grant+` +free-coffee +given +••••••7Q2K `, does(0, "grants", "list", phone))
	require.Regexp(t, `"captures":\[{"id":"`+capture, does(0, "grants", "show", grant, "--json"))

	require.Regexp(t, `till-3\n$`, does(1, "redemptions", "lookup", "COFFEE-9999", "--device=till-3")+does(0, "refusals", "--reason=unknown_code", "--limit=1"))
	require.Contains(t, does(0, "refusals", "--customer="+phone, "--json"), `"reason":"`)
	require.Contains(t, does(1, "refusals", "--before="+grant), "--before is an id of this list: rfs_…")

	require.Contains(t, does(0, "redemptions", "list", "--status=requested", "--customer="+phone), asked)
	require.Contains(t, does(0, "redemptions", "cancel", asked), "released")
	require.Contains(t, does(1, "redemptions", "cancel", asked), "it is over already: released")
	require.Contains(t, does(0, "redemptions", "show", asked), "released")
	require.NotContains(t, does(0, "redemptions", "list", "--status=requested"), asked)
	require.Contains(t, does(1, "redemptions", "show", "rdm_nothing"), "there is no redemption")

	require.Regexp(t, `free-coffee +gift_card +250 +0 +1 +0 +0 +0 `, does(0, "rewards", "list"))
	require.Contains(t, does(0, "rewards", "list", "--json"), `"name":"free-coffee","kind":"gift_card","title":{`)
	reward := does(0, "rewards", "show", "free-coffee")
	require.Regexp(t, `title en +A free coffee\n`, reward)
	require.Regexp(t, `given +1\n`, reward)
	require.Contains(t, does(1, "rewards", "show", "free-tea"), "rewards list has their names")
	codes := filepath.Join(t.TempDir(), "codes.csv")
	require.NoError(t, os.WriteFile(codes, []byte("COFFEE0001\nCOFFEE0001\n"), 0o600))
	said := does(0, "rewards", "codes", "upload", "free-coffee", codes)
	require.Contains(t, said, "2 lines: 1 added, 1 duplicates, 0 invalid. 1 codes of free-coffee are free.")
	upload := regexp.MustCompile(`upload (\S+)\n`).FindStringSubmatch(said)[1]
	require.Regexp(t, `status +done\nlines +2\nadded +1\n(.|\n)*line 2 +duplicate\n`, does(0, "rewards", "codes", "show", upload))
	require.Contains(t, does(1, "rewards", "codes", "show", "another"), "there is no upload")

	own := does(0, "referrals", "show", phone)
	require.Regexp(t, `code +[A-Z2-9]{8}\n`, own)
	require.Regexp(t, `brought by +nobody\nfriends +0 came`, own)
	code := regexp.MustCompile(`code +(\S+)\n`).FindStringSubmatch(own)[1]
	_, err = d.Ingest(t.Context(), []dispatch.Incoming{{
		ID: "r2", Name: "registration.received", Customer: dispatch.Reference{ExternalID: "friend"}, Properties: map[string]any{"source": "web"},
	}})
	require.NoError(t, err)
	friend, err := d.Resolve(t.Context(), dispatch.Reference{ExternalID: "friend"})
	require.NoError(t, err)
	_, err = d.Refer(t.Context(), friend.ID, code)
	require.NoError(t, err)
	require.Regexp(t, `brought by +`+customer.ID, does(0, "referrals", "show", "external:friend"))
	require.Regexp(t, `attributed +- +`+friend.ID+` +`+customer.ID+` +api`, does(0, "referrals", "list", "--status=attributed", "--customer="+phone))
	require.NotContains(t, does(0, "referrals", "list", "--status=refused"), friend.ID)
}
