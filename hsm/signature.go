package hsm

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"

	"github.com/miekg/pkcs11"
)

// hashes that are signed here.
//
//	DigestInfo ::= SEQUENCE { digestAlgorithm AlgorithmIdentifier, digest OCTET STRING }   -- RFC 8017 §9.2
//
// prefix is all of it, in DER, before the digest (note 1 there).
var hashes = map[crypto.Hash]struct {
	prefix    []byte
	mechanism uint // CKM_… of the hash, for PSS
	mgf       uint // CKG_…
}{
	crypto.SHA256: {[]byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20},
		pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256},
	crypto.SHA384: {[]byte{0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30},
		pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384},
	crypto.SHA512: {[]byte{0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40},
		pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512},
}

// mechanism checks digest and options against the algorithm and returns what the token is to be given. What a token
// does with a digest that does not fit, it does silently: ECDSA cuts it off.
func (a Algorithm) mechanism(digest []byte, opts crypto.SignerOpts) (mechanism, []byte, error) {
	if opts == nil {
		return mechanism{}, nil, fmt.Errorf("%w: no options", ErrOptions)
	}
	hash := opts.HashFunc()
	if a == Ed25519 {
		ed, isEd := opts.(*ed25519.Options)
		if hash != 0 || isEd && ed.Context != "" {
			return mechanism{}, nil, fmt.Errorf("%w: Ed25519 signs the message itself, without hash or context", ErrOptions)
		}
		return mechanism{code: ckmEdDSA}, digest, nil
	}
	known, ok := hashes[hash]
	if !ok {
		return mechanism{}, nil, fmt.Errorf("%w: hash %d is not SHA-256, SHA-384 or SHA-512", ErrOptions, hash)
	}
	if len(digest) != hash.Size() {
		return mechanism{}, nil, fmt.Errorf("%w: the digest has %d bytes, %s has %d", ErrOptions, len(digest), hash, hash.Size())
	}
	p := algorithms[a]
	pss, isPSS := opts.(*rsa.PSSOptions)
	switch {
	case p.curve != nil && isPSS:
		return mechanism{}, nil, fmt.Errorf("%w: PSS with a %s key", ErrOptions, a)
	case p.curve != nil && 8*len(digest) > p.bits:
		return mechanism{}, nil, fmt.Errorf("%w: %s with a %s key", ErrOptions, hash, a)
	case p.curve != nil:
		return mechanism{code: pkcs11.CKM_ECDSA}, digest, nil
	case isPSS:
		salt := pss.SaltLength
		if salt == rsa.PSSSaltLengthEqualsHash {
			salt = len(digest)
		}
		// RFC 8017 §9.1.1 step 3. Zero is PSSSaltLengthAuto in Go: no caller means "as long as it goes".
		if salt <= 0 || salt > p.bits/8-len(digest)-2 {
			return mechanism{}, nil, fmt.Errorf("%w: PSS salt length %d", ErrOptions, pss.SaltLength)
		}
		return mechanism{pkcs11.CKM_RSA_PKCS_PSS, known.mechanism, known.mgf, uint(salt)}, digest, nil
	}
	return mechanism{code: pkcs11.CKM_RSA_PKCS}, append(known.prefix[:len(known.prefix):len(known.prefix)], digest...), nil
}

// trial is the mechanism that a key of this algorithm is tried with when nothing is signed.
func (a Algorithm) trial() mechanism {
	switch {
	case a == Ed25519:
		return mechanism{code: ckmEdDSA}
	case algorithms[a].curve != nil:
		return mechanism{code: pkcs11.CKM_ECDSA}
	}
	return mechanism{code: pkcs11.CKM_RSA_PKCS}
}

// encode turns what the token returned into a signature; it says no to what cannot be one.
func (a Algorithm) encode(raw []byte) ([]byte, bool) {
	size := (algorithms[a].bits + 7) / 8
	switch {
	case a == Ed25519:
		return raw, len(raw) == ed25519.SignatureSize
	case algorithms[a].curve != nil:
		return encodeECDSA(raw, size)
	}
	return raw, len(raw) == size
}

// encodeECDSA turns r and s, each of size bytes (v2.40 mechanisms §2.3.1), into
//
//	ECDSA-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }   -- RFC 3279 §2.2.3
//
// without numbers in between. It says no to another length and to zero, which is never part of a signature.
func encodeECDSA(raw []byte, size int) ([]byte, bool) {
	if len(raw) != 2*size {
		return nil, false
	}
	r, s := bytes.TrimLeft(raw[:size], "\x00"), bytes.TrimLeft(raw[size:], "\x00")
	if len(r) == 0 || len(s) == 0 {
		return nil, false
	}
	length := integerLength(r) + integerLength(s) // at most 102, so one byte
	der := make([]byte, 0, 2+length)
	der = append(der, 0x30, byte(length))
	return appendInteger(appendInteger(der, r), s), true
}

// integerLength is that of the DER INTEGER, whose first bit is the sign.
func integerLength(n []byte) int { return 2 + int(n[0]>>7) + len(n) }

func appendInteger(der, n []byte) []byte {
	der = append(der, 0x02, byte(integerLength(n)-2))
	if n[0]>>7 == 1 {
		der = append(der, 0)
	}
	return append(der, n...)
}
