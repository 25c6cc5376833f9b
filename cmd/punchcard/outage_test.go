package main

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the database
)

// darkness is how long a database is gone: longer than any one try at it lasts.
const darkness = 25 * time.Second

// SQLite's file cannot be written for a while, as when a backup or another program has it, under a crowd's load and with runs in
// flight: all goes on, nothing is lost, nothing comes twice, no run is stuck and no workflow failed.
func TestSQLiteIsGone(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for a database that is gone")
	}
	t.Parallel()
	d := openShop(t, 600)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(d.data, fileDatabase)+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	defer db.Close()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()

	c := d.live(t, 12, true)
	c.reaches(t, 0.4)
	_, err = conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE")
	require.NoError(t, err)
	gone(t, c)
	_, err = conn.ExecContext(context.Background(), "ROLLBACK")
	require.NoError(t, err)

	c.end(t)
	c.reminded(t)
	agree(t, d.shop, openPages(t, d.temporal))
	c.end(t)
}

// gone lets a while pass in which the database is gone, and demands that nothing is taken meanwhile. It answers when the while is
// over.
func gone(t *testing.T, c *crowd) {
	t.Helper()
	over := time.After(darkness)
	taken := c.taken.Load()
	<-over
	require.LessOrEqual(t, c.taken.Load(), taken+atOnce, "what is answered with 202 is committed")
	t.Logf("%d of %d events were taken before, and %d requests had to be made again", taken, perLife*len(c.phones), c.unsure.Load())
}
