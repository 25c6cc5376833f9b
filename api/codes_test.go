package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUploadCodes sends files of codes: what is wrong with them is told with its line, and nothing is added twice.
func TestUploadCodes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const path = "/v1/rewards/free-coffee/codes/uploads"
	var file strings.Builder
	file.WriteString("code\n")
	for i := range 1500 {
		_, _ = fmt.Fprintf(&file, "SECRET-%05d\n", i)
	}
	file.WriteString("SECRET-00007\nno\n")
	send := func(query, body, media string) reply {
		t.Helper()
		return b.call(http.MethodPost, path+query, body, "Content-Type", media)
	}
	first := send("?upload=march", file.String(), "text/csv; charset=utf-8").is(http.StatusOK)
	require.Subset(t, first, map[string]any{"upload": "march", "status": "done", "lines": 1502.0, "added": 1500.0, "duplicates": 1.0, "invalid": 1.0, "free": 1500.0})
	require.Equal(t, []any{map[string]any{"line": 1502.0, "reason": "duplicate"}, map[string]any{"line": 1503.0, "reason": "invalid"}}, first["problems"])
	require.Equal(t, first, send("?upload=march", file.String(), "text/csv").is(http.StatusOK))
	require.Equal(t, first, b.get(path+"/march").is(http.StatusOK))
	require.Equal(t, "other_file", send("?upload=march", "OTHER0001", "text/csv").is(http.StatusConflict)["reason"])

	lines := send("", "{\"code\": \"JSON0001\"}\n\"JSON0002\"\n", "application/x-ndjson").is(http.StatusOK)
	require.EqualValues(t, 2, lines["added"])
	require.Regexp(t, "^upl_", lines["upload"])
	b.get(path + "/none").is(http.StatusNotFound)
	b.get("/v1/rewards/barista-course/codes/uploads/march").is(http.StatusNotFound)
	b.call(http.MethodPost, "/v1/rewards/none/codes/uploads", "CODE0001", "Content-Type", "text/csv").is(http.StatusNotFound)
	b.call(http.MethodPost, "/v1/rewards/barista-course/codes/uploads", "CODE0001", "Content-Type", "text/csv").is(http.StatusUnprocessableEntity)
	send("", strings.Repeat("A", 10_000), "text/csv").is(http.StatusUnprocessableEntity)
	require.NotContains(t, b.log.String(), "SECRET-")
}
