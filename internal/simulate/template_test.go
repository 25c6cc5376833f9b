package simulate_test

import (
	"encoding/json"
	"maps"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// cleo is one more customer.
const cleo = "+4520123458"

// mirror writes down that WhatsApp has a template of the program in a status, in each of its languages.
func (b *bundle) mirror(template string, status punchcard.TemplateStatus) *rules.Template {
	b.t.Helper()
	policy, err := b.Fence.Catalog.Current(b.ctx)
	require.NoError(b.t, err)
	t := policy.Templates[template]
	require.NoError(b.t, b.Store.Update(b.ctx, func(tx *store.Tx) error {
		for _, language := range t.Languages() {
			err := tx.AddWhatsAppTemplate(&punchcard.WhatsAppTemplate{
				Name: t.WireName(), Language: language, Template: template, WhatsAppID: "1", Status: status, Declared: t.Category,
				Category: t.Category, Since: tx.Now,
			})
			if err != nil {
				return err
			}
		}
		return tx.MirrorTemplates()
	}))
	return t
}

// tells has WhatsApp tell something of a template.
func (b *bundle) tells(t *rules.Template, language, field string, value map[string]any) {
	b.t.Helper()
	value["message_template_name"], value["message_template_language"], value["message_template_id"] = t.WireName(), language, 77
	b.seq++
	body, err := json.Marshal(map[string]any{"object": "whatsapp_business_account", "entry": []any{map[string]any{
		"id": "1", "time": 1749416383 + b.seq, "changes": []any{map[string]any{"field": field, "value": value}},
	}}})
	require.NoError(b.t, err)
	require.NoError(b.t, b.Dispatch.Receive(b.ctx, body))
	require.NoError(b.t, b.Settle(b.ctx))
}

func (b *bundle) statusOf(t *rules.Template, event string, more map[string]any) {
	b.t.Helper()
	value := map[string]any{"event": event, "reason": "NONE"}
	maps.Copy(value, more)
	b.tells(t, "en", "message_template_status_update", value)
}

// alerts lists the open alerts as "kind detail".
func (b *bundle) alerts() []string {
	b.t.Helper()
	open, err := b.Store.View(b.ctx).Alerts(false, "", 100)
	require.NoError(b.t, err)
	var out []string
	for _, a := range open {
		out = append(out, string(a.Kind)+" "+a.Detail)
	}
	return out
}

const templateStatus = "message_template_status_update"

// A message whose template is not approved waits with a reason, and goes on when WhatsApp says so.
func TestTemplateHeld(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		for name, c := range map[string]struct {
			status punchcard.TemplateStatus
			reason string
			event  string
		}{
			"pending":  {punchcard.TemplatePending, "template_pending", "APPROVED"},
			"rejected": {punchcard.TemplateRejected, "template_rejected", "APPROVED"},
			"paused":   {punchcard.TemplatePaused, "template_paused", "REINSTATED"},
			"disabled": {punchcard.TemplateDisabled, "template_disabled", "REINSTATED"},
			"deleted":  {punchcard.TemplateMissing, "template_pending", "APPROVED"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t, fresh(t), coffee())
				request := b.mirror("opt_in_request", c.status)
				b.event(anna, "registration.received", map[string]any{"source": "web"})
				require.Equal(t, []string{"opt-in held at 1 " + c.reason}, b.outcomes(anna))
				b.advance(10 * time.Hour)
				require.Equal(t, []string{"opt_in_request (deferred, " + c.reason + ")"}, b.messages(anna))
				require.Empty(t, b.wa.sent)

				b.statusOf(request, c.event, nil)
				b.last = map[string]int{}
				require.Equal(t, []string{"opt_in_request"}, b.messages(anna))
				require.Equal(t, []string{"opt-in live at 1/answer "}, b.outcomes(anna))
				b.statusOf(request, c.event, nil)
				require.Len(t, b.wa.sent, 1, "told twice, sent once")
				require.Empty(t, b.alerts())
			})
		}
		t.Run("not submitted", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			b.mirror("opt_in_welcome", punchcard.TemplateApproved)
			b.event(anna, "registration.received", map[string]any{"source": "web"})
			require.Equal(t, []string{"opt-in held at 1 template_pending"}, b.outcomes(anna))
			policy, err := b.Fence.Catalog.Current(b.ctx)
			require.NoError(t, err)
			b.statusOf(policy.Templates["opt_in_request"], "APPROVED", nil)
			require.Equal(t, []string{"opt_in_request"}, b.messages(anna))
		})
		t.Run("another language of it", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			request := b.mirror("opt_in_request", punchcard.TemplatePending)
			b.event(anna, "registration.received", map[string]any{"source": "web"})
			b.tells(request, "da", templateStatus, map[string]any{"event": "APPROVED"})
			require.Empty(t, b.wa.sent)
			b.tells(request, "da-DK", templateStatus, map[string]any{"event": "APPROVED"})
			b.tells(request, "en", templateStatus, map[string]any{"event": "A word of next year"})
			require.Empty(t, b.wa.sent, "what nobody knows changes nothing")
		})
		t.Run("left while it waits", func(t *testing.T) {
			t.Parallel()
			b := setup(t, fresh(t), coffee())
			request := b.mirror("opt_in_request", punchcard.TemplatePending)
			b.event(anna, "registration.received", map[string]any{"source": "web"})
			b.says(anna, "stop")
			b.statusOf(request, "APPROVED", nil)
			for _, m := range b.wa.sent {
				require.Nil(t, m.Template, "nothing that was held goes to somebody who said stop")
			}
		})
	})
}

