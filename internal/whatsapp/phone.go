package whatsapp

import (
	"context"
	"net/http"
	"net/url"
)

// PhoneNumber is the state of one of the business's numbers. Lists of values are Meta's and open; what Meta does not tell
// is empty.
type PhoneNumber struct {
	ID         string `json:"id"`
	Display    string `json:"display_phone_number"` // for people to read
	Name       string `json:"verified_name"`        // what customers see
	NameStatus string `json:"name_status"`          // APPROVED, PENDING_REVIEW, DECLINED …
	Status     string `json:"status"`               // CONNECTED, FLAGGED, RESTRICTED, BANNED …
	Quality    string `json:"quality_rating"`       // GREEN, YELLOW, RED, UNKNOWN
	Verified   string `json:"code_verification_status"`
	Mode       string `json:"account_mode"` // LIVE or SANDBOX
	Throughput struct {
		Level string `json:"level"` // STANDARD is 80 messages a second, HIGH is 1,000
	} `json:"throughput"`
}

const numberFields = "id,display_phone_number,verified_name,name_status,status,quality_rating,code_verification_status,account_mode,throughput"

// GetNumber is the state of the number that this Client sends from. The error is an *Error.
func (c *Client) GetNumber(ctx context.Context) (PhoneNumber, error) {
	var number PhoneNumber
	err := c.call(ctx, http.MethodGet, c.cfg.PhoneNumberID, url.Values{"fields": {numberFields}}, nil, &number)
	return number, err
}

// ListNumbers is the state of every number of the account. The error is an *Error.
func (c *Client) ListNumbers(ctx context.Context) ([]PhoneNumber, error) {
	return pages[PhoneNumber](ctx, c, c.cfg.AccountID+"/phone_numbers", url.Values{"limit": {"100"}, "fields": {numberFields}})
}

// MessagingLimit is how many customers the portfolio may write to first within 24 hours: TIER_250, TIER_2K, TIER_10K,
// TIER_100K, TIER_UNLIMITED, an open list. It is asked for by itself, since Meta has renamed it before, and refuses all of a
// question that names a field it does not know. The error is an *Error.
func (c *Client) MessagingLimit(ctx context.Context) (string, error) {
	const field = "whatsapp_business_manager_messaging_limit"
	var answer struct {
		Limit loose `json:"whatsapp_business_manager_messaging_limit"`
	}
	err := c.call(ctx, http.MethodGet, c.cfg.PhoneNumberID, url.Values{"fields": {field}}, nil, &answer)
	return string(answer.Limit), err
}
