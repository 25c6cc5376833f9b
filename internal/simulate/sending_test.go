package simulate_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/activities"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

// everyCode are the codes of Meta's list; 200 stands for those up to 299.
var everyCode = []int{
	0, 1, 2, 3, 4, 10, 33, 100, 104, 190, 200, 368, 80007, 130403, 130429, 130472, 130497, 130501, 131000, 131005, 131008, 131009, 131016,
	131021, 131026, 131030, 131031, 131037, 131042, 131045, 131047, 131048, 131049, 131050, 131051, 131052, 131053, 131055, 131056, 131057,
	131059, 131060, 131062, 131063, 131064, 132000, 132001, 132005, 132007, 132012, 132015, 132016, 132018, 132068, 132069, 133000, 133004,
	133005, 133006, 133008, 133009, 133010, 133015, 133016, 134011, 134100, 134101, 134102, 135000, 137000, 139100, 139101, 139102, 139103,
	147001, 147002, 147003, 147004, 147005, 200005, 200006, 200007, 1752041, 2388012, 2388019, 2388039, 2388040, 2388047, 2388072, 2388073,
	2388091, 2388093, 2388103, 2388293, 2388299, 2494100, 2593107, 2593108,
}

// newest is the customer's newest message that went out, and the run that sent it.
func (b *bundle) newest(phone string) (punchcard.Message, *punchcard.Run) {
	b.t.Helper()
	all, err := b.Store.View(b.ctx).Messages(b.customer(phone).ID, "", 1)
	require.NoError(b.t, err)
	require.Len(b.t, all, 1)
	run, err := b.Store.View(b.ctx).Run(all[0].RunID)
	require.NoError(b.t, err)
	return all[0], run
}

// raised lists the alerts that are open, as "kind subject detail".
func (b *bundle) raised() []string {
	b.t.Helper()
	open, err := b.Store.View(b.ctx).Alerts(false, "", 200)
	require.NoError(b.t, err)
	var out []string
	for _, a := range slices.Backward(open) {
		out = append(out, fmt.Sprintf("%s %s %s", a.Kind, a.Subject, a.Detail))
	}
	return out
}

func (b *bundle) settleAlerts() {
	b.t.Helper()
	open, err := b.Store.View(b.ctx).Alerts(false, "", 200)
	require.NoError(b.t, err)
	for _, a := range open {
		_, err := b.Dispatch.CloseAlert(b.ctx, a.ID, "Mia")
		require.NoError(b.t, err)
	}
}

func (b *bundle) circuit() string {
	b.t.Helper()
	a, err := b.Store.View(b.ctx).WhatsAppAccount()
	require.NoError(b.t, err)
	return a.Circuit
}

// asks begins somebody's opt-in, which sends a template.
func (b *bundle) asks(i int) string {
	b.t.Helper()
	phone := fmt.Sprintf("+45201%05d", i)
	b.event(phone, "registration.received", map[string]any{"source": "web"})
	return phone
}