// A rejected, paused or disabled template is an alert, which is over when WhatsApp takes the template again.
func TestTemplateAlerts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		request := b.mirror("opt_in_request", punchcard.TemplatePending)
		b.statusOf(request, "REJECTED", map[string]any{"reason": "INVALID_FORMAT"})
		row, err := b.Store.View(b.ctx).WhatsAppTemplate(request.WireName(), "en")
		require.NoError(t, err)
		require.Equal(t, punchcard.TemplateRejected, row.Status)
		require.Equal(t, "invalid_format", row.Reason)
		require.Equal(t, []string{"template_stopped rejected"}, b.alerts())
		b.statusOf(request, "APPROVED", nil)
		require.Empty(t, b.alerts())
		b.statusOf(request, "DISABLED", nil)
		require.Equal(t, []string{"template_stopped disabled"}, b.alerts())
		b.tells(request, "en", "message_template_quality_update", map[string]any{"previous_quality_score": "GREEN", "new_quality_score": "RED"})
		row, err = b.Store.View(b.ctx).WhatsAppTemplate(request.WireName(), "en")
		require.NoError(t, err)
		require.Equal(t, "red", row.Quality)

		// What was told before and comes late changes nothing.
		b.seq -= 3
		b.statusOf(request, "APPROVED", nil)
		row, err = b.Store.View(b.ctx).WhatsAppTemplate(request.WireName(), "en")
		require.NoError(t, err)
		require.Equal(t, punchcard.TemplateDisabled, row.Status)
	})
}

// A pause for quality ends by itself: after three hours the first time, after six the second.
func TestTemplatePause(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		for title, pause := range map[string]time.Duration{"FIRST_PAUSE": 3 * time.Hour, "SECOND_PAUSE": 6 * time.Hour} {
			t.Run(title, func(t *testing.T) {
				t.Parallel()
				b := setup(t, fresh(t), coffee())
				request := b.mirror("opt_in_request", punchcard.TemplateApproved)
				b.statusOf(request, "PAUSED", map[string]any{"other_info": map[string]any{"title": title, "description": "Low quality."}})
				b.event(anna, "registration.received", map[string]any{"source": "web"})
				require.Equal(t, []string{"opt-in held at 1 template_paused"}, b.outcomes(anna))
				require.Equal(t, []string{"template_stopped paused"}, b.alerts())
				b.advance(pause - 2*time.Minute)
				require.Empty(t, b.wa.sent)
				b.advance(4 * time.Minute)
				require.Equal(t, []string{"opt_in_request"}, b.messages(anna))
				require.Empty(t, b.alerts())
			})
		}
	})
}

// An answer to a send that says the template is paused holds the message instead of leaving the run stuck.
func TestTemplateRefusedAtSend(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		for code, reason := range map[int]string{132001: "template_pending", 132015: "template_paused", 132016: "template_disabled"} {
			t.Run(reason, func(t *testing.T) {
				t.Parallel()
				b := setup(t, fresh(t), coffee())
				request := b.mirror("opt_in_request", punchcard.TemplateApproved)
				b.wa.fail = []error{&whatsapp.Error{Code: code, Class: whatsapp.Template}}
				b.event(anna, "registration.received", map[string]any{"source": "web"})
				require.Equal(t, []string{"opt_in_request (deferred, " + reason + ")"}, b.messages(anna))
				require.Equal(t, []string{"opt-in held at 1 " + reason}, b.outcomes(anna))
				b.event(bo, "registration.received", map[string]any{"source": "web"})
				require.Equal(t, []string{"opt_in_request (deferred, " + reason + ")"}, b.messages(bo), "the next one is not tried")
				require.Len(t, b.alerts(), 1)
				b.statusOf(request, "APPROVED", nil)
				b.last = map[string]int{}
				require.Equal(t, []string{"opt_in_request"}, b.messages(anna))
				require.Equal(t, []string{"opt_in_request"}, b.messages(bo))
				require.Len(t, b.wa.sent, 2)
			})
		}
	})
}

