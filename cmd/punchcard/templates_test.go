package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The templates of a program against the simulator: a pause holds runs and its end lets them go on, an edit makes another template
// and leaves the old one to be pruned, and the exit code says how things stand.
func TestTemplates(t *testing.T) {
	t.Parallel()
	d := openShop(t, 600)
	phonePort := "--phone-port=" + strconv.Itoa(d.phone)
	database := "--database=" + filepath.Join(d.data, fileDatabase)
	run := func(want int, args ...string) string {
		t.Helper()
		code, stdout, stderr := command(t, nil, args...)
		require.Equal(t, want, code, "%v said:\n%s%s", args, stdout, stderr)
		return stdout
	}
	status := func(want int) (lines []templateLine) {
		t.Helper()
		var got struct{ Templates []templateLine }
		require.NoError(t, json.Unmarshal([]byte(run(want, "templates", "status", "--json", database)), &got))
		return got.Templates
	}
	lines := status(0)
	require.NotEmpty(t, lines)
	name := ""
	for _, l := range lines {
		require.Equal(t, "approved", l.Status, l.Name)
		if l.Template == "opt_in_request" && l.Language == "en" {
			name = l.Name
		}
	}
	happens := func(what object) {
		t.Helper()
		what["template"], what["language"] = name, "en"
		a, err := d.call(http.MethodPost, d.shop.phone+"/account", what)
		require.NoError(t, err)
		require.Less(t, a.Status, 300, a.Body)
	}
	happens(object{"event": "TEMPLATE_STATUS", "status": "PAUSED"})
	until(t, soon, func(c *assert.CollectT) {
		var got struct{ Items []templateLine }
		d.get(c, "/v1/templates", &got)
		for _, l := range got.Items {
			if l.Name == name && l.Language == "en" {
				assert.Equal(c, "paused", l.Status)
			}
		}
	})
	anna := phoneNumber(1)
	d.send(t, registration("r1", anna))
	until(t, soon, func(c *assert.CollectT) {
		r := d.run(c, anna, "opt-in")
		assert.Equal(c, "held", r.Status)
		assert.Equal(c, "template_paused", r.Reason)
	})
	status(4)
	happens(object{"event": "TEMPLATE_STATUS", "status": "REINSTATED"})
	d.received(t, soon, anna, "opt_in_request")

	// An edit of the text is another template there. What a live run may send is left; nothing here is a stranger's.
	dir := filepath.Join(t.TempDir(), "coffee")
	require.NoError(t, os.CopyFS(dir, os.DirFS("../../programs/coffee")))
	path := filepath.Join(dir, "templates.yaml")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(text, []byte("  hello: {category: utility, body: {en: Hello there., da: Hej med dig.}}\n")...), 0o600))
	require.Contains(t, run(0, "templates", "push", dir, "--dev", phonePort, database), "2 wordings of templates went to WhatsApp")
	out := run(0, "templates", "pull", "--dev", phonePort, database)
	require.Contains(t, out, "hello_", "it is there, and what is published does not have it")
	require.Contains(t, out, "nothing sends it")
	require.Contains(t, run(0, "templates", "pull", "--prune", "--dev", phonePort, database), "2 deleted at WhatsApp")
	require.NotContains(t, run(0, "templates", "pull", "--dev", phonePort, database), "hello_")

	// What WhatsApp counts otherwise is drift.
	happens(object{"event": "TEMPLATE_CATEGORY", "category": "MARKETING"})
	require.Contains(t, run(4, "templates", "pull", "--dev", phonePort, database), "category marketing")

	var pushed struct{ Submitted int }
	require.NoError(t, json.Unmarshal([]byte(d.post(t, "/v1/templates/push", nil).Body), &pushed))
	require.Zero(t, pushed.Submitted)
}
