package dispatch_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/dispatch"
)

// Customers are named in the same words on the command line and in the API.
func TestParseReference(t *testing.T) {
	t.Parallel()
	id := punchcard.NewID(punchcard.PrefixCustomer)
	for word, want := range map[string]dispatch.Reference{
		id: {ID: id}, "+4520123456": {Phone: "+4520123456"}, "phone:+4520123456": {Phone: "+4520123456"}, "phone:+45 20 12 34 56": {Phone: "+45 20 12 34 56"},
		"phone:20123456": {Phone: "20123456"}, // it is for Resolve to say that the country is missing
		"external:c-17":  {ExternalID: "c-17"}, "external:+45": {ExternalID: "+45"}, "external:" + id: {ExternalID: id}, "external:phone:1": {ExternalID: "phone:1"},
	} {
		got, err := dispatch.ParseReference(word)
		require.NoError(t, err, word)
		require.Equal(t, want, got, word)
	}
	for word, want := range map[string]punchcard.Code{
		"": punchcard.CodeNotFound, "c-17": punchcard.CodeNotFound, "4520123456": punchcard.CodeNotFound, "cus_1": punchcard.CodeNotFound,
		"External:c-17": punchcard.CodeNotFound, "external:": punchcard.CodeInvalid, "phone:": punchcard.CodeInvalid,
	} {
		_, err := dispatch.ParseReference(word)
		require.Equal(t, want, punchcard.CodeOf(err), word)
	}
}
