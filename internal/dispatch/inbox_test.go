package dispatch_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

// NUL is text in JSON and in SQLite, and none in PostgreSQL. Whatever part of a webhook holds one, both take the webhook over
// whole, and with the same words.
func TestWebhooksWithNUL(t *testing.T) {
	t.Parallel()
	const open = `{"object":"whatsapp_business_account","entry":[{"id":"1\u0000","changes":[{"field":"messages","value":{
		"metadata":{"phone_number_id":"301\u0000"},
		"contacts":[{"wa_id":"4520123456","user_id":"DK.1\u0000","profile":{"name":"M\u0000ia","username":"m\u0000ia"}}],`
	const end = `}}]}]}`
	message := func(id, content string) string {
		return open + `"messages":[{"id":"` + id + `\u0000","from":"4520123456","from_user_id":"DK.1\u0000","timestamp":"1767225600",` + content + `}]` + end
	}
	quoting := `"context":{"id":"wamid.q\u0000"},`
	bodies := []string{
		message("text", quoting+`"type":"text","text":{"body":"h\u0000i"}`),
		message("button", quoting+`"type":"button","button":{"text":"Y\u0000","payload":"y\u0000es"}`),
		message("row", `"type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":"redeem:a\u0000b","title":"A\u0000"}}`),
		message("flow", `"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"body":"s\u0000","response_json":"{\"a\":\"\u0000\"}"}}`),
		message("image", `"type":"image","image":{"id":"1\u0000","caption":"c\u0000","mime_type":"image/png\u0000"}`),
		message("reaction", `"type":"reaction","reaction":{"message_id":"wamid.r\u0000","emoji":"\u0000"}`),
		message("system", `"type":"system","system":{"body":"b\u0000","type":"user_changed_number\u0000","wa_id":"4520123457"}`),
		message("other", `"type":"a\u0000b","a\u0000b":{}`),
		message("keyword", `"type":"text","text":{"body":"POINTS\u0000"}`),
		open + `"statuses":[{"id":"wamid.s\u0000","status":"del\u0000ivered","timestamp":"1767225600","recipient_id":"4520123456\u0000",
			"biz_opaque_callback_data":"msg_\u0000","errors":[{"code":"1\u0000","title":"t\u0000","error_data":{"details":"d\u0000"}}]}]` + end,
		open + `"user_preferences":[{"wa_id":"4520123456\u0000","user_id":"DK.2\u0000","category":"marketing_messages\u0000","value":"stop","timestamp":1767225600}]` + end,
		open + `"a\u0000b":[1]` + end,
	}
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		var log bytes.Buffer
		b.d = dispatch.New(fence.New(b.store), b.engine, slog.New(slog.NewTextHandler(&log, nil)))
		for _, body := range bodies {
			require.NoError(t, b.d.Receive(b.ctx, []byte(body)))
		}
		b.drain()
		require.Empty(t, log.String(), "everything was taken over, and what it raised was routed")

		c, err := b.store.View(b.ctx).Identify([]punchcard.Identity{{Kind: punchcard.IdentityUserID, Value: "DK.1\uFFFD"}})
		require.NoError(t, err)
		require.NotNil(t, c)
		require.Equal(t, "M\uFFFDia", c.Name)
		messages, err := b.store.View(b.ctx).Messages(c.ID, "", 100)
		require.NoError(t, err)
		said := map[string]string{}
		for _, m := range messages {
			if m.Direction != punchcard.Inbound {
				continue
			}
			id, ok := strings.CutSuffix(*m.Wamid, "\uFFFD")
			require.True(t, ok, *m.Wamid)
			said[id] = strings.Join([]string{m.Kind, m.Text, m.ReplyTo}, "|")
		}
		require.Equal(t, map[string]string{
			"text": "text|h\uFFFDi|wamid.q\uFFFD", "button": "button|Y\uFFFD|wamid.q\uFFFD", "row": "interactive|A\uFFFD|",
			"flow": "interactive|s\uFFFD|", "image": "image|c\uFFFD|", "reaction": "reaction|\uFFFD|wamid.r\uFFFD",
			"system": "system|b\uFFFD|", "other": "a\uFFFDb||", "keyword": "text|POINTS\uFFFD|",
		}, said)
	})
}

