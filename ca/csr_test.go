package ca_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// csr encodes a certification request as it is told to (RFC 2986 §4).
func csr(t testing.TB, spki []byte, signer crypto.Signer, attributes ...[]byte) []byte {
	t.Helper()
	var info, whole cryptobyte.Builder
	info.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cbasn1.SEQUENCE, func(*cryptobyte.Builder) {})
		b.AddBytes(spki)
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			for _, attribute := range attributes {
				b.AddBytes(attribute)
			}
		})
	})
	der := must(info.Bytes())(t)
	digest := sha256.Sum256(der)
	signature := must(signer.Sign(rand.Reader, digest[:], crypto.SHA256))(t)
	whole.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(der)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2})
		})
		b.AddASN1BitString(signature)
	})
	return must(whole.Bytes())(t)
}

// challengeAttribute is a challengePassword of one text (RFC 2985 §5.4.1).
func challengeAttribute(t testing.TB, tag cbasn1.Tag, challenge string) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7})
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(challenge)) })
		})
	})
	return must(b.Bytes())(t)
}

// bulk is an attribute that nobody asked for, of many octets.
func bulk(t testing.TB, octets int) []byte {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1})
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddASN1OctetString(make([]byte, octets)) })
	})
	return must(b.Bytes())(t)
}
