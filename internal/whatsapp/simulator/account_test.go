package simulator

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

// happens makes Meta do something to the account, and answers how the webhook tells of it.
func (w *world) happens(event object) whatsapp.Update {
	w.t.Helper()
	status, answer := w.call(http.MethodPost, "/account", event)
	require.Equal(w.t, http.StatusCreated, status, "%v", answer)
	return w.receiver.next(w.t)
}

func TestAccountEvents(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t))
	w.plain("hello", "UTILITY")
	text := whatsapp.Message{To: mia, Text: &whatsapp.Text{Body: "x"}}

	u := w.happens(object{"event": "ACCOUNT_RESTRICTION", "restrictions": []string{noTemplates}, "for": "24h"})
	require.Equal(t, []whatsapp.Restriction{{Type: noTemplates, Until: w.clock.Now().Add(24 * time.Hour).Truncate(time.Second)}}, u.Account.Restrictions)
	require.Equal(t, w.clock.Now(), u.Account.At)
	require.Equal(t, 368, w.refusal(templateTo(mia, "hello")))
	w.says(mia, "hi")
	require.Equal(t, sent, w.outcome(text), "an answer may go")
	w.restart()
	other := "+4520123457"
	w.clock.Advance(24*time.Hour - time.Second)
	require.Equal(t, 368, w.refusal(templateTo(other, "hello")))
	w.clock.Advance(time.Second)
	require.Equal(t, sent, w.outcome(templateTo(other, "hello")))
	w.happens(object{"event": "ACCOUNT_RESTRICTION", "restrictions": []string{noReplies}})
	w.answers(mia)
	require.Equal(t, 368, w.refusal(text))
	require.Equal(t, sent, w.outcome(templateTo(other, "hello")))
	w.happens(object{"event": "ACCOUNT_RESTRICTION"})
	require.Equal(t, sent, w.outcome(text))

	require.Equal(t, "DISABLE", w.happens(object{"event": "DISABLED_UPDATE", "ban": "DISABLE"}).Account.BanState)
	require.Equal(t, 131031, w.refusal(text))
	w.happens(object{"event": "DISABLED_UPDATE", "ban": "REINSTATE"})
	require.Equal(t, sent, w.outcome(text))
	require.Equal(t, "ADULT", w.happens(object{"event": "ACCOUNT_VIOLATION", "violation": "ADULT"}).Account.Text)
	a := w.happens(object{"event": "PHONE_QUALITY", "quality": "RED"}).Account
	require.Equal(t, [...]string{"phone_number_quality_update", "FLAGGED", "RED", "+4533112233"}, [...]string{a.Field, a.Event, a.Quality, a.Phone})
	a = w.happens(object{"event": "TIER", "tier": "TIER_2K"}).Account
	require.Equal(t, [...]string{"DOWNGRADE", "TIER_2K"}, [...]string{a.Event, a.Limit})
	a = w.receiver.next(t).Account
	require.Equal(t, [...]string{"business_capability_update", "TIER_2K"}, [...]string{a.Field, a.Limit})
	require.Equal(t, "UPGRADE", w.happens(object{"event": "TIER", "tier": "TIER_10K"}).Account.Event)
	w.receiver.next(t)
	require.Equal(t, "THROUGHPUT_UPGRADE", w.happens(object{"event": "THROUGHPUT_UPGRADE"}).Account.Event)
	_, number := w.call(http.MethodGet, "/v26.0/301", nil, "Authorization", "Bearer token")
	require.Equal(t, []any{"RED", "TIER_10K", "HIGH"}, []any{number["quality_rating"], number["messaging_limit_tier"], number["throughput"].(map[string]any)["level"]})

	for _, wrong := range []object{
		{}, {"event": "FIRE"}, {"event": "ACCOUNT_RESTRICTION", "restrictions": []string{"x"}}, {"event": "ACCOUNT_VIOLATION"},
		{"event": "DISABLED_UPDATE"}, {"event": "PHONE_QUALITY"}, {"event": "TIER", "tier": "TIER_1"}, {"event": "TEMPLATE_STATUS", "template": "none", "status": "PAUSED"},
		{"event": "TEMPLATE_STATUS", "template": "hello", "status": "MELTED"}, {"event": "TEMPLATE_QUALITY", "template": "hello"},
		{"event": "TEMPLATE_CATEGORY", "template": "hello", "category": "UTILITY"},
	} {
		status, _ := w.call(http.MethodPost, "/account", wrong)
		require.Equal(t, http.StatusUnprocessableEntity, status, "%v", wrong)
	}
	require.Empty(t, w.receiver.updates)
}

