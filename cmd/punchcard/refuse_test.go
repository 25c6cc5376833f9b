package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punchcard/internal/whatsapp"
)

// Bad input is answered clearly, and leaves nothing behind.
func TestBadInput(t *testing.T) {
	t.Parallel()
	d := openShop(t, 600)
	temporal := openPages(t, d.temporal)
	ida, stranger := phoneNumber(1), phoneNumber(2)
	d.join(t, ida)
	d.send(t, reviews(ida, 1)...)
	until(t, soon, func(c *assert.CollectT) { require.Equal(c, int64(200), d.points(c, ida).Balance) })
	agree(t, d.shop, temporal)
	// All that there is; every refusal must leave it as it was.
	all := func(t require.TestingT) string {
		var all strings.Builder
		for _, c := range list[customerView](t, d.shop, "/v1/customers") {
			path := "/v1/customers/" + c.ID
			fmt.Fprintln(&all, c.ID, list[runView](t, d.shop, path+"/runs"), list[messageView](t, d.shop, path+"/messages"),
				list[ledgerView](t, d.shop, path+"/points"), list[grantView](t, d.shop, path+"/grants"), list[consentView](t, d.shop, path+"/consents"))
		}
		people, err := d.call(http.MethodGet, d.shop.phone+"/people", nil)
		require.NoError(t, err)
		fmt.Fprintln(&all, people.Body, len(temporal.workflows(t, "")))
		return all.String()
	}
	before := all(t)

	many := make([]object, 1001)
	for i := range many {
		many[i] = registration(fmt.Sprintf("r-%d", i), phoneNumber(5000+i))
	}
	with := func(member string, value any) object {
		e := registration("r-1", stranger)
		e[member] = value
		return e
	}
	webhook := fmt.Sprintf(`{"object": "whatsapp_business_account", "entry": [{"id": %q, "changes": [{"field": "messages", "value": {
		"messaging_product": "whatsapp", "metadata": {"display_phone_number": %q, "phone_number_id": %q},
		"contacts": [{"profile": {"name": "Mallory"}, "wa_id": %q}],
		"messages": [{"from": %q, "id": "wamid.forged", "timestamp": "1780000000", "type": "text", "text": {"body": "STOP"}}]}}]}]}`,
		devAccountID, devBusinessPhone, devPhoneNumberID, ida[1:], ida[1:])
	for _, test := range []struct {
		name   string
		path   string
		body   any
		header []string
		status int
		code   string
		says   string // in the answer's detail
	}{
		{"an unknown event", "/v1/events", with("name", "order.plcaed"), nil, 422, "invalid", `did you mean "order.placed"?`},
		{"an event of our own", "/v1/events", with("name", "milestone.reached"), nil, 422, "invalid", "raised by Punchcard itself"},
		{"an event without an id", "/v1/events", with("id", ""), nil, 422, "invalid", "id"},
		{"a wrong type", "/v1/events", event("o-1", "order.placed", stranger, object{"order_id": "o-1", "total": "twelve"}), nil, 422, "invalid", "properties.total"},
		{"a wrong type within", "/v1/events", event("c-1", "cart.updated", stranger, object{"cart_id": "c", "total": 1, "items": []object{{"name": 7, "price": 1}}}), nil, 422, "invalid", "properties.items"},
		{"a missing property", "/v1/events", event("o-1", "order.placed", stranger, object{"order_id": "o-1"}), nil, 422, "invalid", "total"},
		{"an unknown property", "/v1/events", event("o-1", "order.placed", stranger, object{"order_id": "o-1", "total": 1, "tip": 2}), nil, 422, "invalid", "tip"},
		{"a bad phone", "/v1/events", registration("r-1", "+45123"), nil, 422, "invalid", "phone"},
		{"a phone without a country", "/v1/events", registration("r-1", "24100002"), nil, 422, "invalid", "+4520123456"},
		{"nobody", "/v1/events", with("customer", object{}), nil, 422, "invalid", "say who the customer is"},
		{"tomorrow's event", "/v1/events", with("occurred_at", "2199-01-01T00:00:00Z"), nil, 422, "invalid", "has not happened yet"},
		{"1,001 events", "/v1/events", object{"events": many}, nil, 0, "", "at most 1000 events"},
		{"no JSON", "/v1/events", `{"id": "r-1", "name":`, nil, 400, "invalid", "JSON"},
		{"no body", "/v1/events", "", nil, 400, "invalid", ""},
		{"no object", "/v1/events", `"registration.received"`, nil, 0, "invalid", ""},
		{"no key", "/v1/events", registration("r-1", stranger), []string{"Authorization", ""}, 401, "unauthorized", ""},
		{"a wrong key", "/v1/events", registration("r-1", stranger), []string{"Authorization", "Bearer prod"}, 401, "unauthorized", ""},
		{"an unknown journey", "/v1/journeys/abandoned-card/runs", object{"customer": "phone:" + ida, "properties": object{}}, nil, 404, "not_found", "no such journey"},
		{"a journey for nobody", "/v1/journeys/abandoned-cart/runs", object{"customer": "phone:" + stranger, "properties": object{"cart_id": "c", "total": 120, "items": []object{}}}, nil, 404, "not_found", ""},
		{"a journey with a wrong type", "/v1/journeys/abandoned-cart/runs", object{"customer": "phone:" + ida, "properties": object{"cart_id": "c", "total": "much", "items": []object{}}}, nil, 422, "invalid", "total"},
		{"an unknown reward", "/v1/redemptions", object{"customer": "phone:" + ida, "reward": "free-tea"}, nil, 404, "not_found", "free-tea"},
		{"a reward that is not for points", "/v1/redemptions", object{"customer": "phone:" + ida, "reward": "welcome-10"}, nil, 422, "invalid", "points"},
		{"a redemption for nobody", "/v1/redemptions", object{"customer": "phone:" + stranger, "reward": "free-coffee"}, nil, 404, "not_found", ""},
		{"an unknown code", "/v1/redemptions/capture", object{"code": "NEVERGIVEN"}, nil, 404, "not_found", "no reward has that code"},
		{"no code", "/v1/redemptions/capture", object{"code": ""}, nil, 422, "invalid", "code"},
		{"a webhook without a signature", "/webhooks/whatsapp", webhook, nil, 401, "unauthorized", "signature"},
		{"a forged webhook", "/webhooks/whatsapp", webhook, []string{"X-Hub-Signature-256", whatsapp.Sign("not the secret", []byte(webhook))}, 401, "unauthorized", "signature"},
		{"a webhook that was changed", "/webhooks/whatsapp", webhook, []string{"X-Hub-Signature-256", whatsapp.Sign(devKey, []byte(webhook+" "))}, 401, "unauthorized", "signature"},
		{"an address that is not there", "/v1/event", object{}, nil, 404, "not_found", ""},
	} {
		a, err := d.call(http.MethodPost, d.api+test.path, test.body, test.header...)
		require.NoError(t, err, test.name)
		p := a.problem(t)
		if test.status != 0 {
			require.Equal(t, test.status, a.Status, "%s: %s", test.name, a.Body)
		}
		require.GreaterOrEqual(t, a.Status, 400, test.name)
		require.Less(t, a.Status, 500, test.name)
		if test.code != "" {
			require.Equal(t, test.code, p.Code, "%s: %s", test.name, a.Body)
		}
		require.Contains(t, p.Detail, test.says, test.name)
		require.NotContains(t, a.Body, ida[1:], "%s: an answer that is logged must name nobody", test.name)
	}
	for path, status := range map[string]int{
		"/v1/customers/phone:" + stranger: 404, "/v1/customers/phone:12": 422, "/v1/customers/ida": 404, "/v1/customers/external:nobody": 404,
		"/v1/runs/run_x": 404, "/v1/redemptions/rdm_x": 404, "/v1/customers?limit=0": 422,
	} {
		a, err := d.call(http.MethodGet, d.api+path, nil)
		require.NoError(t, err)
		require.Equal(t, status, a.Status, "%s: %s", path, a.Body)
		a.problem(t)
	}
	require.Equal(t, before, all(t))

	// Among good ones, the bad ones alone are refused, each by its place; the good ones are taken.
	a := d.post(t, "/v1/events", object{"events": []object{
		with("id", "r-good"), with("name", "nothing.such"), registration("r-bad", "+45123"), with("id", "r-good"),
	}})
	require.Equal(t, http.StatusAccepted, a.Status, a.Body)
	require.Regexp(t, `^\{"accepted":1,"duplicates":1,"rejected":\[\{"index":1,.*\{"index":2,`, a.Body)
	d.received(t, soon, stranger, "opt_in_request")
	agree(t, d.shop, temporal)
}
