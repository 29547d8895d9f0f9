// Command cpsca is what the people who run the authority work with: it founds
// a house, imports the register, orders and personalises cards, takes loss
// reports, publishes lists and verifies the journal. While cpsca-authority
// runs it speaks to /v1 over mTLS; it opens the ledger itself only to read.
//
// Exit codes: 0 done; 1 something failed; 2 the command line is wrong; 3 the
// authority refused; 4 part of a batch was refused; 5 the authority cannot be
// reached or is busy, try again.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}
