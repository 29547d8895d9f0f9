package ca_test

import (
	"bytes"
	"crypto/rsa"
	"testing"
	"time"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/hsm"
	"cpsca/profiles"
	"cpsca/registry"
	"cpsca/testpki"
)

func TestAChunkIsAnsweredInOrderWithVerifiedCertificates(t *testing.T) {
	h := newHouse(t)
	var applications []card.Application
	var chips []*testpki.Card
	for range 7 {
		o := h.order(h.person())
		chip := h.card()
		chips = append(chips, chip)
		applications = append(applications, must(chip.Application(o.ID, o.Challenges))(t))
	}
	answers := h.issue(applications...)
	h.good(answers)
	serials := map[card.Serial]bool{}
	for i, answer := range answers {
		if answer.Replayed {
			t.Errorf("answer %d is said to be a replay", i)
		}
		for n, use := range card.Uses {
			one := answer.Certificates[n]
			c := h.verified(one)
			if one.Use != use {
				t.Errorf("certificate %d is for %s, want %s", n, one.Use, use)
			}
			if spki := must(chips[i].SPKI(use))(t); !bytes.Equal(c.RawSubjectPublicKeyInfo, spki) {
				t.Errorf("answer %d has another card's %s key", i, use)
			}
			if !bytes.Equal(c.SerialNumber.Bytes(), one.Serial[:]) || one.Serial[0] != 0x10 || serials[one.Serial] {
				t.Errorf("serial %s is not the certificate's, not of this instance or not new", one.Serial)
			}
			serials[one.Serial] = true
			recorded := must(h.db.Certificate(t.Context(), h.issuer.KeyID(), one.Serial))(t)
			der := must(ca.Certificate(recorded))(t)
			if !bytes.Equal(der, one.DER) || recorded.Status != card.StatusGood {
				t.Errorf("the ledger has another certificate, or calls it %s", recorded.Status)
			}
		}
		made := must(h.db.Card(t.Context(), answer.Number))(t)
		if made.State != card.Personalised {
			t.Errorf("the card is %s", made.State)
		}
	}
	if h.signer.signed() != 14 {
		t.Errorf("%d signatures for 14 certificates", h.signer.signed())
	}
}

func TestNothingButTheKeyIsTakenFromARequest(t *testing.T) {
	h := newHouse(t)
	for _, flaw := range []testpki.Flaw{testpki.AskAuthority, testpki.AskName} {
		holder := h.person()
		o := h.order(holder)
		chip := h.card() // its requests name "TEST CARTE …", which must not be heard
		application := must(chip.Application(o.ID, o.Challenges))(t)
		application.Proof(card.Signature).Request = must(chip.FlawedRequest(flaw, card.Signature, o.Challenges[card.Signature]))(t)
		answers := h.issue(application)
		h.good(answers)
		for _, one := range answers[0].Certificates {
			c := h.verified(one)
			if c.IsCA || len(c.DNSNames) != 0 {
				t.Errorf("%s: the certificate has what the request asked for", flaw)
			}
			if c.Subject.CommonName != string(holder) {
				t.Errorf("%s: the subject is %q, want the holder's number", flaw, c.Subject.CommonName)
			}
		}
	}
}

func TestOtherAttributesOfARequestAreNotHeard(t *testing.T) {
	h := newHouse(t)
	o := h.order(h.person())
	chip := h.card()
	application := must(chip.Application(o.ID, o.Challenges))(t)
	application.Proof(card.Signature).Request = csr(t, must(chip.SPKI(card.Signature))(t), chip.Key(card.Signature),
		bulk(t, 1024), challengeAttribute(t, cbasn1.UTF8String, o.Challenges[card.Signature]))
	h.good(h.issue(application))
}

