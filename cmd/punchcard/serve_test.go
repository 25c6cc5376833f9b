package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punchcard/internal/devserver"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

// The parts run apart, as in production: migrate, a program, a key, the phones, the API, and two workers. Then their
// database is gone for a while under a crowd's load, with runs in flight: all goes on, nothing is lost, nothing comes twice, no run
// is stuck and no workflow failed.
func TestPostgresIsGone(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for a database that is gone")
	}
	t.Parallel()
	empty := storetest.EmptyDSN(t, store.Postgres)
	ports := freePorts(t, 4)
	way := openWay(t, empty, ports[0])
	s := &shop{api: "http://" + loopback(ports[1]), phone: "http://" + loopback(ports[2])}
	temporal, err := devserver.Start(t.Context(), devserver.Options{
		Path: filepath.Join(temporalFolder(t), "temporal"), Port: ports[3], DBFile: filepath.Join(t.TempDir(), "temporal.db"),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, temporal.Stop()) })
	env := []string{
		"PUNCHCARD_DATABASE=" + way.dsn, "PUNCHCARD_TEMPORAL_ADDRESS=" + temporal.Address(), "PUNCHCARD_WHATSAPP_URL=" + s.phone,
		"PUNCHCARD_CODE_KEYS=" + storetest.CodeKey, "PUNCHCARD_WHATSAPP_PHONE_NUMBER_ID=1001", "PUNCHCARD_WHATSAPP_ACCOUNT_ID=2001", "PUNCHCARD_WHATSAPP_TOKEN=dev",
		"PUNCHCARD_WHATSAPP_APP_SECRET=dev", "PUNCHCARD_WHATSAPP_VERIFY_TOKEN=dev",
	}
	do := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := command(t, env, args...)
		require.Zero(t, code, "%s: %s", args, stderr)
		return stdout
	}
	// Nothing runs on a schema that is not this program's.
	code, _, stderr := command(t, env, "serve", "--listen="+loopback(ports[1]))
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "punchcard: ")
	require.Contains(t, do("migrate"), "up to date")
	// An hour in six seconds here too, so that waits are over while the test lasts: serve and worker go by the clock of their data.
	clocked(t, way.dsn, 600)

	phone := spawn(t, env, "phone", "--port="+strconv.Itoa(ports[2]), "--webhook-url="+s.api+"/webhooks/whatsapp")
	until(t, readyWait, func(c *assert.CollectT) {
		a, err := s.call(http.MethodGet, s.phone+"/people", nil)
		require.NoError(c, err)
		require.Equal(c, http.StatusOK, a.Status)
	})
	require.Contains(t, do("program", "check", "../../programs/coffee"), "is sound")
	require.Contains(t, do("program", "apply", "../../programs/coffee"), "is published as version 1")
	require.Contains(t, do("program", "apply", "../../programs/coffee"), "is already version 1")
	made := strings.Fields(do("keys", "create", "till"))
	s.key = made[1]
	require.Contains(t, do("keys", "list"), made[0])
	serve := spawn(t, env, "serve", "--listen="+loopback(ports[1]))
	workers := []*process{spawn(t, env, "worker"), spawn(t, env, "worker")}
	s.ready(t, serve)
	codes := make([]string, 50)
	for i := range codes {
		codes[i] = fmt.Sprintf("COFFEE%04d", i)
	}
	require.Equal(t, http.StatusOK, s.post(t, "/v1/rewards/free-coffee/codes", object{"codes": codes}).Status)

	c := s.live(t, 12, true)
	c.reaches(t, 0.4)
	unsure := c.unsure.Load()
	way.cut()
	a, err := s.call(http.MethodGet, s.api+"/readyz", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, a.Status, a.Body)
	dark := s.post(t, "/v1/events", registration("registration-in-the-dark", c.phones[0]))
	require.Equal(t, http.StatusServiceUnavailable, dark.Status, dark.Body)
	require.Equal(t, "unavailable", dark.problem(t).Code)
	// All of the crowd may be waiting for a message just now. This one writes, and says what it has said before.
	again := make(chan error, 1)
	go func() {
		again <- c.deliver(t.Context(), registration("registration-"+strings.TrimPrefix(c.phones[0], "+"), c.phones[0]))
	}()
	gone(t, c)
	require.Greater(t, c.unsure.Load(), unsure, "who writes is told to try again")
	way.mend()
	require.NoError(t, <-again)

	c.end(t)
	c.reminded(t)
	pages := openPages(t, ports[3])
	agree(t, s, pages)
	keepsSecrets(t, pages, secret{"phones": "452410100", "message": "Bean & Bloom", "cart": "basket-452", "order": "number-of-order", "code": "COFFEE00"})
	c.end(t)

	// A key that is revoked opens nothing. All stop when they are told to.
	do("keys", "revoke", made[0])
	until(t, readyWait, func(c *assert.CollectT) {
		a, err := s.call(http.MethodGet, s.api+"/v1/program", nil)
		require.NoError(c, err)
		require.Equal(c, http.StatusUnauthorized, a.Status)
	})
	for _, p := range append(workers, serve, phone) {
		p.stop(t)
	}
}

// clocked gives a database a clock like that of the development server.
func clocked(t *testing.T, dsn string, speed float64) {
	t.Helper()
	s, err := store.Open(t.Context(), dsn)
	require.NoError(t, err)
	zone, err := time.LoadLocation("Europe/Copenhagen")
	require.NoError(t, err)
	_, err = scaledClock(t.Context(), s, speed, zone)
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// way is the network between our processes and PostgreSQL.
type way struct {
	t       *testing.T
	dsn     string // through it
	address string
	to      [2]string // network and address

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
}

// openWay makes a way to the database at dsn.
func openWay(t *testing.T, dsn string, port int) *way {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	require.NoError(t, err)
	w := &way{t: t, address: loopback(port), to: [2]string{"tcp", net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))}, open: map[net.Conn]bool{}}
	if strings.HasPrefix(config.Host, "/") {
		w.to = [2]string{"unix", filepath.Join(config.Host, fmt.Sprintf(".s.PGSQL.%d", config.Port))}
	}
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	query := u.Query()
	for _, name := range []string{"host", "port", "user", "password"} {
		query.Del(name)
	}
	u.Host, u.User, u.RawQuery = w.address, url.UserPassword(config.User, config.Password), query.Encode()
	w.dsn = u.String()
	w.mend()
	t.Cleanup(w.cut)
	return w
}

// cut breaks every connection, and refuses new ones.
func (w *way) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.listener.Close()
	for c := range w.open {
		_ = c.Close()
	}
}

// mend lets connections through.
func (w *way) mend() {
	w.t.Helper()
	l, err := net.Listen("tcp", w.address)
	require.NoError(w.t, err)
	w.mu.Lock()
	w.listener = l
	w.mu.Unlock()
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(l, from)
		}
	}()
}

// carry copies both ways until either side or the way is closed.
func (w *way) carry(l net.Listener, from net.Conn) {
	defer from.Close()
	to, err := net.Dial(w.to[0], w.to[1])
	if err != nil {
		return
	}
	defer to.Close()
	w.mu.Lock()
	if w.listener != l { // cut and mended since
		w.mu.Unlock()
		return
	}
	w.open[from], w.open[to] = true, true
	w.mu.Unlock()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			done <- struct{}{}
		}()
	}
	<-done
	w.mu.Lock()
	delete(w.open, from)
	delete(w.open, to)
	w.mu.Unlock()
}
