package devserver

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// These tests set PATH for the whole process, so they do not run beside others.

// script writes a program for the shell and answers its folder.
func script(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700))
	return dir
}

func TestFindOnPath(t *testing.T) {
	dir := script(t, "temporal", "exit 0")
	t.Setenv("PATH", dir)
	path, err := Find(t.Context(), t.TempDir(), func(string) { t.Error("nothing is built") })
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "temporal"), path)
}

func TestFindInBin(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	bin := script(t, "temporal", "exit 0")
	path, err := Find(t.Context(), bin, func(string) { t.Error("nothing is built") })
	require.NoError(t, err)
	require.Equal(t, filepath.Join(bin, "temporal"), path)
}

func TestFindWithoutGo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Find(t.Context(), t.TempDir(), func(string) { t.Error("nothing is built") })
	require.ErrorContains(t, err, "no Go to build it with")
}

func TestFindBuilds(t *testing.T) {
	tool := script(t, "go", `[ "$1 $2" = "install `+install+`" ] && : > "$GOBIN/temporal"`)
	t.Setenv("PATH", tool)
	var said []string
	bin := t.TempDir()
	path, err := Find(t.Context(), bin, func(s string) { said = append(said, s) })
	require.NoError(t, err)
	require.FileExists(t, path)
	require.Len(t, said, 2)
	require.Contains(t, said[0], bin)
}

func TestFindCannotBuild(t *testing.T) {
	t.Setenv("PATH", script(t, "go", "echo no route to the module proxy >&2; exit 1"))
	_, err := Find(t.Context(), t.TempDir(), func(string) {})
	require.ErrorContains(t, err, "no route to the module proxy")
}
