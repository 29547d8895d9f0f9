package ca_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/hsm"
	"cpsca/profiles"
	"cpsca/registry"
	"cpsca/testpki"
)

func wants(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got the error %v, want %v", got, want)
	}
}

// flawed is an honest application but for one request.
func flawed(flaw testpki.Flaw) func(*house) card.Application {
	return func(h *house) card.Application {
		h.t.Helper()
		o := h.order(h.person())
		chip := h.card()
		application := must(chip.Application(o.ID, o.Challenges))(h.t)
		application.Proof(card.Signature).Request = must(chip.FlawedRequest(flaw, card.Signature, o.Challenges[card.Signature]))(h.t)
		return application
	}
}

// asked is an honest application for an order of somebody.
func asked(holder func(*house) registry.NationalID, changes ...func(*card.Order)) func(*house) card.Application {
	return func(h *house) card.Application {
		h.t.Helper()
		o := h.order(holder(h), changes...)
		return must(h.card().Application(o.ID, o.Challenges))(h.t)
	}
}

func after(events ...registry.EventKind) func(*house) registry.NationalID {
	return func(h *house) registry.NationalID { return h.person(events...) }
}

// changed is an honest application that something is done to.
func changed(change func(*house, card.Order, *testpki.Card, *card.Application)) func(*house) card.Application {
	return func(h *house) card.Application {
		h.t.Helper()
		o := h.order(h.person())
		chip := h.card()
		application := must(chip.Application(o.ID, o.Challenges))(h.t)
		change(h, o, chip, &application)
		return application
	}
}

// detached is an application with detached proofs, of which something is done to
// that of the signature.
func detached(change func(*house, card.Order, *card.Proof)) func(*house) card.Application {
	return changed(func(h *house, o card.Order, chip *testpki.Card, a *card.Application) {
		h.t.Helper()
		*a = must(chip.DetachedApplication(o.ID, o.Challenges))(h.t)
		change(h, o, a.Proof(card.Signature))
	})
}

func edwardsKey(t testing.TB) ([]byte, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	return must(x509.MarshalPKIXPublicKey(public))(t), must(private, err)(t)
}

// keyed is an honest application for a key of the test's own.
func keyed(spki func(testing.TB) ([]byte, *ecdsa.PrivateKey)) func(*house) card.Application {
	return changed(func(h *house, o card.Order, _ *testpki.Card, a *card.Application) {
		h.t.Helper()
		der, key := spki(h.t)
		a.Proof(card.Signature).Request = csr(h.t, der, key, challengeAttribute(h.t, cbasn1.PrintableString, o.Challenges[card.Signature]))
	})
}

func ellipticKey(t testing.TB, curve elliptic.Curve) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key := must(ecdsa.GenerateKey(curve, rand.Reader))(t)
	return must(x509.MarshalPKIXPublicKey(key.Public()))(t), key
}

