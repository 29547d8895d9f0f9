package ca_test

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"net/netip"
	"testing"
	"time"

	"cpsca/ca"
	"cpsca/card"
	"cpsca/hsm"
	"cpsca/profiles"
	"cpsca/testpki"
)

// founded is a technical hierarchy made through Technical.Issue, the signers of
// which are the house's witness in turn.
type founded struct {
	*house
	technical     ca.Technical
	root, issuing *ca.Issuer
	witnesses     []*witness
}

func found(t *testing.T) *founded {
	t.Helper()
	f := &founded{house: newHouse(t)}
	f.technical = ca.Technical{Ledger: f.ledger, Instance: 0x11, Now: f.now}
	rootKey, rootSPKI := f.key()
	keyID := must(profiles.SubjectKeyID(rootSPKI))(t)
	self := must(ca.SelfIssuer(rootKey, keyID))(t)
	facts := profiles.Issuer{Name: name(t, "RACINE"), KeyID: keyID, Algorithm: profiles.ECDSAWithSHA256, Test: true}
	p := must(profiles.Compile(profiles.TechnicalRoot, facts, profiles.Settings{}))(t)
	f.root = must(ca.NewIssuer(f.certify(self, p, ca.Request{Actor: "init", Subject: "root", Name: facts.Name, SPKI: rootSPKI}), rootKey))(t)
	key, spki := f.key()
	p = f.compile(profiles.TechnicalIssuing, f.root)
	f.issuing = must(ca.NewIssuer(f.certify(f.root, p, ca.Request{Actor: "init", Subject: "issuing", Name: name(t, "TECHNIQUE"), SPKI: spki}), key))(t)
	return f
}

func (f *founded) key() (*witness, []byte) {
	f.t.Helper()
	key := must(testpki.GenerateKey(hsm.P256))(f.t)
	w := &witness{Signer: key, digests: f.signer.digests}
	f.witnesses = append(f.witnesses, w)
	return w, must(x509.MarshalPKIXPublicKey(key.Public()))(f.t)
}

func (f *founded) compile(name profiles.Name, by *ca.Issuer) *profiles.Profile {
	f.t.Helper()
	c := by.Certificate()
	return must(profiles.Compile(name, profiles.Issuer{
		Name: c.RawSubject, KeyID: by.KeyID(), Algorithm: profiles.ECDSAWithSHA256, NotBefore: c.NotBefore, NotAfter: c.NotAfter, Test: true,
	}, f.pki.Root.Settings))(f.t)
}

func (f *founded) certify(by *ca.Issuer, p *profiles.Profile, r ca.Request) *x509.Certificate {
	f.t.Helper()
	der, serial, err := f.technical.Issue(f.t.Context(), by, p, r)
	if err != nil {
		f.t.Fatal(err)
	}
	c := must(x509.ParseCertificate(der))(f.t)
	if !bytes.Equal(c.SerialNumber.Bytes(), serial[:]) || serial[0] != 0x11 || !bytes.Equal(c.RawSubjectPublicKeyInfo, r.SPKI) {
		f.t.Fatalf("the certificate of %s is not what was asked", r.Subject)
	}
	recorded := must(f.db.Certificate(f.t.Context(), by.KeyID(), serial))(f.t)
	if again := must(ca.Certificate(recorded))(f.t); !bytes.Equal(again, der) || recorded.Status != card.StatusGood {
		f.t.Fatalf("the ledger has another certificate of %s, or calls it %s", r.Subject, recorded.Status)
	}
	return c
}