// Whatever code WhatsApp answers, message and run end where its class says, and whoever is to know is told.
func TestEveryCodeAnswered(t *testing.T) {
	t.Parallel()
	require.Len(t, everyCode, 98)
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		for i, code := range everyCode {
			class, known := whatsapp.Classify(code)
			require.True(t, known, code)
			b.wa.fail = []error{&whatsapp.Error{Code: code, Class: class, HTTPStatus: http.StatusBadRequest}}
			phone := b.asks(i)
			m, run := b.newest(phone)
			reason := fmt.Sprintf("whatsapp_%d", code)
			type state struct {
				message punchcard.MessageStatus
				reason  string
				run     punchcard.RunStatus
				why     string
			}
			got := state{m.Status, m.Reason, run.Status, run.Reason}
			var alerts []string
			switch class {
			case whatsapp.Retry, whatsapp.Defer:
				require.Equal(t, state{punchcard.MessageDeferred, reason, punchcard.RunLive, ""}, got, code)
				require.NotNil(t, m.RetryAt)
				require.Nil(t, m.HandedAt, "it counts towards no cap")
			case whatsapp.Ambiguous:
				require.Equal(t, state{punchcard.MessageUnknown, reason, punchcard.RunLive, ""}, got, code)
			case whatsapp.Recipient, whatsapp.OptOut, whatsapp.Unrelated:
				require.Equal(t, state{punchcard.MessageFailed, reason, punchcard.RunEnded, ""}, got, code)
				require.Equal(t, "unreachable", run.Outcome)
			case whatsapp.Template:
				require.Equal(t, state{punchcard.MessageDeferred, reason, punchcard.RunStuck, reason}, got, code)
				alerts = []string{"template_refused opt_in_request " + reason}
			case whatsapp.Bug:
				require.Equal(t, state{punchcard.MessageDeferred, reason, punchcard.RunStuck, reason}, got, code)
				alerts = []string{"request_refused " + reason + " " + reason}
			case whatsapp.Sender:
				require.Equal(t, state{punchcard.MessageDeferred, "circuit_open", punchcard.RunHeld, "circuit_open"}, got, code)
				require.Equal(t, reason, b.circuit())
				alerts = []string{"circuit_open all " + reason}
			}
			require.Equal(t, code, m.ErrorCode)
			require.Equal(t, alerts, b.raised(), code)
			b.expectAfter(code, phone)
			if class == whatsapp.Sender {
				n, err := b.Dispatch.CloseCircuit(b.ctx, punchcard.CircuitAll, "Mia")
				require.NoError(t, err)
				require.Equal(t, 1, n)
				require.NoError(t, b.Settle(b.ctx))
				m, run = b.newest(phone)
				require.Equal(t, punchcard.MessageAccepted, m.Status, "it was held, not lost")
				require.Equal(t, punchcard.RunLive, run.Status)
				require.Empty(t, b.raised())
			}
			b.settleAlerts()
		}
	})
}

// expectAfter checks what two codes mean for the customer's next messages.
func (b *bundle) expectAfter(code int, phone string) {
	b.t.Helper()
	c := b.customer(phone)
	standings, err := b.Store.View(b.ctx).Standings(c.ID)
	require.NoError(b.t, err)
	revoked := false
	for _, s := range standings {
		revoked = revoked || s.Standing == punchcard.StandingRevoked
	}
	require.Equal(b.t, code == 131050, revoked, code)
	if revoked {
		log, err := b.Store.View(b.ctx).Consents(c.ID, 0, 50)
		require.NoError(b.t, err)
		require.Equal(b.t, "whatsapp.131050", log[len(log)-1].Source)
	}
	if code != 131049 && code != 131050 {
		require.Nil(b.t, c.MarketingAfter, code)
		return
	}
	require.GreaterOrEqual(b.t, c.MarketingAfter.Sub(b.Clock.Now()), 24*time.Hour)
}

// Whatever code a status webhook gives, the message has failed and is not sent again; and whoever is to know is told.
func TestEveryCodeByWebhook(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		for i, code := range everyCode {
			class, _ := whatsapp.Classify(code)
			phone := b.asks(i)
			m, _ := b.newest(phone)
			require.Equal(t, punchcard.MessageAccepted, m.Status)
			calls := len(b.wa.sent)
			b.change(map[string]any{"statuses": []any{map[string]any{
				"id": *m.Wamid, "status": "failed", "timestamp": "1749416383", "biz_opaque_callback_data": m.ID,
				"errors": []any{map[string]any{"code": code, "title": "x", "error_data": map[string]any{"details": "x"}}},
			}}})
			require.NoError(t, b.Settle(b.ctx))
			m, run := b.newest(phone)
			reason := fmt.Sprintf("whatsapp_%d", code)
			require.Equal(t, []any{punchcard.MessageFailed, reason, code}, []any{m.Status, m.Reason, m.ErrorCode})
			require.Len(t, b.wa.sent, calls, "what was accepted is not sent again")
			var alerts []string
			circuit := ""
			switch class {
			case whatsapp.Sender:
				circuit, alerts = reason, []string{"circuit_open all " + reason}
			case whatsapp.Template:
				alerts = []string{"template_refused opt_in_request " + reason}
			case whatsapp.Bug:
				alerts = []string{"request_refused " + reason + " " + reason}
			default:
			}
			require.Equal(t, alerts, b.raised(), code)
			require.Equal(t, circuit, b.circuit(), code)
			if code != 131050 { // the stop ends the request
				require.Equal(t, punchcard.RunLive, run.Status, code)
			}
			b.expectAfter(code, phone)
			if circuit != "" {
				_, err := b.Dispatch.CloseCircuit(b.ctx, punchcard.CircuitAll, "Mia")
				require.NoError(t, err)
			}
			b.settleAlerts()
		}
	})
}