// refusals is every application that gets no certificate, with the reason.
var refusals = []struct {
	name string
	make func(*house) card.Application
	want error
}{
	{"an order that does not exist", changed(func(_ *house, _ card.Order, _ *testpki.Card, a *card.Application) { a.Order = "nowhere" }), card.ErrOrderUnknown},
	{"an order without a name", changed(func(_ *house, _ card.Order, _ *testpki.Card, a *card.Application) { a.Order = "" }), card.ErrOrderUnknown},
	{"another bureau's order", asked(after(), func(o *card.Order) { o.Bureau = "bureau-b" }), card.ErrOrderUnknown},
	{"a number that is in no register", asked((*house).stranger), card.ErrUnknownHolder},
	{"a holder who was struck off", asked(after(registry.StruckOff)), registry.ErrStruckOff},
	{"a holder who is suspended", asked(after(registry.Suspended)), registry.ErrSuspended},
	{"a holder who died", asked(after(registry.Deceased)), registry.ErrDeceased},
	{"a holder who retired", asked(after(registry.Retired)), registry.ErrRetired},
	{"a profession that is no longer held", asked(after(), func(o *card.Order) { o.Profession = midwife }), registry.ErrProfessionNotHeld},
	{"a student", asked(func(h *house) registry.NationalID {
		id := h.stranger()
		h.register(registry.PersonRow{ID: id, FamilyName: "ESSAI", Practice: registry.Practice{Profession: nurse, Category: registry.CategoryStudent}}, true)
		return id
	}), registry.ErrProfessionNotHeld},
	{"a holder without an address", asked(func(h *house) registry.NationalID {
		id := h.stranger()
		h.register(registry.PersonRow{ID: id, FamilyName: "ESSAI", Practice: registry.Practice{Profession: nurse, Category: registry.CategoryCivil}}, false)
		return id
	}), card.ErrNotReady},
	{"no request for one use", changed(func(_ *house, _ card.Order, _ *testpki.Card, a *card.Application) {
		*a.Proof(card.Signature) = card.Proof{}
	}), ca.ErrIncomplete},
	{"no request at all", changed(func(_ *house, _ card.Order, _ *testpki.Card, a *card.Application) { a.Proofs = [2]card.Proof{} }), ca.ErrIncomplete},
	{"an empty request", changed(func(_ *house, _ card.Order, _ *testpki.Card, a *card.Application) {
		a.Proof(card.Authentication).Request = []byte{}
	}), ca.ErrIncomplete},
	{"text in place of a request", changed(func(_ *house, _ card.Order, _ *testpki.Card, a *card.Application) {
		a.Proof(card.Authentication).Request = []byte("-----BEGIN")
	}), ca.ErrRequest},
	{"a request cut short", changed(func(_ *house, _ card.Order, _ *testpki.Card, a *card.Application) {
		a.Proof(card.Authentication).Request = a.Proof(card.Authentication).Request[:100]
	}), ca.ErrRequest},
	{"a request over the bound", changed(func(h *house, o card.Order, chip *testpki.Card, a *card.Application) {
		a.Proof(card.Signature).Request = csr(h.t, must(chip.SPKI(card.Signature))(h.t), chip.Key(card.Signature),
			challengeAttribute(h.t, cbasn1.PrintableString, o.Challenges[card.Signature]), bulk(h.t, 4096))
	}), ca.ErrRequest},
	{"an octet behind the request", flawed(testpki.Trailing), ca.ErrRequest},
	{"a signature that does not verify", flawed(testpki.BadSignature), ca.ErrProof},
	{"a key that did not sign", flawed(testpki.ForeignKey), ca.ErrProof},
	{"a signature over SHA-1", flawed(testpki.WeakDigest), ca.ErrProof},
	{"another text as challenge", flawed(testpki.WrongChallenge), ca.ErrChallenge},
	{"no challenge", flawed(testpki.NoChallenge), ca.ErrChallenge},
	{"two challenges in one attribute", flawed(testpki.TwoChallenges), ca.ErrChallenge},
	{"two challenges in two attributes", changed(func(h *house, o card.Order, chip *testpki.Card, a *card.Application) {
		one := challengeAttribute(h.t, cbasn1.PrintableString, o.Challenges[card.Signature])
		a.Proof(card.Signature).Request = csr(h.t, must(chip.SPKI(card.Signature))(h.t), chip.Key(card.Signature), one, one)
	}), ca.ErrChallenge},
	{"a challenge in octets", changed(func(h *house, o card.Order, chip *testpki.Card, a *card.Application) {
		one := challengeAttribute(h.t, cbasn1.OCTET_STRING, o.Challenges[card.Signature])
		a.Proof(card.Signature).Request = csr(h.t, must(chip.SPKI(card.Signature))(h.t), chip.Key(card.Signature), one)
	}), ca.ErrChallenge},
	{"the challenge of another order", changed(func(h *house, _ card.Order, chip *testpki.Card, a *card.Application) {
		other := h.order(h.person())
		a.Proof(card.Signature).Request = must(chip.Request(card.Signature, other.Challenges[card.Signature]))(h.t)
	}), ca.ErrChallenge},
	{"the two uses swapped", changed(func(_ *house, _ card.Order, _ *testpki.Card, a *card.Application) {
		a.Proof(card.Authentication).Request, a.Proof(card.Signature).Request = a.Proof(card.Signature).Request, a.Proof(card.Authentication).Request
	}), ca.ErrChallenge},
	{"a request and a detached proof", changed(func(h *house, o card.Order, chip *testpki.Card, a *card.Application) {
		proof := must(chip.Detached(o.ID, card.Signature, o.Challenges[card.Signature], ""))(h.t)
		proof.Request = a.Proof(card.Signature).Request
		*a.Proof(card.Signature) = proof
	}), ca.ErrTwoProofs},
	{"a request and the algorithm of a detached proof", changed(func(_ *house, _ card.Order, _ *testpki.Card, a *card.Application) {
		a.Proof(card.Signature).Algorithm = card.ProofECDSAWithSHA256
	}), ca.ErrTwoProofs},
	{"a public key without proof", detached(func(_ *house, _ card.Order, p *card.Proof) { p.Signature = nil }), ca.ErrIncomplete},
	{"a proof without public key", detached(func(_ *house, _ card.Order, p *card.Proof) { p.PublicKey = nil }), ca.ErrIncomplete},
	{"a proof of an unknown algorithm", detached(func(_ *house, _ card.Order, p *card.Proof) { p.Algorithm = "md5WithRSAEncryption" }), ca.ErrProof},
	{"a proof of another key's algorithm", detached(func(_ *house, _ card.Order, p *card.Proof) { p.Algorithm = card.ProofRSAPSS }), ca.ErrProof},
	{"a proof of another digest", detached(func(_ *house, _ card.Order, p *card.Proof) { p.Algorithm = card.ProofECDSAWithSHA384 }), ca.ErrProof},
	{"a proof over the bound", detached(func(_ *house, _ card.Order, p *card.Proof) { p.Signature = make([]byte, 1<<20) }), ca.ErrProof},
	{"a public key over the bound", detached(func(_ *house, _ card.Order, p *card.Proof) { p.PublicKey = make([]byte, 1<<20) }), ca.ErrKey},
	{"the proof of another order", detached(func(h *house, _ card.Order, p *card.Proof) {
		other := h.order(h.person())
		*p = must(must(testpki.NewCard(h.numbers.Next(), hsm.P256))(h.t).Detached(other.ID, card.Signature, other.Challenges[card.Signature], ""))(h.t)
	}), ca.ErrProof},
	{"the detached proofs of the two uses swapped", changed(func(h *house, o card.Order, chip *testpki.Card, a *card.Application) {
		*a = must(chip.DetachedApplication(o.ID, o.Challenges))(h.t)
		a.Proofs[0], a.Proofs[1] = a.Proofs[1], a.Proofs[0]
	}), ca.ErrProof},
	{"an application replayed for another order of the same card", changed(func(h *house, o card.Order, chip *testpki.Card, a *card.Application) {
		first := h.order(h.person())
		*a = must(chip.DetachedApplication(first.ID, first.Challenges))(h.t)
		h.good(h.issue(*a))
		a.Order = o.ID
	}), ca.ErrProof},
	{"a detached proof by a key of P-224", detached(func(h *house, o card.Order, p *card.Proof) {
		p.PublicKey, _ = ellipticKey(h.t, elliptic.P224())
	}), ca.ErrKey},
	{"a detached proof by an Ed25519 key", detached(func(h *house, o card.Order, p *card.Proof) {
		public, private := edwardsKey(h.t)
		p.PublicKey = public
		p.Signature = ed25519.Sign(private, card.ProofText(o.ID, "2800636234", card.Signature, public, o.Challenges[card.Signature]))
	}), ca.ErrKey},
	{"RSA-1024", flawed(testpki.RSA1024), ca.ErrKey},
	{"the exponent 3", flawed(testpki.SmallExponent), ca.ErrKey},
	{"RSA without NULL", flawed(testpki.NoParameters), ca.ErrKey},
	{"P-224", flawed(testpki.P224), ca.ErrKey},
	{"P-521", keyed(func(t testing.TB) ([]byte, *ecdsa.PrivateKey) { return ellipticKey(t, elliptic.P521()) }), ca.ErrKey},
	{"a compressed point", flawed(testpki.Compressed), ca.ErrKey},
	{"a point off the curve", flawed(testpki.OffCurve), ca.ErrKey},
	{"a length in too many octets", flawed(testpki.LongLength), ca.ErrRequest},
	{"an even modulus", keyed(func(t testing.TB) ([]byte, *ecdsa.PrivateKey) {
		modulus := new(big.Int).Lsh(big.NewInt(3), 2046)
		_, key := ellipticKey(t, elliptic.P256())
		return must(x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: modulus, E: 65537}))(t), key
	}), ca.ErrKey},
	{"one key for both uses", changed(func(h *house, o card.Order, chip *testpki.Card, a *card.Application) {
		one := challengeAttribute(h.t, cbasn1.UTF8String, o.Challenges[card.Signature])
		a.Proof(card.Signature).Request = csr(h.t, must(chip.SPKI(card.Authentication))(h.t), chip.Key(card.Authentication), one)
	}), card.ErrKeyKnown},
	{"a key of another card", changed(func(h *house, o card.Order, _ *testpki.Card, a *card.Application) {
		first := h.order(h.person())
		known := h.card()
		h.good(h.issue(must(known.Application(first.ID, first.Challenges))(h.t)))
		a.Proof(card.Signature).Request = must(known.Request(card.Signature, o.Challenges[card.Signature]))(h.t)
	}), card.ErrKeyKnown},
	{"a key of the infrastructure", changed(func(h *house, _ card.Order, chip *testpki.Card, _ *card.Application) {
		h.technical(must(chip.SPKI(card.Signature))(h.t))
	}), card.ErrKeyKnown},
	{"the number of another card", changed(func(h *house, _ card.Order, _ *testpki.Card, a *card.Application) {
		a.Number = h.good1().Number
	}), card.ErrNumberTaken},
	{"a number that is none", changed(func(_ *house, _ card.Order, _ *testpki.Card, a *card.Application) { a.Number = "12345" }), card.ErrNumber},
	{"the same order with another card", changed(func(h *house, o card.Order, _ *testpki.Card, a *card.Application) {
		h.good(h.issue(*a))
		*a = must(h.card().Application(o.ID, o.Challenges))(h.t)
	}), card.ErrOrderBound},
	{"the same order and card with other keys", changed(func(h *house, o card.Order, chip *testpki.Card, a *card.Application) {
		h.good(h.issue(*a))
		*a = must(must(testpki.NewCard(chip.Number(), hsm.P256))(h.t).Application(o.ID, o.Challenges))(h.t)
	}), card.ErrOrderBound},
	{"the same order and keys with another card", changed(func(h *house, _ card.Order, _ *testpki.Card, a *card.Application) {
		h.good(h.issue(*a))
		a.Number = h.numbers.Next()
	}), card.ErrOrderBound},
	{"the same order with one other key", changed(func(h *house, o card.Order, _ *testpki.Card, a *card.Application) {
		h.good(h.issue(*a))
		a.Proof(card.Signature).Request = must(h.card().Request(card.Signature, o.Challenges[card.Signature]))(h.t)
	}), card.ErrOrderBound},
	{"an order that was cancelled", changed(func(h *house, o card.Order, _ *testpki.Card, _ *card.Application) {
		cards := must(h.db.CardsOfOrder(h.t.Context(), o.ID))(h.t)
		step := must(cards[0].Step(card.Cancel, h.now()))(h.t)
		err := h.db.Apply(h.t.Context(), card.Decision{Actor: "desk", Action: "cancel", At: h.now(), Changes: []card.Change{step}})
		if err != nil {
			h.t.Fatal(err)
		}
	}), card.ErrOrderClosed},
}

