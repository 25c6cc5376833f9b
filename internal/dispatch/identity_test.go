package dispatch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

const (
	phone    = "+4520123456"
	newPhone = "+4520123457"
)

// hook receives a webhook with one message, and drains. from may be empty, and so may user.
func (b *bundle) hook(id, from, user string, at time.Time, content string) {
	b.t.Helper()
	field := func(name, value string) string {
		if value == "" {
			return ""
		}
		return fmt.Sprintf(`%q:%q,`, name, value)
	}
	if content == "" {
		content = `"type":"text","text":{"body":"hello"}`
	}
	body := `{"entry":[{"id":"1","changes":[{"field":"messages","value":{"messages":[{` + field("from", from) + field("from_user_id", user) +
		fmt.Sprintf(`"id":%q,"timestamp":"%d",%s}]}}]}]}`, id, at.Unix(), content)
	require.NoError(b.t, b.d.Receive(b.ctx, []byte(body)))
	b.drain()
	parked, err := b.store.View(b.ctx).InboxDepth()
	require.NoError(b.t, err)
	require.Zero(b.t, parked, "it was taken over")
}

// wrote is the id of the customer whose message that is.
func (b *bundle) wrote(wamid string) string {
	b.t.Helper()
	m, err := b.store.View(b.ctx).MessageByWamid(wamid)
	require.NoError(b.t, err)
	require.NotNil(b.t, m, wamid)
	return m.CustomerID
}

// names are a customer's now, as kind:value.
func (b *bundle) names(id string) []string {
	b.t.Helper()
	rows, err := b.store.View(b.ctx).Identities(id)
	require.NoError(b.t, err)
	var names []string
	for _, r := range rows {
		names = append(names, string(r.Kind)+":"+r.Value)
	}
	return names
}

func (b *bundle) register(external, phone string) string {
	b.t.Helper()
	b.send(order(punchcard.NewID("o"), dispatch.Reference{ExternalID: external, Phone: phone}))
	return b.customer(dispatch.Reference{ExternalID: external}).ID
}

// to stores a message that went to a customer, and answers its id.
func (b *bundle) to(customer string) string {
	b.t.Helper()
	id := punchcard.NewID(punchcard.PrefixMessage)
	wamid := "wamid." + id
	require.NoError(b.t, b.store.Update(b.ctx, func(tx *store.Tx) error {
		_, err := tx.AddMessage(&punchcard.Message{
			ID: id, CustomerID: customer, RunID: id, Direction: punchcard.Outbound, Status: punchcard.MessageAccepted, Wamid: &wamid,
		})
		return err
	}))
	return id
}

// status1 receives the status that a message was delivered, with who the recipient is, and drains.
func (b *bundle) status1(id string, at time.Time, recipient string) {
	b.t.Helper()
	require.NoError(b.t, b.d.Receive(b.ctx, []byte(fmt.Sprintf(`{"entry":[{"id":"1","changes":[{"field":"messages","value":{"statuses":[
		{"id":"wamid.%s","status":"delivered","timestamp":"%d",%s}]}}]}]}`, id, at.Unix(), recipient))))
	b.drain()
	parked, err := b.store.View(b.ctx).InboxDepth()
	require.NoError(b.t, err)
	require.Zero(b.t, parked, "it was taken over")
}

