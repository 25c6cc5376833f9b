package simulate_test

import (
	"bytes"
	"cmp"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

// lossy is a way to a PostgreSQL on which the answer to a COMMIT gets lost: the database has committed, and whoever asked is cut off.
type lossy struct {
	server string
	lose   atomic.Int32 // how many answers to a connection's first commit of a message are yet to be lost
}

// wayTo opens a lossy way to the database at dsn, and answers it with the address of its beginning.
func wayTo(t *testing.T, dsn string) (*lossy, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	w := &lossy{server: u.Host}
	if dir := u.Query().Get("host"); dir != "" {
		w.server = dir + "/.s.PGSQL." + cmp.Or(u.Query().Get("port"), "5432")
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(c)
		}
	}()
	q := u.Query()
	q.Del("host")
	q.Del("port")
	q.Set("sslmode", "disable")
	u.Host, u.RawQuery = l.Addr().String(), q.Encode()
	return w, u.String()
}

func (w *lossy) carry(client net.Conn) {
	defer func() { _ = client.Close() }()
	network := "tcp"
	if w.server[0] == '/' {
		network = "unix"
	}
	server, err := net.Dial(network, w.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var deaf atomic.Bool // the client hears nothing more
	go func() {
		defer func() { _ = client.Close() }()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || deaf.Load() { // what is read first once it is deaf is the answer to the commit
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	wrote := false
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		switch said := buf[:n]; {
		case bytes.Contains(said, []byte(`INSERT INTO "messages"`)): // its text goes over a connection the first time
			wrote = true
		case bytes.Contains(said, []byte("rollback")):
			wrote = false
		case bytes.Contains(said, []byte("commit")):
			if wrote && w.lose.Add(-1) >= 0 {
				deaf.Store(true)
			}
			wrote = false
		}
		if _, err := io.Copy(server, bytes.NewReader(buf[:n])); err != nil {
			return
		}
	}
}

// The database commits that a message is on its way, and goes before it can say so. Nothing has been sent then, and the activity knows:
// the message goes, once, and is not left as one of which nobody knows.
func TestCommitThatNobodyHeard(t *testing.T) {
	t.Parallel()
	way, dsn := wayTo(t, storetest.DSN(t, store.Postgres))
	b := setup(t, storetest.Open(t, dsn), coffee())
	way.lose.Store(1)
	b.event(anna, "registration.received", map[string]any{"source": "web"})
	require.Zero(t, way.lose.Load(), "a commit was lost")
	require.Len(t, b.wa.sent, 1)
	all, err := b.Store.View(b.ctx).Messages(b.customer(anna).ID, "", 10)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, punchcard.MessageAccepted, all[0].Status)
}