// technical certifies a key for a responder.
func (h *house) technical(spki []byte) {
	h.t.Helper()
	p := must(profiles.Compile(profiles.OCSP, h.pki.Issuing.Issuer, h.pki.Issuing.Settings))(h.t)
	_, _, err := ca.Technical{Ledger: h.ledger, Instance: 0x10, Now: h.now}.Issue(h.t.Context(), h.issuer, p,
		ca.Request{Actor: "init", Subject: "responder", Name: name(h.t, "OCSP"), SPKI: spki})
	if err != nil {
		h.t.Fatal(err)
	}
}

func name(t testing.TB, commonName string) []byte {
	t.Helper()
	return must(profiles.DistinguishedName(profiles.Attribute{Type: profiles.CountryName, Value: "FR"},
		profiles.Attribute{Type: profiles.OrganizationName, Value: "Démonstration"}, profiles.Attribute{Type: profiles.CommonName, Value: commonName}))(t)
}

// good1 is one card that was issued.
func (h *house) good1() ca.Answer {
	h.t.Helper()
	answers := h.issue(h.application())
	h.good(answers)
	return answers[0]
}

func TestWhatIsRefusedIsNotSignedAndTheOthersGoOn(t *testing.T) {
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			bad := c.make(h)
			before, after := h.application(), h.application()
			signed := h.signer.signed()
			intents := h.rows("SELECT COUNT(*) FROM intents")
			for range 2 { // the second time the others are replays
				answers := h.issue(before, bad, after)
				wants(t, answers[1].Err, c.want)
				h.good([]ca.Answer{answers[0], answers[2]})
				if n := h.signer.signed() - signed; n != 4 {
					t.Errorf("%d signatures, want those of the two others", n)
				}
				if n := h.rows("SELECT COUNT(*) FROM intents") - intents; n != 4 {
					t.Errorf("%d intents, want those of the two others", n)
				}
			}
		})
	}
}

