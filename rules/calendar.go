package rules

import (
	"strings"
	"time"
)

// anniversary tells whether a day is one on which a date comes round: the same day of the same month, in a later year. Who was
// born on 29 February has it on the 28th in years without one. What is absent has none.
func anniversary(args ...any) (any, error) {
	of, ok := args[0].(time.Time)
	on, known := args[1].(time.Time)
	if !ok || !known || on.Year() <= of.Year() {
		return false, nil
	}
	return on.Month() == of.Month() && on.Day() == min(of.Day(), lastDay(on.Year(), of.Month())), nil
}

// years is how many anniversaries of a date have come by a day; 0 for what is absent.
func years(args ...any) (any, error) {
	of, ok := args[0].(time.Time)
	on, known := args[1].(time.Time)
	if !ok || !known {
		return 0, nil
	}
	n := on.Year() - of.Year()
	if on.Month() < of.Month() || on.Month() == of.Month() && on.Day() < min(of.Day(), lastDay(on.Year(), of.Month())) {
		n--
	}
	return max(n, 0), nil
}

// weekdayOf is the day's name: monday. It is "" for what is absent.
func weekdayOf(args ...any) (any, error) {
	if at, ok := args[0].(time.Time); ok {
		return strings.ToLower(at.Weekday().String()), nil
	}
	return "", nil
}
