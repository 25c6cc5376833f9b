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
	_, err = d.GiveReward(t.Context(), dispatch.Given{Customer: customer.ID, Reward: "free-coffee", By: "maria", Note: "a spilt cup"})
	require.NoError(t, err)
	asked, err := d.RequestRedemption(t.Context(), customer.ID, "free-coffee", "")
	require.NoError(t, err)

	does := func(want int, args ...string) string {
		t.Helper()
		code, stdout, stderr := command(t, []string{"PUNCHCARD_CODE_KEYS=" + storetest.CodeKey}, append(args, "--database="+dsn)...)
		require.Equal(t, want, code, "%v said:\n%s%s", args, stdout, stderr)
		require.NotContains(t, stdout+stderr, strings.TrimPrefix(phone, "+"))
		return stdout + stderr
	}
	require.Contains(t, does(1, "capture", "COFFEE-7Q2K", "--amount=5"), "there is 4.5 left on it")
	require.Contains(t, does(1, "capture", "COFFEE-7Q2K", "--amount=0"), "--amount is above 0")
	require.Contains(t, does(1, "capture", "COFFEE-9999"), "no reward has that code")
	use := []string{"capture", "coffee-7q2k", "--amount=4.50", "--device=till-3", "--customer=" + phone, "--once=1207"}
	first := does(0, use...)
	require.Contains(t, first, "free-coffee  ••••••7Q2K  4.5 used, 0 left")
	require.Equal(t, "That was done before. "+first, does(0, use...))
	require.Contains(t, does(1, "capture", "COFFEE-9999", "--once=1207"), "nothing was done")
	require.Contains(t, does(1, "capture", "COFFEE-7Q2K"), "that code was used at")

	require.Contains(t, does(0, "redemptions", "list", "--status=requested", "--customer="+phone), asked.ID)
	require.Contains(t, does(0, "redemptions", "cancel", asked.ID), "released")
	require.Contains(t, does(1, "redemptions", "cancel", asked.ID), "it is over already: released")
	require.Contains(t, does(0, "redemptions", "show", asked.ID), "released")
	require.NotContains(t, does(0, "redemptions", "list", "--status=requested"), asked.ID)
	require.Contains(t, does(1, "redemptions", "show", "rdm_nothing"), "there is no redemption")
}
