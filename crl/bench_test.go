package crl

import (
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"testing"

	"cpsca/card"
)

const benchEntries = 100_000

func perEntry(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEntries, "ns/entry")
}

func benchRevocations(issuer *Issuer) []card.Revocation {
	revocations := make([]card.Revocation, benchEntries)
	for n := range revocations {
		revocations[n] = revoked(issuer, n)
		must(rand.Read(revocations[n].Serial[1:]))
	}
	return revocations
}

// BenchmarkBuild signs a list of entries that are encoded already.
func BenchmarkBuild(b *testing.B) {
	issuer := testIssuer(b, p256Key())
	entries := entriesOf(b, Policy{}, benchRevocations(issuer)...)
	b.ReportAllocs()
	for b.Loop() {
		must(Build(issuer, contentAt(1, noon), entries))
	}
	perEntry(b)
}

// BenchmarkChooseAndBuild selects, encodes, sorts and signs.
func BenchmarkChooseAndBuild(b *testing.B) {
	issuer := testIssuer(b, p256Key())
	revocations := benchRevocations(issuer)
	l := &line{issuer: issuer}
	b.ReportAllocs()
	for b.Loop() {
		must(Build(issuer, contentAt(1, noon), must(l.choose(Policy{}, revocations, noon))))
	}
	perEntry(b)
}

// BenchmarkParse reads and checks the shape of a list.
func BenchmarkParse(b *testing.B) {
	issuer := testIssuer(b, p256Key())
	der := must(Build(issuer, contentAt(1, noon), entriesOf(b, Policy{}, benchRevocations(issuer)...)))
	b.ReportAllocs()
	for b.Loop() {
		must(Parse(der))
	}
	perEntry(b)
}

// BenchmarkX509 is the limit to compare with: crypto/x509 making the same list.
func BenchmarkX509(b *testing.B) {
	issuer := testIssuer(b, p256Key())
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: noon, NextUpdate: noon.Add(DefaultLifetime)}
	for _, r := range benchRevocations(issuer) {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: new(big.Int).SetBytes(r.Serial[:]), RevocationTime: r.Since})
	}
	b.ReportAllocs()
	for b.Loop() {
		must(x509.CreateRevocationList(rand.Reader, list, issuer.Certificate, issuer.Signer))
	}
	perEntry(b)
}
