package profiles

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// SignatureAlgorithm is an algorithm with which an issuer signs. The zero
// value is none.
type SignatureAlgorithm int

// The algorithms of the issuers.
const (
	SHA256WithRSA   SignatureAlgorithm = 1 // RSASSA-PKCS1-v1_5 (RFC 8017 §8.2)
	ECDSAWithSHA256 SignatureAlgorithm = 2 // on P-256 (RFC 5758 §3.2)
	ECDSAWithSHA384 SignatureAlgorithm = 3 // on P-384 (RFC 5758 §3.2)
	Ed25519         SignatureAlgorithm = 4 // RFC 8410 §3
)

// String returns the name of the algorithm in the style of RFC 5758.
func (a SignatureAlgorithm) String() string {
	switch a {
	case SHA256WithRSA:
		return "sha256WithRSAEncryption"
	case ECDSAWithSHA256:
		return "ecdsa-with-SHA256"
	case ECDSAWithSHA384:
		return "ecdsa-with-SHA384"
	case Ed25519:
		return "id-Ed25519"
	}
	return "no signature algorithm"
}

// Hash returns the digest that is signed, 0 for Ed25519, which signs the text
// itself, and for an unknown algorithm.
func (a SignatureAlgorithm) Hash() crypto.Hash {
	switch a {
	case SHA256WithRSA, ECDSAWithSHA256:
		return crypto.SHA256
	case ECDSAWithSHA384:
		return crypto.SHA384
	}
	return 0
}

// Identifier returns the DER AlgorithmIdentifier in a slice of its own, nil
// for an unknown algorithm. RSA has NULL parameters (RFC 4055 §5), ECDSA and
// Ed25519 have none (RFC 5758 §3.2, RFC 8410 §3).
func (a SignatureAlgorithm) Identifier() []byte {
	var id oid
	switch a {
	case SHA256WithRSA:
		id = oidSHA256WithRSA
	case ECDSAWithSHA256:
		id = oidECDSAWithSHA256
	case ECDSAWithSHA384:
		id = oidECDSAWithSHA384
	case Ed25519:
		id = oidEd25519
	default:
		return nil
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		if a == SHA256WithRSA {
			b.AddASN1NULL()
		}
	})
	der, _ := b.Bytes()
	return der
}

// AlgorithmFor returns the algorithm with which a key of an issuer signs. It
// returns ErrUnsupportedKey for anything but RSA, P-256, P-384 and Ed25519.
func AlgorithmFor(pub crypto.PublicKey) (SignatureAlgorithm, error) {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		return SHA256WithRSA, nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return ECDSAWithSHA256, nil
		case elliptic.P384():
			return ECDSAWithSHA384, nil
		}
	case ed25519.PublicKey:
		return Ed25519, nil
	}
	return 0, ErrUnsupportedKey
}
