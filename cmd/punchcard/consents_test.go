package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

// A file of consents of which a line is refused is taken but for that line, and the command says so by how it ends.
func TestConsentsImportByCommand(t *testing.T) {
	t.Parallel()
	dsn := storetest.DSN(t, store.SQLite)
	p, err := loadProgram(os.DirFS("../../programs/coffee"), "coffee")
	require.NoError(t, err)
	_, _, err = fence.New(storetest.Open(t, dsn)).Catalog.Publish(t.Context(), p)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "consents.csv")
	does := func(want int, lines string, flags ...string) string {
		t.Helper()
		const header = "phone,topic,standing,occurred_at,source,channel,wording,language,reference\n"
		require.NoError(t, os.WriteFile(path, []byte(header+lines), 0o600))
		code, stdout, stderr := command(t, nil, append([]string{"consents", "import", path, "--by=Mia Lund", "--database=" + dsn}, flags...)...)
		require.Equal(t, want, code, "%s%s", stdout, stderr)
		return stdout + stderr
	}
	const good = "+4524100001,offers,granted,2025-03-14T09:30:00+01:00,in-store form,store,I would like offers,en,box 7\n"
	const bad = "+4524100002,offer,granted,2025-03-14,in-store form,store,I would like offers,en,box 7\n"
	require.Contains(t, does(0, good, "--dry-run"), "1 recorded, 0 taken before, 0 refused. Nothing was kept")
	out := does(1, good+bad)
	require.Contains(t, out, "line 3 is refused: topic: ")
	require.Contains(t, out, "1 recorded, 0 taken before, 1 refused.")
	require.Contains(t, out, "no line is taken twice")
	require.Contains(t, does(0, good), "0 recorded, 1 taken before, 0 refused.")
}
