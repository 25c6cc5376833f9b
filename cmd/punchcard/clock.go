package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"punchcard"
	"punchcard/internal/store"
)

// The settings in which a scaled clock's anchor and speed live, with the data whose times they made.
const (
	settingOrigin  = "clock.origin"  // what the business's clock showed
	settingStarted = "clock.started" // when the machine's showed this
	settingSpeed   = "clock.speed"
)

// storedClock is the clock that the data was made with: the machine's own where nothing is stored.
func storedClock(ctx context.Context, s *store.Store) (punchcard.Clock, error) {
	view := s.View(ctx)
	var values [3]string
	for i, name := range []string{settingOrigin, settingStarted, settingSpeed} {
		v, err := view.Setting(name)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	if values[0] == "" {
		return punchcard.SystemClock{}, nil
	}
	origin, err := time.Parse(time.RFC3339Nano, values[0])
	if err != nil {
		return nil, fmt.Errorf("the data's clock cannot be read: %w", err)
	}
	started, err := time.Parse(time.RFC3339Nano, values[1])
	if err != nil {
		return nil, fmt.Errorf("the data's clock cannot be read: %w", err)
	}
	speed, err := strconv.ParseFloat(values[2], 64)
	if err != nil {
		return nil, fmt.Errorf("the data's clock cannot be read: %w", err)
	}
	return punchcard.ScaledClock{Origin: origin, Started: started, Speed: speed}, nil
}

// scaledClock is the development server's clock. Fresh data starts on a Monday at ten in the morning in the program's zone, so
// that nothing waits for a night to be over; old data goes on by the clock that it has, and refuses another speed (0: any).
func scaledClock(ctx context.Context, s *store.Store, speed float64, zone *time.Location) (punchcard.ScaledClock, error) {
	stored, err := storedClock(ctx, s)
	if err != nil {
		return punchcard.ScaledClock{}, err
	}
	if clock, ok := stored.(punchcard.ScaledClock); ok {
		if speed != 0 && speed != clock.Speed {
			return clock, fmt.Errorf("the data here runs at speed %g, which cannot change: leave --speed out, or begin anew with --fresh (make run FRESH=1)", clock.Speed)
		}
		return clock, nil
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	clock := punchcard.ScaledClock{Origin: nextMonday(now.In(zone)), Started: now, Speed: max(speed, 1)}
	return clock, s.Update(ctx, func(tx *store.Tx) error {
		for name, value := range map[string]string{
			settingOrigin: clock.Origin.Format(time.RFC3339Nano), settingStarted: clock.Started.Format(time.RFC3339Nano),
			settingSpeed: strconv.FormatFloat(clock.Speed, 'g', -1, 64),
		} {
			if err := tx.SetSetting(name, value); err != nil {
				return err
			}
		}
		return nil
	})
}

// nextMonday is ten o'clock on the first Monday from now on. It lies ahead of the machine's time, so that a backend which stamps
// its events with that does not send them from the future.
func nextMonday(now time.Time) time.Time {
	ten := time.Date(now.Year(), now.Month(), now.Day(), 10, 0, 0, 0, now.Location())
	for ten.Weekday() != time.Monday || ten.Before(now) {
		ten = ten.AddDate(0, 0, 1)
	}
	return ten.UTC()
}
