package punchcard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard"
)

// WhatsApp has some numbers in another form than they are dialed.
func TestOneNumber(t *testing.T) {
	t.Parallel()
	for _, same := range [][2]string{
		{"+5511987654321", "+551187654321"}, {"+5491112345678", "+541112345678"}, {"+5215512345678", "+525512345678"}, {"+4520123456", "+4520123456"},
	} {
		require.True(t, punchcard.OneNumber(same[0], same[1]), same)
		require.True(t, punchcard.OneNumber(same[1], same[0]), same)
	}
	for _, other := range [][2]string{
		{"+5511987654321", "+5511987654322"}, {"+4520123456", "+4620123456"}, {"", "+4520123456"}, {"", ""}, {"+4520123456", "x123456"},
		{"+4520123456", "+4530123456"}, {"+12125550123", "+13125550123"},
	} {
		require.False(t, punchcard.OneNumber(other[0], other[1]), other)
	}
}
