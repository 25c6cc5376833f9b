package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// While Temporal is away the outbox is looked at less and less, however many bells ring, and at once again when something was
// delivered. The log says once that it is away and once that it is back.
func TestLooksWhileTemporalIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := &Dispatcher{log: slog.New(slog.NewTextHandler(&log, nil)), outbox: newBell()}
		begin := time.Now()
		var looks []time.Duration
		back := false
		todo := 3
		work := func(context.Context) (int, error) {
			looks = append(looks, time.Since(begin))
			switch {
			case !back && len(looks)%4 == 0:
				return 0, nil // nothing is due: all of it has failed and waits
			case !back:
				return 0, fmt.Errorf("%w: %w", errAway, errors.New("refused"))
			case todo > 0:
				todo--
				return 1, nil
			default:
				return 0, nil
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- d.loop(ctx, "outbox", d.outbox, work) }()
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			d.outbox.ring()
		}
		synctest.Wait()
		require.LessOrEqual(t, len(looks), 16, "in a minute: %v", looks)
		require.Equal(t, 500*time.Millisecond, looks[1]-looks[0])
		last := len(looks) - 1
		require.Equal(t, longestAway, looks[last]-looks[last-1])

		back = true
		time.Sleep(longestAway)
		synctest.Wait()
		require.Zero(t, todo, "the rest goes without a pause")
		now := len(looks)
		time.Sleep(time.Millisecond)
		d.outbox.ring()
		synctest.Wait()
		require.Len(t, looks, now+1, "the bell is heard again")
		cancel()
		require.NoError(t, <-done)
		require.Equal(t, 1, strings.Count(log.String(), "goes on trying"), log.String())
		require.Equal(t, 1, strings.Count(log.String(), "works again"), log.String())
	})
}

// Other troubles leave the looks as they are: a delivery that fails by its own fault does not hold the others up.
func TestLooksAtOtherTroubles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &Dispatcher{log: slog.New(slog.DiscardHandler), outbox: newBell()}
		looks := 0
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.NoError(t, d.loop(ctx, "outbox", d.outbox, func(context.Context) (int, error) {
			looks++
			return 0, errors.New("its own fault")
		}))
		require.InDelta(t, 20, looks, 1)
	})
}
