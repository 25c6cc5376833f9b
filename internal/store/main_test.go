package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"punchcard/internal/store"
	"punchcard/internal/storetest"
)

func TestSmoke(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func() *store.Store) {
		s := open()
		require.NoError(t, s.CheckSchema(t.Context()))
	})
}
