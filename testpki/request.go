package testpki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	_ "crypto/sha1" // for a request with a weak digest
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cpsca/profiles"
)

var (
	oidCommonName        = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidChallengePassword = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}  // RFC 2985 §5.4.1
	oidExtensionRequest  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14} // RFC 2985 §5.4.2

	oidSHA1WithRSA     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}
	oidSHA256WithRSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidECDSAWithSHA1   = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}
	oidECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidECDSAWithSHA384 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
)

// request is what a PKCS#10 request is made of. crypto/x509 is not used for it, since it has no challengePassword and
// would correct the flaws that some requests are to have.
//
//	CertificationRequest ::= SEQUENCE {
//	    certificationRequestInfo CertificationRequestInfo,
//	    signatureAlgorithm AlgorithmIdentifier, signature BIT STRING }
//	CertificationRequestInfo ::= SEQUENCE {
//	    version INTEGER { v1(0) }, subject Name,
//	    subjectPKInfo SubjectPublicKeyInfo, attributes [0] IMPLICIT SET OF Attribute }
type request struct {
	subject    string // commonName
	spki       []byte
	attributes [][]byte // DER
	signer     crypto.Signer
	hash       crypto.Hash
	// damage changes the signature before it is written.
	damage func(signature []byte)
}

func newRequest(key crypto.Signer, subject string) (*request, error) {
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("encoding a public key: %w", err)
	}
	hash := crypto.SHA256
	algorithm, err := profiles.AlgorithmFor(key.Public())
	if err == nil && algorithm.Hash() != 0 {
		hash = algorithm.Hash()
	}
	return &request{subject: subject, spki: spki, signer: key, hash: hash}, nil
}

// signed encodes the request and signs it.
func (r *request) signed() ([]byte, error) {
	info, err := r.info()
	if err != nil {
		return nil, fmt.Errorf("encoding a request: %w", err)
	}
	h := r.hash.New()
	h.Write(info)
	signature, err := r.signer.Sign(rand.Reader, h.Sum(nil), r.hash)
	if err != nil {
		return nil, fmt.Errorf("signing a request: %w", err)
	}
	if r.damage != nil {
		r.damage(signature)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(info)
		r.addAlgorithm(b)
		b.AddASN1BitString(signature)
	})
	return b.Bytes()
}

func (r *request) info() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oidCommonName)
					addText(b, r.subject)
				})
			})
		})
		b.AddBytes(r.spki)
		// A SET OF is in the order of its encodings (X.690 §11.6).
		ordered := slices.SortedFunc(slices.Values(r.attributes), bytes.Compare)
		b.AddASN1(cbasn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			for _, attribute := range ordered {
				b.AddBytes(attribute)
			}
		})
	})
	return b.Bytes()
}

// addAlgorithm writes the AlgorithmIdentifier: RSA with NULL (RFC 4055 §5), ECDSA without parameters (RFC 5758 §3.2).
func (r *request) addAlgorithm(b *cryptobyte.Builder) {
	_, isECDSA := r.signer.Public().(*ecdsa.PublicKey)
	id := oidSHA256WithRSA
	switch {
	case isECDSA && r.hash == crypto.SHA1:
		id = oidECDSAWithSHA1
	case isECDSA && r.hash == crypto.SHA384:
		id = oidECDSAWithSHA384
	case isECDSA:
		id = oidECDSAWithSHA256
	case r.hash == crypto.SHA1:
		id = oidSHA1WithRSA
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		if !isECDSA {
			b.AddASN1NULL()
		}
	})
}

// challengeAttribute encodes an Attribute { challengePassword, SET OF DirectoryString } of those values.
func challengeAttribute(challenges ...string) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidChallengePassword)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			for _, challenge := range challenges {
				addText(b, challenge)
			}
		})
	})
	return b.BytesOrPanic()
}

// addText writes a PrintableString where its alphabet is enough (X.680 §41.4), as RFC 2985 prefers, else a UTF8String.
func addText(b *cryptobyte.Builder, text string) {
	tag := cbasn1.PrintableString
	for _, r := range text {
		letter := r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
		if !letter && !slices.Contains([]rune(" '()+,-./:=?"), r) {
			tag = cbasn1.UTF8String
		}
	}
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
}

// spkiOf encodes an EC key with a point as given (RFC 5480 §2).
func spkiOf(curve asn1.ObjectIdentifier, point []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1})
			b.AddASN1ObjectIdentifier(curve)
		})
		b.AddASN1BitString(point)
	})
	return b.Bytes()
}

// pointOf returns curve identifier and uncompressed point of a P-256 or P-384 key.
func pointOf(key *ecdsa.PublicKey) (asn1.ObjectIdentifier, []byte, error) {
	point, err := key.Bytes()
	if err != nil {
		return nil, nil, fmt.Errorf("encoding a point: %w", err)
	}
	if key.Curve == elliptic.P384() {
		return asn1.ObjectIdentifier{1, 3, 132, 0, 34}, point, nil
	}
	return asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}, point, nil
}
