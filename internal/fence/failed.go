package fence

import (
	"strconv"
	"time"

	"punchcard"
	"punchcard/internal/store"
	"punchcard/rules"
)

// WhatsAppCode is the reason of a message that WhatsApp refused, by the number that it gave as the cause.
func WhatsAppCode(code int) string { return "whatsapp_" + strconv.Itoa(code) }

// What WhatsApp's codes say beyond the one message. Source: Meta's list of error codes, as in package whatsapp.
const (
	CodeUndeliverable = 131026 // it cannot deliver to this customer, for whatever reason
	CodeMarketingCap  = 131049 // it delivers this customer no more marketing for now
	CodeMarketingOff  = 131050 // the customer has stopped marketing from this business
)

// MarketingCapPause is how long, in real time, marketing to a customer waits at least after CodeMarketingCap: tried sooner, WhatsApp
// locks them for another day. Source: Meta's page on per-user marketing limits.
const MarketingCapPause = 24 * time.Hour

// CapMarketing remembers that WhatsApp delivers a customer no more marketing for now. The customer is locked.
func CapMarketing(tx *store.Tx, customer string) error {
	return tx.NoMarketingBefore(customer, tx.Business(MarketingCapPause))
}

// SourceMarketingOff is the source of an entry in the consent log that CodeMarketingOff brought about.
const SourceMarketingOff = "whatsapp.131050"

// RefuseMarketing takes over that a customer has told WhatsApp that they want no marketing from this business, which it said of a message
// of ours at a moment: that is revoked, in this transaction, and for a day they get none whatever they agree to meanwhile. Their runs
// are told by an event that it raises, since one of them may be the one that sends. The customer is locked.
func RefuseMarketing(tx *store.Tx, p *rules.Program, c *punchcard.Customer, m *punchcard.Message, at time.Time) error {
	if err := CapMarketing(tx, c.ID); err != nil {
		return err
	}
	s := StopMarketing(p, SourceMarketingOff, at)
	s.Reference = m.ID
	if _, _, err := revoke(tx, p, c, s); err != nil {
		return err
	}
	return Raise(tx, c.ID, punchcard.EventMessageRefused, map[string]any{}, -1)
}
