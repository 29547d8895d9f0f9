package profiles

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
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
	rsaAlgorithm = mustSequence(encoded(oidRSAEncryption), []byte{tagNull, 0})
	curves       = []struct {
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

// ParseSPKI reads a SubjectPublicKeyInfo and accepts only the one canonical
// DER encoding of its key: RSA with NULL parameters (RFC 3279 §2.3.1), or an
// uncompressed point on the named curve P-224, P-256, P-384 or P-521
// (RFC 5480 §2). Which sizes, exponents and curves may have a certificate is
// not decided here.
//
// It returns ErrUnsupportedKey for other algorithms and curves and
// ErrNotCanonical for everything that is not the canonical encoding, a point
// off its curve included.
func ParseSPKI(spki []byte) (crypto.PublicKey, error) {
	algorithm, bits, err := splitSPKI(spki)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(algorithm, rsaAlgorithm) {
		key, err := parseRSA(bits)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(appendSPKI(nil, algorithm, appendRSA(nil, key)), spki) {
			return nil, ErrNotCanonical
		}
		return key, nil
	}
	for _, known := range curves {
		if !bytes.Equal(algorithm, known.algorithm) {
			continue
		}
		key, err := ecdsa.ParseUncompressedPublicKey(known.curve, bits)
		if err != nil {
			return nil, fmt.Errorf("%w: not an uncompressed point of its curve", ErrNotCanonical)
		}
		if !bytes.Equal(appendSPKI(nil, algorithm, bits), spki) {
			return nil, ErrNotCanonical
		}
		return key, nil
	}
	return nil, unknownAlgorithm(algorithm)
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
// without leading zeros or of the uncompressed point. The errors are those of
// ParseSPKI.
func KeyFingerprint(spki []byte) (card.Fingerprint, error) {
	key, err := ParseSPKI(spki)
	if err != nil {
		return card.Fingerprint{}, err
	}
	return fingerprint(key, spki)
}

// fingerprint takes the key that ParseSPKI made of spki.
func fingerprint(key crypto.PublicKey, spki []byte) (card.Fingerprint, error) {
	if rsaKey, ok := key.(*rsa.PublicKey); ok {
		return card.Fingerprint(sha256.Sum256(rsaKey.N.Bytes())), nil
	}
	_, point, err := splitSPKI(spki)
	if err != nil {
		return card.Fingerprint{}, err
	}
	return card.Fingerprint(sha256.Sum256(point)), nil
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

func appendRSA(b []byte, key *rsa.PublicKey) []byte {
	start := len(b)
	b = appendInteger(b, key.N.Bytes())
	b = appendInteger(b, []byte{byte(key.E >> 24), byte(key.E >> 16), byte(key.E >> 8), byte(key.E)})
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
