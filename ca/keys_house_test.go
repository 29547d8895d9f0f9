package ca_test

import (
	"strings"
	"testing"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/profiles"
)

func TestABlockedKeyGetsNoCertificateAndItsNeighboursDo(t *testing.T) {
	plain := newHouse(t)
	chip := plain.card()
	blocked := must(profiles.KeyFingerprint(must(chip.SPKI(card.Signature))(t)))(t)
	list := must(ca.ReadBlocklist(strings.NewReader("# stolen\n" + blocked.String() + "\n")))(t)
	h := newHouse(t, func(c *ca.Config) { c.Keys.Blocked = list })
	o := h.order(h.person())
	answers := h.issue(h.application(), must(chip.Application(o.ID, o.Challenges))(t), h.application())
	wants(t, answers[1].Err, ca.ErrKey)
	h.good([]ca.Answer{answers[0], answers[2]})
	if n := h.signer.signed(); n != 4 {
		t.Errorf("%d signatures, want 4", n)
	}
}
