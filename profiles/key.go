package profiles

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"math"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cpsca/card"
)

// maxSPKI bounds what is parsed: an RSA modulus of 16384 bits fits.
const maxSPKI = 2200

// SubjectPublicKeyInfo ::= SEQUENCE {
//      algorithm         AlgorithmIdentifier,
//      subjectPublicKey  BIT STRING }                 -- RFC 5280 §4.1
// RSAPublicKey ::= SEQUENCE {
//      modulus           INTEGER,
//      publicExponent    INTEGER }                    -- RFC 3279 §2.3.1

var (
	rsaAlgorithm     = mustSequence(encoded(oidRSAEncryption), []byte{tagNull, 0})
	ed25519Algorithm = mustSequence(encoded(oidEd25519))
	curves           = []struct {
		algorithm []byte
		curve     elliptic.Curve
	}{
		{mustSequence(encoded(oidECPublicKey), encoded(oidP256)), elliptic.P256()},
		{mustSequence(encoded(oidECPublicKey), encoded(oidP384)), elliptic.P384()},
		{mustSequence(encoded(oidECPublicKey), encoded(oidP521)), elliptic.P521()},
		{mustSequence(encoded(oidECPublicKey), encoded(oidP224)), elliptic.P224()},
	}
)

func mustSequence(parts ...[]byte) []byte {
	return appendElement(nil, tagSequence, bytes.Join(parts, nil))
}

// Key is a public key that ParseKey read, with its names. It never changes and
// may be used by any number of goroutines.
type Key struct {
	public      crypto.PublicKey
	spki        []byte
	id          card.KeyID
	fingerprint card.Fingerprint
}

// Public returns the key, as ParseSPKI does; not to be changed.
func (k *Key) Public() crypto.PublicKey { return k.public }

// SPKI returns its SubjectPublicKeyInfo in DER; not to be changed.
func (k *Key) SPKI() []byte { return k.spki }

// ID returns its subject key identifier, see SubjectKeyID.
func (k *Key) ID() card.KeyID { return k.id }

// Fingerprint names the key for ever, see KeyFingerprint.
func (k *Key) Fingerprint() card.Fingerprint { return k.fingerprint }

// ParseKey reads a SubjectPublicKeyInfo once for all its uses; it keeps the
// slice. Canonical encodings alone are accepted: RSA with NULL parameters
// (RFC 3279 §2.3.1), an uncompressed point on the named curve P-224, P-256,
// P-384 or P-521 (RFC 5480 §2), or Ed25519 without parameters (RFC 8410 §4).
// Which kinds, sizes, exponents and curves may have a certificate is not decided
// here.
//
// It returns ErrUnsupportedKey for other algorithms and curves and
// ErrNotCanonical for everything that is not the canonical encoding, a point
// off its curve included.
func ParseKey(spki []byte) (*Key, error) {
	algorithm, bits, err := splitSPKI(spki)
	if err != nil {
		return nil, err
	}
	public, material, err := readKey(algorithm, bits, spki)
	if err != nil {
		return nil, err
	}
	return &Key{public: public, spki: spki, id: sha1.Sum(bits), fingerprint: sha256.Sum256(material)}, nil
}

// readKey returns the key and what its fingerprint is made of.
func readKey(algorithm, bits, spki []byte) (key crypto.PublicKey, material []byte, err error) {
	if bytes.Equal(algorithm, rsaAlgorithm) {
		return readRSA(algorithm, bits, spki)
	}
	for _, known := range curves {
		if !bytes.Equal(algorithm, known.algorithm) {
			continue
		}
		key, err := ecdsa.ParseUncompressedPublicKey(known.curve, bits)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: not an uncompressed point of its curve", ErrNotCanonical)
		}
		return key, bits, canonical(algorithm, bits, spki)
	}
	if bytes.Equal(algorithm, ed25519Algorithm) {
		if len(bits) != ed25519.PublicKeySize {
			return nil, nil, fmt.Errorf("%w: an Ed25519 key has 32 octets", ErrNotCanonical)
		}
		return ed25519.PublicKey(bits), bits, canonical(algorithm, bits, spki)
	}
	return nil, nil, unknownAlgorithm(algorithm)
}

func readRSA(algorithm, bits, spki []byte) (crypto.PublicKey, []byte, error) {
	key, err := parseRSA(bits)
	if err != nil {
		return nil, nil, err
	}
	modulus := key.N.Bytes()
	var scratch [maxSPKI]byte
	again := appendRSA(scratch[:0], modulus, key.E)
	if !bytes.Equal(again, bits) {
		return nil, nil, ErrNotCanonical
	}
	return key, modulus, canonical(algorithm, bits, spki)
}

