package simulate_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
	"punchcard/rules"
)

// more is the coffee program with more in its program.yaml, and with a keyword for the list of topics.
func more(t *testing.T, text string) fstest.MapFS {
	t.Helper()
	program := string(coffee()["program.yaml"].Data)
	return with(map[string]string{
		"program.yaml": replaced(t, program, "keywords:", text+"\nkeywords:\n  topics: [TOPICS, EMNER]"),
	})
}

// consents lists a customer's standings in one line.
func (b *bundle) consents(phone string) string {
	b.t.Helper()
	states, err := b.Store.View(b.ctx).Standings(b.customer(phone).ID)
	require.NoError(b.t, err)
	var out []string
	for _, topic := range []string{"offers", "reminders", "rewards"} {
		standing := string(states[topic].Standing)
		if standing == "" {
			standing = "none"
		}
		out = append(out, standing)
	}
	return strings.Join(out, " ")
}

// log is a customer's consent log.
func (b *bundle) log(phone string) []punchcard.ConsentEntry {
	b.t.Helper()
	log, err := b.Store.View(b.ctx).Consents(b.customer(phone).ID, 0, 1000)
	require.NoError(b.t, err)
	return log
}

// chooses has the customer tap a row of the list in our newest message.
func (b *bundle) chooses(phone, row string) {
	b.t.Helper()
	b.webhook(phone, map[string]any{
		"type":        "interactive",
		"interactive": map[string]any{"type": "list_reply", "list_reply": map[string]any{"id": row, "title": row}},
		"context":     map[string]any{"id": fmt.Sprintf("wamid.%d", len(b.wa.sent))},
	})
}

const granted3 = "granted granted granted"

func TestStopOfATopic(t *testing.T) {
	t.Parallel()
	cart := map[string]any{"cart_id": "c1", "total": 120, "items": []any{}}
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		for said, want := range map[string]string{
			"STOP OFFERS":                             "revoked granted granted",
			"Stop... offers!!":                        "revoked granted granted",
			"stop tilbud 🛑":                           "revoked granted granted",
			"STOP 🛑🛑":                                 "revoked revoked revoked",
			"stop Tilbud":                             "revoked granted granted",
			"afmeld påmindelser":                      "granted revoked granted",
			"AFMELD PAMINDELSER":                      "granted revoked granted",
			"unsubscribe your points, rewards, gifts": granted3,
			"stop your points, rewards and gifts":     "granted granted revoked",
			"stop":                                    "revoked revoked revoked",
			"please stop":                             granted3,
			"stop by the shop tomorrow if you like":   granted3,
		} {
			t.Run(said, func(t *testing.T) {
				t.Parallel()
				b := setup(t, fresh(t), more(t, ""))
				b.join(anna)
				require.Equal(t, granted3, b.consents(anna))
				b.says(anna, said)
				require.Equal(t, want, b.consents(anna))
			})
		}
		t.Run("only its runs end", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), more(t, ""))
			b.join(anna)
			b.event(anna, "cart.updated", cart)
			b.event(anna, "order.placed", map[string]any{"order_id": "o1", "total": 20})
			b.messages(anna)
			b.says(anna, "stop reminders")
			require.ElementsMatch(t, []string{
				"opt-in subscribed", "abandoned-cart opted_out", "stamp-card live at 1 ", "milestone completed",
			}, b.outcomes(anna))
			require.Equal(t, []string{
				"text: You will get no more of this from Bean & Bloom: A reminder when you leave a cart behind. Write STOP to end everything.",
			}, b.messages(anna))
			b.says(anna, "stop reminders")
			require.Empty(t, b.messages(anna), "it is confirmed once")
			last := b.log(anna)[6]
			require.Equal(t, "stop", last.Source)
			require.Equal(t, punchcard.ChannelWhatsApp, last.Channel)
			require.NotEmpty(t, last.ReplyID)
			require.False(t, last.Everything)
			b.event(anna, "order.placed", map[string]any{"order_id": "o2", "total": 20})
			require.Equal(t, []string{"stamp"}, b.messages(anna), "another topic goes on")
			b.says(anna, "join")
			b.says(anna, "yes")
			require.Equal(t, granted3, b.consents(anna), "the customer may begin again")
		})
		t.Run("from the list", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), more(t, ""))
			b.says(anna, "topics")
			require.Equal(t, []string{"text: Bean & Bloom sends you nothing that could be stopped. Write JOIN to begin."}, b.messages(anna))
			b.event(anna, "registration.received", map[string]any{"source": "web"})
			b.says(anna, "yes")
			b.messages(anna)
			for _, ask := range []string{"emner", "stop the noise"} {
				b.says(anna, ask)
				require.Equal(t, []string{"text: What should Bean & Bloom stop sending you?"}, b.messages(anna))
			}
			rows := b.wa.sent[len(b.wa.sent)-1].List.Sections[0].Rows
			require.Len(t, rows, 4)
			require.Equal(t, "stop:offers", rows[0].ID)
			require.Equal(t, "Offers and early access…", rows[0].Title)
			require.Equal(t, "Offers and early access, at most two a week", rows[0].Description)
			require.Equal(t, "stop:*", rows[3].ID)
			b.chooses(anna, "stop:offers")
			require.Equal(t, "revoked granted granted", b.consents(anna))
			last := b.log(anna)[6]
			require.Equal(t, "stop.list", last.Source)
			require.Equal(t, "What should Bean & Bloom stop sending you?", last.Wording)
			require.NotEmpty(t, last.MessageID)
			b.says(anna, "topics")
			b.chooses(anna, "stop:*")
			require.Equal(t, "revoked revoked revoked", b.consents(anna))
		})
		t.Run("after a stop, what to keep", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), more(t, "on_stop: offer_topics"))
			b.join(anna)
			b.says(anna, "stop offers")
			b.messages(anna)
			b.says(anna, "STOP")
			require.Equal(t, "revoked revoked revoked", b.consents(anna))
			require.Contains(t, b.messages(anna)[0], "choose what you still want to get")
			rows := b.wa.sent[len(b.wa.sent)-1].List.Sections[0].Rows
			require.Len(t, rows, 2, "what they had")
			b.advance(time.Minute)
			b.chooses(anna, "keep:rewards")
			require.Equal(t, "revoked revoked granted", b.consents(anna))
			log := b.log(anna)
			last := log[len(log)-1]
			require.Equal(t, punchcard.StandingGranted, last.Standing)
			require.Contains(t, last.Wording, "Your points, rewards and gifts")
			b.says(anna, "STOP")
			b.chooses(anna, "keep:nothing")
			require.Equal(t, "revoked revoked revoked", b.consents(anna))
		})
	})
}

