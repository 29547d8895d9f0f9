package feed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // SHA-256 for head signatures
	_ "crypto/sha512" // SHA-384 for head signatures
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// headLabel separates head signatures from everything else that the feed key
// could ever sign.
const headLabel = "cpsca feed head 1\x00"

var (
	// ErrSignature: the head is not signed by the feed key.
	ErrSignature = errors.New("the feed head's signature does not verify")
	// ErrKey: the key is neither ECDSA on P-256 or P-384 nor RSA of 2048 to
	// 8192 bits.
	ErrKey = errors.New("the key cannot sign or verify feed heads")
)

// Head is the authority's word that the feed up to Sequence is all there was
// at AsOf.
type Head struct {
	Sequence  uint64    `json:"sequence"` // of the last record, 0 for an empty feed
	Hash      Hash      `json:"hash"`     // of the chain after it
	AsOf      time.Time `json:"as_of"`    // UTC, whole seconds
	Signature []byte    `json:"signature"`
}

// Sign makes a head: ECDSA with SHA-256 on P-256 and SHA-384 on P-384, or RSA
// PKCS #1 v1.5 with SHA-256. The signature is verified before it is returned.
// It returns ErrKey for other keys and ErrSignature if the signer erred.
func Sign(signer crypto.Signer, sequence uint64, hash [32]byte, asOf time.Time) (Head, error) {
	h := Head{Sequence: sequence, Hash: hash, AsOf: asOf.UTC().Truncate(time.Second)}
	if !wholeSecond(h.AsOf) || sequence > maxSequence {
		return Head{}, fmt.Errorf("signing a feed head: sequence %d as of %d is out of bounds", sequence, h.AsOf.Unix())
	}
	digest, algorithm, err := h.digest(signer.Public())
	if err != nil {
		return Head{}, fmt.Errorf("signing a feed head: %w", err)
	}
	h.Signature, err = signer.Sign(rand.Reader, digest, algorithm)
	if err != nil {
		return Head{}, fmt.Errorf("signing a feed head: %w", err)
	}
	err = h.Verify(signer.Public())
	if err != nil {
		return Head{}, fmt.Errorf("checking the new feed head: %w", err)
	}
	return h, nil
}

// Verify checks the signature. It returns ErrSignature if it does not verify,
// ErrKey if the key is of an unsupported kind.
func (h Head) Verify(pub crypto.PublicKey) error {
	digest, algorithm, err := h.digest(pub)
	if err != nil {
		return err
	}
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(key, digest, h.Signature) {
			return ErrSignature
		}
	case *rsa.PublicKey:
		err = rsa.VerifyPKCS1v15(key, algorithm, digest, h.Signature)
		if err != nil {
			return ErrSignature
		}
	}
	return nil
}

// digest hashes the head's message with the algorithm that goes with the key.
func (h Head) digest(pub crypto.PublicKey) ([]byte, crypto.Hash, error) {
	algorithm := crypto.SHA256
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
		case elliptic.P384():
			algorithm = crypto.SHA384
		default:
			return nil, 0, fmt.Errorf("%w: curve", ErrKey)
		}
	case *rsa.PublicKey:
		if key.N.BitLen() < 2048 || key.N.BitLen() > 8192 {
			return nil, 0, fmt.Errorf("%w: RSA of %d bits", ErrKey, key.N.BitLen())
		}
	default:
		return nil, 0, fmt.Errorf("%w: %T", ErrKey, pub)
	}
	hash := algorithm.New()
	hash.Write(h.message())
	return hash.Sum(nil), algorithm, nil
}

// message is what is signed: label, sequence, hash, as-of.
func (h Head) message() []byte {
	b := append(make([]byte, 0, len(headLabel)+48), headLabel...)
	return h.appendFixed(b)
}

// appendFixed adds sequence, hash and as-of, 48 octets.
func (h Head) appendFixed(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, h.Sequence)
	b = append(b, h.Hash[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(h.AsOf.Unix()))
}
