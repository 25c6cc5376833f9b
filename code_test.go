package punchcard_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
)

func TestNewCode(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"": `^[A-HJKMNP-TV-Z2-9]{10}$`, "BB-????-????": `^BB-[A-HJKMNP-TV-Z2-9]{4}-[A-HJKMNP-TV-Z2-9]{4}$`, "X??????????????": `^X[A-HJKMNP-TV-Z2-9]{14}$`,
	} {
		seen := map[string]bool{}
		for range 500 {
			code, err := punchcard.NewCode(format)
			require.NoError(t, err)
			require.Regexp(t, want, code)
			require.True(t, punchcard.IsCode(punchcard.NormalizeCode(code)), code)
			require.False(t, seen[code])
			seen[code] = true
			require.True(t, punchcard.FitsFormat(strings.ToLower(code), format))
			// One mistyped letter is noticed, wherever it is.
			typed := []byte(punchcard.NormalizeCode(code))
			for i, c := range typed {
				for _, wrong := range "A7Z" {
					if byte(wrong) == c {
						continue
					}
					typed[i] = byte(wrong)
					require.False(t, punchcard.FitsFormat(string(typed), format), "%s for %s", typed, code)
				}
				typed[i] = c
			}
		}
	}
	require.False(t, punchcard.FitsFormat("", ""))
	require.False(t, punchcard.FitsFormat("BB", "BB-????-????"))
}

func TestCheckCodeFormat(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"????????", "BB-????-????", "???????????????", punchcard.DefaultCodeFormat} {
		require.NoError(t, punchcard.CheckCodeFormat(good), good)
	}
	for format, want := range map[string]string{
		"": "at least 8", "???????": "at least 8", "BB-????": "at least 8", "????????????????": "at most 15", "bb-????????": "A to Z",
		"BØ-????????": "A to Z", "-????????": "hyphen", "????--????": "hyphen", "????????-": "hyphen", "BB ????????": "A to Z",
	} {
		require.ErrorContains(t, punchcard.CheckCodeFormat(format), want, format)
	}
}

func TestMaskCode(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{"COFFEE7Q2K": "••••••7Q2K", "ABCDEFGH": "••••EFGH", "ABCDEFG": "••••••G", "ABCD": "•••D", "ABC": "•••", "": ""} {
		require.Equal(t, want, punchcard.MaskCode(code))
	}
}

func TestIsIssuedCode(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"ABCD", "a-b-c-d", "7Q2K/99+x!~", strings.Repeat("x", 64)} {
		require.True(t, punchcard.IsIssuedCode(good), good)
	}
	for _, bad := range []string{"", "ABC", "A-B-C-", "AB CD", "ABCD\n", "ÆØÅÆ", "ABCD\x00", "ABCD\u200b", strings.Repeat("x", 65)} {
		require.False(t, punchcard.IsIssuedCode(bad), "%q", bad)
	}
}