func TestTemplateEvents(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.plain("hello", "UTILITY")
	require.Equal(t, "DISABLED", w.happens(object{"event": "TEMPLATE_STATUS", "template": "hello", "status": "DISABLED"}).Template.Event)
	require.Equal(t, 132016, w.refusal(templateTo(mia, "hello")))
	require.Equal(t, "REINSTATED", w.happens(object{"event": "TEMPLATE_STATUS", "template": "hello", "status": "REINSTATED"}).Template.Event)
	require.Equal(t, sent, w.outcome(templateTo(mia, "hello")))
	require.Equal(t, "FLAGGED", w.happens(object{"event": "TEMPLATE_STATUS", "template": "hello", "status": "FLAGGED"}).Template.Event)
	require.Equal(t, sent, w.outcome(templateTo(mia, "hello")))
	u := w.happens(object{"event": "TEMPLATE_QUALITY", "template": "hello", "quality": "RED"}).Template
	require.Equal(t, [...]string{"UNKNOWN", "RED"}, [...]string{u.Previous, u.Event})
	require.Equal(t, "status PAUSED", w.told())
	w.clock.Advance(3 * time.Hour)
	require.Equal(t, "status APPROVED", w.told())

	u = w.happens(object{"event": "TEMPLATE_CATEGORY", "template": "hello", "category": "MARKETING", "notice": "24h"}).Template
	require.Equal(t, [...]string{"UTILITY", "MARKETING"}, [...]string{u.Event, u.Correct})
	require.Equal(t, w.clock.Now().Add(24*time.Hour), u.Due)
	w.stops(mia, true)
	require.Equal(t, sent, w.outcome(templateTo(mia, "hello")), "not yet")
	w.clock.Advance(24 * time.Hour)
	u = w.receiver.next(t).Template
	require.Equal(t, [...]string{"MARKETING", "UTILITY"}, [...]string{u.Event, u.Previous})
	require.Equal(t, "failed 131050", w.outcome(templateTo(mia, "hello")))
	u = w.happens(object{"event": "TEMPLATE_CATEGORY", "template": "hello", "category": "UTILITY"}).Template
	require.Equal(t, "UTILITY", u.Event, "those who offend get no notice")
}

func TestMarketingMessages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.plain("offer", "MARKETING")
	w.plain("receipt", "UTILITY")
	post := func(name, more string) (int, string) {
		status, answer := w.post("/v26.0/301/marketing_messages", `{"messaging_product":"whatsapp","to":"+4520123456","type":"template","template":{"name":"`+name+`","language":{"code":"en"}}`+more+`}`)
		if c := code(status, answer); c != 0 {
			return c, ""
		}
		category := w.receiver.status(t).Pricing.Category
		w.receiver.status(t)
		return 0, category
	}
	is := func(wantCode int, wantCategory string) func(int, string) {
		return func(c int, category string) {
			t.Helper()
			require.Equal(t, wantCode, c)
			require.Equal(t, wantCategory, category)
		}
	}
	is(0, "marketing")(post("offer", ""))
	is(134101, "")(post("offer", `,"product_policy":"STRICT"`))
	w.clock.Advance(10*time.Minute - time.Second)
	is(134101, "")(post("offer", `,"product_policy":"STRICT"`))
	w.clock.Advance(time.Second)
	is(0, "marketing_lite")(post("offer", `,"product_policy":"STRICT","message_activity_sharing":true`))
	is(0, "marketing_lite")(post("offer", `,"product_policy":"CLOUD_API_FALLBACK"`))
	is(100, "")(post("offer", `,"product_policy":"MAYBE"`))
	is(100, "")(post("offer", `,"message_activity_sharing":"yes"`))
	is(131055, "")(post("receipt", ""))
	is(132001, "")(post("none", ""))
	require.Equal(t, 131055, code(w.post("/v26.0/301/marketing_messages", body("text", `{"body":"hi"}`))))
	require.Equal(t, 100, code(w.post("/v26.0/301/messages", body("text", `{"body":"hi"},"product_policy":"STRICT"`))))
}