// accountSays has a webhook come that says something of the account.
func (b *bundle) accountSays(value map[string]any) {
	b.t.Helper()
	b.field("account_update", value)
}

// While the account is stopped nothing goes out and nothing is lost; one alert tells of it. A restriction with an end is over by
// itself, one without by WhatsApp's word or an operator's.
func TestCircuit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		held := func() int {
			n, err := b.Store.View(b.ctx).CountHeld(punchcard.ReasonCircuitOpen)
			require.NoError(t, err)
			return int(n)
		}
		b.accountSays(map[string]any{"event": "DISABLED_UPDATE", "ban_info": map[string]any{"waba_ban_state": "DISABLE"}})
		for i := range 5 {
			b.asks(i)
		}
		require.Equal(t, 5, held())
		require.Empty(t, b.wa.sent)
		require.Equal(t, []string{"circuit_open all disabled_update"}, b.raised())
		b.advance(48 * time.Hour)
		require.Equal(t, 5, held(), "nothing probes: an operator or WhatsApp closes it")
		b.accountSays(map[string]any{"event": "DISABLED_UPDATE", "ban_info": map[string]any{"waba_ban_state": "REINSTATE"}})
		require.Len(t, b.wa.sent, 5)
		require.Empty(t, b.raised())
		require.Zero(t, held())
		_, err := b.Dispatch.CloseCircuit(b.ctx, punchcard.CircuitAll, "Mia")
		require.Equal(t, punchcard.CodeConflict, punchcard.CodeOf(err))

		b.accountSays(map[string]any{"event": "ACCOUNT_RESTRICTION", "restriction_info": []any{
			map[string]any{"restriction_type": "RESTRICTED_CUSTOMER_INITIATED_MESSAGING", "expiration": time.Now().Add(72 * time.Hour).Unix()},
			map[string]any{"restriction_type": "RESTRICTED_ADD_PHONE_NUMBER_ACTION"},
		}})
		require.Equal(t, []string{
			"circuit_open all restricted_customer_initiated_messaging", "account_notice restricted_add_phone_number_action restricted_add_phone_number_action",
		}, b.raised())
		b.asks(9)
		b.advance(71 * time.Hour)
		require.Positive(t, held())
		require.Len(t, b.wa.sent, 5)
		b.advance(2 * time.Hour)
		require.Zero(t, held(), "it had an end")
		require.Greater(t, len(b.wa.sent), 5)
		b.settleAlerts()

		// A run that was held while it closed is found.
		b.accountSays(map[string]any{"event": "ACCOUNT_OFFBOARDED"})
		b.asks(10)
		require.NoError(t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
			_, err := tx.CloseCircuit(punchcard.CircuitAll, "Mia")
			return err
		}))
		require.Positive(t, held())
		b.advance(time.Second)
		require.Zero(t, held())
	})
}

