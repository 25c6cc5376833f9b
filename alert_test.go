package punchcard_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever gets an alert finds what to do: the table in docs/operations.md has a row for each kind, and no row for one that is none.
func TestAlertsAreDocumented(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("alert.go")
	require.NoError(t, err)
	var kinds []string
	for _, m := range regexp.MustCompile(`AlertKind = "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		kinds = append(kinds, m[1])
	}
	require.Greater(t, len(kinds), 10)
	page, err := os.ReadFile("docs/operations.md")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(page), "\n#### Alerts\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n#")
	var rows []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?) \\| .+ \\| .+ \\|$").FindAllStringSubmatch(section, -1) {
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[1], -1) {
			rows = append(rows, m[1])
		}
	}
	require.ElementsMatch(t, kinds, rows)
}
