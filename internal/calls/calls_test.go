package calls_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/calls"
	"punchcard/rules"
)

// The server that docs/webhooks.md shows, and its way to tell who asks, answer what we ask.
func TestTheDocumentedServer(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	page, err := os.ReadFile("../../docs/webhooks.md")
	require.NoError(t, err)
	script := ""
	for i, block := range strings.Split(string(page), "```python\n") {
		if code, _, closed := strings.Cut(block, "```"); i > 0 && closed {
			script += code
		}
	}
	require.Contains(t, script, "9000")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	path := filepath.Join(t.TempDir(), "codes.py")
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(script, "9000", fmt.Sprint(port), 1)), 0o600))
	ctx, stop := context.WithCancel(t.Context())
	server := exec.CommandContext(ctx, python, path)
	require.NoError(t, server.Start())
	t.Cleanup(func() { stop(); _ = server.Wait() })

	p, found := rules.LoadFiles(map[string]string{
		"program.yaml": fmt.Sprintf(`
program: Films
business: Films
privacy_url: https://films.example/privacy
language: en
timezone: Europe/Copenhagen
currency: EUR
keywords: {stop: [STOP]}
calls: {cinema.code: {url: "http://localhost:%d/codes", answers: {code: string}}}
`, port),
		"rewards.yaml": "rewards:\n  film: {kind: gift_card, title: A film, value: 12, codes: {call: cinema.code}, captured_by: till}\n",
	})
	require.Empty(t, found.Errors())
	g := &punchcard.Grant{ID: punchcard.NewID(punchcard.PrefixGrant), Reward: "film", CustomerID: "cus_1", Value: 12, CreatedAt: time.Now()}
	ask := func(secret string) (string, string) {
		issued, failed, err := calls.Caller{Secret: []byte(secret), Private: true}.Code(t.Context(), p, p.Rewards["film"], g)
		require.NoError(t, err)
		if issued == nil {
			return "", failed
		}
		return issued.Code, failed
	}
	want := "FILM-" + strings.ToUpper(g.ID[len(g.ID)-10:])
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		code, failed := ask("dev")
		require.Empty(c, failed)
		require.Equal(c, want, code)
	}, 20*time.Second, 50*time.Millisecond)
	code, failed := ask("other")
	require.Equal(t, []string{"", calls.Refused}, []string{code, failed}, "it knows who asks")
	_, failed = ask("")
	require.Equal(t, calls.Unsigned, failed)
	_, _, err = calls.Caller{}.Code(t.Context(), p, nil, g)
	require.Error(t, err)
}
