package ca_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"cpsca/ca"
)

// sleeper is a signer that knows whether it can sign.
type sleeper struct {
	*witness
	down atomic.Bool
}

var errDown = errors.New("the device is down")

func (s *sleeper) Ready() error {
	if s.down.Load() {
		return errDown
	}
	return nil
}

// A device that is known to be down costs no serial: nothing is intended.
func TestNothingIsIntendedWhileTheSignerKnowsThatItIsDown(t *testing.T) {
	device := &sleeper{}
	h := newHouse(t)
	device.witness = h.signer
	h.issuer = must(ca.NewIssuer(h.pki.Issuing.Certificate, device))(t)
	h.config.Cards = h.issuer
	h.reopen()
	applications := h.applications(3)
	before := must(h.db.Standing(t.Context()))(t)
	device.down.Store(true)
	_, err := h.authority.Issue(context.Background(), requester, bureau, applications)
	if !errors.Is(err, errDown) {
		t.Fatalf("got %v, want the device's own error", err)
	}
	after := must(h.db.Standing(t.Context()))(t)
	if after.Journal != before.Journal || after.Feed != before.Feed || h.signer.signed() != 0 {
		t.Errorf("the ledger went from %+v to %+v, %d signatures", before, after, h.signer.signed())
	}
	device.down.Store(false)
	h.good(h.issue(applications...))
}
