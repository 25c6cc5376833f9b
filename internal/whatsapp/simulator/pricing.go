package simulator

import (
	"strings"
	"time"
)

// What Meta charges changed on these days. Source: Meta's pages on pricing and on its updates.
var (
	// Until then service messages, and utility templates in the service window, were free.
	serviceCharged = time.Date(2026, time.October, 1, 0, 0, 0, 0, time.UTC)
)

// price is what a message costs, as its statuses say.
type price struct {
	Category string `json:"category"` // service, utility, marketing, marketing_lite, authentication
	Type     string `json:"type"`     // regular, free_customer_service, free_entry_point
	Billable bool   `json:"billable"`
	Micros   int64  `json:"micros,omitempty"` // in millionths of Limits.Prices.Currency
}

// priceOf is what a message to a person costs if it goes at now. lite is whether the Marketing Messages API sends it. The
// caller holds mu.
func (s *Simulator) priceOf(who *person, category string, lite bool, now time.Time) *price {
	p := &price{Category: category, Type: "regular", Billable: true}
	switch {
	case who.inEntry(now):
		p.Type, p.Billable = "free_entry_point", false
	case now.Before(serviceCharged) && (category == "service" || category == "utility" && who.inWindow(now)):
		p.Type, p.Billable = "free_customer_service", false
	}
	if lite && category == "marketing" {
		p.Category = "marketing_lite"
	}
	if p.Billable {
		p.Micros = s.limits.Prices.rate(who.Phone, p.Category)
	}
	return p
}

// rate is the price of a category for a phone: that of the longest calling code which the phone begins with.
func (p Prices) rate(phone, category string) int64 {
	best, rate := 0, p.Rates["*"][category]
	for code, rates := range p.Rates {
		if strings.HasPrefix(phone, code) && len(code) > best {
			best, rate = len(code), rates[category]
		}
	}
	return rate
}

// object is how a status says it.
func (p *price) object() object {
	return object{"billable": p.Billable, "pricing_model": "PMP", "type": p.Type, "category": p.Category}
}

// spending is what was delivered, by category, and what it costs.
type spending struct {
	Currency string         `json:"currency"`
	Micros   int64          `json:"micros"` // millionths
	Messages map[string]int `json:"messages"`
	Billable map[string]int `json:"billable"`
}

// spent adds up what was delivered. The caller holds mu.
func (s *Simulator) spent() spending {
	sum := spending{Currency: s.limits.Prices.Currency, Messages: map[string]int{}, Billable: map[string]int{}}
	for _, m := range s.messages {
		if m.Price == nil || m.Direction != out || m.Status != delivered && m.Status != read {
			continue
		}
		sum.Messages[m.Price.Category]++
		if m.Price.Billable {
			sum.Billable[m.Price.Category]++
			sum.Micros += m.Price.Micros
		}
	}
	return sum
}
