package whatsapp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseAccount(t *testing.T) {
	t.Parallel()
	told := time.Unix(1790000000, 0).UTC()
	day := told.Add(24 * time.Hour)
	want := []any{
		TemplateUpdate{Kind: TemplateStatus, ID: "1689556908129832", Name: "cart", Language: "en", Event: "APPROVED", At: told},
		TemplateUpdate{
			Kind: TemplateStatus, ID: "1689556908129832", Name: "cart", Language: "en", Event: "REJECTED", Reason: "INVALID_FORMAT",
			Text: "Two variables touch. Put a word between them.", At: told,
		},
		TemplateUpdate{
			Kind: TemplateStatus, ID: "7", Name: "cart", Language: "en", Event: "DISABLED", Due: told.Add(time.Hour),
			Text: "FIRST_PAUSE It was read as unwanted.", At: told,
		},
		TemplateUpdate{Kind: TemplateStatus, ID: "7", Event: "MELTED", At: told},
		Other{Field: "message_template_status_update"},
		TemplateUpdate{Kind: TemplateQuality, ID: "8", Name: "stamp", Language: "da", Event: "YELLOW", Previous: "GREEN", At: told}, // though its field says status
		TemplateUpdate{Kind: TemplateCategory, ID: "9", Name: "hello", Language: "en-US", Event: "UTILITY", Correct: "MARKETING", Due: day, At: told},
		TemplateUpdate{Kind: TemplateCategory, ID: "9", Name: "hello", Language: "en-US", Event: "MARKETING", Previous: "UTILITY", At: told},
		TemplateUpdate{Kind: TemplateCategory, ID: "10", Name: "hi", Language: "en_US", Event: "UTILITY", Correct: "MARKETING", At: told},
		AccountUpdate{Field: "account_update", Event: "ACCOUNT_RESTRICTION", At: told, Restrictions: []Restriction{
			{Type: "RESTRICTED_BIZ_INITIATED_MESSAGING", Until: day}, {Type: "RESTRICTED_ADD_PHONE_NUMBER_ACTION"},
		}},
		AccountUpdate{Field: "account_update", Event: "DISABLED_UPDATE", BanState: "SCHEDULE_FOR_DISABLE", Text: "April 9, 2027", At: told},
		AccountUpdate{Field: "account_update", Event: "ACCOUNT_VIOLATION", Text: "ADULT", At: told},
		AccountUpdate{
			Field: "account_alerts", Event: "INCREASED_CAPABILITIES_ELIGIBILITY_DEFERRED", Severity: "WARNING", Text: "Limits cannot be increased.", At: told,
		},
		AccountUpdate{Field: "account_alerts", Event: "OBA_REJECTED", Severity: "CRITICAL", Text: "No.", At: told},
		AccountUpdate{Field: "account_review_update", Event: "REJECTED", At: told},
		AccountUpdate{Field: "business_capability_update", Limit: "TIER_10K", At: told},
		AccountUpdate{Field: "business_capability_update", Limit: "-1", At: told},
		AccountUpdate{Field: "phone_number_quality_update", Event: "THROUGHPUT_UPGRADE", Phone: "+4533112233", Limit: "TIER_100K", At: told},
		AccountUpdate{Field: "phone_number_name_update", Event: "REJECTED", Phone: "+4533112233", Text: "NAME_EMPLOYEE", At: told},
		AccountUpdate{Field: "security", Event: "PIN_CHANGED", Phone: "+4533112233", At: told},
		Other{Field: "account_update"},
		Other{Field: "account_update"},
		Other{Field: "message_template_components_update"},
		AccountUpdate{Field: "account_update", Event: "PARTNER_APP_INSTALLED", Restrictions: []Restriction{{Type: "A\uFFFDB"}}},
		AccountUpdate{Field: AccountErrors, Problems: []Problem{{130429, "Rate limit hit", "too many"}, {131005, "", ""}}},
		Other{Field: "messages.errors"},
	}
	updates := parse(t, "account")
	require.Len(t, updates, len(want))
	for i, u := range updates {
		var got any
		switch {
		case u.Template != nil:
			u.Template.Raw = nil
			got = *u.Template
		case u.Account != nil:
			u.Account.Raw = nil
			got = *u.Account
		case u.Other != nil:
			u.Other.Raw = nil
			got = *u.Other
		}
		require.Equal(t, want[i], got, "%d", i)
	}
	require.Equal(t, "301", updates[12].PhoneNumberID, "an alert about a number")
	require.Empty(t, updates[13].PhoneNumberID)
	require.Equal(t, "202", updates[23].AccountID)
	require.Equal(t, "301", updates[24].PhoneNumberID)
}