// What restricts marketing alone holds marketing alone, and what restricts what the business begins lets answers pass.
func TestCircuitOfMarketing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.join(anna)
		b.accountSays(map[string]any{"event": "ACCOUNT_RESTRICTION", "restriction_info": []any{map[string]any{"restriction_type": "RESTRICTED_MARKETING_MESSAGING"}}})
		b.event(anna, "cart.updated", map[string]any{"cart_id": "c1", "total": 120, "items": []any{}})
		b.advance(61 * time.Minute)
		require.Equal(t, []string{"cart_reminder (deferred, marketing_circuit_open)"}, b.messages(anna))
		b.says(anna, "points")
		require.Len(t, b.messages(anna), 1, "an answer goes out")
		ben := b.asks(1)
		m, _ := b.newest(ben)
		require.Equal(t, punchcard.MessageAccepted, m.Status, "so does what is not marketing")
		n, err := b.Dispatch.CloseCircuit(b.ctx, punchcard.CircuitMarketing, "Mia")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.NoError(t, b.Settle(b.ctx))
		require.Equal(t, "cart_reminder", b.wa.sent[len(b.wa.sent)-1].Template.Name[:len("cart_reminder")])

		b.accountSays(map[string]any{"event": "ACCOUNT_RESTRICTION", "restriction_info": []any{map[string]any{"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING"}}})
		before := len(b.wa.sent)
		b.says(anna, "points")
		require.Len(t, b.wa.sent, before+1)
		b.asks(2)
		require.Len(t, b.wa.sent, before+1)
	})
}

// What no status settles within a day is told once, and never sent again; a status that comes after all still settles it.
func TestUnknownSendsAreReported(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.wa.fail = []error{&whatsapp.Error{Code: whatsapp.CodeNone, Class: whatsapp.Ambiguous}, &whatsapp.Error{Code: 1, Class: whatsapp.Ambiguous}}
		first, _ := b.newest(b.asks(1))
		b.asks(2)
		b.advance(23 * time.Hour)
		require.Empty(t, b.raised())
		b.advance(2 * time.Hour)
		b.advance(2 * time.Hour)
		require.Equal(t, []string{"unknown_sends  no_status"}, b.raised())
		open, err := b.Store.View(b.ctx).Alerts(false, "", 5)
		require.NoError(t, err)
		require.EqualValues(t, 2, open[0].Count)
		m, err := b.Store.View(b.ctx).Message(first.ID)
		require.NoError(t, err)
		require.NotNil(t, m.ReportedAt)
		for _, sent := range b.wa.sent {
			require.NotEqual(t, first.ID, sent.CallbackData)
		}
		unknown, err := b.Store.View(b.ctx).Unsettled(punchcard.MessageUnknown, "", 1)
		require.NoError(t, err)
		require.Len(t, unknown, 1)
		unknown, err = b.Store.View(b.ctx).Unsettled("", unknown[0].ID, 5)
		require.NoError(t, err)
		require.Len(t, unknown, 1)

		b.status("wamid.late", m.ID, "delivered")
		m, err = b.Store.View(b.ctx).Message(first.ID)
		require.NoError(t, err)
		require.Equal(t, punchcard.MessageDelivered, m.Status)
		unknown, err = b.Store.View(b.ctx).Unsettled("", "", 5)
		require.NoError(t, err)
		require.Len(t, unknown, 1)
	})
}

// The limits of WhatsApp's that are about customers defer what is above them, and let it go when they free.
func TestWhatsAppLimits(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), add(coffee(), "journeys/hello.yaml",
			"journey: hello\npurpose: service\nenter: [{on: cart.emptied, key: event.cart_id}]\nsteps: [{say: Hello.}]\n"))
		b.Activities.Limits = activities.Limits{Daily: 2}
		reason := func(i int) string {
			m, _ := b.newest(fmt.Sprintf("+45201%05d", i))
			return m.Reason
		}
		for i := range 3 {
			b.asks(i)
		}
		require.Equal(t, []string{"", "", "portfolio_limit"}, []string{reason(0), reason(1), reason(2)})
		require.Equal(t, []string{"portfolio_limit  used_up"}, b.raised())
		b.field("business_capability_update", map[string]any{"max_daily_conversations_per_business": "TIER_2K"})
		b.asks(3)
		require.Empty(t, reason(3), "WhatsApp's own word counts more than the flag")
		b.field("phone_number_quality_update", map[string]any{"event": "ONBOARDING", "current_limit": "TIER_NOT_SET"})
		b.asks(4)
		require.Empty(t, reason(4), "a word that says no number changes nothing")
		b.advance(27 * time.Hour)
		require.Empty(t, reason(2), "a day later it went out")

		b.Activities.Limits = activities.Limits{Pair: true}
		b.join(anna)
		for i := range 60 {
			b.event(anna, "cart.emptied", map[string]any{"cart_id": fmt.Sprint("c", i)})
		}
		var sent, waiting int
		for _, m := range b.messages(anna) {
			if m[len(m)-1] == ')' {
				waiting++
				require.Contains(t, m, "(deferred, pair_rate)")
				continue
			}
			sent++
		}
		require.Equal(t, 43, sent, "45 with the two of the opt-in")
		require.Positive(t, waiting)
	})
}