// What WhatsApp counts as marketing is judged as marketing, whatever the program says of it.
func TestTemplateCategory(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		request := b.mirror("opt_in_request", punchcard.TemplateApproved)
		category := func(value map[string]any) { b.tells(request, "en", "template_category_update", value) }
		category(map[string]any{"new_category": "UTILITY", "correct_category": "MARKETING"})
		require.Equal(t, []string{"template_category soon_marketing"}, b.alerts())
		b.event(anna, "registration.received", map[string]any{"source": "web"})
		require.Equal(t, []string{"opt_in_request"}, b.messages(anna), "it is not marketing yet")

		category(map[string]any{"previous_category": "UTILITY", "new_category": "MARKETING"})
		require.Equal(t, []string{"template_category now_marketing"}, b.alerts())
		b.event(bo, "registration.received", map[string]any{"source": "web"})
		require.Equal(t, []string{"opt_in_request (suppressed, marketing_not_topic)"}, b.messages(bo))

		category(map[string]any{"previous_category": "MARKETING", "new_category": "UTILITY"})
		require.Empty(t, b.alerts())
		b.event(cleo, "registration.received", map[string]any{"source": "web"})
		require.Equal(t, []string{"opt_in_request"}, b.messages(cleo))
	})
}

// All that a template can show goes over the wire as the program says it.
func TestTemplateParts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		program := coffee()
		text := string(program["templates.yaml"].Data) + `
  weekend:
    category: utility
    image: https://beanandbloom.example/{{ customer.id }}.png
    body: All of it, {{ customer.first_name | default("you") }}, is ready.
    buttons: [{url: "https://beanandbloom.example/{{ code }}", title: Shop}, {phone: "+4570123456", title: Call}, {reply: yes}]
  coupon: {category: utility, body: The code is on the button., buttons: [{copy_code: "{{ code }}"}]}
`
		program["templates.yaml"] = &fstest.MapFile{Data: []byte(text)}
		b := setup(t, fresh(t), add(program, "journeys/parts.yaml", `journey: parts
purpose: service
enter: [{on: registration.received}]
steps:
  - send: weekend
    with: {code: "a/b"}
  - send: coupon
    with: {code: "{{ customer.id }}"}
`))
		b.event(anna, "registration.received", map[string]any{"source": "web"})
		require.Contains(t, b.messages(anna), "coupon (suppressed, code_form)", "WhatsApp is not asked")
		var got *whatsapp.TemplateMessage
		for _, m := range b.wa.sent {
			if m.Template != nil && m.Template.Header != nil {
				got = m.Template
			}
		}
		require.NotNil(t, got)
		require.Equal(t, "https://beanandbloom.example/"+b.customer(anna).ID+".png", got.Header.Image.Link)
		require.Equal(t, []string{"you"}, got.Body)
		require.Equal(t, []whatsapp.TemplateButton{
			{Index: 0, SubType: whatsapp.URLSuffix, Value: "a%2Fb"}, {Index: 2, SubType: whatsapp.QuickReply, Value: "yes"},
		}, got.Buttons)
	})
}

// A time that lies in the future counts as now: what is said after it is not taken for older.
func TestTemplateToldInTheFuture(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, fresh func(*testing.T) *store.Store) {
		b := setup(t, fresh(t), coffee())
		reminder := b.mirror("cart_reminder", punchcard.TemplateApproved)
		about := func(event string) map[string]any {
			return map[string]any{
				"event": event, "reason": "NONE", "message_template_name": reminder.WireName(), "message_template_language": "en", "message_template_id": 77,
			}
		}
		b.told(20*365*24*3600, templateStatus, about("APPROVED"))
		b.told(int(time.Now().Unix())-1749416383+60, templateStatus, about("PAUSED"))
		now, err := b.Store.View(b.ctx).WhatsAppTemplate(reminder.WireName(), "en")
		require.NoError(t, err)
		require.Equal(t, punchcard.TemplatePaused, now.Status)
	})
}
