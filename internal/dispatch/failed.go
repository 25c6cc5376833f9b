package dispatch

import (
	"context"
	"slices"

	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
	"punchcard/rules"
)

// refusesMarketing tells whether a status says that a customer wants no marketing.
func refusesMarketing(s *whatsapp.Status) bool {
	return len(s.Errors) > 0 && s.Errors[0].Code == fence.CodeMarketingOff
}

// policyFor is the program by which failures are judged, where some of the statuses need one; else nil.
func (d *Dispatcher) policyFor(ctx context.Context, statuses []*whatsapp.Status) (*rules.Program, error) {
	if !slices.ContainsFunc(statuses, refusesMarketing) {
		return nil, nil
	}
	policy, err := d.fence.Catalog.Current(ctx)
	return policy.Program, err
}

// failed does what failures that statuses tell of mean beyond their messages, which are recorded as failed: what was accepted is not sent
// again, whatever the class. The customers are locked. What concerns a customer comes before what locks the account.
func failed(tx *store.Tx, p *rules.Program, lost []*punchcard.Message) error {
	for _, m := range lost {
		tx.TellFailed(m)
		if err := failedCustomer(tx, p, m); err != nil {
			return err
		}
	}
	for _, m := range lost {
		if err := failedAccount(tx, m); err != nil {
			return err
		}
	}
	return nil
}

func failedCustomer(tx *store.Tx, p *rules.Program, m *punchcard.Message) error {
	switch m.ErrorCode {
	case fence.CodeUndeliverable:
		return tx.CountUndelivered(m.CustomerID)
	case fence.CodeMarketingCap:
		return fence.CapMarketing(tx, m.CustomerID)
	case fence.CodeMarketingOff:
		c, err := tx.LockCustomer(m.CustomerID)
		if err != nil {
			return err
		}
		return fence.RefuseMarketing(tx, p, c, m, said(*m.FailedAt, tx.Now))
	default:
		return nil
	}
}

func failedAccount(tx *store.Tx, m *punchcard.Message) error {
	switch class, _ := whatsapp.Classify(m.ErrorCode); class {
	case whatsapp.Sender:
		return tx.OpenCircuit(punchcard.CircuitAll, m.Reason, nil)
	case whatsapp.Template:
		return tx.RaiseAlert(punchcard.AlertTemplate, m.Template, punchcard.SeverityWarning, m.Reason)
	case whatsapp.Bug:
		return tx.RaiseAlert(punchcard.AlertRequest, m.Reason, punchcard.SeverityWarning, m.Reason)
	default:
		return nil
	}
}
