package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"slices"

	"cpsca/card"
	"cpsca/profiles"
)

// publicExponent is the only RSA exponent accepted: above 2^16 and odd, as
// the Baseline Requirements §6.1.6 and FIPS 186-5 §5.4 ask.
const publicExponent = 65537

// Blocked is a list of keys that nobody may have any more: published private
// keys, Debian's weak ones, those of a bad lot of chips. It is asked by several
// goroutines at a time.
type Blocked interface {
	// Blocked says whether a key is on the list, by its fingerprint or by the
	// SHA-256 of its SubjectPublicKeyInfo.
	Blocked(fingerprint card.Fingerprint, spki [sha256.Size]byte) bool
}

// KeyRules says which public keys may be on a card. What is not listed is
// refused; beyond that every RSA modulus is held against the weaknesses of
// keys_*.go, and every point is fully validated.
type KeyRules struct {
	// RSA lists the modulus sizes accepted, in bits: 2048, 3072, 4096.
	RSA []int
	// Curves lists the named curves accepted: "P-256", "P-384".
	Curves []string
	// Blocked refuses keys by name; nil refuses none.
	Blocked Blocked
	// Composite also refuses a modulus that is itself a prime (SP 800-89
	// §5.3.3). It costs some milliseconds for RSA-2048, a hundred proofs of
	// possession: off for cards, whose keys come by the hundred in a second.
	Composite bool
}

// infrastructureRules are those of the few keys that are on no card.
var infrastructureRules = KeyRules{RSA: []int{2048, 3072, 4096}, Curves: []string{"P-256", "P-384"}, Composite: true}

// Validate refuses sizes and curves that no profile certifies, and rules that
// accept nothing.
func (r KeyRules) Validate() error {
	for _, bits := range r.RSA {
		if bits != 2048 && bits != 3072 && bits != 4096 {
			return fmt.Errorf("%w: RSA card keys have 2048, 3072 or 4096 bits, not %d", ErrConfig, bits)
		}
	}
	for _, curve := range r.Curves {
		if curve != elliptic.P256().Params().Name && curve != elliptic.P384().Params().Name {
			return fmt.Errorf("%w: card keys are on P-256 or P-384, not %s", ErrConfig, curve)
		}
	}
	if len(r.RSA)+len(r.Curves) == 0 {
		return fmt.Errorf("%w: no card key would be accepted", ErrConfig)
	}
	return nil
}

// admit reads a SubjectPublicKeyInfo and refuses its key with ErrKey and the
// reason.
func (r KeyRules) admit(spki []byte) (*profiles.Key, error) {
	key, err := profiles.ParseKey(spki)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if !gating {
		return key, nil
	}
	err = r.check(key.Public())
	if err != nil {
		return nil, err
	}
	if r.Blocked != nil && r.Blocked.Blocked(key.Fingerprint(), sha256.Sum256(spki)) {
		return nil, fmt.Errorf("%w: it is on the list of blocked keys", ErrKey)
	}
	return key, nil
}

// check refuses a key for what it is, whoever has it, with ErrKey and the
// reason.
func (r KeyRules) check(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return r.checkRSA(key)
	case *ecdsa.PublicKey:
		return r.checkPoint(key)
	}
	return fmt.Errorf("%w: keys of this kind are not issued on cards", ErrKey)
}

// checkPoint fully validates a point (SP 800-56A rev. 3 §5.6.2.3.3): not at
// infinity, its coordinates in the field, on the curve. The fourth step, that
// n·Q is at infinity, holds for every point of a curve of cofactor 1, which
// those of Validate are (SP 800-186 §3.2.1).
func (r KeyRules) checkPoint(key *ecdsa.PublicKey) error {
	name := key.Curve.Params().Name
	if !slices.Contains(r.Curves, name) {
		return fmt.Errorf("%w: curve %s is not one of %v", ErrKey, name, r.Curves)
	}
	_, err := key.ECDH()
	if err != nil {
		return fmt.Errorf("%w: the point is not valid", ErrKey)
	}
	return nil
}

// checkRSA holds a modulus against the rules, the cheap ones first. A size is
// exact: the highest bit of that many is set.
func (r KeyRules) checkRSA(key *rsa.PublicKey) error {
	n := key.N
	if !slices.Contains(r.RSA, n.BitLen()) {
		return fmt.Errorf("%w: a modulus of %d bits is not one of %v", ErrKey, n.BitLen(), r.RSA)
	}
	if key.E != publicExponent {
		return fmt.Errorf("%w: the exponent is %d, want %d", ErrKey, key.E, publicExponent)
	}
	err := checkModulus(n)
	if err != nil {
		return err
	}
	if r.Composite && n.ProbablyPrime(0) {
		return fmt.Errorf("%w: the modulus is a prime", ErrKey)
	}
	return nil
}
