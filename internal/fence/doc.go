// Package fence is the one transaction that every effect of a run passes. It orders a run's own effects against what dispatch
// decides about the same run: a YES and a STOP, a capture and the timer that would expire it.
//
// Both sides lock the customer, then the run's row, and read there what the other did:
//
//	dispatch matches an armed listener      an effect asks to pass
//	  writes the match into the row           it was done before?      → done, with the stored result
//	  takes the next signal's number          the run has ended?       → left
//	  queues the signal                       its journey is paused?   → held
//	                                          a signal is unheard?     → hear_first
//	                                          the deadline was moved?  → not_due, and how long to go
//	                                          else it acts, is recorded, and arms the wait it leads to
//
// Whatever fails inside rolls all of it back, and the effect asks again. What dispatch and activities both need to do to a
// run inside such a transaction stands here too: start it, end it, tell it something, and see what its expressions see.
package fence
