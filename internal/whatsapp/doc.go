// Package whatsapp speaks Meta's WhatsApp Cloud API: it sends messages, moves media, keeps templates, the profile and the
// block list, and reads webhooks. Its subfolder simulator stands in for Meta on a machine without an account.
//
// # What a 200 means
//
// A 200 to Send means accepted: Meta has given the message an id and will try. It does not mean sent, delivered or
// allowed. What became of it comes later by webhook, as statuses that may be repeated, out of order, or here before the
// 200 is.
//
//	Send ──▶ 200 accepted ──▶ sent ──▶ delivered ──▶ read
//	  │                └──────────┴──▶ failed, with a code
//	  └────▶ *Error, with a Class that says what may be done
//
// # What ambiguous means
//
// The API has no idempotency key. When a call ends without a clear answer (a timeout, a connection that broke, a 5xx, a
// 200 that cannot be read) the message may have gone out or not, and sending again may send twice. Such an error is of
// class Ambiguous. Whoever gets one records the message as unknown and waits for a status webhook to settle it: Message
// carries our own id in CallbackData, and every status echoes it. Only class Retry says that Meta did not take the
// message: it refused before processing, or was never reached.
//
// SendMarketing may make two calls. The second is made only when the first was refused before it was processed, for a reason
// that lies with the Marketing Messages API and not with the recipient; refusedByMarketing lists the codes and why.
//
// # Whose rate
//
// A refusal of class Retry says by its Scope which bucket has to slow down: that of one recipient, of the number, or of
// the account.
//
// # What an error may say
//
// Errors end in workflow histories, which are kept and shown. So the text of an Error is made of its code, its class and
// a description fixed in this package: no phone number, no parameter, no word of Meta's. Meta's own words are in
// Error.Details, for the database alone.
//
// # Webhooks
//
// Verify checks the signature over the raw bytes, Parse flattens a body into updates: what customers say (Inbound), how
// messages fare (Status), who stopped marketing (Preference), what Meta does to templates (TemplateUpdate) and to the
// account and its numbers (AccountUpdate). Parse loses nothing and stops at nothing: what it does not know becomes Other,
// what it cannot read becomes Broken, and the neighbours go on. Within an update, what is beside the point may be odd: a
// message with an ad that cannot be read is still a message.
package whatsapp
