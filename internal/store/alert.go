package store

import (
	"cmp"
	"context"
	"log/slog"
	"slices"

	"punchcard"
)

// alerting is what a transaction does to the alert of a kind and subject: raise it some times, or settle it.
type alerting struct {
	alert   punchcard.Alert // to raise, Count times; 0: it is settled
	settled string          // by whom
}

// RaiseAlert says that a person is to look at something: it opens an alert, or counts the one of its kind and subject that is
// open. detail is a code, and holds nothing of a customer. The alert is written, and its lock taken, when all else of the transaction is
// done; see alert. What is opened is logged when the transaction is committed: see LogAlerts. The error is nil, always: a caller ends by it.
func (tx *Tx) RaiseAlert(kind punchcard.AlertKind, subject string, severity punchcard.Severity, detail string) error {
	a := punchcard.Alert{
		ID: punchcard.NewID(punchcard.PrefixAlert), Kind: kind, Subject: subject, Severity: severity, Detail: detail, Count: 1,
		OpenedAt: tx.Now, RaisedAt: tx.Now,
	}
	for i := len(tx.alerts) - 1; i >= 0; i-- {
		if w := &tx.alerts[i].alert; w.Kind == kind && w.Subject == subject {
			if w.Count == 0 {
				break
			}
			w.Count, w.Severity, w.Detail = w.Count+1, severity, detail
			return nil
		}
	}
	tx.alerts = append(tx.alerts, alerting{alert: a})
	return nil
}

// SettleAlert closes the open alert of a kind and subject, if there is one: what it was about is over. As RaiseAlert, it comes last in
// its transaction.
func (tx *Tx) SettleAlert(kind punchcard.AlertKind, subject, by string) error {
	tx.alerts = append(tx.alerts, alerting{alert: punchcard.Alert{Kind: kind, Subject: subject}, settled: by})
	return nil
}

// alert writes the alerts of a transaction, as the last of its statements and in one order for all: transactions that raise several, or
// that lock anything else as well, would otherwise wait for each other. What is done to one alert is done in the order of asking.
func (tx *Tx) alert() error {
	slices.SortStableFunc(tx.alerts, func(x, y alerting) int {
		return cmp.Or(cmp.Compare(x.alert.Kind, y.alert.Kind), cmp.Compare(x.alert.Subject, y.alert.Subject))
	})
	for _, w := range tx.alerts {
		a := w.alert
		if a.Count == 0 {
			err := tx.db.Model(&punchcard.Alert{}).Where("kind = ? AND subject = ? AND closed_at IS NULL", a.Kind, a.Subject).
				Updates(map[string]any{"closed_at": tx.Now, "closed_by": w.settled}).Error
			if err != nil {
				return err
			}
			continue
		}
		var count int64
		err := tx.db.Raw(`INSERT INTO alerts (id, kind, subject, severity, detail, count, opened_at, raised_at, closed_by)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')
			ON CONFLICT (kind, subject) WHERE closed_at IS NULL
			DO UPDATE SET count = alerts.count + excluded.count, detail = excluded.detail, severity = excluded.severity, raised_at = excluded.raised_at
			RETURNING count`, a.ID, a.Kind, a.Subject, a.Severity, a.Detail, a.Count, a.OpenedAt, a.RaisedAt).Scan(&count).Error
		if err != nil {
			return err
		}
		if count == a.Count {
			tx.opened = append(tx.opened, a)
		}
	}
	return nil
}

// LogAlerts has alerts that are opened by this store logged, at warn. It is called once, before anything else uses the store.
func (s *Store) LogAlerts(log *slog.Logger) { s.log = log }

// tell logs the alerts that a committed transaction has opened.
func (s *Store) tell(ctx context.Context, opened []punchcard.Alert) {
	for _, a := range opened {
		s.log.WarnContext(ctx, "an alert: see docs/operations.md for what to do", "alert", a.ID, "kind", a.Kind, "subject", a.Subject,
			"severity", a.Severity, "detail", a.Detail)
	}
}

// Alerts lists alerts, newest first, before an id (empty: from the newest); open ones only, or all.
func (tx *Tx) Alerts(all bool, before string, limit int) ([]punchcard.Alert, error) {
	q := tx.db
	if !all {
		q = q.Where("closed_at IS NULL")
	}
	if before != "" {
		q = q.Where("id < ?", before)
	}
	return list[punchcard.Alert](q.Order("id DESC").Limit(limit))
}

// CloseAlert closes an alert that somebody has seen to, and answers it. The errors are CodeNotFound when there is none with that
// id, and CodeConflict when it is closed.
func (tx *Tx) CloseAlert(id, by string) (*punchcard.Alert, error) {
	a, err := one[punchcard.Alert](tx.db.Clauses(lock).Where("id = ?", id))
	if a, err = must(a, err, "alert"); err != nil {
		return nil, err
	}
	if a.ClosedAt != nil {
		return nil, punchcard.Errorf(punchcard.CodeConflict, "it is closed already").Because("closed")
	}
	a.ClosedAt, a.ClosedBy = &tx.Now, by
	return a, tx.db.Save(a).Error
}
