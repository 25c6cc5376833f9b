package whatsapp

import (
	"context"
	"errors"
)

// ProductPolicy says what Meta does with a marketing message that it cannot deliver by its Marketing Messages API.
type ProductPolicy string

// The policies.
const (
	AllowFallback ProductPolicy = "CLOUD_API_FALLBACK" // deliver it as any other template; Meta's default
	Strict        ProductPolicy = "STRICT"             // then do not deliver it
)

// Marketing is how SendMarketing sends.
type Marketing struct {
	Policy        ProductPolicy // empty is AllowFallback
	ShareActivity *bool         // whether Meta may use what customers do with the message to improve delivery; nil is the account's setting
}

// SendMarketing sends a marketing template by the Marketing Messages API: better timed delivery, and prices of their own.
// Nothing but a template can be sent by it.
//
// When that API refuses for reasons of its own, and the policy is not Strict, the message goes by Send's way instead, and
// Accepted.Marketing is false. The error is an *Error: of the second call where there were two.
func (c *Client) SendMarketing(ctx context.Context, m Message, how Marketing) (Accepted, error) {
	if m.Template == nil {
		return Accepted{}, refuse("only a template can be sent as a marketing message")
	}
	body, err := m.body()
	if err != nil {
		return Accepted{}, err
	}
	if how.Policy == "" {
		how.Policy = AllowFallback
	}
	body["product_policy"] = how.Policy
	if how.ShareActivity != nil {
		body["message_activity_sharing"] = *how.ShareActivity
	}
	accepted, err := c.send(ctx, "marketing_messages", body)
	if err == nil {
		accepted.Marketing = true
		return accepted, nil
	}
	if how.Policy == Strict || !refusedByMarketing(err) {
		return Accepted{}, err
	}
	return c.Send(ctx, m)
}

// MarketingSender sends every message by SendMarketing, in the way that Meta does by default.
type MarketingSender struct{ Client *Client }

// Send is SendMarketing.
func (s MarketingSender) Send(ctx context.Context, m Message) (Accepted, error) {
	return s.Client.SendMarketing(ctx, m, Marketing{})
}

// refusedByMarketing tells whether an error is the Marketing Messages API's own refusal: one that Meta makes before it
// processes the message, and that says nothing of the recipient, so that sending by /messages cannot send twice and cannot
// get round what protects the recipient.
//
//   - 3: the app does not have this capability.
//   - 200 to 299: a permission, most often "you must accept the Marketing Messages terms". If it is /messages that is not
//     permitted either, its own answer says so.
//   - 131055, 134100: the template is not a marketing one (Meta may have changed its category since).
//   - 134102: the template is not available to this API, or the account is not onboarded. Meta gives it an HTTP 500, but
//     the code is unmistakable.
//
// Not here: 134101, the template is still being synchronised, for Defer already says to wait ten minutes; 131009, which that
// may also be called, for it may as well be our own mistake; 131063, which is /messages telling to come here; rates, stops,
// caps and every Ambiguous one.
func refusedByMarketing(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Class == Ambiguous {
		return false
	}
	switch e.Code {
	case 134102:
		return true
	case 3, 131055, 134100:
		return e.HTTPStatus < 500
	}
	return e.Code >= 200 && e.Code <= 299 && e.HTTPStatus < 500
}
