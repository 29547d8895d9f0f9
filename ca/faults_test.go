package ca_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/testpki"
)

var errFault = errors.New("injected")

// enteredError is what the HSM's errors look like.
type enteredError bool

func (e enteredError) Error() string     { return fmt.Sprintf("C_Sign failed, entered: %t", bool(e)) }
func (e enteredError) SignEntered() bool { return bool(e) }

func flip(signature []byte) []byte {
	out := bytes.Clone(signature)
	out[len(out)-1] ^= 1
	return out
}

// deviceFaults are ways in which one signature goes wrong.
var deviceFaults = map[string]struct {
	how  func(sign func() ([]byte, error)) ([]byte, error)
	want error
}{
	"an error before C_Sign": {func(func() ([]byte, error)) ([]byte, error) { return nil, enteredError(false) }, enteredError(false)},
	"an error after C_Sign": {func(sign func() ([]byte, error)) ([]byte, error) {
		_, err := sign()
		return nil, errors.Join(err, enteredError(true))
	}, enteredError(true)},
	"a flipped bit": {func(sign func() ([]byte, error)) ([]byte, error) {
		signature, err := sign()
		return flip(signature), err
	}, ca.ErrSignature},
	"a signature cut short": {func(sign func() ([]byte, error)) ([]byte, error) {
		signature, err := sign()
		return signature[:10], err
	}, ca.ErrSignature},
	"nothing, and no error": {func(func() ([]byte, error)) ([]byte, error) { return nil, nil }, ca.ErrSignature},
	"the signature of something else": {func(sign func() ([]byte, error)) ([]byte, error) {
		_, err := sign()
		return []byte{0x30, 6, 2, 1, 1, 2, 1, 1}, err
	}, ca.ErrSignature},
}

func TestAnAttemptThatTheDeviceFailedIsAbandonedAndTheNextHasNewSerials(t *testing.T) {
	for name, fault := range deviceFaults {
		for _, at := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s at signature %d", name, at), func(t *testing.T) {
				h := newHouse(t)
				h.config.Signers = 1 // so that signature 0 and 1 are of the first application
				h.authority = must(ca.New(h.config))(t)
				chunk := h.applications(2)
				h.signer.does(func(call int, sign func() ([]byte, error)) ([]byte, error) {
					if call == at {
						return fault.how(sign)
					}
					return sign()
				})
				answers := h.issue(chunk...)
				wants(t, answers[0].Err, ca.ErrAbandoned)
				wants(t, answers[0].Err, fault.want)
				h.good(answers[1:])
				if n := h.rows("SELECT COUNT(*) FROM revocations WHERE status = 'revoked' AND reason = 0"); n != 2 {
					t.Errorf("%d serials are revoked, want both of the abandoned attempt", n)
				}
				h.signer.does(nil)
				again := h.issue(chunk...)
				h.good(again)
				if again[0].Replayed || !again[1].Replayed {
					t.Errorf("replayed: %t and %t", again[0].Replayed, again[1].Replayed)
				}
				if n := h.rows("SELECT MAX(attempt) FROM attempts WHERE order_id = $1 AND state = 'recorded'", string(chunk[0].Order)); n != 2 {
					t.Errorf("attempt %d is recorded, want 2", n)
				}
				for _, one := range again[0].Certificates {
					h.verified(one)
					if n := h.rows("SELECT COUNT(*) FROM revocations WHERE serial = $1", one.Serial[:]); n != 0 {
						t.Error("the serial of an abandoned attempt was used again")
					}
				}
			})
		}
	}
}

func TestAnAbandonedOrderKeepsItsCardAndKeys(t *testing.T) {
	h := newHouse(t)
	o := h.order(h.person())
	chip := h.card()
	h.signer.does(func(int, func() ([]byte, error)) ([]byte, error) { return nil, errFault })
	application := must(chip.Application(o.ID, o.Challenges))(t)
	wants(t, h.issue(application)[0].Err, ca.ErrAbandoned)
	h.signer.does(nil)
	other := must(h.card().Application(o.ID, o.Challenges))(t)
	wants(t, h.issue(other)[0].Err, card.ErrOrderBound)
	keys := must(chip.Application(o.ID, o.Challenges))(t)
	keys.Proofs = other.Proofs
	wants(t, h.issue(keys)[0].Err, card.ErrOrderBound)
	h.good(h.issue(application))
}