// preference has WhatsApp tell what the customer set there about marketing.
func (b *bundle) preference(phone, value string) {
	b.t.Helper()
	body, err := json.Marshal(map[string]any{"object": "whatsapp_business_account", "entry": []any{map[string]any{"id": "1", "changes": []any{
		map[string]any{"field": "user_preferences", "value": map[string]any{"messaging_product": "whatsapp", "user_preferences": []any{
			map[string]any{"wa_id": strings.TrimPrefix(phone, "+"), "category": "marketing_messages", "value": value, "timestamp": 1749416383},
		}}},
	}}}})
	require.NoError(b.t, err)
	require.NoError(b.t, b.Dispatch.Receive(b.ctx, body))
	require.NoError(b.t, b.Settle(b.ctx))
}

// WhatsApp's own stop is of marketing. Its resume is a request of the customer's, for what that stop ended and nothing else.
func TestPreference(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		program := coffee()
		program = add(program, "journeys/notes.yaml", "journey: notes\ntopic: offers\nenter: [{on: cart.emptied}]\nsteps: [{wait: 1h}, {send: milestone_thanks}]\n")
		b := setup(t, fresh(t), program)
		b.join(anna)
		b.preference(anna, "stop")
		require.Equal(t, "granted revoked revoked", b.consents(anna), "no marketing is sent by offers")
		require.Empty(t, b.messages(anna), "WhatsApp has confirmed it")
		b.preference(anna, "resume")
		require.Equal(t, "granted requested requested", b.consents(anna))
		require.Equal(t, []string{"opt_in_request"}, b.messages(anna))
		b.says(anna, "yes")
		require.Equal(t, granted3, b.consents(anna))
		b.says(anna, "stop")
		b.messages(anna)
		b.preference(anna, "resume")
		require.Equal(t, "revoked revoked revoked", b.consents(anna), "a resume takes no STOP back")
		b.preference(anna, "stop")
		b.preference(anna, "resume")
		require.Equal(t, "revoked revoked revoked", b.consents(anna), "nor when WhatsApp's own stop came after it")
		require.Empty(t, b.messages(anna))
		b.says(anna, "join")
		b.says(anna, "yes")
		b.preference(anna, "stop")
		b.preference(anna, "resume")
		require.Equal(t, "granted requested requested", b.consents(anna), "they have begun again since")
	})
}

// A list that is imported again is taken once, whatever has become of the program's topics and however late in the day it is.
func TestImportedAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		program := coffee()
		b := setup(t, fresh(t), program)
		file := "phone,topic,standing,occurred_at,source\n" + anna + ",*,revoked,2026-11-20,letter\n" + anna + ",offers,revoked,2026-11-23,call\n"
		takes := func() dispatch.ImportTotals {
			totals, err := b.Dispatch.ImportConsents(b.ctx, strings.NewReader(file), "Mia", false, func(dispatch.ImportLine) error { return nil })
			require.NoError(t, err)
			return totals
		}
		require.Equal(t, dispatch.ImportTotals{Recorded: 2}, takes())
		lines := len(b.log(anna))
		b.advance(time.Hour)
		program["program.yaml"].Data = []byte(replaced(t, string(program["program.yaml"].Data), "\ntopics:\n", "\ntopics:\n  news: News of the shop\n"))
		p, problems := rules.Load(program)
		require.Empty(t, problems.Errors())
		_, _, err := b.Fence.Catalog.Publish(b.ctx, p)
		require.NoError(t, err)
		require.Equal(t, dispatch.ImportTotals{Repeated: 2}, takes())
		require.Len(t, b.log(anna), lines)
	})
}

