// Package simulator stands in for Meta on a machine without a WhatsApp account: the Graph API that whatsapp.Client calls,
// the webhooks that come back, and a phone page where you are the customer.
//
//	whatsapp.Client ──POST /v26.0/<phone id>/messages──▶ ┌───────────┐ ◀──POST /people/<phone>/messages── tests, scripts
//	                                                     │ simulator │ ◀──GET / (the phone page)────────── you
//	the product     ◀──signed webhooks, in order──────── └───────────┘
//	                                                           │ every fact, before it is answered
//	                                                        journal
//
// # What is promised
//
// A request that was answered is in the journal, so killing the process loses nothing: at the next start the journal is
// replayed, and webhooks that nobody took are delivered then. A webhook may come twice, when the process died between
// the delivery and the note of it. For one person webhooks come in the order of the facts; between people in any order.
// A webhook may also be there before the answer to the request that caused it. Meta does that too.
//
// The journal survives the death of the process, not of the machine: it is written, not synced.
//
// # How the simulator differs from Meta
//
// Meta's rules over time are Limits: docs/simulator.md lists them, with their numbers and where those come from, and the faults
// that POST /faults sets.
//
//		take ─▶ check ─▶ content ─▶ refuse ─▶ outcome ─▶ commit ─▶ settle
//		        body     template,  account,  window,    journal,  reviews, pauses, pacing:
//		                 media      rates     caps,      webhooks  what time or people made due
//		                                      pacing     (disturb: faults)
//
//	  - A template is approved as soon as it is created, unless Limits.Review says otherwise.
//	  - A webhook holds one update, unless a fault batches them.
//	  - A webhook is retried every 2 s at most, in real time and until it is taken. Meta slows down and gives up after 7 days.
//	  - Every phone is on WhatsApp. The first message to a number makes a person of it.
//	  - Flows, catalogs, orders, groups and calls are not modelled.
//	  - Times in webhooks are the business's time (Options.Clock), and rules about time follow it. Throughput, the pair rate, retries
//	    and delays are real time.
//
// # Who may call
//
// The Graph side asks for the bearer token. The person side and the phone page have no password: whoever reaches the
// port may be any customer, which is what they are for. Bind it to the loopback address. A page of another site cannot
// post to it: the person side takes nothing whose Origin is another host, and answers to this machine's own names only.
package simulator
