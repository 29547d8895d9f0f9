package ocsp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	xocsp "golang.org/x/crypto/ocsp"

	"cpsca/card"
	"cpsca/feed"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// table is an image in memory.
type table struct {
	asOf    time.Time
	records map[card.Serial]feed.Record
}

func (m *table) AsOf() time.Time { return m.asOf }

func (m *table) Lookup(issuer card.KeyID, serial card.Serial) (feed.Record, bool) {
	r, ok := m.records[serial]
	return r, ok && r.Issuer == issuer
}

func serial(n byte) card.Serial { return card.Serial{0: 0x10, 15: n} }

func (m *table) set(issuer card.KeyID, n byte, status card.Status, reason card.Reason) {
	m.records[serial(n)] = feed.Record{Issuer: issuer, Serial: serial(n), Status: status, Reason: reason,
		At: noon.Add(-time.Hour), NotAfter: noon.AddDate(1, 0, 0)}
}

// authority is an issuer of the test.
type authority struct {
	t           testing.TB
	key         crypto.Signer
	certificate *x509.Certificate
	id          card.KeyID
}

func newECKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certify(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key := newECKey(t, elliptic.P256())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(9, 0, 0),
	}
	certificate := certify(t, template, template, key.Public(), key)
	id, err := KeyID(certificate)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t: t, key: key, certificate: certificate, id: id}
}

func (a *authority) responder(key crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Responder"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, NotBefore: noon.AddDate(0, 0, -1), NotAfter: noon.AddDate(0, 0, 7),
		ExtraExtensions: []pkix.Extension{{Id: idPKIXOCSPNocheck, Value: []byte{5, 0}}},
	}
	if change != nil {
		change(template)
	}
	return certify(a.t, template, a.certificate, key.Public(), a.key)
}

// leaf is a certificate only by name: what a client needs to ask.
func leaf(n byte) *x509.Certificate {
	s := serial(n)
	return &x509.Certificate{SerialNumber: new(big.Int).SetBytes(s[:])}
}

type bench struct {
	*Responder
	ca, other *authority
	image     *table
	now       time.Time
	cfg       Config
}

// newBench makes a responder for two issuers with these serials of the first:
// 1 good, 2 held, 3 revoked for key compromise, 4 intended.
func newBench(t testing.TB, change func(*Config)) *bench {
	t.Helper()
	b := &bench{ca: newAuthority(t, "First"), other: newAuthority(t, "Second"), now: noon}
	b.image = &table{asOf: noon.Add(-5 * time.Second), records: map[card.Serial]feed.Record{}}
	b.image.set(b.ca.id, 1, card.StatusGood, 0)
	b.image.set(b.ca.id, 2, card.StatusHeld, card.CertificateHold)
	b.image.set(b.ca.id, 3, card.StatusRevoked, card.KeyCompromise)
	b.image.set(b.ca.id, 4, card.StatusIntended, 0)
	b.cfg = Config{Image: b.image, Issuers: []*x509.Certificate{b.ca.certificate, b.other.certificate}, Now: func() time.Time { return b.now }}
	if change != nil {
		change(&b.cfg)
	}
	var err error
	b.Responder, err = New(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []*authority{b.ca, b.other} {
		key := newECKey(t, elliptic.P256())
		err = b.Install(a.id, a.responder(key, nil), key)
		if err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// ask builds a request in Go and returns the answer.
func (b *bench) ask(t testing.TB, ids ...CertID) Response {
	t.Helper()
	response, err := b.Answer(buildRequest(t, ids, nil))
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// certID names a certificate as x/crypto/ocsp does.
func certID(t testing.TB, issuer *x509.Certificate, n byte, hash crypto.Hash) CertID {
	t.Helper()
	der, err := xocsp.CreateRequest(leaf(n), issuer, &xocsp.RequestOptions{Hash: hash})
	if err != nil {
		t.Fatal(err)
	}
	request, err := ParseRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return request.CertIDs[0]
}
