package crl

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"sync"
	"testing"
	"time"

	"cpsca/card"
)

// noon is the instant at which most tests happen.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// The keys are made once: an RSA key costs more than all other tests.
var (
	rsaKey  = sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	p256Key = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	p384Key = sync.OnceValue(func() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func testCertificate(t testing.TB, key crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	_, err := asn1.Unmarshal(must(x509.MarshalPKIXPublicKey(key.Public())), &info)
	if err != nil {
		t.Fatal(err)
	}
	keyID := sha1.Sum(info.PublicKey.Bytes)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Country: []string{"FR"}, CommonName: "Test list issuer"},
		NotBefore: noon.AddDate(-30, 0, 0), NotAfter: noon.AddDate(30, 0, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCRLSign | x509.KeyUsageCertSign,
		SubjectKeyId: keyID[:],
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return must(x509.ParseCertificate(der))
}

func testIssuer(t testing.TB, key crypto.Signer) *Issuer {
	t.Helper()
	issuer, err := NewIssuer(testCertificate(t, key, nil), key)
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

// signerFunc signs with a key after, or instead of, something else.
type signerFunc struct {
	crypto.Signer
	sign func(digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

func (s signerFunc) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.sign(digest, opts)
}

func serialOf(n int) card.Serial {
	s := card.Serial{0x1d}
	binary.BigEndian.PutUint64(s[8:], uint64(n))
	return s
}

// revoked is the n-th serial of an issuer, revoked at noon and valid for a year.
func revoked(issuer *Issuer, n int) card.Revocation {
	return card.Revocation{
		Issuer: issuer.KeyID, Serial: serialOf(n), Status: card.StatusRevoked, Since: noon.Add(-time.Hour),
		Reason: card.KeyCompromise, NotAfter: noon.AddDate(1, 0, 0), Cause: card.CauseCard,
	}
}

func entriesOf(t testing.TB, p Policy, revocations ...card.Revocation) []Entry {
	t.Helper()
	var entries []Entry
	for _, r := range revocations {
		e, err := p.Entry(r)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

func contentAt(number int64, thisUpdate time.Time) Content {
	return Content{Number: number, ThisUpdate: thisUpdate, NextUpdate: thisUpdate.Add(DefaultLifetime)}
}

func readPEM(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("%s holds no PEM block", path)
	}
	return block.Bytes
}

// ledger is a Source and a Numbers in memory.
type ledger struct {
	mu          sync.Mutex
	revocations []card.Revocation
	sequence    uint64
	number      int64
	recorded    []int64
	failSource  error
	failReserve error
	failRecord  error
}

func (l *ledger) Revocations(context.Context, card.KeyID) ([]card.Revocation, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]card.Revocation(nil), l.revocations...), l.sequence, l.failSource
}

func (l *ledger) ReserveNumber(_ context.Context, _ card.KeyID, thisUpdate, nextUpdate time.Time) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.number++
	return l.number, l.failReserve
}

func (l *ledger) Published(ctx context.Context, _ card.KeyID, number int64, _ [32]byte, _ uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if l.failRecord == nil {
		l.recorded = append(l.recorded, number)
	}
	return l.failRecord
}

func (l *ledger) add(r ...card.Revocation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revocations = append(l.revocations, r...)
	l.sequence++
}

func (l *ledger) change(n int, f func(*card.Revocation)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.revocations[n])
	l.sequence++
}

func (l *ledger) reserved() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.number
}