func (f *founded) server(t *testing.T) ca.Request {
	t.Helper()
	_, spki := f.key()
	return ca.Request{Actor: "init", Subject: "server", Name: name(t, "autorite.example"), SPKI: spki,
		DNSNames: []string{"autorite.example"}, IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
}

func TestATechnicalHierarchyIsFoundedAndVerifies(t *testing.T) {
	f := found(t)
	server := f.certify(f.issuing, f.compile(profiles.TLSServer, f.issuing), f.server(t))
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(f.root.Certificate())
	between.AddCert(f.issuing.Certificate())
	_, err := server.Verify(x509.VerifyOptions{DNSName: "autorite.example", Roots: roots, Intermediates: between, CurrentTime: f.now()})
	if err != nil {
		t.Error(err)
	}
	err = f.root.Certificate().CheckSignatureFrom(f.root.Certificate())
	if err != nil {
		t.Errorf("the root is not its own issuer: %v", err)
	}
}

func TestAKeyOfTheInfrastructureIsCertifiedOnceUnlessItsSubjectRenews(t *testing.T) {
	f := found(t)
	p := f.compile(profiles.TLSServer, f.issuing)
	request := f.server(t)
	f.certify(f.issuing, p, request)
	intents := f.rows("SELECT COUNT(*) FROM intents")
	refused := func(what string, p *profiles.Profile, change func(*ca.Request)) {
		t.Helper()
		r := request
		change(&r)
		_, _, err := f.technical.Issue(t.Context(), f.issuing, p, r)
		if !errors.Is(err, card.ErrKeyKnown) {
			t.Errorf("%s: got the error %v", what, err)
		}
	}
	refused("again", p, func(*ca.Request) {})
	refused("by another subject", p, func(r *ca.Request) { r.Subject, r.Renewal = "somebody", true })
	refused("for another use", f.compile(profiles.TLSClient, f.issuing), func(r *ca.Request) { r.Renewal = true })
	refused("the root's", p, func(r *ca.Request) { r.SPKI, r.Renewal = f.root.Certificate().RawSubjectPublicKeyInfo, true })
	o := f.order(f.person())
	chip := f.card()
	f.good(f.issue(must(chip.Application(o.ID, o.Challenges))(t)))
	refused("a card's", p, func(r *ca.Request) { r.SPKI, r.Renewal = must(chip.SPKI(card.Signature))(t), true })
	if n := f.rows("SELECT COUNT(*) FROM intents") - intents; n != 2 {
		t.Errorf("%d intents, want those of the card", n)
	}
	request.Renewal = true
	f.certify(f.issuing, p, request)
}

func TestATechnicalCertificateThatFailsIsAbandoned(t *testing.T) {
	for name, fault := range deviceFaults {
		t.Run(name, func(t *testing.T) {
			f := found(t)
			p := f.compile(profiles.TLSServer, f.issuing)
			request := f.server(t)
			f.witnesses[1].does(func(_ int, sign func() ([]byte, error)) ([]byte, error) { return fault.how(sign) })
			der, _, err := f.technical.Issue(t.Context(), f.issuing, p, request)
			wants(t, err, ca.ErrAbandoned)
			wants(t, err, fault.want)
			if der != nil {
				t.Error("octets of a certificate that does not exist left")
			}
			f.witnesses[1].does(nil)
			_, _, err = f.technical.Issue(t.Context(), f.issuing, p, request)
			wants(t, err, card.ErrKeyKnown) // it was shown to the world
			request.Renewal = true
			f.certify(f.issuing, p, request)
		})
	}
}

func TestATechnicalIssuerStopsToo(t *testing.T) {
	f := found(t)
	p := f.compile(profiles.TLSServer, f.issuing)
	f.witnesses[1].does(func(_ int, sign func() ([]byte, error)) ([]byte, error) {
		signature, err := sign()
		return flip(signature), err
	})
	for _, want := range []error{ca.ErrSignature, ca.ErrSignature, ca.ErrStopped} {
		_, _, err := f.technical.Issue(t.Context(), f.issuing, p, f.server(t))
		wants(t, err, want)
	}
	if n := f.rows("SELECT COUNT(*) FROM intents i JOIN revocations r ON r.issuer = i.issuer AND r.serial = i.serial WHERE r.cause = 'abandoned'"); n != 2 {
		t.Errorf("%d intents are abandoned, want two: a stopped issuer intends nothing", n)
	}
}

func TestATechnicalLedgerThatFailsLeavesNothingOpen(t *testing.T) {
	for name, fault := range ledgerFaults {
		t.Run(name, func(t *testing.T) {
			f := found(t)
			p := f.compile(profiles.TLSServer, f.issuing)
			signed := f.signer.signed()
			f.ledger.intend = fault
			_, _, err := f.technical.Issue(t.Context(), f.issuing, p, f.server(t))
			wants(t, err, errFault)
			if f.signer.signed() != signed {
				t.Error("it was signed without an intent")
			}
			f.ledger.intend, f.ledger.record = nil, fault
			_, _, err = f.technical.Issue(t.Context(), f.issuing, p, f.server(t))
			wants(t, err, errFault)
			f.ledger.record = nil
		})
	}
}

func TestATechnicalCallerWhoGoesAwayLeavesNothingOpen(t *testing.T) {
	f := found(t)
	p := f.compile(profiles.TLSServer, f.issuing)
	ctx, cancel := context.WithCancel(t.Context())
	f.ledger.intend = func(apply func() error) error {
		defer cancel()
		return apply()
	}
	_, _, err := f.technical.Issue(ctx, f.issuing, p, f.server(t))
	if err != nil {
		t.Error(err)
	}
	if ctx.Err() == nil {
		t.Error("the caller did not go away")
	}
}

func TestAProfileOfAnotherIssuerIsNotSigned(t *testing.T) {
	f := found(t)
	_, _, err := f.technical.Issue(t.Context(), f.root, f.compile(profiles.TLSServer, f.issuing), f.server(t))
	wants(t, err, ca.ErrConfig)
	_, _, err = f.technical.Issue(t.Context(), f.issuing, nil, f.server(t))
	wants(t, err, ca.ErrConfig)
	if n := f.rows("SELECT COUNT(*) FROM intents"); n != 2 {
		t.Errorf("%d intents, want those of the two authorities", n)
	}
}

func TestABusinessClockIsOptional(t *testing.T) {
	f := found(t)
	f.technical.Now = nil
	_, _, err := f.technical.Issue(t.Context(), f.issuing, f.compile(profiles.TLSServer, f.issuing), f.server(t))
	if err != nil && !errors.Is(err, profiles.ErrValidity) { // the test's hierarchy may have ended by then
		t.Error(err)
	}
}

func TestANodeIsGivenAResponderCertificateByTheIssuerItAnswersFor(t *testing.T) {
	h := newHouse(t)
	p := must(profiles.Compile(profiles.OCSP, h.pki.Issuing.Issuer, h.pki.Issuing.Settings))(t)
	responders := ca.Responders{
		Technical: ca.Technical{Ledger: h.ledger, Instance: 0x10, Now: h.now},
		Issuers:   []ca.Responder{{Issuer: h.issuer, Profile: p, Name: name(t, "OCSP")}},
	}
	spki, key := ellipticKey(t, elliptic.P256())
	request := csr(t, spki, key)
	for range 2 { // the node keeps its key
		der := must(responders.IssueResponder(t.Context(), "node-1", h.issuer.KeyID(), request))(t)
		c := must(x509.ParseCertificate(der))(t)
		err := c.CheckSignatureFrom(h.pki.Issuing.Certificate)
		if err != nil || len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageOCSPSigning || !bytes.Equal(c.RawSubjectPublicKeyInfo, spki) {
			t.Errorf("it is no responder's certificate of this issuer: %v, %v", err, c.ExtKeyUsage)
		}
		h.clock.Add(int64(time.Hour / time.Second))
	}
	refused := func(actor string, issuer card.KeyID, request []byte, want error) {
		t.Helper()
		_, err := responders.IssueResponder(t.Context(), actor, issuer, request)
		wants(t, err, want)
	}
	refused("node-1", card.KeyID{1}, request, ca.ErrIssuer)
	refused("node-2", h.issuer.KeyID(), request, card.ErrKeyKnown)
	refused("node-1", h.issuer.KeyID(), request[:50], ca.ErrRequest)
	refused("node-1", h.issuer.KeyID(), nil, ca.ErrRequest)
	refused("node-1", h.issuer.KeyID(), make([]byte, 5000), ca.ErrRequest)
	other, _ := ellipticKey(t, elliptic.P256())
	refused("node-1", h.issuer.KeyID(), csr(t, other, key), ca.ErrProof)
	small, smallKey := ellipticKey(t, elliptic.P521())
	refused("node-1", h.issuer.KeyID(), csr(t, small, smallKey), ca.ErrKey)
	chip := h.card()
	o := h.order(h.person())
	h.good(h.issue(must(chip.Application(o.ID, o.Challenges))(t)))
	refused("node-1", h.issuer.KeyID(), must(chip.Request(card.Signature, "x"))(t), card.ErrKeyKnown)
	if n := h.rows("SELECT COUNT(*) FROM intents WHERE use = 'ocsp'"); n != 2 {
		t.Errorf("%d responder certificates were intended, want 2", n)
	}
}
