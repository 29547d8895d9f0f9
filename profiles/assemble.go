package profiles

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ErrAssemble: the octets are not a TBSCertificate, or there is no signature.
var ErrAssemble = errors.New("not a TBSCertificate and a signature")

// Certificate  ::=  SEQUENCE  {
//      tbsCertificate       TBSCertificate,
//      signatureAlgorithm   AlgorithmIdentifier,
//      signatureValue       BIT STRING  }              -- RFC 5280 §4.1

// Assemble puts a signature beside what it signs and returns the DER
// Certificate. The signatureAlgorithm is the one inside the TBSCertificate, so
// that both are the same (RFC 5280 §4.1.1.2). It returns ErrAssemble for
// anything else; whether the signature verifies is not looked at.
func Assemble(tbs, signature []byte) ([]byte, error) {
	input := cryptobyte.String(tbs)
	var sequence, algorithm cryptobyte.String
	if len(signature) == 0 || !input.ReadASN1(&sequence, asn1.SEQUENCE) || !input.Empty() ||
		!sequence.SkipASN1(contextSpecific(0).Constructed()) ||
		!sequence.SkipASN1(asn1.INTEGER) ||
		!sequence.ReadASN1Element(&algorithm, asn1.SEQUENCE) {
		return nil, ErrAssemble
	}
	b := make([]byte, 0, len(tbs)+len(algorithm)+len(signature)+16)
	b = append(b, tbs...)
	b = append(b, algorithm...)
	b = appendBitString(b, signature)
	return enclose(b, 0, tagSequence), nil
}