// A webhook of which one part cannot be read is kept with the reason, on every database, whatever that part is called.
func TestBrokenWebhookWithNUL(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		var log bytes.Buffer
		b.d = dispatch.New(fence.New(b.store), b.engine, slog.New(slog.NewTextHandler(&log, nil)))
		require.NoError(t, b.d.Receive(b.ctx, []byte(`{"entry":[{"changes":[{"field":"messages","value":{"messages":[
			{"id":"1","from":"4520123456","type":"te\u0000xt","text":"\u0000","timestamp":"\u0000"}]}}]}]}`)))
		b.drain()
		require.Contains(t, log.String(), "attempts=1")
		require.Contains(t, log.String(), "cannot be read")
	})
}

// What a backend sends with a NUL is refused, and says where it stands.
func TestEventsWithNUL(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		b := setup(t, open())
		anna := dispatch.Reference{ExternalID: "anna"}
		_, err := b.d.Ingest(b.ctx, []dispatch.Incoming{order("o1", anna)})
		require.NoError(t, err)
		for field, change := range map[string]func(*dispatch.Incoming){
			"id":                             func(in *dispatch.Incoming) { in.ID = "a\x00" },
			"name":                           func(in *dispatch.Incoming) { in.Name = "order.placed\x00" },
			"customer.id":                    func(in *dispatch.Incoming) { in.Customer.ID = punchcard.NewID(punchcard.PrefixCustomer) + "\x00" },
			"customer.external_id":           func(in *dispatch.Incoming) { in.Customer.ExternalID = "anna\x00" },
			"customer.phone":                 func(in *dispatch.Incoming) { in.Customer.Phone = "+4520123456\x00" },
			"customer.name":                  func(in *dispatch.Incoming) { in.Profile.Name = "A\x00" },
			"customer.language":              func(in *dispatch.Incoming) { in.Profile.Language = "da\x00" },
			"customer.timezone":              func(in *dispatch.Incoming) { in.Profile.Timezone = "UTC\x00" },
			"customer.attributes.first_name": func(in *dispatch.Incoming) { in.Profile.Attributes = map[string]any{"first_name": "A\x00"} },
			"customer.attributes.?":          func(in *dispatch.Incoming) { in.Profile.Attributes = map[string]any{"vip\x00": true} },
			"properties.order_id":            func(in *dispatch.Incoming) { in.Properties["order_id"] = "1\x00" },
			"properties.?":                   func(in *dispatch.Incoming) { in.Properties["total\x00"] = 1 },
		} {
			in := order("o2", anna)
			change(&in)
			receipt, err := b.d.Ingest(b.ctx, []dispatch.Incoming{in})
			require.NoError(t, err, field)
			require.Len(t, receipt.Rejected, 1, field)
			require.Equal(t, field, receipt.Rejected[0].Err.Field)
			require.NotContains(t, receipt.Rejected[0].Err.Message, "\x00", field)
		}
		c, err := b.d.Resolve(b.ctx, anna)
		require.NoError(t, err)
		cart := map[string]any{"cart_id": "c\x00", "total": 50, "items": []any{}}
		for what, err := range map[string]error{
			"start":  second(b.d.StartRun(b.ctx, "abandoned-cart", c.ID, cart, "")),
			"redeem": second(b.d.RequestRedemption(b.ctx, c.ID, "free-coffee\x00", "")),
			"code":   second(b.d.Capture(b.ctx, dispatch.Use{Code: "A\x00B"})),
			"by":     second(b.d.Decide(b.ctx, "apr", true, "a\x00", "")),
			"note":   second(b.d.Decide(b.ctx, "apr", true, "a", "\x00")),
			"pause":  b.d.Pause(b.ctx, "abandoned-cart", "\x00"),
		} {
			require.Contains(t, []punchcard.Code{punchcard.CodeInvalid, punchcard.CodeNotFound}, punchcard.CodeOf(err), "%s: %v", what, err)
		}
	})
}

// second is the second of two results.
func second[T any](_ T, err error) error { return err }
