package store

import (
	"context"
	"log/slog"

	"punchcard"
)

// RaiseAlert says that a person is to look at something: it opens an alert, or counts the one of its kind and subject that is
// open. detail is a code, and holds nothing of a customer. It takes the alert's lock, so it comes last in a transaction. What is
// opened is logged when the transaction is committed: see LogAlerts.
func (tx *Tx) RaiseAlert(kind punchcard.AlertKind, subject string, severity punchcard.Severity, detail string) error {
	a := punchcard.Alert{
		ID: punchcard.NewID(punchcard.PrefixAlert), Kind: kind, Subject: subject, Severity: severity, Detail: detail, Count: 1,
		OpenedAt: tx.Now, RaisedAt: tx.Now,
	}
	var count int64
	err := tx.db.Raw(`INSERT INTO alerts (id, kind, subject, severity, detail, count, opened_at, raised_at, closed_by)
		VALUES (?, ?, ?, ?, ?, 1, ?, ?, '')
		ON CONFLICT (kind, subject) WHERE closed_at IS NULL
		DO UPDATE SET count = alerts.count + 1, detail = excluded.detail, severity = excluded.severity, raised_at = excluded.raised_at
		RETURNING count`, a.ID, a.Kind, a.Subject, a.Severity, a.Detail, a.OpenedAt, a.RaisedAt).Scan(&count).Error
	if err == nil && count == 1 {
		tx.opened = append(tx.opened, a)
	}
	return err
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

// SettleAlert closes the open alert of a kind and subject, if there is one: what it was about is over.
func (tx *Tx) SettleAlert(kind punchcard.AlertKind, subject, by string) error {
	return tx.db.Model(&punchcard.Alert{}).Where("kind = ? AND subject = ? AND closed_at IS NULL", kind, subject).
		Updates(map[string]any{"closed_at": tx.Now, "closed_by": by}).Error
}
