package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
)

// order is a sound event with one member in another form.
func order(member, value string) string {
	members := map[string]string{
		"id": `"o-1"`, "name": `"order.placed"`, "customer": `{"external_id": "c-1"}`, "occurred_at": `"2026-03-02T08:00:00Z"`,
		"properties": `{"order_id": "1", "total": 9.5}`,
	}
	if member != "" {
		members[member] = value
	}
	var parts []string
	for _, name := range []string{"id", "name", "customer", "occurred_at", "properties", member} {
		if v, ok := members[name]; ok && v != "-" {
			parts = append(parts, fmt.Sprintf("%q: %s", name, v))
			delete(members, name)
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// TestEventRefused sends events that are wrong in one way, alone and in a batch beside a sound one. Nothing of them is stored,
// nobody is made of them, and what they said of a person does not come back.
func TestEventRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ event, field, says string }{
		"unknown name":         {order("name", `"order.plced"`), "name", `did you mean "order.placed"?`},
		"no name":              {order("name", "-"), "name", "the event has no name"},
		"built-in name":        {order("name", `"milestone.reached"`), "name", "raised by Punchcard itself"},
		"no id":                {order("id", "-"), "id", "id is missing"},
		"id of a wrong type":   {order("id", "5"), "id", "a string is expected, not a number"},
		"id too long":          {order("id", `"`+strings.Repeat("x", 201)+`"`), "id", "longer than 200 bytes"},
		"id with control":      {order("id", `"a\u0000b"`), "id", "no text"},
		"unknown member":       {order("prperties", "{}"), "prperties", "there is no such member; there are id, name, customer, occurred_at, properties"},
		"strange member":       {order("<script>", "1"), "?", "there is no such member"},
		"property type":        {order("properties", `{"order_id": "1", "total": "9.5"}`), "properties.total", "a number is expected, not a string"},
		"property missing":     {order("properties", `{"order_id": "1"}`), "properties.total", "a value is required"},
		"property unknown":     {order("properties", `{"order_id": "1", "total": 1, "totl": 2}`), "properties.totl", `did you mean "total"?`},
		"property in a list":   {`{"id": "c-1", "name": "cart.updated", "customer": {"external_id": "c-1"}, "properties": {"cart_id": "1", "total": 1, "items": [{"name": "x", "price": true}]}}`, "properties.items[0].price", "a number is expected, not a bool"},
		"properties no object": {order("properties", "[]"), "properties", "an object is expected, not a list"},
		"number too large":     {order("properties", `{"order_id": "1", "total": 1e999}`), "properties.total", "not finite"},
		"time of a wrong form": {order("occurred_at", `"yesterday"`), "occurred_at", "a time is expected"},
		"time of no year":      {order("occurred_at", `"0001-01-01T00:00:00Z"`), "occurred_at", "a time is expected"},
		"time to come":         {order("occurred_at", `"2026-03-02T12:00:00Z"`), "occurred_at", "it has not happened yet"},
		"no customer":          {order("customer", "-"), "customer", "say who the customer is"},
		"customer null":        {order("customer", "null"), "customer", "say who the customer is"},
		"customer empty":       {order("customer", "{}"), "customer", "say who the customer is"},
		"customer a string":    {order("customer", `"c-1"`), "customer", "an object is expected, not a string"},
		"customer's member":    {order("customer", `{"external_id": "c-1", "phon": "+4531415926"}`), "customer.phon", "there is no such member"},
		"bad phone":            {order("customer", `{"phone": "31415926"}`), "customer.phone", "starts with + and the country code"},
		"impossible phone":     {order("customer", `{"phone": "+4531415"}`), "customer.phone", "not a phone number"},
		"phone of wrong type":  {order("customer", `{"phone": 4531415926}`), "customer.phone", "a string is expected, not a number"},
		"not one of our ids":   {order("customer", `{"id": "c-1"}`), "customer.id", "not one of ours"},
		"nobody's id":          {order("customer", fmt.Sprintf(`{"id": %q}`, punchcard.NewID("cus"))), "customer.id", "no customer with that id"},
		"language":             {order("customer", `{"external_id": "c-1", "language": "danish!"}`), "customer.language", "not a language"},
		"time zone":            {order("customer", `{"external_id": "c-1", "timezone": "Mars/Base"}`), "customer.timezone", "not a time zone"},
		"attribute":            {order("customer", `{"external_id": "c-1", "attributes": {"vip": "yes"}}`), "customer.attributes.vip", "a bool is expected, not a string"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r := b.post("/v1/events", test.event)
			problem := r.is(http.StatusUnprocessableEntity)
			require.Equal(t, test.field, problem["field"])
			require.Contains(t, problem["detail"], test.says)
			require.NotContains(t, r.body, "31415")
			require.NotContains(t, r.body, "script")
			require.NotContains(t, b.log.String(), "31415")
			require.Zero(t, b.customers())

			batch := b.post("/v1/events", `{"events": [`+test.event+`, `+strings.ReplaceAll(order("id", `"sound"`), "c-1", "c-2")+`]}`).is(http.StatusAccepted)
			require.EqualValues(t, 1, batch["accepted"])
			require.Len(t, batch["rejected"], 1)
			rejected := batch["rejected"].([]any)[0].(map[string]any)
			require.EqualValues(t, 0, rejected["index"])
			require.Equal(t, test.field, rejected["field"])
			require.Contains(t, rejected["error"], test.says)
			require.NotEmpty(t, rejected["code"])
			e, err := b.store.View(t.Context()).Event("o-1")
			require.NoError(t, err)
			require.Nil(t, e)
			require.Equal(t, 1, b.customers())
		})
	}
}

