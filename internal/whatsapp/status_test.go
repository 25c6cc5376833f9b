package whatsapp

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParsePricing(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]*Pricing{
		`{"billable":true,"pricing_model":"PMP","type":"regular","category":"service"}`:                {Category: "service", Type: "regular", Billable: true},
		`{"billable":"true","type":"regular","category":"marketing_lite"}`:                             {Category: "marketing_lite", Type: "regular", Billable: true},
		`{"billable":false,"pricing_model":"PMP","type":"free_customer_service","category":"service"}`: {Category: "service", Type: "free_customer_service"},
		`{"category":["odd"]}`: {},
		`"odd"`:                nil,
		`null`:                 nil,
	} {
		body := fmt.Sprintf(`{"entry":[{"id":"1","changes":[{"field":"messages","value":{"statuses":[{"id":"wamid.1","status":"sent","pricing":%s}]}}]}]}`, text)
		updates, err := Parse([]byte(body))
		require.NoError(t, err)
		require.Len(t, updates, 1)
		require.Equal(t, want, updates[0].Status.Pricing, text)
	}
}