func TestWhoIsMeant(t *testing.T) {
	t.Parallel()
	now := time.Now().Add(-time.Hour).Truncate(time.Second)
	changed := func(kind, fields string) string {
		return fmt.Sprintf(`"type":"system","system":{"body":"x","type":%q,%s}`, kind, fields)
	}
	for name, test := range map[string]func(t *testing.T, b *bundle){
		"a user id that is new goes to whom its phone is": func(t *testing.T, b *bundle) {
			c := b.register("e1", phone)
			b.hook("m1", phone, "DK.1", now, "")
			require.Equal(t, c, b.wrote("m1"))
			require.ElementsMatch(t, []string{"external:e1", "phone:" + phone, "user_id:DK.1"}, b.names(c))
			b.hook("m2", "", "DK.1", now, "")
			require.Equal(t, c, b.wrote("m2"))
		},
		"a phone and a user id of two customers in one message prove one person": func(t *testing.T, b *bundle) {
			b.hook("m1", "", "DK.1", now, "")
			first := b.wrote("m1")
			second := b.register("e1", phone)
			b.hook("m2", phone, "DK.1", now, "")
			require.Equal(t, first, b.wrote("m2"))
			require.Equal(t, first, b.customer(dispatch.Reference{ID: second}).ID)
			require.Equal(t, first, b.customer(dispatch.Reference{ExternalID: "e1"}).ID)
		},
		"a number with another user id is a stranger's": func(t *testing.T, b *bundle) {
			c := b.register("e1", phone)
			b.hook("m1", phone, "DK.1", now, "")
			require.NoError(t, b.store.Update(b.ctx, func(tx *store.Tx) error {
				return tx.AddConsent(&punchcard.ConsentEntry{CustomerID: c, Topic: "offers", Standing: punchcard.StandingGranted, Source: "test", Channel: punchcard.ChannelAPI})
			}))
			b.hook("m2", phone, "DK.2", time.Now(), "")
			stranger := b.wrote("m2")
			require.NotEqual(t, c, stranger)
			require.ElementsMatch(t, []string{"external:e1", "user_id:DK.1"}, b.names(c))
			require.ElementsMatch(t, []string{"phone:" + phone, "user_id:DK.2"}, b.names(stranger))
			standings, err := b.store.View(b.ctx).Standings(stranger)
			require.NoError(t, err)
			require.Empty(t, standings)
			b.hook("m3", phone, "", now.Add(-time.Hour), "")
			require.Equal(t, c, b.wrote("m3"), "a late webhook finds who had the number then")
			b.send(order("late", dispatch.Reference{ExternalID: "e1", Phone: phone})) // the backend has not heard of it
			require.Equal(t, c, b.customer(dispatch.Reference{ExternalID: "e1"}).ID)
			require.NotContains(t, b.names(c), "phone:"+phone)
		},
		"a late webhook takes no number from who has it now": func(t *testing.T, b *bundle) {
			b.hook("m2", phone, "DK.2", now, "")
			b.hook("m1", phone, "DK.1", now.Add(-time.Hour), "")
			require.Equal(t, []string{"user_id:DK.1"}, b.names(b.wrote("m1")))
			require.ElementsMatch(t, []string{"phone:" + phone, "user_id:DK.2"}, b.names(b.wrote("m2")))
		},
		"two whom the backend tells apart stay two": func(t *testing.T, b *bundle) {
			one, two := b.register("e1", phone), b.register("e2", newPhone)
			b.hook("m1", newPhone, "DK.2", now, "")
			b.hook("m2", phone, "DK.2", time.Now(), "")
			require.Equal(t, two, b.wrote("m2"))
			require.ElementsMatch(t, []string{"external:e1"}, b.names(one))
		},
		"a number is changed": func(t *testing.T, b *bundle) {
			c := b.register("e1", phone)
			b.hook("m1", phone, "DK.1", now, "")
			notice := changed("user_changed_number", fmt.Sprintf(`"wa_id":%q,"user_id":"DK.9"`, newPhone[1:]))
			for range 2 {
				b.hook("s1", phone, "DK.1", now.Add(time.Minute), notice)
			}
			require.ElementsMatch(t, []string{"external:e1", "phone:" + newPhone, "user_id:DK.9"}, b.names(c))
			b.hook("late", phone, "", now.Add(10*time.Second), "")
			require.Equal(t, c, b.wrote("late"))
			b.hook("other", phone, "DK.5", now.Add(time.Hour), "")
			require.NotEqual(t, c, b.wrote("other"))
			b.hook("new", newPhone, "DK.9", now.Add(2*time.Minute), "")
			require.Equal(t, c, b.wrote("new"))
			require.Equal(t, c, b.customer(dispatch.Reference{Phone: newPhone}).ID)
		},
		"a new user id wrote before the notice of it came": func(t *testing.T, b *bundle) {
			b.hook("m1", "", "DK.1", now, "")
			b.hook("m2", "", "DK.2", now, "")
			require.NotEqual(t, b.wrote("m1"), b.wrote("m2"))
			b.hook("s1", "", "DK.1", now, changed("user_changed_user_id", `"user_id":"DK.2","previous_user_id":"DK.1"`))
			require.Equal(t, b.wrote("m1"), b.wrote("m2"))
			require.Equal(t, []string{"user_id:DK.2"}, b.names(b.wrote("m1")))
			b.hook("m3", "", "DK.1", now, "")
			require.Equal(t, b.wrote("m1"), b.wrote("m3"))
		},
		"a changed number that is somebody's is given out again": func(t *testing.T, b *bundle) {
			b.hook("m1", phone, "DK.1", now, "")
			b.hook("m2", newPhone, "DK.2", now, "")
			b.hook("s1", phone, "DK.1", now, changed("user_changed_number", fmt.Sprintf(`"wa_id":%q`, newPhone[1:])))
			require.Contains(t, b.names(b.wrote("m2")), "phone:"+newPhone, "without the new user id either may be right")
			b.hook("s2", "", "DK.1", now, changed("user_changed_number", fmt.Sprintf(`"wa_id":%q,"user_id":"DK.3"`, newPhone[1:])))
			require.ElementsMatch(t, []string{"phone:" + newPhone, "user_id:DK.3"}, b.names(b.wrote("m1")))
			require.Equal(t, []string{"user_id:DK.2"}, b.names(b.wrote("m2")))
		},
		"a status tells the user id of whom we wrote to": func(t *testing.T, b *bundle) {
			id := b.messages(1, true)[0]
			m, err := b.store.View(b.ctx).Message(id)
			require.NoError(t, err)
			require.NoError(t, b.store.Update(b.ctx, func(tx *store.Tx) error {
				return tx.AddIdentities(&punchcard.Customer{ID: m.CustomerID}, []punchcard.Identity{{Kind: punchcard.IdentityPhone, Value: phone}})
			}))
			require.NoError(t, b.d.Receive(b.ctx, []byte(fmt.Sprintf(`{"entry":[{"id":"1","changes":[{"field":"messages","value":{"statuses":[
				{"id":"wamid.%s","status":"delivered","timestamp":"%d","recipient_id":"4520123456","recipient_user_id":"DK.1"}]}}]}]}`, id, now.Unix()))))
			b.drain()
			require.Contains(t, b.names(m.CustomerID), "user_id:DK.1")
		},
		"a status names whom we wrote to by another form of their number": func(t *testing.T, b *bundle) {
			id := b.messages(1, true)[0]
			m, err := b.store.View(b.ctx).Message(id)
			require.NoError(t, err)
			require.NoError(t, b.store.Update(b.ctx, func(tx *store.Tx) error {
				return tx.AddIdentities(&punchcard.Customer{ID: m.CustomerID}, []punchcard.Identity{{Kind: punchcard.IdentityPhone, Value: "+5511987654321"}})
			}))
			require.NoError(t, b.d.Receive(b.ctx, []byte(fmt.Sprintf(`{"entry":[{"id":"1","changes":[{"field":"messages","value":{"statuses":[
				{"id":"wamid.%s","status":"delivered","timestamp":"%d","recipient_id":"551187654321","recipient_user_id":"BR.1"}]}}]}]}`, id, now.Unix()))))
			b.drain()
			b.hook("m1", "+551187654321", "BR.1", time.Now(), "")
			require.Equal(t, m.CustomerID, b.wrote("m1"), "and their STOP is the one of whom we write to")
			b.hook("m2", "+551187654321", "", time.Now(), "")
			require.Equal(t, m.CustomerID, b.wrote("m2"))
		},
		"a status names nothing but another form of their number": func(t *testing.T, b *bundle) {
			c := b.register("e1", "+5511987654321")
			b.status1(b.to(c), now, `"recipient_id":"551187654321"`)
			require.ElementsMatch(t, []string{"external:e1", "phone:+5511987654321", "phone:+551187654321"}, b.names(c))
			b.hook("m1", "+551187654321", "", time.Now(), "")
			require.Equal(t, c, b.wrote("m1"))
			b.status1(b.to(c), now, `"recipient_id":"4520999999"`)
			require.Len(t, b.names(c), 3, "another number is no form of theirs, and nobody's")
		},
		"they had written by the other form before": func(t *testing.T, b *bundle) {
			b.hook("m1", "+551187654321", "", now, "")
			c := b.register("e1", "+5511987654321")
			require.NotEqual(t, c, b.wrote("m1"))
			b.status1(b.to(c), time.Now(), `"recipient_id":"551187654321"`)
			require.Equal(t, b.wrote("m1"), b.customer(dispatch.Reference{ID: c}).ID)
		},
		"they had written by the other form and a user id before": func(t *testing.T, b *bundle) {
			b.hook("m1", "+551187654321", "BR.1", now, "")
			c := b.register("e1", "+5511987654321")
			b.status1(b.to(c), time.Now(), `"recipient_id":"551187654321","recipient_user_id":"BR.1"`)
			require.Equal(t, b.wrote("m1"), b.customer(dispatch.Reference{ID: c}).ID)
		},
		"the other form is another's": func(t *testing.T, b *bundle) {
			one, two := b.register("e1", "+5511987654321"), b.register("e2", "+551187654321")
			b.status1(b.to(one), time.Now(), `"recipient_id":"551187654321"`)
			require.Equal(t, two, b.customer(dispatch.Reference{ExternalID: "e2"}).ID, "the backend tells them apart")
			require.Equal(t, one, b.customer(dispatch.Reference{ExternalID: "e1"}).ID)
		},
		"the other form has gone to somebody since": func(t *testing.T, b *bundle) {
			c := b.register("e1", "+5511987654321")
			b.hook("m1", "+551187654321", "", time.Now(), "")
			b.status1(b.to(c), now, `"recipient_id":"551187654321"`)
			require.NotEqual(t, c, b.wrote("m1"), "what is said of a moment before proves nothing")
		},
		"a status of a number that has gone to somebody since merges nobody": func(t *testing.T, b *bundle) {
			c := b.register("e1", phone)
			id := b.to(c)
			b.hook("m1", phone, "DK.1", now, "")
			b.hook("m2", phone, "DK.2", now.Add(time.Minute), "")
			b.status1(id, now, `"recipient_id":"4520123456"`)
			require.NotEqual(t, c, b.wrote("m2"))
			require.Equal(t, c, b.wrote("m1"))
		},
		"who gives a number up gives up its other form": func(t *testing.T, b *bundle) {
			c := b.register("e1", "+5511987654321")
			b.status1(b.to(c), now, `"recipient_id":"551187654321"`)
			b.hook("s1", "+551187654321", "", time.Now(), changed("user_changed_number", `"wa_id":"5521912345678"`))
			require.ElementsMatch(t, []string{"external:e1", "phone:+5521912345678"}, b.names(c))
			require.NotEqual(t, c, b.register("e2", "+5511987654321"), "whoever has the number next is somebody else")
		},
		"a failed message proves nothing": func(t *testing.T, b *bundle) {
			c := b.register("e1", "+5511987654321")
			require.NoError(t, b.d.Receive(b.ctx, []byte(fmt.Sprintf(`{"entry":[{"id":"1","changes":[{"field":"messages","value":{"statuses":[
				{"id":"wamid.%s","status":"failed","timestamp":"%d","recipient_id":"551187654321"}]}}]}]}`, b.to(c), now.Unix()))))
			b.drain()
			require.Len(t, b.names(c), 2)
		},
		"a Mexican number has a 1 at WhatsApp that nobody dials": func(t *testing.T, b *bundle) {
			c := b.register("e1", "+525512345678")
			b.hook("m1", "+5215512345678", "", now, "")
			require.Equal(t, c, b.wrote("m1"))
			require.ElementsMatch(t, []string{"external:e1", "phone:+525512345678"}, b.names(c))
		},
		"a new number is in another country": func(t *testing.T, b *bundle) {
			lives := func(id string) [2]string {
				c := b.customer(dispatch.Reference{ID: id})
				return [2]string{c.Country, c.Zone}
			}
			c := b.register("e1", phone)
			b.hook("m1", phone, "DK.1", now, "")
			require.Equal(t, [2]string{"DK", "Europe/Copenhagen"}, lives(c))
			b.hook("s1", phone, "DK.1", now, changed("user_changed_number", `"wa_id":"4915123456789","user_id":"DE.9"`))
			require.Equal(t, [2]string{"DE", "Europe/Berlin"}, lives(c), "it is where marketing may go, and when it is night")
			b.hook("m2", "+33612345678", "DE.9", time.Now(), "")
			require.Equal(t, [2]string{"FR", "Europe/Paris"}, lives(c))
			b.send(order("moved", dispatch.Reference{ExternalID: "e1", Phone: "+447400123456"}))
			require.Equal(t, "GB", lives(c)[0])
			in := order("told", dispatch.Reference{ExternalID: "e1"})
			in.Profile.Timezone = "Europe/Lisbon"
			b.send(in)
			b.drain()
			b.send(order("again", dispatch.Reference{ExternalID: "e1", Phone: newPhone}))
			require.Equal(t, [2]string{"DK", "Europe/Lisbon"}, lives(c), "what they set stays")
		},
		"a backend says whose number it is": func(t *testing.T, b *bundle) {
			b.hook("m1", phone, "DK.1", now, "")
			known := b.register("e1", "")
			b.send(order("both", dispatch.Reference{ExternalID: "e1", Phone: phone}))
			c := b.customer(dispatch.Reference{ID: known}).ID
			require.Equal(t, b.wrote("m1"), c)
			require.Len(t, b.names(c), 3)

			b.register("e2", "")
			receipt, err := b.d.Ingest(b.ctx, []dispatch.Incoming{order("wrong", dispatch.Reference{ExternalID: "e2", Phone: phone})})
			require.NoError(t, err)
			require.Len(t, receipt.Rejected, 1, "the number has an owner whom the backend knows by another id")
			require.Equal(t, "two_customers", receipt.Rejected[0].Err.Reason)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, open func() *store.Store) { test(t, setup(t, open())) })
		})
	}
}

