package simulator

import (
	"slices"
	"time"
)

// The portfolio's limit grows by itself when at least half of it was used within a week and the quality is high. Source: Meta's page
// on messaging limits, which says within how long: Limits.TierUpgrade.
const tierWeek = 7 * 24 * time.Hour

// ladder are the tiers, each below the next.
var ladder = []string{"TIER_250", "TIER_2K", "TIER_10K", "TIER_100K", tierUnlimited}

// reach notes that a template reached a person outside the service window, and whether half of the limit is used by that. The
// caller holds mu.
func (s *Simulator) reach(who *person, at time.Time) {
	if who.opened.Equal(at) {
		return // a clock that stands still would count them twice
	}
	who.opened = at
	s.opened = append(s.opened, openedAt{who, at})
	if !s.halfUsed.IsZero() {
		return
	}
	if most := tiers[s.limits.Tier]; most > 0 && 2*s.reachedWithin(at, tierWeek) >= most {
		s.halfUsed = at
	}
}

// reachedWithin is how many people templates reached outside the service window in a time that ends now. Each counts once. What is
// older than a week is forgotten. The caller holds mu.
func (s *Simulator) reachedWithin(now time.Time, span time.Duration) int {
	old := slices.IndexFunc(s.opened, func(o openedAt) bool { return within(now, o.at, tierWeek) })
	if old < 0 {
		old = len(s.opened)
	}
	s.opened = s.opened[old:]
	people := 0
	for _, o := range s.opened {
		if o.who.opened.Equal(o.at) && within(now, o.at, span) { // the newest of theirs
			people++
		}
	}
	return people
}

// grown is the next tier, when it is time for it. The caller holds mu.
func (s *Simulator) grown(now time.Time) (fact, bool) {
	wait := time.Duration(s.limits.TierUpgrade)
	at := slices.Index(ladder, s.limits.Tier)
	if wait == 0 || s.halfUsed.IsZero() || now.Before(s.halfUsed.Add(wait)) || s.account.Quality != green || at < 0 || at == len(ladder)-1 {
		return fact{}, false
	}
	return s.promote(ladder[at+1]), true
}
