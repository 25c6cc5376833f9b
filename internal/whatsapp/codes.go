package whatsapp

import "time"

// handling is what this package knows about one of Meta's codes.
type handling struct {
	class Class
	what  string        // a fixed description: it ends in histories
	after time.Duration // the least wait when the answer names none
}

// codes is Meta's list of error codes as of September 2026. The split between Retry and Ambiguous is ours: only a code
// that says "too many" or "in maintenance" is known to be raised before a message is processed.
// Codes 200 to 299 are one entry of Meta's list, and handled in lookUp.
// Source: https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
var codes = map[int]handling{
	0:       {Sender, "we were unable to authenticate the app user (token expired/invalidated)", 0},
	1:       {Ambiguous, "invalid request or possible server error", 0},
	2:       {Ambiguous, "temporary due to downtime or due to being overloaded", 0},
	3:       {Sender, "capability or permissions issue", 0},
	4:       {Retry, "the app has reached its API call rate limit", 0},
	10:      {Sender, "permission is either not granted or has been removed", 0},
	33:      {Sender, "the business phone number has been deleted", 0},
	100:     {Bug, "unsupported or misspelled parameters", 0},
	104:     {Sender, "an access token is required", 0},
	190:     {Sender, "your access token has expired", 0},
	368:     {Sender, "WABA restricted or disabled for violating a platform policy", 0},
	80007:   {Retry, "the WhatsApp Business Account has reached its rate limit", 0},
	130403:  {Recipient, "this business has blocked the end user on WhatsApp", 0},
	130429:  {Retry, "Cloud API message throughput has been reached", 0},
	130472:  {Recipient, "message not sent as part of an experiment", 0},
	130497:  {Recipient, "WABA restricted from messaging users in certain countries", 0},
	130501:  {Bug, "message type is currently not supported (groups)", 0},
	131000:  {Ambiguous, "something went wrong at Meta", 0},
	131005:  {Sender, "permission not granted or removed", 0},
	131008:  {Bug, "missing a required parameter", 0},
	131009:  {Bug, "one or more parameter values are invalid", 0},
	131016:  {Ambiguous, "a service is temporarily unavailable", 0},
	131021:  {Recipient, "sender and recipient phone number is the same", 0},
	131026:  {Recipient, "unable to deliver (not a WhatsApp number, ToS not accepted, old client)", 0},
	131030:  {Bug, "recipient phone number not in allowed list", 0},
	131031:  {Sender, "WABA restricted/disabled, or request data (e.g. PIN) could not be verified", 0},
	131037:  {Sender, "555 number without an approved display name", 0},
	131042:  {Sender, "payment-method error", 0},
	131045:  {Sender, "phone number registration error", 0},
	131047:  {Recipient, "more than 24 hours since the recipient last replied", 0},
	131048:  {Sender, "restrictions on how many messages can be sent from this number (spam/quality)", 0},
	131049:  {Defer, "not delivered to maintain healthy ecosystem engagement (per-user marketing limit; also US numbers)", 24 * time.Hour},
	131050:  {OptOut, "recipient has chosen to stop marketing messages from your business", 0},
	131051:  {Bug, "unsupported message type", 0},
	131052:  {Unrelated, "unable to download the media sent by the user", 0},
	131053:  {Recipient, "unable to upload the media used in the message", 0},
	131055:  {Bug, "only marketing template messages are supported", 0},
	131056:  {Retry, "pair rate: too many messages sender->same recipient", 4 * time.Second},
	131057:  {Retry, "business account in maintenance mode (e.g. throughput upgrade, up to ~1 min)", time.Minute},
	131059:  {Retry, "invalid pagination cursor on GET message_templates (v24+)", 0},
	131060:  {Unrelated, "inbound message unavailable", 0},
	131062:  {Recipient, "BSUID recipients are not supported for this message", 0},
	131063:  {Bug, "marketing templates disabled for your Cloud API configuration", 0},
	131064:  {Sender, "messaging limit reached due to template classification violations", 0},
	132000:  {Template, "number of template parameters does not match", 0},
	132001:  {Template, "template does not exist in the language or not approved", 0},
	132005:  {Recipient, "translated (hydrated) text is too long", 0},
	132007:  {Template, "template content violates a WhatsApp policy", 0},
	132012:  {Template, "variable parameter values formatted incorrectly", 0},
	132015:  {Template, "template paused due to low quality", 0},
	132016:  {Template, "template permanently disabled", 0},
	132018:  {Template, "template validation error: issue with parameters", 0},
	132068:  {Template, "flow is in blocked state", 0},
	132069:  {Defer, "flow throttled, 10 messages already sent in the last hour", time.Hour},
	133000:  {Bug, "a previous deregistration attempt failed", 0},
	133004:  {Ambiguous, "server is temporarily unavailable", 0},
	133005:  {Bug, "two-step PIN incorrect", 0},
	133006:  {Bug, "phone number needs to be verified before registering", 0},
	133008:  {Defer, "too many two-step PIN guesses", 0},
	133009:  {Defer, "two-step PIN entered too quickly", 0},
	133010:  {Sender, "phone number not registered", 0},
	133015:  {Defer, "number recently deleted, deletion not completed", 5 * time.Minute},
	133016:  {Defer, "too many register/deregister attempts (10 per 72 h)", 72 * time.Hour},
	134011:  {Sender, "WhatsApp Payments ToS acceptance pending", 0},
	134100:  {Bug, "only marketing messages supported", 0},
	134101:  {Defer, "template still syncing (<= 10 min)", 10 * time.Minute},
	134102:  {Sender, "template unavailable / not onboarded (HTTP 500)", 0},
	135000:  {Bug, "unknown error with your request parameters", 0},
	137000:  {Recipient, "recipient_identity_key_hash mismatch (identity change check)", 0},
	139100:  {Unrelated, "block users: partial failure", 0},
	139101:  {Unrelated, "block list full (64,000)", 0},
	139102:  {Retry, "block list concurrent update", 0},
	139103:  {Retry, "block users internal error", 0},
	147001:  {Unrelated, "username not available", 0},
	147002:  {Unrelated, "account not eligible for a username", 0},
	147003:  {Unrelated, "FB account not linked", 0},
	147004:  {Unrelated, "IG account not linked", 0},
	147005:  {Unrelated, "username transfer required", 0},
	200005:  {Unrelated, "template insights unavailable", 0},
	200006:  {Unrelated, "cannot disable template insights", 0},
	200007:  {Unrelated, "template insights not enabled", 0},
	1752041: {Unrelated, "duplicate request", 0},
	2388012: {Unrelated, "migration: number already exists", 0},
	2388019: {Template, "template limit exceeded for the WABA", 0},
	2388039: {Template, "message template status can't be changed", 0},
	2388040: {Template, "character limit exceeded", 0},
	2388047: {Template, "header format incorrect", 0},
	2388072: {Template, "body format incorrect", 0},
	2388073: {Template, "footer format incorrect", 0},
	2388091: {Unrelated, "migration: not eligible for code", 0},
	2388093: {Unrelated, "migration: not eligible for code", 0},
	2388103: {Unrelated, "migration: various", 0},
	2388293: {Template, "too many variables for the length", 0},
	2388299: {Template, "variables cannot be at start or end", 0},
	2494100: {Retry, "account is in maintenance mode (number)", 0},
	2593107: {Unrelated, "coexistence sync limit exceeded", 0},
	2593108: {Unrelated, "coexistence sync outside 24 h", 0},

	// Not on Meta's list, but in the examples of its OpenAPI document.
	17:  {Retry, "the user has reached the API call rate limit", 0},
	803: {Sender, "the object does not exist or is not ours to see", 0},
}

// Classify is the class of a code, and whether Meta's list has it. A code it does not have is a Bug.
//
// The class is about the answer to a call. In a status webhook "failed" has already settled that the message did not
// arrive, so there Ambiguous and Retry both mean: not delivered, for a temporary reason.
func Classify(code int) (Class, bool) {
	h, ok := lookUp(code)
	return h.class, ok
}

func lookUp(code int) (handling, bool) {
	if h, ok := codes[code]; ok {
		return h, true
	}
	switch {
	case code >= 200 && code <= 299:
		return handling{class: Sender, what: "permission not granted or removed"}, true
	case code/1000 == 2388:
		return handling{class: Template, what: "the template was refused"}, true
	}
	return handling{class: Bug, what: "a code this version does not know"}, false
}

func describe(code int) string {
	h, _ := lookUp(code)
	return h.what
}