func TestTwoBadSignaturesInARowStopTheIssuer(t *testing.T) {
	h := newHouse(t, func(c *ca.Config) { c.Signers = 1 })
	before := h.application()
	h.good(h.issue(before))
	h.signer.does(func(_ int, sign func() ([]byte, error)) ([]byte, error) {
		signature, err := sign()
		return flip(signature), err
	})
	answers := h.issue(h.applications(3)...)
	wants(t, answers[0].Err, ca.ErrSignature)
	wants(t, answers[1].Err, ca.ErrStopped)
	wants(t, answers[2].Err, ca.ErrStopped)
	if h.signer.signed() != 4 {
		t.Errorf("%d signatures, want two good and two bad ones", h.signer.signed())
	}
	h.signer.does(nil)
	intents := h.rows("SELECT COUNT(*) FROM intents")
	for range 3 {
		_, err := h.authority.Issue(t.Context(), requester, bureau, h.applications(2))
		wants(t, err, ca.ErrStopped)
	}
	if n := h.rows("SELECT COUNT(*) FROM intents"); n != intents {
		t.Errorf("a stopped issuer intended %d certificates", n-intents)
	}
	again := h.issue(before)
	if again[0].Err != nil || !again[0].Replayed {
		t.Errorf("what was issued before is not given any more: %v", again[0].Err)
	}
}

func TestBadSignaturesThatAreNotInARowDoNotStopTheIssuer(t *testing.T) {
	h := newHouse(t, func(c *ca.Config) { c.Signers = 1 })
	h.signer.does(func(call int, sign func() ([]byte, error)) ([]byte, error) {
		signature, err := sign()
		if call%2 == 0 {
			signature = flip(signature)
		}
		return signature, err
	})
	for _, answer := range h.issue(h.applications(3)...) {
		wants(t, answer.Err, ca.ErrSignature)
	}
	h.signer.does(nil)
	h.good(h.issue(h.application()))
}

// ledgerFaults are what a ledger may do when it answers with an error.
var ledgerFaults = map[string]func(apply func() error) error{
	"not applied": func(func() error) error { return errFault },
	"applied":     func(apply func() error) error { return errors.Join(apply(), errFault) },
}

func TestAnIntentThatFailsIsNotSigned(t *testing.T) {
	for name, fault := range ledgerFaults {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			chunk := h.applications(2)
			h.ledger.intend = fault
			_, err := h.authority.Issue(t.Context(), requester, bureau, chunk)
			wants(t, err, errFault)
			if h.signer.signed() != 0 {
				t.Errorf("%d signatures without an intent", h.signer.signed())
			}
			h.ledger.intend = nil
			h.good(h.issue(chunk...))
		})
	}
}

func TestARecordThatFailsIsAbandonedOrFoundAgain(t *testing.T) {
	for name, fault := range ledgerFaults {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			chunk := h.applications(2)
			h.ledger.record = fault
			_, err := h.authority.Issue(t.Context(), requester, bureau, chunk)
			wants(t, err, errFault)
			signed := h.signer.signed()
			h.ledger.record = nil
			answers := h.issue(chunk...)
			h.good(answers)
			applied := name == "applied"
			for i, answer := range answers {
				if answer.Replayed != applied {
					t.Errorf("answer %d: replayed %t", i, answer.Replayed)
				}
			}
			if (h.signer.signed() == signed) != applied {
				t.Errorf("%d new signatures", h.signer.signed()-signed)
			}
			if n := h.rows("SELECT COUNT(*) FROM attempts"); n != 2 && applied || n != 4 && !applied {
				t.Errorf("%d attempts", n)
			}
		})
	}
}

func TestAnAttemptThatCouldNotBeAbandonedIsAbandonedBeforeAnythingElse(t *testing.T) {
	for name, fault := range ledgerFaults {
		for _, failed := range []string{"the signature", "the record"} {
			t.Run(failed+" failed, abandoning was "+name, func(t *testing.T) {
				h := newHouse(t)
				chunk := h.applications(3)
				h.ledger.abandon = fault
				if failed == "the record" {
					h.ledger.record = ledgerFaults["not applied"]
					_, err := h.authority.Issue(t.Context(), requester, bureau, chunk)
					wants(t, err, errFault)
				} else {
					h.signer.does(func(call int, sign func() ([]byte, error)) ([]byte, error) {
						if call == 0 {
							return nil, enteredError(true)
						}
						return sign()
					})
					refused := 0
					for _, answer := range h.issue(chunk...) {
						if answer.Err != nil {
							wants(t, answer.Err, ca.ErrAbandoned)
							wants(t, answer.Err, errFault)
							refused++
						}
					}
					if refused != 1 {
						t.Errorf("%d answers are refused, want the one whose signature failed", refused)
					}
				}
				signed := h.signer.signed()
				if name == "not applied" {
					_, err := h.authority.Issue(t.Context(), requester, bureau, h.applications(1))
					wants(t, err, errFault)
					if h.signer.signed() != signed {
						t.Error("something was issued before the debt was paid")
					}
				}
				h.ledger.abandon, h.ledger.record = nil, nil
				h.signer.does(nil)
				h.good(h.issue(chunk...))
				h.ledger.abandon = func(func() error) error {
					t.Error("a debt was paid twice")
					return nil
				}
				h.good(h.issue(h.application()))
			})
		}
	}
}

