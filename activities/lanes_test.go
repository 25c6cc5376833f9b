package activities

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/store"
)

const second = int64(time.Second / time.Microsecond)

// most is the largest number of turns within any second.
func most(turns []int64) int {
	slices.Sort(turns)
	most, from := 0, 0
	for to, at := range turns {
		for at-turns[from] >= second {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

// lineAt is a number's line as a worker finds it at a moment.
func lineAt(row *store.SendRate, now int64, marketing int) *lanes {
	return newLanes(row, Rate{PerSecond: 80, Marketing: marketing}, now)
}

// A campaign that takes all the turns it can get leaves a redemption's code its own, at once; and both together keep the rate.
func TestCampaignDelaysNothingElse(t *testing.T) {
	t.Parallel()
	row := &store.SendRate{}
	now, asked := 1_700_000_000*second, 0
	var turns []int64
	var longest int64
	for range 2000 { // ten seconds, in steps of five milliseconds
		l := lineAt(row, now, 75)
		for {
			g := l.next(true, 0)
			if g.away > 0 {
				break
			}
			turns = append(turns, g.at)
		}
		if asked++; asked%20 == 0 { // ten a second
			g := l.next(false, 0)
			require.Zero(t, g.away)
			turns = append(turns, g.at)
			longest = max(longest, g.at-now)
		}
		l.save()
		now += 5000
	}
	require.LessOrEqual(t, most(turns), 80)
	require.Less(t, longest, int64(100_000), "microseconds that a code waited for its turn")
	require.Greater(t, len(turns), 10*(60+9))
}

// Alone, what is not marketing has all of the number; marketing has its part.
func TestShares(t *testing.T) {
	t.Parallel()
	for marketing, want := range map[bool]int{true: 60, false: 80} {
		row := &store.SendRate{}
		now := 1_700_000_000 * second
		var turns []int64
		for range 1000 {
			l := lineAt(row, now, 75)
			for g := l.next(marketing, 0); g.away == 0; g = l.next(marketing, 0) {
				turns = append(turns, g.at)
			}
			l.save()
			now += 10_000
		}
		require.Equal(t, want, most(turns))
		require.InDelta(t, float64(want)*10.6, float64(len(turns)), float64(want)*0.2)
	}
}

// Those for whom there is no turn are told to come back one after the other, at the rate.
func TestLine(t *testing.T) {
	t.Parallel()
	l := lineAt(&store.SendRate{}, 1_700_000_000*second, 75)
	var away []int64
	for len(away) < 600 {
		if g := l.next(true, 0); g.away > 0 {
			away = append(away, g.away)
		}
	}
	require.True(t, slices.IsSorted(away))
	require.Positive(t, away[0])
	require.InDelta(t, 10*second, away[599]-away[0], float64(second)/5)
}

// A call that is late delays the next turn of its lane, and nothing else.
func TestLateCall(t *testing.T) {
	t.Parallel()
	row := &store.SendRate{}
	now := 1_700_000_000 * second
	l := lineAt(row, now, 100)
	first := l.next(true, 0)
	second80 := []int64{}
	late := first.at + 200_000
	moved := l.give(first.lane, late)
	require.Greater(t, moved.free, first.free)
	for range 79 {
		second80 = append(second80, l.next(true, 0).at)
	}
	l.save()
	l = lineAt(row, now+900_000, 100)
	for range 40 {
		if g := l.next(true, 0); g.away == 0 {
			require.False(t, g.lane == first.lane && g.at < late+second, "a second after the late call")
			second80 = append(second80, g.at)
		}
	}
	require.LessOrEqual(t, most(append(second80, late)), 80)
}

// WhatsApp's refusals halve the rate, and it recovers by itself.
func TestSlowedRateRecovers(t *testing.T) {
	t.Parallel()
	now := 1_700_000_000 * second
	row := &store.SendRate{Level: 3, LevelAt: now}
	for after, want := range map[time.Duration]int{0: 3, 16 * time.Second: 2, 31 * time.Second: 1, time.Minute: 0, time.Hour: 0} {
		require.Equal(t, want, levelAt(row, now+after.Microseconds()), after)
	}
	require.Equal(t, 8*second+slack.Microseconds(), lineAt(row, now, 100).period)
	require.Equal(t, second+slack.Microseconds(), lineAt(row, now+60*second, 100).period)
}

// Another rate, and a database whose clock was set back, find lanes they can use.
func TestOtherLanes(t *testing.T) {
	t.Parallel()
	now := 1_700_000_000 * second
	row := &store.SendRate{}
	l := lineAt(row, now, 75)
	l.next(true, 0)
	l.save()
	fewer := newLanes(row, Rate{PerSecond: 10, Marketing: 75}, now)
	require.Len(t, fewer.free, 10)
	require.Greater(t, slices.Max(fewer.free), now, "what went out counts")
	require.Len(t, newLanes(row, Rate{PerSecond: 1000, Marketing: 75}, now).free, 1000)
	back := lineAt(row, now-3600*second, 75)
	require.LessOrEqual(t, slices.Max(back.free), now-3600*second+longest)
	for _, r := range []Rate{{PerSecond: 0, Marketing: 75}, {PerSecond: 1001, Marketing: 75}, {PerSecond: 80}, {PerSecond: 80, Marketing: 101}} {
		require.Error(t, r.Check())
	}
	for _, r := range []Rate{{PerSecond: 1, Marketing: 1}, {PerSecond: 80, Marketing: 1}, {PerSecond: 1000, Marketing: 1}} {
		require.Zero(t, newLanes(&store.SendRate{}, r, now).next(true, 0).away, "however small its part, marketing has a lane")
	}
}