// What changes a message, or came with it, is kept, whichever came first.
func TestMessagesThatChange(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		now := time.Now().Add(-time.Hour).Truncate(time.Second)
		edit := func(id, words string) string {
			return fmt.Sprintf(`"type":"edit","edit":{"original_message_id":%q,"message":{"type":"text","text":{"body":%q}}}`, id, words)
		}
		revoke := func(id string) string { return fmt.Sprintf(`"type":"revoke","revoke":{"original_message_id":%q}`, id) }
		text := `"type":"text","text":{"body":"first"}`
		b.hook("a", phone, "DK.1", now, text)
		b.hook("a2", phone, "DK.1", now.Add(20*time.Second), edit("a", "third"))
		b.hook("a1", phone, "DK.1", now.Add(10*time.Second), edit("a", "second"))
		b.hook("b1", phone, "DK.1", now.Add(20*time.Second), revoke("b"))
		b.hook("b0", phone, "DK.1", now.Add(10*time.Second), edit("b", "second"))
		b.hook("b", phone, "DK.1", now, text)
		for id, words := range map[string]string{"a": "third", "b": "second"} {
			m, err := b.store.View(b.ctx).MessageByWamid(id)
			require.NoError(t, err)
			require.Equal(t, words, m.Text)
			require.Equal(t, "first", *m.FirstText)
			require.Equal(t, id == "b", m.RevokedAt != nil)
		}
		b.hook("ad", phone, "DK.1", now, `"referral":{"source_url":"https://x.example","source_id":"7","source_type":"ad","ctwa_clid":"c"},`+text)
		b.hook("cart", phone, "DK.1", now, `"type":"order","order":{"catalog_id":"9","product_items":[{"product_retailer_id":"p","quantity":2,"item_price":3.5,"currency":"EUR"}]}`)
		b.hook("pic", phone, "DK.1", now, `"type":"image","image":{"id":"55","mime_type":"image/png","caption":"look"}`)
		ad, err := b.store.View(b.ctx).MessageByWamid("ad")
		require.NoError(t, err)
		require.JSONEq(t, `{"source_url":"https://x.example","source_id":"7","source_type":"ad","ctwa_clid":"c"}`, string(ad.Referral))
		cart, err := b.store.View(b.ctx).MessageByWamid("cart")
		require.NoError(t, err)
		require.JSONEq(t, `{"catalog_id":"9","items":[{"product_id":"p","quantity":2,"price":"3.5","currency":"EUR"}]}`, string(cart.Items))
		pic, err := b.store.View(b.ctx).MessageByWamid("pic")
		require.NoError(t, err)
		require.Equal(t, []string{"55", "image/png", "look"}, []string{pic.MediaID, pic.MediaType, pic.Text})
	})
}

