package card

import "encoding/binary"

// Proof shows that somebody has the private key of a public key, for one use of
// one order, in one of two forms: a certification request, or the public key
// with a signature over ProofText.
type Proof struct {
	// Request is a PKCS#10 certification request in DER (RFC 2986), signed by
	// its key, that carries the order's challenge for the use (RFC 2985
	// §5.4.1).
	Request []byte
	// PublicKey is a SubjectPublicKeyInfo in DER (RFC 5280 §4.1).
	PublicKey []byte
	// Signature by that key over ProofText: ECDSA in DER (RFC 3279 §2.2.3) or
	// RSA as it stands (RFC 8017).
	Signature []byte
	// Algorithm of Signature; empty is the usual one of the key: SHA-256, with
	// PKCS #1 v1.5 for RSA, and SHA-384 on P-384.
	Algorithm ProofAlgorithm
}

// ProofAlgorithm names how a detached proof is signed.
type ProofAlgorithm string

// The algorithms of detached proofs. PSS is with MGF1 over SHA-256 and a salt
// of 32 octets (RFC 8017 §8.1).
const (
	ProofECDSAWithSHA256 ProofAlgorithm = "ecdsa-with-SHA256"
	ProofECDSAWithSHA384 ProofAlgorithm = "ecdsa-with-SHA384"
	ProofSHA256WithRSA   ProofAlgorithm = "sha256WithRSAEncryption"
	ProofRSAPSS          ProofAlgorithm = "RSASSA-PSS"
)

// ProofLabel is the first field of ProofText: what is signed for it is signed
// for nothing else.
const ProofLabel = "cpsca proof of possession 1"

// ProofText is what the key of a card signs in a detached proof: the label,
// order, card number, use, SubjectPublicKeyInfo in DER and challenge, each a
// string of RFC 4251 §5, that is its length in four octets, the highest first,
// and its octets. So no two sets of facts have one text.
func ProofText(order OrderID, number Number, use Use, publicKey []byte, challenge string) []byte {
	const longest = 512 // for P-256 and P-384 as well as RSA-2048
	b := make([]byte, 0, longest)
	b = appendProofField(b, ProofLabel)
	b = appendProofField(b, order)
	b = appendProofField(b, number)
	b = appendProofField(b, use)
	b = appendProofField(b, publicKey)
	return appendProofField(b, challenge)
}

func appendProofField[T ~string | ~[]byte](b []byte, field T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(field)))
	return append(b, field...)
}
