// Package api is Punchcard's HTTP side: the /v1 that backends call, WhatsApp's webhooks, health, and the documentation.
//
// The routes stand in one table (routes.go), each with its permission on its own line. What is not in the table as public
// asks for a key: authentication looks a request's route up there and refuses what it does not find. Every failure is a
// problem document (RFC 9457) with one of punchcard's codes; what went wrong inside is logged under the request's id and
// never shown.
//
//	request ─▶ id, log ─▶ recover ─▶ headers, timeout ─▶ key ─▶ Idempotency-Key ─▶ huma: form ─▶ handler ─▶ dispatch, store
//
// Nothing is decided here: the handlers read and write JSON, and dispatch and the store do the rest. The types of requests
// and answers do not leave this package.
package api
