package fence

import (
	"strconv"
	"time"

	"punchcard"
	"punchcard/internal/store"
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

// RefuseMarketing raises that a customer has told WhatsApp that they want no marketing from this business: routed, it is a stop.
// Until then, and for a day, they get none: it counts from this transaction on. The customer is locked.
func RefuseMarketing(tx *store.Tx, customer string) error {
	if err := CapMarketing(tx, customer); err != nil {
		return err
	}
	return Raise(tx, customer, punchcard.EventMessageRefused, map[string]any{}, -1)
}