// A customer to whom WhatsApp delivers no more marketing gets none for a day, unless they write; other messages go.
func TestMarketingCapOfWhatsApp(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		b.join(anna)
		b.advance(25 * time.Hour) // the service window is closed
		b.wa.fail = []error{&whatsapp.Error{Code: 131049, Class: whatsapp.Defer, RetryAfter: 24 * time.Hour}}
		b.event(anna, "cart.updated", map[string]any{"cart_id": "c1", "total": 120, "items": []any{}})
		b.advance(61 * time.Minute)
		require.Equal(t, []string{"cart_reminder (deferred, whatsapp_131049)"}, b.messages(anna))
		b.event(anna, "cart.updated", map[string]any{"cart_id": "c2", "total": 120, "items": []any{}})
		b.advance(61 * time.Minute)
		require.Equal(t, []string{"cart_reminder (deferred, marketing_cap)"}, b.messages(anna))
		b.advance(24 * time.Hour)
		b.last = map[string]int{}
		require.NotContains(t, fmt.Sprint(b.messages(anna)), "deferred")
	})
}

// WhatsApp answers a send with its own form of the number. Who writes from there, or is told of by a status, is whom we wrote to.
func TestAnswerOfASendNamesTheCustomer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		for dialed, form := range map[string]string{"+5511987654321": "+551187654321", "+541143214321": "+5491143214321", "+525512345678": "+5215512345678"} {
			t.Run(dialed, func(t *testing.T) {
				t.Parallel()
				b := setup(t, fresh(t), coffee())
				b.wa.names = func(whatsapp.Message) (string, string) { return form, "XX.1" }
				b.event(dialed, "registration.received", map[string]any{"source": "web"})
				b.says(form, "yes")
				require.Equal(t, []string{"opt_in_request", "opt_in_welcome"}, b.messages(dialed))
				everybody, err := b.Store.View(b.ctx).CustomersAfter("", 10)
				require.NoError(t, err)
				require.Len(t, everybody, 1)
				c, err := b.Store.View(b.ctx).Identify([]punchcard.Identity{{Kind: punchcard.IdentityUserID, Value: "XX.1"}})
				require.NoError(t, err)
				require.Equal(t, everybody[0].ID, c.ID)

				// From then on it costs what any send does.
				count := func() int64 {
					before := b.Store.Statements()
					b.says(form, "points")
					return b.Store.Statements() - before
				}
				known := count()
				b.wa.names = nil
				require.InDelta(t, count(), known, 1, "the newest version may be asked for where a second has passed")
			})
		}
	})
}

// told has WhatsApp tell of the account at a second of its own clock; 0: it does not say.
func (b *bundle) told(second int, field string, value map[string]any) {
	b.t.Helper()
	entry := map[string]any{"id": "1", "changes": []any{map[string]any{"field": field, "value": value}}}
	if second > 0 {
		entry["time"] = 1749416383 + second
	}
	body, err := json.Marshal(map[string]any{"object": "whatsapp_business_account", "entry": []any{entry}})
	require.NoError(b.t, err)
	require.NoError(b.t, b.Dispatch.Receive(b.ctx, body))
	require.NoError(b.t, b.Settle(b.ctx))
}

