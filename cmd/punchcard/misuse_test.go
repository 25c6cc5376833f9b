package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who starts it wrongly is told what is wrong in a sentence, and finds nothing changed.
func TestMisuse(t *testing.T) {
	t.Parallel()
	d := openShop(t, 600)
	d.send(t, registration("registration-1", phoneNumber(1)))
	d.received(t, soon, phoneNumber(1), "opt_in_request")

	elsewhere := func() *devShop {
		ports := freePorts(t, 4)
		return &devShop{data: filepath.Join(t.TempDir(), "data"), port: ports[0], phone: ports[1], temporal: ports[2], page: ports[3]}
	}
	broken := t.TempDir()
	require.NoError(t, os.CopyFS(broken, os.DirFS("../../programs/coffee")))
	journey := filepath.Join(broken, "journeys", "abandoned-cart.yaml")
	text, err := os.ReadFile(journey)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(journey, []byte(strings.Replace(string(text), "customer.tier ==", "customer.tierr ==", 1)), 0o600))

	for _, test := range []struct {
		name string
		args func(o *devShop) []string
		env  []string
		says string
	}{
		{"the API's port is in use", func(o *devShop) []string { o.port = d.port; return o.flags() }, nil,
			fmt.Sprintf("punchcard: port %d is in use by another program: stop that one, or choose another port with --port (make run PORT=…)\n", d.port)},
		{"the phone's port is in use", func(o *devShop) []string { o.phone = d.phone; return o.flags() }, nil,
			fmt.Sprintf("punchcard: port %d is in use by another program: stop that one, or choose another port with --phone-port (make run PHONE_PORT=…)\n", d.phone)},
		{"Temporal's port is in use", func(o *devShop) []string { o.temporal = d.temporal; return o.flags() }, nil, fmt.Sprintf("port %d", d.temporal)},
		{"the UI's port is in use", func(o *devShop) []string { o.page = d.page; return o.flags() }, nil, fmt.Sprintf("port %d", d.page)},
		{"another one is at work on the data", func(o *devShop) []string { o.data = d.data; return o.flags() }, nil,
			"punchcard: another punchcard dev is at work in " + d.data},
		{"even to begin anew", func(o *devShop) []string { o.data = d.data; return append(o.flags(), "--fresh") }, nil,
			"punchcard: another punchcard dev is at work in " + d.data},
		{"a broken program", func(o *devShop) []string { return append(o.flags(), "--program="+broken) }, nil,
			`journeys/abandoned-cart.yaml:23:45: customer has no attribute "tierr"; did you mean "tier"?`},
		{"no program", func(o *devShop) []string { return append(o.flags(), "--program="+filepath.Join(broken, "tea")) }, nil, "punchcard: there is no folder "},
		{"too slow", func(o *devShop) []string { return append(o.flags(), "--speed=0.5") }, nil, "punchcard: --speed is from 1 to 100000\n"},
		{"too fast", func(o *devShop) []string { return append(o.flags(), "--speed=100001") }, nil, "punchcard: --speed is from 1 to 100000\n"},
		{"a tool is missing", func(o *devShop) []string { return append(o.flags(), "--bin="+broken) }, []string{"PATH=" + broken},
			"there is no Go to build it with"},
		{"no such flag", func(o *devShop) []string { return append(o.flags(), "--sped=600") }, nil, "unknown flag --sped"},
	} {
		o := elsewhere()
		args := test.args(o)
		code, _, stderr := command(t, test.env, args...)
		require.NotZero(t, code, "%s: %s", test.name, stderr)
		require.Contains(t, stderr, test.says, test.name)
		if strings.HasPrefix(test.says, "punchcard: ") {
			require.Equal(t, 1, strings.Count(stderr, "\n"), "%s: one sentence: %s", test.name, stderr)
		}
		require.NotContains(t, stderr, "goroutine", test.name)
		for _, port := range []int{o.port, o.phone, o.temporal, o.page} {
			if port == d.port || port == d.phone || port == d.temporal || port == d.page {
				continue
			}
			l, err := net.Listen("tcp", loopback(port))
			require.NoError(t, err, "%s left something behind", test.name)
			require.NoError(t, l.Close())
		}
	}
	require.Equal(t, []string{"opt_in_request"}, d.got(t, phoneNumber(1)), "the one that works was not disturbed")

	// The data keeps its speed: it goes on with it, and refuses another.
	d.stop()
	code, _, stderr := command(t, nil, append(d.flags(), "--speed=60")...)
	require.Equal(t, 1, code)
	require.Equal(t, "punchcard: the data here runs at speed 600, which cannot change: leave --speed out, or begin anew with --fresh (make run FRESH=1)\n", stderr)
	d.start("--program=../../programs/coffee")
	require.Equal(t, []string{"opt_in_request"}, d.got(t, phoneNumber(1)))
	d.stop()

	// Begun anew, nothing of it is left, on the phone, here and in Temporal; the folder may hold what is not ours.
	notes := filepath.Join(d.data, "notes.txt")
	require.NoError(t, os.WriteFile(notes, []byte("mine"), 0o600))
	d.start("--fresh", "--speed=60")
	require.Empty(t, d.got(t, phoneNumber(1)))
	require.Empty(t, list[customerView](t, d.shop, "/v1/customers"))
	require.Empty(t, openPages(t, d.temporal).workflows(t, ""))
	require.FileExists(t, notes)
	d.send(t, registration("registration-1", phoneNumber(1)))
	d.received(t, soon, phoneNumber(1), "opt_in_request")

	// What a killed one left behind does not stop the next, whether it goes on or begins anew.
	d.killAll()
	d.start("--speed=60")
	d.kill()
	d.start("--fresh")
	until(t, soon, func(c *assert.CollectT) { require.Empty(c, list[customerView](c, d.shop, "/v1/customers")) })
}
