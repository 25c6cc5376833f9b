package simulate_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/store"
)

// staffed is the coffee program with a greeting, and hours in which somebody is there.
func staffed(t *testing.T) fstest.MapFS {
	t.Helper()
	program := replaced(t, string(coffee()["program.yaml"].Data), "replies:                               # answered at once, inside the service window\n", `opening_hours:
  - {weekdays: [monday, tuesday, wednesday, thursday, friday], from: "09:00", to: "17:00"}
replies:
  greeting: Welcome!
  away: We are back at nine.
`)
	return with(map[string]string{"program.yaml": program})
}

func (b *bundle) questions() []string {
	b.t.Helper()
	open, err := b.Store.View(b.ctx).OpenHandoffs("", 100)
	require.NoError(b.t, err)
	var out []string
	for _, h := range open {
		m, err := b.Store.View(b.ctx).Message(h.MessageID)
		require.NoError(b.t, err)
		require.False(b.t, h.Mutes)
		out = append(out, m.Text)
	}
	return out
}

const otherwise = "text: Thanks! A person will answer soon."

// A first message is greeted, once; by night it is said that nobody is there; and what nothing answered waits for a person, who mutes nothing.
func TestGreetingAndAway(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), staffed(t))
		b.says(anna, "Hello")
		require.Equal(t, []string{"text: Welcome!"}, b.messages(anna))
		require.Equal(t, []string{"Hello"}, b.questions())
		b.says(anna, "Do you have oat milk?")
		require.Equal(t, []string{otherwise}, b.messages(anna))
		require.Equal(t, []string{"Do you have oat milk?"}, b.questions(), "one for each customer, about their newest message")
		b.says(anna, "points")
		require.Equal(t, []string{"text: You have 0 points."}, b.messages(anna), "automation goes on meanwhile")

		b.advance(8 * time.Hour) // six in the evening
		b.says(anna, "Are you there?")
		require.Equal(t, []string{"text: We are back at nine."}, b.messages(anna))
		b.says(anna, "Hello?")
		require.Empty(t, b.messages(anna), "once for a night")
		b.says(bo, "Hi")
		require.Equal(t, []string{"text: Welcome!\n\nWe are back at nine."}, b.messages(bo))

		open, err := b.Store.View(b.ctx).OpenHandoffs("", 100)
		require.NoError(t, err)
		for _, h := range open {
			_, err := b.Dispatch.CloseHandoff(b.ctx, h.ID, "Mia")
			require.NoError(t, err)
		}
		require.Empty(t, b.questions())
		b.advance(15 * time.Hour) // nine in the morning
		b.says(anna, "Good morning")
		require.Equal(t, []string{otherwise}, b.messages(anna))
		require.Equal(t, []string{"Good morning"}, b.questions())
	})
}

// A first message that something else answers is not greeted, nor is the one after it.
func TestNoGreetingBesideAnAnswer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), staffed(t))
		b.says(anna, "points")
		require.Equal(t, []string{"text: You have 0 points."}, b.messages(anna))
		b.says(anna, "Hello")
		require.Equal(t, []string{otherwise}, b.messages(anna))
		b.says(bo, "STOP")
		for _, m := range b.messages(bo) {
			require.NotContains(t, m, "Welcome")
		}
	})
}

// Another machine that answers each of our replies is left alone after a few, whichever kind of machine it is. STOP is confirmed all the
// same, and time makes good again.
func TestRepliesToMachines(t *testing.T) {
	t.Parallel()
	for name, machine := range map[string]func(n int, said string) string{
		"it says what we said":           func(_ int, said string) string { return strings.ToUpper(said) },
		"it says the same":               func(int, string) string { return "points" },
		"it has a menu with our word":    func(n int, _ string) string { return []string{"points", "balance", "Points!", "BALANCE."}[n%4] },
		"it says something else at once": func(n int, _ string) string { return fmt.Sprintf("I am away until %d", n) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
				b := setup(t, fresh(t), staffed(t))
				b.says(anna, "Hello")
				said := "Welcome!"
				replies := 0
				for n := range 60 {
					b.says(anna, machine(n, said))
					for _, m := range b.messages(anna) {
						replies++
						said = strings.TrimPrefix(m, "text: ")
					}
				}
				require.LessOrEqual(t, replies, 10)
				b.advance(2 * time.Hour)
				b.says(anna, "points")
				require.Equal(t, []string{"text: You have 0 points."}, b.messages(anna))
			})
		})
	}
	t.Run("slowly", func(t *testing.T) {
		t.Parallel()
		each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
			b := setup(t, fresh(t), staffed(t))
			replies := 0
			for n := range 60 {
				b.says(anna, []string{"points", "balance"}[n%2])
				replies += len(b.messages(anna))
				b.advance(59 * time.Second)
			}
			require.LessOrEqual(t, replies, 31)
			b.join(bo)
			for range 12 {
				b.says(bo, "points")
			}
			b.messages(bo)
			b.says(bo, "STOP")
			require.Len(t, b.messages(bo), 1, "a stop is confirmed")
		})
	})
}