// canonical asks for the one encoding of its parts.
func canonical(algorithm, bits, spki []byte) error {
	var scratch [maxSPKI + 16]byte
	if !bytes.Equal(appendSPKI(scratch[:0], algorithm, bits), spki) {
		return ErrNotCanonical
	}
	return nil
}

// ParseSPKI returns the public key that ParseKey reads.
func ParseSPKI(spki []byte) (crypto.PublicKey, error) {
	key, err := ParseKey(spki)
	if err != nil {
		return nil, err
	}
	return key.public, nil
}

// SubjectKeyID returns the SHA-1 of the BIT STRING content of a
// SubjectPublicKeyInfo (RFC 5280 §4.2.1.2 method 1). It returns
// ErrNotCanonical if there is no such content to hash.
func SubjectKeyID(spki []byte) (card.KeyID, error) {
	_, bits, err := splitSPKI(spki)
	if err != nil {
		return card.KeyID{}, err
	}
	return card.KeyID(sha1.Sum(bits)), nil
}

// KeyFingerprint identifies a key for ever: the SHA-256 of the RSA modulus
// without leading zeros, of the uncompressed point, or of the octets of an
// Ed25519 key. The errors are those of ParseKey.
func KeyFingerprint(spki []byte) (card.Fingerprint, error) {
	key, err := ParseKey(spki)
	if err != nil {
		return card.Fingerprint{}, err
	}
	return key.fingerprint, nil
}

// splitSPKI returns the AlgorithmIdentifier with its header and the octets of
// the BIT STRING, both inside spki.
func splitSPKI(spki []byte) (algorithm, bits []byte, err error) {
	if len(spki) > maxSPKI {
		return nil, nil, fmt.Errorf("%w: longer than %d octets", ErrUnsupportedKey, maxSPKI)
	}
	input := cryptobyte.String(spki)
	var outer, identifier cryptobyte.String
	if !input.ReadASN1(&outer, asn1.SEQUENCE) || !input.Empty() ||
		!outer.ReadASN1Element(&identifier, asn1.SEQUENCE) ||
		!outer.ReadASN1BitStringAsBytes(&bits) || !outer.Empty() {
		return nil, nil, ErrNotCanonical
	}
	return identifier, bits, nil
}

func parseRSA(bits []byte) (*rsa.PublicKey, error) {
	input := cryptobyte.String(bits)
	var sequence cryptobyte.String
	modulus, exponent := new(big.Int), new(big.Int)
	if !input.ReadASN1(&sequence, asn1.SEQUENCE) || !input.Empty() ||
		!sequence.ReadASN1Integer(modulus) || !sequence.ReadASN1Integer(exponent) || !sequence.Empty() {
		return nil, ErrNotCanonical
	}
	if modulus.Sign() <= 0 || exponent.Sign() <= 0 {
		return nil, fmt.Errorf("%w: modulus or exponent is not positive", ErrNotCanonical)
	}
	if !exponent.IsInt64() || exponent.Int64() > math.MaxInt32 {
		return nil, fmt.Errorf("%w: exponent of more than 31 bits", ErrUnsupportedKey)
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

func appendRSA(b, modulus []byte, exponent int) []byte {
	start := len(b)
	b = appendInteger(b, modulus)
	b = appendInteger(b, []byte{byte(exponent >> 24), byte(exponent >> 16), byte(exponent >> 8), byte(exponent)})
	return enclose(b, start, tagSequence)
}

func appendSPKI(b, algorithm, bits []byte) []byte {
	start := len(b)
	b = append(b, algorithm...)
	b = appendBitString(b, bits)
	return enclose(b, start, tagSequence)
}

func appendBitString(b, octets []byte) []byte {
	start := len(b)
	b = append(b, 0)
	b = append(b, octets...)
	return enclose(b, start, tagBitString)
}

// unknownAlgorithm tells a known kind of key with wrong parameters from a
// kind that is not known.
func unknownAlgorithm(algorithm []byte) error {
	input := cryptobyte.String(algorithm)
	var sequence, id cryptobyte.String
	if !input.ReadASN1(&sequence, asn1.SEQUENCE) || !sequence.ReadASN1Element(&id, asn1.OBJECT_IDENTIFIER) {
		return ErrNotCanonical
	}
	if bytes.Equal(id, encoded(oidRSAEncryption)) {
		return fmt.Errorf("%w: the parameters of an RSA key are NULL", ErrNotCanonical)
	}
	if bytes.Equal(id, encoded(oidECPublicKey)) && !sequence.PeekASN1Tag(asn1.OBJECT_IDENTIFIER) {
		return fmt.Errorf("%w: the curve is not named", ErrNotCanonical)
	}
	return ErrUnsupportedKey
}