func TestProfile(t *testing.T) {
	t.Parallel()
	w := setup(t, journalled(t))
	set := func(body string) int { return code(w.post("/v26.0/301/whatsapp_business_profile", body)) }
	require.Zero(t, set(`{"messaging_product":"whatsapp","about":"Coffee","websites":["https://a.example"]}`))
	require.Zero(t, set(`{"messaging_product":"whatsapp","email":"a@b.example"}`))
	require.Equal(t, 100, set(`{"about":"Coffee"}`))
	require.Equal(t, 100, set(`{"messaging_product":"whatsapp","motto":"x"}`))
	require.Equal(t, 100, set(`{"messaging_product":"whatsapp","websites":["a","b","c"]}`))
	w.restart()
	_, answer := w.call(http.MethodGet, "/v26.0/301/whatsapp_business_profile", nil, "Authorization", "Bearer token")
	require.Equal(t, []any{map[string]any{"about": "Coffee", "websites": []any{"https://a.example"}, "email": "a@b.example", "messaging_product": "whatsapp"}}, answer["data"])
	_, answer = w.call(http.MethodGet, "/v26.0/201/phone_numbers", nil, "Authorization", "Bearer token")
	require.Equal(t, "Bean & Bloom", answer["data"].([]any)[0].(map[string]any)["verified_name"])
	require.Equal(t, 100, code(w.call(http.MethodGet, "/v26.0/301/phone_numbers", nil, "Authorization", "Bearer token")))
}

func TestBlockUsers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.plain("hello", "UTILITY")
	in := w.says(mia, "hi")
	call := func(method, list string) int {
		return code(w.call(method, "/v26.0/301/block_users", `{"messaging_product":"whatsapp","block_users":[`+list+`]}`, "Authorization", "Bearer token"))
	}
	require.Equal(t, 100, call(http.MethodPost, ``))
	require.Equal(t, 139100, call(http.MethodPost, `{"user":"+4520999999"}`), "who never wrote")
	require.Equal(t, 139100, call(http.MethodPost, `{"user":"+4520123456"},{"user":"+4520999999"}`), "each alone")
	require.Equal(t, 130403, w.refusal(templateTo(mia, "hello")))
	require.Zero(t, call(http.MethodDelete, `{"user_id":"`+in.UserID+`"}`))
	require.Equal(t, sent, w.outcome(templateTo(mia, "hello")))
	w.clock.Advance(24 * time.Hour)
	require.Equal(t, 139100, call(http.MethodPost, `{"user":"+4520123456"}`), "too long ago")
	w.answers(mia)
	require.Zero(t, call(http.MethodPost, `{"user_id":"`+in.UserID+`"}`))
	_, answer := w.call(http.MethodGet, "/v26.0/301/block_users", nil, "Authorization", "Bearer token")
	require.Equal(t, "4520123456", answer["data"].([]any)[0].(map[string]any)["wa_id"])
	w.person(personFact{Phone: mia, Number: "+4520123499"})
	require.Equal(t, 130403, w.refusal(templateTo("+4520123499", "hello")), "the block is of the person, not of the number")
	require.Equal(t, sent, w.outcome(templateTo(mia, "hello")), "whoever has the number next is another")
}