// A topic that no journey sends by yet may be one of marketing: a stop of marketing is one of that as well.
func TestPreferenceUnusedTopic(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.join(anna)
		b.preference(anna, "stop")
		require.Equal(t, "revoked revoked revoked", b.consents(anna), "coffee has no journey of offers")
	})
}

func TestLinks(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), more(t, "links: {counter-3: {topics: [rewards]}, flyer: {text: Hej! Jeg vil gerne være med}}"))
		b.says(anna, "join Counter 3.")
		require.Equal(t, "none none requested", b.consents(anna))
		require.Equal(t, "link.counter-3", b.log(anna)[0].Source)
		require.NotEmpty(t, b.log(anna)[0].ReplyID)
		require.Equal(t, []string{"opt_in_request"}, b.messages(anna))
		const bob = "+4520999999"
		b.says(bob, "hej jeg vil gerne vaere med")
		require.Equal(t, "requested requested requested", b.consents(bob), "what keyword.join asks for")
		require.Equal(t, "link.flyer", b.log(bob)[0].Source)
	})
}

// A webhook that comes late counts by when its message was said.
func TestLateStop(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.event(anna, "registration.received", map[string]any{"source": "web"})
		asked := b.Clock.Now()
		b.advance(2 * time.Hour)
		b.says(anna, "yes")
		require.Equal(t, granted3, b.consents(anna))
		b.seq++
		b.change(map[string]any{"messages": []any{map[string]any{
			"type": "text", "text": map[string]any{"body": "STOP"}, "id": "wamid.late", "from": strings.TrimPrefix(anna, "+"),
			"timestamp": fmt.Sprint(asked.Add(time.Hour).Unix()),
		}}})
		require.Equal(t, "revoked revoked revoked", b.consents(anna), "the yes answered a question from before the stop")
		log := b.log(anna)
		last := log[len(log)-1]
		require.WithinDuration(t, asked.Add(time.Hour), last.OccurredAt, time.Second)
		require.Equal(t, b.Clock.Now(), last.At)

		// An event from before it asks nothing.
		b.messages(anna)
		_, err := b.Dispatch.Ingest(b.ctx, []dispatch.Incoming{{
			ID: "old", Name: "registration.received", Customer: dispatch.Reference{Phone: anna}, OccurredAt: asked, Properties: map[string]any{"source": "web"},
		}})
		require.NoError(t, err)
		require.NoError(t, b.Settle(b.ctx))
		require.Empty(t, b.messages(anna))
	})
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.join(anna)
		c := b.customer(anna)
		_, _, err := b.Dispatch.Revoke(b.ctx, dispatch.Revocation{Customer: c.ID, Topics: []string{"ofers"}})
		require.Equal(t, punchcard.CodeNotFound, punchcard.CodeOf(err))
		_, changed, err := b.Dispatch.Revoke(b.ctx, dispatch.Revocation{Customer: c.ID, Topics: []string{"offers"}, Source: "block_report", Channel: punchcard.ChannelAPI, By: "crm"})
		require.NoError(t, err)
		require.True(t, changed)
		require.Equal(t, "revoked granted granted", b.consents(anna))
		_, changed, err = b.Dispatch.Revoke(b.ctx, dispatch.Revocation{Customer: c.ID})
		require.NoError(t, err)
		require.True(t, changed)
		require.Equal(t, "revoked revoked revoked", b.consents(anna))
	})
}

// A message that came from an advertisement counts as asking to join where the program says so.
func TestAdClicked(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		program := string(coffee()["program.yaml"].Data)
		b := setup(t, fresh(t), with(map[string]string{
			"program.yaml": replaced(t, program, "\n  - {on: registration.received,", "\n  - {on: ad.clicked, where: event.source_type == \"ad\", topics: [offers]}\n  - {on: registration.received,"),
		}))
		hello := func(kind string) {
			b.webhook(anna, map[string]any{
				"type": "text", "text": map[string]any{"body": "Hello!"},
				"referral": map[string]any{"source_id": "1202", "source_type": kind, "source_url": "https://fb.example/ad", "headline": "Free coffee", "ctwa_clid": "click-1"},
			})
		}
		hello("post")
		require.Equal(t, "none none none", b.consents(anna))
		hello("ad")
		require.Equal(t, "requested none none", b.consents(anna))
		first := b.log(anna)[0]
		require.Equal(t, "ad.clicked", first.Source)
		require.Equal(t, "1202", first.Reference)
		require.NotEmpty(t, first.ReplyID)
		require.Contains(t, b.messages(anna), "opt_in_request")
	})
}
