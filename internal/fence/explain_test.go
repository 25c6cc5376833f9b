package fence_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/fence"
)

func TestInWords(t *testing.T) {
	t.Parallel()
	morning := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		decision     punchcard.MessageDecision
		rule, change string
	}{
		{punchcard.MessageDecision{Verdict: punchcard.VerdictSend}, "Nothing stood in the way.", ""},
		{
			punchcard.MessageDecision{Reason: "quiet_hours", Until: &morning, Facts: punchcard.DecisionFacts{
				Zone: "Europe/Copenhagen", Local: "Mon 2026-11-23 22:00", Quiet: "21:00 to 09:00",
			}},
			"It is night for the customer, Mon 2026-11-23 22:00: quiet hours are 21:00 to 09:00.", "Wait until Tue 2026-11-24 09:00 in Europe/Copenhagen.",
		},
		{
			punchcard.MessageDecision{Reason: "no_consent", Facts: punchcard.DecisionFacts{Topic: "offers", Standing: punchcard.StandingNone}},
			"The customer has not granted offers: it is none, and unknown consent means no.", "Grant the topic offers: have the customer ask to join and answer.",
		},
		{
			punchcard.MessageDecision{Reason: "no_consent", Facts: punchcard.DecisionFacts{Topic: "offers", Standing: punchcard.StandingRevoked}},
			"The customer has not granted offers: it is revoked.", "Only the customer can begin again after a stop: with the keyword join.",
		},
		{
			punchcard.MessageDecision{Reason: "deadline", Facts: punchcard.DecisionFacts{Waits: "cap"}},
			"It waited as long as its step lets it, for cap.", "Say a longer within, or remove what it waited for.",
		},
		{
			punchcard.MessageDecision{Reason: "whatsapp_132012"},
			"WhatsApp refused it, or its template: whatsapp_132012.", "docs/operations.md has what to do about each of WhatsApp's codes.",
		},
	} {
		rule, change := fence.InWords(c.decision)
		require.Equal(t, c.rule, rule)
		require.Equal(t, c.change, change)
	}
}
