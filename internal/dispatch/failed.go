package dispatch

import (
	"punchcard"
	"punchcard/internal/fence"
	"punchcard/internal/store"
	"punchcard/internal/whatsapp"
)

// failed does what a failure that a status tells of means beyond its message, which is recorded as failed: what was accepted is not sent
// again, whatever the class. The customer is locked.
func failed(tx *store.Tx, m *punchcard.Message) error {
	switch m.ErrorCode {
	case fence.CodeUndeliverable:
		return tx.CountUndelivered(m.CustomerID)
	case fence.CodeMarketingCap:
		return fence.CapMarketing(tx, m.CustomerID)
	case fence.CodeMarketingOff:
		return fence.RefuseMarketing(tx, m.CustomerID)
	}
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
