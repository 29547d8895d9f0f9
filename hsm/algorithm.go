package hsm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"

	"github.com/miekg/pkcs11"
)

// Algorithm is the kind and size of a key. The zero value is none.
type Algorithm int

// The algorithms of keys that are made and used here. RSA keys have the public exponent 65537.
const (
	RSA2048 Algorithm = iota + 1
	RSA3072
	RSA4096
	P256
	P384
	Ed25519
)

// Numbers of PKCS#11 v3.0 that modules of v2.40 use too (mechanisms §2.3).
const (
	ckkECEdwards           = 0x40
	ckmECEdwardsKeyPairGen = 0x1055
	ckmEdDSA               = 0x1057
)

// parameters are the facts of an algorithm.
type parameters struct {
	name      string
	bits      int            // of the modulus or of a coordinate
	curve     elliptic.Curve // nil but for ECDSA
	oid       []byte         // ECParameters namedCurve, DER, SEC 1 §C.2; nil for RSA
	keyType   uint           // CKK_…
	generator uint           // CKM_… of the key pair generation
}

var algorithms = map[Algorithm]parameters{
	RSA2048: {name: "rsa-2048", bits: 2048, keyType: pkcs11.CKK_RSA, generator: pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN},
	RSA3072: {name: "rsa-3072", bits: 3072, keyType: pkcs11.CKK_RSA, generator: pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN},
	RSA4096: {name: "rsa-4096", bits: 4096, keyType: pkcs11.CKK_RSA, generator: pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN},
	P256: {name: "p-256", bits: 256, curve: elliptic.P256(), keyType: pkcs11.CKK_EC, generator: pkcs11.CKM_EC_KEY_PAIR_GEN,
		oid: []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}}, // prime256v1, 1.2.840.10045.3.1.7
	P384: {name: "p-384", bits: 384, curve: elliptic.P384(), keyType: pkcs11.CKK_EC, generator: pkcs11.CKM_EC_KEY_PAIR_GEN,
		oid: []byte{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22}}, // secp384r1, 1.3.132.0.34
	Ed25519: {name: "ed25519", bits: 256, keyType: ckkECEdwards, generator: ckmECEdwardsKeyPairGen,
		oid: []byte{0x06, 0x03, 0x2b, 0x65, 0x70}}, // id-Ed25519, 1.3.101.112, RFC 8410 §3
}

// String returns the name that configurations use.
func (a Algorithm) String() string {
	p, ok := algorithms[a]
	if !ok {
		return fmt.Sprintf("algorithm %d", int(a))
	}
	return p.name
}

// algorithmOf returns the algorithm of a public key, or an error for a kind or size that is not used here.
func algorithmOf(public crypto.PublicKey) (Algorithm, error) {
	for alg, p := range algorithms {
		switch key := public.(type) {
		case *rsa.PublicKey:
			if p.oid == nil && key.N.BitLen() == p.bits {
				return alg, nil
			}
		case *ecdsa.PublicKey:
			if p.curve != nil && key.Curve == p.curve {
				return alg, nil
			}
		case ed25519.PublicKey:
			if alg == Ed25519 && len(key) == ed25519.PublicKeySize {
				return alg, nil
			}
		}
	}
	return 0, fmt.Errorf("a %T of this size or curve is not used here", public)
}