// What WhatsApp says of the account counts by when it said it, in whatever order and however often it comes. Of two things that were said in one
// second the one counts that sends less.
func TestAccountToldInAnyOrder(t *testing.T) {
	t.Parallel()
	type told struct {
		second int
		what   string
	}
	says := map[string]struct {
		field string
		value map[string]any
	}{
		"disabled":    {"account_update", map[string]any{"event": "DISABLED_UPDATE", "ban_info": map[string]any{"waba_ban_state": "DISABLE"}}},
		"reinstated":  {"account_update", map[string]any{"event": "DISABLED_UPDATE", "ban_info": map[string]any{"waba_ban_state": "REINSTATE"}}},
		"offboarded":  {"account_update", map[string]any{"event": "ACCOUNT_OFFBOARDED"}},
		"reconnected": {"account_update", map[string]any{"event": "ACCOUNT_RECONNECTED"}},
		"restricted": {"account_update", map[string]any{"event": "ACCOUNT_RESTRICTION", "restriction_info": []any{
			map[string]any{"restriction_type": "RESTRICTED_CUSTOMER_INITIATED_MESSAGING"},
		}}},
		"free":   {"account_update", map[string]any{"event": "ACCOUNT_RESTRICTION", "restriction_info": []any{}}},
		"red":    {"phone_number_quality_update", map[string]any{"event": "X", "current_quality_rating": "RED"}},
		"yellow": {"phone_number_quality_update", map[string]any{"event": "X", "current_quality_rating": "YELLOW"}},
		"green":  {"phone_number_quality_update", map[string]any{"event": "X", "current_quality_rating": "GREEN"}},
		"250":    {"business_capability_update", map[string]any{"max_daily_conversations_per_business": "TIER_250"}},
		"2000":   {"business_capability_update", map[string]any{"max_daily_conversations_per_business": "TIER_2K"}},
		"any":    {"business_capability_update", map[string]any{"max_daily_conversations_per_business": "TIER_UNLIMITED"}},
	}
	any0, n250, n2000 := int64(0), int64(250), int64(2000)
	for name, c := range map[string]struct {
		told    []told
		circuit string
		quality string
		limit   *int64
	}{
		"disabled, then reinstated":        {told: []told{{1, "disabled"}, {2, "reinstated"}}},
		"reinstated, then disabled":        {told: []told{{1, "reinstated"}, {2, "disabled"}}, circuit: "disabled_update"},
		"in one second it is disabled":     {told: []told{{1, "disabled"}, {1, "reinstated"}}, circuit: "disabled_update"},
		"disabled, reinstated, restricted": {told: []told{{1, "disabled"}, {2, "reinstated"}, {3, "restricted"}}, circuit: "restricted_customer_initiated_messaging"},
		"restricted, then free":            {told: []told{{1, "restricted"}, {2, "free"}}},
		"offboarded, then reconnected":     {told: []told{{5, "offboarded"}, {9, "reconnected"}}},
		"it gets better":                   {told: []told{{1, "red"}, {2, "green"}}, quality: "GREEN"},
		"it gets worse":                    {told: []told{{1, "green"}, {2, "yellow"}, {3, "red"}}, quality: "RED"},
		"in one second it is bad":          {told: []told{{1, "green"}, {1, "red"}, {1, "yellow"}}, quality: "RED"},
		"the limit grows":                  {told: []told{{1, "250"}, {2, "2000"}, {3, "any"}}, limit: &any0},
		"the limit shrinks":                {told: []told{{1, "any"}, {2, "2000"}, {3, "250"}}, limit: &n250},
		"in one second it is small":        {told: []told{{1, "any"}, {1, "2000"}}, limit: &n2000},
		"each kind by itself":              {told: []told{{1, "reinstated"}, {2, "red"}, {3, "250"}, {4, "offboarded"}}, circuit: "account_offboarded", quality: "RED", limit: &n250},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
				for _, order := range orders(len(c.told)) {
					b := setup(t, fresh(t), coffee())
					for _, i := range append(order, order...) { // and again, as WhatsApp does
						b.told(c.told[i].second, says[c.told[i].what].field, says[c.told[i].what].value)
					}
					a, err := b.Store.View(b.ctx).WhatsAppAccount()
					require.NoError(t, err)
					require.Equal(t, []any{c.circuit, c.quality, c.limit}, []any{a.Circuit, a.Quality, a.DailyLimit}, "in the order %v", order)
					var alerts []string
					if c.circuit != "" {
						alerts = append(alerts, "circuit_open all "+c.circuit)
					}
					if c.quality == "RED" {
						alerts = append(alerts, "number_quality  red")
					}
					require.ElementsMatch(t, alerts, b.raised(), "in the order %v", order)
				}
			})
		})
	}
}