// A status of somebody of whom nothing is new costs the same however WhatsApp writes their number, and no transaction more than its own.
func TestStatusBudget(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		dane, mexican := b.register("dk", phone), b.register("mx", "+525512345678")
		brazilian := b.register("br", "+5511987654321")
		b.hook("m1", phone, "DK.1", time.Now(), "")
		b.hook("m2", "+5215512345678", "MX.1", time.Now(), "")
		b.status1(b.to(brazilian), time.Now(), `"recipient_id":"551187654321","recipient_user_id":"BR.1"`)
		cost := func(customer, recipient string) int64 {
			id := b.to(customer)
			before := b.store.Statements()
			b.status1(id, time.Now(), recipient)
			return b.store.Statements() - before
		}
		usual := cost(dane, `"recipient_id":"4520123456","recipient_user_id":"DK.1"`)
		require.LessOrEqual(t, usual, int64(usualStatus))
		for customer, recipient := range map[string]string{
			mexican: `"recipient_id":"5215512345678","recipient_user_id":"MX.1"`, brazilian: `"recipient_id":"551187654321","recipient_user_id":"BR.1"`,
		} {
			require.Equal(t, usual, cost(customer, recipient), recipient)
		}
		require.Less(t, cost(mexican, `"recipient_id":"5215512345678"`), usual, "a number alone is one reading less")
		t.Logf("%s: a status costs %d statements", b.store.Dialect(), usual)
	})
}

// usualStatus is what a webhook with one status costs in statements, with the looks at the queues before and after it.
const usualStatus = 19
