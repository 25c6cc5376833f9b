package simulate_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

// edits has the customer change what they said before, as a webhook would tell.
func (b *bundle) edits(phone, original, text string) {
	b.t.Helper()
	b.webhook(phone, map[string]any{"type": "edit", "edit": map[string]any{
		"original_message_id": original, "message": map[string]any{"type": "text", "text": map[string]any{"body": text}},
	}})
}

// newestIn is WhatsApp's id of what was said last.
func (b *bundle) newestIn() string { return fmt.Sprintf("wamid.in.%d", b.seq) }

// What has been said is said: an edit, a reaction and a message taken back change the record, and answer no question. Only a stop
// is heard in an edit too.
func TestOnlyNewMessagesAnswer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.event(anna, "registration.received", map[string]any{"source": "web"})
		require.Equal(t, []string{"opt_in_request"}, b.messages(anna))
		question := "wamid.1"
		b.webhook(anna, map[string]any{"type": "reaction", "reaction": map[string]any{"message_id": question, "emoji": "👍"}})
		b.says(anna, "perhaps")
		said := b.newestIn()
		require.Equal(t, []string{"text: Please reply YES or NO."}, b.messages(anna), "a reaction is none, a message is one")
		for _, word := range []string{"yes", "no", "JOIN", "POINTS", "REDEEM", "what?"} {
			b.edits(anna, said, word)
			m, err := b.Store.View(b.ctx).MessageByWamid(said)
			require.NoError(t, err)
			require.Equal(t, []string{word, "perhaps"}, []string{m.Text, *m.FirstText}, "the record says what is there now, and what was")
		}
		b.webhook(anna, map[string]any{"type": "revoke", "revoke": map[string]any{"original_message_id": said}})
		require.Empty(t, b.messages(anna))
		runs := b.outcomes(anna)
		require.Len(t, runs, 1)
		require.Contains(t, runs[0], "opt-in live")

		b.says(anna, "yes")
		require.Equal(t, []string{"opt_in_welcome"}, b.messages(anna))
		b.says(anna, "points")
		b.messages(anna)
		b.edits(anna, b.newestIn(), "STOP")
		standings, err := b.Store.View(b.ctx).Standings(b.customer(anna).ID)
		require.NoError(t, err)
		for topic, s := range standings {
			require.Equal(t, punchcard.StandingRevoked, s.Standing, topic)
		}
		require.Len(t, standings, 3)
	})
}

// An edit that overtakes what it changes makes no difference to what is heard: a STOP that is edited away was said.
func TestEditFirst(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.join(anna)
		b.edits(anna, fmt.Sprintf("wamid.in.%d", b.seq+2), "hello")
		require.Empty(t, b.messages(anna))
		b.says(anna, "stop")
		m, err := b.Store.View(b.ctx).MessageByWamid(b.newestIn())
		require.NoError(t, err)
		require.Equal(t, "hello", m.Text)
		standings, err := b.Store.View(b.ctx).Standings(b.customer(anna).ID)
		require.NoError(t, err)
		for topic, s := range standings {
			require.Equal(t, punchcard.StandingRevoked, s.Standing, topic)
		}
	})
}
