package whatsapp

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	var asked []string
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		switch {
		case r.URL.Path == "/v26.0/1022/phone_numbers" && r.URL.Query().Get("after") == "":
			_, _ = io.WriteString(w, `{"data":[{"id":"1","quality_rating":"GREEN"}],"paging":{"cursors":{"after":"c"},"next":"x"}}`)
		case r.URL.Path == "/v26.0/1022/phone_numbers":
			_, _ = io.WriteString(w, `{"data":[{"id":"2"}],"paging":{"cursors":{"after":"c"}}}`)
		case r.URL.Query().Get("fields") == "whatsapp_business_manager_messaging_limit":
			_, _ = io.WriteString(w, `{"id":"1065","whatsapp_business_manager_messaging_limit":"TIER_2K"}`)
		default:
			_, _ = io.WriteString(w, `{"id":"1065","display_phone_number":"+45 33 11 22 33","verified_name":"Bean","name_status":"APPROVED","status":"CONNECTED",
				"quality_rating":"YELLOW","code_verification_status":"VERIFIED","account_mode":"LIVE","throughput":{"level":"HIGH"}}`)
		}
	})
	got, err := client.GetNumber(t.Context())
	require.NoError(t, err)
	want := PhoneNumber{
		ID: "1065", Display: "+45 33 11 22 33", Name: "Bean", NameStatus: "APPROVED", Status: "CONNECTED", Quality: "YELLOW", Verified: "VERIFIED", Mode: "LIVE",
	}
	want.Throughput.Level = "HIGH"
	require.Equal(t, want, got)
	limit, err := client.MessagingLimit(t.Context())
	require.NoError(t, err)
	require.Equal(t, "TIER_2K", limit)
	all, err := client.ListNumbers(t.Context())
	require.NoError(t, err)
	require.Equal(t, []PhoneNumber{{ID: "1", Quality: "GREEN"}, {ID: "2"}}, all)
	require.Equal(t, []string{"GET /v26.0/1065", "GET /v26.0/1065", "GET /v26.0/1022/phone_numbers", "GET /v26.0/1022/phone_numbers"}, asked)
}

// A list that goes on for ever ends in an error.
func TestEndlessList(t *testing.T) {
	t.Parallel()
	calls := 0
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		after := "a"
		if r.URL.Query().Get("after") == "a" {
			after = "b"
		}
		_, _ = io.WriteString(w, `{"data":[],"paging":{"cursors":{"after":"`+after+`"},"next":"x"}}`)
	})
	_, err := client.ListNumbers(t.Context())
	require.Equal(t, Bug, ClassOf(err))
	require.Equal(t, maxPages, calls)
}