func TestACardThatIsReportedSpoiledUnderTheSignatureHurtsNoOther(t *testing.T) {
	h := newHouse(t)
	var chunk []card.Application
	var chips []*testpki.Card
	for range 3 {
		o := h.order(h.person())
		chips = append(chips, h.card())
		chunk = append(chunk, must(chips[len(chips)-1].Application(o.ID, o.Challenges))(t))
	}
	done := false
	h.ledger.record = func(apply func() error) error {
		if !done {
			done = true
			c := must(h.db.Card(context.Background(), chunk[1].Number))(t)
			step := must(c.Step(card.Spoil, h.now()))(t)
			err := h.db.Apply(context.Background(), card.Decision{Actor: bureau, Action: "spoiled", At: h.now(), Changes: []card.Change{step}})
			if err != nil {
				t.Error(err)
			}
		}
		return apply()
	}
	answers := h.issue(chunk...)
	wants(t, answers[1].Err, ca.ErrAbandoned)
	wants(t, answers[1].Err, card.ErrStale)
	h.good([]ca.Answer{answers[0], answers[2]})
	if h.signer.signed() != 6 {
		t.Errorf("%d signatures, want 6", h.signer.signed())
	}
	// The order is open for another card; the spoiled one stays what it is.
	wants(t, h.issue(chunk[1])[0].Err, card.ErrNumberTaken)
	o := must(h.db.Order(t.Context(), chunk[1].Order))(t)
	stale := must(chips[1].Application(o.ID, o.Challenges))(t)
	stale.Number = h.numbers.Next()
	wants(t, h.issue(stale)[0].Err, card.ErrKeyKnown)
	h.good(h.issue(must(h.card().Application(o.ID, o.Challenges))(t)))
}

func TestARecordThatFailsInTheMiddleOfAChunkEndsTheRest(t *testing.T) {
	h := newHouse(t)
	chunk := h.applications(3)
	calls := 0
	h.ledger.record = func(apply func() error) error {
		calls++
		switch calls {
		case 1:
			return card.ErrStale
		case 2:
			return apply()
		}
		return errFault
	}
	_, err := h.authority.Issue(t.Context(), requester, bureau, chunk)
	wants(t, err, errFault)
	h.ledger.record = nil
	answers := h.issue(chunk...)
	h.good(answers)
	if !answers[0].Replayed || answers[1].Replayed || answers[2].Replayed {
		t.Error("what was recorded one by one is not what is found again")
	}
}

// TestACallerWhoGoesAwayLeavesNothingOpen: the house's judge says so.
func TestACallerWhoGoesAwayLeavesNothingOpen(t *testing.T) {
	for stage := range 5 {
		t.Run(fmt.Sprintf("stage %d", stage), func(t *testing.T) {
			h := newHouse(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			chunk := h.applications(2)
			leave := func(at int) {
				if at == stage {
					cancel()
				}
			}
			leave(0)
			h.ledger.intend = func(apply func() error) error {
				leave(1)
				err := apply()
				leave(2)
				return err
			}
			h.signer.does(func(_ int, sign func() ([]byte, error)) ([]byte, error) {
				leave(3)
				return sign()
			})
			h.ledger.record = func(apply func() error) error {
				leave(4)
				return apply()
			}
			answers, err := h.authority.Issue(ctx, requester, bureau, chunk)
			if stage == 0 {
				wants(t, err, context.Canceled)
				if n := h.rows("SELECT COUNT(*) FROM intents"); n != 0 {
					t.Errorf("%d intents for a caller who was gone", n)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			h.good(answers)
		})
	}
}

func TestADirectoryThatCannotBeReadRefusesTheChunk(t *testing.T) {
	h := newHouse(t)
	chunk := h.applications(1)
	h.config.Directory = noDirectory{}
	authority := must(ca.New(h.config))(t)
	_, err := authority.Issue(t.Context(), requester, bureau, chunk)
	wants(t, err, errFault)
}

type noDirectory struct{}

func (noDirectory) Dossiers(context.Context, string, []card.OrderID) (map[card.OrderID]card.Dossier, error) {
	return nil, errFault
}

// TestAfterACrashEveryOpenIntentIsAbandoned: the process dies between intent
// and record, with and without signatures.
func TestAfterACrashEveryOpenIntentIsAbandoned(t *testing.T) {
	for _, stage := range []string{"before signing", "before the record"} {
		t.Run(stage, func(t *testing.T) {
			h := newHouse(t)
			chunk := h.applications(3)
			dead := ledgerFaults["not applied"]
			h.ledger.record, h.ledger.abandon = dead, dead
			if stage == "before signing" {
				h.ledger.intend = ledgerFaults["applied"]
			}
			_, err := h.authority.Issue(t.Context(), requester, bureau, chunk)
			wants(t, err, errFault)
			if n := h.rows("SELECT COUNT(*) FROM attempts WHERE state = 'intent'"); n != 3 {
				t.Fatalf("%d open intents, the crash did not happen", n)
			}
			h.reopen()
			if n := h.rows("SELECT COUNT(*) FROM revocations WHERE cause = 'abandoned'"); n != 6 {
				t.Errorf("%d intents were abandoned, want 6", n)
			}
			h.good(h.issue(chunk...))
		})
	}
}
