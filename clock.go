package punchcard

import (
	"sync"
	"time"
)

// Clock tells the business's time: the time in which carts are abandoned, quiet hours begin and points expire.
// Times are in UTC and carry microseconds, which is what both databases keep.
//
// Protocol timeouts, retries and rates never use a Clock: they are about machines, and stay in real time.
type Clock interface {
	Now() time.Time
	// Real is how long a span of the business's time takes on the wall: d divided by the clock's speed.
	Real(d time.Duration) time.Duration
	// Business is how much of the business's time passes in d on the wall: d times the clock's speed.
	Business(d time.Duration) time.Duration
}

// SystemClock is the machine's own time.
type SystemClock struct{}

// Now is the machine's time.
func (SystemClock) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// Real is d itself.
func (SystemClock) Real(d time.Duration) time.Duration { return d }

// Business is d itself.
func (SystemClock) Business(d time.Duration) time.Duration { return d }

// ScaledClock runs Speed times as fast as the machine's: it shows Origin when the machine's clock shows Started.
// The development server uses it so that an hour's wait is over in seconds.
type ScaledClock struct {
	Origin  time.Time // what this clock showed at Started
	Started time.Time // the machine's time then
	Speed   float64   // business seconds a real second; at least 1
}

// Now is Origin plus Speed times what has passed on the machine since Started.
func (c ScaledClock) Now() time.Time {
	// Round(0) drops the monotonic reading: Started comes from the database and has none.
	passed := time.Now().Round(0).Sub(c.Started)
	return c.Origin.Add(time.Duration(float64(passed) * c.Speed)).UTC().Truncate(time.Microsecond)
}

// Real is d divided by Speed.
func (c ScaledClock) Real(d time.Duration) time.Duration { return time.Duration(float64(d) / c.Speed) }

// Business is d times Speed.
func (c ScaledClock) Business(d time.Duration) time.Duration {
	return time.Duration(float64(d) * c.Speed)
}

// ManualClock stands still until it is moved. Tests use it, from any number of goroutines.
type ManualClock struct {
	mu  sync.Mutex
	now time.Time
}

// NewManualClock is a clock that shows now until it is moved.
func NewManualClock(now time.Time) *ManualClock {
	return &ManualClock{now: now.UTC().Truncate(time.Microsecond)}
}

// Now is where the clock was last moved to.
func (c *ManualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Real is d itself.
func (c *ManualClock) Real(d time.Duration) time.Duration { return d }

// Business is d itself.
func (c *ManualClock) Business(d time.Duration) time.Duration { return d }

// Advance moves the clock on by d and answers the new time.
func (c *ManualClock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}