// orders are all the orders of so many things.
func orders(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, shorter := range orders(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(shorter), at, n-1))
		}
	}
	return all
}

// A reinstatement that comes a second time takes back nothing that has happened since, and one without a time counts as it comes.
func TestReinstatedTwice(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		reinstated := map[string]any{"event": "DISABLED_UPDATE", "ban_info": map[string]any{"waba_ban_state": "REINSTATE"}}
		b.told(5, "account_update", reinstated)
		require.NoError(t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
			return tx.OpenCircuit(punchcard.CircuitAll, "whatsapp_131031", nil) // what a send was answered
		}))
		b.told(5, "account_update", reinstated)
		require.Equal(t, "whatsapp_131031", b.circuit())
		b.told(0, "account_update", reinstated)
		require.Empty(t, b.circuit())
	})
}

// A refusal of marketing is in the consent log in the transaction in which it is known, with the message that was refused, whichever way
// WhatsApp tells; the runs are told by an event.
func TestRefusalOfMarketingIsRecordedAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		revoked := func(b *bundle, m punchcard.Message) punchcard.ConsentEntry {
			b.t.Helper()
			log, err := b.Store.View(b.ctx).Consents(m.CustomerID, 0, 50)
			require.NoError(t, err)
			last := log[len(log)-1]
			require.Equal(t, []any{punchcard.StandingRevoked, "whatsapp.131050", m.ID}, []any{last.Standing, last.Source, last.Reference})
			return last
		}
		t.Run("answered", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.join(anna)
			b.event(anna, "cart.updated", map[string]any{"cart_id": "c1", "total": 120, "items": []any{}})
			b.wa.fail = []error{&whatsapp.Error{Code: 131050, Class: whatsapp.OptOut, HTTPStatus: http.StatusBadRequest}}
			b.Clock.Advance(61 * time.Minute)
			_, err := b.Engine.Settle(b.ctx) // the runs go on, and dispatch does nothing
			require.NoError(t, err)
			m, _ := b.newest(anna)
			require.Equal(t, punchcard.MessageFailed, m.Status)
			revoked(b, m)
			require.NoError(t, b.Settle(b.ctx))
			require.Contains(t, b.outcomes(anna), "abandoned-cart opted_out")
			log, err := b.Store.View(b.ctx).Consents(m.CustomerID, 0, 50)
			require.NoError(t, err)
			lines := 0
			for _, e := range log {
				if e.Source == "whatsapp.131050" {
					lines++
				}
			}
			policy, err := b.Fence.Catalog.Current(b.ctx)
			require.NoError(t, err)
			require.Len(t, policy.MarketingTopics(), lines, "one line for each topic, once")
		})
		t.Run("told", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.join(anna)
			b.event(anna, "cart.updated", map[string]any{"cart_id": "c1", "total": 120, "items": []any{}})
			b.advance(61 * time.Minute)
			m, _ := b.newest(anna)
			require.Equal(t, "cart_reminder", m.Template)
			// Anna begins again after she stopped in WhatsApp, and the status of the message between comes late.
			stopped := time.Now().Add(-time.Hour)
			raw, err := json.Marshal(map[string]any{"entry": []any{map[string]any{"id": "1", "changes": []any{map[string]any{"field": "messages", "value": map[string]any{
				"statuses": []any{map[string]any{
					"id": *m.Wamid, "status": "failed", "timestamp": fmt.Sprint(stopped.Unix()), "errors": []any{map[string]any{"code": 131050}},
				}},
			}}}}}})
			require.NoError(t, err)
			require.NoError(t, b.Dispatch.Receive(b.ctx, raw))
			commits := 0
			b.Store.Kill(func(committed bool) bool {
				if committed {
					commits++
				}
				return committed && commits == 2 // the inbox is claimed, and the statuses are taken
			})
			_, err = b.Dispatch.Drain(b.ctx)
			require.Error(t, err)
			b.Store.Kill(nil)
			m, _ = b.newest(anna)
			require.Equal(t, punchcard.MessageFailed, m.Status)
			revoked(b, m)
		})
	})
}
