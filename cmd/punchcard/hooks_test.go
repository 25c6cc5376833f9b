package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

// Hooks are added and rotated by whoever has the keys that seal their secrets, and listed by anybody; other keys take them over.
func TestHooksByCommand(t *testing.T) {
	t.Parallel()
	dsn := storetest.DSN(t, store.SQLite)
	fresh := store.NewCodeKey("fresh")
	does := func(want int, keys string, args ...string) string {
		t.Helper()
		var env []string
		if keys != "" {
			env = []string{"PUNCHCARD_CODE_KEYS=" + keys}
		}
		code, stdout, stderr := command(t, env, append(args, "--database="+dsn)...)
		require.Equal(t, want, code, "%v said:\n%s%s", args, stdout, stderr)
		return stdout + stderr
	}
	require.Contains(t, does(1, "", "hooks", "add", "https://example.com/punchcard"), "set --code-keys")
	added := does(0, storetest.CodeKey, "hooks", "add", "https://example.com/punchcard", "--note=till")
	require.Contains(t, added, "whsec_")
	id, _, _ := strings.Cut(added, " ")
	require.Contains(t, does(0, "", "hooks", "list"), id)
	require.Contains(t, does(1, "", "hooks", "rotate", id), "set --code-keys")
	require.Contains(t, does(0, storetest.CodeKey, "hooks", "rotate", id), "whsec_")
	require.Contains(t, does(0, fresh+","+storetest.CodeKey, "keys", "reseal"), "1 codes and secrets of hooks sealed anew.\nfresh                seals 2\n")
	require.Contains(t, does(1, storetest.CodeKey, "hooks", "rotate", id), "sealed by the key fresh")
	require.Contains(t, does(0, fresh, "hooks", "rotate", id), "whsec_")
	does(0, "", "hooks", "remove", id)
	require.NotContains(t, does(0, "", "hooks", "list"), id)
}
