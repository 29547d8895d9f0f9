package main

import (
	"context"
	"fmt"

	"cpsca/hsm"
)

// ready is the readiness of an authority that issues.
const ready = "ready"

// readiness says in words for everybody what keeps the authority from issuing.
// Revocations may go on all the same.
func (a *authority) readiness(ctx context.Context) string {
	s, err := a.db.Standing(ctx)
	switch {
	case err != nil:
		a.log.Warn("the ledger does not answer", "error", err)
		return "the ledger does not answer"
	case !s.Issuing:
		return "the disk of the ledger is nearly full"
	}
	err = a.key.Ready()
	if err != nil {
		a.log.Warn("the HSM does not sign", "error", err)
		return "the HSM does not sign"
	}
	return ready
}

// places tells how the HSM is; nothing before it was opened.
func (a *authority) places() []hsm.Health {
	if a.token == nil {
		return nil
	}
	return a.token.Health()
}

// transition writes one line into the journal whenever a place of the HSM goes
// down or comes up, and its cause into the log.
func (a *authority) transition(t hsm.Transition) {
	action := fmt.Sprintf("hsm place %d down", t.Place)
	if t.Up {
		action = fmt.Sprintf("hsm place %d up", t.Place)
		a.log.Info("the HSM signs again", "place", t.Place, "token", t.Token)
	} else {
		a.log.Error("the HSM does not sign", "place", t.Place, "token", t.Token, "error", t.Cause)
	}
	err := a.db.Note(context.Background(), "authority", action)
	if err != nil {
		a.log.Error("writing the state of the HSM into the journal", "error", err)
	}
}