func TestAnApplicationSentAgainGivesTheSameBytesWithoutASignature(t *testing.T) {
	h := newHouse(t)
	applications := h.applications(3)
	first := h.issue(applications...)
	h.good(first)
	signed := h.signer.signed()
	again := func(what string) {
		t.Helper()
		for i, answer := range h.issue(applications...) {
			if answer.Err != nil || !answer.Replayed {
				t.Fatalf("%s: answer %d: replayed %t, error %v", what, i, answer.Replayed, answer.Err)
			}
			same(t, answer.Certificates, first[i].Certificates)
		}
	}
	again("at once")
	h.clock.Add(3600)
	h.reopen()
	again("after the ledger was opened again")
	h.register(registry.PersonRow{ID: must(h.db.Order(t.Context(), applications[0].Order))(t).Holder, FamilyName: "AUTRE"}, false, registry.Deceased)
	again("after the register changed")
	if h.signer.signed() != signed {
		t.Errorf("%d signatures were made for replays", h.signer.signed()-signed)
	}
}

func TestALineThatComesTwiceInAChunkIsAnsweredTwiceAndSignedOnce(t *testing.T) {
	h := newHouse(t)
	a, b := h.application(), h.application()
	answers := h.issue(a, b, a, a)
	h.good(answers)
	same(t, answers[2].Certificates, answers[0].Certificates)
	same(t, answers[3].Certificates, answers[0].Certificates)
	if h.signer.signed() != 4 || answers[0].Replayed || !answers[3].Replayed {
		t.Errorf("%d signatures for two cards", h.signer.signed())
	}
}

func TestAChunkIsBounded(t *testing.T) {
	h := newHouse(t)
	_, err := h.authority.Issue(t.Context(), requester, bureau, make([]card.Application, ca.MaxChunk+1))
	if err == nil {
		t.Error("a chunk of more than MaxChunk was taken")
	}
	if answers := h.issue(); len(answers) != 0 {
		t.Errorf("%d answers to nothing", len(answers))
	}
}

func TestTheHoldGateRecordsCertificatesOnHold(t *testing.T) {
	h := newHouse(t, func(c *ca.Config) { c.Gate = card.GateHold })
	answers := h.issue(h.application())
	h.good(answers)
	for _, one := range answers[0].Certificates {
		c := must(h.db.Certificate(t.Context(), h.issuer.KeyID(), one.Serial))(t)
		if c.Status != card.StatusHeld {
			t.Errorf("the %s certificate is %s", one.Use, c.Status)
		}
	}
}

func TestAnRSAIssuerCertifiesRSACardsWithinTheirBound(t *testing.T) {
	h := newHouseOf(t, hsm.RSA2048)
	h.clock.Store(int64(start.AddDate(2, 0, 0).Sub(start) / time.Second)) // three years would pass the end of 2030
	o := h.order(h.person())
	chip := must(must(rsaKeys())(t).Card(h.numbers.Next()))(t)
	answers := h.issue(must(chip.Application(o.ID, o.Challenges))(t), h.application())
	h.good(answers)
	bound := time.Date(2030, time.December, 31, 23, 59, 59, 0, time.UTC)
	for n, one := range answers[0].Certificates {
		c, elliptic := h.verified(one), h.verified(answers[1].Certificates[n])
		if _, ok := c.PublicKey.(*rsa.PublicKey); !ok || !c.NotAfter.Equal(bound) {
			t.Errorf("a certificate for %T ends on %s, want %s", c.PublicKey, c.NotAfter, bound)
		}
		if !elliptic.NotAfter.After(bound) {
			t.Errorf("the bound of RSA-2048 ended an elliptic key, on %s", elliptic.NotAfter)
		}
	}
}

func TestNoCertificateOutlivesItsIssuer(t *testing.T) {
	h := newHouse(t)
	end := h.pki.Issuing.Certificate.NotAfter
	h.clock.Store(int64(end.AddDate(-1, 0, 0).Sub(start) / time.Second))
	answers := h.issue(h.application())
	h.good(answers)
	for _, one := range answers[0].Certificates {
		if c := h.verified(one); !c.NotAfter.Equal(end) {
			t.Errorf("it ends on %s, its issuer on %s", c.NotAfter, end)
		}
	}
	h.clock.Store(int64(end.Add(time.Hour).Sub(start) / time.Second))
	signed := h.signer.signed()
	late := h.issue(h.application())
	wants(t, late[0].Err, profiles.ErrValidity)
	if h.signer.signed() != signed {
		t.Error("an expired issuer signed")
	}
}