// TestEventsBodyRefused sends what is no event nor a batch of them: nothing is stored.
func TestEventsBodyRefused(t *testing.T) {
	t.Parallel()
	many := `{"events": [` + strings.Repeat(order("", "")+",", 1000) + order("", "") + `]}`
	for name, test := range map[string]struct {
		body   string
		status int
		code   string
		says   string
	}{
		"no JSON":               {"id=o-1", http.StatusBadRequest, "invalid", "not JSON"},
		"cut off":               {order("", "")[:40], http.StatusBadRequest, "invalid", "not JSON"},
		"two values":            {order("", "") + order("", ""), http.StatusBadRequest, "invalid", "not JSON"},
		"nothing":               {"", http.StatusBadRequest, "invalid", "not JSON"},
		"not UTF-8":             {order("customer", "{\"external_id\": \"\xff\"}"), http.StatusBadRequest, "invalid", "not UTF-8"},
		"a list":                {"[" + order("", "") + "]", http.StatusUnprocessableEntity, "invalid", "not a list"},
		"a string":              {`"event"`, http.StatusUnprocessableEntity, "invalid", "not a string"},
		"events is no list":     {`{"events": {}}`, http.StatusUnprocessableEntity, "invalid", "events: a list is expected, not an object"},
		"more beside events":    {`{"events": [` + order("", "") + `], "id": "x"}`, http.StatusUnprocessableEntity, "invalid", "id: there is no such member"},
		"1,001 events":          {many, http.StatusRequestEntityTooLarge, "too_large", "at most 1000 events may come at once, and these are 1001"},
		"more than 5 MB":        {order("id", `"`+strings.Repeat("x", 5<<20)+`"`), http.StatusRequestEntityTooLarge, "too_large", "too large"},
		"deeper than can be":    {strings.Repeat(`{"a":`, 20_000), http.StatusBadRequest, "invalid", "not JSON"},
		"an event of no object": {`{"events": 5}`, http.StatusUnprocessableEntity, "invalid", "not a number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			r := b.post("/v1/events", test.body)
			problem := r.is(test.status)
			require.Equal(t, test.code, problem["code"])
			require.Contains(t, problem["detail"], test.says)
			require.Less(t, len(r.body), 1000)
			require.Zero(t, b.customers())
		})
	}
}

// TestEventsTaken sends sound ones: alone, again, and a thousand at once.
func TestEventsTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, map[string]any{"accepted": 1.0, "duplicates": 0.0, "rejected": []any{}}, b.post("/v1/events", order("", "")).is(http.StatusAccepted))
	require.Equal(t, map[string]any{"accepted": 0.0, "duplicates": 1.0, "rejected": []any{}}, b.post("/v1/events", order("", "")).is(http.StatusAccepted))
	e, err := b.store.View(t.Context()).Event("o-1")
	require.NoError(t, err)
	require.Equal(t, map[string]any{"order_id": "1", "total": 9.5}, e.Properties)

	var events []string
	for i := range 1000 {
		events = append(events, order("id", fmt.Sprintf(`"batch-%d"`, i)))
	}
	got := b.call(http.MethodPost, "/v1/events", `{"events": [`+strings.Join(events, ",")+`]}`, "Content-Type", "application/x-www-form-urlencoded")
	require.Equal(t, map[string]any{"accepted": 1000.0, "duplicates": 0.0, "rejected": []any{}}, got.is(http.StatusAccepted))
	require.Equal(t, 1, b.customers())
	require.Equal(t, map[string]any{"accepted": 0.0, "duplicates": 0.0, "rejected": []any{}}, b.post("/v1/events", `{"events": []}`).is(http.StatusAccepted))
}

// TestParkedEvents lists what could not be routed and lets it try again.
func TestParkedEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.post("/v1/events", order("id", `"shop/1"`)).is(http.StatusAccepted)
	require.Empty(t, b.get("/v1/events/parked").is(http.StatusOK)["items"])
	b.post("/v1/events/shop%2F1/retry", "").is(http.StatusNotFound)
	b.park("shop/1", "it did not fit")
	items := b.get("/v1/events/parked").is(http.StatusOK)["items"].([]any)
	require.Len(t, items, 1)
	require.Equal(t, "it did not fit", items[0].(map[string]any)["error"])
	require.Equal(t, "shop/1", items[0].(map[string]any)["id"])
	require.Equal(t, map[string]any{"id": "shop/1", "status": "pending"}, b.post("/v1/events/shop%2F1/retry", "").is(http.StatusAccepted))
	require.Empty(t, b.get("/v1/events/parked").is(http.StatusOK)["items"])
	b.post("/v1/events/a%00b/retry", "").is(http.StatusNotFound)
	b.post("/v1/events/%ff/retry", "").is(http.StatusNotFound)
}
