package store_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"punchcard"
	"punchcard/internal/store"
)

// What is raised again while it is open counts; what is raised after it was closed is a new one.
func TestAlerts(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		var log bytes.Buffer
		h.LogAlerts(slog.New(slog.NewTextHandler(&log, nil)))
		raise := func(subject, detail string) {
			h.do(func(tx *store.Tx) error {
				return tx.RaiseAlert(punchcard.AlertTemplate, subject, punchcard.SeverityWarning, detail)
			})
		}
		raise("cart", "whatsapp_132001")
		h.clock.Advance(time.Minute)
		raise("cart", "whatsapp_132015")
		raise("gift", "whatsapp_132001")
		lost := errors.New("rolled back")
		require.ErrorIs(h.t, h.try(func(tx *store.Tx) error {
			require.NoError(h.t, tx.RaiseAlert(punchcard.AlertCircuit, "", punchcard.SeverityCritical, "x"))
			return lost
		}), lost)
		require.Equal(h.t, 2, strings.Count(log.String(), "level=WARN"), "each once, and none that was not committed: %s", log.String())

		open, err := h.view().Alerts(false, "", 10)
		require.NoError(h.t, err)
		require.Len(h.t, open, 2)
		require.Equal(h.t, "gift", open[0].Subject, "newest first")
		cart := open[1]
		require.Equal(h.t, int64(2), cart.Count)
		require.Equal(h.t, "whatsapp_132015", cart.Detail)
		require.Equal(h.t, monday, cart.OpenedAt)
		require.Equal(h.t, monday.Add(time.Minute), cart.RaisedAt)

		h.do(func(tx *store.Tx) error {
			a, err := tx.CloseAlert(cart.ID, "Mia")
			require.Equal(h.t, "Mia", a.ClosedBy)
			return err
		})
		_, err = closeAlert(h, cart.ID)
		require.Equal(h.t, punchcard.CodeConflict, punchcard.CodeOf(err))
		_, err = closeAlert(h, "alr_none")
		require.Equal(h.t, punchcard.CodeNotFound, punchcard.CodeOf(err))
		h.do(func(tx *store.Tx) error { return tx.SettleAlert(punchcard.AlertTemplate, "gift", "whatsapp") })
		open, err = h.view().Alerts(false, "", 10)
		require.NoError(h.t, err)
		require.Empty(h.t, open)
		raise("cart", "whatsapp_132001")
		all, err := h.view().Alerts(true, "", 2)
		require.NoError(h.t, err)
		require.Len(h.t, all, 2)
		require.Equal(h.t, int64(1), all[0].Count, "it is a new one")
		all, err = h.view().Alerts(true, all[1].ID, 10)
		require.NoError(h.t, err)
		require.Len(h.t, all, 1)
	})
}

func closeAlert(h *house, id string) (a *punchcard.Alert, err error) {
	err = h.try(func(tx *store.Tx) error {
		a, err = tx.CloseAlert(id, "Mia")
		return err
	})
	return a, err
}

// However many raise one at once, one is open and all are counted.
func TestAlertsTogether(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		noErrors(h.t, together(20, func(int) error {
			return h.try(func(tx *store.Tx) error {
				return tx.RaiseAlert(punchcard.AlertCircuit, "all", punchcard.SeverityCritical, "whatsapp_190")
			})
		}))
		open, err := h.view().Alerts(false, "", 10)
		require.NoError(h.t, err)
		require.Len(h.t, open, 1)
		require.Equal(h.t, int64(20), open[0].Count)
	})
}

// Transactions that raise and settle alerts and lock the account, each in another order, wait for each other without an end: none is
// broken off.
func TestAlertsComeLast(t *testing.T) {
	t.Parallel()
	each(t, func(h *house) {
		raise := func(tx *store.Tx, subject string) error {
			return tx.RaiseAlert(punchcard.AlertTemplate, subject, punchcard.SeverityWarning, "whatsapp_132001")
		}
		h.do(func(tx *store.Tx) error {
			require.NoError(h.t, raise(tx, "a"))
			return raise(tx, "b")
		})
		open := func(tx *store.Tx) error { return tx.OpenCircuit(punchcard.CircuitAll, "whatsapp_190", nil) }
		ways := [][2]func(tx *store.Tx) error{
			{func(tx *store.Tx) error { return raise(tx, "a") }, open},
			{open, func(tx *store.Tx) error { return raise(tx, "a") }},
			{func(tx *store.Tx) error { return raise(tx, "a") }, func(tx *store.Tx) error { return raise(tx, "b") }},
			{func(tx *store.Tx) error { return raise(tx, "b") }, func(tx *store.Tx) error { return raise(tx, "a") }},
		}
		for _, pair := range [][]int{{0, 1}, {2, 3}} {
			met := h.meet(len(pair))
			tries := make([]int, len(pair))
			noErrors(h.t, together(len(pair), func(i int) error {
				met := sync.OnceValue(met)
				return h.try(func(tx *store.Tx) error {
					tries[i]++
					if err := ways[pair[i]][0](tx); err != nil {
						return err
					}
					if err := met(); err != nil {
						return err
					}
					return ways[pair[i]][1](tx)
				})
			}))
			require.Equal(h.t, []int{1, 1}, tries)
		}
		alerts, err := h.view().Alerts(false, "", 10)
		require.NoError(h.t, err)
		counts := map[string]int64{}
		for _, a := range alerts {
			counts[a.Subject] = a.Count
		}
		require.Equal(h.t, map[string]int64{"a": 5, "b": 3, "all": 2}, counts)

		// What is done to one alert in one transaction is done in the order of asking.
		h.do(func(tx *store.Tx) error {
			require.NoError(h.t, raise(tx, "a"))
			require.NoError(h.t, tx.SettleAlert(punchcard.AlertTemplate, "a", "Mia"))
			require.NoError(h.t, raise(tx, "a"))
			require.NoError(h.t, raise(tx, "a"))
			require.NoError(h.t, raise(tx, "b"))
			return tx.SettleAlert(punchcard.AlertTemplate, "b", "Mia")
		})
		alerts, err = h.view().Alerts(false, "", 10)
		require.NoError(h.t, err)
		counts = map[string]int64{}
		for _, a := range alerts {
			counts[a.Subject] = a.Count
		}
		require.Equal(h.t, map[string]int64{"a": 2, "all": 2}, counts)
	})
}
