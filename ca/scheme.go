package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// padding is how a digest becomes a signature.
type padding int

const (
	ecdsaInDER  padding = iota + 1 // RFC 3279 §2.2.3
	rsaPKCS1v15                    // RFC 8017 §8.2
	rsaPSS                         // RFC 8017 §8.1, MGF1 over the same digest, salt as long as it
	pureEd25519                    // RFC 8032 §5.1.7, over the text itself
)

// scheme is a way to sign.
type scheme struct {
	padding padding
	hash    crypto.Hash // 0 for Ed25519
}

// verified says whether a signature over a text is by a key.
func (s scheme) verified(public crypto.PublicKey, text, signature []byte) bool {
	var room [sha512.Size]byte
	return s.verifies(public, s.signed(text, &room), signature)
}

// signed is what of a text the key signs: its digest, in room, or for Ed25519
// the text itself.
func (s scheme) signed(text []byte, room *[sha512.Size]byte) []byte {
	if s.padding == pureEd25519 {
		return text
	}
	return digestOf(s.hash, text, room)
}

// verifies is verified for what signed gave.
func (s scheme) verifies(public crypto.PublicKey, signed, signature []byte) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return s.padding == ecdsaInDER && ecdsa.VerifyASN1(key, signed, signature)
	case *rsa.PublicKey:
		switch s.padding {
		case rsaPKCS1v15:
			return rsa.VerifyPKCS1v15(key, s.hash, signed, signature) == nil
		case rsaPSS:
			return rsa.VerifyPSS(key, s.hash, signed, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
	case ed25519.PublicKey:
		return s.padding == pureEd25519 && len(key) == ed25519.PublicKeySize && ed25519.Verify(key, signed, signature)
	}
	return false
}

// digestOf is the digest of a text, in room where that has the room.
func digestOf(hash crypto.Hash, text []byte, room *[sha512.Size]byte) []byte {
	switch hash {
	case crypto.SHA256:
		digest := sha256.Sum256(text)
		return append(room[:0], digest[:]...)
	case crypto.SHA384:
		digest := sha512.Sum384(text)
		return append(room[:0], digest[:]...)
	case crypto.SHA512:
		digest := sha512.Sum512(text)
		return append(room[:0], digest[:]...)
	}
	return nil // no scheme has another
}

// requestSchemes are the signatures that a certification request may have, by
// its AlgorithmIdentifier in DER: those of SHA-2 from 256 bits on. ECDSA has no
// parameters (RFC 5758 §3.2); RSA has NULL, and none is understood too
// (RFC 4055 §5).
var requestSchemes = makeRequestSchemes()

var (
	oidECDSA = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3}      // ecdsa-with-SHA2
	oidPKCS1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1}     // RFC 8017 appendix C
	oidSHA2  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2} // RFC 5754 §2
)

func makeRequestSchemes() map[string]scheme {
	out := make(map[string]scheme)
	for _, h := range []struct {
		hash               crypto.Hash
		ecdsa, pkcs1, sha2 int // last arc of each
	}{{crypto.SHA256, 2, 11, 1}, {crypto.SHA384, 3, 12, 2}, {crypto.SHA512, 4, 13, 3}} {
		out[identifier(under(oidECDSA, h.ecdsa), nil)] = scheme{ecdsaInDER, h.hash}
		out[identifier(under(oidPKCS1, h.pkcs1), nil)] = scheme{rsaPKCS1v15, h.hash}
		out[identifier(under(oidPKCS1, h.pkcs1), (*cryptobyte.Builder).AddASN1NULL)] = scheme{rsaPKCS1v15, h.hash}
		for _, parameters := range []func(*cryptobyte.Builder){nil, (*cryptobyte.Builder).AddASN1NULL} {
			digest := identifier(under(oidSHA2, h.sha2), parameters)
			out[identifier(under(oidPKCS1, 10), pssParameters(digest, h.hash.Size()))] = scheme{rsaPSS, h.hash}
		}
	}
	return out
}

func under(id asn1.ObjectIdentifier, arc int) asn1.ObjectIdentifier {
	return append(append(asn1.ObjectIdentifier{}, id...), arc)
}

// identifier is an AlgorithmIdentifier in DER.
func identifier(id asn1.ObjectIdentifier, parameters func(*cryptobyte.Builder)) string {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(id)
		if parameters != nil {
			parameters(b)
		}
	})
	der, _ := b.Bytes() // constants always encode
	return string(der)
}

// pssParameters writes RSASSA-PSS-params (RFC 4055 §3.1): the digest, MGF1 over
// it (pkcs1 8), and a salt as long as it.
func pssParameters(digest string, salt int) func(*cryptobyte.Builder) {
	tag := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }
	return func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(tag(0), func(b *cryptobyte.Builder) { b.AddBytes([]byte(digest)) })
			b.AddASN1(tag(1), func(b *cryptobyte.Builder) {
				b.AddBytes([]byte(identifier(under(oidPKCS1, 8), func(b *cryptobyte.Builder) { b.AddBytes([]byte(digest)) })))
			})
			b.AddASN1(tag(2), func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(salt)) })
		})
	}
}