func TestTheIssuersOwnKeyIsNotCertified(t *testing.T) {
	h := newHouse(t)
	o := h.order(h.person())
	application := must(h.card().Application(o.ID, o.Challenges))(t)
	application.Proof(card.Signature).Request = csr(t, h.pki.Issuing.Certificate.RawSubjectPublicKeyInfo, h.pki.Issuing.Signer,
		challengeAttribute(t, cbasn1.PrintableString, o.Challenges[card.Signature]))
	answers := h.issue(application)
	var refusal *profiles.Refusal
	if !errors.As(answers[0].Err, &refusal) || h.signer.signed() != 0 {
		t.Errorf("got the error %v after %d signatures", answers[0].Err, h.signer.signed())
	}
}

func TestWhicheverItemOfAChunkIsBadOnlyThatOneIsRefused(t *testing.T) {
	h := newHouse(t)
	for k := range 5 {
		chunk := h.applications(5)
		chunk[k].Proofs[0], chunk[k].Proofs[1] = chunk[k].Proofs[1], chunk[k].Proofs[0]
		signed := h.signer.signed()
		for i, answer := range h.issue(chunk...) {
			if i == k {
				wants(t, answer.Err, ca.ErrChallenge)
			} else if answer.Err != nil {
				t.Errorf("item %d is bad, item %d is refused: %v", k, i, answer.Err)
			}
		}
		if n := h.signer.signed() - signed; n != 8 {
			t.Errorf("item %d is bad: %d signatures, want 8", k, n)
		}
	}
}

func TestTwoLinesOfAChunkCannotShareANumberOrAKey(t *testing.T) {
	h := newHouse(t)
	one, two := h.application(), h.application()
	two.Number = one.Number
	o := h.order(h.person())
	chip := h.card()
	three := must(chip.Application(o.ID, o.Challenges))(t)
	p := h.order(h.person())
	four := must(chip.Application(p.ID, p.Challenges))(t)
	four.Number = h.numbers.Next()
	answers := h.issue(one, two, three, four)
	h.good([]ca.Answer{answers[0], answers[2]})
	wants(t, answers[1].Err, card.ErrNumberTaken)
	wants(t, answers[3].Err, card.ErrKeyKnown)
}
