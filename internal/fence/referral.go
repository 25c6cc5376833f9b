package fence

import (
	"net/url"
	"strings"

	"punchcard/internal/store"
	"punchcard/rules"
)

// SettingNumber is where the business's number is kept, which links are made of.
const SettingNumber = "whatsapp.number"

// WhatsAppLink is the address that opens WhatsApp with a text to the business written already; "" where its number is not known.
func WhatsAppLink(number, text string) string {
	if number == "" {
		return ""
	}
	return "https://wa.me/" + strings.TrimPrefix(number, "+") + "?text=" + strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

// Referral is a customer's own code, and the address by which a friend comes with it. The customer is locked.
func Referral(tx *store.Tx, p *rules.Program, customer string) (code, link string, err error) {
	if code, err = tx.ReferralCode(customer); err != nil {
		return "", "", err
	}
	number, err := tx.Setting(SettingNumber)
	return code, WhatsAppLink(number, p.Referral.Text(code)), err
}
