package testpki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cpsca/card"
	"cpsca/hsm"
)

// Flaw is what is wrong with a request that nobody should certify as it asks.
type Flaw string

// The flaws. Everything else about such a request is as it should be; those of the key take a fresh key, since that of
// the card has no flaw.
const (
	WrongChallenge Flaw = "wrong challenge"            // carries another text
	NoChallenge    Flaw = "no challenge"               // has no attribute at all
	TwoChallenges  Flaw = "two challenges"             // the right one and another, in one attribute
	BadSignature   Flaw = "bad signature"              // one bit of it is another
	WeakDigest     Flaw = "weak digest"                // signed over SHA-1
	ForeignKey     Flaw = "key of another card"        // asks for a key that did not sign it
	Trailing       Flaw = "trailing octet"             // one octet follows the request
	RSA1024        Flaw = "RSA-1024"                   // a modulus of 1024 bits
	SmallExponent  Flaw = "exponent 3"                 // RSA-2048, e = 3
	P224           Flaw = "P-224"                      // a named curve of 224 bits
	NoParameters   Flaw = "RSA without NULL"           // rsaEncryption without its parameters
	LongLength     Flaw = "length in too many octets"  // BER and not DER around the public key
	Compressed     Flaw = "compressed point"           // P-256, X and the sign of Y
	OffCurve       Flaw = "point off the curve"        // P-256, one bit of Y is another
	AskAuthority   Flaw = "asks to be an authority"    // honest but for an extensionRequest of CA:TRUE
	AskName        Flaw = "asks for a name of its own" // honest but for an extensionRequest of a subjectAltName
)

// Flaws lists them all.
var Flaws = [...]Flaw{
	WrongChallenge, NoChallenge, TwoChallenges, BadSignature, WeakDigest, ForeignKey, Trailing, RSA1024, SmallExponent, P224,
	NoParameters, LongLength, Compressed, OffCurve, AskAuthority, AskName,
}

// FlawedRequest returns a request as Request does, but with a flaw. AskAuthority and AskName are in order as proofs: they
// may be certified, with nothing of what they ask for.
func (c *Card) FlawedRequest(flaw Flaw, use card.Use, challenge string) ([]byte, error) {
	r, err := c.request(use, challenge)
	if err != nil {
		return nil, err
	}
	switch flaw {
	case RSA1024, SmallExponent, P224, NoParameters, LongLength, Compressed, OffCurve:
		r, err = r.withFlawedKey(flaw)
	case ForeignKey:
		r.spki, err = foreignSPKI(r.signer.Public())
	case WrongChallenge:
		r.attributes = [][]byte{challengeAttribute(challenge + "0")}
	case NoChallenge:
		r.attributes = nil
	case TwoChallenges:
		r.attributes = [][]byte{challengeAttribute(challenge, challenge+"0")}
	case BadSignature:
		// The last octet of s in ECDSA, of the whole in RSA: it parses and does not verify.
		r.damage = func(signature []byte) { signature[len(signature)-1] ^= 1 }
	case WeakDigest:
		r.hash = crypto.SHA1
	case AskAuthority:
		r.attributes = append(r.attributes, extensionRequest(asn1.ObjectIdentifier{2, 5, 29, 19}, []byte{0x30, 3, 1, 1, 0xff}))
	case AskName:
		r.attributes = append(r.attributes, extensionRequest(asn1.ObjectIdentifier{2, 5, 29, 17}, []byte("\x30\x10\x82\x0etest.example.x")))
	case Trailing:
	default:
		err = fmt.Errorf("flaw %q is unknown", flaw)
	}
	if err != nil {
		return nil, err
	}
	der, err := r.signed()
	if err == nil && flaw == Trailing {
		der = append(der, 0)
	}
	return der, err
}

// extensionRequest encodes an Attribute { extensionRequest, SET OF Extensions } of one extension.
func extensionRequest(id asn1.ObjectIdentifier, value []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidExtensionRequest)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(id)
					b.AddASN1OctetString(value)
				})
			})
		})
	})
	return b.BytesOrPanic()
}

// withFlawedKey is the same request for, and by, a key that has the flaw.
func (r *request) withFlawedKey(flaw Flaw) (*request, error) {
	key, err := flawedKey(flaw)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	flawed, err := newRequest(key, r.subject)
	if err != nil {
		return nil, err
	}
	flawed.attributes = r.attributes
	switch flaw {
	case NoParameters:
		flawed.spki, err = withoutParameters(key.Public())
	case LongLength:
		flawed.spki = longerLength(flawed.spki)
	case Compressed, OffCurve:
		flawed.spki, err = flawedPoint(flaw, key.Public())
	}
	return flawed, err
}

func flawedKey(flaw Flaw) (crypto.Signer, error) {
	switch flaw {
	case RSA1024:
		return rsa.GenerateKey(rand.Reader, 1024)
	case SmallExponent:
		return smallExponentKey()
	case P224:
		return ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	case NoParameters, LongLength:
		return GenerateKey(hsm.RSA2048)
	}
	return GenerateKey(hsm.P256)
}

// smallExponentKey makes an RSA-2048 key with e = 3, which needs primes of remainder 2.
func smallExponentKey() (crypto.Signer, error) {
	var primes []*big.Int
	for len(primes) < 2 {
		prime, err := newPrime()
		if err != nil {
			return nil, err
		}
		if new(big.Int).Mod(prime, big.NewInt(3)).Int64() == 2 {
			primes = append(primes, prime)
		}
	}
	return keyOf(primes[0], primes[1], 3)
}

// foreignSPKI is of a fresh key of the same kind.
func foreignSPKI(public crypto.PublicKey) ([]byte, error) {
	algorithm := hsm.RSA2048
	if own, ok := public.(*ecdsa.PublicKey); ok {
		algorithm = hsm.P256
		if own.Curve == elliptic.P384() {
			algorithm = hsm.P384
		}
	}
	key, err := GenerateKey(algorithm)
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKIXPublicKey(key.Public())
}

// withoutParameters leaves out the NULL that RFC 3279 §2.3.1 asks for.
func withoutParameters(public crypto.PublicKey) ([]byte, error) {
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a %T is not an RSA key", public)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1})
		})
		b.AddASN1BitString(x509.MarshalPKCS1PublicKey(key))
	})
	return b.Bytes()
}

// longerLength writes the length of an element whose length is of two octets in four, which BER allows and DER does not
// (X.690 §10.1).
func longerLength(der []byte) []byte {
	content := der[4:]
	return append(binary.BigEndian.AppendUint32([]byte{der[0], 0x84}, uint32(len(content))), content...)
}

func flawedPoint(flaw Flaw, public crypto.PublicKey) ([]byte, error) {
	key, ok := public.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("a %T has no point", public)
	}
	curve, point, err := pointOf(key)
	if err != nil {
		return nil, err
	}
	last := len(point) - 1
	if flaw == OffCurve {
		point[last] ^= 1
		return spkiOf(curve, point)
	}
	compressed := append([]byte{2 + point[last]&1}, point[1:1+last/2]...)
	return spkiOf(curve, compressed)
}
