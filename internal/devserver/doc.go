// Package devserver keeps a Temporal development server beside `punchcard dev`: it finds or builds the temporal CLI, starts
// its server on this machine's own address, and takes it down with us.
//
//	             Find                    Start                                  Stop
//	on PATH ─┐                 leftover? stop it                       SIGTERM, up to 10 s
//	in bin  ─┼─▶ path ───▶ ports free? ─▶ running ─▶ it serves ─────────────▶ gone, file unlocked
//	go install ┘                                        │ it died by itself
//	                                                    └──▶ Done
//
// # When things fail
//
//   - Our process is killed: on Linux the kernel takes the server down with it. Elsewhere it is left behind, and the next Start
//     recognises it, by the record beside the database's file and by its command line, and stops it.
//   - Another `punchcard dev` is alive on the same file, or a foreign program is on a port: Start says so in a sentence and
//     touches neither.
//   - The server dies by itself: Done tells, with the last lines of its log.
//
// It is for development. The server has no authentication, so it is bound to 127.0.0.1 and nothing else.
package devserver
